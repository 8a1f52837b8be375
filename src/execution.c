/*
 * execution.c
 *		One execution of a query sees one identity.
 *
 * The predicates see to that row by row, but rows that were sorted or
 * aggregated already pass them no more, and those that an index found for the
 * one who started are not checked again.  So it is noted who acts when a query
 * starts, and one under row security is refused when it is asked to go on for
 * somebody else.
 *
 * Nor does it start at all where it names a protected table and
 *
 * - the login role is bound to a user, and bypasses row security by now; or
 * - nobody is signed in, and tenancy.missing_identity says that this is an error.
 *
 * Both are asked of the statement and not of its rows, so an empty table and a
 * condition that finds nothing make no difference.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "commands/extension.h"
#include "executor/executor.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "rewrite/rowsecurity.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/rls.h"

#include "access.h"
#include "compat.h"
#include "execution.h"
#include "identity.h"
#include "privileged.h"
#include "protection.h"

/* tenancy.missing_identity */
typedef enum MissingIdentity
{
	MISSING_EMPTY,
	MISSING_ERROR
} MissingIdentity;

static const struct config_enum_entry missingIdentityOptions[] = {
	{"empty", MISSING_EMPTY, false},
	{"error", MISSING_ERROR, false},
	{NULL, 0, false}
};

static int	missingIdentity = MISSING_EMPTY;

/* A query that has started while somebody acted; lives in the query's memory. */
typedef struct StartedQuery
{
	MemoryContextCallback forget;	/* called when that memory goes */
	dlist_node	node;
	QueryDesc  *query;
	MemoryContext context;
	Oid			user;			/* the current role then */
	uint64		epoch;			/* of the identity */
	Identity	who;			/* who acted when it started */
} StartedQuery;

static dlist_head startedQueries = DLIST_STATIC_INIT(startedQueries);
static StartedQuery *running = NULL;	/* the innermost one, if any */

static ExecutorCheckPerms_hook_type previousCheck = NULL;
static ExecutorStart_hook_type previousStart = NULL;
static ExecutorRun_hook_type previousRun = NULL;

/* Whoever bypasses row security sees all rows, whoever acts. */
static bool
isUnderRowSecurity(const StartedQuery *started)
{
	const PlannedStmt *statement = started->query->plannedstmt;
	ListCell   *cell;

	foreach(cell, statement->rtable)
	{
		const RangeTblEntry *entry = lfirst_node(RangeTblEntry, cell);
		Oid			user;

		if (entry->rtekind != RTE_RELATION)
			continue;
		user = CheckedRole(RightsOf(statement), entry);
		if (check_enable_rls(entry->relid, OidIsValid(user) ? user : started->user,
							 true) == RLS_ENABLED)
			return true;
	}
	return false;
}

/* ---- what does not start ---- */

/* A table that protect() was called for, or one of the extension's own. */
typedef enum Protection
{
	UNPROTECTED,
	PROTECTED,
	OUR_OWN
} Protection;

static Protection
protectionOf(Oid relid)
{
	Relation	relation = table_open(relid, NoLock);
	Protection	protection = UNPROTECTED;
	ListCell   *cell;

	if (relation->rd_rel->relrowsecurity && relation->rd_rsdesc != NULL)
	{
		if (RelationGetNamespace(relation) == get_namespace_oid("tenancy", true))
			protection = OUR_OWN;
		foreach(cell, relation->rd_rsdesc->policies)
			if (strcmp(((RowSecurityPolicy *) lfirst(cell))->policy_name, PROTECTION_FLOOR) == 0)
				protection = PROTECTED;
	}
	table_close(relation, NoLock);
	return protection;
}

/*
 * Has this login role, or the one it has set, gone past row security?  What a
 * SECURITY DEFINER function may do is not the login's.
 */
static bool
loginBypasses(void)
{
	return has_bypassrls_privilege(GetSessionUserId()) ||
		(GetOuterUserId() != GetSessionUserId() &&
		 has_bypassrls_privilege(GetOuterUserId()));
}

static void
refuseBypass(void)
{
	Identity	role;

	IdentityReadRole(&role);
	if (AccessIsBound(AccessCurrent(&role)))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\" is bound to a user, and bypasses row security",
						GetUserNameFromId(GetSessionUserId(), false)),
				 errhint("Ask the administrator to take SUPERUSER or BYPASSRLS away, or to call tenancy.unbind_role().")));
}

/* The owner works on a table. */
static void
refuseNobody(Oid relid, Oid user)
{
	Identity	who;

	if (OwnsRelation(relid, user) || check_enable_rls(relid, user, true) != RLS_ENABLED)
		return;
	IdentityRead(&who);
	if (!AccessHolds(AccessCurrent(&who)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("nobody is signed in"),
				 errdetail("Table \"%s\" is protected.", get_rel_name(relid)),
				 errhint("Sign in with tenancy.authenticate(), tenancy.act_as() or SET LOCAL tenancy.user_id in the same transaction.")));
}

/*
 * Asked where PostgreSQL checks the rights on a statement's tables, which it
 * does for COPY, too.
 */
static bool
checkPermissions(CHECK_PERMISSIONS_PARAMETERS)
{
	bool		bypasses = loginBypasses();
	ListCell   *cell;

	if (previousCheck && !previousCheck(CHECK_PERMISSIONS_ARGUMENTS))
		return false;
	if ((!bypasses && missingIdentity == MISSING_EMPTY) || !raises ||
		IsParallelWorker() || PrivilegedIsRunning() || creating_extension)
		return true;
	/* a foreign key looks things up by itself, once a row */
	if (InNoForceRLSOperation())
		return true;
	foreach(cell, rangeTable)
	{
		const RangeTblEntry *entry = lfirst_node(RangeTblEntry, cell);
		Protection	protection;
		Oid			user;

		/* partitions come with the table that was named */
		if (entry->rtekind != RTE_RELATION || !IsNamedInQuery(entry))
			continue;
		protection = protectionOf(entry->relid);
		user = CheckedRole(RIGHTS_OF_QUERY, entry);
		if (bypasses && protection != UNPROTECTED)
			refuseBypass();
		if (missingIdentity == MISSING_ERROR && protection == PROTECTED)
			refuseNobody(entry->relid, OidIsValid(user) ? user : GetUserId());
	}
	return true;
}

/* ---- what goes on ---- */

static void
forgetQuery(void *arg)
{
	StartedQuery *started = arg;

	dlist_delete(&started->node);
}

/* Note on whose behalf a query starts. */
static void
rememberQuery(QueryDesc *queryDesc, const Identity *who)
{
	MemoryContext context = queryDesc->estate->es_query_cxt;
	StartedQuery *started = MemoryContextAllocZero(context, sizeof(StartedQuery));

	started->query = queryDesc;
	started->context = context;
	started->user = GetUserId();
	started->epoch = IdentityEpoch();
	started->who = *who;
	dlist_push_head(&startedQueries, &started->node);
	started->forget.func = forgetQuery;
	started->forget.arg = started;
	MemoryContextRegisterResetCallback(context, &started->forget);
}

/* What was noted when the query started, or NULL. */
static StartedQuery *
findQuery(QueryDesc *queryDesc)
{
	dlist_iter	iter;

	dlist_foreach(iter, &startedQueries)
	{
		StartedQuery *started = dlist_container(StartedQuery, node, iter.cur);

		if (started->query == queryDesc)
			return started;
	}
	return NULL;
}

void
ExecutionRefuseIdentity(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("identity changed while a query was running"),
			 errhint("Close cursors before acting as somebody else, and sign in with a statement of its own.")));
}

void
ExecutionRequireSameIdentity(void)
{
	Identity	who;

	if (running == NULL || running->epoch == IdentityEpoch())
		return;
	IdentityRead(&who);
	if (memcmp(&who, &running->who, sizeof(who)) == 0)
		running->epoch = IdentityEpoch();
	/* what nobody's query has read already is nothing */
	else if (!(running->who.kind == IDENTITY_ROLE &&
			   AccessOfRole(&running->who) != BINDING_EXISTS) &&
			 isUnderRowSecurity(running))
		ExecutionRefuseIdentity();
}

bool
ExecutionOwns(MemoryContext context)
{
	return running != NULL && running->context == context;
}

/*
 * Parallel workers get the settings as they are, so what does not count is
 * dropped before a query can start some.
 */
static void
executorStart(QueryDesc *queryDesc, int eflags)
{
	Identity	who;

	IdentityDropEnded();
	if (previousStart)
		previousStart(queryDesc, eflags);
	else
		standard_ExecutorStart(queryDesc, eflags);

	/* what nobody's query has read already is nothing; foreign keys look at all */
	IdentityRead(&who);
	if (!InNoForceRLSOperation() &&
		(who.kind != IDENTITY_ROLE || AccessOfRole(&who) != BINDING_NONE))
		rememberQuery(queryDesc, &who);
}

static void
run(EXECUTOR_RUN_PARAMETERS)
{
	if (previousRun)
		previousRun(EXECUTOR_RUN_ARGUMENTS);
	else
		standard_ExecutorRun(EXECUTOR_RUN_ARGUMENTS);
}

static void
executorRun(EXECUTOR_RUN_PARAMETERS)
{
	StartedQuery *outer = running;
	StartedQuery *started = findQuery(queryDesc);

	if (started == NULL)
	{
		run(EXECUTOR_RUN_ARGUMENTS);
		return;
	}
	running = started;
	PG_TRY();
	{
		ExecutionRequireSameIdentity();
		run(EXECUTOR_RUN_ARGUMENTS);
		/* it may have changed after the last question to a predicate */
		ExecutionRequireSameIdentity();
	}
	PG_FINALLY();
	{
		running = outer;
	}
	PG_END_TRY();
}

void
ExecutionInit(void)
{
	/* whoever sets it makes their own statements fail */
	DefineCustomEnumVariable("tenancy.missing_identity",
							 "What a statement on a protected table does when nobody is signed in.",
							 "Finds nothing (empty), or fails (error).",
							 &missingIdentity, MISSING_EMPTY, missingIdentityOptions,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	previousCheck = ExecutorCheckPerms_hook;
	ExecutorCheckPerms_hook = checkPermissions;
	previousStart = ExecutorStart_hook;
	ExecutorStart_hook = executorStart;
	previousRun = ExecutorRun_hook;
	ExecutorRun_hook = executorRun;
}
