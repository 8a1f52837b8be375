/*
 * What an address is to the mailer (mailer/text.c), against what it is to the
 * database, whose pattern is EMAIL_PATTERN.
 */
#include "fuzz.h"

#include <regex.h>

#include "../../mailer/text.h"

void
LogFatal(const char *format,...)
{
	REQUIRE(!"out of memory");
	abort();
}

static bool
isAddressToDatabase(const char *value)
{
	static regex_t pattern;
	static bool compiled = false;

	if (!compiled)
		REQUIRE(regcomp(&pattern, EMAIL_PATTERN, REG_EXTENDED | REG_NOSUB) == 0);
	compiled = true;
	return strlen(value) <= 320 && regexec(&pattern, value, 0, NULL, 0) == 0;
}

static void
tryAddress(const char *value)
{
	const char *at = strchr(value, '@');
	char	   *masked = TextMaskAddress(value);

	/* one address, and nothing that ends it before its end */
	if (TextIsAddress(value))
	{
		REQUIRE(at != NULL && at > value && strchr(at + 1, '@') == NULL && at[1] != '\0');
		for (const char *c = value; *c != '\0'; c++)
			REQUIRE((unsigned char) *c > 0x20 && (unsigned char) *c < 0x7f);
		REQUIRE(strpbrk(value, "<>()[]\\,;:\"") == NULL);
	}
	/* whatever the database stores can be mailed */
	if (strlen(value) < 100 && isAddressToDatabase(value))
		REQUIRE(TextIsAddress(value));

	/* a mask leaves the first and the last letter at most */
	if (at == NULL)
		REQUIRE(strcmp(masked, "*") == 0);
	else
	{
		const char *end = strchr(masked, '@');

		REQUIRE(end != NULL && strcmp(end, at) == 0);
		REQUIRE(strspn(masked, "*") >= end - masked || masked[1] == '*');
		for (const char *c = masked + 1; c < end - 1; c++)
			REQUIRE(*c == '*');
	}
	free(masked);
}

/* Bytes as addresses have them, so that more than noise is tried. */
static void
likeAddress(char *value)
{
	static const char letters[] = "abz09.@-_+a@b.c'!#x*?~ AZ<>\",;:()[]\\\x7f\xc3";

	for (; *value != '\0'; value++)
		*value = letters[(unsigned char) *value % (sizeof(letters) - 1)];
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		input = {data, size};
	bool		like = nextByte(&input) % 2 == 1;
	char	   *value = nextString(&input);

	if (like)
		likeAddress(value);
	tryAddress(value);
	free(value);
	return 0;
}
