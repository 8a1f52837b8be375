/*
 * main.c
 *		Sends the mail that waits in tenancy.notifications.
 *
 * A notification is claimed, sent, and reported as sent or failed.  What
 * keeps it from being lost is that a claim which is never reported lapses;
 * what keeps it from being sent twice is that nothing is claimed while a
 * message that has left is not on record.  Only the end of this program
 * between the two makes a second delivery.
 */
#define _GNU_SOURCE				/* nanosleep, CLOCK_BOOTTIME */
#include <stdlib.h>
#include <time.h>

#include "log.h"
#include "options.h"
#include "outbox.h"
#include "smtp.h"
#include "stop.h"
#include "template.h"
#include "text.h"

/* How a round of claiming and sending ended. */
typedef enum Round
{
	ROUND_EMPTY,				/* nothing is due any more */
	ROUND_STOPPED,
	ROUND_NO_DATABASE,
	ROUND_NO_MAIL_SERVER,
	ROUND_UNRECORDED,			/* had to give up reporting what was sent */
} Round;

/* This many refusals in a row are not about single messages any more. */
#define REFUSALS_IN_A_ROW	20
/* How often a report is tried when the program is about to end. */
#define LAST_REPORTS		6

static Options options;
static bool mailServerFailed = false;
static int	failures = 0;		/* of either server, in a row */
static int	refusals = 0;		/* of messages, in a row */
static int	unsent = 0;			/* since the start */

/* 0.5 seconds, 1, 2, ... 30 for the first, second ... failure in a row. */
static int
backOff(int count)
{
	int			milliseconds = 250 << (count > 7 ? 7 : count);

	return milliseconds > 30000 ? 30000 : milliseconds;
}

/* Sleeps although a stop is requested. */
static void
sleepThrough(int milliseconds)
{
	struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000L};

	nanosleep(&time, NULL);
}

/*
 * Reports until the database has it: a message that has left must not be
 * sent again.  Only if the program is to end it gives up at some point.
 */
static bool
report(const char *id, const char *error)
{
	for (int tries = 1;; tries++)
	{
		if ((OutboxIsConnected() || OutboxConnect(options.database)) &&
			(error == NULL ? OutboxComplete(id) : OutboxFail(id, error)) != OUTBOX_UNAVAILABLE)
			return true;
		if ((StopRequested() || options.once) && tries >= LAST_REPORTS)
			return false;
		sleepThrough(backOff(tries));
	}
}

static void
logOutcome(const Notification *notification, const char *error)
{
	char	   *masked = TextMaskAddress(notification->recipient);
	char	   *kind = TextOneLine(notification->kind);

	LogLine("%s %s %s to %s, attempt %s%s%s",
			error == NULL ? "sent" : "could not send", kind, notification->id,
			masked, notification->attempt, error == NULL ? "" : ": ",
			error == NULL ? "" : error);
	free(kind);
	free(masked);
}

/* Sends one notification and reports it. */
static Round
deliver(const Notification *notification)
{
	Message		message;
	SmtpStatus	status = SMTP_REFUSED;
	char	   *error = TemplateRender(notification, &message);
	bool		recorded;

	if (error == NULL)
	{
		status = SmtpSend(notification, &message, &error);
		MessageFree(&message);
		refusals = status == SMTP_SENT ? 0 : refusals + 1;
		failures = status == SMTP_SENT ? 0 : failures;
	}
	logOutcome(notification, error);
	unsent += status != SMTP_SENT;
	recorded = report(notification->id, error);
	if (!recorded)
		LogLine("could not record what became of %s%s", notification->id,
				status == SMTP_SENT ? ": it will be sent again" : "");
	free(error);

	if (!recorded)
		return status == SMTP_SENT ? ROUND_UNRECORDED : ROUND_NO_DATABASE;
	if (status == SMTP_TROUBLE || refusals >= REFUSALS_IN_A_ROW)
		return ROUND_NO_MAIL_SERVER;
	return ROUND_EMPTY;
}

/* Seconds since some moment, those that the machine was asleep included. */
static time_t
clockSeconds(void)
{
	struct timespec time;

	clock_gettime(CLOCK_BOOTTIME, &time);
	return time.tv_sec;
}

/*
 * Claims a batch and sends it; what is not tried is given back.  No message
 * is begun when its claim may be about to lapse; and when it may have lapsed,
 * nothing is given back, since it would be another mailer's claim.
 */
static Round
workOffBatch(int *count)
{
	time_t		start = clockSeconds();
	Round		round = ROUND_EMPTY;
	OutboxStatus status = OutboxClaim(options.batch, count);

	if (status != OUTBOX_DONE)
		return ROUND_NO_DATABASE;
	for (int i = 0; i < *count; i++)
	{
		Notification notification;
		time_t		age = clockSeconds() - start;

		OutboxClaimed(i, &notification);
		if (StopRequested() && round == ROUND_EMPTY)
			round = ROUND_STOPPED;
		if (round == ROUND_EMPTY && age <= options.timeout)
			round = deliver(&notification);
		else if (OutboxIsConnected() && age <= 4L * options.timeout)
			OutboxRelease(notification.id);
	}
	return round;
}

/* Until nothing is due, or something is wrong. */
static Round
workOff(void)
{
	Round		round;
	int			count;

	if (!OutboxIsConnected() && !OutboxConnect(options.database))
		return ROUND_NO_DATABASE;

	/* while it is away, no notification pays for it with an attempt */
	if (mailServerFailed)
	{
		char	   *error = NULL;
		bool		there = SmtpIsThere(&error);

		if (!there)
			LogLine("the mail server is not there: %s", error);
		free(error);
		if (!there)
			return ROUND_NO_MAIL_SERVER;
	}

	do
	{
		if (StopRequested())
			return ROUND_STOPPED;
		round = workOffBatch(&count);
	} while (round == ROUND_EMPTY && count > 0);
	return round;
}

/* Waits for as long as the end of a round asks for. */
static void
await(Round round)
{
	failures = round == ROUND_EMPTY ? 0 : failures + 1;
	mailServerFailed = round == ROUND_NO_MAIL_SERVER;
	if (round == ROUND_EMPTY)
		OutboxAwait(options.poll * 1000);
	else
		StopAwait(-1, backOff(failures));
}

static ExitCode
exitCode(Round round)
{
	if (round == ROUND_UNRECORDED)
		return EXIT_UNRECORDED;
	if (options.once && round == ROUND_NO_DATABASE)
		return EXIT_DATABASE;
	if (options.once && (round == ROUND_NO_MAIL_SERVER || unsent > 0))
		return EXIT_UNSENT;
	return EXIT_DONE;
}

int
main(int argc, char *argv[])
{
	Round		round;

	OptionsRead(&options, argc, argv);
	TemplateLoad(options.templates, options.link);
	SmtpInit(&options);
	StopInstall();
	LogLine("started, version %s, mail server %s", TENANCY_VERSION, options.server);

	for (;;)
	{
		round = workOff();
		if (round == ROUND_UNRECORDED || round == ROUND_STOPPED || options.once)
			break;
		await(round);
		if (StopRequested())
			break;
	}

	LogLine("stopped");
	OutboxDisconnect();
	SmtpExit();
	return exitCode(round);
}
