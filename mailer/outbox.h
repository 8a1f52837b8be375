/*
 * outbox.h
 *		The database: claims notifications and reports what became of them.
 */
#ifndef MAILER_OUTBOX_H
#define MAILER_OUTBOX_H

#include <stdbool.h>

#include "template.h"

typedef enum OutboxStatus
{
	OUTBOX_DONE,
	OUTBOX_REFUSED,				/* asking again would not help */
	OUTBOX_UNAVAILABLE,			/* it may help later, after OutboxConnect */
} OutboxStatus;

extern bool OutboxConnect(const char *conninfo);
extern bool OutboxIsConnected(void);
extern void OutboxDisconnect(void);
extern void OutboxAwait(int milliseconds);

extern OutboxStatus OutboxClaim(int most, int *count);
extern void OutboxClaimed(int index, Notification *notification);
extern OutboxStatus OutboxComplete(const char *id);
extern OutboxStatus OutboxFail(const char *id, const char *error);
extern OutboxStatus OutboxRelease(const char *id);

#endif
