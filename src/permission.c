/*
 * permission.c
 *		The permission matrix; can and require, which all commands call.
 */
#include "postgres.h"

#include "catalog/pg_enum.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

#include "access.h"
#include "compat.h"
#include "identity.h"

/* One row of the matrix: who may do it, by level in the organization. */
typedef struct Permission
{
	const char *name;
	TargetKind	target;			/* what the permission is about */
	bool		member;
	bool		administrator;
	bool		owner;
	bool		projectAdministrator;	/* of a private project */
} Permission;

static const Permission matrix[] =
{
	{"project.view", TARGET_PROJECT, true, true, true, true},
	{"project.create", TARGET_ORGANIZATION, false, true, true, false},
	{"project.delete", TARGET_PROJECT, false, true, true, true},
	{"project.manage", TARGET_PROJECT, false, true, true, true},
	{"project.set_privacy", TARGET_PROJECT, false, true, true, false},
	{"member.invite", TARGET_ORGANIZATION, true, true, true, false},
	{"billing.manage", TARGET_ORGANIZATION, true, true, true, false},
	{"organization.manage", TARGET_ORGANIZATION, false, true, true, false},
	{"organization.leave", TARGET_ORGANIZATION, true, true, false, false},
	{"organization.transfer", TARGET_ORGANIZATION, false, false, true, false},
	{"organization.delete", TARGET_ORGANIZATION, false, false, true, false},
};

PG_FUNCTION_INFO_V1(tenancy_can);
PG_FUNCTION_INFO_V1(tenancy_require);
PG_FUNCTION_INFO_V1(tenancy_level_in);
PG_FUNCTION_INFO_V1(tenancy_is_permitted);
PG_FUNCTION_INFO_V1(tenancy_permission_matrix);

/* The row of a permission; the enum and the matrix name the same ones. */
static const Permission *
findPermission(Oid value)
{
	HeapTuple	tuple = SearchSysCache1(ENUMOID, ObjectIdGetDatum(value));
	const Permission *found = NULL;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for enum value %u", value);
	for (int i = 0; i < lengthof(matrix); i++)
		if (strcmp(matrix[i].name,
				   NameStr(((Form_pg_enum) GETSTRUCT(tuple))->enumlabel)) == 0)
			found = &matrix[i];
	ReleaseSysCache(tuple);
	if (found == NULL)
		elog(ERROR, "permission %u is not in the matrix", value);
	return found;
}

/* The same, which the call site remembers. */
static const Permission *
askedPermission(FunctionCallInfo fcinfo)
{
	typedef struct Asked
	{
		Oid			value;
		const Permission *permission;
	} Asked;
	Asked	   *asked = fcinfo->flinfo->fn_extra;

	if (asked == NULL)
		asked = fcinfo->flinfo->fn_extra =
			MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(Asked));
	if (asked->value != PG_GETARG_OID(0))
	{
		asked->permission = findPermission(PG_GETARG_OID(0));
		asked->value = PG_GETARG_OID(0);
	}
	return asked->permission;
}

/* A login role that is bound to a user sees and writes rows, and no more. */
static bool
isOpenTo(const Permission *permission, const Identity *who)
{
	return who->kind != IDENTITY_ROLE || strcmp(permission->name, "project.view") == 0;
}

/* The rule itself. */
static bool
isPermitted(const Permission *permission, AccessTarget target)
{
	switch ((AccessLevel) target.organizationLevel)
	{
		case LEVEL_OWNER:
			return permission->owner;
		case LEVEL_ADMINISTRATOR:
			return permission->administrator;
		case LEVEL_MEMBER:
			return permission->member ||
				(permission->projectAdministrator &&
				 target.level >= LEVEL_ADMINISTRATOR);
		case LEVEL_NONE:
		case LEVEL_NOBODY_HAS:
			break;
	}
	return false;
}

/* The target as the current user reaches it, of kind TARGET_NONE if not at all. */
static AccessTarget
reach(const AccessSet *set, const Permission *permission, const pg_uuid_t *id)
{
	AccessTarget target = AccessMapFind(AccessReach(set), id);

	return target.kind == permission->target ? target : (AccessTarget) {TARGET_NONE};
}

/*
 * tenancy_can -- is the current user permitted to do something?
 *
 * tenancy.can(permission tenancy.permission, target uuid) → boolean.  The
 * target is the organization or project that the permission is about.  False
 * for NULL, for an unknown or hidden target, and for nobody.
 */
Datum
tenancy_can(PG_FUNCTION_ARGS)
{
	const Permission *permission;
	AccessTarget target;
	Identity	who;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_BOOL(false);
	permission = askedPermission(fcinfo);
	IdentityRead(&who);
	target = reach(AccessCurrent(&who), permission, PG_GETARG_UUID_P(1));
	PG_RETURN_BOOL(target.kind != TARGET_NONE &&
				   isOpenTo(permission, &who) && isPermitted(permission, target));
}

/*
 * tenancy_require -- raise unless the current user is permitted.
 *
 * tenancy.require(permission tenancy.permission, target uuid).  28000 when
 * nobody is signed in, P0002 for an unknown or hidden target (the same words
 * for both), 42501 for a visible one without the permission.
 */
Datum
tenancy_require(PG_FUNCTION_ARGS)
{
	const Permission *permission;
	AccessTarget target = {TARGET_NONE};
	const char *kind;
	AccessSet  *set;
	Identity	who;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("permission must not be null")));
	permission = askedPermission(fcinfo);
	kind = permission->target == TARGET_PROJECT ? "project" : "organization";

	IdentityRead(&who);
	set = AccessCurrent(&who);
	if (who.kind == IDENTITY_NOBODY || who.kind == IDENTITY_TOKEN ||
		!AccessHolds(set))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("nobody is signed in")));
	if (!PG_ARGISNULL(1))
		target = reach(set, permission, PG_GETARG_UUID_P(1));
	if (target.kind == TARGET_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("%s does not exist", kind)));
	if (!isOpenTo(permission, &who))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for %s", kind),
				 errdetail("A login role that is bound to a user runs no commands."),
				 errhint("Sign in.")));
	if (!isPermitted(permission, target))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for %s", kind),
				 errdetail("Permission \"%s\" is required.", permission->name)));
	PG_RETURN_VOID();
}

/*
 * tenancy_level_in -- effective level of the current user.
 *
 * tenancy.level_in(target uuid) → tenancy.access_level; NULL for an unknown
 * or hidden organization or project, and for nobody.
 */
Datum
tenancy_level_in(PG_FUNCTION_ARGS)
{
	AccessTarget target;
	Identity	who;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	IdentityRead(&who);
	target = AccessMapFind(AccessReach(AccessCurrent(&who)), PG_GETARG_UUID_P(0));
	if (target.kind == TARGET_NONE)
		PG_RETURN_NULL();
	return AccessLevelToDatum(target.level, get_fn_expr_rettype(fcinfo->flinfo));
}

/*
 * tenancy_is_permitted -- what the rule says of levels that somebody might have.
 *
 * tenancy._is_permitted(permission tenancy.permission, level
 * tenancy.access_level, organization_level tenancy.access_level) → boolean.
 */
Datum
tenancy_is_permitted(PG_FUNCTION_ARGS)
{
	const Permission *permission = askedPermission(fcinfo);
	AccessTarget target = {
		.kind = permission->target,
		.level = AccessLevelFromOid(PG_GETARG_OID(1)),
		.organizationLevel = AccessLevelFromOid(PG_GETARG_OID(2))
	};

	PG_RETURN_BOOL(isPermitted(permission, target));
}

/*
 * tenancy_permission_matrix -- the matrix as rows.
 *
 * Behind the view tenancy.permission_matrix.
 */
Datum
tenancy_permission_matrix(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < lengthof(matrix); i++)
	{
		Datum		values[6];
		bool		nulls[6] = {false};

		values[0] = CStringGetTextDatum(matrix[i].name);
		values[1] = CStringGetTextDatum(matrix[i].target == TARGET_PROJECT ?
										"project" : "organization");
		values[2] = BoolGetDatum(matrix[i].member);
		values[3] = BoolGetDatum(matrix[i].administrator);
		values[4] = BoolGetDatum(matrix[i].owner);
		values[5] = BoolGetDatum(matrix[i].projectAdministrator);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
