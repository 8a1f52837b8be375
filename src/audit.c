/*
 * audit.c
 *		Who did what: the trigger that records changes of the extension's own
 *		tables.
 *
 * It fires once a statement and reads transition tables, so that what one
 * statement did to one organization is one entry, and a bulk load of a million
 * rows not a million entries.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/datum.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/rls.h"

#include "chain.h"
#include "command.h"
#include "compat.h"
#include "lookup.h"

/* A longer list of changes is split into several entries. */
#define CHANGES_PER_ENTRY	500

/* What happened to one row. */
typedef struct Change
{
	pg_uuid_t	chain;
	bool		ofOrganization;
	int			place;			/* keeps the order of one chain */
	const char *text;			/* JSON: key, old and new row */
	const char *personal;		/* JSON, NULL for a table without such columns */
} Change;

/* How to show a column of the table that changed. */
typedef struct Column
{
	const char *name;			/* NULL: not shown */
	Oid			type;
	bool		isPersonal;		/* says who somebody is */
	bool		isSecret;
	bool		isKey;
	FmgrInfo	output;
} Column;

/* The changes of one statement. */
typedef struct Recording
{
	Relation	rel;
	const char *owner;			/* whose chain: organization, project, user or none */
	int			ownerColumn;	/* the one that names the owner */
	const char *action;
	bool		hasPersonal;
	Column	   *columns;
	bool		known;			/* the last project that was looked up */
	pg_uuid_t	project;
	bool		projectFound;
	pg_uuid_t	projectOrganization;
	StringInfoData text;		/* of the change that is described */
	MemoryContext context;		/* holds the changes, until they are written */
	int			nchanges;
	int			space;
	Change	   *changes;
} Recording;

PG_FUNCTION_INFO_V1(tenancy_record_changes);

/* ---- what a row looked like ---- */

static bool
isSecret(const char *column)
{
	return strcmp(column, "digest") == 0 || strcmp(column, "token") == 0;
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

/* A value as JSON, the same whatever the settings of the session. */
static void
appendValue(StringInfo buf, Column *column, Datum value)
{
	char		buffer[MAXDATELEN + 1];
	const int	utc = 0;
	char	   *output;

	if (column->type == BOOLOID)
		appendStringInfoString(buf, DatumGetBool(value) ? "true" : "false");
	else if (column->type == TIMESTAMPTZOID)
	{
		JsonEncodeDateTime(buffer, value, TIMESTAMPTZOID, &utc);
		escape_json(buf, buffer);
	}
	else
	{
		output = OutputFunctionCall(&column->output, value);
		escape_json(buf, output);
		pfree(output);
	}
}

/* The row as JSON: its personal columns only, or all with those replaced. */
static void
appendRow(StringInfo buf, Recording *recording, TupleTableSlot *slot, bool personal)
{
	char		separator = '{';

	for (int i = 0; i < slot->tts_tupleDescriptor->natts; i++)
	{
		Column	   *column = &recording->columns[i];

		if (column->name == NULL || (personal && !column->isPersonal))
			continue;
		appendStringInfoChar(buf, separator);
		separator = ',';
		escape_json(buf, column->name);
		appendStringInfoChar(buf, ':');
		if (!personal && column->isPersonal)
			appendStringInfoString(buf, "\"(personal)\"");
		else if (slot->tts_isnull[i])
			appendStringInfoString(buf, "null");
		else if (column->isSecret)
			appendStringInfoString(buf, "\"(secret)\"");
		else
			appendValue(buf, column, slot->tts_values[i]);
	}
	appendStringInfoChar(buf, '}');
}

/* The primary key as text. */
static void
appendKey(StringInfo buf, Recording *recording, TupleTableSlot *slot)
{
	StringInfoData key;

	initStringInfo(&key);
	for (int i = 0; i < slot->tts_tupleDescriptor->natts; i++)
	{
		char	   *output;

		if (!recording->columns[i].isKey)
			continue;
		if (key.len > 0)
			appendStringInfoChar(&key, '/');
		output = OutputFunctionCall(&recording->columns[i].output, slot->tts_values[i]);
		appendStringInfoString(&key, output);
		pfree(output);
	}
	escape_json(buf, key.data);
	pfree(key.data);
}

static void
appendRows(StringInfo buf, Recording *recording, TupleTableSlot *old, TupleTableSlot *new,
		   bool personal)
{
	if (old != NULL)
	{
		appendStringInfoString(buf, "\"old\":");
		appendRow(buf, recording, old, personal);
	}
	if (new != NULL)
	{
		appendStringInfoString(buf, old != NULL ? ",\"new\":" : "\"new\":");
		appendRow(buf, recording, new, personal);
	}
}

/* ---- changes ---- */

/* Copy what was described, and begin anew. */
static const char *
take(Recording *recording)
{
	const char *copy = MemoryContextStrdup(recording->context, recording->text.data);

	resetStringInfo(&recording->text);
	return copy;
}

/* Room for one more change. */
static Change *
newChange(Recording *recording)
{
	if (recording->changes == NULL)
	{
		recording->space = 4;
		recording->changes = MemoryContextAlloc(recording->context,
												recording->space * sizeof(Change));
	}
	else if (recording->nchanges == recording->space)
	{
		recording->space *= 2;
		recording->changes = repalloc_huge(recording->changes,
										   recording->space * sizeof(Change));
	}
	return &recording->changes[recording->nchanges++];
}

/* A change of the row with the key of the one or the other, in one chain. */
static void
addChange(Recording *recording, const pg_uuid_t *chain, TupleTableSlot *old, TupleTableSlot *new)
{
	StringInfo	text = &recording->text;
	Change	   *change = newChange(recording);

	change->chain = *chain;
	change->ofOrganization = strcmp(recording->owner, "organization") == 0 ||
		strcmp(recording->owner, "project") == 0;
	change->place = recording->nchanges;

	appendStringInfoString(text, "{\"key\":");
	appendKey(text, recording, new != NULL ? new : old);
	appendStringInfoChar(text, ',');
	appendRows(text, recording, old, new, false);
	appendStringInfoChar(text, '}');
	change->text = take(recording);

	change->personal = NULL;
	if (recording->hasPersonal)
	{
		appendStringInfoChar(text, '{');
		appendRows(text, recording, old, new, true);
		appendStringInfoChar(text, '}');
		change->personal = take(recording);
	}
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

/*
 * How many changes, from the first given, make one entry?  Where rows say who
 * somebody is, each has its own, so that it can be erased.
 */
static int
countTogether(const Recording *recording, int first)
{
	const Change *changes = &recording->changes[first];
	int			most = Min(recording->nchanges - first,
						   recording->hasPersonal ? 1 : CHANGES_PER_ENTRY);
	int			n = 1;

	while (n < most && memcmp(&changes[n].chain, &changes->chain, UUID_LEN) == 0)
		n++;
	return n;
}

/* Their text, as an array. */
static char *
joinChanges(const Change *changes, int n)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < n; i++)
	{
		appendStringInfoChar(&buf, i == 0 ? '[' : ',');
		appendStringInfoString(&buf, changes[i].text);
	}
	appendStringInfoChar(&buf, ']');
	return buf.data;
}

static void
writeChanges(Recording *recording)
{
	MemoryContext previous = MemoryContextSwitchTo(recording->context);
	ChainEntry *entries = palloc_extended(sizeof(ChainEntry) * recording->nchanges,
										  MCXT_ALLOC_HUGE);
	int			nentries = 0;
	int			n;

	qsort(recording->changes, recording->nchanges, sizeof(Change), compareChanges);
	for (int first = 0; first < recording->nchanges; first += n)
	{
		const Change *change = &recording->changes[first];

		n = countTogether(recording, first);
		entries[nentries++] = (ChainEntry) {
			.chain = change->chain,
			.ofOrganization = change->ofOrganization,
			.relation = RelationGetRelationName(recording->rel),
			.action = recording->action,
			.changes = joinChanges(change, n),
			.personal = change->personal
		};
	}
	if (nentries > 0)
		ChainAppend(entries, nentries);
	recording->nchanges = recording->space = 0;
	recording->changes = NULL;
	MemoryContextSwitchTo(previous);
	MemoryContextReset(recording->context);
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
			LookupValue("projects", UUIDPGetDatum(project), "organization_id", &value, &isnull);
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
chainOf(Recording *recording, TupleTableSlot *slot, pg_uuid_t *chain)
{
	int			i = recording->ownerColumn - 1;
	Datum		value = slot->tts_values[i];

	memset(chain, 0, sizeof(*chain));
	if (strcmp(recording->owner, "none") == 0 || slot->tts_isnull[i])
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

	return LookupValue("users", user, "id", &value, &isnull);
}

/* Does a column have the same value in both? */
static bool
isUnchanged(TupleTableSlot *before, TupleTableSlot *after, int column)
{
	Form_pg_attribute attribute = TupleDescAttr(before->tts_tupleDescriptor, column);

	if (before->tts_isnull[column] || after->tts_isnull[column])
		return before->tts_isnull[column] && after->tts_isnull[column];
	return datum_image_eq(before->tts_values[column], after->tts_values[column],
						  attribute->attbyval, attribute->attlen);
}

/*
 * Does an update change anything worth an entry?  Not what every command
 * raises, and not the name of an account that has been deleted, which has an
 * entry of its own: this one would need the chain of an organization that
 * nobody has locked.
 */
static bool
isWorthAnEntry(Recording *recording, TupleTableSlot *before, TupleTableSlot *after)
{
	for (int i = 0; i < before->tts_tupleDescriptor->natts; i++)
	{
		const char *name = recording->columns[i].name;

		if (name == NULL || isUnchanged(before, after, i))
			continue;
		if (isOrigin(name) && after->tts_isnull[i] && !userExists(before->tts_values[i]))
			continue;
		return true;
	}
	return false;
}

/* Is it the same row, by its primary key? */
static bool
hasSameKey(Recording *recording, TupleTableSlot *before, TupleTableSlot *after)
{
	for (int i = 0; i < before->tts_tupleDescriptor->natts; i++)
		if (recording->columns[i].isKey && !isUnchanged(before, after, i))
			return false;
	return true;
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

	if (!isWorthAnEntry(recording, old, new) ||
		!chainOf(recording, old, &from) || !chainOf(recording, new, &to))
		return;
	if (!hasSameKey(recording, old, new))
	{
		addChange(recording, &from, old, NULL);
		addChange(recording, &to, NULL, new);
		return;
	}
	if (memcmp(&from, &to, sizeof(from)) != 0)
		addChange(recording, &from, old, new);
	addChange(recording, &to, old, new);
}

static void
recordRow(Recording *recording, TupleTableSlot *old, TupleTableSlot *new)
{
	pg_uuid_t	chain;

	if (old != NULL && new != NULL)
		recordUpdate(recording, old, new);
	else if (chainOf(recording, new != NULL ? new : old, &chain))
		addChange(recording, &chain, old, new);
}

/* ---- the trigger ---- */

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

/* Is there another row, with all of its columns?  Both tables have the same order. */
static bool
readRow(Tuplestorestate *store, TupleTableSlot *slot)
{
	if (store == NULL || !tuplestore_gettupleslot(store, true, false, slot))
		return false;
	slot_getallattrs(slot);
	return true;
}

static void
recordRows(Recording *recording, TriggerData *trigger)
{
	TupleDesc	desc = RelationGetDescr(recording->rel);
	TupleTableSlot *old = beginReading(trigger->tg_oldtable, desc);
	TupleTableSlot *new = beginReading(trigger->tg_newtable, desc);
	Size		limit = maintenance_work_mem * (Size) 1024;

	for (;;)
	{
		bool		isOld = readRow(trigger->tg_oldtable, old);
		bool		isNew = readRow(trigger->tg_newtable, new);

		if (!isOld && !isNew)
			break;
		recordRow(recording, isOld ? old : NULL, isNew ? new : NULL);
		if (MemoryContextMemAllocated(recording->context, false) > limit)
			writeChanges(recording);
	}
	if (old != NULL)
		ExecDropSingleTupleTableSlot(old);
	if (new != NULL)
		ExecDropSingleTupleTableSlot(new);
}

/* One change for all rows of the table. */
static void
recordTruncate(Recording *recording)
{
	Change	   *change = newChange(recording);

	memset(change, 0, sizeof(Change));
	change->text = "{}";
}

/* What was done: the command that the user called, or the statement itself. */
static const char *
actionName(const TriggerData *trigger)
{
	const char *command = CommandName();

	return command != NULL ? command :
		psprintf("%s on %s",
				 TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ? "insert" :
				 TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? "update" :
				 TRIGGER_FIRED_BY_DELETE(trigger->tg_event) ? "delete" : "truncate",
				 RelationGetRelationName(trigger->tg_relation));
}

static void
describeColumns(Recording *recording, int npersonal, char **personal)
{
	TupleDesc	desc = RelationGetDescr(recording->rel);
	Bitmapset  *keys = RelationGetIndexAttrBitmap(recording->rel, INDEX_ATTR_BITMAP_PRIMARY_KEY);

	recording->hasPersonal = npersonal > 0;
	recording->columns = palloc0(desc->natts * sizeof(Column));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);
		Column	   *column = &recording->columns[i];
		const char *name = NameStr(attribute->attname);
		Oid			output;
		bool		isVarlena;

		if (attribute->attisdropped || isBookkeeping(name))
			continue;
		column->name = name;
		column->type = attribute->atttypid;
		column->isSecret = isSecret(name);
		column->isKey = bms_is_member(attribute->attnum - FirstLowInvalidHeapAttributeNumber, keys);
		for (int j = 0; j < npersonal; j++)
			if (strcmp(name, personal[j]) == 0)
				column->isPersonal = true;
		getTypeOutputInfo(column->type, &output, &isVarlena);
		fmgr_info(output, &column->output);
	}
}

/*
 * Is this a restore?  The log is restored with the rows that it is about.  The
 * scripts of pg_dump turn row security off, and whoever logs in to run them is
 * exempt from it.
 */
static bool
isRestore(void)
{
	return CommandName() == NULL && !row_security &&
		has_bypassrls_privilege(GetSessionUserId());
}

/*
 * tenancy_record_changes -- trigger: put what a statement did into the log.
 *
 * AFTER, for each statement, with transition tables.  Its arguments: whose
 * chain, the column that names the owner, and those that are personal.  Not
 * ENABLE ALWAYS: what is replicated was recorded where it was done.
 */
Datum
tenancy_record_changes(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	Recording	recording = {0};

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_AFTER(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event) ||
		trigger->tg_trigger->tgnargs < 2)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("tenancy._record_changes() can only be called as a trigger of the extension")));
	if (isRestore())
		PG_RETURN_POINTER(NULL);

	recording.rel = trigger->tg_relation;
	recording.owner = trigger->tg_trigger->tgargs[0];
	recording.ownerColumn = SPI_fnumber(RelationGetDescr(recording.rel), trigger->tg_trigger->tgargs[1]);
	recording.action = actionName(trigger);
	recording.context = AllocSetContextCreate(CurrentMemoryContext,
											  "tenancy audit entries", ALLOCSET_DEFAULT_SIZES);
	describeColumns(&recording, trigger->tg_trigger->tgnargs - 2, trigger->tg_trigger->tgargs + 2);
	initStringInfo(&recording.text);
	if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
		recordTruncate(&recording);
	else
		recordRows(&recording, trigger);
	writeChanges(&recording);
	MemoryContextDelete(recording.context);
	PG_RETURN_POINTER(NULL);
}
