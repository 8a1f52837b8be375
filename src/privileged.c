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

#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/plancache.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "privileged.h"
#include "version.h"

#define RESTRICTION		"restrict_nonsystem_relation_kind"

PG_FUNCTION_INFO_V1(tenancy_refuse_later);

/* Until the nest level ends. */
static void
set(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/* pg_dump forbids itself to read views, and ours are read on its behalf. */
static bool
isRestricted(void)
{
	/* younger than the first releases that have our major versions */
	const char *value = GetConfigOption(RESTRICTION, true, false);

	return value != NULL && *value != '\0';
}

void
PrivilegedBegin(PrivilegedState *state)
{
	VersionCheck();
	GetUserIdAndSecContext(&state->user, &state->securityContext);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID,
						   state->securityContext |
						   SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
	state->settings = NewGUCNestLevel();
	set("search_path", "pg_catalog, pg_temp");
	if (isRestricted())
		set(RESTRICTION, "");
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

bool
PrivilegedIsRunning(void)
{
	return GetUserId() == BOOTSTRAP_SUPERUSERID && InLocalUserIdChange() &&
		InSecurityRestrictedOperation();
}

/* Is there a plan that can be executed as it is? */
static bool
isPlanned(SPIPlanPtr plan)
{
	const CachedPlanSource *source = linitial(SPI_plan_get_plan_sources(plan));

	return source->is_valid && source->gplan != NULL && source->gplan->is_valid;
}

/*
 * All these queries go from a few rows to a few others by indexes, in the order
 * that they name the tables in.  They get a plan that does so also while the
 * tables are small or not analyzed, and whatever the caller has set.
 */
static void
planForIndexes(void)
{
	static const char *const on[] = {"enable_indexscan", "enable_nestloop"};
	static const char *const off[] = {"enable_seqscan", "enable_bitmapscan",
	"enable_hashjoin", "enable_mergejoin", "jit"};

	set("plan_cache_mode", "force_generic_plan");
	set("join_collapse_limit", "1");
	for (int i = 0; i < lengthof(on); i++)
		set(on[i], "on");
	for (int i = 0; i < lengthof(off); i++)
		set(off[i], "off");
}

void
PrivilegedSelect(SPIPlanPtr *plan, const char *query,
				 int nargs, Oid *types, Datum *values, Snapshot snapshot)
{
	if (*plan == NULL)
	{
		SPIPlanPtr	prepared = SPI_prepare_cursor(query, nargs, types,
													  CURSOR_OPT_GENERIC_PLAN);

		if (prepared == NULL || SPI_keepplan(prepared) != 0)
			elog(ERROR, "could not prepare a query: %s",
				 SPI_result_code_string(SPI_result));
		*plan = prepared;
	}
	if (plan_cache_mode == PLAN_CACHE_MODE_FORCE_CUSTOM_PLAN || !isPlanned(*plan))
		planForIndexes();
	if (snapshot == InvalidSnapshot)
		snapshot = GetCatalogSnapshot(InvalidOid);
	if (SPI_execute_snapshot(*plan, values, NULL, snapshot, InvalidSnapshot,
							 true, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not execute a query: %s",
			 SPI_result_code_string(SPI_result));
}

void
PrivilegedExecute(SPIPlanPtr *plan, const char *query, int nargs, Oid *types,
				  Datum *values, const char *nulls, bool readOnly)
{
	int			result;

	if (*plan == NULL)
	{
		SPIPlanPtr	prepared = SPI_prepare(query, nargs, types);

		if (prepared == NULL || SPI_keepplan(prepared) != 0)
			elog(ERROR, "could not prepare a query: %s",
				 SPI_result_code_string(SPI_result));
		*plan = prepared;
	}
	if (readOnly)
		result = SPI_execute_snapshot(*plan, values, nulls, GetCatalogSnapshot(InvalidOid),
									  InvalidSnapshot, true, false, 0);
	else
		result = SPI_execute_plan(*plan, values, nulls, false, 0);
	if (result < 0)
		elog(ERROR, "could not execute a query: %s",
			 SPI_result_code_string(result));
}

/* What an old snapshot may not hide of a user. */
static struct
{
	const char *what;
	const char *query;
	SPIPlanPtr	plan;
}			later[] =
{
	{"organizations", "SELECT FROM tenancy.organizations o WHERE o.owner_id OPERATOR(pg_catalog.=) $1", NULL},
	{"sessions", "SELECT FROM tenancy.sessions s WHERE s.user_id OPERATOR(pg_catalog.=) $1 AND s.revoked_at IS NULL", NULL},
};

static int
laterNamed(const char *what)
{
	for (int i = 0; i < lengthof(later); i++)
		if (strcmp(later[i].what, what) == 0)
			return i;
	elog(ERROR, "there is no query for \"%s\"", what);
}

/*
 * tenancy_refuse_later -- fail where an old snapshot hides what matters.
 *
 * tenancy._refuse_later(what text, user_id uuid).  Above READ COMMITTED a command
 * does not see what came after the snapshot of its transaction, and a row that was
 * inserted since meets no UPDATE.  What it may not miss it asks for here, after
 * its own changes: if there is something of the user now, it fails, as it would
 * at a row that was changed since.
 */
Datum
tenancy_refuse_later(PG_FUNCTION_ARGS)
{
	int			which = laterNamed(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	Oid			type = UUIDOID;
	Datum		user = PG_GETARG_DATUM(1);
	PrivilegedState state;

	if (!IsolationUsesXactSnapshot())
		PG_RETURN_VOID();
	PrivilegedBegin(&state);
	PrivilegedSelect(&later[which].plan, later[which].query, 1, &type, &user, InvalidSnapshot);
	if (SPI_processed > 0)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent update")));
	PrivilegedEnd(&state);
	PG_RETURN_VOID();
}
