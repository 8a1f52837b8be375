/*
 * invalidation.h
 *		Keys, and the messages that carry them.  Knows nothing of access sets.
 */
#ifndef TENANCY_INVALIDATION_H
#define TENANCY_INVALIDATION_H

#include "utils/uuid.h"

/* A role where ids stand for everything else: its oid, then zeros. */
static inline pg_uuid_t
RoleAsId(Oid role)
{
	pg_uuid_t	id = {{0}};

	memcpy(id.data, &role, sizeof(role));
	return id;
}

static inline Oid
RoleOfId(const pg_uuid_t *id)
{
	Oid			role;

	memcpy(&role, id->data, sizeof(role));
	return role;
}

/* The key that stands for everything. */
#define INVALIDATE_ALL	((uint32) 0)

/* Called for each message; may neither allocate nor look anything up. */
typedef void (*InvalidationListener) (uint32 key);

extern void InvalidationInit(void);
extern void InvalidationListen(InvalidationListener listener);
extern uint32 InvalidationKey(const pg_uuid_t *id);
extern bool InvalidationIsWholesale(void);
extern void InvalidationAnnounceAll(void);

/*
 * Rises when a role, a membership, the right to set a parameter or to call a
 * function, or an ordinary relation, and so its owner, may have changed.
 */
extern uint64 InvalidationOfRoles(void);

/* Rises with each message, ours or not: for what is rarely used or quickly read again. */
extern uint64 InvalidationOfAnything(void);

#endif							/* TENANCY_INVALIDATION_H */
