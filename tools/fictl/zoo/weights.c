/* SPDX-License-Identifier: MIT */
/* fictl/zoo: seeded numbers. */
#include <math.h>

#include "tools/fictl/zoo/weights.h"

/* splitmix64: Steele, Lea, Flood, OOPSLA 2014. */
static uint64_t next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/*
 * Close to normal: the sum of the four 16-bit quarters of one number, mean 0,
 * standard deviation 2^16 / sqrt(3) (Irwin-Hall distribution, n = 4).
 */
#define BELL_DEVIATION 37837.0

static int32_t bell(uint64_t *state)
{
	uint64_t r = next(state);

	return (int32_t)(r & 0xffff) + (int32_t)(r >> 16 & 0xffff) + (int32_t)(r >> 32 & 0xffff) +
	       (int32_t)(r >> 48) - 2 * 0xffff;
}

/* Bells are integers below 2^24: a float holds them exactly until they are scaled. */
void weights_filters(float *w, size_t n, size_t fan_in, float gain, uint64_t seed)
{
	for (size_t i = 0; i < n; i++, w += fan_in) {
		double mean, squares = 0, scale;
		int64_t sum = 0;

		for (size_t k = 0; k < fan_in; k++) {
			int32_t sample = bell(&seed);

			w[k] = (float)sample;
			sum += sample;
		}
		mean = fan_in > 1 ? (double)sum / (double)fan_in : 0;
		for (size_t k = 0; k < fan_in; k++) {
			volatile double square = ((double)w[k] - mean) * ((double)w[k] - mean);

			squares += square; /* volatile: never fused into one rounding */
		}
		scale = (double)gain / sqrt(squares);
		for (size_t k = 0; k < fan_in; k++)
			w[k] = (float)(((double)w[k] - mean) * scale);
	}
}

void weights_normal(float *w, size_t n, float spread, uint64_t seed)
{
	for (size_t i = 0; i < n; i++)
		w[i] = (float)((double)bell(&seed) * ((double)spread / BELL_DEVIATION));
}

void weights_around(float *w, size_t n, float scale, uint64_t seed)
{
	for (size_t i = 0; i < n; i++)
		w[i] = (float)((next(&seed) >> 40) + (1u << 23)) / (float)(1 << 24) * scale;
}
