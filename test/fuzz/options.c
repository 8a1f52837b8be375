/*
 * The mailer's configuration file and sender (mailer/options.c).  What is wrong
 * ends the program, which is a jump here.
 */
#include "fuzz.h"

#include <setjmp.h>

#include "../../mailer/text.h"

/* What a jump leaves behind is freed afterwards. */
static char *copied = NULL;

static char *
copyAndRemember(const char *value)
{
	return copied = TextCopy(value);
}

#define TextCopy copyAndRemember
#include "../../mailer/options.c"
#undef TextCopy

static jmp_buf refused;


void
LogFatal(const char *format,...)
{
	longjmp(refused, 1);
}

/* Every value is a part of the file, and has no blanks around it. */
static void
requireFromFile(const char *file, size_t size)
{
	for (int i = 0; i < OPTION_COUNT; i++)
	{
		const char *value = table[i].value;

		if (value == NULL)
			continue;
		REQUIRE(table[i].argument != NULL && i != OPTION_CONFIG);
		REQUIRE(value >= file && value + strlen(value) <= file + size);
		REQUIRE(value[0] == '\0' || strchr(" \t\r\n", value[0]) == NULL);
		REQUIRE(value[0] == '\0' || strchr(" \t\r\n", value[strlen(value) - 1]) == NULL);
	}
}

static void
tryNumber(OptionName name)
{
	int			number;

	if (table[name].value == NULL || setjmp(refused) != 0)
		return;
	number = readNumber(name, 1000);
	REQUIRE(number >= 1 && number <= 1000);
}

static void
tryStartTls(void)
{
	if (table[OPTION_STARTTLS].value != NULL && setjmp(refused) == 0)
		readStartTls(table[OPTION_STARTTLS].value);
}

static void
readLines(char *file)
{
	char	   *rest = file;

	if (setjmp(refused) == 0)
		for (int number = 1; rest != NULL; number++)
			readSetting(trim(strsep(&rest, "\n")), "file", number);
}

static void
tryFile(char *file)
{
	size_t		size = strlen(file);

	for (int i = 0; i < OPTION_COUNT; i++)
		table[i].value = NULL;
	readLines(file);
	requireFromFile(file, size);
	for (int name = 0; name < OPTION_COUNT; name++)
		tryNumber(name);
	tryStartTls();
}

/* The address is one, and stood in the text. */
static void
trySender(const char *from)
{
	Options		options = {.from = from};

	copied = NULL;
	if (setjmp(refused) == 0)
	{
		splitFrom(&options);
		REQUIRE(TextIsAddress(options.fromAddress));
		REQUIRE(strstr(from, options.fromAddress) != NULL);
		REQUIRE(strstr(from, options.fromName) != NULL);
	}
	free(copied);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		input = {data, size};
	char	   *from = nextString(&input);
	char	   *file;

	trySender(from);
	free(from);
	file = nextString(&input);
	tryFile(file);
	free(file);
	return 0;
}
