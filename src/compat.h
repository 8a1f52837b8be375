/*
 * compat.h
 *		Every difference between PostgreSQL 15, 16, 17 and 18 that matters here.
 */
#ifndef TENANCY_COMPAT_H
#define TENANCY_COMPAT_H

#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
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

/* The role whose rights count for a relation of a query, InvalidOid: current. */
static inline Oid
CheckedRole(const PlannedStmt *statement, const RangeTblEntry *entry)
{
#if PG_VERSION_NUM >= 160000
	if (entry->perminfoindex == 0)
		return InvalidOid;
	return getRTEPermissionInfo(statement->permInfos, (RangeTblEntry *) entry)->checkAsUser;
#else
	return entry->checkAsUser;
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
