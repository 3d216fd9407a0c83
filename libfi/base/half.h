/* SPDX-License-Identifier: MIT */
/*
 * base/half - numbers of 16 bits: IEEE 754 binary16 and bfloat16, the upper half
 * of a float32. Widening is exact; narrowing rounds once, to nearest, ties to even.
 * Without branches, so that loops over arrays become vector code.
 */
#ifndef FINF_BASE_HALF_H
#define FINF_BASE_HALF_H

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t finf_float_bits(float x)
{
	uint32_t bits;

	memcpy(&bits, &x, sizeof(bits));
	return bits;
}

static inline float finf_bits_float(uint32_t bits)
{
	float x;

	memcpy(&x, &bits, sizeof(x));
	return x;
}

/* The exponent's bias differs by 112; those that stand for infinity and NaN move up. */
static inline float finf_half_value(uint16_t half)
{
	float x = finf_bits_float((uint32_t)(half & 0x7fff) << 13) * 0x1p112f;
	uint32_t top = (half & 0x7c00) == 0x7c00 ? 0x7f800000u : 0;

	return finf_bits_float(finf_float_bits(x) | top | (uint32_t)(half & 0x8000) << 16);
}

/*
 * Below 2^-14 the unit is 2^-24: adding 0.5, whose unit as a float32 that is,
 * rounds there. Above, what is cut off is rounded by adding a little less than
 * half a unit, or half of it where the last bit that stays is odd.
 */
static inline uint16_t finf_half_bits(float x)
{
	uint32_t bits = finf_float_bits(x) & 0x7fffffffu;
	uint32_t small = finf_float_bits(finf_bits_float(bits) + 0.5f) - finf_float_bits(0.5f);
	uint32_t normal = (bits - (112u << 23) + 0xfff + (bits >> 13 & 1)) >> 13;
	uint32_t half = bits < 0x38800000u ? small : normal;

	half = bits >= 0x477ff000u ? 0x7c00 : half; /* 65520 and more */
	half = bits > 0x7f800000u ? 0x7e00 : half;
	return (uint16_t)(half | (finf_float_bits(x) >> 16 & 0x8000));
}

static inline float finf_brain_value(uint16_t brain)
{
	return finf_bits_float((uint32_t)brain << 16);
}

static inline uint16_t finf_brain_bits(float x)
{
	uint32_t bits = finf_float_bits(x);
	uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;

	return (uint16_t)((bits & 0x7fffffffu) > 0x7f800000u ? 0x7fc0 | (bits >> 16 & 0x8000)
							     : rounded);
}

/**
 * finf_odd_float - a float32 that rounds to 16 bits as @x itself would: where
 * bits are lost, the last one that stays is 1. Source: Boldo and Melquiond,
 * "Emulation of FMA and correctly rounded sums", 2008 (rounding to odd).
 */
static inline float finf_odd_float(long double x)
{
	float near = (float)x;
	uint32_t bits = finf_float_bits(near);

	if ((long double)near == x || isnan(x))
		return near;
	bits -= fabsl((long double)near) > fabsl(x); /* towards zero */
	return finf_bits_float(bits | 1);
}

#endif
