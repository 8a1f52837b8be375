/*
 * distribution.h
 *		Identities that travel between the nodes of a Citus cluster.
 */
#ifndef TENANCY_DISTRIBUTION_H
#define TENANCY_DISTRIBUTION_H

extern void DistributionInit(void);

/* Are the rows of a table on other nodes? */
extern bool DistributionHasTable(Oid relid);

#endif							/* TENANCY_DISTRIBUTION_H */
