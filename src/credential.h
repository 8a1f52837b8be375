/*
 * credential.h
 *		Secrets: mint, parse, checksum, digest.  Knows no table.
 */
#ifndef TENANCY_CREDENTIAL_H
#define TENANCY_CREDENTIAL_H

#include "common/sha2.h"

typedef enum CredentialKind
{
	CREDENTIAL_MALFORMED,
	CREDENTIAL_PROJECT,			/* tnp_: write-only project token */
	CREDENTIAL_SESSION,			/* tns_: a person's session */
	CREDENTIAL_INVITE			/* tni_: an invite */
} CredentialKind;

/* Kind of a credential's text; MALFORMED for a wrong length, letter or sum. */
extern CredentialKind CredentialParse(const char *text, size_t length);

extern void CredentialDigest(const char *text, size_t length,
							 uint8 digest[PG_SHA256_DIGEST_LENGTH]);

/* Takes the same time wherever the difference lies. */
extern bool CredentialDigestEqual(const uint8 *a, const uint8 *b);

#endif							/* TENANCY_CREDENTIAL_H */
