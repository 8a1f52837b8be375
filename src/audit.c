/*
 * audit.c
 *		Who did what: the trigger that records changes of the extension's own
 *		tables, the chain that its entries form, and the name of the command.
 *
 * Entries form chains, one for each organization and one for each user, by
 * SHA-256: each hash covers its entry and the hash before it.  The end of a
 * chain is in tenancy.audit_heads, whose row is locked while entries are
 * added, so changes of one organization follow one another, as its commands
 * do, and changes of different organizations do not meet.
 *
 * The trigger fires once a statement and reads transition tables: a head is
 * then written once for many rows.  Once for each row would leave as many
 * versions of it, each of which the next look-up has to pass.
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
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "audit.h"
#include "compat.h"
#include "identity.h"
#include "privileged.h"

/*
 * The columns of tenancy.audit_log, in order.  The hash covers those before it.
 * The personal ones after it can be erased: their own hash stands for them.
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
	LOG_ROW_KEY,
	LOG_OLD,
	LOG_NEW,
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
	TEXTOID, UUIDOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID, JSONBOID, BYTEAOID,
	BYTEAOID, BYTEAOID, BYTEAOID, TEXTOID, JSONBOID
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

/* Entries that are kept in memory before they are written. */
#define BATCH	1000

/* One entry to be, without what its place in the chain adds. */
typedef struct Change
{
	pg_uuid_t	chain;
	bool		ofOrganization;
	const char *verb;
	char	   *key;			/* NULL for a whole table */
	Jsonb	   *before;			/* NULL for what was not there */
	Jsonb	   *after;
	Jsonb	   *personal;		/* NULL for a table without such columns */
	int			place;			/* keeps the order of one chain */
} Change;

/* The changes of one statement. */
typedef struct Recording
{
	Relation	rel;
	const char *owner;			/* whose chain: organization, project, user or none */
	int			column;			/* the one that names the owner */
	int			npersonal;
	char	  **personal;		/* columns that say who somebody is */
	Bitmapset  *keys;			/* of the primary key */
	bool		connected;		/* have queries been asked yet? */
	PrivilegedState state;
	bool		known;			/* the last project that was looked up */
	pg_uuid_t	project;
	bool		projectFound;
	pg_uuid_t	projectOrganization;
	MemoryContext context;		/* holds a batch */
	int			nchanges;
	Change		changes[BATCH];
} Recording;

/* What the hook keeps for one call site of a function. */
typedef struct CallSite
{
	bool		isCommand;
	bool		entered;		/* its start was counted */
	Datum		next;			/* of the hook before ours */
} CallSite;

static int	commandDepth = 0;	/* commands that are running, one in the other */
static Oid	outermostCommand = InvalidOid;

static needs_fmgr_hook_type previousNeedsHook = NULL;
static fmgr_hook_type previousHook = NULL;

static SPIPlanPtr beginPlan = NULL;
static SPIPlanPtr latestPlan = NULL;

PG_FUNCTION_INFO_V1(tenancy_record_changes);
PG_FUNCTION_INFO_V1(tenancy_guard_audit);
PG_FUNCTION_INFO_V1(tenancy_audit_hash);
PG_FUNCTION_INFO_V1(tenancy_command_support);

/* ---- the name of the command ---- */

/* Commands have the rights of their owner, and no underscore. */
static bool
isCommand(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc form;
	bool		found;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_proc) GETSTRUCT(tuple);
	found = form->prosecdef && NameStr(form->proname)[0] != '_' &&
		form->pronamespace == get_namespace_oid("tenancy", true);
	ReleaseSysCache(tuple);
	return found;
}

static CallSite *
callSite(FmgrInfo *flinfo, Datum *private)
{
	CallSite   *site = (CallSite *) DatumGetPointer(*private);

	if (site == NULL)
	{
		site = MemoryContextAllocZero(flinfo->fn_mcxt, sizeof(CallSite));
		site->isCommand = isCommand(flinfo->fn_oid);
		*private = PointerGetDatum(site);
	}
	return site;
}

static bool
needsHook(Oid function)
{
	return previousNeedsHook && previousNeedsHook(function);
}

/*
 * Called around every function that has rights or settings of its own, which
 * all commands do.  One whose start came before this library is not counted;
 * tenancy_command_support() keeps that from happening.
 */
static void
hook(FmgrHookEventType event, FmgrInfo *flinfo, Datum *private)
{
	CallSite   *site;

	if (event != FHET_START && DatumGetPointer(*private) == NULL)
		return;
	site = callSite(flinfo, private);
	if (site->isCommand && event == FHET_START)
	{
		site->entered = true;
		if (commandDepth++ == 0)
			outermostCommand = flinfo->fn_oid;
	}
	else if (site->entered && event != FHET_START)
	{
		/* one call site of a recursive function is entered once at a time */
		site->entered = false;
		if (--commandDepth == 0)
			outermostCommand = InvalidOid;
	}
	if (previousHook)
		previousHook(event, flinfo, &site->next);
}

void
AuditInit(void)
{
	previousNeedsHook = needs_fmgr_hook;
	needs_fmgr_hook = needsHook;
	previousHook = fmgr_hook;
	fmgr_hook = hook;
}

/*
 * tenancy_command_support -- planner support of commands: helps with nothing.
 *
 * A session's first command is planned before it is started.  Asking for its
 * support loads the library in time for the hook to see the start.
 */
Datum
tenancy_command_support(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(NULL);
}

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
appendText(StringInfo buf, char *text)
{
	text = pg_server_to_any(text, strlen(text), PG_UTF8);
	appendBytes(buf, text, strlen(text));
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
	else if (type == TEXTOID)
		appendText(buf, TextDatumGetCString(value));
	else if (type == JSONBOID)
		appendText(buf, JsonbToCString(NULL, &DatumGetJsonbP(value)->root, -1));
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

/* The hash of some columns of an entry. */
static bytea *
hashColumns(const Datum *values, const bool *nulls, int first, int last)
{
	pg_cryptohash_ctx *context = pg_cryptohash_create(PG_SHA256);
	bytea	   *hash = palloc(VARHDRSZ + PG_SHA256_DIGEST_LENGTH);
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = first; i <= last; i++)
		appendValue(&buf, logTypes[i], values[i], nulls[i]);
	SET_VARSIZE(hash, VARHDRSZ + PG_SHA256_DIGEST_LENGTH);
	if (pg_cryptohash_init(context) < 0 ||
		pg_cryptohash_update(context, (uint8 *) buf.data, buf.len) < 0 ||
		pg_cryptohash_final(context, (uint8 *) VARDATA(hash), PG_SHA256_DIGEST_LENGTH) < 0)
		elog(ERROR, "could not compute SHA-256");
	pg_cryptohash_free(context);
	pfree(buf.data);
	return hash;
}

/*
 * tenancy_audit_hash -- a hash that an entry should have.
 *
 * tenancy._audit_hash(entry tenancy.audit_log, personal boolean) → bytea: of
 * the entry, or of its personal columns.
 */
Datum
tenancy_audit_hash(PG_FUNCTION_ARGS)
{
	HeapTupleHeader header = PG_GETARG_HEAPTUPLEHEADER(0);
	TupleDesc	desc = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(header),
											  HeapTupleHeaderGetTypMod(header));
	HeapTupleData tuple;
	Datum		values[LOG_COLUMNS];
	bool		nulls[LOG_COLUMNS];
	bytea	   *hash;

	if (desc->natts != LOG_COLUMNS)
		elog(ERROR, "tenancy.audit_log has %d columns", desc->natts);
	for (int i = 0; i < LOG_COLUMNS; i++)
		if (TupleDescAttr(desc, i)->atttypid != logTypes[i])
			elog(ERROR, "column %d of tenancy.audit_log is of another type", i + 1);
	tuple.t_len = HeapTupleHeaderGetDatumLength(header);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = header;
	heap_deform_tuple(&tuple, desc, values, nulls);
	if (PG_GETARG_BOOL(1))
		hash = hashColumns(values, nulls, LOG_SALT, LOG_PERSONAL);
	else
		hash = hashColumns(values, nulls, 0, LOG_HASH - 1);
	ReleaseTupleDesc(desc);
	PG_RETURN_BYTEA_P(hash);
}

/* ---- what a row looked like ---- */

static const char *const secrets[] = {"digest", "token"};

static bool
isSecret(const char *column)
{
	for (int i = 0; i < lengthof(secrets); i++)
		if (strcmp(column, secrets[i]) == 0)
			return true;
	return false;
}

/* Raised by every command, so that it says nothing. */
static bool
isBookkeeping(const char *column)
{
	return strcmp(column, "version") == 0;
}

/* Emptied when the account that it names is deleted. */
static bool
isOrigin(const char *column)
{
	return strcmp(column, "invited_by") == 0 || strcmp(column, "created_by") == 0;
}

static void
setString(JsonbValue *json, char *string)
{
	json->type = jbvString;
	json->val.string.val = string;
	json->val.string.len = strlen(string);
}

/* Does a column say who somebody is?  The triggers name those that do. */
static bool
isPersonal(const Recording *recording, const char *column)
{
	for (int i = 0; i < recording->npersonal; i++)
		if (strcmp(column, recording->personal[i]) == 0)
			return true;
	return false;
}

/* A value as JSON, the same whatever the settings of the session. */
static void
setValue(JsonbValue *json, Form_pg_attribute attribute, Datum value, bool isnull)
{
	char		buffer[MAXDATELEN + 1];
	const int	utc = 0;
	Oid			output;
	bool		isVarlena;

	if (isnull)
		json->type = jbvNull;
	else if (attribute->atttypid == BOOLOID)
	{
		json->type = jbvBool;
		json->val.boolean = DatumGetBool(value);
	}
	else if (attribute->atttypid == TIMESTAMPTZOID)
	{
		JsonEncodeDateTime(buffer, value, TIMESTAMPTZOID, &utc);
		setString(json, pstrdup(buffer));
	}
	else
	{
		getTypeOutputInfo(attribute->atttypid, &output, &isVarlena);
		setString(json, OidOutputFunctionCall(output, value));
	}
}

/* The row as JSON: its personal columns only, or all with those replaced. */
static Jsonb *
rowImage(const Recording *recording, TupleTableSlot *slot, bool personal)
{
	TupleDesc	desc = slot->tts_tupleDescriptor;
	JsonbParseState *state = NULL;
	JsonbValue	json;

	slot_getallattrs(slot);
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);
		char	   *column = NameStr(attribute->attname);

		if (attribute->attisdropped || isBookkeeping(column) ||
			(personal && !isPersonal(recording, column)))
			continue;
		setString(&json, column);
		pushJsonbValue(&state, WJB_KEY, &json);
		if (!slot->tts_isnull[i] && isSecret(column))
			setString(&json, "(secret)");
		else if (!personal && isPersonal(recording, column))
			setString(&json, "(personal)");
		else
			setValue(&json, attribute, slot->tts_values[i], slot->tts_isnull[i]);
		pushJsonbValue(&state, WJB_VALUE, &json);
	}
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

/* The personal columns before and after, or NULL for a table without any. */
static Jsonb *
personalImage(const Recording *recording, TupleTableSlot *old, TupleTableSlot *new)
{
	TupleTableSlot *slots[2] = {old, new};
	char	   *names[2] = {"old", "new"};
	JsonbParseState *state = NULL;
	JsonbValue	json;

	if (recording->npersonal == 0)
		return NULL;
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < lengthof(slots); i++)
	{
		Jsonb	   *image;

		if (slots[i] == NULL)
			continue;
		image = rowImage(recording, slots[i], true);
		setString(&json, names[i]);
		pushJsonbValue(&state, WJB_KEY, &json);
		json.type = jbvBinary;
		json.val.binary.data = &image->root;
		json.val.binary.len = VARSIZE(image) - VARHDRSZ;
		pushJsonbValue(&state, WJB_VALUE, &json);
	}
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

/* The primary key as text. */
static char *
rowKey(const Recording *recording, TupleTableSlot *slot)
{
	TupleDesc	desc = slot->tts_tupleDescriptor;
	StringInfoData buf;
	int			i = -1;

	initStringInfo(&buf);
	while ((i = bms_next_member(recording->keys, i)) >= 0)
	{
		AttrNumber	number = i + FirstLowInvalidHeapAttributeNumber;
		Oid			output;
		bool		isVarlena;
		bool		isnull;
		Datum		value = slot_getattr(slot, number, &isnull);

		getTypeOutputInfo(TupleDescAttr(desc, number - 1)->atttypid, &output, &isVarlena);
		if (buf.len > 0)
			appendStringInfoChar(&buf, '/');
		appendStringInfoString(&buf, OidOutputFunctionCall(output, value));
	}
	return buf.data;
}

/* ---- reading ---- */

static Relation
openTable(const char *name, LOCKMODE mode)
{
	return table_open(get_relname_relid(name, get_namespace_oid("tenancy", false)), mode);
}

/* The row with that id, the only column of the primary key, as of now. */
static HeapTuple
findTuple(Relation rel, Datum id)
{
	ScanKeyData key;
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_UUID_EQ, id);
	list_free(RelationGetIndexList(rel));	/* fills rd_pkindex */
	scan = systable_beginscan(rel, rel->rd_pkindex, true, snapshot, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		tuple = heap_copytuple(tuple);
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	return tuple;
}

/* Does such a row exist?  If so, one of its columns. */
static bool
findValue(const char *table, Datum id, const char *column, Datum *value, bool *isnull)
{
	Relation	rel = openTable(table, AccessShareLock);
	HeapTuple	tuple = findTuple(rel, id);

	if (HeapTupleIsValid(tuple))
		*value = heap_getattr(tuple, SPI_fnumber(RelationGetDescr(rel), column),
							  RelationGetDescr(rel), isnull);
	/* the lock is kept, as a query's would be: the next look-up finds it */
	table_close(rel, NoLock);
	return HeapTupleIsValid(tuple);
}

/*
 * Ask a query as the extension itself.  The first one connects: most commands
 * need none, since a query costs as much as all of the rest.  At most one row is
 * found; its values are copied.
 */
static bool
ask(Recording *recording, SPIPlanPtr *plan, const char *query,
	int nargs, const Oid *types, Datum *arguments, const char *isNull,
	int nresults, Datum *results, bool *noResults)
{
	MemoryContext context = CurrentMemoryContext;
	bool		found;

	if (!recording->connected)
		PrivilegedBegin(&recording->state);
	recording->connected = true;
	PrivilegedExecute(plan, query, nargs, (Oid *) types, arguments, isNull, false);
	MemoryContextSwitchTo(context);
	found = SPI_processed == 1;
	for (int i = 0; found && i < nresults; i++)
	{
		TupleDesc	desc = SPI_tuptable->tupdesc;
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		results[i] = SPI_getbinval(SPI_tuptable->vals[0], desc, i + 1, &noResults[i]);
		if (!noResults[i])
			results[i] = datumCopy(results[i], attribute->attbyval, attribute->attlen);
	}
	SPI_freetuptable(SPI_tuptable);
	return found;
}

/* ---- writing entries ---- */

static Datum
textOrNull(const char *string, bool *isnull)
{
	*isnull = string == NULL;
	return string == NULL ? (Datum) 0 : CStringGetTextDatum(string);
}

/* What was done: the command that the user called, or the statement itself. */
static char *
actionName(const Recording *recording, const char *verb)
{
	char	   *command = OidIsValid(outermostCommand) ? get_func_name(outermostCommand) : NULL;

	return command != NULL ? command :
		psprintf("%s on %s", verb, RelationGetRelationName(recording->rel));
}

/*
 * Who acts, as they claim: commands have verified it, and signing out records
 * a session that is not valid any more.
 */
static void
fillActor(Datum *values, bool *nulls, const Identity *who)
{
	bool		isUser = who->kind == IDENTITY_USER || who->kind == IDENTITY_SESSION;
	const char *kind = who->kind == IDENTITY_USER ? "assertion" :
		who->kind == IDENTITY_SESSION ? "session" :
		who->kind == IDENTITY_TOKEN ? "project token" : NULL;
	bool		isnull;

	nulls[LOG_ACTOR] = !isUser;
	values[LOG_ACTOR] = UUIDPGetDatum(&who->subject);
	nulls[LOG_ACTOR_NAME] = !isUser ||
		!findValue("users", values[LOG_ACTOR], "name",
				   &values[LOG_ACTOR_NAME], &isnull);
	values[LOG_CREDENTIAL_KIND] = textOrNull(kind, &nulls[LOG_CREDENTIAL_KIND]);
	nulls[LOG_CREDENTIAL] = who->kind != IDENTITY_SESSION && who->kind != IDENTITY_TOKEN;
	values[LOG_CREDENTIAL] = UUIDPGetDatum(&who->credential);
	values[LOG_LOGIN_ROLE] = textOrNull(GetUserNameFromId(GetSessionUserId(), true),
										&nulls[LOG_LOGIN_ROLE]);
	values[LOG_ACTING_ROLE] = textOrNull(GetUserNameFromId(GetOuterUserId(), true),
										 &nulls[LOG_ACTING_ROLE]);
}

/*
 * Lock the end of a chain in its newest version, whatever the transaction's
 * snapshot: the log has one order.  NULL if there is none.
 */
static TupleTableSlot *
lockHead(Relation heads, Datum chain)
{
	TupleTableSlot *slot;
	HeapTuple	tuple = findTuple(heads, chain);
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

/* The same, for a chain that may have to be begun. */
static TupleTableSlot *
requireHead(Recording *recording, Relation heads, Datum chain)
{
	Oid			type = UUIDOID;
	TupleTableSlot *slot;

	while ((slot = lockHead(heads, chain)) == NULL)
	{
		ask(recording, &beginPlan,
			"INSERT INTO tenancy.audit_heads (chain) VALUES ($1) ON CONFLICT DO NOTHING",
			1, &type, &chain, NULL, 0, NULL, NULL);
		CommandCounterIncrement();
	}
	return slot;
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
sealPersonal(Datum *values, bool *nulls)
{
	bool		isEmpty = nulls[LOG_ACTOR_NAME] && nulls[LOG_PERSONAL];
	bytea	   *salt = palloc(VARHDRSZ + SALT_LENGTH);

	nulls[LOG_SALT] = nulls[LOG_PERSONAL_HASH] = isEmpty;
	if (isEmpty)
		return;
	SET_VARSIZE(salt, VARHDRSZ + SALT_LENGTH);
	fillSalt(VARDATA(salt));
	values[LOG_SALT] = PointerGetDatum(salt);
	values[LOG_PERSONAL_HASH] =
		PointerGetDatum(hashColumns(values, nulls, LOG_SALT, LOG_PERSONAL));
}

/* Write the changes of one chain, whose first is given. */
static void
writeChain(Recording *recording, Change *changes, int n, const Identity *who)
{
	Relation	log = openTable("audit_log", RowExclusiveLock);
	Relation	heads = openTable("audit_heads", RowExclusiveLock);
	CatalogIndexState indexes = CatalogOpenIndexes(log);
	Datum		values[LOG_COLUMNS];
	bool		nulls[LOG_COLUMNS] = {false};
	Datum		end[HEAD_COLUMNS];
	bool		endNulls[HEAD_COLUMNS] = {false};
	TupleTableSlot *head;
	ItemPointerData place;
	int64		number;

	if (RelationGetDescr(log)->natts != LOG_COLUMNS ||
		RelationGetDescr(heads)->natts != HEAD_COLUMNS)
		elog(ERROR, "the audit log has other columns");
	fillActor(values, nulls, who);
	values[LOG_CHAIN] = UUIDPGetDatum(&changes->chain);
	values[LOG_ORGANIZATION] = values[LOG_CHAIN];
	nulls[LOG_ORGANIZATION] = !changes->ofOrganization;
	values[LOG_RELATION] = CStringGetTextDatum(RelationGetRelationName(recording->rel));

	head = requireHead(recording, heads, values[LOG_CHAIN]);
	slot_getallattrs(head);
	number = DatumGetInt64(head->tts_values[HEAD_ENTRIES]);
	/* time does not run backwards in a chain */
	values[LOG_AT] = TimestampTzGetDatum(Max(DatumGetTimestampTz(head->tts_values[HEAD_LAST_AT]),
											 GetCurrentTimestamp()));
	values[LOG_PREVIOUS] = head->tts_values[HEAD_HASH];
	place = head->tts_tid;

	for (int i = 0; i < n; i++)
	{
		values[LOG_NUMBER] = Int64GetDatum(++number);
		values[LOG_ACTION] = CStringGetTextDatum(actionName(recording, changes[i].verb));
		values[LOG_ROW_KEY] = textOrNull(changes[i].key, &nulls[LOG_ROW_KEY]);
		values[LOG_OLD] = JsonbPGetDatum(changes[i].before);
		nulls[LOG_OLD] = changes[i].before == NULL;
		values[LOG_NEW] = JsonbPGetDatum(changes[i].after);
		nulls[LOG_NEW] = changes[i].after == NULL;
		values[LOG_PERSONAL] = JsonbPGetDatum(changes[i].personal);
		nulls[LOG_PERSONAL] = changes[i].personal == NULL;
		sealPersonal(values, nulls);
		values[LOG_HASH] = PointerGetDatum(hashColumns(values, nulls, 0, LOG_HASH - 1));
		CatalogTupleInsertWithInfo(log, heap_form_tuple(RelationGetDescr(log), values, nulls),
								   indexes);
		values[LOG_PREVIOUS] = values[LOG_HASH];
	}

	end[HEAD_CHAIN] = values[LOG_CHAIN];
	end[HEAD_ENTRIES] = Int64GetDatum(number);
	end[HEAD_LAST_AT] = values[LOG_AT];
	end[HEAD_HASH] = values[LOG_HASH];
	CatalogTupleUpdate(heads, &place, heap_form_tuple(RelationGetDescr(heads), end, endNulls));
	ExecDropSingleTupleTableSlot(head);
	CatalogCloseIndexes(indexes);
	table_close(heads, NoLock);
	table_close(log, NoLock);
	/* the next statement's entries go on from here */
	CommandCounterIncrement();
}

/* By chain: heads are locked in one order. */
static int
compareChanges(const void *a, const void *b)
{
	const Change *x = a;
	const Change *y = b;
	int			order = memcmp(&x->chain, &y->chain, UUID_LEN);

	return order != 0 ? order : x->place - y->place;
}

static void
writeChanges(Recording *recording)
{
	MemoryContext previous = MemoryContextSwitchTo(recording->context);
	Identity	who;
	int			first = 0;

	IdentityRead(&who);
	qsort(recording->changes, recording->nchanges, sizeof(Change), compareChanges);
	for (int i = 1; i <= recording->nchanges; i++)
	{
		if (i < recording->nchanges &&
			memcmp(&recording->changes[i].chain, &recording->changes[first].chain, UUID_LEN) == 0)
			continue;
		writeChain(recording, &recording->changes[first], i - first, &who);
		first = i;
	}
	recording->nchanges = 0;
	MemoryContextSwitchTo(previous);
	MemoryContextReset(recording->context);
}

static void
addChange(Recording *recording, const char *verb, const pg_uuid_t *chain,
		  bool ofOrganization, char *key, Jsonb *before, Jsonb *after, Jsonb *personal)
{
	Change	   *change = &recording->changes[recording->nchanges];

	change->chain = *chain;
	change->ofOrganization = ofOrganization;
	change->verb = verb;
	change->key = key;
	change->before = before;
	change->after = after;
	change->personal = personal;
	change->place = recording->nchanges++;
}

/* ---- which changes are recorded ---- */

/* The organization of a project, unless the project is gone. */
static bool
projectOrganization(Recording *recording, const pg_uuid_t *project, pg_uuid_t *organization)
{
	Datum		value;
	bool		isnull;

	if (!recording->known || memcmp(&recording->project, project, UUID_LEN) != 0)
	{
		recording->known = true;
		recording->project = *project;
		recording->projectFound =
			findValue("projects", UUIDPGetDatum(project), "organization_id", &value, &isnull);
		if (recording->projectFound)
			recording->projectOrganization = *DatumGetUUIDP(value);
	}
	*organization = recording->projectOrganization;
	return recording->projectFound;
}

/*
 * The chain that a row belongs to.  None for the token of a project that is
 * gone: the deletion of the project stands for it.
 */
static bool
chainOf(Recording *recording, TupleTableSlot *slot, pg_uuid_t *chain, bool *ofOrganization)
{
	bool		isnull;
	Datum		value;

	memset(chain, 0, sizeof(*chain));
	*ofOrganization = strcmp(recording->owner, "organization") == 0 ||
		strcmp(recording->owner, "project") == 0;
	if (strcmp(recording->owner, "none") == 0)
		return true;
	value = slot_getattr(slot, recording->column, &isnull);
	if (isnull)
		return true;
	if (strcmp(recording->owner, "project") == 0)
		return projectOrganization(recording, DatumGetUUIDP(value), chain);
	*chain = *DatumGetUUIDP(value);
	return true;
}

static bool
userExists(Datum user)
{
	Datum		value;
	bool		isnull;

	return findValue("users", user, "id", &value, &isnull);
}

/*
 * Does an update change anything worth an entry?  Not what every command
 * raises, and not the name of an account that has been deleted, which has an
 * entry of its own: this one would need the chain of an organization that
 * nobody has locked.
 */
static bool
isWorthAnEntry(TupleTableSlot *before, TupleTableSlot *after)
{
	TupleDesc	desc = before->tts_tupleDescriptor;

	slot_getallattrs(before);
	slot_getallattrs(after);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (attribute->attisdropped || isBookkeeping(NameStr(attribute->attname)))
			continue;
		if (before->tts_isnull[i] && after->tts_isnull[i])
			continue;
		if (!before->tts_isnull[i] && !after->tts_isnull[i] &&
			datum_image_eq(before->tts_values[i], after->tts_values[i],
						   attribute->attbyval, attribute->attlen))
			continue;
		if (isOrigin(NameStr(attribute->attname)) && after->tts_isnull[i] &&
			!userExists(before->tts_values[i]))
			continue;
		return true;
	}
	return false;
}

/*
 * Is this what the log says of the row already?  So it is when a dump is
 * restored, in which the log comes first, by its name.
 */
static bool
isKnown(Recording *recording, char *key, Jsonb *after)
{
	Oid			types[3] = {TEXTOID, TEXTOID, JSONBOID};
	Datum		values[3];
	Datum		same;
	bool		isnull;

	if (commandDepth > 0)
		return false;
	values[0] = CStringGetTextDatum(key);
	values[1] = CStringGetTextDatum(RelationGetRelationName(recording->rel));
	values[2] = JsonbPGetDatum(after);
	return ask(recording, &latestPlan,
			   "SELECT (l.new_row OPERATOR(pg_catalog.-) '{invited_by,created_by}'::pg_catalog.text[])"
			   " OPERATOR(pg_catalog.=)"
			   " ($3 OPERATOR(pg_catalog.-) '{invited_by,created_by}'::pg_catalog.text[])"
			   " FROM tenancy.audit_log l"
			   " WHERE l.row_key OPERATOR(pg_catalog.=) $1 AND l.relation OPERATOR(pg_catalog.=) $2"
			   " ORDER BY l.at DESC, l.number DESC LIMIT 1",
			   3, types, values, NULL, 1, &same, &isnull) &&
		!isnull && DatumGetBool(same);
}

static void
recordInsert(Recording *recording, TupleTableSlot *slot)
{
	pg_uuid_t	chain;
	bool		ofOrganization;
	char	   *key = rowKey(recording, slot);
	Jsonb	   *after = rowImage(recording, slot, false);

	if (chainOf(recording, slot, &chain, &ofOrganization) && !isKnown(recording, key, after))
		addChange(recording, "insert", &chain, ofOrganization, key, NULL, after,
				  personalImage(recording, NULL, slot));
}

static void
recordDelete(Recording *recording, TupleTableSlot *slot)
{
	pg_uuid_t	chain;
	bool		ofOrganization;

	if (chainOf(recording, slot, &chain, &ofOrganization))
		addChange(recording, "delete", &chain, ofOrganization, rowKey(recording, slot),
				  rowImage(recording, slot, false), NULL, personalImage(recording, slot, NULL));
}

/*
 * A row that gets another key goes, and another one comes.  One that moves to
 * another organization is in the history of both.
 */
static void
recordUpdate(Recording *recording, TupleTableSlot *old, TupleTableSlot *new)
{
	pg_uuid_t	from;
	pg_uuid_t	to;
	bool		ofOrganization;
	char	   *oldKey;
	char	   *newKey;
	Jsonb	   *before;
	Jsonb	   *after;
	Jsonb	   *personal;

	if (!isWorthAnEntry(old, new))
		return;
	oldKey = rowKey(recording, old);
	newKey = rowKey(recording, new);
	before = rowImage(recording, old, false);
	after = rowImage(recording, new, false);
	if (!chainOf(recording, old, &from, &ofOrganization) ||
		!chainOf(recording, new, &to, &ofOrganization))
		return;
	/* where only what is not shown has changed, the log cannot know */
	if (compareJsonbContainers(&before->root, &after->root) != 0 &&
		isKnown(recording, newKey, after))
		return;
	personal = personalImage(recording, old, new);
	if (strcmp(oldKey, newKey) != 0)
	{
		addChange(recording, "update", &from, ofOrganization, oldKey, before, NULL, personal);
		addChange(recording, "update", &to, ofOrganization, newKey, NULL, after, personal);
		return;
	}
	if (memcmp(&from, &to, sizeof(from)) != 0)
		addChange(recording, "update", &from, ofOrganization, oldKey, before, after, personal);
	addChange(recording, "update", &to, ofOrganization, newKey, before, after, personal);
}

/* ---- the triggers ---- */

/* Begin to read a transition table; NULL if the event has none. */
static TupleTableSlot *
beginReading(Tuplestorestate *store, TupleDesc desc)
{
	if (store == NULL)
		return NULL;
	tuplestore_select_read_pointer(store, tuplestore_alloc_read_pointer(store, EXEC_FLAG_REWIND));
	tuplestore_rescan(store);
	return MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
}

/* Is there another row?  Both tables have their rows in the same order. */
static bool
readRow(Tuplestorestate *store, TupleTableSlot *slot)
{
	return store != NULL && tuplestore_gettupleslot(store, true, false, slot);
}

static void
recordRows(Recording *recording, TriggerData *trigger)
{
	TupleDesc	desc = RelationGetDescr(recording->rel);
	TupleTableSlot *old = beginReading(trigger->tg_oldtable, desc);
	TupleTableSlot *new = beginReading(trigger->tg_newtable, desc);

	for (;;)
	{
		bool		isOld = readRow(trigger->tg_oldtable, old);
		bool		isNew = readRow(trigger->tg_newtable, new);
		MemoryContext previous;

		if (!isOld && !isNew)
			break;
		/* a row makes two entries at most */
		if (recording->nchanges > BATCH - 2)
			writeChanges(recording);
		previous = MemoryContextSwitchTo(recording->context);
		if (isOld && isNew)
			recordUpdate(recording, old, new);
		else if (isNew)
			recordInsert(recording, new);
		else
			recordDelete(recording, old);
		MemoryContextSwitchTo(previous);
		if (recording->nchanges == 0)
			MemoryContextReset(recording->context);
	}
	if (old != NULL)
		ExecDropSingleTupleTableSlot(old);
	if (new != NULL)
		ExecDropSingleTupleTableSlot(new);
}

/* One entry for all rows of the table. */
static void
recordTruncate(Recording *recording)
{
	pg_uuid_t	none = {{0}};

	addChange(recording, "truncate", &none, false, NULL, NULL, NULL, NULL);
}

/*
 * tenancy_record_changes -- trigger: put what a statement did into the log.
 *
 * AFTER, for each statement, with transition tables.  Its arguments: whose
 * chain, the column that names the owner, and those that are personal.  Not ENABLE ALWAYS: what is
 * replicated was recorded where it was done.
 */
Datum
tenancy_record_changes(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	MemoryContext previous = CurrentMemoryContext;
	Recording  *recording;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_AFTER(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event) ||
		trigger->tg_trigger->tgnargs < 2)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("tenancy._record_changes() can only be called as a trigger of the extension")));

	recording = palloc(sizeof(Recording));
	memset(recording, 0, offsetof(Recording, changes));
	recording->rel = trigger->tg_relation;
	recording->owner = trigger->tg_trigger->tgargs[0];
	recording->column = SPI_fnumber(RelationGetDescr(recording->rel), trigger->tg_trigger->tgargs[1]);
	recording->npersonal = trigger->tg_trigger->tgnargs - 2;
	recording->personal = trigger->tg_trigger->tgargs + 2;
	recording->keys = RelationGetIndexAttrBitmap(recording->rel, INDEX_ATTR_BITMAP_PRIMARY_KEY);
	recording->context = AllocSetContextCreate(CurrentMemoryContext,
											   "tenancy audit entries", ALLOCSET_DEFAULT_SIZES);
	if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
		recordTruncate(recording);
	else
		recordRows(recording, trigger);
	writeChanges(recording);
	if (recording->connected)
		PrivilegedEnd(&recording->state);
	MemoryContextSwitchTo(previous);
	PG_RETURN_POINTER(NULL);
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
