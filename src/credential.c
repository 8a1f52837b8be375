/*
 * credential.c
 *		The secrets that people and programs sign in with.
 *
 * How they look is in parse.c.  Only digests are stored; 256 random bits need
 * no salt and no slow hash.
 */
#include "postgres.h"

#include "common/cryptohash.h"
#include "fmgr.h"
#include "utils/builtins.h"

#include "compat.h"
#include "credential.h"
#include "parse.h"

/* The kinds as SQL callers name them. */
static const char *const kindNames[] = {
	[CREDENTIAL_PROJECT] = "project",
	[CREDENTIAL_SESSION] = "session",
	[CREDENTIAL_INVITE] = "invite",
};

PG_FUNCTION_INFO_V1(tenancy_mint_credential);
PG_FUNCTION_INFO_V1(tenancy_credential_digest);

void
CredentialDigest(const char *text, size_t length,
				 uint8 digest[PG_SHA256_DIGEST_LENGTH])
{
	pg_cryptohash_ctx *hash = pg_cryptohash_create(PG_SHA256);

	if (pg_cryptohash_init(hash) < 0 ||
		pg_cryptohash_update(hash, (const uint8 *) text, length) < 0 ||
		pg_cryptohash_final(hash, digest, PG_SHA256_DIGEST_LENGTH) < 0)
		elog(ERROR, "could not compute SHA-256");
	pg_cryptohash_free(hash);
}

bool
CredentialDigestEqual(const uint8 *a, const uint8 *b)
{
	uint8		difference = 0;

	for (int i = 0; i < PG_SHA256_DIGEST_LENGTH; i++)
		difference |= a[i] ^ b[i];
	return difference == 0;
}

static CredentialKind
kindByName(text *name)
{
	char	   *label = text_to_cstring(name);

	for (int kind = CREDENTIAL_PROJECT; kind < lengthof(kindNames); kind++)
		if (strcmp(label, kindNames[kind]) == 0)
			return kind;
	elog(ERROR, "unrecognized credential kind \"%s\"", label);
}

/*
 * tenancy_mint_credential -- a new secret of the kind named.
 *
 * tenancy._mint_credential(kind text) → text.  For the extension's commands.
 */
Datum
tenancy_mint_credential(PG_FUNCTION_ARGS)
{
	CredentialKind kind = kindByName(PG_GETARG_TEXT_PP(0));
	uint8		secret[CREDENTIAL_SECRET];
	char		text[CREDENTIAL_LENGTH + 1];

	if (!pg_strong_random(secret, CREDENTIAL_SECRET))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random bytes")));
	ComposeCredential(kind, secret, text);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(text, CREDENTIAL_LENGTH));
}

/*
 * tenancy_credential_digest -- what is stored of a secret.
 *
 * tenancy._credential_digest(credential text, kind text) → bytea; NULL for
 * one that is malformed or of another kind.
 */
Datum
tenancy_credential_digest(PG_FUNCTION_ARGS)
{
	text	   *credential = PG_GETARG_TEXT_PP(0);
	CredentialKind kind = kindByName(PG_GETARG_TEXT_PP(1));
	char	   *string = text_to_cstring(credential);
	size_t		length = VARSIZE_ANY_EXHDR(credential);
	bytea	   *digest;

	if (ParseCredential(string, length) != kind)
		PG_RETURN_NULL();

	digest = (bytea *) palloc(VARHDRSZ + PG_SHA256_DIGEST_LENGTH);
	SET_VARSIZE(digest, VARHDRSZ + PG_SHA256_DIGEST_LENGTH);
	CredentialDigest(string, length, (uint8 *) VARDATA(digest));
	PG_RETURN_BYTEA_P(digest);
}
