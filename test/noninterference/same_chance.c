/*
 * Put into a server by LD_PRELOAD, this takes chance and time out of what a
 * session answers: random bytes and the clock depend on what its client has
 * sent so far, and on nothing else.  So two sessions that are sent the same
 * are given the same ids, tokens and times, and whatever else differs between
 * their answers differs because of what is in their databases.
 *
 * The clock stands still while a statement runs, and goes on by a second with
 * each message.  Processes without a client, and what comes before the client's
 * first statement, have the true clock and true chance.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/time.h>

#define START_OF_TIME 1893456000	/* 2030, later than any true time */
#define FIRST_STATEMENT 2		/* the first message names the database */
#define MANY			64		/* bytes; whoever wants more wants salts */
#define SALT			16

static unsigned messages;
static uint64_t heard = 0x9E3779B97F4A7C15; /* all that the client has sent */
static uint64_t chance;			/* begins anew with each message */

static uint64_t
stir(uint64_t state, uint64_t with)
{
	state = (state ^ with) * 0xBF58476D1CE4E5B9;
	return state ^ state >> 29;
}

ssize_t
recv(int socket, void *buffer, size_t size, int flags)
{
	static ssize_t (*real) (int, void *, size_t, int);
	ssize_t		got;

	if (!real)
		real = dlsym(RTLD_NEXT, "recv");
	got = real(socket, buffer, size, flags);
	if (got > 0 && ++messages >= FIRST_STATEMENT)
		for (ssize_t i = 0; i < got; i++)
			chance = heard = stir(heard, ((unsigned char *) buffer)[i] + 1);
	return got;
}

int
RAND_bytes(unsigned char *buffer, int size)
{
	static int	(*real) (unsigned char *, int);

	if (messages < FIRST_STATEMENT)
	{
		if (!real)
			real = dlsym(RTLD_NEXT, "RAND_bytes");
		return real(buffer, size);
	}
	/*
	 * The audit log's salts are fetched for many entries at a time, hidden ones
	 * among them: all are the same.
	 */
	for (int i = 0; i < size; i++)
		buffer[i] = (size > MANY ? stir(1, i % SALT) : (chance = stir(chance, 1))) >> 32;
	return 1;
}

int
gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	static int	(*real) (struct timeval *, void *);

	if (messages < FIRST_STATEMENT)
	{
		if (!real)
			real = dlsym(RTLD_NEXT, "gettimeofday");
		return real(now, zone);
	}
	now->tv_sec = START_OF_TIME + messages;
	now->tv_usec = 0;
	return 0;
}
