/*
 * command.c
 *		Which command is running: a call of a function of the extension with the
 *		rights of its owner.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "fmgr.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "caller.h"
#include "command.h"
#include "compat.h"

/* A command that runs. */
typedef struct RunningCommand
{
	const FmgrInfo *call;
	Oid			function;
	Oid			caller;			/* for CallerLeave() */
} RunningCommand;

static RunningCommand *commands = NULL; /* the outermost one first */
static int	depth = 0;			/* how many there are */
static int	room = 0;			/* for so many */

static needs_fmgr_hook_type previousNeedsHook = NULL;
static fmgr_hook_type previousHook = NULL;

/* Commands have the rights of their owner, and no underscore. */
static bool
isCommand(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc form;
	bool		found;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_proc) GETSTRUCT(tuple);
	found = form->prosecdef && NameStr(form->proname)[0] != '_' &&
		form->pronamespace == get_namespace_oid("tenancy", true);
	ReleaseSysCache(tuple);
	return found;
}

static void
makeRoom(void)
{
	if (depth < room)
		return;
	commands = commands == NULL ?
		MemoryContextAlloc(TopMemoryContext, sizeof(RunningCommand)) :
		repalloc(commands, 2 * room * sizeof(RunningCommand));
	room = Max(1, 2 * room);
}

/* A call ends: with it whatever command began in it, should its end have got lost. */
static void
leave(const FmgrInfo *call)
{
	for (int i = depth - 1; i >= 0; i--)
		if (commands[i].call == call)
		{
			CallerLeave(commands[i].caller);
			depth = i;
			return;
		}
}

static bool
needsHook(Oid function)
{
	return previousNeedsHook && previousNeedsHook(function);
}

/*
 * Called around every function that has rights or settings of its own, which
 * all commands do.  One whose start came before this library is not counted;
 * tenancy_command_support() keeps that from happening.
 *
 * The private data is left to the hook before ours, to which it belongs where a
 * start came before this library.
 */
static void
hook(FmgrHookEventType event, FmgrInfo *flinfo, Datum *private)
{
	bool		begins = event == FHET_START && isCommand(flinfo->fn_oid);

	if (begins)
		makeRoom();
	else if (event != FHET_START)
		leave(flinfo);
	if (previousHook)
		previousHook(event, flinfo, private);
	if (!begins)
		return;
	/* last: there is no other event for a start that fails */
	commands[depth].call = flinfo;
	commands[depth].function = flinfo->fn_oid;
	commands[depth].caller = CallerEnter();
	depth++;
}

static void
xactCallback(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		depth = 0;
}

void
CommandInit(void)
{
	RegisterXactCallback(xactCallback, NULL);
	previousNeedsHook = needs_fmgr_hook;
	needs_fmgr_hook = needsHook;
	previousHook = fmgr_hook;
	fmgr_hook = hook;
}

const char *
CommandName(void)
{
	return depth > 0 ? get_func_name(commands[0].function) : NULL;
}
