/*
 * other_hooks.c
 *		For tests: a library that was there before, with the hooks that we use.
 *
 * It counts the calls of each, in the setting other.calls, and refuses tables
 * whose name is "refused".
 */
#include "postgres.h"

#include "executor/executor.h"
#include "fmgr.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

PG_MODULE_MAGIC;

#if PG_VERSION_NUM < 160000
extern void _PG_init(void);
#endif

static char *calls;
static int	checks,
			starts,
			runs,
			finishes,
			functions;
static char kept[64] = "at the start";

static bool
#if PG_VERSION_NUM >= 160000
checkPermissions(List *rangeTable, List *rights, bool raises)
#else
checkPermissions(List *rangeTable, bool raises)
#endif
{
	ListCell   *cell;

	checks++;
	foreach(cell, rangeTable)
	{
		RangeTblEntry *entry = lfirst_node(RangeTblEntry, cell);

		if (entry->rtekind == RTE_RELATION && strcmp(get_rel_name(entry->relid), "refused") == 0)
		{
			if (raises)
				elog(ERROR, "refused by the other library");
			return false;
		}
	}
	return true;
}

static void
start(QueryDesc *query, int flags)
{
	starts++;
	standard_ExecutorStart(query, flags);
}

static void
#if PG_VERSION_NUM >= 180000
run(QueryDesc *query, ScanDirection direction, uint64 count)
{
	runs++;
	standard_ExecutorRun(query, direction, count);
}
#else
run(QueryDesc *query, ScanDirection direction, uint64 count, bool once)
{
	runs++;
	standard_ExecutorRun(query, direction, count, once);
}
#endif

static void
finish(QueryDesc *query)
{
	finishes++;
	standard_ExecutorFinish(query);
}

static bool
needs(Oid function)
{
	char	   *name = get_func_name(function);

	return name != NULL && strncmp(name, "watched", 7) == 0;
}

/* What is kept at a start has to be there at the end. */
static void
watch(FmgrHookEventType event, FmgrInfo *info, Datum *arg)
{
	if (event == FHET_START)
	{
		*arg = PointerGetDatum(kept);
		functions++;
	}
	else if (DatumGetPointer(*arg) != kept)
		elog(WARNING, "the other library was given something else");
}

static const char *
show(void)
{
	return psprintf("%d %d %d %d %d", checks > 0, starts > 0, runs > 0, finishes > 0, functions);
}

static void
assign(const char *value, void *extra)
{
	checks = starts = runs = finishes = functions = 0;
}

void
_PG_init(void)
{
	DefineCustomStringVariable("other.calls", "Which hooks were called since it was set.", NULL,
							   &calls, "", PGC_USERSET, 0, NULL, assign, show);
	ExecutorCheckPerms_hook = checkPermissions;
	ExecutorStart_hook = start;
	ExecutorRun_hook = run;
	ExecutorFinish_hook = finish;
	needs_fmgr_hook = needs;
	fmgr_hook = watch;
}
