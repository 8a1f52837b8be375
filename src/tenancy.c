/*
 * tenancy.c
 *		The door: what happens when the library is loaded.
 *
 * Nothing here needs shared_preload_libraries: the first function of the
 * extension that a session calls loads the library.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "access.h"
#include "command.h"
#include "compat.h"
#include "execution.h"
#include "identity.h"
#include "ingest.h"
#include "invalidation.h"
#include "settings.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(tenancy_library_version);

void
_PG_init(void)
{
	InvalidationInit();
	AccessInit();
	IdentityInit();
	ExecutionInit();
	SettingsInit();
	CommandInit();
	IngestInit();
	MarkGUCPrefixReserved("tenancy");
}

/*
 * tenancy_library_version -- which version of the library this session has.
 *
 * tenancy._library_version() → text.  The version of the SQL objects is in
 * pg_extension; check_integrity() compares the two.
 */
Datum
tenancy_library_version(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(TENANCY_VERSION));
}
