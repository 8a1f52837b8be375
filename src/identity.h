/*
 * identity.h
 *		Who claims to be acting.  Whether the claim still holds is answered by
 *		the access set (access.h).
 */
#ifndef TENANCY_IDENTITY_H
#define TENANCY_IDENTITY_H

#include "parse.h"

/* Zeroed before it is filled, so that memcmp() compares. */
typedef struct Identity
{
	IdentityKind kind;
	pg_uuid_t	subject;		/* the user, the token's project, or the role */
	pg_uuid_t	credential;		/* row of the session or token, or zeros */
	bool		narrowed;		/* is there a current project? */
	pg_uuid_t	project;		/* that project, or zeros */
} Identity;

/* How often since the library was loaded. */
typedef struct IdentityCounters
{
	uint64		signIns;		/* by a credential that was valid */
	uint64		signInFailures;
	uint64		acts;			/* calls of act_as() that said somebody */
} IdentityCounters;

extern void IdentityInit(void);
extern IdentityCounters IdentityCount(void);

/*
 * Answers NOBODY for every doubtful state, and the login role where nobody has
 * signed in.
 */
extern void IdentityRead(Identity *who);

/* Who else may say who acts: answers false where it has nothing to say. */
typedef bool (*IdentitySource) (Identity *who);
extern void IdentityAskFirst(IdentitySource source);

/* The identity that nobody's having signed in leaves. */
extern void IdentityReadRole(Identity *who);

/* Empties settings that no longer count, unless in parallel mode. */
extern void IdentityDropEnded(void);

/* From now on IdentityRead() may answer something else. */
extern void IdentityMayHaveChanged(void);

/* Was a setting's value set by a statement of the present transaction? */
struct config_generic;
extern bool IdentityIsOfThisTransaction(const struct config_generic *record);

/* Rises whenever IdentityRead() may answer something else. */
extern uint64 IdentityEpoch(void);

#endif							/* TENANCY_IDENTITY_H */
