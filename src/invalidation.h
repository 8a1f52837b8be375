/*
 * invalidation.h
 *		Keys, and the messages that carry them.  Knows nothing of access sets.
 */
#ifndef TENANCY_INVALIDATION_H
#define TENANCY_INVALIDATION_H

#include "utils/uuid.h"

/* The key that stands for everything. */
#define INVALIDATE_ALL	((uint32) 0)

/* Called for each message; may neither allocate nor look anything up. */
typedef void (*InvalidationListener) (uint32 key);

extern void InvalidationInit(void);
extern void InvalidationListen(InvalidationListener listener);
extern uint32 InvalidationKey(const pg_uuid_t *id);
extern bool InvalidationIsWholesale(void);

#endif							/* TENANCY_INVALIDATION_H */
