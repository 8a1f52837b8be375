/*
 * outbox.c
 *		The database: claims notifications and reports what became of them.
 *
 * Each call is a transaction of its own, so that a claim is on record before
 * its message leaves, and its completion right after.  A connection that
 * misbehaves is given up; nothing of it is needed again.
 */
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "outbox.h"
#include "stop.h"
#include "text.h"

/* Columns before the fields of the payload. */
#define CLAIM_COLUMNS	4

static PGconn *connection = NULL;
static PGresult *claimed = NULL;

/* Takes no secret along: the errors name functions and roles only. */
static void
logError(const char *what, const PGresult *result)
{
	const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	char	   *line = TextOneLine(primary ? primary : PQerrorMessage(connection));

	LogLine("%s: %s", what, line);
	free(line);
}

void
OutboxDisconnect(void)
{
	PQfinish(connection);
	connection = NULL;
}

bool
OutboxIsConnected(void)
{
	return connection != NULL;
}

/* What the server says unasked is a line of our log like any other. */
static void
logNotice(void *unused, const char *message)
{
	(void) unused;
	LogLine("%s", message);
}

/*
 * The limits are defaults that the connection string can change.  They keep
 * a server that is gone without a word from holding the mailer for ever.
 */
static PGconn *
openConnection(const char *conninfo)
{
	const char *const names[] = {
		"fallback_application_name", "connect_timeout", "tcp_user_timeout",
		"keepalives_idle", "dbname", "client_encoding", NULL
	};
	const char *const values[] = {
		"tenancy-mailer", "10", "30000", "30", conninfo, "UTF8", NULL
	};

	return PQconnectdbParams(names, values, 1);
}

bool
OutboxConnect(const char *conninfo)
{
	PGresult   *result;
	bool		listening;

	OutboxDisconnect();
	connection = openConnection(conninfo);
	if (PQstatus(connection) != CONNECTION_OK)
	{
		logError("could not connect to the database", NULL);
		OutboxDisconnect();
		return false;
	}

	PQsetNoticeProcessor(connection, logNotice, NULL);
	/* Listen first, claim then: what comes in between is not missed. */
	result = PQexec(connection,
					"SET search_path = pg_catalog, pg_temp;"
					"SET statement_timeout = '30s';"
					"SET default_transaction_isolation = 'read committed';"
					"LISTEN tenancy_notifications");
	listening = PQresultStatus(result) == PGRES_COMMAND_OK;
	if (!listening)
		logError("could not listen", result);
	PQclear(result);
	if (!listening)
		OutboxDisconnect();
	return listening;
}

/* Until a notification arrives, the time is over, or a stop is requested. */
void
OutboxAwait(int milliseconds)
{
	PGnotify   *notify;

	/* one may have come along with the last answer */
	notify = PQnotifies(connection);
	if (notify == NULL)
	{
		StopAwait(PQsocket(connection), milliseconds);
		if (!PQconsumeInput(connection))
		{
			logError("lost the database", NULL);
			OutboxDisconnect();
			return;
		}
		notify = PQnotifies(connection);
	}
	for (; notify != NULL; notify = PQnotifies(connection))
		PQfreemem(notify);
}

/*
 * Would the same request be refused again?  Yes if it is the data that is
 * wrong; anything else may pass, be it a restart or a missing GRANT.
 */
static bool
isFinal(const PGresult *result)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	return state != NULL &&
		(strncmp(state, "P0", 2) == 0 || strncmp(state, "22", 2) == 0 ||
		 strncmp(state, "23", 2) == 0);
}

static OutboxStatus
request(const char *what, const char *query, int count,
		const char *const parameters[], PGresult **answer)
{
	PGresult   *result = PQexecParams(connection, query, count, NULL, parameters,
									  NULL, NULL, 0);
	OutboxStatus status = OUTBOX_DONE;

	if (PQresultStatus(result) != PGRES_TUPLES_OK)
	{
		logError(what, result);
		status = isFinal(result) ? OUTBOX_REFUSED : OUTBOX_UNAVAILABLE;
	}
	if (status == OUTBOX_UNAVAILABLE)
		OutboxDisconnect();
	if (status == OUTBOX_DONE && answer != NULL)
		*answer = result;
	else
		PQclear(result);
	return status;
}

/* PostgreSQL takes the payload apart. */
static char *
claimQuery(void)
{
	Text		query;

	TextBegin(&query);
	fputs("SELECT id, kind, recipient, attempts", query.stream);
	for (int field = 0; field < FIELDS_OF_PAYLOAD; field++)
		fprintf(query.stream, ", payload ->> '%s'", FieldNames[field]);
	fputs(" FROM tenancy.claim_notifications($1)", query.stream);
	return TextFinish(&query);
}

/* Claims; what OutboxClaimed showed before is gone. */
OutboxStatus
OutboxClaim(int most, int *count)
{
	char	   *query = claimQuery();
	char	   *number = TextFormat("%d", most);
	OutboxStatus status;

	PQclear(claimed);
	claimed = NULL;
	status = request("could not claim", query, 1,
					 (const char *const[]) {number}, &claimed);
	*count = PQntuples(claimed);
	free(number);
	free(query);
	return status;
}

static const char *
column(int row, int number)
{
	return PQgetisnull(claimed, row, number) ? NULL : PQgetvalue(claimed, row, number);
}

void
OutboxClaimed(int index, Notification *notification)
{
	*notification = (Notification) {
		.id = column(index, 0),
		.kind = column(index, 1),
		.recipient = column(index, 2),
		.attempt = column(index, 3),
	};
	for (int field = 0; field < FIELDS_OF_PAYLOAD; field++)
		notification->payload[field] = column(index, CLAIM_COLUMNS + field);
}

OutboxStatus
OutboxComplete(const char *id)
{
	return request("could not complete a notification",
				   "SELECT tenancy.complete_notification($1)", 1,
				   (const char *const[]) {id}, NULL);
}

OutboxStatus
OutboxFail(const char *id, const char *error)
{
	return request("could not fail a notification",
				   "SELECT tenancy.fail_notification($1, $2)", 2,
				   (const char *const[]) {id, error}, NULL);
}

/* Gives back what was claimed and not tried. */
OutboxStatus
OutboxRelease(const char *id)
{
	return request("could not release a notification",
				   "SELECT tenancy.release_notification($1)", 1,
				   (const char *const[]) {id}, NULL);
}
