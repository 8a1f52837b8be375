/*
 * credential.c
 *		The secrets that people and programs sign in with.
 *
 * A credential is a prefix that names its kind, 256 random bits in lower-case
 * hexadecimal, and the CRC-32C of all that in eight more digits.  The sum
 * keeps nothing secret: it lets a mistyped credential be refused without a
 * look-up, and lets a secret scanner tell ours from any other hex string.
 * Only digests are stored; 256 random bits need no salt and no slow hash.
 */
#include "postgres.h"

#include "common/cryptohash.h"
#include "fmgr.h"
#include "port/pg_crc32c.h"
#include "utils/builtins.h"

#include "compat.h"
#include "credential.h"

#define PREFIX_LENGTH	4
#define RANDOM_BYTES	32
#define SUM_LENGTH		8
#define BODY_LENGTH		(PREFIX_LENGTH + 2 * RANDOM_BYTES)
#define LENGTH			(BODY_LENGTH + SUM_LENGTH)

static const struct
{
	const char *name;			/* as SQL callers say it */
	const char *prefix;
	CredentialKind kind;
}			kinds[] =
{
	{"project", "tnp_", CREDENTIAL_PROJECT},
	{"session", "tns_", CREDENTIAL_SESSION},
	{"invite", "tni_", CREDENTIAL_INVITE},
};

PG_FUNCTION_INFO_V1(tenancy_mint_credential);
PG_FUNCTION_INFO_V1(tenancy_credential_digest);

/* The eight digits that end a credential. */
static void
checksum(const char *body, char sum[SUM_LENGTH + 1])
{
	pg_crc32c	crc;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, body, BODY_LENGTH);
	FIN_CRC32C(crc);
	snprintf(sum, SUM_LENGTH + 1, "%08x", crc);
}

CredentialKind
CredentialParse(const char *text, size_t length)
{
	char		sum[SUM_LENGTH + 1];

	if (length != LENGTH)
		return CREDENTIAL_MALFORMED;
	if (strspn(text + PREFIX_LENGTH, "0123456789abcdef") < LENGTH - PREFIX_LENGTH)
		return CREDENTIAL_MALFORMED;
	checksum(text, sum);
	if (memcmp(text + BODY_LENGTH, sum, SUM_LENGTH) != 0)
		return CREDENTIAL_MALFORMED;

	for (int i = 0; i < lengthof(kinds); i++)
		if (memcmp(text, kinds[i].prefix, PREFIX_LENGTH) == 0)
			return kinds[i].kind;
	return CREDENTIAL_MALFORMED;
}

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

/* The kind that an SQL caller names. */
static int
kindByName(text *name)
{
	char	   *label = text_to_cstring(name);

	for (int i = 0; i < lengthof(kinds); i++)
		if (strcmp(label, kinds[i].name) == 0)
			return i;
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
	int			kind = kindByName(PG_GETARG_TEXT_PP(0));
	uint8		secret[RANDOM_BYTES];
	char		text[LENGTH + 1];

	if (!pg_strong_random(secret, RANDOM_BYTES))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random bytes")));
	memcpy(text, kinds[kind].prefix, PREFIX_LENGTH);
	hex_encode((const char *) secret, RANDOM_BYTES, text + PREFIX_LENGTH);
	checksum(text, text + BODY_LENGTH);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(text, LENGTH));
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
	int			kind = kindByName(PG_GETARG_TEXT_PP(1));
	char	   *string = text_to_cstring(credential);
	size_t		length = VARSIZE_ANY_EXHDR(credential);
	bytea	   *digest;

	if (CredentialParse(string, length) != kinds[kind].kind)
		PG_RETURN_NULL();

	digest = (bytea *) palloc(VARHDRSZ + PG_SHA256_DIGEST_LENGTH);
	SET_VARSIZE(digest, VARHDRSZ + PG_SHA256_DIGEST_LENGTH);
	CredentialDigest(string, length, (uint8 *) VARDATA(digest));
	PG_RETURN_BYTEA_P(digest);
}
