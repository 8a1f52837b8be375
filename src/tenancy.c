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
#include "caller.h"
#include "command.h"
#include "commit.h"
#include "compat.h"
#include "distribution.h"
#include "execution.h"
#include "identity.h"
#include "ingest.h"
#include "invalidation.h"
#include "settings.h"
#include "version.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(tenancy_end_of_script);

void
_PG_init(void)
{
	VersionInit();
	InvalidationInit();
	CommitInit();
	AccessInit();
	IdentityInit();
	DistributionInit();
	ExecutionInit();
	SettingsInit();
	CommandInit();
	IngestInit();
	CallerInit();
	MarkGUCPrefixReserved("tenancy");
}

/*
 * tenancy_end_of_script -- last in the scripts that make or update the SQL
 * objects.
 *
 * tenancy._end_of_script().  Refuses them where the library is older, and
 * makes every session ask again whether its library is the right one.
 */
Datum
tenancy_end_of_script(PG_FUNCTION_ARGS)
{
	VersionCheck();
	InvalidationAnnounceAll();
	PG_RETURN_VOID();
}
