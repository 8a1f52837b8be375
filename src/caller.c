/*
 * caller.c
 *		Whose rights the triggers of an application's tables have.
 *
 * The commands are SECURITY DEFINER.  What they delete takes rows of the
 * application's tables along, by foreign keys; PostgreSQL does that with the
 * rights of those tables' owners.  But up to version 17 it fires the AFTER
 * triggers that this queues when the command's own statement ends, and with the
 * command's rights: a table's owner could have anything done.  So they, and
 * those of the extension's tables, which need no rights, are fired with the
 * rights of whoever called the command, as they would be without a command.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"

#include "caller.h"
#include "compat.h"

static Oid	innermost = InvalidOid; /* whose query runs; nobody's, outside of one */

static ExecutorRun_hook_type previousRun = NULL;
static ExecutorFinish_hook_type previousFinish = NULL;

/* The role whose query called what is running now. */
static Oid
callingRole(void)
{
	return OidIsValid(innermost) ? innermost : GetOuterUserId();
}

/*
 * Commands have other functions do a part of their work.  The superuser's rights
 * that they have meanwhile are no caller's, and neither are those of any other
 * superuser's function: what it deletes fires triggers with less.
 */
static bool
hasLentRights(void)
{
	return InLocalUserIdChange() && superuser();
}

static void
executorRun(EXECUTOR_RUN_PARAMETERS)
{
	Oid			outer = innermost;

	if (callingRole() == GetUserId() || hasLentRights())
	{
		previousRun(EXECUTOR_RUN_ARGUMENTS);
		return;
	}
	innermost = GetUserId();
	PG_TRY();
	{
		previousRun(EXECUTOR_RUN_ARGUMENTS);
	}
	PG_FINALLY();
	{
		innermost = outer;
	}
	PG_END_TRY();
}

static bool
changesOurTables(const PlannedStmt *statement)
{
	ListCell   *cell;

	foreach(cell, statement->resultRelations)
		if (get_rel_namespace(rt_fetch(lfirst_int(cell), statement->rtable)->relid) ==
			get_namespace_oid("tenancy", true))
			return true;
	return false;
}

static void
executorFinish(QueryDesc *queryDesc)
{
	Oid			caller = callingRole();
	Oid			user;
	int			context;

	GetUserIdAndSecContext(&user, &context);
	if (user == caller || !changesOurTables(queryDesc->plannedstmt))
	{
		previousFinish(queryDesc);
		return;
	}
	/* an error's (sub)transaction takes this back */
	SetUserIdAndSecContext(caller, context | SECURITY_LOCAL_USERID_CHANGE);
	previousFinish(queryDesc);
	SetUserIdAndSecContext(user, context);
}

void
CallerInit(void)
{
	if (TRIGGERS_KEEP_THEIR_ROLE)
		return;
	previousRun = ExecutorRun_hook ? ExecutorRun_hook : standard_ExecutorRun;
	ExecutorRun_hook = executorRun;
	previousFinish = ExecutorFinish_hook ? ExecutorFinish_hook : standard_ExecutorFinish;
	ExecutorFinish_hook = executorFinish;
}
