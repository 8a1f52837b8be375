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

/* How an organization or project is reached, in one byte. */
typedef struct AccessTarget
{
	uint8		kind:2;			/* TargetKind */
	uint8		level:2;		/* effective level there */
	uint8		organizationLevel:2;	/* level in the organization */
} AccessTarget;

/*
 * A hash table with open addressing, at most half full.  It is asked for each row
 * of a scan, and what it costs are misses of the processor's caches: hence ids
 * apart from what is known of them, so that both are fetched at once.
 */
typedef struct AccessMap
{
	uint64		multipliers[2]; /* random, so that nobody can choose colliding ids */
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

	memcpy(halves, id->data, sizeof(halves));
	return (uint32) ((halves[0] * map->multipliers[0] +
					  halves[1] * map->multipliers[1]) >> 32) & map->mask;
}

/* How this id is reached; of kind TARGET_NONE if it is not. */
static inline AccessTarget
AccessMapFind(const AccessMap *map, const pg_uuid_t *id)
{
	uint32		place = AccessMapPlace(map, id);

	while (map->targets[place].kind != TARGET_NONE &&
		   memcmp(&map->ids[place], id, UUID_LEN) != 0)
		place = (place + 1) & map->mask;
	return map->targets[place];
}

/*
 * Filled by AccessMapAdd(), asked after AccessMapFinish().  AccessMapBegin()
 * makes room for that many targets, in the current memory context.
 */
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
