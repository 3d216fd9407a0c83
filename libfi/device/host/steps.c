/* SPDX-License-Identifier: MIT */
/*
 * host: the steps of programs as loops over a tile of floats, free of branches so that
 * the compiler makes vectors of them, for each kind of processor on its own.
 * Where the operating system's libm is called there are none: those steps are rare.
 */
#include <math.h>
#include <string.h>

#include "device/host/tiles.h"

#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__) /* resolvers run before it is ready */
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CLONES
#endif

static inline float from_bits(uint32_t bits)
{
	float f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

static inline uint32_t to_bits(float f)
{
	uint32_t bits;

	memcpy(&bits, &f, sizeof(bits));
	return bits;
}

/* ---- exponentials ----------------------------------------------------------------------- */

/*
 * x = n ln 2 + r, ln 2 in two parts (Cody and Waite); returns e^r - 1 by its series, within
 * 1e-8 of it. Adding 1.5 * 2^23 rounds to an integer, which then stands in the low bits.
 */
static inline float reduced(float x, uint32_t *n)
{
	float magic = 12582912.0f, shifted = x * 1.442695041f + magic, whole = shifted - magic;
	float r = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;
	float y = (1.0f / 5040) * r + 1.0f / 720;

	*n = to_bits(shifted) - to_bits(magic);
	y = y * r + 1.0f / 120;
	y = y * r + 1.0f / 24;
	y = y * r + 1.0f / 6;
	y = y * r + 0.5f;
	return y * r * r + r;
}

/* Within 2 units in the last place. 2^n in two steps, as 2^128 is no float; NaN stays NaN. */
static inline float exponential(float x)
{
	uint32_t n, half;
	float y;

	x = x < -104.0f ? -104.0f : x;
	x = x > 89.0f ? 89.0f : x;
	y = 1 + reduced(x, &n);
	half = (uint32_t)((int32_t)n >> 1);
	return y * from_bits((half + 127) << 23) * from_bits((n - half + 127) << 23);
}

/* e^x - 1 for x <= 0, exact near 0 too. */
static inline float exponential_less_1(float x)
{
	float y, scale;
	uint32_t n;

	x = x < -87.0f ? -87.0f : x;
	y = reduced(x, &n);
	scale = from_bits((n + 127) << 23);
	return scale * y + (scale - 1);
}

static inline float sigmoid(float x)
{
	return 1 / (1 + exponential(-x));
}

static inline float tangent(float x) /* hyperbolic */
{
	float less = exponential_less_1(-2 * fabsf(x));

	return copysignf(-less / (2 + less), x);
}

/* tanh(log(1 + e^x)) is a fraction of e = e^-|x|. */
static inline float mish(float x)
{
	float e = exponential(-fabsf(x)), square = e * e;
	float above = x < 0 ? square + 2 * e : 1 + 2 * e;
	float below = x < 0 ? 2 : 2 * square;

	return x * (above / (above + below));
}

/* ---- logarithms ----------------------------------------------------------------------------- */

/* Within 2 units in the last place: x = m 2^e, log m = 2 artanh(s), s = (m - 1) / (m + 1). */
static inline float logarithm(float x)
{
	float big = x < 1.17549435e-38f ? x * 8388608.0f : x; /* no subnormal */
	uint32_t bits = to_bits(big), n = bits - 0x3f3504f3u;
	float e = (float)((int32_t)n >> 23) - (x < 1.17549435e-38f ? 23.0f : 0.0f);
	float m = from_bits(bits - (n & 0xff800000u)), s = (m - 1) / (m + 1), z = s * s;
	float y = (2.0f / 9) * z + 2.0f / 7;

	y = y * z + 2.0f / 5;
	y = y * z + 2.0f / 3;
	y = y * z * s + 2 * s;
	y = (y - e * 2.12194440e-4f) + e * 0.693359375f;
	y = x > 0 ? y : x == 0 ? -INFINITY : NAN;
	return x < INFINITY ? y : x; /* infinity, NaN */
}

/* log(1 + e) = 2 artanh(e / (2 + e)), whose series for e <= 1 is within 1e-8 of it. */
static inline float softplus(float x)
{
	float e = exponential(-fabsf(x)), s = e / (2 + e), z = s * s, y;

	y = (2.0f / 15) * z + 2.0f / 13;
	y = y * z + 2.0f / 11;
	y = y * z + 2.0f / 9;
	y = y * z + 2.0f / 7;
	y = y * z + 2.0f / 5;
	y = y * z + 2.0f / 3;
	return (x > 0 ? x : 0) + (y * z * s + 2 * s);
}

/* ---- the error function --------------------------------------------------------------------- */

/*
 * Below 1 its series, from there on 1 - p(t) e^(-x^2), within 1.5e-7.
 * Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.5 and 7.1.26.
 */
static inline float error_function(float x)
{
	float size = fabsf(x), z = x * x, t = 1 / (0.3275911f * size + 1), near, far;

	near = (-1.0f / 6894720) * z + 1.0f / 685440;
	near = near * z - 1.0f / 75600;
	near = near * z + 1.0f / 9360;
	near = near * z - 1.0f / 1320;
	near = near * z + 1.0f / 216;
	near = near * z - 1.0f / 42;
	near = near * z + 1.0f / 10;
	near = near * z - 1.0f / 3;
	near = 1.128379167f * (near * z * x + x);
	far = 1.061405429f * t - 1.453152027f;
	far = far * t + 1.421413741f;
	far = far * t - 0.284496736f;
	far = far * t + 0.254829592f;
	far = copysignf(1 - far * t * exponential(-z), x);
	return size < 1 ? near : far;
}

static inline float gelu(float x)
{
	return 0.5f * x * (1 + error_function(x * 0.7071067812f));
}

static inline float gelu_by_tangent(float x)
{
	return 0.5f * x * (1 + tangent(0.7978845608f * (0.044715f * x * x * x + x)));
}

/* ---- simple ones ------------------------------------------------------------------------------ */

static inline float clip(float x, float low, float high)
{
	x = x < low ? low : x;
	return x > high ? high : x;
}

static inline float truth(bool holds)
{
	return holds ? 1.0f : 0.0f;
}

/* ---- loops ---------------------------------------------------------------------------------- */

/* The result may be an operand: the same elements, so there is nothing to wait for. */
#define LOOP(name, expression)                                                                     \
	CLONES static void loop_##name(float *to, const float *xs, const float *ys,                \
				       const float *zs, size_t n)                                  \
	{                                                                                          \
		_Pragma("GCC ivdep") for (size_t i = 0; i < n; i++)                                \
		{                                                                                  \
			const float x = xs[i], y = ys[i], z = zs[i];                               \
                                                                                                   \
			(void)y;                                                                   \
			(void)z;                                                                   \
			to[i] = (expression);                                                      \
		}                                                                                  \
	}

LOOP(ABS, fabsf(x))
LOOP(ADD, x + y)
LOOP(AND, truth((x != 0) & (y != 0)))
LOOP(CEIL, ceilf(x))
LOOP(CLIP, clip(x, y, z))
LOOP(COS, cosf(x))
LOOP(DIV, x / y)
LOOP(ELU, x < 0 ? y * exponential_less_1(x) : x)
LOOP(EQUAL, truth(x == y))
LOOP(ERF, error_function(x))
LOOP(EXP, exponential(x))
LOOP(FLOOR, floorf(x))
LOOP(FROM, truth(x >= y))
LOOP(GELU, gelu(x))
LOOP(GELU_TANH, gelu_by_tangent(x))
LOOP(GREATER, truth(x > y))
LOOP(HARD_SIGMOID, clip(y *x + z, 0, 1))
LOOP(HARD_SWISH, x *clip(x *(1.0f / 6) + 0.5f, 0, 1))
LOOP(LESS, truth(x < y))
LOOP(LOG, logarithm(x))
LOOP(MAX, (x > y) | (x != x) ? x : y)
LOOP(MIN, (x < y) | (x != x) ? x : y)
LOOP(MISH, mish(x))
LOOP(MUL, x *y)
LOOP(NEG, -x)
LOOP(NOT, truth(x == 0))
LOOP(OR, truth((x != 0) | (y != 0)))
LOOP(POW, powf(x, y))
LOOP(PRELU, x < 0 ? x * y : x)
LOOP(RECIPROCAL, 1 / x)
LOOP(RELU, x < 0 ? 0 : x)
LOOP(SIGMOID, sigmoid(x))
LOOP(SIN, sinf(x))
LOOP(SOFTPLUS, softplus(x))
LOOP(SOFTSIGN, x / (1 + fabsf(x)))
LOOP(SQRT, sqrtf(x))
LOOP(SUB, x - y)
LOOP(SWISH, x *sigmoid(x))
LOOP(TANH, tangent(x))
LOOP(UP_TO, truth(x <= y))
LOOP(WHERE, x != 0 ? y : z)
LOOP(XOR, truth((x != 0) != (y != 0)))

/* Powers that are products. */
LOOP(square, x *x)
LOOP(cube, x *x *x)

finf_host_step_fn finf_host_step(enum finf_step_kind kind, const float *number)
{
	static const finf_host_step_fn table[FINF_STEPS] = {
#define FINF_STEP(name, n_in, expression) [FINF_STEP_##name] = loop_##name,
#include "graph/step.def"
#undef FINF_STEP
	};

	if (kind == FINF_STEP_POW && number && *number == 2)
		return loop_square;
	if (kind == FINF_STEP_POW && number && *number == 3)
		return loop_cube;
	return table[kind];
}
