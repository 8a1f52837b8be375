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

extern void AccessInit(void);
extern AccessSet *AccessCurrent(const Identity *who);
extern AccessSet *AccessAsOf(const Identity *who, const AccessSet *latest,
							 Snapshot snapshot);
extern void AccessDiscard(AccessSet *set);

/*
 * Where to find a number that rises whenever the identity, or what
 * AccessCurrent() answers for it, may be another; takes in no messages.
 */
extern const uint64 *AccessClock(void);
extern void AccessPin(AccessSet *set);
extern void AccessUnpin(AccessSet *set);

/* Is the identity what it claims to be? */
extern bool AccessHolds(const AccessSet *set);

/* What can be reached; lives as long as the set. */
extern const AccessMap *AccessReach(const AccessSet *set);

#endif							/* TENANCY_ACCESS_H */
