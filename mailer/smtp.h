/*
 * smtp.h
 *		The mail server.
 */
#ifndef MAILER_SMTP_H
#define MAILER_SMTP_H

#include <stdbool.h>

#include "options.h"
#include "template.h"

typedef enum SmtpStatus
{
	SMTP_SENT,
	SMTP_REFUSED,				/* the server does not want this message */
	SMTP_TROUBLE,				/* the next message would not fare better */
} SmtpStatus;

extern void SmtpInit(const Options *options);
extern void SmtpExit(void);
extern SmtpStatus SmtpSend(const Notification *notification,
						   const Message *message, char **error);
extern bool SmtpIsThere(char **error);

#endif
