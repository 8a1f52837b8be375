/*
 * A notification's way into a message and its headers (mailer/smtp.c), by the
 * templates that are installed, and a server's reply on its way into the log.
 */
#include <ctype.h>

#include "fuzz.h"
#include "../../mailer/smtp.c"

void
LogFatal(const char *format,...)
{
	REQUIRE(!"a fatal error");
	abort();
}

void
LogLine(const char *format,...)
{
}

/* Also loaded is the link, which is the first value that is put in. */
static void
begun(void)
{
	static Options given = {
		.fromName = "Acme \xc3\xbc, Inc.",
		.fromAddress = "no-reply@acme.example",
	};

	if (options == NULL)
		TemplateLoad(TEMPLATES, "https://acme.example/join?token={token}&invite={invite_id}");
	options = &given;
}

/* Every line break of a header is one that folds it. */
static void
requireOneHeader(const char *header)
{
	for (const char *c = header; *c != '\0'; c++)
	{
		if (strncmp(c, "\r\n ", 3) == 0)
			c += 2;
		else
			REQUIRE((unsigned char) *c >= 0x20 && (unsigned char) *c < 0x7f);
	}
}

/* The same headers whatever is put in, one of each. */
static void
tryHeaders(const Notification *notification, const Message *message)
{
	static const char *const names[] = {
		"Date: ", "From: ", "To: ", "Reply-To: ", "Subject: ", "Message-ID: ",
		"Auto-Submitted: ", "Content-Type: "
	};
	struct curl_slist *headers = makeHeaders(notification, message);
	struct curl_slist *at = headers;

	for (int i = 0; i < 8; i++)
	{
		const char *replyTo = notification->payload[FIELD_REPLY_TO];

		if (i == 3 && (replyTo == NULL || !TextIsAddress(replyTo)))
			continue;
		REQUIRE(at != NULL && strncmp(at->data, names[i], strlen(names[i])) == 0);
		requireOneHeader(at->data);
		at = at->next;
	}
	REQUIRE(at == NULL);
	curl_slist_free_all(headers);
}

static int
count(const char *text, const char *letters)
{
	int			found = 0;

	for (; *text != '\0'; text++)
		found += strchr(letters, *text) != NULL;
	return found;
}

/* No value adds a line, or a tag or an attribute. */
static void
requireAsPlain(const Notification *notification, const Message *message)
{
	Notification plain = *notification;
	Message		other;

	for (int field = 0; field < FIELDS_OF_PAYLOAD; field++)
		if (plain.payload[field] != NULL)
			plain.payload[field] = "x";
	plain.recipient = "x";
	REQUIRE(TemplateRender(&plain, &other) == NULL);
	REQUIRE(count(message->subject, "\r\n") == 0);
	REQUIRE(count(message->text, "\r\n") == count(other.text, "\r\n"));
	REQUIRE(count(message->html, "<>\"'\r\n") == count(other.html, "<>\"'\r\n"));
	MessageFree(&other);
}

static void
tryMessage(Input *input)
{
	Notification notification = {
		.id = "0f2d35a4-6f3e-4d0a-8f0c-3c1b0a5d9e77",
		.attempt = "1",
	};
	char	   *values[FIELDS_OF_PAYLOAD];
	char	   *kind;
	char	   *recipient;
	char	   *error;
	uint8_t		chosen = nextByte(input);
	uint8_t		absent = nextByte(input);
	Message		message;

	kind = nextString(input);
	recipient = nextString(input);
	for (int field = 0; field < FIELDS_OF_PAYLOAD; field++)
	{
		values[field] = nextString(input);
		if (!(absent >> field & 1))
			notification.payload[field] = values[field];
	}
	notification.kind = chosen % 4 == 0 ? kind : chosen % 4 == 1 ? "member_joined" : "invitation";
	notification.recipient = recipient;

	error = TemplateRender(&notification, &message);
	if (error == NULL)
	{
		requireAsPlain(&notification, &message);
		/* SmtpSend() sends to no other */
		if (TextIsAddress(recipient))
			tryHeaders(&notification, &message);
		MessageFree(&message);
	}
	free(error);
	free(kind);
	free(recipient);
	for (int field = 0; field < FIELDS_OF_PAYLOAD; field++)
		free(values[field]);
}

/* What remains of a reply that repeats a token somewhere. */
static void
tryReply(Input *input)
{
	static const char token[] =
		"tni_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef01234567";
	char	   *before = nextString(input);
	char	   *after = nextString(input);
	char	   *said = TextFormat("%s https://acme.example/?%s&%s", before, token, after);
	size_t		length = strlen(said);
	char	   *exact = malloc(length);	/* libcurl ends no line with a zero */
	char	   *clean;

	memcpy(exact, said, length);
	command[0] = reply[0] = curlError[0] = '\0';
	overhear(NULL, CURLINFO_HEADER_OUT, exact, length, NULL);
	overhear(NULL, CURLINFO_HEADER_OUT, "DATA\r\n", 6, NULL);
	overhear(NULL, CURLINFO_HEADER_IN, exact, length, NULL);
	REQUIRE(strlen(reply) < sizeof(reply) && strpbrk(reply, "\r\n") == NULL);
	judge(CURLE_SEND_ERROR);
	clean = describe(CURLE_SEND_ERROR);
	if (strstr(before, "01234") == NULL && strstr(after, "01234") == NULL)
		REQUIRE(strstr(clean, "0123456") == NULL);
	for (const char *c = clean; *c != '\0'; c++)
		REQUIRE((unsigned char) *c >= 0x20 && (unsigned char) *c < 0x7f);
	free(clean);
	free(exact);
	free(said);
	free(before);
	free(after);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		input = {data, size};

	begun();
	if (nextByte(&input) % 4 == 0)
		tryReply(&input);
	else
		tryMessage(&input);
	return 0;
}
