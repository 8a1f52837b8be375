/*
 * chain.h
 *		The audit log as chains of entries, each with the hash of the one before.
 */
#ifndef TENANCY_CHAIN_H
#define TENANCY_CHAIN_H

#include "utils/uuid.h"

/* One entry to be, without what its place in the chain adds. */
typedef struct ChainEntry
{
	pg_uuid_t	chain;			/* an organization, a user, or zeros */
	bool		ofOrganization;
	const char *relation;
	const char *action;
	const char *changes;		/* a JSON array */
	const char *personal;		/* JSON, NULL if there is nothing */
} ChainEntry;

/*
 * Put entries at the ends of their chains.  Those of one chain are next to each
 * other; chains come in the order of their bytes, which is how they are locked.
 */
extern void ChainAppend(const ChainEntry *entries, int n);

#endif							/* TENANCY_CHAIN_H */
