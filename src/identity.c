/*
 * identity.c
 *		Who is acting: the settings, act_as, authenticate.
 *
 * An identity lives in a setting and not in a static variable, so that
 * savepoints roll it back, parallel workers receive it and DISCARD ALL clears
 * it.  Two settings carry one:
 *
 *	tenancy.identity	written by this file only: a verified credential, or
 *						the user named to act_as()
 *	tenancy.user_id		SET LOCAL by a role that was granted the parameter
 *
 * Where neither counts, the login role is left, which may be bound to a user
 * (tenancy.bind_role()).  It is the session's user and not the current one, so
 * no SET ROLE and no SECURITY DEFINER function changes it; whom it stands for is
 * part of its access set (access.c).
 *
 * The invariant: a value counts only in the transaction that set it.  The
 * settings' own stacks tell whether that is this one.  The exception is a
 * session-wide identity, which carries the number of the current series; an
 * aborted transaction that changed the identity begins a new series, so that
 * no failure ever brings an earlier identity back.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "compat.h"
#include "credential.h"
#include "identity.h"
#include "invalidation.h"
#include "privileged.h"

static char *identitySetting = NULL;
static char *userSetting = NULL;
static char *projectSetting = NULL;

/* In memory of the settings; NULL where one is empty. */
static const Claim *identityClaim = NULL;
static const Claim *userClaim = NULL;
static const pg_uuid_t *currentProject = NULL;

static struct config_generic *identityRecord;
static struct config_generic *userRecord;

static uint64 epoch = 1;		/* see IdentityEpoch() */
static Oid	sessionUser = InvalidOid;	/* in this epoch */
static uint32 series = 1;		/* of session-wide identities */
static bool changed = false;	/* identity set in this transaction */
static bool writing = false;	/* this file is setting tenancy.identity */
static IdentityCounters counters;
static IdentitySource elsewhere = NULL;

static SPIPlanPtr sessionPlan = NULL;
static SPIPlanPtr tokenPlan = NULL;

PG_FUNCTION_INFO_V1(tenancy_act_as);
PG_FUNCTION_INFO_V1(tenancy_authenticate);
PG_FUNCTION_INFO_V1(tenancy_clear_identity);
PG_FUNCTION_INFO_V1(tenancy_session_id);

/* ---- the settings ---- */

/* Parse a setting's value; complains as check hooks do. */
static bool
checkUuid(const char *value, pg_uuid_t *id)
{
	if (ParseUuid(value, strlen(value), id))
		return true;
	GUC_check_errdetail("The value must be a uuid, or empty.");
	return false;
}

/* Hand something to the assign hook; false when there is no memory. */
static bool
passOn(void **extra, const void *data, size_t size)
{
	*extra = AllocateForSetting(size);
	if (*extra != NULL)
		memcpy(*extra, data, size);
	return *extra != NULL;
}

/* Who acts may be said by a statement, never by stored configuration. */
static bool
isSaidNow(GucSource source)
{
	if (source == PGC_S_SESSION)
		return true;
	GUC_check_errcode(ERRCODE_INSUFFICIENT_PRIVILEGE);
	GUC_check_errmsg("an identity can only be set by a statement");
	GUC_check_errhint("Use SET LOCAL in the transaction that needs it.");
	return false;
}

static bool
checkUser(char **newval, void **extra, GucSource source)
{
	Claim		claim = {.kind = IDENTITY_USER};

	if (**newval == '\0')
		return true;
	return checkUuid(*newval, &claim.subject) && isSaidNow(source) &&
		passOn(extra, &claim, sizeof(claim));
}

static bool
checkProject(char **newval, void **extra, GucSource source)
{
	pg_uuid_t	project;

	if (**newval == '\0')
		return true;
	return checkUuid(*newval, &project) && passOn(extra, &project, sizeof(project));
}

/* Parallel workers receive what the leader was allowed to set. */
static bool
checkIdentity(char **newval, void **extra, GucSource source)
{
	Claim		claim;

	if (**newval == '\0')
		return true;
	if (!writing && !InitializingParallelWorker)
	{
		GUC_check_errcode(ERRCODE_INSUFFICIENT_PRIVILEGE);
		GUC_check_errmsg("setting \"tenancy.identity\" cannot be set directly");
		GUC_check_errhint("Use tenancy.authenticate().");
		return false;
	}
	return (InitializingParallelWorker || isSaidNow(source)) &&
		ParseClaim(*newval, &claim) && passOn(extra, &claim, sizeof(claim));
}

void
IdentityMayHaveChanged(void)
{
	epoch++;
}

static void
assignProject(const char *newval, void *extra)
{
	currentProject = extra;
	IdentityMayHaveChanged();
}

/* What the end of a transaction or savepoint brings back is no such change. */
static void
claimHasChanged(void)
{
	IdentityMayHaveChanged();
	if (IsTransactionState())
		changed = true;
}

static void
assignUser(const char *newval, void *extra)
{
	userClaim = extra;
	claimHasChanged();
}

static void
assignIdentity(const char *newval, void *extra)
{
	identityClaim = extra;
	claimHasChanged();
}

/* Set one of our settings from C, whoever is the current user. */
static void
writeSetting(const char *name, const char *value, bool transactionOnly)
{
	writing = true;
	PG_TRY();
	{
		(void) set_config_option(name, value, PGC_SUSET, PGC_S_SESSION,
								 transactionOnly ? GUC_ACTION_LOCAL : GUC_ACTION_SET,
								 true, 0, false);
	}
	PG_FINALLY();
	{
		writing = false;
	}
	PG_END_TRY();
}

bool
IdentityIsOfThisTransaction(const struct config_generic *record)
{
	return record->stack != NULL && record->stack->state != GUC_SAVE;
}

/* ---- reading ---- */

/*
 * Does the value of tenancy.identity count now?  A worker believes its
 * leader, which has dropped what does not count (execution.c).
 */
static bool
identityCounts(void)
{
	return identityClaim != NULL &&
		(IsParallelWorker() || IdentityIsOfThisTransaction(identityRecord) ||
		 identityClaim->series == series);
}

static bool
userCounts(void)
{
	return userClaim != NULL &&
		(IsParallelWorker() || IdentityIsOfThisTransaction(userRecord));
}

/* What was said for this transaction goes before what is session-wide. */
static const Claim *
currentClaim(void)
{
	if (identityCounts() && (identityClaim->series == 0 || !userCounts()))
		return identityClaim;
	return userCounts() ? userClaim : NULL;
}

void
IdentityReadRole(Identity *who)
{
	memset(who, 0, sizeof(*who));
	who->kind = IDENTITY_ROLE;
	who->subject = RoleAsId(GetSessionUserId());
}

void
IdentityRead(Identity *who)
{
	const Claim *claim = currentClaim();

	if (elsewhere != NULL && elsewhere(who))
		return;
	if (claim == NULL)
		IdentityReadRole(who);
	else
	{
		memset(who, 0, sizeof(*who));
		who->kind = claim->kind;
		who->subject = claim->subject;
		who->credential = claim->credential;
	}
	if (currentProject != NULL)
	{
		who->narrowed = true;
		who->project = *currentProject;
	}
}

/* One source a backend. */
void
IdentityAskFirst(IdentitySource source)
{
	Assert(elsewhere == NULL);
	elsewhere = source;
}

IdentityCounters
IdentityCount(void)
{
	return counters;
}

uint64
IdentityEpoch(void)
{
	/* SET SESSION AUTHORIZATION tells nobody */
	if (unlikely(sessionUser != GetSessionUserId()))
	{
		sessionUser = GetSessionUserId();
		IdentityMayHaveChanged();
	}
	return epoch;
}

/* ---- the life of an identity ---- */

/* Empty whatever no longer counts, or everything. */
static void
dropIdentity(bool everything)
{
	if (identityClaim != NULL && (everything || !identityCounts()))
		writeSetting("tenancy.identity", "", false);
	if (userClaim != NULL && (everything || !userCounts()))
		writeSetting("tenancy.user_id", "", false);
}

void
IdentityDropEnded(void)
{
	if (!IsInParallelMode())
		dropIdentity(false);
}

static void
xactCallback(XactEvent event, void *arg)
{
	/* a worker gets its leader's settings in a transaction of its own */
	if (IsParallelWorker())
		return;
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			/* whoever signs in as somebody else ends a session-wide identity */
			if (identityClaim != NULL &&
				(userCounts() || identityClaim->series != series))
				writeSetting("tenancy.identity", "", false);
			if (userClaim != NULL)
				writeSetting("tenancy.user_id", "", false);
			break;
		case XACT_EVENT_ABORT:
			if (changed)
				series++;
			/* FALLTHROUGH */
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
			changed = false;
			IdentityMayHaveChanged();
			break;
		default:
			break;
	}
}

/* What a savepoint set may no longer count, or be of another level. */
static void
subxactCallback(SubXactEvent event, SubTransactionId mySubid,
				SubTransactionId parentSubid, void *arg)
{
	IdentityMayHaveChanged();
}

void
IdentityInit(void)
{
	DefineCustomStringVariable("tenancy.identity",
							   "The identity that authenticate() or act_as() established.",
							   "Written by the extension only.",
							   &identitySetting, "",
							   PGC_SUSET,
							   GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE,
							   checkIdentity, assignIdentity, NULL);
	DefineCustomStringVariable("tenancy.user_id",
							   "The user on whose behalf a trusted role acts.",
							   "Ends with its transaction.",
							   &userSetting, "",
							   PGC_SUSET,
							   GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE,
							   checkUser, assignUser, NULL);
	DefineCustomStringVariable("tenancy.project_id",
							   "The current project; narrows what is visible.",
							   NULL,
							   &projectSetting, "",
							   PGC_USERSET, GUC_NOT_IN_SAMPLE,
							   checkProject, assignProject, NULL);

	identityRecord = FindSetting("tenancy.identity");
	userRecord = FindSetting("tenancy.user_id");

	/* last, so that a failed start leaves nothing behind */
	RegisterXactCallback(xactCallback, NULL);
	RegisterSubXactCallback(subxactCallback, NULL);
}

/* ---- establishing an identity ---- */

/* Write tenancy.identity; replaces whoever was acting before. */
static void
writeIdentity(char kind, const pg_uuid_t *subject, const pg_uuid_t *credential,
			  bool sessionWide)
{
	char	   *value;

	value = psprintf("%c %s %s %u", kind,
					 DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(subject))),
					 DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(credential))),
					 sessionWide ? series : 0);
	writeSetting("tenancy.identity", value, !sessionWide);
}

/* The right to say who acts is the right to set tenancy.user_id. */
static bool
mayAssertIdentity(void)
{
	return superuser() ||
		pg_parameter_aclcheck("tenancy.user_id", GetUserId(), ACL_SET) == ACLCHECK_OK;
}

/*
 * tenancy_act_as -- act on behalf of a user, until the transaction ends.
 *
 * tenancy.act_as(user_id uuid, session_wide boolean).  For roles that were
 * given tenancy.grant_application(); checked here too, since default
 * privileges can hand out EXECUTE.  NULL: nobody acts.  An id of nobody is
 * no error: that user sees nothing.
 */
Datum
tenancy_act_as(PG_FUNCTION_ARGS)
{
	pg_uuid_t	none = {{0}};

	if (!mayAssertIdentity())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to act as another user"),
				 errhint("Ask the administrator to call tenancy.grant_application() for this role.")));
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		dropIdentity(true);
	else
	{
		writeIdentity('u', PG_GETARG_UUID_P(0), &none, PG_GETARG_BOOL(1));
		counters.acts++;
	}
	PG_RETURN_VOID();
}

/* One error for every reason, so that it tells nothing. */
static void
refuseCredential(void)
{
	counters.signInFailures++;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
			 errmsg("credential is not valid")));
}

/*
 * Find the live row of a credential by its digest: (id, subject, digest).
 */
static bool
findCredential(SPIPlanPtr *plan, const char *query, const uint8 *digest,
			   pg_uuid_t *credential, pg_uuid_t *subject)
{
	Oid			type = BYTEAOID;
	bytea	   *value = palloc(VARHDRSZ + PG_SHA256_DIGEST_LENGTH);
	Datum		argument = PointerGetDatum(value);
	PrivilegedState state;
	bool		found;

	SET_VARSIZE(value, VARHDRSZ + PG_SHA256_DIGEST_LENGTH);
	memcpy(VARDATA(value), digest, PG_SHA256_DIGEST_LENGTH);

	PrivilegedBegin(&state);
	PrivilegedSelect(plan, query, 1, &type, &argument, InvalidSnapshot);
	found = SPI_processed == 1;
	if (found)
	{
		HeapTuple	row = SPI_tuptable->vals[0];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;
		bytea	   *stored;

		*credential = *DatumGetUUIDP(SPI_getbinval(row, desc, 1, &isnull));
		*subject = *DatumGetUUIDP(SPI_getbinval(row, desc, 2, &isnull));
		stored = DatumGetByteaPP(SPI_getbinval(row, desc, 3, &isnull));
		found = VARSIZE_ANY_EXHDR(stored) == PG_SHA256_DIGEST_LENGTH &&
			CredentialDigestEqual((uint8 *) VARDATA_ANY(stored), digest);
	}
	PrivilegedEnd(&state);
	pfree(value);
	return found;
}

/*
 * tenancy_authenticate -- sign in with a session token or a project token.
 *
 * tenancy.authenticate(credential text, session_wide boolean).  Anybody may
 * call it.  Writes nothing, so it works on a hot standby.  One error, 28000,
 * for unknown, malformed, expired, revoked and NULL.
 */
Datum
tenancy_authenticate(PG_FUNCTION_ARGS)
{
	char	   *credential;
	size_t		length;
	CredentialKind kind;
	uint8		digest[PG_SHA256_DIGEST_LENGTH];
	pg_uuid_t	id;
	pg_uuid_t	subject;
	bool		found;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		refuseCredential();
	credential = text_to_cstring(PG_GETARG_TEXT_PP(0));
	length = strlen(credential);
	kind = ParseCredential(credential, length);
	if (kind != CREDENTIAL_SESSION && kind != CREDENTIAL_PROJECT)
		refuseCredential();

	CredentialDigest(credential, length, digest);
	if (kind == CREDENTIAL_SESSION)
		found = findCredential(&sessionPlan,
							   "SELECT s.id, s.user_id, s.digest"
							   " FROM tenancy.sessions s"
							   " JOIN tenancy.users u ON u.id OPERATOR(pg_catalog.=) s.user_id"
							   " WHERE s.digest OPERATOR(pg_catalog.=) $1"
							   " AND s.revoked_at IS NULL AND u.is_active"
							   " AND s.expires_at OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp()",
							   digest, &id, &subject);
	else
		found = findCredential(&tokenPlan,
							   "SELECT t.id, t.project_id, t.digest"
							   " FROM tenancy.project_tokens t"
							   " WHERE t.digest OPERATOR(pg_catalog.=) $1"
							   " AND t.revoked_at IS NULL",
							   digest, &id, &subject);
	if (!found)
		refuseCredential();
	writeIdentity(kind == CREDENTIAL_SESSION ? 's' : 't', &subject, &id,
				  PG_GETARG_BOOL(1));
	counters.signIns++;
	PG_RETURN_VOID();
}

/*
 * tenancy_clear_identity -- nobody acts any more in this session.
 *
 * tenancy._clear_identity().  Behind sign_out().
 */
Datum
tenancy_clear_identity(PG_FUNCTION_ARGS)
{
	dropIdentity(true);
	PG_RETURN_VOID();
}

/*
 * tenancy_session_id -- the row of the session that is signed in.
 *
 * tenancy._session_id() → uuid; NULL for every other kind of identity.
 */
Datum
tenancy_session_id(PG_FUNCTION_ARGS)
{
	Identity	who;
	pg_uuid_t  *id;

	IdentityRead(&who);
	if (who.kind != IDENTITY_SESSION)
		PG_RETURN_NULL();
	id = palloc(sizeof(pg_uuid_t));
	*id = who.credential;
	PG_RETURN_UUID_P(id);
}
