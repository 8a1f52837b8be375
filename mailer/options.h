/*
 * options.h
 *		What the command line and the configuration file say.
 */
#ifndef MAILER_OPTIONS_H
#define MAILER_OPTIONS_H

#include <stdbool.h>

typedef enum StartTls
{
	STARTTLS_REQUIRE,
	STARTTLS_OPTIONAL,
	STARTTLS_NONE,
} StartTls;

typedef struct Options
{
	const char *database;		/* connection string; "" is libpq's defaults */
	const char *server;			/* smtp:// or smtps:// URL */
	StartTls	startTls;
	const char *caFile;			/* NULL: the system's */
	const char *user;			/* NULL: no authentication */
	char	   *password;
	const char *from;			/* as given */
	char	   *fromName;		/* "" if it has none */
	char	   *fromAddress;
	const char *link;
	const char *templates;
	int			batch;
	int			poll;			/* seconds */
	int			timeout;		/* seconds */
	bool		once;
} Options;

extern void OptionsRead(Options *options, int argc, char *argv[]);

#endif
