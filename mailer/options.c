/*
 * options.c
 *		What the command line and the configuration file say.
 *
 * One table serves both, and --help.  No secret comes from the command line,
 * where every user of the machine could read it.
 */
#define _GNU_SOURCE				/* getline, strsep */
#include <errno.h>
#include <getopt.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "options.h"
#include "text.h"

typedef enum OptionName
{
	OPTION_BATCH,
	OPTION_CA_FILE,
	OPTION_CONFIG,
	OPTION_DATABASE,
	OPTION_FROM,
	OPTION_HELP,
	OPTION_LINK,
	OPTION_ONCE,
	OPTION_PASSWORD_FILE,
	OPTION_POLL,
	OPTION_SERVER,
	OPTION_STARTTLS,
	OPTION_TEMPLATES,
	OPTION_TIMEOUT,
	OPTION_USER,
	OPTION_VERSION,
	OPTION_COUNT
} OptionName;

/* What may be said; the value given replaces the default. */
static struct
{
	const char *name;
	const char *argument;		/* NULL: takes none, not for the file */
	const char *value;
	const char *help;
}			table[OPTION_COUNT] =
{
	[OPTION_BATCH] = {"batch", "N", "10", "notifications claimed at a time"},
	[OPTION_CA_FILE] = {"ca-file", "FILE", NULL, "certificates to trust instead of the system's"},
	[OPTION_CONFIG] = {"config", "FILE", NULL, "lines \"name = value\" of these options"},
	[OPTION_DATABASE] = {"database", "CONNINFO", "", "connection string; default: libpq's environment"},
	[OPTION_FROM] = {"from", "ADDRESS", NULL, "sender, as in \"Acme <no-reply@example.com>\""},
	[OPTION_HELP] = {"help", NULL, NULL, "show this and exit"},
	[OPTION_LINK] = {"link", "URL", NULL, "invitations' link, with {token} in it"},
	[OPTION_ONCE] = {"once", NULL, NULL, "send what is due, then exit"},
	[OPTION_PASSWORD_FILE] = {"password-file", "FILE", NULL, "its first line is the mail server's password"},
	[OPTION_POLL] = {"poll", "SECONDS", "30", "look for due retries that often"},
	[OPTION_SERVER] = {"server", "URL", "smtp://localhost", "mail server, as in smtp://mail.example.com:587"},
	[OPTION_STARTTLS] = {"starttls", "WHEN", "require", "require, optional or none"},
	[OPTION_TEMPLATES] = {"templates", "FOLDER", TEMPLATES, "where the templates are"},
	[OPTION_TIMEOUT] = {"timeout", "SECONDS", "60", "limit for one message"},
	[OPTION_USER] = {"user", "NAME", NULL, "name to authenticate with"},
	[OPTION_VERSION] = {"version", NULL, NULL, "show the version and exit"},
};

/* The file; its values stay where they are. */
static char *configuration = NULL;

/* Where the value of --database came from. */
static bool databaseFromArguments = false;

static void
showHelp(void)
{
	printf("tenancy-mailer sends the mail that waits in tenancy.notifications.\n\n"
		   "Usage: tenancy-mailer [OPTION]...\n\n");
	for (int i = 0; i < OPTION_COUNT; i++)
	{
		char	   *left = TextFormat("--%s%s%s", table[i].name,
									  table[i].argument ? "=" : "",
									  table[i].argument ? table[i].argument : "");

		printf("  %-24s %s", left, table[i].help);
		if (table[i].value != NULL && table[i].value[0] != '\0')
			printf(" (%s)", table[i].value);
		printf("\n");
		free(left);
	}
	printf("\nThe environment variable TENANCY_MAILER_PASSWORD serves instead of\n"
		   "--password-file.  Exit codes: 0 stopped or all sent, 1 configuration,\n"
		   "2 database (--once), 3 something is unsent (--once), 4 a sent message\n"
		   "could not be recorded.\n");
	exit(EXIT_DONE);
}

/* Takes in the command line, or of it only --config, --help and --version. */
static void
readArguments(int argc, char *argv[], bool first)
{
	struct option known[OPTION_COUNT + 1] = {0};
	int			name;

	for (int i = 0; i < OPTION_COUNT; i++)
		known[i] = (struct option) {table[i].name,
			table[i].argument ? required_argument : no_argument, NULL, i};

	optind = 1;
	while ((name = getopt_long(argc, argv, "", known, NULL)) != -1)
	{
		if (name == '?')
			exit(EXIT_CONFIGURATION);
		if (name == OPTION_HELP)
			showHelp();
		if (name == OPTION_VERSION)
		{
			printf("tenancy-mailer " TENANCY_VERSION "\n");
			exit(EXIT_DONE);
		}
		if (first == (name == OPTION_CONFIG))
			table[name].value = optarg ? optarg : "on";
		if (!first && name == OPTION_DATABASE)
			databaseFromArguments = true;
	}
	if (optind < argc)
		LogFatal("there is no argument \"%s\"", argv[optind]);
}

/* The string without the blanks around it, in place. */
static char *
trim(char *string)
{
	char	   *end;

	string += strspn(string, " \t\r\n");
	end = string + strlen(string);
	while (end > string && strchr(" \t\r\n", end[-1]) != NULL)
		*--end = '\0';
	return string;
}

static void
readSetting(char *line, const char *path, int number)
{
	char	   *equals = strchr(line, '=');
	char	   *name;

	if (line[0] == '\0' || line[0] == '#')
		return;
	if (equals == NULL)
		LogFatal("%s:%d: not of the form name = value", path, number);
	*equals = '\0';
	name = trim(line);
	for (char *c = name; *c != '\0'; c++)
		if (*c == '_')
			*c = '-';

	for (int i = 0; i < OPTION_COUNT; i++)
		if (table[i].argument != NULL && i != OPTION_CONFIG &&
			strcmp(table[i].name, name) == 0)
		{
			table[i].value = trim(equals + 1);
			return;
		}
	LogFatal("%s:%d: there is no setting \"%s\"", path, number, name);
}

static FILE *
openFile(const char *path)
{
	FILE	   *file = fopen(path, "r");

	if (file == NULL)
		LogFatal("could not open \"%s\": %s", path, strerror(errno));
	return file;
}

static void
readConfig(const char *path)
{
	FILE	   *file = openFile(path);
	Text		text;
	char	   *rest;
	int			c;

	TextBegin(&text);
	while ((c = fgetc(file)) != EOF)
		fputc(c, text.stream);
	if (ferror(file))
		LogFatal("could not read \"%s\": %s", path, strerror(errno));
	fclose(file);

	rest = configuration = TextFinish(&text);
	for (int number = 1; rest != NULL; number++)
		readSetting(trim(strsep(&rest, "\n")), path, number);
}

/* NULL if there is none. */
static char *
readPassword(const char *path)
{
	const char *environment = getenv("TENANCY_MAILER_PASSWORD");
	FILE	   *file;
	char	   *line = NULL;
	size_t		size = 0;

	if (path == NULL)
		return environment == NULL ? NULL : TextCopy(environment);
	file = openFile(path);
	if (getline(&line, &size, file) < 0)
		LogFatal("there is no password in \"%s\"", path);
	fclose(file);
	line[strcspn(line, "\r\n")] = '\0';
	return line;
}

static int
readNumber(OptionName name, int most)
{
	const char *value = table[name].value;
	char	   *end;
	long		number;

	errno = 0;
	number = strtol(value, &end, 10);
	if (end == value || *end != '\0' || errno != 0 || number < 1 || number > most)
		LogFatal("%s: \"%s\" is not a number from 1 to %d", table[name].name, value, most);
	return (int) number;
}

static StartTls
readStartTls(const char *value)
{
	if (strcmp(value, "require") == 0)
		return STARTTLS_REQUIRE;
	if (strcmp(value, "optional") == 0)
		return STARTTLS_OPTIONAL;
	if (strcmp(value, "none") == 0)
		return STARTTLS_NONE;
	LogFatal("starttls: \"%s\" is not require, optional or none", value);
}

/* Without the quotes that a name with a comma needs elsewhere. */
static char *
unquote(char *name)
{
	size_t		length = strlen(name);

	if (length < 2 || name[0] != '"' || name[length - 1] != '"')
		return name;
	name[length - 1] = '\0';
	return name + 1;
}

/* Takes "Name <address>" or an address alone apart. */
static void
splitFrom(Options *options)
{
	char	   *copy = TextCopy(options->from);
	char	   *open = strrchr(copy, '<');

	options->fromName = "";
	options->fromAddress = copy;
	if (open != NULL && copy[strlen(copy) - 1] == '>')
	{
		copy[strlen(copy) - 1] = '\0';
		*open = '\0';
		options->fromName = unquote(trim(copy));
		options->fromAddress = open + 1;
	}
	if (!TextIsAddress(options->fromAddress))
		LogFatal("from: \"%s\" is not an address", options->from);
}

/* Does a connection string hold a password? */
static bool
hasPassword(const char *conninfo)
{
	char	   *error = NULL;
	PQconninfoOption *parts = PQconninfoParse(conninfo, &error);
	bool		found = false;

	if (parts == NULL)
		LogFatal("database: not a connection string");
	for (PQconninfoOption *part = parts; part->keyword != NULL; part++)
		if (strcmp(part->keyword, "password") == 0 && part->val != NULL)
			found = true;
	PQconninfoFree(parts);
	return found;
}

/* Refuses what would work and should not. */
static void
check(const Options *options)
{
	bool		implicit = strncmp(options->server, "smtps://", 8) == 0;

	if (options->from == NULL || options->link == NULL)
		LogFatal("%s: must be given", options->from == NULL ? "from" : "link");
	if (!implicit && strncmp(options->server, "smtp://", 7) != 0)
		LogFatal("server: must be smtp://HOST:PORT or smtps://HOST:PORT");
	if (strchr(options->server, '@') != NULL)
		LogFatal("server: must not hold a user or a password");
	if (options->user != NULL && options->password == NULL)
		LogFatal("user: takes a password-file or TENANCY_MAILER_PASSWORD");
	/* whoever sits in between would take STARTTLS out, and get the password */
	if (options->user != NULL && !implicit && options->startTls != STARTTLS_REQUIRE)
		LogFatal("user: takes starttls = require, or a server smtps://");
	if (hasPassword(options->database) && databaseFromArguments)
		LogFatal("database: everybody sees a password there; "
				 "use the configuration file or a passfile");
}

/* Reads everything; what is wrong ends the program. */
void
OptionsRead(Options *options, int argc, char *argv[])
{
	readArguments(argc, argv, true);
	if (table[OPTION_CONFIG].value != NULL)
		readConfig(table[OPTION_CONFIG].value);
	readArguments(argc, argv, false);

	*options = (Options) {
		.database = table[OPTION_DATABASE].value,
		.server = table[OPTION_SERVER].value,
		.startTls = readStartTls(table[OPTION_STARTTLS].value),
		.caFile = table[OPTION_CA_FILE].value,
		.user = table[OPTION_USER].value,
		.password = readPassword(table[OPTION_PASSWORD_FILE].value),
		.from = table[OPTION_FROM].value,
		.link = table[OPTION_LINK].value,
		.templates = table[OPTION_TEMPLATES].value,
		.batch = readNumber(OPTION_BATCH, 1000),
		.poll = readNumber(OPTION_POLL, 86400),
		.timeout = readNumber(OPTION_TIMEOUT, 3600),
		.once = table[OPTION_ONCE].value != NULL,
	};
	check(options);
	splitFrom(options);
}
