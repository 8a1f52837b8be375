/*
 * lookup.c
 *		Rows of the extension's own tables by their id, as of now.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "executor/spi.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "lookup.h"

Relation
LookupTable(const char *name, LOCKMODE mode)
{
	return table_open(get_relname_relid(name, get_namespace_oid("tenancy", false)), mode);
}

HeapTuple
LookupRow(Relation rel, Datum id)
{
	ScanKeyData key;
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_UUID_EQ, id);
	list_free(RelationGetIndexList(rel));	/* fills rd_pkindex */
	scan = systable_beginscan(rel, rel->rd_pkindex, true, snapshot, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		tuple = heap_copytuple(tuple);
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	return tuple;
}

bool
LookupValue(const char *table, Datum id, const char *column, Datum *value, bool *isnull)
{
	Relation	rel = LookupTable(table, AccessShareLock);
	HeapTuple	tuple = LookupRow(rel, id);

	if (HeapTupleIsValid(tuple))
		*value = heap_getattr(tuple, SPI_fnumber(RelationGetDescr(rel), column),
							  RelationGetDescr(rel), isnull);
	/* the lock is kept, as a query's would be: the next look-up finds it */
	table_close(rel, NoLock);
	return HeapTupleIsValid(tuple);
}
