/*
 * execution.h
 *		One execution of a query sees one identity.
 */
#ifndef TENANCY_EXECUTION_H
#define TENANCY_EXECUTION_H

#include "compat.h"

extern void ExecutionInit(void);

/* Raises if the identity has changed since the running query started. */
extern void ExecutionRequireSameIdentity(void);

/* Raises the error for an identity that changed under a running query. */
pg_noreturn extern void ExecutionRefuseIdentity(void);

/*
 * Does this memory hold the expressions of the running query itself?  Those of
 * a row that is checked again, because it changed while its lock was waited
 * for, live elsewhere.
 */
extern bool ExecutionOwns(MemoryContext context);

#endif							/* TENANCY_EXECUTION_H */
