/*
 * planner.c
 *		The predicates of policy.c as the planner sees them.
 *
 * can_view(c) is c = ANY (viewable_projects()), which an index answers, and
 * can_edit(c, level) implies it.  The index condition depends on catalogs only,
 * never on who is acting: a generic plan is reused by the next identity.  The
 * estimate may depend on it, since it changes speed only.
 *
 * Rows that an exact condition finds are not checked again.  That is right
 * because one execution sees one identity (identity.c), because the list is
 * made by the rules of the predicate, and because a row that changed while
 * its lock was waited for is checked against a new list.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "catalog/pg_am.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "parser/parse_func.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"

#include "access.h"
#include "compat.h"
#include "identity.h"

PG_FUNCTION_INFO_V1(tenancy_project_support);
PG_FUNCTION_INFO_V1(tenancy_organization_support);

/* The call tenancy.viewable_projects() or viewable_organizations(minimum). */
static Expr *
makeListCall(TargetKind kind, Node *minimum)
{
	Oid			types[1];
	List	   *args = NIL;
	Oid			function;

	if (kind == TARGET_ORGANIZATION)
	{
		types[0] = exprType(minimum);
		args = list_make1(copyObject(minimum));
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

/*
 * Is the predicate no more than membership in the list?  can_edit() of more
 * than Members is.
 */
static bool
isExact(const FuncExpr *call, TargetKind kind)
{
	const Const *minimum;

	if (kind == TARGET_ORGANIZATION || list_length(call->args) < 2)
		return true;
	minimum = lsecond(call->args);
	return IsA(minimum, Const) && !minimum->constisnull &&
		AccessLevelFromOid(DatumGetObjectId(minimum->constvalue)) == LEVEL_MEMBER;
}

/*
 * column = ANY (viewable_…()), if the index can search for an array and its
 * column is the predicate's first argument.
 */
static Node *
indexCondition(SupportRequestIndexCondition *request, TargetKind kind)
{
	FuncExpr   *call = (FuncExpr *) request->node;
	ScalarArrayOpExpr *condition;
	Expr	   *list;
	Node	   *column;
	Oid			operator;

	if (!IsA(call, FuncExpr) || request->indexarg != 0 ||
		!request->index->amsearcharray)
		return NULL;
	column = linitial(call->args);
	if (exprType(column) != UUIDOID)
		return NULL;
	operator = get_opfamily_member(request->opfamily, UUIDOID, UUIDOID,
								   BTEqualStrategyNumber);
	if (!OidIsValid(operator) || request->index->relam != BTREE_AM_OID)
		return NULL;
	if (kind == TARGET_ORGANIZATION &&
		(list_length(call->args) < 2 || !IsA(lsecond(call->args), Const) ||
		 lsecond_node(Const, call->args)->constisnull))
		return NULL;
	list = makeListCall(kind, kind == TARGET_ORGANIZATION ? lsecond(call->args) : NULL);
	if (list == NULL)
		return NULL;

	condition = makeNode(ScalarArrayOpExpr);
	condition->opno = operator;
	condition->opfuncid = get_opcode(operator);
	condition->useOr = true;
	condition->inputcollid = InvalidOid;
	condition->args = list_make2(copyObject(column), list);
	condition->location = -1;
	request->lossy = !isExact(call, kind);
	return (Node *) list_make1(condition);
}

/* The part of the table that belongs to what the identity can reach. */
static double
selectivity(SupportRequestSelectivity *request, TargetKind kind)
{
	VariableStatData column;
	Identity	who;
	double		distinct;
	bool		isdefault;

	IdentityRead(&who);
	examine_variable(request->root, linitial(request->args),
					 request->varRelid, &column);
	distinct = get_variable_numdistinct(&column, &isdefault);
	ReleaseVariableStats(column);
	return (who.narrowed && kind == TARGET_PROJECT ? 1.0 :
			AccessCount(AccessCurrent(&who), kind)) / Max(distinct, 1.0);
}

static Node *
support(Node *node, TargetKind kind)
{
	if (IsA(node, SupportRequestIndexCondition))
		return indexCondition((SupportRequestIndexCondition *) node, kind);
	if (IsA(node, SupportRequestSelectivity))
	{
		SupportRequestSelectivity *request = (SupportRequestSelectivity *) node;

		if (request->is_join || request->args == NIL)
			return NULL;
		request->selectivity = selectivity(request, kind);
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
