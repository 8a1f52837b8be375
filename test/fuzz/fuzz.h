/*
 * fuzz.h
 *		What the fuzz targets share.
 *
 * A target takes its input apart into strings, gives them to the parser, and
 * requires of the answer what must hold for every input.
 */
#ifndef FUZZ_H
#define FUZZ_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE				/* as the sources that are included */
#endif
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUIRE(truth) \
	do { \
		if (!(truth)) \
		{ \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #truth); \
			abort(); \
		} \
	} while (0)

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is left of an input. */
typedef struct Input
{
	const uint8_t *data;
	size_t		size;
} Input;

static inline uint8_t
nextByte(Input *input)
{
	if (input->size == 0)
		return 0;
	input->size--;
	return *input->data++;
}

/*
 * The bytes up to the next zero, as a string in memory of exactly its size,
 * where AddressSanitizer sees every byte too far.
 */
static inline char *
nextString(Input *input)
{
	size_t		length = input->size == 0 ? 0 : strnlen((const char *) input->data, input->size);
	char	   *string = malloc(length + 1);

	if (length > 0)
		memcpy(string, input->data, length);
	string[length] = '\0';
	length += length < input->size;
	input->data += length;
	input->size -= length;
	return string;
}

#endif							/* FUZZ_H */
