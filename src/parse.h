/*
 * parse.h
 *		Text from outside, taken apart: uuids, claims, credentials.
 */
#ifndef TENANCY_PARSE_H
#define TENANCY_PARSE_H

#include "utils/uuid.h"

typedef enum IdentityKind
{
	IDENTITY_NOBODY,
	IDENTITY_ROLE,				/* whom the login role is bound to, if anybody */
	IDENTITY_USER,				/* asserted by a trusted role */
	IDENTITY_SESSION,			/* signed in with a session token */
	IDENTITY_TOKEN				/* signed in with a project token */
} IdentityKind;

/* What a setting says about who acts. */
typedef struct Claim
{
	IdentityKind kind;
	pg_uuid_t	subject;
	pg_uuid_t	credential;
	uint32		series;			/* of a session-wide one, or 0 */
} Claim;

typedef enum CredentialKind
{
	CREDENTIAL_MALFORMED,
	CREDENTIAL_PROJECT,			/* tnp_: write-only project token */
	CREDENTIAL_SESSION,			/* tns_: a person's session */
	CREDENTIAL_INVITE			/* tni_: an invite */
} CredentialKind;

#define CREDENTIAL_SECRET	32	/* random bytes in a credential */
#define CREDENTIAL_LENGTH	(4 + 2 * CREDENTIAL_SECRET + 8)

/* A uuid of that many characters. */
extern bool ParseUuid(const char *text, size_t length, pg_uuid_t *id);

/* "kind subject credential series", as identity.c writes it. */
extern bool ParseClaim(const char *text, Claim *claim);

/* Kind of a credential's text; MALFORMED for a wrong length, letter or sum. */
extern CredentialKind ParseCredential(const char *text, size_t length);

/* The text that ParseCredential() takes apart. */
extern void ComposeCredential(CredentialKind kind,
							  const uint8 secret[CREDENTIAL_SECRET],
							  char text[CREDENTIAL_LENGTH + 1]);

#endif							/* TENANCY_PARSE_H */
