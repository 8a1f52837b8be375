/*
 * planner.c
 *		The predicates of policy.c as the planner sees them.
 *
 * can_view(c) is c = ANY (viewable_projects()), which an index answers, or
 * c = viewable_project(p) where the query asks for one project p; can_edit(c,
 * level) implies it.  The index condition depends on the query and on catalogs
 * only, never on who is acting: a generic plan is reused by the next identity.
 * The estimates may depend on it, since they change speed only.
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
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "nodes/supportnodes.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/restrictinfo.h"
#include "parser/parse_func.h"
#include "utils/index_selfuncs.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"

#include "access.h"
#include "compat.h"
#include "estimate.h"
#include "identity.h"

/* Ids that stand for all in the cost of an index scan. */
#define SAMPLE	10

PG_FUNCTION_INFO_V1(tenancy_project_support);
PG_FUNCTION_INFO_V1(tenancy_organization_support);
PG_FUNCTION_INFO_V1(tenancy_write_support);

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

/* A call of one of the functions that answer by the rules of the predicates. */
static Expr *
makeCall(const char *name, Oid resultType, List *args)
{
	Oid			types[2];
	Oid			function;
	ListCell   *cell;

	foreach(cell, args)
		types[foreach_current_index(cell)] = exprType(lfirst(cell));
	function = LookupFuncName(list_make2(makeString("tenancy"), makeString(pstrdup(name))),
							  list_length(args), types, true);
	if (!OidIsValid(function))
		return NULL;
	return (Expr *) makeFuncExpr(function, resultType, args,
								 InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
}

/* column = ANY (list) */
static Expr *
makeMembership(Oid operator, Node *column, Expr *list)
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

/* column = value */
static Expr *
makeEquality(Oid operator, Node *column, Expr *value)
{
	OpExpr	   *condition = (OpExpr *)
		make_opclause(operator, BOOLOID, false, (Expr *) copyObject(column), value,
					  InvalidOid, InvalidOid);

	set_opfuncid(condition);
	return (Expr *) condition;
}

/*
 * The predicate as an index condition: the one id that the query names, if it
 * can be viewed, or all that can.
 */
static Expr *
makeCondition(PlannerInfo *root, const FuncExpr *call, TargetKind kind, Oid operator)
{
	Node	   *column = linitial(call->args);
	Node	   *named = EstimateNamed(root, column);
	List	   *minimum = kind == TARGET_ORGANIZATION ?
		list_make1(copyObject(lsecond(call->args))) : NIL;
	Expr	   *answer;

	if (named != NULL && exprType(named) == UUIDOID)
	{
		answer = makeCall(kind == TARGET_PROJECT ? "viewable_project" : "viewable_organization",
						  UUIDOID, lcons(copyObject(named), minimum));
		return answer == NULL ? NULL : makeEquality(operator, column, answer);
	}
	answer = makeCall(kind == TARGET_PROJECT ? "viewable_projects" : "viewable_organizations",
					  UUIDARRAYOID, minimum);
	return answer == NULL ? NULL : makeMembership(operator, column, answer);
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

/* The condition that was made from the predicate. */
static Expr *
conditionOf(const IndexClause *clause)
{
	return linitial_node(RestrictInfo, clause->indexquals)->clause;
}

/*
 * Leave one condition of ours, the one that asks for most, and no list where
 * the query itself asks for certain values: an index would be searched once for
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
	if (best != NULL && equality && IsA(conditionOf(best), ScalarArrayOpExpr))
		best = NULL;
	path->indexclauses = best != NULL ? lcons(best, others) : others;
	return best != NULL && isOurs(best, kind) ? best : NULL;
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

/*
 * The clause with a sample in place of the call that makes the list, and how
 * many times more rows all of them have.
 */
static IndexClause *
withSample(PlannerInfo *root, const IndexPath *path, const IndexClause *clause,
		   TargetKind kind, double *scale)
{
	const FuncExpr *call = (const FuncExpr *) clause->rinfo->clause;
	AccessLevel minimum = Max(minimumOf(call), LEVEL_MEMBER);
	ScalarArrayOpExpr *condition = (ScalarArrayOpExpr *) conditionOf(clause);
	IndexClause *sampled = makeNode(IndexClause);
	RestrictInfo *restriction;

	restriction = make_simple_restrictinfo(root,
										   makeMembership(condition->opno, linitial(condition->args),
														  (Expr *) makeSample(kind, minimum)));
	*sampled = *clause;
	sampled->indexquals = list_make1(restriction);
	*scale = EstimateReached(root, linitial(call->args),
							 (int) path->indexinfo->rel->relid, kind, minimum) /
		Max(clause_selectivity(root, (Node *) restriction, 0, JOIN_INNER, NULL), 1e-10);
	return sampled;
}

/*
 * The access method's own estimate, for a sample that is scaled to all: to look
 * up 10,000 ids in the statistics one by one would take longer than many a
 * query.  A named id is in the query's own condition already.
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
	List	   *others;
	double		scale = 1;

	if (ours != NULL)
	{
		others = list_copy_tail(clauses, 1);
		if (IsA(conditionOf(ours), ScalarArrayOpExpr))
			others = lcons(withSample(root, path, ours, kind, &scale), others);
		path->indexclauses = others;
	}
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
 * The predicate's index condition, if the index leads with its first argument.
 * A list for a later column would disturb the order that the planner expects.
 */
static Node *
indexCondition(SupportRequestIndexCondition *request, TargetKind kind)
{
	FuncExpr   *call = (FuncExpr *) request->node;
	Expr	   *condition;
	Oid			operator;

	if (!IsA(call, FuncExpr) || request->indexarg != 0 || request->indexcol != 0 ||
		exprType(linitial(call->args)) != UUIDOID)
		return NULL;
	if (kind == TARGET_ORGANIZATION &&
		(list_length(call->args) < 2 || minimumOf(call) == LEVEL_NONE))
		return NULL;
	operator = get_opfamily_member(request->opfamily, UUIDOID, UUIDOID,
								   request->index->relam == HASH_AM_OID ?
								   HTEqualStrategyNumber : BTEqualStrategyNumber);
	if (!OidIsValid(operator))
		return NULL;
	condition = makeCondition(request->root, call, kind, operator);
	if (condition == NULL || !adoptIndex(request->index))
		return NULL;

	/* the answer about projects is one for all levels */
	request->lossy = kind == TARGET_PROJECT && minimumOf(call) != LEVEL_MEMBER;
	return (Node *) list_make1(condition);
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
			EstimateReached(request->root, linitial(request->args), request->varRelid,
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

/*
 * tenancy_write_support -- planner support of can_write: none.
 *
 * A statement that only inserts calls nothing else of ours before it starts, and
 * the planner's question has the library loaded by then.
 */
Datum
tenancy_write_support(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(NULL);
}

/* tenancy_organization_support -- planner support of is_member. */
Datum
tenancy_organization_support(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(support((Node *) PG_GETARG_POINTER(0), TARGET_ORGANIZATION));
}
