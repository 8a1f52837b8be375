/*
 * privileged.c
 *		Queries that the library itself asks, safe from their caller.
 *
 * Three things could make such a query lie: the caller's search_path, the
 * caller's row security, and an old snapshot.  So it runs with a pinned path,
 * as the bootstrap superuser inside a restricted operation, and with a
 * snapshot of the kind that catalogs are read with, which is fresh and
 * allowed in parallel workers.  An error inside is undone by the abort of the
 * (sub)transaction, as for a SECURITY DEFINER function.
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "privileged.h"

void
PrivilegedBegin(PrivilegedState *state)
{
	GetUserIdAndSecContext(&state->user, &state->securityContext);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID,
						   state->securityContext |
						   SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
	state->settings = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp",
							 PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
}

void
PrivilegedEnd(PrivilegedState *state)
{
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "SPI_finish failed");
	AtEOXact_GUC(false, state->settings);
	SetUserIdAndSecContext(state->user, state->securityContext);
}

void
PrivilegedSelect(SPIPlanPtr *plan, const char *query,
				 int nargs, Oid *types, Datum *values, Snapshot snapshot)
{
	if (*plan == NULL)
	{
		SPIPlanPtr	prepared = SPI_prepare(query, nargs, types);

		if (prepared == NULL || SPI_keepplan(prepared) != 0)
			elog(ERROR, "could not prepare a query: %s",
				 SPI_result_code_string(SPI_result));
		*plan = prepared;
	}
	if (snapshot == InvalidSnapshot)
		snapshot = GetCatalogSnapshot(InvalidOid);
	if (SPI_execute_snapshot(*plan, values, NULL, snapshot, InvalidSnapshot,
							 true, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not execute a query: %s",
			 SPI_result_code_string(SPI_result));
}
