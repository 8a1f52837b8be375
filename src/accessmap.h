/*
 * accessmap.h
 *		From the id of an organization or project to somebody's level there.
 */
#ifndef TENANCY_ACCESSMAP_H
#define TENANCY_ACCESSMAP_H

#include "utils/array.h"
#include "utils/uuid.h"

typedef enum AccessLevel
{
	LEVEL_NONE,
	LEVEL_MEMBER,
	LEVEL_ADMINISTRATOR,
	LEVEL_OWNER,
	LEVEL_NOBODY_HAS
} AccessLevel;

typedef enum TargetKind
{
	TARGET_NONE,				/* an empty slot */
	TARGET_ORGANIZATION,
	TARGET_PROJECT
} TargetKind;

/* One organization or project that can be reached. */
typedef struct AccessTarget
{
	uint8		kind;			/* TargetKind */
	uint8		level;			/* effective level there */
	uint8		organizationLevel;	/* level in the organization */
} AccessTarget;

/*
 * A hash table with open addressing, at most half full; its two arrays are apart
 * so that both can be looked at in one go.  Filled by AccessMapAdd(), asked
 * after AccessMapFinish().
 */
typedef struct AccessMap
{
	uint64		seed;			/* so that nobody can choose colliding ids */
	uint32		mask;			/* size of the table less one */
	pg_uuid_t  *ids;
	AccessTarget *targets;		/* of kind TARGET_NONE where there is none */
	int			ntargets;
	uint32	   *order;			/* their places, by kind, then by id */
	int			count[TARGET_PROJECT + 1][LEVEL_NOBODY_HAS + 1];	/* at that level or above */
} AccessMap;

/* Where the search for an id begins. */
static inline uint32
AccessMapPlace(const AccessMap *map, const pg_uuid_t *id)
{
	uint64		halves[2];
	uint64		hash;

	memcpy(halves, id->data, sizeof(halves));
	hash = (halves[0] ^ map->seed) * UINT64CONST(0x9E3779B97F4A7C15);
	hash = (hash ^ halves[1]) * UINT64CONST(0xC2B2AE3D27D4EB4F);
	return (uint32) (hash >> 32) & map->mask;
}

/* What is reached by this id, or NULL if nothing is. */
static inline const AccessTarget *
AccessMapFind(const AccessMap *map, const pg_uuid_t *id)
{
	uint32		place = AccessMapPlace(map, id);

	while (map->targets[place].kind != TARGET_NONE)
	{
		if (memcmp(&map->ids[place], id, UUID_LEN) == 0)
			return &map->targets[place];
		place = (place + 1) & map->mask;
	}
	return NULL;
}

/* Makes room for that many targets, in the current memory context. */
extern void AccessMapBegin(AccessMap *map, uint64 ntargets);
extern void AccessMapAdd(AccessMap *map, const pg_uuid_t *id, AccessTarget target);
extern void AccessMapFinish(AccessMap *map);

/*
 * The ids of a kind at that level or above, sorted, as a uuid[] of the
 * caller's own; of more than "most", that many spread evenly.
 */
extern ArrayType *AccessMapList(const AccessMap *map, TargetKind kind,
								AccessLevel minimum, int most);

/* LEVEL_NONE for an unknown name. */
extern AccessLevel AccessLevelFromName(const char *name);

/* LEVEL_NOBODY_HAS for what is no level. */
extern AccessLevel AccessLevelFromOid(Oid value);

/* The enum value of a level; the caller says of which type. */
extern Datum AccessLevelToDatum(AccessLevel level, Oid type);

#endif							/* TENANCY_ACCESSMAP_H */
