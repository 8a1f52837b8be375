/*
 * log.c
 *		What the mailer says, on stderr: one line at a time, and no secrets.
 *
 * There is no time in a line: the journal and cron add theirs.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "log.h"

static void
writeLine(const char *format, va_list arguments)
{
	/* several mailers may share a file: one write a line */
	char		line[2048];

	vsnprintf(line, sizeof(line), format, arguments);
	for (char *c = line; *c != '\0'; c++)
		if (iscntrl((unsigned char) *c))
			*c = ' ';
	fprintf(stderr, "tenancy-mailer: %s\n", line);
	fflush(stderr);
}

void
LogLine(const char *format,...)
{
	va_list		arguments;

	va_start(arguments, format);
	writeLine(format, arguments);
	va_end(arguments);
}

/* For what is wrong before the first message: the program ends. */
void
LogFatal(const char *format,...)
{
	va_list		arguments;

	va_start(arguments, format);
	writeLine(format, arguments);
	va_end(arguments);
	exit(EXIT_CONFIGURATION);
}
