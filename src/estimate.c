/*
 * estimate.c
 *		How much of a table whoever is acting can reach, as statistics tell.
 *
 * Looking up each id that can be reached in the statistics would take longer than
 * many a query, so it is done the other way round: each of the column's most
 * common values is looked up among what can be reached, and the rest is taken
 * for evenly spread.
 */
#include "postgres.h"

#include "catalog/pg_statistic.h"
#include "catalog/pg_type.h"
#include "optimizer/clauses.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"

#include "compat.h"
#include "estimate.h"
#include "identity.h"

/* What is asked about a column. */
typedef struct Question
{
	const AccessMap *reach;
	const pg_uuid_t *only;		/* the current project, if there is one */
	TargetKind	kind;
	AccessLevel minimum;
} Question;

/* What a column's most common values say. */
typedef struct CommonValues
{
	int			count;
	int			nreached;		/* how many of them are reached */
	double		reached;		/* the part of all rows that have one of those, */
	double		hidden;			/* and one of the others */
} CommonValues;

static bool
isReached(const Question *question, Datum id)
{
	AccessTarget target = AccessMapFind(question->reach, DatumGetUUIDP(id));

	return target.kind == question->kind && target.level >= question->minimum &&
		(question->only == NULL ||
		 memcmp(question->only, DatumGetUUIDP(id), UUID_LEN) == 0);
}

/* The part of the ids in an array that are reached. */
static double
reachedPart(const Question *question, Datum array)
{
	Datum	   *ids;
	bool	   *nulls;
	int			n;
	int			reached = 0;

	deconstruct_array(DatumGetArrayTypeP(array), UUIDOID, UUID_LEN, false,
					  TYPALIGN_CHAR, &ids, &nulls, &n);
	for (int i = 0; i < n; i++)
		reached += !nulls[i] && isReached(question, ids[i]);
	return n > 0 ? (double) reached / n : 0;
}

/* The value or array that a clause asks this column to be equal to, or NULL. */
static Node *
askedFor(const Node *clause, const Node *column)
{
	bool		isArray = IsA(clause, ScalarArrayOpExpr);
	Oid			operator;
	List	   *args;

	if (!isArray && !IsA(clause, OpExpr))
		return NULL;
	operator = isArray ? ((const ScalarArrayOpExpr *) clause)->opno : ((const OpExpr *) clause)->opno;
	args = isArray ? ((const ScalarArrayOpExpr *) clause)->args : ((const OpExpr *) clause)->args;
	if (list_length(args) != 2 || get_oprrest(operator) != F_EQSEL)
		return NULL;
	if (equal(linitial(args), column))
		return lsecond(args);
	return !isArray && equal(lsecond(args), column) ? linitial(args) : NULL;
}

/* The part of what a query asks for that is reached: all if it is not known yet. */
static double
partOfAsked(const Question *question, const Const *asked)
{
	if (!IsA(asked, Const) || asked->constisnull)
		return 1.0;
	if (asked->consttype == UUIDOID)
		return isReached(question, asked->constvalue);
	if (asked->consttype == UUIDARRAYOID)
		return reachedPart(question, asked->constvalue);
	return 1.0;
}

Node *
EstimateNamed(PlannerInfo *root, const Node *column)
{
	const Var  *var = (const Var *) column;
	RelOptInfo *rel;
	ListCell   *cell;

	if (!IsA(var, Var) || var->varlevelsup != 0 ||
		var->varno >= root->simple_rel_array_size ||
		(rel = root->simple_rel_array[var->varno]) == NULL)
		return NULL;
	foreach(cell, rel->baserestrictinfo)
	{
		Node	   *asked = askedFor((Node *) lfirst_node(RestrictInfo, cell)->clause, column);

		if (asked != NULL && is_pseudo_constant_clause(asked))
			return asked;
	}
	return NULL;
}

static void
lookUpCommonValues(VariableStatData *column, const Question *question,
				   CommonValues *common)
{
	AttStatsSlot slot;

	memset(common, 0, sizeof(*common));
	if (getBaseType(column->vartype) != UUIDOID ||
		!get_attstatsslot(&slot, column->statsTuple, STATISTIC_KIND_MCV,
						  InvalidOid, ATTSTATSSLOT_VALUES | ATTSTATSSLOT_NUMBERS))
		return;
	common->count = slot.nvalues;
	for (int i = 0; i < slot.nvalues; i++)
	{
		bool		reached = isReached(question, slot.values[i]);

		common->nreached += reached;
		*(reached ? &common->reached : &common->hidden) += slot.numbers[i];
	}
	free_attstatsslot(&slot);
}

/* The part of all rows whose column has a value that is reached. */
static double
partOfTable(VariableStatData *column, const Question *question)
{
	int			nreached = question->only ? 1 :
		question->reach->count[question->kind][question->minimum];
	bool		isdefault;
	double		distinct = Max(get_variable_numdistinct(column, &isdefault), 1.0);
	double		null = 0;
	double		rest;
	CommonValues common = {0};

	if (HeapTupleIsValid(column->statsTuple))
	{
		null = ((Form_pg_statistic) GETSTRUCT(column->statsTuple))->stanullfrac;
		lookUpCommonValues(column, question, &common);
	}
	rest = Max(1.0 - null - common.reached - common.hidden, 0.0);
	return common.reached + rest *
		Min(Max(nreached - common.nreached, 0) / Max(distinct - common.count, 1.0), 1.0);
}

double
EstimateReached(PlannerInfo *root, Node *column, int varRelid,
				TargetKind kind, AccessLevel minimum)
{
	Question	question = {.kind = kind,.minimum = minimum};
	Identity	who;
	VariableStatData data;
	double		fraction;
	Node	   *named = EstimateNamed(root, column);

	IdentityRead(&who);
	question.reach = AccessReach(AccessCurrent(&who));
	question.only = who.narrowed && kind == TARGET_PROJECT ? &who.project : NULL;

	/* its rows are counted already, but for what is not reached */
	if (named != NULL)
		return partOfAsked(&question, (Const *) named);
	examine_variable(root, column, varRelid, &data);
	fraction = partOfTable(&data, &question);
	ReleaseVariableStats(data);
	return fraction;
}
