/*
 * lookup.h
 *		Rows of the extension's own tables by their id, as of now.
 *
 * For code that has no use for a query, which costs as much as ten of these.
 */
#ifndef TENANCY_LOOKUP_H
#define TENANCY_LOOKUP_H

#include "access/htup.h"
#include "storage/lockdefs.h"
#include "utils/relcache.h"

/* Open a table of the extension. */
extern Relation LookupTable(const char *name, LOCKMODE mode);

/* A copy of the row with that id, the only column of the primary key, or NULL. */
extern HeapTuple LookupRow(Relation rel, Datum id);

/* Does such a row exist?  If so, one of its columns. */
extern bool LookupValue(const char *table, Datum id, const char *column,
						Datum *value, bool *isnull);

#endif							/* TENANCY_LOOKUP_H */
