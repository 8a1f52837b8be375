/*
 * credential.h
 *		Secrets: mint, digest.  Knows no table.
 */
#ifndef TENANCY_CREDENTIAL_H
#define TENANCY_CREDENTIAL_H

#include "common/sha2.h"

extern void CredentialDigest(const char *text, size_t length,
							 uint8 digest[PG_SHA256_DIGEST_LENGTH]);

/* Takes the same time wherever the difference lies. */
extern bool CredentialDigestEqual(const uint8 *a, const uint8 *b);

#endif							/* TENANCY_CREDENTIAL_H */
