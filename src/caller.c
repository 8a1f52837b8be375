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
 *
 * Whose query runs says the executor.  But what PL/pgSQL assigns or returns is
 * no query, and neither is an index's expression, which ANALYZE computes as the
 * table's owner.  So the call of a command says it itself: the planner puts its
 * last argument into tenancy._note_caller(), which is asked right before it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "nodes/supportnodes.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "caller.h"
#include "compat.h"

static Oid	innermost = InvalidOid; /* whose query or command runs; nobody's, outside of one */
static Oid	noted = InvalidOid; /* who is about to call a command */

static ExecutorRun_hook_type previousRun = NULL;
static ExecutorFinish_hook_type previousFinish = NULL;

PG_FUNCTION_INFO_V1(tenancy_note_caller);
PG_FUNCTION_INFO_V1(tenancy_command_support);

/* The role whose query, or expression, called what is running now. */
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

/* CallerEnter -- a command begins; answers what CallerLeave() wants at its end. */
Oid
CallerEnter(void)
{
	Oid			outer = innermost;

	if (OidIsValid(noted))
		innermost = noted;
	noted = InvalidOid;
	return outer;
}

void
CallerLeave(Oid outer)
{
	innermost = outer;
}

/*
 * tenancy_note_caller -- the last argument of a command, as it is.
 *
 * tenancy._note_caller(value anyelement) → anyelement.  Asked as whoever calls
 * the command, which follows at once.
 */
Datum
tenancy_note_caller(PG_FUNCTION_ARGS)
{
	noted = hasLentRights() ? InvalidOid : GetUserId();
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}

/* InvalidOid where the SQL objects are older. */
static Oid
noteCaller(void)
{
	Oid			type = ANYELEMENTOID;

	return GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
						   CStringGetDatum("_note_caller"),
						   PointerGetDatum(buildoidvector(&type, 1)),
						   ObjectIdGetDatum(get_namespace_oid("tenancy", true)));
}

/*
 * tenancy_command_support -- planner support of commands.
 *
 * A session's first command is planned before it is started.  Asking for its
 * support loads the library in time for the hook to see the start.  What has no
 * argument deletes no rows.
 */
Datum
tenancy_command_support(PG_FUNCTION_ARGS)
{
	Node	   *request = (Node *) PG_GETARG_POINTER(0);
	FuncExpr   *call;
	Node	   *last;
	Oid			note;

	if (!IsA(request, SupportRequestSimplify) ||
		((SupportRequestSimplify *) request)->fcall->args == NIL)
		PG_RETURN_POINTER(NULL);
	call = copyObject(((SupportRequestSimplify *) request)->fcall);
	last = llast(call->args);
	note = noteCaller();
	/* planned a second time, or by SQL objects that are older */
	if (!OidIsValid(note) || (IsA(last, FuncExpr) && ((FuncExpr *) last)->funcid == note))
		PG_RETURN_POINTER(NULL);
	llast(call->args) = makeFuncExpr(note, exprType(last), list_make1(last),
									 exprCollation(last), exprCollation(last),
									 COERCE_EXPLICIT_CALL);
	PG_RETURN_POINTER(call);
}

/* Nobody's call outlasts it, also where another library's hook has kept its end from us. */
static void
xactCallback(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		innermost = noted = InvalidOid;
}

void
CallerInit(void)
{
	if (TRIGGERS_KEEP_THEIR_ROLE)
		return;
	RegisterXactCallback(xactCallback, NULL);
	previousRun = ExecutorRun_hook ? ExecutorRun_hook : standard_ExecutorRun;
	ExecutorRun_hook = executorRun;
	previousFinish = ExecutorFinish_hook ? ExecutorFinish_hook : standard_ExecutorFinish;
	ExecutorFinish_hook = executorFinish;
}
