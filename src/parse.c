/*
 * parse.c
 *		Text from outside, taken apart: uuids, claims, credentials.
 *
 * Nothing here raises an error, allocates memory or asks the server anything,
 * so that it can be tried apart from it: see test/fuzz.
 *
 * A credential is a prefix that names its kind, 256 random bits in lower-case
 * hexadecimal, and the CRC-32C of all that in eight more digits.  The sum
 * keeps nothing secret: it lets a mistyped credential be refused without a
 * look-up, and lets a secret scanner tell ours from any other hex string.
 */
#include "postgres.h"

#include "port/pg_crc32c.h"

#include "parse.h"

#define PREFIX_LENGTH	4
#define SUM_LENGTH		8
#define BODY_LENGTH		(CREDENTIAL_LENGTH - SUM_LENGTH)

static const char *const prefixes[] = {
	[CREDENTIAL_PROJECT] = "tnp_",
	[CREDENTIAL_SESSION] = "tns_",
	[CREDENTIAL_INVITE] = "tni_",
};

bool
ParseUuid(const char *text, size_t length, pg_uuid_t *id)
{
	int			digits = 0;

	memset(id, 0, sizeof(*id));
	for (size_t i = 0; i < length; i++)
	{
		char		c = text[i];
		int			value;

		if (c == '-' && (i == 8 || i == 13 || i == 18 || i == 23))
			continue;
		if (c >= '0' && c <= '9')
			value = c - '0';
		else if (c >= 'a' && c <= 'f')
			value = c - 'a' + 10;
		else if (c >= 'A' && c <= 'F')
			value = c - 'A' + 10;
		else
			return false;
		if (digits >= 2 * UUID_LEN)
			return false;
		id->data[digits / 2] |= value << (digits % 2 ? 0 : 4);
		digits++;
	}
	return digits == 2 * UUID_LEN;
}

bool
ParseClaim(const char *text, Claim *claim)
{
	const size_t uuid = 36;		/* its length as text */
	const char *subject = text + 2;
	const char *credential = subject + uuid + 1;
	const char *series = credential + uuid + 1;

	memset(claim, 0, sizeof(*claim));
	if (strlen(text) <= series - text ||
		!ParseUuid(subject, uuid, &claim->subject) ||
		!ParseUuid(credential, uuid, &claim->credential))
		return false;
	claim->series = strtoul(series, NULL, 10);
	claim->kind = *text == 'u' ? IDENTITY_USER :
		*text == 's' ? IDENTITY_SESSION :
		*text == 't' ? IDENTITY_TOKEN : IDENTITY_NOBODY;
	return true;
}

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
ParseCredential(const char *text, size_t length)
{
	char		sum[SUM_LENGTH + 1];

	if (length != CREDENTIAL_LENGTH)
		return CREDENTIAL_MALFORMED;
	if (strspn(text + PREFIX_LENGTH, "0123456789abcdef") < CREDENTIAL_LENGTH - PREFIX_LENGTH)
		return CREDENTIAL_MALFORMED;
	checksum(text, sum);
	if (memcmp(text + BODY_LENGTH, sum, SUM_LENGTH) != 0)
		return CREDENTIAL_MALFORMED;

	for (int kind = CREDENTIAL_PROJECT; kind < lengthof(prefixes); kind++)
		if (memcmp(text, prefixes[kind], PREFIX_LENGTH) == 0)
			return kind;
	return CREDENTIAL_MALFORMED;
}

void
ComposeCredential(CredentialKind kind, const uint8 secret[CREDENTIAL_SECRET],
				  char text[CREDENTIAL_LENGTH + 1])
{
	static const char digits[] = "0123456789abcdef";
	char	   *at = text + PREFIX_LENGTH;

	memcpy(text, prefixes[kind], PREFIX_LENGTH);
	for (int i = 0; i < CREDENTIAL_SECRET; i++)
	{
		*at++ = digits[secret[i] >> 4];
		*at++ = digits[secret[i] & 15];
	}
	checksum(text, at);
}
