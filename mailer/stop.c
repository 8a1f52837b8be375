/*
 * stop.c
 *		Waiting that a signal to stop interrupts.
 *
 * The first SIGTERM or SIGINT only asks; the program looks between messages.
 * A second one ends it at once, which may cost the message in flight a second
 * delivery.
 */
#define _GNU_SOURCE				/* ppoll */
#include <poll.h>
#include <signal.h>

#include "stop.h"

static volatile sig_atomic_t requested = 0;

static void
request(int signal)
{
	(void) signal;
	requested = 1;
}

void
StopInstall(void)
{
	struct sigaction action = {.sa_handler = request, .sa_flags = SA_RESETHAND};

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	/* a server that hangs up is an error of that message, not our end */
	signal(SIGPIPE, SIG_IGN);
}

bool
StopRequested(void)
{
	return requested != 0;
}

/*
 * Until the descriptor (-1 for none) can be read, the time is over or a stop
 * is requested.  The signals are let in by ppoll alone, so that none comes
 * unnoticed between the question and the sleep.
 */
void
StopAwait(int descriptor, int milliseconds)
{
	struct pollfd readable = {.fd = descriptor, .events = POLLIN};
	struct timespec timeout = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
	sigset_t	stops;
	sigset_t	before;

	sigemptyset(&stops);
	sigaddset(&stops, SIGTERM);
	sigaddset(&stops, SIGINT);
	sigprocmask(SIG_BLOCK, &stops, &before);
	if (!requested)
		ppoll(&readable, 1, &timeout, &before);
	sigprocmask(SIG_SETMASK, &before, NULL);
}
