/*
 * access.c
 *		The access set of an identity: load, keep, drop.
 *
 * The only file that knows how a set looks.  Sets of the last identities are
 * kept in a hash table, least recently used goes.  What keeps them right:
 *
 * - A set is built aside, in its own memory context, and enters the table in
 *	 the last step; an error, a cancel or a timeout leaves nothing behind.
 * - Whatever is announced while a set is being loaded makes it stale at once.
 * - A set is loaded with the newest snapshot, never with the statement's.
 * - A set that somebody has pinned is not freed.
 * - A doubtful set answers "no access".
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "access.h"
#include "commit.h"
#include "compat.h"
#include "invalidation.h"
#include "privileged.h"

struct AccessSet
{
	MemoryContext context;		/* holds all of this */
	int			pins;			/* running queries that look at it */
	bool		dropped;		/* out of the table: free at the last unpin */
	bool		holds;			/* the identity's claim is true */
	bool		bound;			/* a login role for which there is a binding */
	pg_uuid_t	user;			/* who acts, or zeros */
	bool		narrowed;		/* by the binding, to one project */
	pg_uuid_t	project;		/* that project, or zeros */
	pg_uuid_t	organization;	/* and the one it is in */
	uint64		roles;			/* InvalidationOfRoles() when it was found to hold */
	TimestampTz expires;		/* end of the session, or infinity */
	TransactionId xmax;			/* of the snapshot that it was loaded with */
	int			nrunning;		/* transactions that it saw running, sorted */
	TransactionId *running;
	int			nkeys;
	uint32	   *keys;			/* sorted: messages that concern this set */
	AccessMap	reach;
};

/* An identity without its current project, which narrows but loads nothing. */
typedef struct EntryKey
{
	IdentityKind kind;
	pg_uuid_t	subject;
	pg_uuid_t	credential;
} EntryKey;

typedef struct Entry
{
	EntryKey	key;			/* must be first */
	AccessSet  *set;			/* NULL until the first load has succeeded */
	bool		stale;			/* the set, if there is one */
	dlist_node	used;			/* in order of last use */
} Entry;

/* Keys that arrived lately, to be compared with a set that was being loaded. */
#define RECENT 64
static uint32 recent[RECENT];
static uint64 arrived = 0;

static MemoryContext cacheContext = NULL;
static HTAB *entries = NULL;
static dlist_head usage = DLIST_STATIC_INIT(usage);
static uint64 ticks = 1;		/* see AccessClock() */
static Size cached = 0;			/* bytes in sets of the table */
static int	cacheSize = 8192;	/* setting, in kB */
static AccessCounters counters;

static SPIPlanPtr accessPlan = NULL;
static SPIPlanPtr narrowedPlan = NULL;
static SPIPlanPtr bindingPlan = NULL;
static SPIPlanPtr userPlan = NULL;
static SPIPlanPtr sessionPlan = NULL;
static SPIPlanPtr tokenPlan = NULL;

PG_FUNCTION_INFO_V1(tenancy_current_user_id);
PG_FUNCTION_INFO_V1(tenancy_current_project_id);
PG_FUNCTION_INFO_V1(tenancy_acts_by_binding);

/* ---- what a set answers ---- */

bool
AccessHolds(const AccessSet *set)
{
	return set->holds;
}

bool
AccessIsBound(const AccessSet *set)
{
	return set->bound;
}

const AccessMap *
AccessReach(const AccessSet *set)
{
	return &set->reach;
}

/* ---- building a set ---- */

static int
compareKeys(const void *a, const void *b)
{
	uint32		x = *(const uint32 *) a;
	uint32		y = *(const uint32 *) b;

	return x < y ? -1 : x > y ? 1 : 0;
}

/* The messages that concern a set: its subject, credential, user, organizations. */
static void
collectKeys(AccessSet *set, const EntryKey *who)
{
	int			norganizations = set->reach.count[TARGET_ORGANIZATION][LEVEL_NONE];

	set->keys = MemoryContextAlloc(set->context,
								   (norganizations + 4) * sizeof(uint32));
	set->keys[set->nkeys++] = InvalidationKey(&who->subject);
	set->keys[set->nkeys++] = InvalidationKey(&who->credential);
	if (set->bound)
	{
		set->keys[set->nkeys++] = InvalidationKey(&set->user);
		set->keys[set->nkeys++] = InvalidationKey(&set->organization);
	}
	for (int i = 0; i < norganizations; i++)
		set->keys[set->nkeys++] = InvalidationKey(&set->reach.ids[set->reach.order[i]]);
	qsort(set->keys, set->nkeys, sizeof(uint32), compareKeys);
}

static bool
concerns(const AccessSet *set, uint32 key)
{
	return key == INVALIDATE_ALL ||
		bsearch(&key, set->keys, set->nkeys, sizeof(uint32), compareKeys) != NULL;
}

/* Copy an id out of a row, unless it is NULL. */
static bool
copyId(pg_uuid_t *id, HeapTuple row, int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(row, SPI_tuptable->tupdesc, column, &isnull);

	if (!isnull)
		*id = *DatumGetUUIDP(value);
	return !isnull;
}

/*
 * Does any binding name the login role?  Most are named by none, so it is asked
 * without a query, and also where the library does not fit the tables: whoever
 * restores, checks or updates these is nobody, and must be let through.  What is
 * not found here, the load complains of.
 */
static bool
isNamedInBinding(Oid role)
{
	Oid			schema = get_namespace_oid("tenancy", true);
	Oid			table = get_relname_relid("role_bindings", schema);
	Oid			index = get_relname_relid("role_bindings_role_oid_key", schema);
	AttrNumber	column = OidIsValid(table) ? get_attnum(table, "role_oid") : InvalidAttrNumber;
	Relation	rel;
	ScanKeyData key;
	SysScanDesc scan;
	bool		found;

	if (column == InvalidAttrNumber || !OidIsValid(index))
		return true;
	rel = table_open(table, AccessShareLock);
	ScanKeyInit(&key, column, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(role));
	scan = systable_beginscan(rel, index, true, NULL, 1, &key);
	found = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(rel, NoLock);
	return found;
}

/*
 * Whom is a login role bound to, as of a snapshot, and does that hold?  Only the
 * newest state tells the latter.
 */
static void
readBinding(AccessSet *set, const EntryKey *who, Snapshot snapshot)
{
	Oid			type = OIDOID;
	Datum		value = ObjectIdGetDatum(RoleOfId(&who->subject));
	HeapTuple	row;
	bool		isnull;

	set->roles = InvalidationOfRoles();
	PrivilegedSelect(&bindingPlan,
					 "SELECT b.user_id, b.project_id, p.organization_id, b.problem IS NULL"
					 " FROM tenancy.bound_roles b"
					 " LEFT JOIN tenancy.projects p ON p.id OPERATOR(pg_catalog.=) b.project_id"
					 " WHERE b.role_oid OPERATOR(pg_catalog.=) $1",
					 1, &type, &value, snapshot);
	if (SPI_processed != 1)
		return;
	row = SPI_tuptable->vals[0];
	copyId(&set->user, row, 1);
	set->narrowed = copyId(&set->project, row, 2);
	copyId(&set->organization, row, 3);
	set->bound = true;
	set->holds = DatumGetBool(SPI_getbinval(row, SPI_tuptable->tupdesc, 4, &isnull));
}

/* Is the claim true?  Asks the newest state, and sets the end of a session. */
static void
verifyClaim(AccessSet *set, const EntryKey *who)
{
	Oid			types[2] = {UUIDOID, UUIDOID};
	Datum		values[2] = {UUIDPGetDatum(&who->subject), UUIDPGetDatum(&who->credential)};
	bool		isnull;
	Datum		expires;

	if (who->kind == IDENTITY_USER)
		PrivilegedSelect(&userPlan,
						 "SELECT 'infinity'::pg_catalog.timestamptz FROM tenancy.users u"
						 " WHERE u.id OPERATOR(pg_catalog.=) $1 AND u.is_active",
						 1, types, values, InvalidSnapshot);
	else if (who->kind == IDENTITY_SESSION)
		PrivilegedSelect(&sessionPlan,
						 "SELECT s.expires_at FROM tenancy.sessions s"
						 " JOIN tenancy.users u ON u.id OPERATOR(pg_catalog.=) s.user_id"
						 " WHERE s.user_id OPERATOR(pg_catalog.=) $1"
						 " AND s.id OPERATOR(pg_catalog.=) $2"
						 " AND s.revoked_at IS NULL AND u.is_active"
						 " AND s.expires_at OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp()",
						 2, types, values, InvalidSnapshot);
	else
		PrivilegedSelect(&tokenPlan,
						 "SELECT 'infinity'::pg_catalog.timestamptz FROM tenancy.project_tokens t"
						 " WHERE t.project_id OPERATOR(pg_catalog.=) $1"
						 " AND t.id OPERATOR(pg_catalog.=) $2 AND t.revoked_at IS NULL",
						 2, types, values, InvalidSnapshot);
	if (SPI_processed != 1)
		return;
	expires = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	set->holds = !isnull;
	set->expires = isnull ? DT_NOBEGIN : DatumGetTimestampTz(expires);
}

/* Top-level transactions that a snapshot takes for running. */
static const TransactionId *
runningIn(Snapshot snapshot, int *n)
{
	/* in recovery all of them are kept in the other array */
	*n = snapshot->takenDuringRecovery ? snapshot->subxcnt : (int) snapshot->xcnt;
	return snapshot->takenDuringRecovery ? snapshot->subxip : snapshot->xip;
}

/* Remember which transactions had finished when the set was loaded. */
static void
noteSnapshot(AccessSet *set, Snapshot snapshot)
{
	const TransactionId *running = runningIn(snapshot, &set->nrunning);

	set->xmax = snapshot->xmax;
	set->running = MemoryContextAlloc(set->context,
									  (set->nrunning + 1) * sizeof(TransactionId));
	/* a snapshot without any has no array */
	if (set->nrunning > 0)
		memcpy(set->running, running, set->nrunning * sizeof(TransactionId));
	qsort(set->running, set->nrunning, sizeof(TransactionId), compareKeys);
}

/*
 * Does the snapshot see every transaction that the set has seen?  If in doubt,
 * no: that costs a load.
 */
static bool
isAsNewAs(Snapshot snapshot, const AccessSet *set)
{
	const TransactionId *running;
	int			n;

	if (TransactionIdFollowsOrEquals(snapshot->xmin, set->xmax))
		return true;
	if (TransactionIdPrecedes(snapshot->xmax, set->xmax) ||
		(snapshot->takenDuringRecovery && snapshot->suboverflowed))
		return false;
	running = runningIn(snapshot, &n);
	for (int i = 0; i < n; i++)
		if (TransactionIdPrecedes(running[i], set->xmax) &&
			bsearch(&running[i], set->running, set->nrunning,
					sizeof(TransactionId), compareKeys) == NULL)
			return false;
	return true;
}

/* Take over the rows of tenancy.access that a query has found. */
static void
fillReach(AccessSet *set)
{
	TupleDesc	desc = SPI_tuptable->tupdesc;
	MemoryContext previous = MemoryContextSwitchTo(set->context);

	AccessMapBegin(&set->reach, SPI_processed);
	MemoryContextSwitchTo(previous);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		AccessTarget target;
		Datum		id;
		bool		isnull;

		id = SPI_getbinval(row, desc, 2, &isnull);
		target.kind = isnull ? TARGET_ORGANIZATION : TARGET_PROJECT;
		if (isnull)
			id = SPI_getbinval(row, desc, 1, &isnull);
		target.level = AccessLevelFromName(SPI_getvalue(row, desc, 3));
		target.organizationLevel = AccessLevelFromName(SPI_getvalue(row, desc, 4));
		AccessMapAdd(&set->reach, DatumGetUUIDP(id), target);
	}
	AccessMapFinish(&set->reach);
}

/* Fill a set from the view tenancy.access, as of a snapshot. */
static void
readAccess(AccessSet *set, const EntryKey *who, Snapshot snapshot)
{
	Oid			types[2] = {UUIDOID, UUIDOID};
	Datum		values[2] = {UUIDPGetDatum(&set->user), UUIDPGetDatum(&set->project)};

	snapshot = RegisterSnapshot(snapshot != InvalidSnapshot ? snapshot :
								GetCatalogSnapshot(InvalidOid));
	noteSnapshot(set, snapshot);
	if (!set->narrowed)
		PrivilegedSelect(&accessPlan,
						 "SELECT a.organization_id, a.project_id, a.level::pg_catalog.text,"
						 " a.organization_level::pg_catalog.text"
						 " FROM tenancy.access a"
						 " WHERE a.user_id OPERATOR(pg_catalog.=) $1",
						 1, types, values, snapshot);
	else
		PrivilegedSelect(&narrowedPlan,
						 "SELECT a.organization_id, a.project_id, a.level::pg_catalog.text,"
						 " a.organization_level::pg_catalog.text"
						 " FROM tenancy.projects p"
						 " JOIN tenancy.access a ON a.organization_id OPERATOR(pg_catalog.=) p.organization_id"
						 " WHERE p.id OPERATOR(pg_catalog.=) $2"
						 " AND a.user_id OPERATOR(pg_catalog.=) $1"
						 " AND (a.project_id IS NULL OR a.project_id OPERATOR(pg_catalog.=) p.id)",
						 2, types, values, snapshot);
	UnregisterSnapshot(snapshot);
	fillReach(set);
}

/* Nothing can be reached. */
static void
fillNothing(AccessSet *set)
{
	MemoryContext previous = MemoryContextSwitchTo(set->context);

	AccessMapBegin(&set->reach, 0);
	MemoryContextSwitchTo(previous);
}

/*
 * Load the set of an identity as of a snapshot, or the newest committed state
 * for InvalidSnapshot.  The result belongs to the caller's memory context
 * until it is published.
 */
static AccessSet *
loadSet(const EntryKey *who, Snapshot snapshot)
{
	MemoryContext context;
	AccessSet  *set;
	PrivilegedState state;

	context = AllocSetContextCreate(CurrentMemoryContext,
									"tenancy access set", ALLOCSET_SMALL_SIZES);
	set = MemoryContextAllocZero(context, sizeof(AccessSet));
	set->context = context;
	set->expires = DT_NOEND;
	if (who->kind == IDENTITY_USER || who->kind == IDENTITY_SESSION)
		set->user = who->subject;

	if (who->kind == IDENTITY_ROLE ? isNamedInBinding(RoleOfId(&who->subject)) :
		who->kind != IDENTITY_NOBODY)
	{
		PrivilegedBegin(&state);
		/* under an old snapshot only the access of a true claim is asked for */
		if (who->kind == IDENTITY_ROLE)
			readBinding(set, who, snapshot);
		else if (snapshot == InvalidSnapshot)
			verifyClaim(set, who);
		else
			set->holds = true;
		if (set->holds && who->kind != IDENTITY_TOKEN)
			readAccess(set, who, snapshot);
		PrivilegedEnd(&state);
	}
	if (set->reach.ids == NULL)
		fillNothing(set);
	collectKeys(set, who);
	return set;
}

/* ---- keeping sets ---- */

static void
freeSet(AccessSet *set)
{
	set->dropped = true;
	if (set->pins == 0)
		MemoryContextDelete(set->context);
}

/* Take an entry's set out of the table. */
static void
forgetSet(Entry *entry)
{
	if (entry->set == NULL)
		return;
	cached -= MemoryContextMemAllocated(entry->set->context, false);
	freeSet(entry->set);
	entry->set = NULL;
}

/* Drop the least recently used sets until the rest fits. */
static void
evict(Entry *keep)
{
	while (cached > (Size) cacheSize * 1024)
	{
		Entry	   *last = dlist_tail_element(Entry, used, &usage);

		if (last == keep)
			break;
		if (last->set != NULL)
			counters.evictions++;
		forgetSet(last);
		dlist_delete(&last->used);
		hash_search(entries, &last->key, HASH_REMOVE, NULL);
	}
}

/* Did anything that concerns the set arrive after the given count? */
static bool
changedSince(const AccessSet *set, uint64 before)
{
	if (arrived - before > RECENT)
		return true;
	for (uint64 i = before; i < arrived; i++)
		if (concerns(set, recent[i % RECENT]))
			return true;
	return false;
}

/* Load the set of an entry; nothing changes unless all of it succeeds. */
static void
reload(Entry *entry)
{
	EntryKey	key = entry->key;
	uint64		before = arrived;
	AccessSet  *set;

	/* an error takes the way out, so it is a failure until it is not */
	counters.failedLoads++;
	set = loadSet(&key, InvalidSnapshot);
	counters.failedLoads--;
	counters.loads++;

	/* the load may have read messages; the entry cannot have gone */
	MemoryContextSetParent(set->context, cacheContext);
	forgetSet(entry);
	entry->set = set;
	entry->stale = InvalidationIsWholesale() || changedSince(set, before);
	cached += MemoryContextMemAllocated(set->context, false);
	evict(entry);
}

/* The entry of an identity, made if need be; moves to the front. */
static Entry *
findEntry(const Identity *who)
{
	EntryKey	key;
	Entry	   *entry;
	bool		found;

	if (!dlist_is_empty(&usage))
	{
		entry = dlist_head_element(Entry, used, &usage);
		if (entry->key.kind == who->kind &&
			memcmp(&entry->key.subject, &who->subject, UUID_LEN) == 0 &&
			memcmp(&entry->key.credential, &who->credential, UUID_LEN) == 0)
			return entry;
	}

	memset(&key, 0, sizeof(key));
	key.kind = who->kind;
	key.subject = who->subject;
	key.credential = who->credential;
	entry = hash_search(entries, &key, HASH_ENTER, &found);
	if (!found)
	{
		entry->set = NULL;
		dlist_push_head(&usage, &entry->used);
	}
	else
		dlist_move_head(&usage, &entry->used);
	return entry;
}

/*
 * Roles or owners have changed: does a binding still hold, or not hold?  Its
 * access need not be loaded for that.
 */
static bool
bindingIsAsBefore(const Entry *entry)
{
	AccessSet	now = {0};
	PrivilegedState state;

	PrivilegedBegin(&state);
	readBinding(&now, &entry->key, InvalidSnapshot);
	PrivilegedEnd(&state);
	if (now.bound && now.holds == entry->set->holds)
		entry->set->roles = now.roles;
	return now.bound && now.holds == entry->set->holds;
}

/*
 * AccessCurrent -- the set of an identity under the newest committed state.
 *
 * Never NULL; that of nobody is empty.  Stays valid until the next call of
 * this function, unless pinned.
 */
AccessSet *
AccessCurrent(const Identity *who)
{
	Entry	   *entry = findEntry(who);
	bool		announced = entry->set == NULL ||
		CommitsAreAnnounced(entry->set->keys, entry->set->nkeys);

	counters.lookups++;
	AcceptInvalidationMessages();
	if (entry->set != NULL && !entry->stale && entry->set->holds &&
		!TIMESTAMP_NOT_FINITE(entry->set->expires) &&
		GetCurrentTimestamp() >= entry->set->expires)
		entry->stale = true;
	if (entry->set != NULL && !entry->stale && entry->set->bound &&
		entry->set->roles != InvalidationOfRoles() && !bindingIsAsBefore(entry))
		entry->stale = true;
	/* a load sees whatever the caller's snapshot can see */
	if (entry->set == NULL || entry->stale || !announced)
		reload(entry);
	return entry->set;
}

/*
 * AccessAsOf -- the set under a query's own snapshot, if that is older than
 * the latest set; otherwise NULL.
 *
 * A grant must not open rows as they were before it: what a query may see is
 * the intersection.  The caller owns the result, in its memory context.
 */
AccessSet *
AccessAsOf(const Identity *who, const AccessSet *latest, Snapshot snapshot)
{
	EntryKey	key;

	if (!latest->holds || who->kind == IDENTITY_TOKEN ||
		isAsNewAs(snapshot, latest))
		return NULL;
	memset(&key, 0, sizeof(key));
	key.kind = who->kind;
	key.subject = who->subject;
	key.credential = who->credential;
	counters.snapshotLoads++;
	return loadSet(&key, snapshot);
}

/* AccessDiscard -- free a set that AccessAsOf() made. */
void
AccessDiscard(AccessSet *set)
{
	MemoryContextDelete(set->context);
}

AccessBinding
AccessOfRole(const Identity *who)
{
	EntryKey	key;
	Entry	   *entry;

	memset(&key, 0, sizeof(key));
	key.kind = who->kind;
	key.subject = who->subject;
	entry = hash_search(entries, &key, HASH_FIND, NULL);
	if (entry == NULL || entry->set == NULL)
		return BINDING_UNKNOWN;
	if (entry->set->bound)
		return BINDING_EXISTS;
	return entry->stale ? BINDING_UNKNOWN : BINDING_NONE;
}

const uint64 *
AccessClock(void)
{
	return &ticks;
}

void
AccessPin(AccessSet *set)
{
	set->pins++;
}

void
AccessUnpin(AccessSet *set)
{
	Assert(set->pins > 0);
	if (--set->pins == 0 && set->dropped)
		MemoryContextDelete(set->context);
}

/*
 * A message has arrived: mark what it concerns.  Runs at any moment, also in
 * the middle of a load, so it allocates nothing and looks nothing up.
 */
static void
onInvalidation(uint32 key)
{
	dlist_iter	iter;

	recent[arrived++ % RECENT] = key;
	counters.resets += key == INVALIDATE_ALL;
	dlist_foreach(iter, &usage)
	{
		Entry	   *entry = dlist_container(Entry, used, iter.cur);

		if (entry->set != NULL && concerns(entry->set, key))
		{
			counters.stale += !entry->stale;
			entry->stale = true;
			ticks++;
		}
	}
}

/* AccessCount -- the counters, as of now. */
AccessCounters
AccessCount(void)
{
	AccessCounters now = counters;
	dlist_iter	iter;

	now.messages = arrived;
	now.bytes = cached;
	dlist_foreach(iter, &usage)
		now.sets += dlist_container(Entry, used, iter.cur)->set != NULL;
	return now;
}

void
AccessInit(void)
{
	HASHCTL		control = {0};

	cacheContext = AllocSetContextCreate(TopMemoryContext, "tenancy access sets",
										 ALLOCSET_DEFAULT_SIZES);
	control.keysize = sizeof(EntryKey);
	control.entrysize = sizeof(Entry);
	control.hcxt = cacheContext;
	entries = hash_create("tenancy identities", 64, &control,
						  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	DefineCustomIntVariable("tenancy.cache_size",
							"Memory that one session may use to remember access sets.",
							"The set in use is kept whatever its size.",
							&cacheSize, 8192, 64, MAX_KILOBYTES,
							PGC_USERSET, GUC_UNIT_KB, NULL, NULL, NULL);
	InvalidationListen(onInvalidation);
}

/* ---- who is acting, confirmed ---- */

static Datum
uuidDatum(const pg_uuid_t *id)
{
	pg_uuid_t  *copy = palloc(sizeof(pg_uuid_t));

	*copy = *id;
	return UUIDPGetDatum(copy);
}

/*
 * tenancy_current_user_id -- the user who is acting.
 *
 * tenancy.current_user_id() → uuid; NULL when nobody is signed in, when the
 * session was revoked or has expired, when the user was deactivated, and for
 * a project token.
 */
Datum
tenancy_current_user_id(PG_FUNCTION_ARGS)
{
	Identity	who;
	AccessSet  *set;

	IdentityRead(&who);
	set = AccessCurrent(&who);
	if (who.kind == IDENTITY_TOKEN || !AccessHolds(set))
		PG_RETURN_NULL();
	return uuidDatum(&set->user);
}

/*
 * tenancy_acts_by_binding -- is it the login role that makes somebody act?
 *
 * tenancy._acts_by_binding() → boolean.  For commands, which are not for a role
 * that is bound.
 */
Datum
tenancy_acts_by_binding(PG_FUNCTION_ARGS)
{
	Identity	who;

	IdentityRead(&who);
	PG_RETURN_BOOL(who.kind == IDENTITY_ROLE && AccessHolds(AccessCurrent(&who)));
}

/*
 * tenancy_current_project_id -- the project that new rows belong to.
 *
 * tenancy.current_project_id() → uuid; a project token's project, or the
 * setting tenancy.project_id if the user can see that project, or the project
 * that the login role is bound to, or NULL.
 */
Datum
tenancy_current_project_id(PG_FUNCTION_ARGS)
{
	Identity	who;
	AccessSet  *set;
	const pg_uuid_t *project;

	IdentityRead(&who);
	set = AccessCurrent(&who);
	if (who.kind == IDENTITY_TOKEN && AccessHolds(set))
		return uuidDatum(&who.subject);
	if (!who.narrowed && !set->narrowed)
		PG_RETURN_NULL();
	project = who.narrowed ? &who.project : &set->project;
	if (AccessMapFind(AccessReach(set), project).kind != TARGET_PROJECT)
		PG_RETURN_NULL();
	return uuidDatum(project);
}
