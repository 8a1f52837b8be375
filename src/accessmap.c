/*
 * accessmap.c
 *		From the id of an organization or project to somebody's level there.
 *
 * Knows no tables of the database and no identities.
 */
#include "postgres.h"

#include "catalog/pg_enum.h"
#include "catalog/pg_type.h"
#include "port/pg_bitutils.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "accessmap.h"
#include "compat.h"

static const char *const levelNames[] = {NULL, "member", "administrator", "owner"};

void
AccessMapBegin(AccessMap *map, uint64 ntargets)
{
	uint32		size = pg_nextpower2_32((uint32) Max(2 * ntargets, 8));

	memset(map, 0, sizeof(*map));
	if (!pg_strong_random(map->multipliers, sizeof(map->multipliers)))
		elog(ERROR, "could not generate random bytes");
	/* multiply-shift hashing asks for odd ones */
	map->multipliers[0] |= 1;
	map->multipliers[1] |= 1;
	map->mask = size - 1;
	map->ids = MemoryContextAllocHuge(CurrentMemoryContext, size * sizeof(pg_uuid_t));
	map->targets = MemoryContextAllocExtended(CurrentMemoryContext,
											  size * sizeof(AccessTarget),
											  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	map->order = MemoryContextAllocHuge(CurrentMemoryContext,
										Max(ntargets, 1) * sizeof(uint32));
}

void
AccessMapAdd(AccessMap *map, const pg_uuid_t *id, AccessTarget target)
{
	uint32		place = AccessMapPlace(map, id);

	while (map->targets[place].kind != TARGET_NONE)
		place = (place + 1) & map->mask;
	map->ids[place] = *id;
	map->targets[place] = target;
	map->order[map->ntargets++] = place;
	for (int level = LEVEL_NONE; level <= target.level; level++)
		map->count[target.kind][level]++;
}

static int
comparePlaces(const void *a, const void *b, void *arg)
{
	const AccessMap *map = arg;
	uint32		x = *(const uint32 *) a;
	uint32		y = *(const uint32 *) b;

	if (map->targets[x].kind != map->targets[y].kind)
		return map->targets[x].kind < map->targets[y].kind ? -1 : 1;
	return memcmp(&map->ids[x], &map->ids[y], UUID_LEN);
}

void
AccessMapFinish(AccessMap *map)
{
	qsort_arg(map->order, map->ntargets, sizeof(uint32), comparePlaces, map);
}

ArrayType *
AccessMapList(const AccessMap *map, TargetKind kind, AccessLevel minimum, int most)
{
	int			count = map->count[kind][minimum];
	int			length = Min(count, most);
	Size		size = ARR_OVERHEAD_NONULLS(1) + (Size) length * UUID_LEN;
	ArrayType  *array;
	pg_uuid_t  *ids;

	if (length == 0)
		return construct_empty_array(UUIDOID);
	array = (ArrayType *) palloc0(size);
	SET_VARSIZE(array, size);
	array->ndim = 1;
	array->elemtype = UUIDOID;
	ARR_DIMS(array)[0] = length;
	ARR_LBOUND(array)[0] = 1;

	/* the one that is number n of all comes to place n * length / count */
	ids = (pg_uuid_t *) ARR_DATA_PTR(array);
	for (int i = 0, n = 0; n < count; i++)
	{
		uint32		place = map->order[i];

		if (map->targets[place].kind == kind && map->targets[place].level >= minimum)
			ids[(int64) n++ * length / count] = map->ids[place];
	}
	return array;
}

/* ---- levels as SQL has them ---- */

AccessLevel
AccessLevelFromName(const char *name)
{
	for (int level = LEVEL_MEMBER; level <= LEVEL_OWNER; level++)
		if (strcmp(name, levelNames[level]) == 0)
			return level;
	return LEVEL_NONE;
}

AccessLevel
AccessLevelFromOid(Oid value)
{
	HeapTuple	tuple = SearchSysCache1(ENUMOID, ObjectIdGetDatum(value));
	AccessLevel level;

	if (!HeapTupleIsValid(tuple))
		return LEVEL_NOBODY_HAS;
	level = AccessLevelFromName(NameStr(((Form_pg_enum) GETSTRUCT(tuple))->enumlabel));
	ReleaseSysCache(tuple);
	return level == LEVEL_NONE ? LEVEL_NOBODY_HAS : level;
}

Datum
AccessLevelToDatum(AccessLevel level, Oid type)
{
	HeapTuple	tuple;
	Oid			value;

	tuple = SearchSysCache2(ENUMTYPOIDNAME, ObjectIdGetDatum(type),
							CStringGetDatum(levelNames[level]));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "access level %d is missing", level);
	value = ((Form_pg_enum) GETSTRUCT(tuple))->oid;
	ReleaseSysCache(tuple);
	return ObjectIdGetDatum(value);
}
