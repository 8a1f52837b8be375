/*
 * privileged.h
 *		Queries that the library itself asks, safe from their caller.
 */
#ifndef TENANCY_PRIVILEGED_H
#define TENANCY_PRIVILEGED_H

#include "executor/spi.h"
#include "utils/snapshot.h"

typedef struct PrivilegedState
{
	Oid			user;
	int			securityContext;
	int			settings;		/* nest level */
} PrivilegedState;

extern void PrivilegedBegin(PrivilegedState *state);
extern void PrivilegedEnd(PrivilegedState *state);

/* Is what runs now such a query, or as privileged as one? */
extern bool PrivilegedIsRunning(void);

/*
 * Ask through a plan that is prepared at the first call.  InvalidSnapshot
 * asks for the newest committed state.  The result is in SPI_tuptable.
 */
extern void PrivilegedSelect(SPIPlanPtr *plan, const char *query,
							 int nargs, Oid *types, Datum *values,
							 Snapshot snapshot);

/*
 * Execute a query of any kind, planned as those of callers are: in the newest
 * committed state, or if it writes, as a statement of the transaction.
 */
extern void PrivilegedExecute(SPIPlanPtr *plan, const char *query, int nargs,
							  Oid *types, Datum *values, const char *nulls,
							  bool readOnly);

#endif							/* TENANCY_PRIVILEGED_H */
