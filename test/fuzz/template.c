/*
 * Templates, and values put into them (mailer/template.c).
 *
 * The template is an input, too: what it may not name ends the program, which
 * is a jump here.
 */
#include "fuzz.h"

#include <setjmp.h>

#include "../../mailer/template.c"

static jmp_buf refused;

void
LogFatal(const char *format,...)
{
	longjmp(refused, 1);
}

/* What fill() has to make of it, the slow way: left to right, never twice. */
static void
requireFilled(const char *filled, const char *template, char *const values[],
			  TextFilter filter)
{
	while (*template != '\0')
	{
		bool		named = false;

		for (int field = 0; field < FIELD_COUNT && !named; field++)
		{
			size_t		length = strlen(FieldNames[field]);
			char	   *value;

			if (template[0] != '{' || strncmp(template + 1, FieldNames[field], length) != 0 ||
				template[length + 1] != '}')
				continue;
			value = values[field] == NULL ? TextCopy("") : filter(values[field]);
			REQUIRE(strncmp(filled, value, strlen(value)) == 0);
			filled += strlen(value);
			template += length + 2;
			free(value);
			named = true;
		}
		if (!named)
			REQUIRE(*filled++ == *template++);
	}
	REQUIRE(*filled == '\0');
}

static void
tryFill(const char *template, char *const values[])
{
	static const TextFilter filters[] = {TextCopy, TextEscapeHtml, TextEncodeUrl};

	for (int i = 0; i < 3; i++)
	{
		char	   *filled = fill(template, values, filters[i]);

		requireFilled(filled, template, values, filters[i]);
		free(filled);
	}
}

/* Is there a placeholder of a name that is none? */
static bool
namesUnknown(const char *template)
{
	for (const char *at = strchr(template, '{'); at != NULL; at = strchr(at + 1, '{'))
	{
		size_t		length = placeholderLength(at);

		if (length > 0 && fieldOf(at, length) == FIELD_COUNT)
			return true;
	}
	return false;
}

static unsigned int
namedIn(const char *template)
{
	unsigned int named = 0;

	for (int field = 0; field < FIELD_COUNT; field++)
	{
		char	   *placeholder = TextFormat("{%s}", FieldNames[field]);

		if (strstr(template, placeholder) != NULL)
			named |= BIT(field);
		free(placeholder);
	}
	return named;
}

/* Does the program go on with this template? */
static bool
isAccepted(const char *template, unsigned int allowed)
{
	if (setjmp(refused) != 0)
		return false;
	REQUIRE(fieldsIn(template, allowed, "template") == namedIn(template));
	return true;
}

/* A template is used if it names what it may, and only then. */
static void
tryTemplate(const char *template, unsigned int allowed, char *const values[])
{
	bool		sound = (namedIn(template) & ~allowed) == 0 && !namesUnknown(template);

	REQUIRE(isAccepted(template, allowed) == sound);
	if (sound)
		tryFill(template, values);
}

static void
tryTime(const char *iso)
{
	char	   *readable = readableTime(iso);
	char	   *line = TextOneLine(readable);

	REQUIRE(strcmp(readable, line) == 0);
	free(line);
	free(readable);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		input = {data, size};
	unsigned int allowed = nextByte(&input) | nextByte(&input) << 8;
	char	   *template = nextString(&input);
	char	   *values[FIELD_COUNT];

	for (int field = 0; field < FIELD_COUNT; field++)
	{
		values[field] = nextString(&input);
		if (strcmp(values[field], "null") == 0)
		{
			free(values[field]);
			values[field] = NULL;
		}
	}
	tryTime(template);
	if (values[0] != NULL)
		tryTime(values[0]);
	tryTemplate(template, allowed, values);
	for (int field = 0; field < FIELD_COUNT; field++)
		free(values[field]);
	free(template);
	return 0;
}
