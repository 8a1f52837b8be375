/*
 * template.c
 *		From a notification and the files of a folder to a message.
 *
 * Everything that can be wrong with a template is found at the start.  A
 * value is put in by one filter, that of the place where it goes, and what
 * was put in is not looked at again: a name that reads {link} stays a name.
 */
#define _GNU_SOURCE				/* timegm */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "log.h"
#include "template.h"
#include "text.h"

#define BIT(field)		(1U << (field))

const char *const FieldNames[FIELD_COUNT] = {
	[FIELD_ORGANIZATION_NAME] = "organization_name",
	[FIELD_INVITER_NAME] = "inviter_name",
	[FIELD_REPLY_TO] = "reply_to",
	[FIELD_TOKEN] = "token",
	[FIELD_EXPIRES_AT] = "expires_at",
	[FIELD_INVITE_ID] = "invite_id",
	[FIELD_MEMBER_NAME] = "member_name",
	[FIELD_MEMBER_EMAIL] = "member_email",
	[FIELD_RECIPIENT] = "recipient",
	[FIELD_LINK] = "link",
};

/* The templates of one kind of notification. */
typedef struct Kind
{
	const char *name;
	unsigned int required;		/* what its payload must have */
	unsigned int optional;		/* what its templates may name besides */
	char	   *subject;
	char	   *text;
	char	   *html;
} Kind;

static Kind kinds[] = {
	{
		.name = "invitation",
		.required = BIT(FIELD_ORGANIZATION_NAME) | BIT(FIELD_TOKEN) |
			BIT(FIELD_EXPIRES_AT) | BIT(FIELD_INVITE_ID),
		.optional = BIT(FIELD_INVITER_NAME) | BIT(FIELD_REPLY_TO) |
			BIT(FIELD_RECIPIENT) | BIT(FIELD_LINK),
	},
	{
		.name = "member_joined",
		.required = BIT(FIELD_ORGANIZATION_NAME) | BIT(FIELD_MEMBER_NAME) |
			BIT(FIELD_MEMBER_EMAIL),
		.optional = BIT(FIELD_RECIPIENT),
	},
};
static const int kindCount = sizeof(kinds) / sizeof(kinds[0]);

static char *linkTemplate;

/* ----------
 * Placeholders
 * ----------
 */

/* Length of what is a placeholder by its looks: {letters_and_underscores}. */
static size_t
placeholderLength(const char *at)
{
	size_t		inside;

	if (*at != '{')
		return 0;
	inside = strspn(at + 1, "abcdefghijklmnopqrstuvwxyz_");
	return inside > 0 && at[inside + 1] == '}' ? inside + 2 : 0;
}

static Field
fieldOf(const char *at, size_t length)
{
	for (int field = 0; field < FIELD_COUNT; field++)
		if (strlen(FieldNames[field]) == length - 2 &&
			strncmp(FieldNames[field], at + 1, length - 2) == 0)
			return field;
	return FIELD_COUNT;
}

/* The fields that a template names; one that it may not is the end. */
static unsigned int
fieldsIn(const char *template, unsigned int allowed, const char *where)
{
	unsigned int found = 0;

	for (const char *at = strchr(template, '{'); at != NULL; at = strchr(at + 1, '{'))
	{
		size_t		length = placeholderLength(at);
		Field		field = length > 0 ? fieldOf(at, length) : FIELD_COUNT;

		if (length > 0 && (field == FIELD_COUNT || !(allowed & BIT(field))))
			LogFatal("%s: %.*s cannot be used here", where, (int) length, at);
		if (length > 0)
			found |= BIT(field);
	}
	return found;
}

/* A template with its values; one that is missing is empty. */
static char *
fill(const char *template, char *const values[], TextFilter filter)
{
	Text		text;

	TextBegin(&text);
	while (*template != '\0')
	{
		size_t		length = placeholderLength(template);

		if (length == 0)
		{
			fputc(*template++, text.stream);
			continue;
		}
		if (values[fieldOf(template, length)] != NULL)
		{
			char	   *value = filter(values[fieldOf(template, length)]);

			fputs(value, text.stream);
			free(value);
		}
		template += length;
	}
	return TextFinish(&text);
}

/* ----------
 * Loading
 * ----------
 */

/* A file with the line ends that mail has. */
static char *
readFile(const char *path)
{
	FILE	   *file = fopen(path, "r");
	Text		text;
	int			c;

	if (file == NULL)
		LogFatal("could not open template \"%s\": %s", path, strerror(errno));
	TextBegin(&text);
	while ((c = fgetc(file)) != EOF)
	{
		if (c == '\0')
			LogFatal("template \"%s\" is not text", path);
		if (c == '\n')
			fputc('\r', text.stream);
		if (c != '\r')
			fputc(c, text.stream);
	}
	if (ferror(file))
		LogFatal("could not read template \"%s\": %s", path, strerror(errno));
	fclose(file);
	return TextFinish(&text);
}

/* Takes "Subject: ..." and the empty line below it off the plain text. */
static void
splitSubject(Kind *kind, const char *path)
{
	static const char label[] = "Subject: ";
	char	   *content = kind->text;
	char	   *end = strstr(content, "\r\n");

	if (strncmp(content, label, strlen(label)) != 0 || end == NULL)
		LogFatal("template \"%s\" does not begin with a line \"Subject: ...\"", path);
	*end = '\0';
	kind->subject = TextCopy(content + strlen(label));
	end += 2;
	kind->text = TextCopy(end + strspn(end, "\r\n"));
	free(content);
}

static void
loadKind(Kind *kind, const char *folder)
{
	unsigned int allowed = kind->required | kind->optional;
	char	   *path = TextFormat("%s/%s.txt", folder, kind->name);

	kind->text = readFile(path);
	splitSubject(kind, path);
	/* subjects are logged along the way, and shown on locked screens */
	fieldsIn(kind->subject, allowed & ~(BIT(FIELD_TOKEN) | BIT(FIELD_LINK)), path);
	fieldsIn(kind->text, allowed, path);
	free(path);

	path = TextFormat("%s/%s.html", folder, kind->name);
	kind->html = readFile(path);
	fieldsIn(kind->html, allowed, path);
	free(path);
}

/* Loads and checks everything; what is wrong ends the program. */
void
TemplateLoad(const char *folder, const char *link)
{
	unsigned int found;

	linkTemplate = TextOneLine(link);
	if (strcmp(linkTemplate, link) != 0 || strpbrk(link, " <>\"") != NULL ||
		strstr(link, "://") == NULL)
		LogFatal("link: \"%s\" is not a URL", link);
	found = fieldsIn(link, BIT(FIELD_TOKEN) | BIT(FIELD_INVITE_ID), "link");
	if (!(found & BIT(FIELD_TOKEN)))
		LogFatal("link: \"%s\" has no {token}", link);

	for (int i = 0; i < kindCount; i++)
		loadKind(&kinds[i], folder);
}

/* ----------
 * Rendering
 * ----------
 */

/*
 * A moment as people write it, in UTC.  The database writes ISO 8601 in its
 * own time zone; what is not that is shown as it is.
 */
static char *
readableTime(const char *iso)
{
	struct tm	tm = {0};
	char		readable[64];
	const char *rest = strptime(iso, "%Y-%m-%dT%H:%M:%S", &tm);
	time_t		moment;

	if (rest != NULL && *rest == '.')
		rest += 1 + strspn(rest + 1, "0123456789");
	if (rest == NULL || (rest = strptime(rest, "%z", &tm)) == NULL || *rest != '\0')
		return TextOneLine(iso);
	/* timegm forgets the zone */
	moment = -tm.tm_gmtoff;
	moment += timegm(&tm);
	gmtime_r(&moment, &tm);
	strftime(readable, sizeof(readable), "%d %B %Y, %H:%M UTC", &tm);
	return TextCopy(readable[0] == '0' ? readable + 1 : readable);
}

/* Every value as one line; what a template may name and is null, in words. */
static void
collectValues(const Notification *notification, char *values[])
{
	for (int field = 0; field < FIELDS_OF_PAYLOAD; field++)
		values[field] = notification->payload[field] == NULL ? NULL :
			TextOneLine(notification->payload[field]);
	values[FIELD_RECIPIENT] = TextOneLine(notification->recipient);
	values[FIELD_LINK] = NULL;
	values[FIELD_LINK] = fill(linkTemplate, values, TextEncodeUrl);

	/* the inviter's account may have gone */
	if (values[FIELD_INVITER_NAME] == NULL)
		values[FIELD_INVITER_NAME] = TextCopy("A member");
	if (values[FIELD_EXPIRES_AT] != NULL)
	{
		free(values[FIELD_EXPIRES_AT]);
		values[FIELD_EXPIRES_AT] = readableTime(notification->payload[FIELD_EXPIRES_AT]);
	}
}

/* What the payload lacks, allocated; NULL if nothing. */
static char *
whatIsMissing(const Kind *kind, const Notification *notification)
{
	for (int field = 0; field < FIELDS_OF_PAYLOAD; field++)
		if ((kind->required & BIT(field)) && notification->payload[field] == NULL)
			return TextFormat("the payload has no \"%s\"", FieldNames[field]);
	return NULL;
}

/* The message, or else the reason why there is none. */
char *
TemplateRender(const Notification *notification, Message *message)
{
	const Kind *kind = NULL;
	char	   *values[FIELD_COUNT];
	char	   *missing;

	for (int i = 0; i < kindCount; i++)
		if (strcmp(kinds[i].name, notification->kind) == 0)
			kind = &kinds[i];
	if (kind == NULL)
		return TextFormat("there is no template for kind \"%s\"", notification->kind);
	missing = whatIsMissing(kind, notification);
	if (missing != NULL)
		return missing;

	collectValues(notification, values);
	message->subject = fill(kind->subject, values, TextCopy);
	message->text = fill(kind->text, values, TextCopy);
	message->html = fill(kind->html, values, TextEscapeHtml);
	for (int field = 0; field < FIELD_COUNT; field++)
		free(values[field]);
	return NULL;
}

void
MessageFree(Message *message)
{
	free(message->subject);
	free(message->text);
	free(message->html);
}
