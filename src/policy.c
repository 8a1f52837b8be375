/*
 * policy.c
 *		What policies call: can_view, can_edit, can_write, can_reach, is_member,
 *		viewable_project(s), viewable_organization(s).
 *
 * One execution of a query sees one identity: a change of it under an open
 * cursor or in the middle of a statement is an error (execution.c).  Access
 * that is gained while a query runs opens nothing before the next one.  Access
 * that is lost is lost for each row that it inserts, for each row whose lock it
 * had to wait for, and, sooner or later, for what a sequential scan reads; an
 * index scan that has begun may finish.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "storage/proc.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "access.h"
#include "compat.h"
#include "execution.h"
#include "identity.h"

/*
 * How many rows a query may read before it looks whether access was lost: a
 * statement that has begun may finish, but not for hours.
 */
#define PATIENCE 1024

/* What one call site remembers between the rows of one execution. */
typedef struct PredicateState
{
	MemoryContextCallback release;	/* unpins what is below */
	LocalTransactionId lxid;
	uint64		epoch;			/* of the identity */
	Identity	who;
	AccessSet  *set;			/* when the execution began; pinned */
	const AccessMap *reach;		/* what it holds */
	AccessSet  *older;			/* under the query's snapshot, or NULL */
	AccessSet  *newer;			/* what has changed since, or NULL; pinned */
	const uint64 *clock;		/* of access */
	uint64		then;			/* what it showed when all this was true */
	bool		patient;		/* need not look at each row */
	int			patience;		/* rows left until the next look */
	Oid			minimumOid;		/* the level asked for last, */
	AccessLevel minimum;		/* and what it stands for */
	bool		repeated;		/* is there a last row? */
	pg_uuid_t	lastId;			/* tables come in runs of one project */
	AccessLevel lastLevel;
	TargetKind	lastKind;
	ArrayType  *list;			/* made last, or NULL */
	AccessLevel listMinimum;	/* and for that level */
} PredicateState;

PG_FUNCTION_INFO_V1(tenancy_can_view);
PG_FUNCTION_INFO_V1(tenancy_can_edit);
PG_FUNCTION_INFO_V1(tenancy_can_write);
PG_FUNCTION_INFO_V1(tenancy_can_reach);
PG_FUNCTION_INFO_V1(tenancy_is_member);
PG_FUNCTION_INFO_V1(tenancy_viewable_project);
PG_FUNCTION_INFO_V1(tenancy_viewable_organization);
PG_FUNCTION_INFO_V1(tenancy_viewable_projects);
PG_FUNCTION_INFO_V1(tenancy_viewable_organizations);

/*
 * Let go of the shared sets, at the end of the execution or by an error.  The
 * older one is ours and goes with the memory context.
 */
static void
releaseSets(void *arg)
{
	PredicateState *state = arg;

	if (state->set)
		AccessUnpin(state->set);
	if (state->newer)
		AccessUnpin(state->newer);
	state->set = state->newer = NULL;
}

/* Begin an execution: who asks, and what can they reach? */
static void
beginExecution(PredicateState *state, MemoryContext context)
{
	AccessSet  *set;
	MemoryContext previous;

	ExecutionRequireSameIdentity();
	releaseSets(state);
	if (state->older)
		AccessDiscard(state->older);
	state->older = NULL;
	state->repeated = false;
	state->list = NULL;
	state->patient = ExecutionOwns(context);
	state->lxid = MY_LXID;
	state->epoch = IdentityEpoch();
	IdentityRead(&state->who);

	/* the clock first: what arrives during the load must not be missed */
	state->clock = AccessClock();
	state->then = *state->clock;
	set = AccessCurrent(&state->who);
	AccessPin(set);
	state->set = set;
	state->reach = AccessReach(set);

	previous = MemoryContextSwitchTo(context);
	if (ActiveSnapshotSet())
		state->older = AccessAsOf(&state->who, set, GetActiveSnapshot());
	MemoryContextSwitchTo(previous);
}

/*
 * The identity has changed since the execution began.  A query's snapshot is
 * registered, so it is still the same one; an expression that PL/pgSQL
 * evaluates by itself begins anew each time.
 */
static void
identityChanged(PredicateState *state, MemoryContext context)
{
	Identity	who;

	IdentityRead(&who);
	if (state->lxid == MY_LXID &&
		memcmp(&who, &state->who, sizeof(who)) == 0)
	{
		state->epoch = IdentityEpoch();
		return;
	}
	if (state->lxid == MY_LXID && ActiveSnapshotSet() &&
		GetActiveSnapshot()->regd_count > 0)
		ExecutionRefuseIdentity();
	beginExecution(state, context);
}

/* Something has changed: from now on both the old and the new set must agree. */
static void
accessChanged(PredicateState *state)
{
	AccessSet  *newer;

	state->then = *state->clock;
	newer = AccessCurrent(&state->who);
	if (state->newer)
		AccessUnpin(state->newer);
	state->newer = NULL;
	if (newer != state->set)
	{
		AccessPin(newer);
		state->newer = newer;
	}
	state->repeated = false;
	state->list = NULL;
}

/* The state of this call site, ready for one row. */
static PredicateState *
prepare(FunctionCallInfo fcinfo)
{
	FmgrInfo   *call = fcinfo->flinfo;
	PredicateState *state = call->fn_extra;

	if (unlikely(state == NULL))
	{
		state = MemoryContextAllocZero(call->fn_mcxt, sizeof(PredicateState));
		state->release.func = releaseSets;
		state->release.arg = state;
		MemoryContextRegisterResetCallback(call->fn_mcxt, &state->release);
		beginExecution(state, call->fn_mcxt);
		call->fn_extra = state;
		return state;
	}
	if (unlikely(state->set == NULL || state->lxid != MY_LXID))
		beginExecution(state, call->fn_mcxt);
	else if (unlikely(state->epoch != IdentityEpoch()))
		identityChanged(state, call->fn_mcxt);

	/* what has arrived in a wait for a row's lock counts for that row */
	AcceptInvalidationMessages();
	state->patience = state->patient ? PATIENCE : 0;
	if (unlikely(state->then != *state->clock))
		accessChanged(state);
	return state;
}

/*
 * The state of a call site that is asked row by row, NULL if it needs to be
 * prepared: nothing that it knows has changed, and it is not yet time to look
 * for messages.
 */
static inline PredicateState *
unchanged(FunctionCallInfo fcinfo)
{
	PredicateState *state = fcinfo->flinfo->fn_extra;

	if (likely(state != NULL && --state->patience > 0 &&
			   state->then == *state->clock))
		return state;
	return NULL;
}

/* Level in one set, LEVEL_NONE when out of reach or of another kind. */
static inline AccessLevel
levelIn(const AccessMap *reach, const pg_uuid_t *id, TargetKind kind)
{
	AccessTarget target = AccessMapFind(reach, id);

	return target.kind == kind ? target.level : LEVEL_NONE;
}

/* Level of whoever asks, in a project or organization, narrowed or not. */
static pg_attribute_always_inline AccessLevel
reachedLevel(PredicateState *state, const pg_uuid_t *id, TargetKind kind)
{
	AccessLevel level;

	if (state->repeated && state->lastKind == kind &&
		memcmp(&state->lastId, id, UUID_LEN) == 0)
		return state->lastLevel;

	level = levelIn(state->reach, id, kind);
	if (level != LEVEL_NONE && state->older)
		level = Min(level, levelIn(AccessReach(state->older), id, kind));
	if (level != LEVEL_NONE && state->newer)
		level = Min(level, levelIn(AccessReach(state->newer), id, kind));
	state->lastId = *id;
	state->lastKind = kind;
	state->lastLevel = level;
	state->repeated = true;
	return level;
}

/* Level in a project, LEVEL_NONE in all but the current one if there is one. */
static pg_attribute_always_inline AccessLevel
levelOf(PredicateState *state, const pg_uuid_t *project)
{
	if (state->who.narrowed &&
		memcmp(&state->who.project, project, UUID_LEN) != 0)
		return LEVEL_NONE;
	return reachedLevel(state, project, TARGET_PROJECT);
}

/* The level in an argument; an unknown one is out of everybody's reach. */
static AccessLevel
minimumOf(PredicateState *state, Oid value)
{
	if (unlikely(state->minimumOid != value))
	{
		state->minimum = AccessLevelFromOid(value);
		state->minimumOid = value;
	}
	return state->minimum;
}

/*
 * tenancy_can_view -- may the current identity see rows of a project?
 *
 * tenancy.can_view(project uuid) → boolean.  False for NULL, for nobody, for
 * a project token; never an error that depends on the argument.
 */
Datum
tenancy_can_view(PG_FUNCTION_ARGS)
{
	PredicateState *state;

	if (PG_ARGISNULL(0))
		PG_RETURN_BOOL(false);
	state = unchanged(fcinfo);
	if (state == NULL)
		state = prepare(fcinfo);
	PG_RETURN_BOOL(levelOf(state, PG_GETARG_UUID_P(0)) >= LEVEL_MEMBER);
}

/*
 * tenancy_can_edit -- may the current identity change and delete rows?
 *
 * tenancy.can_edit(project uuid, minimum tenancy.access_level) → boolean.
 */
Datum
tenancy_can_edit(PG_FUNCTION_ARGS)
{
	PredicateState *state;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_BOOL(false);
	state = unchanged(fcinfo);
	if (state == NULL)
		state = prepare(fcinfo);
	PG_RETURN_BOOL(levelOf(state, PG_GETARG_UUID_P(0)) >=
				   minimumOf(state, PG_GETARG_OID(1)));
}

/* Is the identity a live token of this very project? */
static bool
isTokenOf(PredicateState *state, const pg_uuid_t *project)
{
	return state->who.kind == IDENTITY_TOKEN &&
		AccessHolds(state->set) &&
		(state->newer == NULL || AccessHolds(state->newer)) &&
		memcmp(&state->who.subject, project, UUID_LEN) == 0;
}

/*
 * tenancy_can_write -- may the current identity insert rows into a project?
 *
 * tenancy.can_write(project uuid, minimum tenancy.access_level) → boolean.
 * Also true for a live token of the project.
 */
Datum
tenancy_can_write(PG_FUNCTION_ARGS)
{
	PredicateState *state;
	pg_uuid_t  *project;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_BOOL(false);
	state = prepare(fcinfo);
	project = PG_GETARG_UUID_P(0);
	PG_RETURN_BOOL(isTokenOf(state, project) ||
				   levelOf(state, project) >=
				   minimumOf(state, PG_GETARG_OID(1)));
}

/*
 * tenancy_can_reach -- as can_view, whatever the current project is.
 *
 * tenancy.can_reach(project uuid) → boolean.  For lists of projects, from
 * which the current one is chosen.
 */
Datum
tenancy_can_reach(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_BOOL(false);
	PG_RETURN_BOOL(reachedLevel(prepare(fcinfo), PG_GETARG_UUID_P(0),
								TARGET_PROJECT) >= LEVEL_MEMBER);
}

/*
 * tenancy_is_member -- is the current user in an organization, at that level
 * or above?
 *
 * tenancy.is_member(organization uuid, minimum tenancy.access_level).
 */
Datum
tenancy_is_member(PG_FUNCTION_ARGS)
{
	PredicateState *state;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_BOOL(false);
	state = prepare(fcinfo);
	PG_RETURN_BOOL(reachedLevel(state, PG_GETARG_UUID_P(0), TARGET_ORGANIZATION) >=
				   minimumOf(state, PG_GETARG_OID(1)));
}

/*
 * tenancy_viewable_project -- the project itself, if can_view() is true for it.
 *
 * tenancy.viewable_project(project uuid) → uuid; NULL otherwise.  What the
 * planner puts into index conditions where a query asks for one project.
 */
Datum
tenancy_viewable_project(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0) ||
		levelOf(prepare(fcinfo), PG_GETARG_UUID_P(0)) < LEVEL_MEMBER)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}

/*
 * tenancy_viewable_organization -- the same for is_member().
 *
 * tenancy.viewable_organization(organization uuid, minimum
 * tenancy.access_level) → uuid.
 */
Datum
tenancy_viewable_organization(PG_FUNCTION_ARGS)
{
	PredicateState *state;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	state = prepare(fcinfo);
	if (reachedLevel(state, PG_GETARG_UUID_P(0), TARGET_ORGANIZATION) <
		minimumOf(state, PG_GETARG_OID(1)))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}

/*
 * The ids in a sorted array that are reached under every set that counts;
 * shortens the array in place.
 */
static ArrayType *
keepReached(PredicateState *state, ArrayType *array, TargetKind kind,
			AccessLevel minimum)
{
	pg_uuid_t  *ids = (pg_uuid_t *) ARR_DATA_PTR(array);
	int			n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	int			kept = 0;

	for (int i = 0; i < n; i++)
		if (reachedLevel(state, &ids[i], kind) >= minimum)
			ids[kept++] = ids[i];
	if (kept == 0)
		return construct_empty_array(UUIDOID);
	ARR_DIMS(array)[0] = kept;
	SET_VARSIZE(array, ARR_OVERHEAD_NONULLS(1) + kept * UUID_LEN);
	return array;
}

/* All that can be reached, or the current project if that is one of them. */
static ArrayType *
makeList(PredicateState *state, TargetKind kind, AccessLevel minimum)
{
	ArrayType  *list;
	Datum		current = UUIDPGetDatum(&state->who.project);

	if (kind == TARGET_PROJECT && state->who.narrowed)
		return reachedLevel(state, &state->who.project, kind) >= minimum ?
			construct_array(&current, 1, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR) :
			construct_empty_array(UUIDOID);
	list = AccessMapList(state->reach, kind, minimum, INT_MAX);
	return state->older || state->newer ?
		keepReached(state, list, kind, minimum) : list;
}

/*
 * The list of this call site, made anew when something has changed.  It lives
 * as long as the call site: an index scan holds pointers into it, and one that
 * is started once for each row of another table asks each time.
 */
static Datum
answerList(FunctionCallInfo fcinfo, TargetKind kind, Oid minimumOid)
{
	PredicateState *state = prepare(fcinfo);
	AccessLevel minimum = OidIsValid(minimumOid) ?
		minimumOf(state, minimumOid) : LEVEL_MEMBER;

	if (state->list == NULL || state->listMinimum != minimum)
	{
		MemoryContext previous = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

		state->list = makeList(state, kind, minimum);
		state->listMinimum = minimum;
		MemoryContextSwitchTo(previous);
	}
	PG_RETURN_ARRAYTYPE_P(state->list);
}

/*
 * tenancy_viewable_projects -- the projects that can_view() is true for.
 *
 * tenancy.viewable_projects() → uuid[], sorted, never NULL.  What the planner
 * puts into index conditions in place of can_view(), so it answers by the
 * same rules.
 */
Datum
tenancy_viewable_projects(PG_FUNCTION_ARGS)
{
	return answerList(fcinfo, TARGET_PROJECT, InvalidOid);
}

/*
 * tenancy_viewable_organizations -- the same for is_member().
 *
 * tenancy.viewable_organizations(minimum tenancy.access_level) → uuid[].
 */
Datum
tenancy_viewable_organizations(PG_FUNCTION_ARGS)
{
	return answerList(fcinfo, TARGET_ORGANIZATION, PG_GETARG_OID(0));
}
