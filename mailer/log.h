/*
 * log.h
 *		What the mailer says, on stderr: one line at a time, and no secrets.
 */
#ifndef MAILER_LOG_H
#define MAILER_LOG_H

/* What the program answers with; documented in docs/mailer.md. */
typedef enum ExitCode
{
	EXIT_DONE = 0,				/* told to stop, or --once and nothing left */
	EXIT_CONFIGURATION = 1,		/* an option, a file or a template */
	EXIT_DATABASE = 2,			/* --once, and the database is not there */
	EXIT_UNSENT = 3,			/* --once, and a message was not sent */
	EXIT_UNRECORDED = 4,		/* stopped with a sent message unreported */
} ExitCode;

extern void LogLine(const char *format,...) __attribute__((format(printf, 1, 2)));
extern void LogFatal(const char *format,...)
			__attribute__((format(printf, 1, 2), noreturn));

#endif
