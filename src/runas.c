/*
 * runas.c
 *		One statement with the rights of another role, and no way back.
 *
 * For tenancy.prove_isolation(), which tries what a role can reach, and for
 * rollups, whose queries are the application's.  SET ROLE would not do: a
 * trigger of the table's owner could RESET ROLE and go on as the superuser who
 * called.  So the user is switched the way a SECURITY DEFINER function switches
 * it, where PostgreSQL refuses to set a role.  An error is undone by the abort
 * of the (sub)transaction.
 *
 * What a proof does is undone, too.  A rollup stays, so nothing of its owner's
 * may be left to run later as somebody else, such as a deferred trigger: that is
 * what PostgreSQL calls a security-restricted operation, as for REFRESH
 * MATERIALIZED VIEW.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

#include "compat.h"

/* What is more than that is as good as that. */
#define ENOUGH_ROWS 100000

PG_FUNCTION_INFO_V1(tenancy_run_as);
PG_FUNCTION_INFO_V1(tenancy_run_as_owner);

/* Become the role, with its search_path; returns the level of the settings. */
static int
becomeRole(Oid role, const char *path, int securityContext)
{
	int			settings = NewGUCNestLevel();

	SetUserIdAndSecContext(role, securityContext | SECURITY_LOCAL_USERID_CHANGE);
	(void) set_config_option("search_path", path, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	return settings;
}

/* Run it, whoever calls: how many rows, and the first field of the first one. */
static Datum
runAs(FunctionCallInfo fcinfo, Oid role, int restriction)
{
	char	   *path = text_to_cstring(PG_GETARG_TEXT_PP(1));
	char	   *command = text_to_cstring(PG_GETARG_TEXT_PP(2));
	TupleDesc	desc;
	Datum		values[2];
	bool		nulls[2] = {false, true};
	MemoryContext context = CurrentMemoryContext;
	Oid			user;
	int			securityContext;
	int			settings;
	int			code;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");

	GetUserIdAndSecContext(&user, &securityContext);
	settings = becomeRole(role, path, securityContext | restriction);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	code = SPI_execute(command, false, ENOUGH_ROWS);
	if (code < 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("could not run the statement: %s",
						SPI_result_code_string(code))));

	values[0] = Int64GetDatum((int64) SPI_processed);
	values[1] = (Datum) 0;
	if (SPI_tuptable != NULL && SPI_tuptable->numvals > 0 &&
		SPI_tuptable->tupdesc->natts > 0)
	{
		/* the output function may be the role's own, so still as the role */
		char	   *value = SPI_getvalue(SPI_tuptable->vals[0],
										 SPI_tuptable->tupdesc, 1);

		if (value != NULL)
		{
			MemoryContext previous = MemoryContextSwitchTo(context);

			values[1] = CStringGetTextDatum(value);
			nulls[1] = false;
			MemoryContextSwitchTo(previous);
		}
	}
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "SPI_finish failed");
	AtEOXact_GUC(false, settings);
	SetUserIdAndSecContext(user, securityContext);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/*
 * tenancy_run_as -- run a statement as a role.
 *
 * tenancy._run_as(role regrole, path text, command text, unfiltered boolean) →
 * (rows, value): how many rows it returned or affected, and the first field of
 * the first row that it returned.  For superusers.  Unfiltered as the owner of
 * a table means as in its foreign keys, whose checks see every row.
 */
Datum
tenancy_run_as(PG_FUNCTION_ARGS)
{
	Oid			role = PG_GETARG_OID(0);

	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be superuser to run a statement as another role")));
	if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(role)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("role does not exist")));
	return runAs(fcinfo, role, PG_GETARG_BOOL(3) ? SECURITY_NOFORCE_RLS : 0);
}

/* The owner of a relation, InvalidOid if there is no such relation. */
static Oid
ownerOf(Oid relation)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	Oid			owner = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
		ReleaseSysCache(tuple);
	}
	return owner;
}

/*
 * tenancy_run_as_owner -- run a statement as the owner of a table.
 *
 * tenancy._run_as_owner(relation regclass, path text, command text) → (rows,
 * value).  For the owner and superusers.  A member of the owner is not enough:
 * it need not have the owner's attributes, such as BYPASSRLS.
 */
Datum
tenancy_run_as_owner(PG_FUNCTION_ARGS)
{
	Oid			owner = ownerOf(PG_GETARG_OID(0));

	if (!OidIsValid(owner))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation does not exist")));
	if (owner != GetUserId() && !superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of table %s",
						DatumGetCString(DirectFunctionCall1(regclassout, PG_GETARG_DATUM(0)))),
				 errhint("Use SET ROLE to become the owner.")));
	return runAs(fcinfo, owner, SECURITY_RESTRICTED_OPERATION);
}
