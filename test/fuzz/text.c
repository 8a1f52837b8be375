/*
 * The filters of the mailer (mailer/text.c).
 */
#include "fuzz.h"

#include <ctype.h>

#include "../../mailer/text.h"

void
LogFatal(const char *format,...)
{
	REQUIRE(!"out of memory");
	abort();
}

/* ---- one line ---- */

static void
requireOneLine(const char *line)
{
	for (const unsigned char *c = (const unsigned char *) line; *c != '\0'; c++)
	{
		REQUIRE(*c >= 0x20 && *c != 0x7f);
		REQUIRE(!(c[0] == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f));
		REQUIRE(!(c[0] == 0xe2 && c[1] == 0x80 && c[2] >= 0xa8 && c[2] <= 0xae));
		REQUIRE(!(c[0] == 0xe2 && c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9));
	}
}

static void
tryOneLine(const char *value)
{
	char	   *line = TextOneLine(value);
	char	   *again = TextOneLine(line);

	requireOneLine(line);
	REQUIRE(strcmp(line, again) == 0);
	free(line);
	free(again);
}

/* ---- HTML and URLs ---- */

static const char *
entityOf(char c)
{
	switch (c)
	{
		case '&':
			return "&amp;";
		case '<':
			return "&lt;";
		case '>':
			return "&gt;";
		case '"':
			return "&quot;";
		case '\'':
			return "&#39;";
		default:
			return NULL;
	}
}

static void
tryHtml(const char *value)
{
	char	   *html = TextEscapeHtml(value);
	const char *at = html;

	for (const char *v = value; *v != '\0'; v++)
	{
		const char *entity = entityOf(*v);
		size_t		length = entity == NULL ? 1 : strlen(entity);

		REQUIRE(strncmp(at, entity == NULL ? v : entity, length) == 0);
		at += length;
	}
	REQUIRE(*at == '\0');
	free(html);
}

static void
tryUrl(const char *value)
{
	char	   *url = TextEncodeUrl(value);
	const char *at = url;

	for (const char *v = value; *v != '\0'; v++)
	{
		unsigned int byte;

		if (*at == '%')
		{
			REQUIRE(sscanf(at, "%%%2X", &byte) == 1);
			at += 3;
		}
		else
		{
			REQUIRE(isalnum((unsigned char) *at) || strchr("-._~", *at) != NULL);
			byte = (unsigned char) *at++;
		}
		REQUIRE(byte == (unsigned char) *v);
	}
	REQUIRE(*at == '\0');
	free(url);
}

/* ---- headers ---- */

/* Appends what base64 stands for; returns its bytes. */
static size_t
decodeBase64(const char *from, size_t length, char *to)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t		bytes = 0;
	unsigned int bits = 0;

	REQUIRE(length % 4 == 0);
	for (size_t i = 0; i < length; i++)
	{
		const char *digit = strchr(digits, from[i]);

		REQUIRE(digit != NULL || (from[i] == '=' && i + 2 >= length));
		bits = bits << 6 | (digit == NULL ? 0 : digit - digits);
		if (i % 4 == 3)
			for (int j = 16; j >= 0; j -= 8)
				to[bytes++] = bits >> j & 0xff;
	}
	for (size_t i = length; i > 0 && from[i - 1] == '='; i--)
		bytes--;
	return bytes;
}

/* What a reader shows for a header, or for one line of it. */
static char *
decodeHeader(const char *header, size_t nameLength)
{
	char	   *shown = malloc(strlen(header) + 1);
	size_t		length = 0;
	const char *at = header;

	if (strncmp(header, "=?UTF-8?B?", 10) != 0)
	{
		requireOneLine(header);
		REQUIRE(strstr(header, "=?") == NULL);
		REQUIRE(nameLength + strlen(header) <= 78);
		return strcpy(shown, header);
	}
	while (*at != '\0')
	{
		const char *end;

		REQUIRE(strncmp(at, "=?UTF-8?B?", 10) == 0);
		end = strstr(at + 10, "?=");
		REQUIRE(end != NULL);
		REQUIRE(end + 2 - at + nameLength <= 76);
		length += decodeBase64(at + 10, end - at - 10, shown + length);
		at = end + 2;
		if (*at == '\0')
			break;
		REQUIRE(strncmp(at, "\r\n ", 3) == 0);
		at += 3;
		nameLength = 1;
	}
	shown[length] = '\0';
	return shown;
}

static void
tryHeader(const char *value, TextFilter encode, const char *name)
{
	char	   *line = TextOneLine(value);
	char	   *header = encode(value);
	char	   *shown = decodeHeader(header, strlen(name));

	REQUIRE(strcmp(shown, line) == 0);
	free(shown);
	free(header);
	free(line);
}

/* ---- replies ---- */

static void
requireNoSecret(const char *line)
{
	size_t		run = 0;

	requireOneLine(line);
	for (const char *c = line; *c != '\0'; c++)
	{
		REQUIRE((unsigned char) *c < 0x80);
		run = isalnum((unsigned char) *c) || *c == '_' ? run + 1 : 0;
		REQUIRE(run <= 24);
	}
	REQUIRE(strstr(line, "vicky.smith") == NULL);
	REQUIRE(strstr(line, "0123456789ab") == NULL);
}

/* A reply that repeats an address and a token amid anything. */
static void
tryReply(const char *before, const char *between, const char *after)
{
	static const char token[] =
		"tni_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef01234567";
	char	   *reply;
	char	   *clean;

	/* both are in the server's words already, or are joined to a letter */
	if (strstr(before, "vicky") || strstr(between, "vicky") || strstr(after, "vicky") ||
		strstr(before, "01234") || strstr(between, "01234") || strstr(after, "01234"))
		return;
	reply = TextFormat("%s<vicky.smith@example.com>%shttps://example.com/?%s&%s",
					   before, between, token, after);
	clean = TextWithoutSecrets(reply);
	requireNoSecret(clean);
	free(reply);
	free(clean);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		input = {data, size};
	char	   *value = nextString(&input);
	char	   *between = nextString(&input);
	char	   *after = nextString(&input);

	tryReply(value, between, after);
	tryOneLine(value);
	tryHtml(value);
	tryUrl(value);
	tryHeader(value, TextEncodeHeader, "Subject: ");
	tryHeader(value, TextEncodePhrase, "From: ");
	free(value);
	free(between);
	free(after);
	return 0;
}
