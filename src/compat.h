/*
 * compat.h
 *		Every difference between PostgreSQL 15, 16, 17 and 18 that matters here.
 */
#ifndef TENANCY_COMPAT_H
#define TENANCY_COMPAT_H

#include "catalog/pg_class.h"
#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"

#if PG_VERSION_NUM >= 160000
#include "parser/parse_relation.h"
#include "varatt.h"
#endif

/* 16 declares it in fmgr.h */
#if PG_VERSION_NUM < 160000
extern void _PG_init(void);
#endif

/* 18 has it as a prefix of declarations */
#if PG_VERSION_NUM < 180000
#define pg_noreturn __attribute__((noreturn))
#endif

/* 17 moved the local transaction id into vxid */
#if PG_VERSION_NUM >= 170000
#define MY_LXID		(MyProc->vxid.lxid)
#else
#define MY_LXID		(MyProc->lxid)
#endif

/* 17 renamed what counts transactions */
#if PG_VERSION_NUM < 170000
#define TransamVariables ShmemVariableCache
#endif

/* Since 18 a trigger is fired with the rights under which it was queued */
#define TRIGGERS_KEEP_THEIR_ROLE	(PG_VERSION_NUM >= 180000)

/* The record of a setting; 15 has no public look-up by name. */
static inline struct config_generic *
FindSetting(const char *name)
{
#if PG_VERSION_NUM >= 160000
	return find_option(name, false, false, ERROR);
#else
	struct config_generic **settings = get_guc_variables();
	int			n = GetNumConfigOptions();

	for (int i = 0; i < n; i++)
		if (strcmp(settings[i]->name, name) == 0)
			return settings[i];
	elog(ERROR, "setting \"%s\" is missing", name);
#endif
}

/* 16: what is checked for a query's relations has a list of its own */
#if PG_VERSION_NUM >= 160000
#define CHECK_PERMISSIONS_PARAMETERS \
	List *rangeTable, List *rights, bool raises
#define CHECK_PERMISSIONS_ARGUMENTS rangeTable, rights, raises
#define RIGHTS_OF_QUERY rights
#define RightsOf(statement) ((statement)->permInfos)
#else
#define CHECK_PERMISSIONS_PARAMETERS List *rangeTable, bool raises
#define CHECK_PERMISSIONS_ARGUMENTS rangeTable, raises
#define RIGHTS_OF_QUERY NIL
#define RightsOf(statement) NIL
#endif

/* The role whose rights count for a relation of a query, InvalidOid: current. */
static inline Oid
CheckedRole(List *rights, const RangeTblEntry *entry)
{
#if PG_VERSION_NUM >= 160000
	if (entry->perminfoindex == 0)
		return InvalidOid;
	return getRTEPermissionInfo(rights, (RangeTblEntry *) entry)->checkAsUser;
#else
	return entry->checkAsUser;
#endif
}

/* Does the query name the relation, and not just the table it is a part of? */
static inline bool
IsNamedInQuery(const RangeTblEntry *entry)
{
#if PG_VERSION_NUM >= 160000
	return entry->perminfoindex != 0;
#else
	return entry->requiredPerms != 0;
#endif
}

/* Does the role own a relation, or is it a member of the role that does? */
static inline bool
OwnsRelation(Oid relid, Oid role)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(RelationRelationId, relid, role);
#else
	return pg_class_ownercheck(relid, role);
#endif
}

/* Memory of a setting's own, NULL if there is none; 16 wants it from guc.c. */
static inline void *
AllocateForSetting(size_t size)
{
#if PG_VERSION_NUM >= 160000
	return guc_malloc(LOG, size);
#else
	return malloc(size);
#endif
}

/* 18: no execute_once */
#if PG_VERSION_NUM >= 180000
#define EXECUTOR_RUN_PARAMETERS \
	QueryDesc *queryDesc, ScanDirection direction, uint64 count
#define EXECUTOR_RUN_ARGUMENTS queryDesc, direction, count
#else
#define EXECUTOR_RUN_PARAMETERS \
	QueryDesc *queryDesc, ScanDirection direction, uint64 count, bool execute_once
#define EXECUTOR_RUN_ARGUMENTS queryDesc, direction, count, execute_once
#endif

#endif							/* TENANCY_COMPAT_H */
