/*
 * protection.c
 *		What is part of a table, and what a table is part of, as of now.
 *
 * Partitions and children are protected with the table at the top.  What is
 * asked here is answered from the newest state of the catalogs: a transaction
 * with an older snapshot would not see that a table is protected by now, or
 * that it has got one more partition, and would leave that open.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "commands/policy.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "tcop/deparse_utility.h"
#include "tcop/utility.h"
#include "utils/array.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "compat.h"
#include "privileged.h"
#include "protection.h"

PG_FUNCTION_INFO_V1(tenancy_new_parts);
PG_FUNCTION_INFO_V1(tenancy_tree);
PG_FUNCTION_INFO_V1(tenancy_parents);
PG_FUNCTION_INFO_V1(tenancy_protection);

static Datum
arrayOf(const List *relations)
{
	Datum	   *values = palloc(sizeof(Datum) * (list_length(relations) + 1));
	int			n = 0;
	ListCell   *cell;

	foreach(cell, relations)
		values[n++] = ObjectIdGetDatum(lfirst_oid(cell));
	PG_RETURN_ARRAYTYPE_P(construct_array(values, n, REGCLASSOID, sizeof(Oid), true, TYPALIGN_INT));
}

static List *
childrenOf(Oid parent, LOCKMODE lockmode)
{
	return find_inheritance_children_extended(parent, false, lockmode, NULL, NULL);
}

/*
 * The partition that was attached, by the name that the command gave it; the
 * search_path may be another by now.  Of several it may be any of them, and if
 * it has been renamed since, any at all: too many is no harm.
 */
static List *
attached(Oid parent, const RangeVar *name)
{
	List	   *children = childrenOf(parent, NoLock);
	List	   *parts = NIL;
	ListCell   *cell;

	foreach(cell, children)
		if (strcmp(get_rel_name(lfirst_oid(cell)), name->relname) == 0)
			parts = lappend_oid(parts, lfirst_oid(cell));
	return parts != NIL ? parts : children;
}

/*
 * tenancy_new_parts -- the tables that a command made, or made part of another.
 *
 * tenancy._new_parts(command pg_ddl_command) → regclass[].  Whatever else a
 * command does to a table is none of our business: a dump that is being restored
 * brings the policies of parents and parts one by one.
 */
Datum
tenancy_new_parts(PG_FUNCTION_ARGS)
{
	const CollectedCommand *command = (CollectedCommand *) PG_GETARG_POINTER(0);
	List	   *parts = NIL;
	ListCell   *cell;

	if (command->type == SCT_Simple &&
		(IsA(command->parsetree, CreateStmt) || IsA(command->parsetree, CreateForeignTableStmt)))
		parts = list_make1_oid(command->d.simple.address.objectId);
	else if (command->type == SCT_AlterTable)
		foreach(cell, command->d.alterTable.subcmds)
		{
			const CollectedATSubcmd *change = lfirst(cell);
			const AlterTableCmd *part = castNode(AlterTableCmd, change->parsetree);

			if (part->subtype == AT_AddInherit)
				parts = list_append_unique_oid(parts, command->d.alterTable.objectId);
			else if (part->subtype == AT_AttachPartition)
				parts = list_concat_unique_oid(parts, attached(command->d.alterTable.objectId,
															   castNode(PartitionCmd, part->def)->name));
		}
	return arrayOf(parts);
}

/*
 * What is decided about a table in SQL is read with the transaction's snapshot,
 * so that has to know the table as it is.
 */
static void
refuseNewer(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	TransactionId changed;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relid);
	changed = HeapTupleHeaderGetXmin(tuple->t_data);
	ReleaseSysCache(tuple);
	if (!TransactionIdIsCurrentTransactionId(changed) &&
		XidInMVCCSnapshot(changed, GetTransactionSnapshot()))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent change of table \"%s\"",
						get_rel_name(relid)),
				 errhint("Try the transaction again.")));
}

/*
 * tenancy_tree -- a table and everything below it, all of it locked.
 *
 * tenancy._tree(relation regclass) → regclass[], the table first.  For its owner.
 */
Datum
tenancy_tree(PG_FUNCTION_ARGS)
{
	Oid			top = PG_GETARG_OID(0);
	List	   *tree = list_make1_oid(top);
	ListCell   *cell;

	if (!OwnsRelation(top, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(get_rel_relkind(top)),
					   get_rel_name(top));
	PreventCommandDuringRecovery("ALTER TABLE");
	table_close(table_open(top, AccessExclusiveLock), NoLock);
	/* the list grows while it is read */
	foreach(cell, tree)
		tree = list_concat_unique_oid(tree, childrenOf(lfirst_oid(cell), AccessExclusiveLock));
	if (IsolationUsesXactSnapshot())
		foreach(cell, tree)
			refuseNewer(lfirst_oid(cell));
	return arrayOf(tree);
}

/*
 * tenancy_parents -- the tables that a table is part of.
 *
 * tenancy._parents(relation regclass) → regclass[].
 */
Datum
tenancy_parents(PG_FUNCTION_ARGS)
{
	Relation	catalog = table_open(InheritsRelationId, AccessShareLock);
	List	   *parents = NIL;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_inherits_inhrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(PG_GETARG_OID(0)));
	scan = systable_beginscan(catalog, InheritsRelidSeqnoIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		parents = lappend_oid(parents, ((Form_pg_inherits) GETSTRUCT(tuple))->inhparent);
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return arrayOf(parents);
}

/*
 * tenancy_protection -- the row of tenancy.protected_tables of a table.
 *
 * tenancy._protection(relation regclass) → tenancy.protected_tables, NULL where
 * the table is not protected.
 */
Datum
tenancy_protection(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr plan = NULL;
	Oid			type = REGCLASSOID;
	Datum		relation = PG_GETARG_DATUM(0);
	Datum		protection;
	bool		isnull;
	PrivilegedState state;

	/* most tables have none, and are none of our business */
	if (!OidIsValid(get_relation_policy_oid(PG_GETARG_OID(0), PROTECTION_FLOOR, true)))
		PG_RETURN_NULL();
	PrivilegedBegin(&state);
	PrivilegedSelect(&plan, "SELECT t FROM tenancy.protected_tables t"
					 " WHERE t.relation OPERATOR(pg_catalog.=) $1",
					 1, &type, &relation, InvalidSnapshot);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the protection of table \"%s\" was altered", get_rel_name(PG_GETARG_OID(0))),
				 errhint("Protect it again; tenancy.lint() tells how.")));
	protection = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	protection = SPI_datumTransfer(protection, false, -1);
	PrivilegedEnd(&state);
	PG_RETURN_DATUM(protection);
}
