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
	fraction = EstimateReached(root, linitial(((FuncExpr *) ours->rinfo->clause)->args),
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

/* tenancy_organization_support -- planner support of is_member. */
Datum
tenancy_organization_support(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(support((Node *) PG_GETARG_POINTER(0), TARGET_ORGANIZATION));
}
