/*
 * ingest.c
 *		Rows in bulk through a view.
 *
 * PostgreSQL refuses COPY into a table with row security, but not into a view
 * with an INSTEAD OF trigger.  This one gathers rows, and inserts them into the
 * view's table by the thousand: by an ordinary INSERT of whoever copies, under
 * the policies, triggers and constraints of the table.
 *
 * A view has three triggers with the same function.  The one before a statement
 * begins a gathering, the one for each row adds to it, and the one after the
 * statement inserts the rest.
 *
 * What would take most of the time is the foreign key to the project, which
 * PostgreSQL looks up and locks for each row anew, although it is the same one.
 * So the key's own check is asked only where its last answer may not hold.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/primnodes.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/queryenvironment.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"
#include "utils/uuid.h"

#include "compat.h"
#include "distribution.h"
#include "ingest.h"

#define ROWS_AT_ONCE	1000

/* The name of the gathered rows in the statement that inserts them. */
#define GATHERED		"gathered"

/* What one statement has gathered for one view. */
typedef struct Gathering
{
	struct Gathering *outer;	/* of a statement around this one */
	Oid			view;
	int			nestLevel;		/* of the transaction that it belongs to */
	MemoryContext context;
	TupleDesc	desc;
	Tuplestorestate *rows;
	int			nrows;
	SPIPlanPtr	plan;			/* inserts them; NULL until it is needed */
} Gathering;

static Gathering *innermost = NULL;

/* What the checks of foreign keys in one insertion have in common. */
typedef struct Checks
{
	CommandId	command;		/* after the last of them */
	int			changes;		/* how often something else was done meanwhile */
} Checks;

/*
 * What one of them has last found, and locked.  The lock is of the
 * (sub)transaction that the insertion runs in, which lasts longer.
 */
typedef struct Found
{
	Checks	   *checks;
	AttrNumber	column;			/* that refers to it; invalid: nothing is kept */
	bool		valid;
	pg_uuid_t	id;
	int			changes;		/* until then */
} Found;

static ExecutorFinish_hook_type previousFinish = NULL;

PG_FUNCTION_INFO_V1(tenancy_ingest);

/* ---- gatherings ---- */

static void
begin(Relation view)
{
	MemoryContext context = AllocSetContextCreate(TopTransactionContext,
												  "tenancy gathering", ALLOCSET_DEFAULT_SIZES);
	MemoryContext previous = MemoryContextSwitchTo(context);
	Gathering  *gathering = palloc0(sizeof(Gathering));

	gathering->view = RelationGetRelid(view);
	gathering->nestLevel = GetCurrentTransactionNestLevel();
	gathering->context = context;
	gathering->desc = CreateTupleDescCopy(RelationGetDescr(view));
	gathering->outer = innermost;
	innermost = gathering;
	MemoryContextSwitchTo(previous);
}

/*
 * The gathering of a view's statement.  Statements may be inside one another,
 * also for the same view; and one query may have several for one view, whose
 * rows then go the same way.
 */
static Gathering *
find(Relation view)
{
	for (Gathering *gathering = innermost; gathering != NULL; gathering = gathering->outer)
		if (gathering->view == RelationGetRelid(view) &&
			gathering->nestLevel == GetCurrentTransactionNestLevel())
			return gathering;
	ereport(ERROR,
			(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
			 errmsg("view \"%s\" has lost one of its triggers", RelationGetRelationName(view)),
			 errhint("Drop it, and call tenancy.create_ingest_view() again.")));
}

static void
end(Gathering *gathering)
{
	Gathering **link = &innermost;

	while (*link != gathering)
		link = &(*link)->outer;
	*link = gathering->outer;
	if (gathering->plan != NULL)
		SPI_freeplan(gathering->plan);
	MemoryContextDelete(gathering->context);
}

/* What a failed (sub)transaction has gathered goes with it. */
static void
forget(int nestLevel)
{
	while (innermost != NULL && innermost->nestLevel >= nestLevel)
	{
		Gathering  *gathering = innermost;

		innermost = gathering->outer;
		if (gathering->plan != NULL)
			SPI_freeplan(gathering->plan);
		MemoryContextDelete(gathering->context);
	}
}

static void
onTransaction(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT)
		forget(0);
	/* rather than lose rows in silence */
	else if ((event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE) && innermost != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("rows for view \"%s\" were not inserted", get_rel_name(innermost->view)),
				 errhint("Drop it, and call tenancy.create_ingest_view() again.")));
}

static void
onSubtransaction(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		forget(GetCurrentTransactionNestLevel());
}

/* ---- foreign keys ---- */

/* Is it the row that was found last, and nothing has happened since? */
static bool
isFound(const Found *found, const pg_uuid_t *id)
{
	return found->valid && found->changes == found->checks->changes &&
		memcmp(&found->id, id, sizeof(*id)) == 0;
}

/*
 * Stands in for RI_FKey_check_ins(), row for row and at the same moment.  Nobody
 * else can delete what this insertion has locked; this transaction itself can,
 * but not without a command, and a check is none that changes anything.
 */
static Datum
checkForeignKey(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	Found	   *found = fcinfo->flinfo->fn_extra;
	Checks	   *checks = found->checks;
	bool		isnull = true;
	Datum		id = 0;

	if (checks->command != GetCurrentCommandId(false))
		checks->changes++;
	checks->command = GetCurrentCommandId(false);
	if (found->column != InvalidAttrNumber)
		id = slot_getattr(trigger->tg_trigslot, found->column, &isnull);
	if (!isnull && isFound(found, DatumGetUUIDP(id)))
		return PointerGetDatum(NULL);

	/* for NULL, and a row that is gone again, nothing is looked up */
	found->valid = !isnull &&
		table_tuple_satisfies_snapshot(trigger->tg_relation, trigger->tg_trigslot, SnapshotSelf);
	if (found->valid)
		found->id = *DatumGetUUIDP(id);
	found->changes = checks->changes;
	RI_FKey_check_ins(fcinfo);
	checks->command = GetCurrentCommandId(false);
	return PointerGetDatum(NULL);
}

/* The column of a foreign key of one uuid, or none. */
static AttrNumber
columnOfForeignKey(Relation table, Oid constraint)
{
	ListCell   *cell;

	foreach(cell, RelationGetFKeyList(table))
	{
		const ForeignKeyCacheInfo *key = lfirst_node(ForeignKeyCacheInfo, cell);

		if (key->conoid == constraint && key->nkeys == 1 &&
			TupleDescAttr(RelationGetDescr(table), key->conkey[0] - 1)->atttypid == UUIDOID)
			return key->conkey[0];
	}
	return InvalidAttrNumber;
}

/*
 * The events of an insertion are queued; they will find here what to call.  For a
 * partition that is another place than where its rows came in.
 */
static void
replaceChecks(EState *estate, List *results, Checks *checks)
{
	ListCell   *cell;

	foreach(cell, results)
	{
		Relation	table = lfirst_node(ResultRelInfo, cell)->ri_RelationDesc;
		ResultRelInfo *result = ExecGetTriggerResultRel(estate, RelationGetRelid(table), NULL);
		int			n = result->ri_TrigDesc != NULL ? result->ri_TrigDesc->numtriggers : 0;

		for (int i = 0; i < n; i++)
		{
			const Trigger *trigger = &result->ri_TrigDesc->triggers[i];
			FmgrInfo   *called = &result->ri_TrigFunctions[i];
			Found	   *found;

			if (trigger->tgfoid != F_RI_FKEY_CHECK_INS)
				continue;
			found = MemoryContextAllocZero(estate->es_query_cxt, sizeof(Found));
			found->checks = checks;
			found->column = columnOfForeignKey(table, trigger->tgconstraint);
			fmgr_info_cxt(trigger->tgfoid, called, estate->es_query_cxt);
			called->fn_addr = checkForeignKey;
			called->fn_extra = found;
		}
	}
}

static void
executorFinish(QueryDesc *queryDesc)
{
	EState	   *estate = queryDesc->estate;

	/* insertGathered()'s; another's rows of that name would come to no harm */
	if (get_ENR(queryDesc->queryEnv, GATHERED) != NULL)
	{
		Checks	   *checks = MemoryContextAllocZero(estate->es_query_cxt, sizeof(Checks));

		replaceChecks(estate, estate->es_opened_result_relations, checks);
		replaceChecks(estate, estate->es_tuple_routing_result_relations, checks);
	}
	if (previousFinish)
		previousFinish(queryDesc);
	else
		standard_ExecutorFinish(queryDesc);
}

void
IngestInit(void)
{
	RegisterXactCallback(onTransaction, NULL);
	RegisterSubXactCallback(onSubtransaction, NULL);
	previousFinish = ExecutorFinish_hook;
	ExecutorFinish_hook = executorFinish;
}

/* ---- inserting ---- */

/* The table that a query has some columns of, and nothing else; NULL for others. */
static RangeTblEntry *
tableOf(Query *query)
{
	RangeTblEntry *table = list_length(query->rtable) > 0 ? llast(query->rtable) : NULL;
	ListCell   *cell;

	if (table == NULL || table->rtekind != RTE_RELATION || query->targetList == NIL)
		return NULL;
	foreach(cell, query->targetList)
	{
		Var		   *var = (Var *) lfirst_node(TargetEntry, cell)->expr;

		if (!IsA(var, Var) || rt_fetch(var->varno, query->rtable) != table)
			return NULL;
	}
	return table;
}

/*
 * The beginning of the statement for a view of some columns of one table, as its
 * query has them; with that table, and the view's names for the columns.
 */
static char *
insertStatement(Relation view, Oid *target, char **names)
{
	Query	   *query = get_view_query(view);
	RangeTblEntry *table = tableOf(query);
	StringInfoData columns;
	StringInfoData values;
	ListCell   *cell;

	if (table == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("view \"%s\" is not one of columns of a table", RelationGetRelationName(view))));
	initStringInfo(&columns);
	initStringInfo(&values);
	foreach(cell, query->targetList)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);
		Var		   *var = (Var *) entry->expr;

		appendStringInfo(&columns, "%s%s", columns.len > 0 ? ", " : "",
						 quote_identifier(get_attname(table->relid, var->varattno, false)));
		appendStringInfo(&values, "%s%s", values.len > 0 ? ", " : "",
						 quote_identifier(NameStr(TupleDescAttr(RelationGetDescr(view), entry->resno - 1)->attname)));
	}
	*target = table->relid;
	*names = values.data;
	return psprintf("INSERT INTO %s (%s)",
					quote_qualified_identifier(get_namespace_name(get_rel_namespace(table->relid)),
											   get_rel_name(table->relid)),
					columns.data);
}

static void
prepare(Gathering *gathering, Relation view)
{
	Oid			target;
	char	   *names;
	char	   *into = insertStatement(view, &target, &names);
	SPIPlanPtr	plan = SPI_prepare(psprintf("%s SELECT %s FROM " GATHERED, into, names), 0, NULL);

	if (plan == NULL || SPI_keepplan(plan) != 0)
		elog(ERROR, "could not prepare an insertion: %s", SPI_result_code_string(SPI_result));
	gathering->plan = plan;
}

static int
insertHere(Gathering *gathering, Relation view)
{
	EphemeralNamedRelation gathered;

	gathered = palloc0(sizeof(EphemeralNamedRelationData));
	gathered->md.name = GATHERED;
	gathered->md.reliddesc = InvalidOid;
	gathered->md.tupdesc = gathering->desc;
	gathered->md.enrtype = ENR_NAMED_TUPLESTORE;
	gathered->md.enrtuples = gathering->nrows;
	gathered->reldata = gathering->rows;
	if (SPI_register_relation(gathered) != SPI_OK_REL_REGISTER)
		elog(ERROR, "SPI_register_relation failed");
	if (gathering->plan == NULL)
		prepare(gathering, view);
	return SPI_execute_plan(gathering->plan, NULL, NULL, false, 0);
}

/*
 * Citus sends rows that a SELECT has found by COPY, which row security refuses.
 * It sends VALUES as they are.
 */
static int
insertIntoShards(Gathering *gathering, const char *into)
{
	int			width = gathering->desc->natts;
	int			n = 0;
	Oid		   *types = palloc(gathering->nrows * width * sizeof(Oid));
	Datum	   *values = palloc(gathering->nrows * width * sizeof(Datum));
	bool	   *isnull = palloc(gathering->nrows * width * sizeof(bool));
	char	   *nulls = palloc(gathering->nrows * width);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(gathering->desc, &TTSOpsMinimalTuple);
	StringInfoData statement;

	initStringInfo(&statement);
	appendStringInfo(&statement, "%s VALUES ", into);
	while (tuplestore_gettupleslot(gathering->rows, true, true, slot))
	{
		heap_deform_tuple(ExecCopySlotHeapTuple(slot), gathering->desc, &values[n], &isnull[n]);
		for (int i = 0; i < width; i++, n++)
		{
			types[n] = TupleDescAttr(gathering->desc, i)->atttypid;
			nulls[n] = isnull[n] ? 'n' : ' ';
			appendStringInfo(&statement, "%s$%d", i > 0 ? ", " : n > 0 ? "), (" : "(", n + 1);
		}
	}
	appendStringInfoChar(&statement, ')');
	ExecDropSingleTupleTableSlot(slot);
	return SPI_execute_with_args(statement.data, n, types, values, nulls, false, 0);
}

static void
insertGathered(Gathering *gathering, Relation view)
{
	Oid			target;
	char	   *names;
	char	   *into;
	int			result;

	if (gathering->nrows == 0)
		return;
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	into = gathering->plan == NULL ? insertStatement(view, &target, &names) : NULL;
	result = into != NULL && DistributionHasTable(target) ?
		insertIntoShards(gathering, into) : insertHere(gathering, view);
	if (result != SPI_OK_INSERT)
		elog(ERROR, "could not insert rows: %s", SPI_result_code_string(result));
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "SPI_finish failed");
	tuplestore_end(gathering->rows);
	gathering->rows = NULL;
	gathering->nrows = 0;
}

static void
add(Gathering *gathering, Relation view, HeapTuple tuple)
{
	MemoryContext previous = MemoryContextSwitchTo(gathering->context);

	if (gathering->rows == NULL)
		gathering->rows = tuplestore_begin_heap(false, false, work_mem);
	tuplestore_puttuple(gathering->rows, tuple);
	MemoryContextSwitchTo(previous);
	if (++gathering->nrows >= ROWS_AT_ONCE)
		insertGathered(gathering, view);
}

/*
 * tenancy_ingest -- trigger: put a view's new rows into its table.
 *
 * tenancy._ingest(): BEFORE INSERT and AFTER INSERT for each statement, and
 * INSTEAD OF INSERT for each row.
 */
Datum
tenancy_ingest(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	Relation	view;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ||
		trigger->tg_relation->rd_rel->relkind != RELKIND_VIEW)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("tenancy._ingest() can only be called as a trigger for insertions into a view")));
	view = trigger->tg_relation;
	if (TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
	{
		add(find(view), view, trigger->tg_trigtuple);
		return PointerGetDatum(trigger->tg_trigtuple);
	}
	if (TRIGGER_FIRED_BEFORE(trigger->tg_event))
		begin(view);
	else
	{
		Gathering  *gathering = find(view);

		insertGathered(gathering, view);
		end(gathering);
	}
	PG_RETURN_POINTER(NULL);
}
