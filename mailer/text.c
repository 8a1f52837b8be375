/*
 * text.c
 *		Strings made safe for the place where they go.
 *
 * Names are chosen by people whom the reader of the mail does not know.  The
 * database keeps control characters out of them; nothing here relies on that.
 */
#define _GNU_SOURCE				/* vasprintf, open_memstream */
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "text.h"

/* RFC 2047: a line that begins with "Subject: " has 76 characters at most. */
#define WORD_BYTES		39
/* Needs neither folding nor, if it is ASCII, encoding: RFC 5322 has 78. */
#define PLAIN_HEADER	69
/* The runs of letters and digits of a reply that cannot be part of a token. */
#define HARMLESS_RUN	24
#define REPLY_LENGTH	300

void
TextBegin(Text *text)
{
	text->stream = open_memstream(&text->data, &text->length);
	if (text->stream == NULL)
		LogFatal("out of memory");
}

char *
TextFinish(Text *text)
{
	if (fclose(text->stream) != 0)
		LogFatal("out of memory");
	return text->data;
}

char *
TextFormat(const char *format,...)
{
	va_list		arguments;
	char	   *result;

	va_start(arguments, format);
	if (vasprintf(&result, format, arguments) < 0)
		LogFatal("out of memory");
	va_end(arguments);
	return result;
}

char *
TextCopy(const char *value)
{
	return TextFormat("%s", value);
}

/*
 * Bytes, from here on, of a character that breaks a line or turns its
 * direction: controls (ASCII's and U+0080 to U+009F), U+2028 to U+202E and
 * U+2066 to U+2069.  0 if it is another.
 */
static int
disorderly(const char *at)
{
	const unsigned char *byte = (const unsigned char *) at;

	if (byte[0] < 0x20 || byte[0] == 0x7f)
		return 1;
	if (byte[0] == 0xc2 && byte[1] >= 0x80 && byte[1] <= 0x9f)
		return 2;
	if (byte[0] == 0xe2 && byte[1] == 0x80 && byte[2] >= 0xa8 && byte[2] <= 0xae)
		return 3;
	if (byte[0] == 0xe2 && byte[1] == 0x81 && byte[2] >= 0xa6 && byte[2] <= 0xa9)
		return 3;
	return 0;
}

/* A space for whatever would begin another line, or reorder this one. */
char *
TextOneLine(const char *value)
{
	Text		text;

	TextBegin(&text);
	while (*value != '\0')
	{
		int			skip = disorderly(value);

		if (skip > 0)
			fputc(' ', text.stream);
		else
			fputc(*value, text.stream);
		value += skip > 0 ? skip : 1;
	}
	return TextFinish(&text);
}

/* For text and for attributes in either kind of quotes. */
char *
TextEscapeHtml(const char *value)
{
	Text		text;

	TextBegin(&text);
	for (; *value != '\0'; value++)
		switch (*value)
		{
			case '&':
				fputs("&amp;", text.stream);
				break;
			case '<':
				fputs("&lt;", text.stream);
				break;
			case '>':
				fputs("&gt;", text.stream);
				break;
			case '"':
				fputs("&quot;", text.stream);
				break;
			case '\'':
				fputs("&#39;", text.stream);
				break;
			default:
				fputc(*value, text.stream);
		}
	return TextFinish(&text);
}

/* One segment of a path, or one value of a query. */
char *
TextEncodeUrl(const char *value)
{
	Text		text;

	TextBegin(&text);
	for (; *value != '\0'; value++)
	{
		unsigned char byte = (unsigned char) *value;

		if (isalnum(byte) || strchr("-._~", byte) != NULL)
			fputc(byte, text.stream);
		else
			fprintf(text.stream, "%%%02X", byte);
	}
	return TextFinish(&text);
}

static void
writeBase64(FILE *stream, const char *data, size_t length)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < length; i += 3)
	{
		unsigned int three = 0;

		for (size_t j = i; j < i + 3; j++)
			three = three << 8 | (j < length ? (unsigned char) data[j] : 0);
		fputc(digits[three >> 18], stream);
		fputc(digits[three >> 12 & 63], stream);
		fputc(i + 1 < length ? digits[three >> 6 & 63] : '=', stream);
		fputc(i + 2 < length ? digits[three & 63] : '=', stream);
	}
}

/* Bytes of the next encoded word: a character is not cut in two. */
static size_t
wordLength(const char *value)
{
	size_t		length = strnlen(value, WORD_BYTES + 1);

	if (length <= WORD_BYTES)
		return length;
	length = WORD_BYTES;
	while (length > WORD_BYTES - 4 && ((unsigned char) value[length] & 0xc0) == 0x80)
		length--;
	return length;
}

/* Encoded words (RFC 2047), a line each. */
static char *
encodeWords(const char *value)
{
	Text		text;

	TextBegin(&text);
	for (const char *at = value; *at != '\0';)
	{
		size_t		length = wordLength(at);

		fputs(at == value ? "=?UTF-8?B?" : "\r\n =?UTF-8?B?", text.stream);
		writeBase64(text.stream, at, length);
		fputs("?=", text.stream);
		at += length;
	}
	return TextFinish(&text);
}

/* One line of a header, encoded where it has characters other than these. */
static char *
encodeUnless(const char *value, const char *plainMarks)
{
	char	   *line = TextOneLine(value);
	bool		plain = strlen(line) <= PLAIN_HEADER;
	char	   *encoded;

	for (const char *c = line; *c != '\0'; c++)
		if (!isalnum((unsigned char) *c) && strchr(plainMarks, *c) == NULL)
			plain = false;
	/* what looks encoded already is to be shown as it was typed */
	if (plain && strstr(line, "=?") == NULL)
		return line;
	encoded = encodeWords(line);
	free(line);
	return encoded;
}

/* Any text, as in a subject. */
char *
TextEncodeHeader(const char *value)
{
	return encodeUnless(value, " !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~");
}

/* A name before an address. */
char *
TextEncodePhrase(const char *value)
{
	return encodeUnless(value, " !#$%&'*+-/=?^_`{|}~");
}

/*
 * Can it stand between < and > in a header and in a command of SMTP?  The
 * database is stricter.
 */
bool
TextIsAddress(const char *value)
{
	const char *at = strchr(value, '@');

	if (at == NULL || at == value || at[1] == '\0' || strlen(value) > 320)
		return false;
	for (const char *c = value; *c != '\0'; c++)
		if (!isgraph((unsigned char) *c) || strchr("<>()[]\\,;:\"", *c) != NULL)
			return false;
	return strchr(at + 1, '@') == NULL;
}

/* member1@example.com becomes m*****1@example.com, as in the database. */
char *
TextMaskAddress(const char *address)
{
	const char *at = strchr(address, '@');
	int			length = at == NULL ? 0 : (int) (at - address);
	char	   *masked;

	if (length < 2)
		return TextFormat("*%s", at == NULL ? "" : at);
	masked = TextCopy(address);
	memset(masked + 1, '*', length > 2 ? length - 2 : 1);
	return masked;
}

static bool
isRun(char c)
{
	return isalnum((unsigned char) c) || c == '_';
}

/* Part of an address before its @? */
static bool
isLocal(char c)
{
	return isgraph((unsigned char) c) && strchr("<>()[]\\,;:\"@", c) == NULL;
}

/*
 * What a server said, fit for a log.  Servers repeat what they refuse: the
 * address, and filters also the link.  So words before an @ are masked, and
 * a run of letters and digits that is long enough to be of a token is cut.
 */
char *
TextWithoutSecrets(const char *reply)
{
	char	   *line = TextOneLine(reply);
	char	   *clean;
	Text		text;

	/* of no known encoding, which the database would refuse */
	for (char *c = line; *c != '\0'; c++)
		if ((unsigned char) *c >= 0x80)
			*c = '?';
	for (char *at = strchr(line, '@'); at != NULL; at = strchr(at + 1, '@'))
		for (char *c = at; c > line && isLocal(c[-1]) && c[-1] != '*'; c--)
			c[-1] = '*';

	TextBegin(&text);
	for (const char *at = line; *at != '\0';)
	{
		int			run = 0;

		while (isRun(at[run]))
			run++;
		fprintf(text.stream, "%.*s", run > HARMLESS_RUN ? 4 : run, at);
		fputs(run > HARMLESS_RUN ? "..." : "", text.stream);
		at += run;
		if (*at != '\0' && run == 0)
			fputc(*at++, text.stream);
	}
	free(line);
	clean = TextFinish(&text);
	/* last: half an address or token would not look like one */
	if (strlen(clean) > REPLY_LENGTH)
		clean[REPLY_LENGTH] = '\0';
	return clean;
}
