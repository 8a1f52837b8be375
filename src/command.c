/*
 * command.c
 *		Which command is running: a call of a function of the extension with the
 *		rights of its owner.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "fmgr.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "command.h"
#include "compat.h"

/* What the hook keeps for one call site of a function. */
typedef struct CallSite
{
	bool		isCommand;
	bool		entered;		/* its start was counted */
	Datum		next;			/* of the hook before ours */
} CallSite;

static int	depth = 0;			/* commands that are running, one in the other */
static Oid	outermost = InvalidOid;

static needs_fmgr_hook_type previousNeedsHook = NULL;
static fmgr_hook_type previousHook = NULL;

PG_FUNCTION_INFO_V1(tenancy_command_support);

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

static CallSite *
callSite(FmgrInfo *flinfo, Datum *private)
{
	CallSite   *site = (CallSite *) DatumGetPointer(*private);

	if (site == NULL)
	{
		site = MemoryContextAllocZero(flinfo->fn_mcxt, sizeof(CallSite));
		site->isCommand = isCommand(flinfo->fn_oid);
		*private = PointerGetDatum(site);
	}
	return site;
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
 */
static void
hook(FmgrHookEventType event, FmgrInfo *flinfo, Datum *private)
{
	CallSite   *site;

	if (event != FHET_START && DatumGetPointer(*private) == NULL)
		return;
	site = callSite(flinfo, private);
	if (site->isCommand && event == FHET_START)
	{
		site->entered = true;
		if (depth++ == 0)
			outermost = flinfo->fn_oid;
	}
	else if (site->entered && event != FHET_START)
	{
		/* one call site of a recursive function is entered once at a time */
		site->entered = false;
		if (--depth == 0)
			outermost = InvalidOid;
	}
	if (previousHook)
		previousHook(event, flinfo, &site->next);
}

void
CommandInit(void)
{
	previousNeedsHook = needs_fmgr_hook;
	needs_fmgr_hook = needsHook;
	previousHook = fmgr_hook;
	fmgr_hook = hook;
}

const char *
CommandName(void)
{
	return OidIsValid(outermost) ? get_func_name(outermost) : NULL;
}

/*
 * tenancy_command_support -- planner support of commands: helps with nothing.
 *
 * A session's first command is planned before it is started.  Asking for its
 * support loads the library in time for the hook to see the start.
 */
Datum
tenancy_command_support(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(NULL);
}
