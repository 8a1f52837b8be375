/*
 * Uuids, claims and credentials (src/parse.c).
 *
 * The sum of a credential is computed here once more, bit by bit, so that
 * composing and taking apart cannot be wrong together.
 */
#include "postgres.h"

#include "fuzz.h"
#include "../../src/parse.h"

static uint32
crc32c(const char *data, size_t length)
{
	uint32		crc = 0xffffffff;

	for (size_t i = 0; i < length; i++)
	{
		crc ^= (uint8) data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

static CredentialKind
kindOf(const char *text)
{
	char		sum[9];

	if (strlen(text) != 76 || strspn(text + 4, "0123456789abcdef") != 72)
		return CREDENTIAL_MALFORMED;
	sprintf(sum, "%08x", crc32c(text, 68));
	if (strcmp(text + 68, sum) != 0)
		return CREDENTIAL_MALFORMED;
	return strncmp(text, "tnp_", 4) == 0 ? CREDENTIAL_PROJECT :
		strncmp(text, "tns_", 4) == 0 ? CREDENTIAL_SESSION :
		strncmp(text, "tni_", 4) == 0 ? CREDENTIAL_INVITE : CREDENTIAL_MALFORMED;
}

static void
tryCredential(const char *text)
{
	REQUIRE(ParseCredential(text, strlen(text)) == kindOf(text));
}

/* A sound one, and the same with one character changed. */
static void
tryComposed(Input *input)
{
	CredentialKind kind = CREDENTIAL_PROJECT + nextByte(input) % 3;
	uint8		secret[CREDENTIAL_SECRET];
	char		text[CREDENTIAL_LENGTH + 1];
	size_t		place;
	char		other;

	for (int i = 0; i < CREDENTIAL_SECRET; i++)
		secret[i] = nextByte(input);
	ComposeCredential(kind, secret, text);
	REQUIRE(strlen(text) == CREDENTIAL_LENGTH);
	REQUIRE(kindOf(text) == kind);
	tryCredential(text);

	place = nextByte(input) % CREDENTIAL_LENGTH;
	other = nextByte(input);
	if (other == text[place])
		return;
	text[place] = other;
	REQUIRE(ParseCredential(text, CREDENTIAL_LENGTH) == CREDENTIAL_MALFORMED);
}

/* 32 digits in either case, and hyphens in four places or not there. */
static bool
isUuid(const char *text, size_t length)
{
	size_t		digits = 0;

	for (size_t i = 0; i < length; i++)
	{
		if (text[i] == '-' && (i == 8 || i == 13 || i == 18 || i == 23))
			continue;
		if (text[i] == '\0' || strchr("0123456789abcdefABCDEF", text[i]) == NULL)
			return false;
		digits++;
	}
	return digits == 32;
}

static void
writeUuid(const pg_uuid_t *id, char text[37])
{
	const uint8 *b = id->data;

	sprintf(text, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
			b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8],
			b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

static void
tryUuid(const char *text)
{
	pg_uuid_t	id;
	pg_uuid_t	again;
	char		written[37];
	bool		sound = ParseUuid(text, strlen(text), &id);

	REQUIRE(sound == isUuid(text, strlen(text)));
	writeUuid(&id, written);
	REQUIRE(ParseUuid(written, 36, &again));
	REQUIRE(memcmp(&id, &again, sizeof(id)) == 0);
	/* the digits are those that were given */
	for (const char *w = written; sound && *w != '\0'; w++)
	{
		if (*w == '-')
			continue;
		while (*text == '-')
			text++;
		REQUIRE(*w == (*text | ('A' <= *text && *text <= 'F' ? 0x20 : 0)));
		text++;
	}
}

static void
tryClaim(const char *text)
{
	Claim		claim;
	char		subject[37];
	char		credential[37];

	if (!ParseClaim(text, &claim))
		return;
	REQUIRE(strlen(text) > 76);
	REQUIRE(isUuid(text + 2, 36) && isUuid(text + 39, 36));
	writeUuid(&claim.subject, subject);
	writeUuid(&claim.credential, credential);
	REQUIRE((claim.kind == IDENTITY_USER) == (*text == 'u'));
	REQUIRE((claim.kind == IDENTITY_SESSION) == (*text == 's'));
	REQUIRE((claim.kind == IDENTITY_TOKEN) == (*text == 't'));
	REQUIRE(isUuid(subject, 36) && isUuid(credential, 36));
}

/* What identity.c writes comes back as it was. */
static void
tryWritten(Input *input)
{
	char		kind = "ust"[nextByte(input) % 3];
	Claim		given = {0};
	Claim		claim;
	char		subject[37];
	char		credential[37];
	char		text[128];

	for (int i = 0; i < UUID_LEN; i++)
	{
		given.subject.data[i] = nextByte(input);
		given.credential.data[i] = nextByte(input);
	}
	for (int i = 0; i < 4; i++)
		given.series = given.series << 8 | nextByte(input);
	writeUuid(&given.subject, subject);
	writeUuid(&given.credential, credential);
	snprintf(text, sizeof(text), "%c %s %s %u", kind, subject, credential, given.series);

	REQUIRE(ParseClaim(text, &claim));
	REQUIRE(claim.kind == (kind == 'u' ? IDENTITY_USER :
						   kind == 's' ? IDENTITY_SESSION : IDENTITY_TOKEN));
	REQUIRE(memcmp(&claim.subject, &given.subject, UUID_LEN) == 0);
	REQUIRE(memcmp(&claim.credential, &given.credential, UUID_LEN) == 0);
	REQUIRE(claim.series == given.series);
	tryClaim(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		input = {data, size};
	uint8		way = nextByte(&input);
	char	   *text;

	if (way % 4 == 0)
		tryComposed(&input);
	if (way % 4 == 1)
		tryWritten(&input);
	text = nextString(&input);
	tryCredential(text);
	tryUuid(text);
	tryClaim(text);
	free(text);
	return 0;
}
