/*
 * smtp.c
 *		The mail server, by libcurl.
 *
 * A message counts as sent when the server has answered its last dot with a
 * 250, and in no other case.  libcurl keeps the connection for the next one.
 */
#define _GNU_SOURCE				/* gmtime_r */
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "log.h"
#include "smtp.h"
#include "text.h"

static const Options *options;
static CURL *curl;
static char curlError[CURL_ERROR_SIZE];
static char command[5];			/* the last one, but for QUIT: "MAIL" */
static char reply[512];			/* the last line of what it was answered */

/*
 * Listens to the conversation: how far it came decides whose fault an error
 * is, and the server's own words say more than libcurl's.  Of what we say,
 * credentials included, four letters are kept.
 */
static int
overhear(CURL *handle, curl_infotype type, char *data, size_t size, void *unused)
{
	static bool leaving = false;

	(void) handle;
	(void) unused;
	if (type == CURLINFO_HEADER_OUT)
	{
		leaving = size >= 4 && strncmp(data, "QUIT", 4) == 0;
		if (!leaving)
			snprintf(command, sizeof(command), "%.*s", (int) size, data);
	}
	if (type == CURLINFO_HEADER_IN && !leaving)
	{
		snprintf(reply, sizeof(reply), "%.*s", (int) size, data);
		reply[strcspn(reply, "\r\n")] = '\0';
		/* half a word may be half a secret, which does not look like one */
		if (strlen(reply) == sizeof(reply) - 1)
			*(strrchr(reply, ' ') ? strrchr(reply, ' ') : reply + 3) = '\0';
	}
	return 0;
}

void
SmtpInit(const Options *given)
{
	options = given;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0 || (curl = curl_easy_init()) == NULL)
		LogFatal("could not initialize libcurl");
}

void
SmtpExit(void)
{
	curl_easy_cleanup(curl);
	curl_global_cleanup();
}

/* A new request on the connection that there may be already. */
static void
begin(void)
{
	static const long useSsl[] = {
		[STARTTLS_REQUIRE] = CURLUSESSL_ALL,
		[STARTTLS_OPTIONAL] = CURLUSESSL_TRY,
		[STARTTLS_NONE] = CURLUSESSL_NONE,
	};

	curl_easy_reset(curl);
	command[0] = '\0';
	reply[0] = '\0';
	curlError[0] = '\0';
	curl_easy_setopt(curl, CURLOPT_URL, options->server);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
	curl_easy_setopt(curl, CURLOPT_PROXY, "");	/* not from the environment */
	curl_easy_setopt(curl, CURLOPT_USE_SSL, useSsl[options->startTls]);
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
	if (options->caFile != NULL)
		curl_easy_setopt(curl, CURLOPT_CAINFO, options->caFile);
	if (options->user != NULL)
	{
		curl_easy_setopt(curl, CURLOPT_USERNAME, options->user);
		curl_easy_setopt(curl, CURLOPT_PASSWORD, options->password);
	}
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long) options->timeout);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long) options->timeout);
	/* the only limit that holds for the QUIT after a failure */
	curl_easy_setopt(curl, CURLOPT_SERVER_RESPONSE_TIMEOUT, (long) options->timeout);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, curlError);
	curl_easy_setopt(curl, CURLOPT_DEBUGFUNCTION, overhear);
	curl_easy_setopt(curl, CURLOPT_VERBOSE, 1L);
}

/*
 * Was it this message that the server refused, or is something else wrong?
 * Whoever refuses the sender refuses all we send; 421 says goodbye.
 */
static SmtpStatus
judge(CURLcode code)
{
	int			said = atoi(reply);

	if (code == CURLE_OK)
		return SMTP_SENT;
	if (said >= 400 && said != 421 &&
		(strcmp(command, "RCPT") == 0 || strcmp(command, "DATA") == 0))
		return SMTP_REFUSED;
	return SMTP_TROUBLE;
}

static char *
describe(CURLcode code)
{
	const char *ours = curlError[0] != '\0' ? curlError : curl_easy_strerror(code);
	char	   *all = atoi(reply) >= 400 ?
		TextFormat("the server said: %s", reply) : TextFormat("%s", ours);
	char	   *clean = TextWithoutSecrets(all);

	free(all);
	return clean;
}

static SmtpStatus
perform(char **error)
{
	CURLcode	code = curl_easy_perform(curl);

	*error = code == CURLE_OK ? NULL : describe(code);
	return judge(code);
}

/* ----------
 * The message
 * ----------
 */

/* Takes over the line. */
static struct curl_slist *
addHeader(struct curl_slist *headers, char *line)
{
	struct curl_slist *longer = curl_slist_append(headers, line);

	if (longer == NULL)
		LogFatal("out of memory");
	free(line);
	return longer;
}

/* Takes over the value, which has been made safe. */
static struct curl_slist *
addField(struct curl_slist *headers, const char *name, char *value)
{
	headers = addHeader(headers, TextFormat("%s: %s", name, value));
	free(value);
	return headers;
}

static char *
now(void)
{
	time_t		seconds = time(NULL);
	struct tm	tm;
	char		date[64];

	gmtime_r(&seconds, &tm);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", &tm);
	return TextCopy(date);
}

static char *
sender(void)
{
	char	   *name = TextEncodePhrase(options->fromName);
	char	   *sender = TextFormat("%s%s<%s>", name, name[0] ? "\r\n " : "",
									options->fromAddress);

	free(name);
	return sender;
}

/*
 * The Message-ID is the notification's: whoever gets a message twice, after
 * a crash, can tell.
 */
static struct curl_slist *
makeHeaders(const Notification *notification, const Message *message)
{
	const char *replyTo = notification->payload[FIELD_REPLY_TO];
	struct curl_slist *headers = NULL;

	headers = addField(headers, "Date", now());
	headers = addField(headers, "From", sender());
	headers = addField(headers, "To", TextFormat("<%s>", notification->recipient));
	if (replyTo != NULL && TextIsAddress(replyTo))
		headers = addField(headers, "Reply-To", TextFormat("<%s>", replyTo));
	headers = addField(headers, "Subject", TextEncodeHeader(message->subject));
	headers = addField(headers, "Message-ID",
					   TextFormat("<%s%s>", notification->id,
								  strchr(options->fromAddress, '@')));
	/* nobody's holiday is to answer it (RFC 3834) */
	headers = addField(headers, "Auto-Submitted", TextCopy("auto-generated"));
	/* libcurl adds the boundary */
	return addField(headers, "Content-Type", TextCopy("multipart/alternative"));
}

static void
addPart(curl_mime *parts, const char *content, const char *type)
{
	curl_mimepart *part = curl_mime_addpart(parts);

	if (part == NULL ||
		curl_mime_data(part, content, CURL_ZERO_TERMINATED) != CURLE_OK ||
		curl_mime_type(part, type) != CURLE_OK ||
		curl_mime_encoder(part, "quoted-printable") != CURLE_OK)
		LogFatal("out of memory");
}

/* Sends a message; if that fails, says why, allocated and without secrets. */
SmtpStatus
SmtpSend(const Notification *notification, const Message *message, char **error)
{
	struct curl_slist *headers;
	struct curl_slist *recipients;
	curl_mime  *parts;
	char	   *from;
	SmtpStatus	status;

	if (!TextIsAddress(notification->recipient))
	{
		*error = TextCopy("the recipient is not an address");
		return SMTP_REFUSED;
	}

	begin();
	headers = makeHeaders(notification, message);
	recipients = addHeader(NULL, TextFormat("<%s>", notification->recipient));
	from = TextFormat("<%s>", options->fromAddress);
	parts = curl_mime_init(curl);
	addPart(parts, message->text, "text/plain; charset=utf-8");
	addPart(parts, message->html, "text/html; charset=utf-8");
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_MAIL_FROM, from);
	curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, recipients);
	curl_easy_setopt(curl, CURLOPT_MIMEPOST, parts);
	status = perform(error);

	curl_easy_reset(curl);
	curl_mime_free(parts);
	curl_slist_free_all(recipients);
	curl_slist_free_all(headers);
	free(from);
	return status;
}

/* Could a message be sent, as far as connecting and signing in go? */
bool
SmtpIsThere(char **error)
{
	begin();
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, "NOOP");
	curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
	return perform(error) == SMTP_SENT;
}
