/*
 * hold_messages.c
 *		For tests: keeps everybody from sending invalidation messages.
 *
 * A commit, or its replay, then waits where its rows can be seen already and
 * nobody was told of it.
 */
#include "postgres.h"

#include <fcntl.h>
#include <unistd.h>

#include "fmgr.h"
#include "storage/lwlock.h"
#include "utils/builtins.h"

PG_MODULE_MAGIC;
PG_FUNCTION_INFO_V1(hold_messages);

/* As long as there is a file of that name, which it makes. */
Datum
hold_messages(PG_FUNCTION_ARGS)
{
	char	   *file = text_to_cstring(PG_GETARG_TEXT_PP(0));

	LWLockAcquire(SInvalWriteLock, LW_EXCLUSIVE);
	close(open(file, O_CREAT | O_WRONLY, 0600));
	while (access(file, F_OK) == 0)
		pg_usleep(1000);
	LWLockRelease(SInvalWriteLock);
	PG_RETURN_VOID();
}
