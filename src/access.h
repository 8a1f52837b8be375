/*
 * access.h
 *		The access set of an identity: which organizations and projects it can
 *		reach, and at which level.
 */
#ifndef TENANCY_ACCESS_H
#define TENANCY_ACCESS_H

#include "utils/array.h"
#include "utils/snapshot.h"

#include "identity.h"

typedef enum AccessLevel
{
	LEVEL_NONE,
	LEVEL_MEMBER,
	LEVEL_ADMINISTRATOR,
	LEVEL_OWNER
} AccessLevel;

typedef enum TargetKind
{
	TARGET_NONE,				/* an empty slot */
	TARGET_ORGANIZATION,
	TARGET_PROJECT
} TargetKind;

/* One organization or project that the identity can reach. */
typedef struct AccessTarget
{
	pg_uuid_t	id;
	pg_uuid_t	organization;
	uint8		kind;			/* TargetKind */
	uint8		level;			/* effective level there */
	uint8		organizationLevel;	/* level in the organization */
} AccessTarget;

typedef struct AccessSet AccessSet;

extern void AccessInit(void);
extern AccessSet *AccessCurrent(const Identity *who);
extern AccessSet *AccessAsOf(const Identity *who, const AccessSet *latest,
							 Snapshot snapshot);
extern void AccessDiscard(AccessSet *set);
extern uint64 AccessStamp(void);
extern void AccessPin(AccessSet *set);
extern void AccessUnpin(AccessSet *set);

extern bool AccessHolds(const AccessSet *set);
extern const AccessTarget *AccessFind(const AccessSet *set, const pg_uuid_t *id);
extern int	AccessCount(const AccessSet *set, TargetKind kind);
extern ArrayType *AccessList(const AccessSet *set, TargetKind kind,
							 AccessLevel minimum, const pg_uuid_t *only);

extern AccessLevel AccessLevelFromOid(Oid value);
extern Datum AccessLevelToDatum(AccessLevel level, Oid type);

#endif							/* TENANCY_ACCESS_H */
