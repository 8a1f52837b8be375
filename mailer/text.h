/*
 * text.h
 *		Strings made safe for the place where they go.
 *
 * All results are allocated; memory that runs out ends the program, whose
 * claims then lapse.
 */
#ifndef MAILER_TEXT_H
#define MAILER_TEXT_H

#include <stdbool.h>
#include <stdio.h>

/* A string that is being written; TextFinish gives it. */
typedef struct Text
{
	FILE	   *stream;
	char	   *data;
	size_t		length;
} Text;

/* How a value is written so that it stays a value. */
typedef char *(*TextFilter) (const char *value);

extern void TextBegin(Text *text);
extern char *TextFinish(Text *text);
extern char *TextFormat(const char *format,...) __attribute__((format(printf, 1, 2)));
extern char *TextCopy(const char *value);

extern char *TextOneLine(const char *value);
extern char *TextEscapeHtml(const char *value);
extern char *TextEncodeUrl(const char *value);
extern char *TextEncodeHeader(const char *value);
extern char *TextEncodePhrase(const char *value);

extern bool TextIsAddress(const char *value);
extern char *TextMaskAddress(const char *address);
extern char *TextWithoutSecrets(const char *reply);

#endif
