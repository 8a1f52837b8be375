/*
 * version.c
 *		Does the library fit the SQL objects, and the server?
 *
 * A session keeps the library that it has loaded, whatever is installed or
 * updated meanwhile, and a library is used by every database of a server.  So
 * it is asked before each load of an access set and each look-up of a
 * credential, and whatever does not fit ends in an error that says what to
 * do: nothing is decided by guessing what a table of another version means.
 * But for one thing: a login role that no binding names is nobody, so that
 * superusers can restore, check and update a database (access.c).
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/rel.h"

#include "compat.h"
#include "version.h"

/* The minor releases that repaired row security itself. */
static const struct
{
	int			major;
	int			minor;
}			repaired[] =
{
	{15, 20},
	{16, 16},
	{17, 12},
	{18, 7},
};

static int	server = 0;			/* as in server_version_num */
static bool allowUnrepaired = false;
static bool preloaded = false;	/* every session gets it from the postmaster */

PG_FUNCTION_INFO_V1(tenancy_library_version);
PG_FUNCTION_INFO_V1(tenancy_minimum_server);

void
VersionInit(void)
{
	/* the version that runs, not the one that this was compiled for */
	server = atoi(GetConfigOption("server_version_num", false, false));
	preloaded = process_shared_preload_libraries_in_progress;
	DefineCustomBoolVariable("tenancy.allow_unrepaired_server",
							 "Whether to work on a server whose row security lacks repairs.",
							 "For tests with a server that is not to be had newer.",
							 &allowUnrepaired, false,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);
}

/* The first release of the same major version that will do, or 0. */
static int
minimumServer(int version)
{
	for (int i = 0; i < lengthof(repaired); i++)
		if (version / 10000 == repaired[i].major)
			return repaired[i].major * 10000 + repaired[i].minor;
	return 0;
}

/* Row security that leaks is not to be relied on. */
static void
checkServer(void)
{
	int			minimum = minimumServer(server);

	if (server < minimum && !allowUnrepaired)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("PostgreSQL %d.%d lacks repairs of row security",
						server / 10000, server % 10000),
				 errhint("Install PostgreSQL %d.%d or later.",
						 minimum / 10000, minimum % 10000)));
}

/* The version of the SQL objects, which ALTER EXTENSION changes. */
static char *
versionOfObjects(Oid *extension)
{
	Relation	catalog = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	char	   *version = NULL;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum("tenancy"));
	scan = systable_beginscan(catalog, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;
		Datum		value = heap_getattr(tuple, Anum_pg_extension_extversion,
										 RelationGetDescr(catalog), &isnull);

		version = TextDatumGetCString(value);
		*extension = ((Form_pg_extension) GETSTRUCT(tuple))->oid;
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	if (version == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("extension \"tenancy\" does not exist"),
				 errhint("Use CREATE EXTENSION tenancy CASCADE.")));
	return version;
}

/* Less than, equal to or greater than 0, number by number: 0.9.1 < 0.10.0. */
static int
compareVersions(const char *a, const char *b)
{
	for (;;)
	{
		char	   *endA;
		char	   *endB;
		unsigned long numberA = strtoul(a, &endA, 10);
		unsigned long numberB = strtoul(b, &endB, 10);

		if (numberA != numberB)
			return numberA < numberB ? -1 : 1;
		if (*endA != '.' || *endB != '.')
			return strcmp(endA, endB);
		a = endA + 1;
		b = endB + 1;
	}
}

static void
refuseLibrary(const char *objects)
{
	bool		older = compareVersions(TENANCY_VERSION, objects) < 0;

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the library of extension \"tenancy\" is version %s, its SQL objects are version %s",
					TENANCY_VERSION, objects),
			 !older ? errhint("Run ALTER EXTENSION tenancy UPDATE in this database. If that does nothing, install the scripts of version %s.", TENANCY_VERSION) :
			 preloaded ? errhint("Install version %s of the library, and restart the server, which has preloaded this one.", objects) :
			 errhint("Reconnect. If that does not help, install version %s of the library.", objects)));
}

/*
 * VersionCheck -- may the library read and write the tables of the extension?
 *
 * A script that makes or updates the extension may with a newer library, since
 * another script may follow that brings the objects up to it.
 */
void
VersionCheck(void)
{
	Oid			extension;
	char	   *objects;
	int			comparison;

	checkServer();
	objects = versionOfObjects(&extension);
	comparison = compareVersions(TENANCY_VERSION, objects);
	if (comparison < 0 ||
		(comparison > 0 && !(creating_extension && CurrentExtensionObject == extension)))
		refuseLibrary(objects);
	pfree(objects);
}

/*
 * tenancy_library_version -- which version of the library this session has.
 *
 * tenancy._library_version() → text.
 */
Datum
tenancy_library_version(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(TENANCY_VERSION));
}

/*
 * tenancy_minimum_server -- the first minor release that will do.
 *
 * tenancy._minimum_server(version integer) → integer, both as in
 * server_version_num; NULL for a major version of which nothing is known.
 */
Datum
tenancy_minimum_server(PG_FUNCTION_ARGS)
{
	int			minimum = minimumServer(PG_GETARG_INT32(0));

	if (minimum == 0)
		PG_RETURN_NULL();
	PG_RETURN_INT32(minimum);
}
