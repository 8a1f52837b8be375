/*
 * chain.c
 *		The audit log as chains of entries, each with the hash of the one before.
 *
 * There is a chain for each organization and one for each user.  A hash, which
 * is SHA-256, covers its entry and the hash before it.  The end of a chain is in
 * tenancy.audit_heads, whose row is locked while entries are added, so changes
 * of one organization follow one another, as its commands do, and changes of
 * different organizations do not meet.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "chain.h"
#include "compat.h"
#include "identity.h"
#include "lookup.h"
#include "privileged.h"

/*
 * The columns of tenancy.audit_entries, in order.  The hash covers those before
 * it.  The personal ones after it can be erased: their own hash stands for them.
 */
enum
{
	LOG_CHAIN,
	LOG_NUMBER,
	LOG_ORGANIZATION,
	LOG_AT,
	LOG_ACTOR,
	LOG_LOGIN_ROLE,
	LOG_ACTING_ROLE,
	LOG_CREDENTIAL_KIND,
	LOG_CREDENTIAL,
	LOG_ACTION,
	LOG_RELATION,
	LOG_CHANGES,
	LOG_PERSONAL_HASH,
	LOG_PREVIOUS,
	LOG_HASH,
	LOG_SALT,
	LOG_ACTOR_NAME,
	LOG_PERSONAL,
	LOG_COLUMNS
};

static const Oid logTypes[LOG_COLUMNS] = {
	UUIDOID, INT8OID, UUIDOID, TIMESTAMPTZOID, UUIDOID, TEXTOID, TEXTOID,
	TEXTOID, UUIDOID, TEXTOID, TEXTOID, JSONOID, BYTEAOID, BYTEAOID, BYTEAOID,
	BYTEAOID, TEXTOID, JSONOID
};

/* So that what was erased cannot be guessed from its hash. */
#define SALT_LENGTH	16

/* The columns of tenancy.audit_heads, in order. */
enum
{
	HEAD_CHAIN,
	HEAD_ENTRIES,
	HEAD_LAST_AT,
	HEAD_HASH,
	HEAD_COLUMNS
};

/* Where entries are written. */
typedef struct Log
{
	Relation	entries;
	Relation	heads;
	CatalogIndexState entryIndexes;
	CatalogIndexState headIndexes;
	pg_cryptohash_ctx *digest;
	StringInfoData hashed;
	Identity	who;			/* acts */
	Datum		values[LOG_COLUMNS];	/* of the entry that is written */
	bool		nulls[LOG_COLUMNS];
} Log;

PG_FUNCTION_INFO_V1(tenancy_guard_audit);
PG_FUNCTION_INFO_V1(tenancy_audit_hash);

/* ---- the hash ---- */

static void
appendBytes(StringInfo buf, const void *bytes, int length)
{
	uint32		prefix = pg_hton32((uint32) length);

	appendBinaryStringInfo(buf, (char *) &prefix, sizeof(prefix));
	if (length > 0)
		appendBinaryStringInfo(buf, bytes, length);
}

/* In UTF-8, since a dump may be restored into another encoding. */
static void
appendText(StringInfo buf, text *value)
{
	char	   *bytes = VARDATA_ANY(value);
	int			length = VARSIZE_ANY_EXHDR(value);
	char	   *converted = pg_server_to_any(bytes, length, PG_UTF8);

	appendBytes(buf, converted, converted == bytes ? length : (int) strlen(converted));
}

/* Each value with its length before it: no two entries look alike. */
static void
appendValue(StringInfo buf, Oid type, Datum value, bool isnull)
{
	uint64		number;

	if (isnull)
		appendBytes(buf, NULL, -1);
	else if (type == UUIDOID)
		appendBytes(buf, DatumGetUUIDP(value)->data, UUID_LEN);
	else if (type == TEXTOID || type == JSONOID)
		appendText(buf, DatumGetTextPP(value));
	else if (type == BYTEAOID)
	{
		bytea	   *bytes = DatumGetByteaPP(value);

		appendBytes(buf, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
	}
	else
	{
		Assert(type == INT8OID || type == TIMESTAMPTZOID);
		number = pg_hton64((uint64) DatumGetInt64(value));
		appendBytes(buf, &number, sizeof(number));
	}
}

/* The hash of some columns of an entry, in the memory of the caller. */
static void
hashColumns(Log *log, int first, int last, bytea *hash)
{
	resetStringInfo(&log->hashed);
	for (int i = first; i <= last; i++)
		appendValue(&log->hashed, logTypes[i], log->values[i], log->nulls[i]);
	SET_VARSIZE(hash, VARHDRSZ + PG_SHA256_DIGEST_LENGTH);
	if (pg_cryptohash_init(log->digest) < 0 ||
		pg_cryptohash_update(log->digest, (uint8 *) log->hashed.data, log->hashed.len) < 0 ||
		pg_cryptohash_final(log->digest, (uint8 *) VARDATA(hash), PG_SHA256_DIGEST_LENGTH) < 0)
		elog(ERROR, "could not compute SHA-256");
}

static bytea *
newHash(void)
{
	return palloc(VARHDRSZ + PG_SHA256_DIGEST_LENGTH);
}

/*
 * tenancy_audit_hash -- a hash that an entry should have.
 *
 * tenancy._audit_hash(entry tenancy.audit_entries, personal boolean) → bytea:
 * of the entry, or of its personal columns.
 */
Datum
tenancy_audit_hash(PG_FUNCTION_ARGS)
{
	HeapTupleHeader header = PG_GETARG_HEAPTUPLEHEADER(0);
	bool		isPersonal = PG_GETARG_BOOL(1);
	TupleDesc	desc = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(header),
											  HeapTupleHeaderGetTypMod(header));
	HeapTupleData tuple;
	Log			log;
	bytea	   *hash = newHash();

	if (desc->natts != LOG_COLUMNS)
		elog(ERROR, "tenancy.audit_entries has %d columns", desc->natts);
	for (int i = 0; i < LOG_COLUMNS; i++)
		if (TupleDescAttr(desc, i)->atttypid != logTypes[i])
			elog(ERROR, "column %d of tenancy.audit_entries is of another type", i + 1);
	tuple.t_len = HeapTupleHeaderGetDatumLength(header);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = header;
	heap_deform_tuple(&tuple, desc, log.values, log.nulls);
	ReleaseTupleDesc(desc);

	log.digest = pg_cryptohash_create(PG_SHA256);
	initStringInfo(&log.hashed);
	hashColumns(&log, isPersonal ? LOG_SALT : 0, isPersonal ? LOG_PERSONAL : LOG_HASH - 1, hash);
	pg_cryptohash_free(log.digest);
	PG_RETURN_BYTEA_P(hash);
}

/* ---- the ends of the chains ---- */

/*
 * Lock the end of a chain in its newest version, whatever the transaction's
 * snapshot: the log has one order.  NULL if there is none.
 */
static TupleTableSlot *
lockHead(Relation heads, Datum chain)
{
	TupleTableSlot *slot;
	HeapTuple	tuple = LookupRow(heads, chain);
	TM_FailureData failure;
	TM_Result	result;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	slot = table_slot_create(heads, NULL);
	result = table_tuple_lock(heads, &tuple->t_self, SnapshotAny, slot,
							  GetCurrentCommandId(false), LockTupleNoKeyExclusive,
							  LockWaitBlock, TUPLE_LOCK_FLAG_FIND_LAST_VERSION, &failure);
	if (result == TM_Ok)
		return slot;
	ExecDropSingleTupleTableSlot(slot);
	if (result != TM_Deleted && result != TM_Updated)
		elog(ERROR, "could not lock the end of a chain: %d", result);
	return NULL;
}

/* Two may begin the same chain at once: one of them waits for the other. */
static void
beginChain(Datum chain)
{
	static SPIPlanPtr plan = NULL;
	Oid			type = UUIDOID;
	PrivilegedState state;

	PrivilegedBegin(&state);
	PrivilegedExecute(&plan, "INSERT INTO tenancy.audit_heads (chain) VALUES ($1) ON CONFLICT DO NOTHING",
					  1, &type, &chain, NULL, false);
	PrivilegedEnd(&state);
	CommandCounterIncrement();
}

/* The same as lockHead(), for a chain that may have to be begun. */
static TupleTableSlot *
requireHead(Relation heads, Datum chain)
{
	TupleTableSlot *slot;

	while ((slot = lockHead(heads, chain)) == NULL)
		beginChain(chain);
	slot_getallattrs(slot);
	return slot;
}

/* ---- writing entries ---- */

static Datum
textOrNull(const char *string, bool *isnull)
{
	*isnull = string == NULL;
	return string == NULL ? (Datum) 0 : CStringGetTextDatum(string);
}

/*
 * Who acts, as they claim: commands have verified it, and signing out records
 * a session that is not valid any more.
 */
static void
fillActor(Log *log)
{
	Identity   *who = &log->who;
	Datum	   *values = log->values;
	bool	   *nulls = log->nulls;
	bool		isUser;
	const char *kind;
	bool		isnull;

	IdentityRead(who);
	isUser = who->kind == IDENTITY_USER || who->kind == IDENTITY_SESSION;
	kind = who->kind == IDENTITY_USER ? "assertion" :
		who->kind == IDENTITY_SESSION ? "session" :
		who->kind == IDENTITY_TOKEN ? "project token" : NULL;
	nulls[LOG_ACTOR] = !isUser;
	values[LOG_ACTOR] = UUIDPGetDatum(&who->subject);
	nulls[LOG_ACTOR_NAME] = !isUser ||
		!LookupValue("users", values[LOG_ACTOR], "name", &values[LOG_ACTOR_NAME], &isnull);
	values[LOG_CREDENTIAL_KIND] = textOrNull(kind, &nulls[LOG_CREDENTIAL_KIND]);
	nulls[LOG_CREDENTIAL] = who->kind != IDENTITY_SESSION && who->kind != IDENTITY_TOKEN;
	values[LOG_CREDENTIAL] = UUIDPGetDatum(&who->credential);
	values[LOG_LOGIN_ROLE] = textOrNull(GetUserNameFromId(GetSessionUserId(), true),
										&nulls[LOG_LOGIN_ROLE]);
	values[LOG_ACTING_ROLE] = textOrNull(GetUserNameFromId(GetOuterUserId(), true),
										 &nulls[LOG_ACTING_ROLE]);
}

/* Random bytes, which are cheaper by the hundred; none is used twice. */
static void
fillSalt(char *salt)
{
	static char bytes[64 * SALT_LENGTH];
	static int	unused = 0;

	if (unused == 0)
	{
		if (!pg_strong_random(bytes, sizeof(bytes)))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not generate random bytes")));
		unused = lengthof(bytes) / SALT_LENGTH;
	}
	unused--;
	memcpy(salt, bytes + unused * SALT_LENGTH, SALT_LENGTH);
	memset(bytes + unused * SALT_LENGTH, 0, SALT_LENGTH);
}

/* Hash what can be erased, if there is any. */
static void
sealPersonal(Log *log)
{
	bool		isEmpty = log->nulls[LOG_ACTOR_NAME] && log->nulls[LOG_PERSONAL];
	bytea	   *salt;
	bytea	   *hash;

	log->nulls[LOG_SALT] = log->nulls[LOG_PERSONAL_HASH] = isEmpty;
	if (isEmpty)
		return;
	salt = palloc(VARHDRSZ + SALT_LENGTH);
	SET_VARSIZE(salt, VARHDRSZ + SALT_LENGTH);
	fillSalt(VARDATA(salt));
	log->values[LOG_SALT] = PointerGetDatum(salt);
	hash = newHash();
	hashColumns(log, LOG_SALT, LOG_PERSONAL, hash);
	log->values[LOG_PERSONAL_HASH] = PointerGetDatum(hash);
}

/* Write one entry, whose place in its chain is there already. */
static void
writeEntry(Log *log, const ChainEntry *entry)
{
	Datum	   *values = log->values;
	bool	   *nulls = log->nulls;
	bytea	   *hash = newHash();

	values[LOG_ACTION] = CStringGetTextDatum(entry->action);
	values[LOG_RELATION] = CStringGetTextDatum(entry->relation);
	values[LOG_CHANGES] = CStringGetTextDatum(entry->changes);
	values[LOG_PERSONAL] = textOrNull(entry->personal, &nulls[LOG_PERSONAL]);
	sealPersonal(log);
	hashColumns(log, 0, LOG_HASH - 1, hash);
	values[LOG_HASH] = PointerGetDatum(hash);
	CatalogTupleInsertWithInfo(log->entries,
							   heap_form_tuple(RelationGetDescr(log->entries), values, nulls),
							   log->entryIndexes);
}

/* Write the entries of one chain, from its end on. */
static void
writeChain(Log *log, const ChainEntry *entries, int n)
{
	TupleTableSlot *head = requireHead(log->heads, UUIDPGetDatum(&entries->chain));
	ItemPointerData place = head->tts_tid;
	Datum	   *end = head->tts_values;
	bool		endNulls[HEAD_COLUMNS] = {false};
	int64		number = DatumGetInt64(end[HEAD_ENTRIES]);

	log->values[LOG_CHAIN] = log->values[LOG_ORGANIZATION] = UUIDPGetDatum(&entries->chain);
	log->nulls[LOG_ORGANIZATION] = !entries->ofOrganization;
	/* time does not run backwards in a chain */
	log->values[LOG_AT] = TimestampTzGetDatum(Max(DatumGetTimestampTz(end[HEAD_LAST_AT]),
												  GetCurrentTimestamp()));
	log->values[LOG_PREVIOUS] = end[HEAD_HASH];
	for (int i = 0; i < n; i++)
	{
		log->values[LOG_NUMBER] = Int64GetDatum(++number);
		writeEntry(log, &entries[i]);
		log->values[LOG_PREVIOUS] = log->values[LOG_HASH];
	}

	end[HEAD_ENTRIES] = Int64GetDatum(number);
	end[HEAD_LAST_AT] = log->values[LOG_AT];
	end[HEAD_HASH] = log->values[LOG_HASH];
	CatalogTupleUpdateWithInfo(log->heads, &place,
							   heap_form_tuple(RelationGetDescr(log->heads), end, endNulls),
							   log->headIndexes);
	ExecDropSingleTupleTableSlot(head);
}

void
ChainAppend(const ChainEntry *entries, int n)
{
	Log			log = {
		.entries = LookupTable("audit_entries", RowExclusiveLock),
		.heads = LookupTable("audit_heads", RowExclusiveLock),
		.digest = pg_cryptohash_create(PG_SHA256)
	};
	int			first = 0;

	if (RelationGetDescr(log.entries)->natts != LOG_COLUMNS ||
		RelationGetDescr(log.heads)->natts != HEAD_COLUMNS)
		elog(ERROR, "the audit log has other columns");
	log.entryIndexes = CatalogOpenIndexes(log.entries);
	log.headIndexes = CatalogOpenIndexes(log.heads);
	initStringInfo(&log.hashed);
	fillActor(&log);
	for (int i = 1; i <= n; i++)
	{
		if (i < n && memcmp(&entries[i].chain, &entries[first].chain, UUID_LEN) == 0)
			continue;
		writeChain(&log, &entries[first], i - first);
		first = i;
	}
	pg_cryptohash_free(log.digest);
	CatalogCloseIndexes(log.headIndexes);
	CatalogCloseIndexes(log.entryIndexes);
	table_close(log.heads, NoLock);
	table_close(log.entries, NoLock);
	/* the next statement's entries go on from here */
	CommandCounterIncrement();
}

/*
 * tenancy_guard_audit -- trigger: refuse whoever is no superuser.
 *
 * BEFORE, for each statement, on the tables of the log.  Rights can be
 * granted by mistake.
 */
Datum
tenancy_guard_audit(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("tenancy._guard_audit() can only be called as a trigger")));
	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("the audit log cannot be changed")));
	PG_RETURN_POINTER(NULL);
}
