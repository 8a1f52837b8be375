/*
 * access.h
 *		The access set of an identity: which organizations and projects it can
 *		reach, and at which level.
 */
#ifndef TENANCY_ACCESS_H
#define TENANCY_ACCESS_H

#include "utils/snapshot.h"

#include "accessmap.h"
#include "identity.h"

typedef struct AccessSet AccessSet;

/* What this backend's cache has done since the library was loaded. */
typedef struct AccessCounters
{
	uint64		lookups;		/* for the set of an identity, also in planning */
	uint64		loads;			/* of the newest state, which succeeded */
	uint64		failedLoads;	/* and which did not */
	uint64		snapshotLoads;	/* for a query with an older snapshot */
	uint64		messages;		/* of changes, about anybody */
	uint64		resets;			/* messages that concern everybody */
	uint64		stale;			/* sets that messages made stale */
	uint64		evictions;		/* sets that went for want of room */
	uint64		sets;			/* that are kept now */
	uint64		bytes;			/* in these */
} AccessCounters;

extern void AccessInit(void);
extern AccessCounters AccessCount(void);
extern AccessSet *AccessCurrent(const Identity *who);
extern AccessSet *AccessAsOf(const Identity *who, const AccessSet *latest,
							 Snapshot snapshot);
extern void AccessDiscard(AccessSet *set);

/*
 * Where to find a number that rises whenever AccessCurrent() may answer
 * something else for the same identity; takes in no messages.
 */
extern const uint64 *AccessClock(void);
extern void AccessPin(AccessSet *set);
extern void AccessUnpin(AccessSet *set);

/* Is the identity what it claims to be? */
extern bool AccessHolds(const AccessSet *set);

/* Is it a login role that is bound to a user, whether that holds or not? */
extern bool AccessIsBound(const AccessSet *set);

typedef enum AccessBinding
{
	BINDING_UNKNOWN,			/* nobody has asked lately */
	BINDING_NONE,
	BINDING_EXISTS				/* when it was asked for */
} AccessBinding;

/* What is known of a login role without a look at the tables. */
extern AccessBinding AccessOfRole(const Identity *who);

/* What can be reached; lives as long as the set. */
extern const AccessMap *AccessReach(const AccessSet *set);

#endif							/* TENANCY_ACCESS_H */
