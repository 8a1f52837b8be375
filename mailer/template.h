/*
 * template.h
 *		From a notification and the files of a folder to a message.
 */
#ifndef MAILER_TEMPLATE_H
#define MAILER_TEMPLATE_H

/* What a template may name in braces.  The first ones come from the payload. */
typedef enum Field
{
	FIELD_ORGANIZATION_NAME,
	FIELD_INVITER_NAME,
	FIELD_REPLY_TO,
	FIELD_TOKEN,
	FIELD_EXPIRES_AT,
	FIELD_INVITE_ID,
	FIELD_MEMBER_NAME,
	FIELD_MEMBER_EMAIL,
	FIELDS_OF_PAYLOAD,
	FIELD_RECIPIENT = FIELDS_OF_PAYLOAD,
	FIELD_LINK,
	FIELD_COUNT
} Field;

/* A claimed notification; its strings are the claim's. */
typedef struct Notification
{
	const char *id;
	const char *kind;
	const char *recipient;
	const char *attempt;		/* as text, for the log */
	const char *payload[FIELDS_OF_PAYLOAD]; /* NULL where there is none */
} Notification;

/* What is said; how it travels is smtp.c's. */
typedef struct Message
{
	char	   *subject;		/* one line, not encoded yet */
	char	   *text;
	char	   *html;
} Message;

extern const char *const FieldNames[FIELD_COUNT];

extern void TemplateLoad(const char *folder, const char *link);
extern char *TemplateRender(const Notification *notification, Message *message);
extern void MessageFree(Message *message);

#endif
