/*
 * planner.c
 *		The predicates of policy.c as the planner sees them.
 *
 * can_view(c) is c = ANY (viewable_projects()), which an index answers, and
 * can_edit(c, level) implies it.  The index condition depends on catalogs only,
 * never on who is acting: a generic plan is reused by the next identity.  The
 * estimates may depend on it, since they change speed only.
 *
 * Rows that an exact condition finds are not checked again.  That is right
 * because one execution sees one identity (execution.c), because the list is
 * made by the rules of the predicate, and because a row that changed while
 * its lock was waited for is checked against a new list.
 */
#include "postgres.h"

#include <math.h>

#include "access/amapi.h"
#include "access/stratnum.h"
#include "catalog/pg_am.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "nodes/supportnodes.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/restrictinfo.h"
#include "parser/parse_func.h"
#include "utils/fmgroids.h"
#include "utils/index_selfuncs.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"

#include "access.h"
#include "compat.h"
#include "identity.h"

/* Ids that stand for all in the cost of an index scan. */
#define SAMPLE	10

PG_FUNCTION_INFO_V1(tenancy_project_support);
PG_FUNCTION_INFO_V1(tenancy_organization_support);

/* ---- the predicate ---- */

/* The level that a call asks for; LEVEL_NONE when only execution will tell. */
static AccessLevel
minimumOf(const FuncExpr *call)
{
	const Const *minimum;

	if (list_length(call->args) < 2)
		return LEVEL_MEMBER;
	minimum = lsecond(call->args);
	if (!IsA(minimum, Const) || minimum->constisnull)
		return LEVEL_NONE;
	return AccessLevelFromOid(DatumGetObjectId(minimum->constvalue));
}

/* The call tenancy.viewable_projects() or viewable_organizations(minimum). */
static Expr *
makeListCall(const FuncExpr *call, TargetKind kind)
{
	Oid			types[1];
	List	   *args = NIL;
	Oid			function;

	if (kind == TARGET_ORGANIZATION)
	{
		types[0] = exprType(lsecond(call->args));
		args = list_make1(copyObject(lsecond(call->args)));
	}
	function = LookupFuncName(list_make2(makeString("tenancy"),
										 makeString(kind == TARGET_PROJECT ?
													"viewable_projects" :
													"viewable_organizations")),
							  list_length(args), types, true);
	if (!OidIsValid(function))
		return NULL;
	return (Expr *) makeFuncExpr(function, UUIDARRAYOID, args,
								 InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
}

/* column = ANY (list) */
static Expr *
makeCondition(Oid operator, Node *column, Expr *list)
{
	ScalarArrayOpExpr *condition = makeNode(ScalarArrayOpExpr);

	condition->opno = operator;
	condition->opfuncid = get_opcode(operator);
	condition->useOr = true;
	condition->inputcollid = InvalidOid;
	condition->args = list_make2(copyObject(column), list);
	condition->location = -1;
	return (Expr *) condition;
}

/* ---- how much of a table can be reached ---- */

static bool
isReached(const AccessMap *reach, TargetKind kind, AccessLevel minimum, Datum id)
{
	const AccessTarget *target = AccessMapFind(reach, DatumGetUUIDP(id));

	return target != NULL && target->kind == kind && target->level >= minimum;
}

/* The part of the ids in an array that can be reached. */
static double
reachedPart(const AccessMap *reach, TargetKind kind, AccessLevel minimum, Datum array)
{
	Datum	   *ids;
	bool	   *nulls;
	int			n;
	int			reached = 0;

	deconstruct_array(DatumGetArrayTypeP(array), UUIDOID, UUID_LEN, false,
					  TYPALIGN_CHAR, &ids, &nulls, &n);
	for (int i = 0; i < n; i++)
		reached += !nulls[i] && isReached(reach, kind, minimum, ids[i]);
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

/*
 * Does the query itself ask for certain values of the column?  Then the
 * predicate leaves those that can be reached: all, where they are not known yet,
 * since people ask for what is theirs.
 */
static bool
isNamed(PlannerInfo *root, const Var *column, const AccessMap *reach,
		TargetKind kind, AccessLevel minimum, double *fraction)
{
	RelOptInfo *rel;
	ListCell   *cell;

	if (!IsA(column, Var) || column->varlevelsup != 0 ||
		column->varno >= root->simple_rel_array_size ||
		(rel = root->simple_rel_array[column->varno]) == NULL)
		return false;
	foreach(cell, rel->baserestrictinfo)
	{
		Const	   *value = (Const *) askedFor((Node *) lfirst_node(RestrictInfo, cell)->clause,
											   (const Node *) column);

		if (value == NULL || !is_pseudo_constant_clause((Node *) value))
			continue;
		*fraction = !IsA(value, Const) || value->constisnull ? 1.0 :
			value->consttype == UUIDOID ? isReached(reach, kind, minimum, value->constvalue) :
			value->consttype == UUIDARRAYOID ? reachedPart(reach, kind, minimum, value->constvalue) :
			1.0;
		return true;
	}
	return false;
}

/*
 * The part of all rows that has one of the column's most common values and can
 * be reached; also the part that has one and cannot, and how many can.
 */
static double
commonFraction(VariableStatData *column, const AccessMap *reach, TargetKind kind,
			   AccessLevel minimum, double *hidden, int *nreached, int *ncommon)
{
	AttStatsSlot slot;
	double		reached = 0;

	*hidden = 0;
	*nreached = *ncommon = 0;
	if (!HeapTupleIsValid(column->statsTuple) || getBaseType(column->vartype) != UUIDOID ||
		!get_attstatsslot(&slot, column->statsTuple, STATISTIC_KIND_MCV,
						  InvalidOid, ATTSTATSSLOT_VALUES | ATTSTATSSLOT_NUMBERS))
		return 0;
	*ncommon = slot.nvalues;
	for (int i = 0; i < slot.nvalues; i++)
	{
		if (isReached(reach, kind, minimum, slot.values[i]))
		{
			reached += slot.numbers[i];
			(*nreached)++;
		}
		else
			*hidden += slot.numbers[i];
	}
	free_attstatsslot(&slot);
	return reached;
}

/* The part of a table whose column names something that can be reached. */
static double
reachedFraction(PlannerInfo *root, Node *expression, int varRelid,
				TargetKind kind, AccessLevel minimum)
{
	VariableStatData column;
	Identity	who;
	const AccessMap *reach;
	double		distinct;
	double		common;
	double		hidden;
	double		null = 0;
	double		rest;
	int			ncommon;
	int			nreached;
	bool		isdefault;

	IdentityRead(&who);
	reach = AccessReach(AccessCurrent(&who));
	if (isNamed(root, (Var *) expression, reach, kind, minimum, &common))
		return common;
	examine_variable(root, expression, varRelid, &column);
	distinct = Max(get_variable_numdistinct(&column, &isdefault), 1.0);
	common = commonFraction(&column, reach, kind, minimum, &hidden, &nreached, &ncommon);
	if (HeapTupleIsValid(column.statsTuple))
		null = ((Form_pg_statistic) GETSTRUCT(column.statsTuple))->stanullfrac;
	ReleaseVariableStats(column);

	if (who.narrowed && kind == TARGET_PROJECT)
		return 1.0 / distinct;
	rest = Max(1.0 - common - hidden - null, 0.0);
	return common + rest *
		Min((reach->count[kind][minimum] - nreached) / Max(distinct - ncommon, 1.0), 1.0);
}

/* ---- what an index scan costs ---- */

/* Is this index clause made from one of the predicates, and on what? */
static bool
isOurs(const IndexClause *clause, TargetKind *kind)
{
	const FuncExpr *call = (const FuncExpr *) clause->rinfo->clause;
	Oid			function;
	FmgrInfo	support;

	if (!IsA(call, FuncExpr) ||
		!OidIsValid(function = get_func_support(call->funcid)))
		return false;
	fmgr_info(function, &support);
	*kind = support.fn_addr == tenancy_project_support ?
		TARGET_PROJECT : TARGET_ORGANIZATION;
	return support.fn_addr == tenancy_project_support ||
		support.fn_addr == tenancy_organization_support;
}

/* Does it ask for equality?  Then no list is needed beside it. */
static bool
isEquality(const IndexClause *clause, const IndexOptInfo *index)
{
	const Node *first = (Node *) linitial_node(RestrictInfo, clause->indexquals)->clause;
	Oid			operator = IsA(first, OpExpr) ? ((OpExpr *) first)->opno :
		IsA(first, ScalarArrayOpExpr) ? ((ScalarArrayOpExpr *) first)->opno : InvalidOid;

	return OidIsValid(operator) &&
		get_op_opfamily_strategy(operator, index->opfamily[0]) ==
		(index->relam == HASH_AM_OID ? HTEqualStrategyNumber : BTEqualStrategyNumber);
}

/*
 * Leave one condition of ours, the one that asks for most, and none where the
 * query itself asks for certain values: an index would be searched once for
 * each pair of values.  What is left out is a filter again.  Answers the one
 * that stays, or NULL.
 */
static IndexClause *
leaveOne(IndexPath *path, TargetKind *kind)
{
	IndexClause *best = NULL;
	List	   *others = NIL;
	bool		equality = false;
	ListCell   *cell;

	foreach(cell, path->indexclauses)
	{
		IndexClause *clause = lfirst_node(IndexClause, cell);

		if (clause->indexcol != 0 || !isOurs(clause, kind))
		{
			others = lappend(others, clause);
			equality |= clause->indexcol == 0 && isEquality(clause, path->indexinfo);
		}
		else if (best == NULL ||
				 minimumOf((FuncExpr *) clause->rinfo->clause) >
				 minimumOf((FuncExpr *) best->rinfo->clause))
			best = clause;
	}
	if (best != NULL && !equality)
		others = lcons(best, others);
	path->indexclauses = others;
	if (best == NULL || equality)
		return NULL;
	(void) isOurs(best, kind);
	return best;
}

/* A few ids that can be reached, or one that nobody has. */
static Const *
makeSample(TargetKind kind, AccessLevel minimum)
{
	Identity	who;
	Datum		nobodys = UUIDPGetDatum(&(pg_uuid_t) {{0}});
	ArrayType  *sample;

	IdentityRead(&who);
	sample = AccessMapList(AccessReach(AccessCurrent(&who)), kind, minimum,
						   who.narrowed && kind == TARGET_PROJECT ? 1 : SAMPLE);
	if (ARR_NDIM(sample) == 0)
		sample = construct_array(&nobodys, 1, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR);
	return makeConst(UUIDARRAYOID, -1, InvalidOid, -1, PointerGetDatum(sample), false, false);
}

/* The clause with a sample in place of the call that makes the list. */
static IndexClause *
withSample(PlannerInfo *root, const IndexClause *clause, Const *sample)
{
	ScalarArrayOpExpr *condition = (ScalarArrayOpExpr *)
		linitial_node(RestrictInfo, clause->indexquals)->clause;
	Expr	   *sampled = makeCondition(condition->opno, linitial(condition->args),
										(Expr *) sample);
	IndexClause *result = makeNode(IndexClause);

	*result = *clause;
	result->indexquals = list_make1(make_simple_restrictinfo(root, sampled));
	return result;
}

/*
 * The access method's own estimate, for a sample that is scaled to all: to look
 * up 10,000 ids in the statistics one by one would take longer than many a
 * query.
 */
static void
estimateCost(PlannerInfo *root, IndexPath *path, double loop_count,
			 Cost *startup, Cost *total, Selectivity *selected,
			 double *correlation, double *pages)
{
	amcostestimate_function estimate = path->indexinfo->relam == HASH_AM_OID ?
		hashcostestimate : btcostestimate;
	TargetKind	kind;
	IndexClause *ours = leaveOne(path, &kind);
	List	   *clauses = path->indexclauses;
	AccessLevel minimum;
	IndexClause *sampled;
	RestrictInfo *condition;
	Const	   *sample;
	double		scale;
	double		fraction;

	if (ours == NULL)
	{
		estimate(root, path, loop_count, startup, total, selected, correlation, pages);
		return;
	}
	minimum = Max(minimumOf((FuncExpr *) ours->rinfo->clause), LEVEL_MEMBER);
	sample = makeSample(kind, minimum);
	sampled = withSample(root, ours, sample);
	condition = linitial_node(RestrictInfo, sampled->indexquals);
	fraction = reachedFraction(root, linitial(((FuncExpr *) ours->rinfo->clause)->args),
							   path->indexinfo->rel->relid, kind, minimum);

	path->indexclauses = list_concat(list_make1(sampled), list_copy_tail(clauses, 1));
	scale = fraction / Max(clause_selectivity(root, (Node *) condition, 0, JOIN_INNER, NULL), 1e-10);
	estimate(root, path, loop_count, startup, total, selected, correlation, pages);
	path->indexclauses = clauses;

	*total = *startup + (*total - *startup) * scale;
	*selected *= scale;
	CLAMP_PROBABILITY(*selected);
	*pages = Min(ceil(*pages * scale), path->indexinfo->pages);
}

/*
 * Have our estimate asked in place of the access method's own, for this query.
 * An index that cannot search for an array by itself has to be searched for
 * one element after the other, which only bitmap scans do.
 */
static bool
adoptIndex(IndexOptInfo *index)
{
	amcostestimate_function estimate = (amcostestimate_function) index->amcostestimate;

	if (estimate == estimateCost)
		return true;
	if (!(index->relam == BTREE_AM_OID && estimate == btcostestimate) &&
		!(index->relam == HASH_AM_OID && estimate == hashcostestimate))
		return false;
	index->amcostestimate = estimateCost;
	if (!index->amsearcharray)
		index->amhasgettuple = false;
	return true;
}

/* ---- what the planner asks ---- */

/*
 * column = ANY (viewable_…()), if the index leads with the column, which is the
 * predicate's first argument.  A list for a later column would disturb the
 * order that the planner expects from the index.
 */
static Node *
indexCondition(SupportRequestIndexCondition *request, TargetKind kind)
{
	FuncExpr   *call = (FuncExpr *) request->node;
	Node	   *column;
	Expr	   *list;
	Oid			operator;

	if (!IsA(call, FuncExpr) || request->indexarg != 0 || request->indexcol != 0)
		return NULL;
	column = linitial(call->args);
	if (exprType(column) != UUIDOID ||
		(kind == TARGET_ORGANIZATION &&
		 (list_length(call->args) < 2 || minimumOf(call) == LEVEL_NONE)))
		return NULL;
	operator = get_opfamily_member(request->opfamily, UUIDOID, UUIDOID,
								   request->index->relam == HASH_AM_OID ?
								   HTEqualStrategyNumber : BTEqualStrategyNumber);
	if (!OidIsValid(operator))
		return NULL;
	list = makeListCall(call, kind);
	if (list == NULL || !adoptIndex(request->index))
		return NULL;

	/* the list of projects is one for all levels */
	request->lossy = kind == TARGET_PROJECT && minimumOf(call) != LEVEL_MEMBER;
	return (Node *) list_make1(makeCondition(operator, column, list));
}

static Node *
support(Node *node, TargetKind kind)
{
	if (IsA(node, SupportRequestIndexCondition))
		return indexCondition((SupportRequestIndexCondition *) node, kind);
	if (IsA(node, SupportRequestSelectivity))
	{
		SupportRequestSelectivity *request = (SupportRequestSelectivity *) node;
		FuncExpr	call = {.args = request->args};

		if (request->is_join || request->args == NIL)
			return NULL;
		request->selectivity =
			reachedFraction(request->root, linitial(request->args), request->varRelid,
							kind, Max(minimumOf(&call), LEVEL_MEMBER));
		CLAMP_PROBABILITY(request->selectivity);
		return node;
	}
	return NULL;
}

/* tenancy_project_support -- planner support of can_view and can_edit. */
Datum
tenancy_project_support(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(support((Node *) PG_GETARG_POINTER(0), TARGET_PROJECT));
}

/* tenancy_organization_support -- planner support of is_member. */
Datum
tenancy_organization_support(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(support((Node *) PG_GETARG_POINTER(0), TARGET_ORGANIZATION));
}
