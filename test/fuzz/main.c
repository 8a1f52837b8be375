/*
 * In place of libFuzzer, where there is no clang:  TARGET RUNS FILE...
 *
 * Each file is tried as it is, and with bytes changed, moved or taken away.
 * The changes are the same in every run.
 */
#include "fuzz.h"

#define LONGEST		4096

static uint32_t
draw(uint32_t below)
{
	static uint32_t state = 2463534242;

	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state % below;
}

/* Changes the input in place, and says how long it is then. */
static size_t
mutate(uint8_t *data, size_t size)
{
	for (int i = draw(4); i >= 0 && size > 0; i--)
	{
		size_t		from = draw(size);
		size_t		to = draw(size);
		size_t		length = draw(size - (from > to ? from : to)) + 1;

		switch (draw(4))
		{
			case 0:
				data[from] = draw(256);
				break;
			case 1:
				data[from] ^= 1 << draw(8);
				break;
			case 2:
				memmove(data + to, data + from, length);
				break;
			default:
				memmove(data + from, data + from + length, size - from - length);
				size -= length;
		}
	}
	return size;
}

static size_t
readFile(const char *path, uint8_t data[LONGEST])
{
	FILE	   *file = fopen(path, "r");
	size_t		size;

	REQUIRE(file != NULL);
	size = fread(data, 1, LONGEST, file);
	fclose(file);
	return size;
}

static void
tryInput(const uint8_t *data, size_t size)
{
	uint8_t    *exact = malloc(size);	/* where a byte too far is seen */

	memcpy(exact, data, size);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
}

int
main(int argc, char *argv[])
{
	int			runs = atoi(argv[1]);

	for (int i = 0; i < runs; i++)
	{
		uint8_t		data[LONGEST];
		size_t		size = readFile(argv[2 + i % (argc - 2)], data);

		tryInput(data, i < argc - 2 ? size : mutate(data, size));
	}
	printf("%d inputs\n", runs);
	return 0;
}
