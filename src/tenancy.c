/*
 * tenancy.c
 *		The door: what happens when the library is loaded.
 *
 * Nothing here needs shared_preload_libraries: the first function of the
 * extension that a session calls loads the library.
 */
#include "postgres.h"

#include "fmgr.h"

#include "access.h"
#include "compat.h"
#include "execution.h"
#include "identity.h"
#include "invalidation.h"
#include "settings.h"

PG_MODULE_MAGIC;

void
_PG_init(void)
{
	InvalidationInit();
	AccessInit();
	IdentityInit();
	ExecutionInit();
	SettingsInit();
	MarkGUCPrefixReserved("tenancy");
}
