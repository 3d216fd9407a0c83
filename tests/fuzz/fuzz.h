/* SPDX-License-Identifier: MIT */
/*
 * tests/fuzz - one entry per parser of foreign bytes. tests/fuzz/run.sh builds
 * one with clang and libFuzzer; unit tests include the same file and feed it
 * seeded mutations, so that every test run exercises it.
 */
#ifndef FI_TESTS_FUZZ_H
#define FI_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** One input: must return 0, and must neither crash, hang nor leak. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** What must hold whatever the input was. */
#define FUZZ_ASSERT(cond)                                                               \
	do {                                                                            \
		if (!(cond)) {                                                          \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);      \
			abort();                                                        \
		}                                                                       \
	} while (0)

static inline uint64_t fuzz_next(uint64_t *state)
{
	/* xorshift64: Marsaglia, Journal of Statistical Software 8(14), 2003. */
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/**
 * fuzz_mutate - a few random edits of a good input: bits, bytes, whole words
 * with numbers that tend to hurt, cut and repeated ends.
 * @param seed  not 0
 * @param out   room for @size bytes. Return: bytes to use.
 */
static inline size_t fuzz_mutate(const uint8_t *data, size_t size, uint64_t seed, uint8_t *out)
{
	static const uint64_t nasty[] = {0, 1, 7, 0x7f, 0x80, 0xff, 0xffff, 0x7fffffff, 0x80000000,
					 0xffffffff, INT64_MAX, UINT64_MAX, UINT64_MAX - 63};
	uint32_t edits = 1 + (uint32_t)(fuzz_next(&seed) % 4);
	size_t left = size;

	memcpy(out, data, size);
	while (edits-- && left > 8) {
		size_t at = fuzz_next(&seed) % (left - 8);
		uint64_t word = nasty[fuzz_next(&seed) % (sizeof(nasty) / sizeof(nasty[0]))];

		switch (fuzz_next(&seed) % 6) {
		case 0:
			out[at] ^= (uint8_t)(1u << fuzz_next(&seed) % 8);
			break;
		case 1:
			out[at] = (uint8_t)fuzz_next(&seed);
			break;
		case 2:
			memcpy(out + at, &word, 4);
			break;
		case 3:
			memcpy(out + at, &word, 8);
			break;
		case 4:
			memmove(out + at, out + at + 1, left - at - 1);
			break;
		default:
			left -= fuzz_next(&seed) % 9;
		}
	}
	return left;
}

#endif
