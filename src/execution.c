/*
 * execution.c
 *		One execution of a query sees one identity.
 *
 * The predicates see to that row by row, but rows that were sorted or
 * aggregated already pass them no more, and those that an index found for the
 * one who started are not checked again.  So it is noted who acts when a query
 * starts, and one under row security is refused when it is asked to go on for
 * somebody else.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rls.h"

#include "compat.h"
#include "execution.h"
#include "identity.h"

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
		user = CheckedRole(statement, entry);
		if (check_enable_rls(entry->relid, OidIsValid(user) ? user : started->user,
							 true) == RLS_ENABLED)
			return true;
	}
	return false;
}

static void
forgetQuery(void *arg)
{
	StartedQuery *started = arg;

	dlist_delete(&started->node);
}

/* Note on whose behalf a query starts. */
static void
rememberQuery(QueryDesc *queryDesc)
{
	MemoryContext context = queryDesc->estate->es_query_cxt;
	StartedQuery *started = MemoryContextAllocZero(context, sizeof(StartedQuery));

	started->query = queryDesc;
	started->context = context;
	started->user = GetUserId();
	started->epoch = IdentityEpoch();
	IdentityRead(&started->who);
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
	else if (isUnderRowSecurity(running))
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
	bool		signedIn = IdentityDropEnded();

	if (previousStart)
		previousStart(queryDesc, eflags);
	else
		standard_ExecutorStart(queryDesc, eflags);

	/* what nobody's query has read already is nothing; foreign keys look at all */
	if (signedIn && !InNoForceRLSOperation())
		rememberQuery(queryDesc);
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
	previousStart = ExecutorStart_hook;
	ExecutorStart_hook = executorStart;
	previousRun = ExecutorRun_hook;
	ExecutorRun_hook = executorRun;
}
