/*
 * distribution.c
 *		Identities that travel between the nodes of a Citus cluster.
 *
 * Citus sends a query's tasks to other nodes, over connections of the current
 * role.  The policies hold there, too, and every node has the rows that they ask
 * (sql/79_distribution.sql), so all that has to travel is who acts.  Before a
 * distributed query starts, this file has Citus send
 *
 *	SET LOCAL tenancy.claim = 'mac version generation time kind subject credential project role'
 *
 * to the nodes that take part in the transaction, and to those that will.  The
 * mac is made with a secret that tenancy.distribute() has left on all nodes, for
 * one role: it counts for a session of that role, for MAX_AGE, and for the
 * transaction in which it was set.  What it claims is then looked up like any
 * identity's, so whoever has lost access has lost it on every node.
 *
 * A connection of Citus's own without a claim is nobody's, also where its role
 * is bound to a user: the session that it works for may be another login's.  On
 * any other connection an identity is established as it is everywhere.
 *
 * None of this runs where Citus is not loaded.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/parallel.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "common/hmac.h"
#include "common/int.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/extensible.h"
#include "tcop/dest.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "access.h"
#include "compat.h"
#include "credential.h"
#include "distribution.h"
#include "invalidation.h"
#include "lookup.h"
#include "version.h"

#define PROPAGATE	"citus.propagate_set_commands"

/* Seconds for which a claim may be set, and after which a new one is sent. */
#define MAX_AGE		120
#define FRESH		30

#define SECRET_LENGTH	32
#define MAX_PAYLOAD		512
#define MAC_TEXT		(2 * PG_SHA256_DIGEST_LENGTH)

/* What tenancy.distribute() has left in tenancy.cluster. */
typedef struct Cluster
{
	pg_uuid_t	generation;
	uint8		secret[SECRET_LENGTH];
} Cluster;

/* In memory of the setting. */
typedef struct Travelled
{
	bool		trusted;
	Identity	who;
} Travelled;

/* What was last sent. */
typedef struct Sent
{
	bool		valid;			/* in this transaction and savepoint */
	Identity	who;
	Oid			user;
	TimestampTz at;
} Sent;

static char *claimSetting = NULL;
static const Travelled *travelled = NULL;
static struct config_generic *claimRecord;

static Sent sent;
static bool sending = false;	/* the setting is meant for other nodes */
static bool changedHere = false;	/* this transaction has changed access */
static int	running = 0;		/* distributed queries, one in the other */

static ExecutorStart_hook_type previousStart = NULL;
static ExecutorRun_hook_type previousRun = NULL;

PG_FUNCTION_INFO_V1(tenancy_note_change);
PG_FUNCTION_INFO_V1(tenancy_is_distributed);

/* ---- tables ---- */

/* DistributionHasTable -- is it in Citus's own catalog? */
bool
DistributionHasTable(Oid relid)
{
	Oid			catalog = get_relname_relid("pg_dist_partition", PG_CATALOG_NAMESPACE);
	Oid			index = get_relname_relid("pg_dist_partition_logical_relid_index", PG_CATALOG_NAMESPACE);
	Relation	rel;
	ScanKeyData key;
	SysScanDesc scan;
	bool		found;

	if (!OidIsValid(catalog))
		return false;
	rel = table_open(catalog, AccessShareLock);
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel, index, OidIsValid(index), NULL, 1, &key);
	found = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/*
 * tenancy_is_distributed -- the same for SQL.
 *
 * tenancy._is_distributed(relation regclass) → boolean.
 */
Datum
tenancy_is_distributed(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(DistributionHasTable(PG_GETARG_OID(0)));
}

/* ---- the secret ---- */

static Datum
columnOf(HeapTuple row, TupleDesc desc, const char *name)
{
	bool		isnull;
	Datum		value = heap_getattr(row, SPI_fnumber(desc, name), desc, &isnull);

	if (isnull)
		elog(ERROR, "column \"%s\" of tenancy.cluster is null", name);
	return value;
}

static bool
scanCluster(Cluster *cluster)
{
	Oid			relid = get_relname_relid("cluster", get_namespace_oid("tenancy", true));
	Relation	rel;
	Snapshot	snapshot;
	SysScanDesc scan;
	HeapTuple	row;
	bool		found;

	if (!OidIsValid(relid))
		return false;
	rel = table_open(relid, AccessShareLock);
	snapshot = RegisterSnapshot(GetCatalogSnapshot(relid));
	scan = systable_beginscan(rel, InvalidOid, false, snapshot, 0, NULL);
	row = systable_getnext(scan);
	found = HeapTupleIsValid(row);
	if (found)
	{
		TupleDesc	desc = RelationGetDescr(rel);
		bytea	   *secret = DatumGetByteaPP(columnOf(row, desc, "secret"));

		cluster->generation = *DatumGetUUIDP(columnOf(row, desc, "generation"));
		found = VARSIZE_ANY_EXHDR(secret) == SECRET_LENGTH;
		if (found)
			memcpy(cluster->secret, VARDATA_ANY(secret), SECRET_LENGTH);
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(rel, NoLock);
	return found;
}

/*
 * False where tenancy.distribute() was not run, or the extension is missing.
 *
 * Kept until something changes: to scan the table for every claim costs as much
 * as the rest of it.
 */
static bool
readCluster(Cluster *cluster)
{
	static Cluster kept;
	static uint64 keptAsOf = 0;
	uint64		now;

	AcceptInvalidationMessages();
	now = InvalidationOfAnything();
	if (keptAsOf != now)
	{
		/* what arrives while it is read makes it be read again */
		keptAsOf = 0;
		if (!scanCluster(&kept))
			return false;
		keptAsOf = now;
	}
	*cluster = kept;
	return true;
}

/* Of the role's name and the payload. */
static void
computeHmac(const uint8 *secret, const char *role, const char *payload,
			uint8 mac[PG_SHA256_DIGEST_LENGTH])
{
	pg_hmac_ctx *context = pg_hmac_create(PG_SHA256);

	/* with the zero that ends a text, so that none can run into the other */
	if (context == NULL ||
		pg_hmac_init(context, secret, SECRET_LENGTH) < 0 ||
		pg_hmac_update(context, (const uint8 *) role, strlen(role) + 1) < 0 ||
		pg_hmac_update(context, (const uint8 *) payload, strlen(payload) + 1) < 0 ||
		pg_hmac_final(context, mac, PG_SHA256_DIGEST_LENGTH) < 0)
		elog(ERROR, "could not compute HMAC");
	pg_hmac_free(context);
}

/*
 * For a session of that role.  The last one is remembered with all that it was
 * computed from, since a session often works for the same person for a while.
 */
static void
computeMac(const Cluster *cluster, const char *payload, Oid role,
		   uint8 mac[PG_SHA256_DIGEST_LENGTH])
{
	static struct
	{
		bool		known;
		uint8		secret[SECRET_LENGTH];
		char		role[NAMEDATALEN];
		char		payload[MAX_PAYLOAD];
		uint8		mac[PG_SHA256_DIGEST_LENGTH];
	}			last;
	char	   *name = GetUserNameFromId(role, false);

	if (!last.known || strcmp(last.payload, payload) != 0 || strcmp(last.role, name) != 0 ||
		memcmp(last.secret, cluster->secret, SECRET_LENGTH) != 0)
	{
		last.known = false;
		computeHmac(cluster->secret, name, payload, mac);
		if (strlen(payload) >= MAX_PAYLOAD)
			return;
		memcpy(last.secret, cluster->secret, SECRET_LENGTH);
		strlcpy(last.role, name, NAMEDATALEN);
		strlcpy(last.payload, payload, MAX_PAYLOAD);
		memcpy(last.mac, mac, PG_SHA256_DIGEST_LENGTH);
		last.known = true;
	}
	else
		memcpy(mac, last.mac, PG_SHA256_DIGEST_LENGTH);
}

/* ---- a claim as text ---- */

static char
letterOf(IdentityKind kind)
{
	switch (kind)
	{
		case IDENTITY_USER:
			return 'u';
		case IDENTITY_SESSION:
			return 's';
		case IDENTITY_TOKEN:
			return 't';
		case IDENTITY_ROLE:
			return 'r';
		default:
			return 'n';
	}
}

static IdentityKind
kindOf(char letter)
{
	return letter == 'u' ? IDENTITY_USER : letter == 's' ? IDENTITY_SESSION :
		letter == 't' ? IDENTITY_TOKEN : letter == 'r' ? IDENTITY_ROLE : IDENTITY_NOBODY;
}

static char *
uuidText(const pg_uuid_t *id)
{
	return DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(id)));
}

/* What is signed; roles have other oids elsewhere, so they go by name. */
static char *
composePayload(const Cluster *cluster, const Identity *who, TimestampTz now)
{
	const pg_uuid_t none = {{0}};
	bool		isRole = who->kind == IDENTITY_ROLE;

	return psprintf("%s %s " INT64_FORMAT " %c %s %s %s %s", TENANCY_VERSION,
					uuidText(&cluster->generation), now, letterOf(who->kind),
					uuidText(isRole ? &none : &who->subject), uuidText(&who->credential),
					who->narrowed ? uuidText(&who->project) : "-",
					isRole ? GetUserNameFromId(RoleOfId(&who->subject), false) : "");
}

/* The next word; the rest of the text moves on behind it. */
static char *
nextWord(char **rest)
{
	char	   *word = *rest;
	char	   *end = word != NULL ? strchr(word, ' ') : NULL;

	if (end != NULL)
		*end++ = '\0';
	*rest = end;
	return word != NULL ? word : "";
}

static bool
readUuid(char **rest, pg_uuid_t *id)
{
	char	   *word = nextWord(rest);

	return ParseUuid(word, strlen(word), id);
}

static bool
refuse(int code, char *message, char *hint)
{
	GUC_check_errcode(code);
	GUC_check_errmsg("%s", message);
	if (hint != NULL)
		GUC_check_errhint("%s", hint);
	return false;
}

static bool
readMac(const char *text, uint8 mac[PG_SHA256_DIGEST_LENGTH])
{
	if (strlen(text) != MAC_TEXT || strspn(text, "0123456789abcdef") != MAC_TEXT)
		return false;
	hex_decode(text, MAC_TEXT, (char *) mac);
	return true;
}

/*
 * Take a claim apart.  An error says that the nodes do not fit together; what
 * is forged, another role's or too old is not trusted, and found out at its use:
 * of several that Citus repeats for a new connection the last one counts.
 */
static bool
parseClaim(const char *value, Travelled *result)
{
	char	   *rest = pstrdup(value);
	char	   *macText = nextWord(&rest);
	char	   *payload = rest != NULL ? pstrdup(rest) : NULL;
	char	   *version = nextWord(&rest);
	uint8		claimed[PG_SHA256_DIGEST_LENGTH];
	uint8		computed[PG_SHA256_DIGEST_LENGTH];
	Cluster		cluster;
	pg_uuid_t	generation;
	int64		age;
	bool		isAged;
	Identity   *who = &result->who;
	char	   *letter;
	char	   *project;

	if (payload == NULL || !readMac(macText, claimed))
		return refuse(ERRCODE_INVALID_PARAMETER_VALUE, "claim is malformed", NULL);
	if (strcmp(version, TENANCY_VERSION) != 0)
		return refuse(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
					  psprintf("the library of extension \"tenancy\" on this node is version %s, on the node that asks it is another",
							   TENANCY_VERSION),
					  "Install the same version on all nodes, and restart them.");
	if (!readUuid(&rest, &generation) || !readCluster(&cluster) ||
		memcmp(&generation, &cluster.generation, UUID_LEN) != 0)
		return refuse(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
					  "this node has not taken part in the last tenancy.distribute()",
					  "Run SELECT tenancy.distribute() on the coordinator.");
	isAged = pg_sub_s64_overflow(GetCurrentTimestamp(), pg_strtoint64(nextWord(&rest)), &age) ||
		age > MAX_AGE * USECS_PER_SEC || age < -MAX_AGE * USECS_PER_SEC;
	letter = nextWord(&rest);
	who->kind = kindOf(*letter);
	if (!readUuid(&rest, &who->subject) || !readUuid(&rest, &who->credential))
		return refuse(ERRCODE_INVALID_PARAMETER_VALUE, "claim is malformed", NULL);
	project = nextWord(&rest);
	who->narrowed = ParseUuid(project, strlen(project), &who->project);
	if (who->kind == IDENTITY_ROLE)
		who->subject = RoleAsId(get_role_oid(rest != NULL ? rest : "", true));

	computeMac(&cluster, payload, GetSessionUserId(), computed);
	result->trusted = CredentialDigestEqual(claimed, computed) &&
		(IsParallelWorker() || !isAged);
	return true;
}

/* ---- the setting ---- */

static bool
checkClaim(char **newval, void **extra, GucSource source)
{
	Travelled	result = {.trusted = false};

	if (**newval == '\0' || sending)
		return true;
	/* it can ask for nothing yet, see claimOfLeader() */
	if (!InitializingParallelWorker)
	{
		if (source != PGC_S_SESSION || !IsTransactionState())
			return refuse(ERRCODE_INSUFFICIENT_PRIVILEGE, "a claim can only be set by a statement", NULL);
		if (!parseClaim(*newval, &result))
			return false;
	}
	*extra = AllocateForSetting(sizeof(result));
	if (*extra != NULL)
		memcpy(*extra, &result, sizeof(result));
	return *extra != NULL;
}

static void
assignClaim(const char *newval, void *extra)
{
	travelled = extra;
	IdentityMayHaveChanged();
}

/*
 * Whoever connects so by themselves is nobody, too.  What the connection began
 * with, which SET does not change, is what RESET goes back to.
 */
static bool
isConnectionOfCitus(void)
{
	static int	answer = -1;

	if (MyProcPort == NULL)
		return false;
	if (answer < 0)
	{
		const char *name = GetConfigOptionResetString("application_name");

		answer = name != NULL && strncmp(name, "citus_", 6) == 0;
	}
	return answer > 0;
}

/* What a parallel worker was given with its leader's settings. */
static const Travelled *
claimOfLeader(void)
{
	static Travelled claim;
	static bool known = false;

	if (!known && !parseClaim(claimSetting, &claim))
		claim.trusted = false;
	known = true;
	return &claim;
}

/* Who acts, as another node has said; false where that is for this session to say. */
static bool
readTravelled(Identity *who)
{
	if (travelled != NULL &&
		(IsParallelWorker() || IdentityIsOfThisTransaction(claimRecord)))
	{
		const Travelled *claim = IsParallelWorker() ? claimOfLeader() : travelled;

		if (!claim->trusted)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
					 errmsg("the identity that was sent to this node is not valid"),
					 errhint("Compare the clocks of the nodes.")));
		*who = claim->who;
		return true;
	}
	if (!isConnectionOfCitus())
		return false;
	memset(who, 0, sizeof(*who));
	return true;
}

/* ---- sending ---- */

static bool hasCitusScan(const Plan *plan);

/* NOLINTBEGIN(misc-no-recursion): plans are trees */
static bool
anyHasCitusScan(const List *plans)
{
	ListCell   *cell;

	foreach(cell, plans)
		if (hasCitusScan(lfirst(cell)))
			return true;
	return false;
}

/* Is there a part of the plan that Citus executes? */
static bool
hasCitusScan(const Plan *plan)
{
	if (plan == NULL)
		return false;
	check_stack_depth();
	if (IsA(plan, CustomScan))
		return strncmp(((const CustomScan *) plan)->methods->CustomName, "Citus ", 6) == 0;
	return hasCitusScan(plan->lefttree) || hasCitusScan(plan->righttree) ||
		(IsA(plan, Append) && anyHasCitusScan(((const Append *) plan)->appendplans)) ||
		(IsA(plan, MergeAppend) && anyHasCitusScan(((const MergeAppend *) plan)->mergeplans)) ||
		(IsA(plan, SubqueryScan) && hasCitusScan(((const SubqueryScan *) plan)->subplan));
}
/* NOLINTEND(misc-no-recursion) */

static bool
isDistributed(const QueryDesc *query)
{
	return hasCitusScan(query->plannedstmt->planTree) ||
		anyHasCitusScan(query->plannedstmt->subplans);
}

/*
 * Citus sends settings, and begins transactions that only read, in transaction
 * blocks only.  Elsewhere this is the block that the server makes around several
 * statements of one message, for as long as Citus looks: COMMIT in a procedure
 * must not meet it.
 */
static bool
beginBlock(void)
{
	bool		begins = !IsTransactionBlock();

	if (begins)
		BeginImplicitTransactionBlock();
	return begins;
}

static void
endBlock(bool begun)
{
	if (begun)
		EndImplicitTransactionBlock();
}

/* SET LOCAL tenancy.claim, executed like any statement, but not parsed. */
static void
setClaim(char *value)
{
	A_Const    *constant = makeNode(A_Const);
	VariableSetStmt *statement = makeNode(VariableSetStmt);
	PlannedStmt *planned = makeNode(PlannedStmt);

	constant->val.sval = *makeString(value);
	statement->kind = VAR_SET_VALUE;
	statement->name = "tenancy.claim";
	statement->args = list_make1(constant);
	statement->is_local = true;
	planned->commandType = CMD_UTILITY;
	planned->utilityStmt = (Node *) statement;
	ProcessUtility(planned, psprintf("SET LOCAL tenancy.claim = %s", quote_literal_cstr(value)),
				   false, PROCESS_UTILITY_QUERY, NULL, NULL, None_Receiver, NULL);
}

/* Hand a setting to Citus, which alone knows its connections. */
static void
propagate(char *value)
{
	int			level = NewGUCNestLevel();
	bool		begun = beginBlock();

	(void) set_config_option(PROPAGATE, "local", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	sending = true;
	PG_TRY();
	{
		setClaim(value);
	}
	PG_FINALLY();
	{
		sending = false;
		endBlock(begun);
	}
	PG_END_TRY();
	/* here it is not set: who acts in this session is known to it */
	AtEOXact_GUC(false, level);
}

/* Is anybody acting? */
static bool
isSomebody(const Identity *who)
{
	return who->kind == IDENTITY_ROLE ?
		AccessIsBound(AccessCurrent(who)) : who->kind != IDENTITY_NOBODY;
}

/*
 * Tell the other nodes on whose behalf the query runs, unless they know.
 *
 * In the middle of another query their connections are busy, so that one's
 * claim has to do for as long as it counts.
 */
static void
sendIdentity(void)
{
	Identity	who;
	Cluster		cluster;
	TimestampTz now;
	bool		isSame;
	bool		isFresh;
	uint8		mac[PG_SHA256_DIGEST_LENGTH];
	char		macText[MAC_TEXT + 1] = {0};
	char	   *payload;

	IdentityRead(&who);
	if (!isSomebody(&who))
	{
		if (!sent.valid)
			return;
		memset(&who, 0, sizeof(who));
	}
	else if (changedHere)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot query a distributed table in a transaction that has changed who has access"),
				 errdetail("Other nodes see the change when it is committed."),
				 errhint("Commit first.")));
	if (!readCluster(&cluster))
		return;
	now = GetCurrentTimestamp();
	isSame = sent.user == GetUserId() && memcmp(&sent.who, &who, sizeof(who)) == 0;
	isFresh = now >= sent.at && now - sent.at < FRESH * USECS_PER_SEC;
	if (sent.valid && isSame && (running > 0 || isFresh))
		return;
	if (isSame && isFresh)
		now = sent.at;			/* the same claim once more */
	payload = composePayload(&cluster, &who, now);
	computeMac(&cluster, payload, GetUserId(), mac);
	hex_encode((const char *) mac, PG_SHA256_DIGEST_LENGTH, macText);
	propagate(psprintf("%s %s", macText, payload));
	sent = (Sent) {.valid = true, .who = who, .user = GetUserId(), .at = now};
}

static void
executorStart(QueryDesc *queryDesc, int eflags)
{
	/* whoever bypasses row security does so on all nodes, whoever acts */
	if (!IsParallelWorker() && isDistributed(queryDesc) && !has_bypassrls_privilege(GetUserId()))
		sendIdentity();
	if (previousStart)
		previousStart(queryDesc, eflags);
	else
		standard_ExecutorStart(queryDesc, eflags);
}

static void
run(EXECUTOR_RUN_PARAMETERS)
{
	if (previousRun)
		previousRun(EXECUTOR_RUN_ARGUMENTS);
	else
		standard_ExecutorRun(EXECUTOR_RUN_ARGUMENTS);
}

static void
executorRun(EXECUTOR_RUN_PARAMETERS)
{
	bool		begun;

	if (!isDistributed(queryDesc))
	{
		run(EXECUTOR_RUN_ARGUMENTS);
		return;
	}
	begun = sent.valid && beginBlock();
	running++;
	PG_TRY();
	{
		run(EXECUTOR_RUN_ARGUMENTS);
	}
	PG_FINALLY();
	{
		running--;
		endBlock(begun);
	}
	PG_END_TRY();
}

/* ---- transactions ---- */

static void
xactCallback(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
		return;
	sent.valid = false;
	changedHere = false;
}

/* What was set in it is gone on some connections, or not repeated on new ones. */
static void
subxactCallback(SubXactEvent event, SubTransactionId mySubid,
				SubTransactionId parentSubid, void *arg)
{
	if (event == SUBXACT_EVENT_COMMIT_SUB || event == SUBXACT_EVENT_ABORT_SUB)
		sent.valid = false;
}

/*
 * tenancy_note_change -- this transaction has changed who has access.
 *
 * tenancy._note_change().
 */
Datum
tenancy_note_change(PG_FUNCTION_ARGS)
{
	changedHere = true;
	PG_RETURN_VOID();
}

void
DistributionInit(void)
{
	if (GetConfigOption(PROPAGATE, true, false) == NULL)
		return;
	DefineCustomStringVariable("tenancy.claim",
							   "Who acts, as another node of the cluster says.",
							   "Sent by the extension only.",
							   &claimSetting, "",
							   PGC_USERSET,
							   GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE | GUC_SUPERUSER_ONLY,
							   checkClaim, assignClaim, NULL);
	claimRecord = FindSetting("tenancy.claim");
	IdentityAskFirst(readTravelled);
	previousStart = ExecutorStart_hook;
	ExecutorStart_hook = executorStart;
	previousRun = ExecutorRun_hook;
	ExecutorRun_hook = executorRun;
	RegisterXactCallback(xactCallback, NULL);
	RegisterSubXactCallback(subxactCallback, NULL);
}
