/*
 * commit.c
 *		Has everything that can be seen been announced?
 *
 * PostgreSQL lets a commit be seen before it sends the commit's messages.  For
 * tables that is safe, because the committing transaction holds their locks
 * until after it.  So it is done here: before a transaction that will announce
 * something commits, it locks the keys that it will announce, against nobody.
 * Whoever finds a key locked cannot trust what they remember.
 *
 * The locks are advisory ones of a class that SQL cannot reach.  Nobody ever
 * waits for one, and a prepared transaction keeps them.  Everybody can read
 * pg_locks, so their numbers depend on a secret of the server's: whoever knows an
 * id must not learn from them whether it is there, or that it changes.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "catalog/pg_control.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "storage/s_lock.h"

#include "commit.h"
#include "compat.h"

/* Advisory locks of SQL have class 1 or 2. */
#define LOCK_CLASS		3

/* Keys that one transaction locks before it locks all. */
#define MAX_LOCKED		8

/* Looks at a commit that is being replayed, before its end is not waited for. */
#define MAX_LOOKS		100

/* Keys have their highest bit set. */
#define SOMETHING		((uint32) 1)	/* locked by everybody who locks */
#define EVERYTHING		((uint32) 2)

static uint32 keys[MAX_LOCKED];
static int	nkeys = 0;			/* that this transaction will announce */
static bool all = false;

static LOCKTAG
tagOf(uint32 key)
{
	LOCKTAG		tag;
	unsigned char salted[MOCK_AUTH_NONCE_LEN + sizeof(key)];

	memcpy(salted, GetMockAuthenticationNonce(), MOCK_AUTH_NONCE_LEN);
	memcpy(salted + MOCK_AUTH_NONCE_LEN, &key, sizeof(key));
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, hash_bytes(salted, sizeof(salted)), LOCK_CLASS);
	return tag;
}

static void
lockKey(uint32 key)
{
	LOCKTAG		tag = tagOf(key);

	(void) LockAcquire(&tag, ShareLock, false, false);
}

/*
 * By whomever.  GetLockConflicts() leaves out those who can be seen already,
 * which are the ones that matter.
 */
static bool
isLocked(uint32 key)
{
	LOCKTAG		tag = tagOf(key);

	return LockWaiterCount(&tag) > 0;
}

static void
xactCallback(XactEvent event, void *arg)
{
	if ((event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE) &&
		(nkeys > 0 || all))
	{
		if (all)
			lockKey(EVERYTHING);
		for (int i = 0; i < nkeys && !all; i++)
			lockKey(keys[i]);
		lockKey(SOMETHING);
	}
	else if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT ||
			 event == XACT_EVENT_PREPARE)
	{
		nkeys = 0;
		all = false;
	}
}

void
CommitInit(void)
{
	RegisterXactCallback(xactCallback, NULL);
}

/*
 * CommitWillAnnounce -- remember a key for the time of the commit.
 *
 * Also one that a rollback to a savepoint takes back: that costs a load.
 */
void
CommitWillAnnounce(uint32 key)
{
	for (int i = 0; i < nkeys; i++)
		if (keys[i] == key)
			return;
	if (nkeys == MAX_LOCKED)
		all = true;
	else
		keys[nkeys++] = key;
}

void
CommitWillAnnounceAll(void)
{
	all = true;
}

/*
 * Replay, too, lets a commit be seen and then sends its messages.  Both are over
 * when the record that is being replayed has been, which takes microseconds,
 * unless replay waits for something in it.
 */
static bool
isReplayed(void)
{
	XLogRecPtr	begun = GetCurrentReplayRecPtr(NULL);

	for (int i = 0; i < MAX_LOOKS; i++)
	{
		if (GetXLogReplayRecPtr(NULL) >= begun)
			return true;
		SPIN_DELAY();
	}
	return false;
}

/*
 * CommitsAreAnnounced -- have the messages about these keys been sent, of all
 * commits that a snapshot taken before can see?
 *
 * Asked before the messages are read.
 */
bool
CommitsAreAnnounced(const uint32 *asked, int nasked)
{
	static uint64 announced = 0;	/* so many transactions, all of them */
	uint64		completed;

	if (RecoveryInProgress())
		return isReplayed();
	completed = TransamVariables->xactCompletionCount;
	if (completed == announced)
		return true;
	if (!isLocked(SOMETHING))
	{
		announced = completed;
		return true;
	}
	if (isLocked(EVERYTHING))
		return false;
	for (int i = 0; i < nasked; i++)
		if (isLocked(asked[i]))
			return false;
	return true;
}
