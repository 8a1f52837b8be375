/*
 * distribution.h
 *		Identities that travel between the nodes of a Citus cluster.
 */
#ifndef TENANCY_DISTRIBUTION_H
#define TENANCY_DISTRIBUTION_H

#include "identity.h"

extern void DistributionInit(void);

/* Is Citus there, so that another node may say who acts? */
extern bool DistributionIsPossible;

/*
 * Who acts, as another node has said; false where that is for this session to
 * say.  Raises for a claim that cannot be trusted.
 */
extern bool DistributionRead(Identity *who);

extern bool DistributionHasTable(Oid relid);

#endif							/* TENANCY_DISTRIBUTION_H */
