/*
 * invalidation.c
 *		Tells every backend, and every standby, which identities changed.
 *
 * The messages are PostgreSQL's own relation cache invalidations: sent at
 * COMMIT, dropped at ROLLBACK, replayed on a hot standby, and applied to the
 * sending backend at the end of each command.  A message names a relation by
 * its oid; ours carry a hash of the changed user, organization, project or
 * session in that place, with the highest bit set.  A collision costs
 * somebody a reload and nothing else.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "commit.h"
#include "invalidation.h"

#define KEY_BIT			((uint32) 0x80000000)
#define BROADCAST		KEY_BIT

/* Keys that one transaction sends before it tells everybody to forget all. */
#define MAX_KEYS		64

static InvalidationListener listener = NULL;

static int	sent = 0;			/* keys sent by this transaction */
static bool wholesale = false;	/* this transaction has sent BROADCAST */
static uint64 roles = 1;		/* see InvalidationOfRoles() */
static uint64 messages = 1;		/* see InvalidationOfAnything() */

PG_FUNCTION_INFO_V1(tenancy_send_invalidation);

static void
forgetAll(void)
{
	messages++;
	listener(INVALIDATE_ALL);
}

/*
 * relcacheCallback -- a message has arrived.
 *
 * InvalidOid means that messages were lost, so everything may have changed.
 * Oids without our bit belong to ordinary relations, those with it may.
 */
static void
relcacheCallback(Datum arg, Oid relid)
{
	messages++;
	/* on a server that has used up half of its oids, relations have our bit, too */
	roles++;
	if (relid == InvalidOid || relid == BROADCAST)
		listener(INVALIDATE_ALL);
	else if (relid & KEY_BIT)
		listener(relid);
}

static void
rolesCallback(Datum arg, int cacheid, uint32 hashvalue)
{
	roles++;
}

/* A finished or failed transaction starts counting anew. */
static void
xactCallback(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT ||
		event == XACT_EVENT_PREPARE)
	{
		sent = 0;
		wholesale = false;
	}
}

/* The aborted part may have held our broadcast: send it again if needed. */
static void
subxactCallback(SubXactEvent event, SubTransactionId mySubid,
				SubTransactionId parentSubid, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		if (wholesale)
			forgetAll();
		sent = 0;
		wholesale = false;
	}
}

void
InvalidationInit(void)
{
	RegisterXactCallback(xactCallback, NULL);
	RegisterSubXactCallback(subxactCallback, NULL);
}

/* One listener a backend: a callback cannot be taken back. */
void
InvalidationListen(InvalidationListener newListener)
{
	Assert(listener == NULL);
	listener = newListener;
	CacheRegisterRelcacheCallback(relcacheCallback, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHOID, rolesCallback, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, rolesCallback, (Datum) 0);
	CacheRegisterSyscacheCallback(PARAMETERACLNAME, rolesCallback, (Datum) 0);
	CacheRegisterSyscacheCallback(PROCOID, rolesCallback, (Datum) 0);
}

/* InvalidationKey -- the key of a user, organization, project, session or role. */
uint32
InvalidationKey(const pg_uuid_t *id)
{
	uint32		key = hash_bytes(id->data, UUID_LEN) | KEY_BIT;

	return key == BROADCAST ? BROADCAST + 1 : key;
}

uint64
InvalidationOfRoles(void)
{
	return roles;
}

uint64
InvalidationOfAnything(void)
{
	return messages;
}

/*
 * InvalidationIsWholesale -- has this transaction stopped naming keys?
 *
 * Then nothing that it loads may be kept: its own later changes are not
 * announced one by one any more.
 */
bool
InvalidationIsWholesale(void)
{
	return wholesale;
}

/* Put one key into the transaction's queue of messages. */
static void
sendKey(uint32 key)
{
	HeapTuple	tuple;
	Form_pg_class form;

	/* inval.c reads the oid and whether the relation is shared, no more */
	tuple = (HeapTuple) palloc0(HEAPTUPLESIZE + SizeofHeapTupleHeader +
								sizeof(FormData_pg_class) + MAXIMUM_ALIGNOF);
	tuple->t_data = (HeapTupleHeader) ((char *) tuple + HEAPTUPLESIZE);
	tuple->t_data->t_hoff = MAXALIGN(SizeofHeapTupleHeader);
	form = (Form_pg_class) GETSTRUCT(tuple);
	form->oid = key;
	form->relisshared = false;
	CacheInvalidateRelcacheByTuple(tuple);
	pfree(tuple);
}

/* Announce a key, or everything once the transaction has named too many. */
static void
announce(uint32 key)
{
	if (!wholesale && key != BROADCAST && ++sent <= MAX_KEYS)
	{
		CommitWillAnnounce(key);
		sendKey(key);
	}
	else if (!wholesale)
	{
		CommitWillAnnounceAll();
		sendKey(BROADCAST);
		wholesale = true;
	}
	if (wholesale)
		forgetAll();
}

/* Announce the key in one column of one row; NULL names nobody. */
static void
announceColumn(Relation rel, HeapTuple tuple, int column)
{
	bool		isnull;
	Datum		value;
	pg_uuid_t	role;

	value = heap_getattr(tuple, column, RelationGetDescr(rel), &isnull);
	if (isnull)
		return;
	if (SPI_gettypeid(RelationGetDescr(rel), column) == UUIDOID)
		announce(InvalidationKey(DatumGetUUIDP(value)));
	else
	{
		role = RoleAsId(DatumGetObjectId(value));
		announce(InvalidationKey(&role));
	}
}

static bool
holdsKeys(Relation rel, int column)
{
	Oid			type = column > 0 ? SPI_gettypeid(RelationGetDescr(rel), column) : InvalidOid;

	return type == UUIDOID || type == OIDOID;
}

/* InvalidationAnnounceAll -- everybody forgets everything. */
void
InvalidationAnnounceAll(void)
{
	announce(BROADCAST);
}

/*
 * tenancy_send_invalidation -- trigger: announce who is touched by a change.
 *
 * AFTER ROW, with the names of the columns that hold keys as arguments: uuids,
 * and oids of roles;
 * AFTER TRUNCATE, it announces everything.  Must be ENABLE ALWAYS, so that
 * logical replication and session_replication_role do not silence it.
 */
Datum
tenancy_send_invalidation(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	Relation	rel;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("tenancy._send_invalidation() can only be called as a trigger")));

	if (TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event))
	{
		announce(BROADCAST);
		PG_RETURN_POINTER(NULL);
	}

	rel = trigger->tg_relation;
	for (int i = 0; i < trigger->tg_trigger->tgnargs; i++)
	{
		int			column = SPI_fnumber(RelationGetDescr(rel),
										 trigger->tg_trigger->tgargs[i]);

		if (!holdsKeys(rel, column))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of relation \"%s\" holds no keys",
							trigger->tg_trigger->tgargs[i],
							RelationGetRelationName(rel))));
		announceColumn(rel, trigger->tg_trigtuple, column);
		if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
			announceColumn(rel, trigger->tg_newtuple, column);
	}
	PG_RETURN_POINTER(NULL);
}
