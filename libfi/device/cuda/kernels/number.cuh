/* SPDX-License-Identifier: MIT */
/*
 * kernels/number - functions of float32. There is no libm on the device, so
 * they are written out; each says how close it is. NaN stays NaN. Results
 * below the normal numbers may become 0. Included by kernel.cuh.
 */
#ifndef FINF_CUDA_KERNELS_NUMBER_CUH
#define FINF_CUDA_KERNELS_NUMBER_CUH

union finf_k_bits {
	unsigned u;
	float f;
};

FINF_K_FN float from_bits(unsigned bits)
{
	union finf_k_bits x;

	x.u = bits;
	return x.f;
}

FINF_K_FN unsigned to_bits(float f)
{
	union finf_k_bits x;

	x.f = f;
	return x.u;
}

#define INFINITE     from_bits(0x7f800000u)
#define NOT_A_NUMBER from_bits(0x7fc00000u)

FINF_K_FN float absolute(float x)
{
	return from_bits(to_bits(x) & 0x7fffffffu);
}

/* Exact; the sign of a zero is kept where x is an integer. */
FINF_K_FN float round_down(float x)
{
	float whole;

	if (!(absolute(x) < 8388608.0f)) /* all integers from 2^23 on, or NaN */
		return x;
	whole = (float)(int)x;
	return whole == x ? x : whole > x ? whole - 1 : whole;
}

/* ---- exponentials ------------------------------------------------------------ */

/* (e^r - 1 - r) / r^2 by its series to r^7; below 1e-8 off for |r| <= ln 2 / 2. */
FINF_K_FN float series(float r)
{
	float y = finf_k_fma(1.0f / 5040, r, 1.0f / 720);

	y = finf_k_fma(y, r, 1.0f / 120);
	y = finf_k_fma(y, r, 1.0f / 24);
	y = finf_k_fma(y, r, 1.0f / 6);
	return finf_k_fma(y, r, 0.5f);
}

/* e^r * 2^n, in two steps: 2^128 is no float, but e^r * 2^128 / 2 may be. */
FINF_K_FN float scaled(float r, int n)
{
	float y = finf_k_fma(finf_k_fma(series(r), r, 1.0f), r, 1.0f);

	return y * from_bits((unsigned)(n / 2 + 127) << 23) *
	       from_bits((unsigned)(n - n / 2 + 127) << 23);
}

/*
 * e^x within 2 units in the last place: x = n ln 2 + r with |r| <= ln 2 / 2, ln 2
 * in two parts (Cody and Waite).
 */
FINF_K_FN float exponential(float x)
{
	const float round = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
	float n, r;

	if (!(x <= 88.72f))
		return x > 88.72f ? INFINITE : x;
	if (x < -87.33f)
		return 0.0f;
	n = finf_k_fma(x, 1.442695041f, round) - round;
	r = finf_k_fma(n, -0.693359375f, x);
	r = finf_k_fma(n, 2.12194440e-4f, r);
	return scaled(r, (int)n);
}

/* e^x - 1, accurate near 0 too. */
FINF_K_FN float exponential_less_1(float x)
{
	if (absolute(x) < 0.34f)
		return finf_k_fma(series(x) * x, x, x);
	return exponential(x) - 1;
}

/* The same e^x from a double, for exponents that float is too coarse for. */
FINF_K_FN float exponential_wide(double x)
{
	int n;

	if (!(x <= 88.7228))
		return x > 88.7228 ? INFINITE : NOT_A_NUMBER;
	if (x < -87.33)
		return 0.0f;
	n = (int)(x * 1.4426950408889634 + (x < 0 ? -0.5 : 0.5));
	return scaled((float)(x - n * 0.69314718055994531), n);
}

/* ---- the circle ----------------------------------------------------------------- */

/*
 * x = quadrant * pi/2 + r with |r| <= pi/4, for any finite x >= 0.5. x is an
 * integer m times 2^e; of 2/pi only the 96 bits count that, times x, are neither
 * multiples of 4 nor too small to matter. Source: Payne and Hanek, "Radian
 * reduction for trigonometric functions", 1983.
 */
FINF_K_FN unsigned quadrant(float x, double *r)
{
	const unsigned two_over_pi[] = {0,	     0xa2f9836eu, 0x4e441529u, 0xfc2757d1u,
					0xf534ddc0u, 0xdb629599u, 0x3c439041u, 0xfe5163abu};
	unsigned m = (to_bits(x) & 0x7fffff) | 0x800000, at = (to_bits(x) >> 23) - 150 + 30;
	const unsigned *w = &two_over_pi[at / 32];
	unsigned shift = at % 32, back = 32 - shift;
	unsigned long long high, turns;
	unsigned low;
	long long rest;

	high = ((unsigned long long)w[0] << 32 | w[1]) << shift;
	high |= shift ? w[2] >> back : 0;
	low = w[2] << shift | (shift ? w[3] >> back : 0);
	turns = high * m + ((unsigned long long)low * m >> 32);
	rest = (long long)(turns << 2); /* of a quarter, from -1/2 to 1/2 */
	*r = (double)rest * (1.5707963267948966 / 18446744073709551616.0);
	return (unsigned)(turns >> 62) + (rest < 0);
}

/* sin(x + turn * pi/2) within 2 units in the last place, also for large x. */
FINF_K_FN float sine(float x, unsigned turn)
{
	double r = (double)absolute(x), r2, y;
	bool negative = x < 0 && !(turn & 1);

	if (!(absolute(x) < INFINITE))
		return NOT_A_NUMBER;
	if (absolute(x) >= 0.5f)
		turn += quadrant(absolute(x), &r);
	r2 = r * r;
	if (turn & 1)
		y = 1 + r2 * (-1.0 / 2 + r2 * (1.0 / 24 + r2 * (-1.0 / 720 + r2 / 40320)));
	else
		y = r + r * r2 * (-1.0 / 6 + r2 * (1.0 / 120 + r2 * (-1.0 / 5040 + r2 / 362880)));
	return (float)(negative == ((turn & 2) != 0) ? y : -y);
}

/* ---- logarithms ---------------------------------------------------------------- */

/* x > 0 and finite as m * 2^*e with m in [sqrt(1/2), sqrt(2)). */
FINF_K_FN float mantissa(float x, int *e)
{
	bool tiny = x < 1.17549435e-38f;
	unsigned bits = to_bits(tiny ? x * 8388608.0f : x);
	int n = (int)(bits - 0x3f3504f3u) >> 23;

	*e = n - (tiny ? 23 : 0);
	return from_bits(bits - ((unsigned)n << 23));
}

/* Where there is no mantissa: true, and the logarithm of 0, infinity, below 0, NaN. */
FINF_K_FN bool no_mantissa(float x, float *ret)
{
	if (x > 0 && x < INFINITE)
		return false;
	*ret = x == 0 ? -INFINITE : x > 0 ? x : NOT_A_NUMBER;
	return true;
}

/* Within 2 units in the last place: log m = 2 artanh(s), s = (m - 1) / (m + 1). */
FINF_K_FN float logarithm(float x)
{
	float m, s, z, y;
	int e;

	if (no_mantissa(x, &y))
		return y;
	m = mantissa(x, &e);
	s = (m - 1) / (m + 1);
	z = s * s;
	y = finf_k_fma(2.0f / 9, z, 2.0f / 7);
	y = finf_k_fma(y, z, 2.0f / 5);
	y = finf_k_fma(y, z, 2.0f / 3);
	y = finf_k_fma(y * z, s, 2 * s);
	y = finf_k_fma((float)e, -2.12194440e-4f, y);
	return finf_k_fma((float)e, 0.693359375f, y);
}

/* The same in double, within 1e-10. */
FINF_K_FN double logarithm_wide(float x)
{
	double m, s, y = 0;
	float edge;
	int e;

	if (no_mantissa(x, &edge))
		return edge;
	m = mantissa(x, &e);
	s = (m - 1) / (m + 1);
#pragma unroll
	for (int k = 13; k > 0; k -= 2)
		y = y * s * s + 2.0 / k;
	return y * s + e * 0.69314718055994531;
}

/* log(1 + x) for x >= 0: the error of 1 + x is known, and divided out. */
FINF_K_FN float logarithm_of_1_and(float x)
{
	float sum = 1 + x;

	return sum == 1 ? x : logarithm(sum) * (x / (sum - 1));
}

/* x^y as C's pow() has it for 0, 1, infinities and negative x. */
FINF_K_FN float power(float x, double y)
{
	bool narrow = y > -9e15 && y < 9e15; /* what is beyond is even */
	bool whole = !narrow || (double)(long long)y == y;
	bool odd = narrow && whole && ((long long)y & 1);
	float size = absolute(x);

	if (y == 2)
		return x * x;
	if (y == 0 || x == 1)
		return 1;
	if (!(y == y) || !(x == x) || (x < 0 && x > -INFINITE && !whole))
		return NOT_A_NUMBER;
	size = size == 1 ? 1 : exponential_wide(y * logarithm_wide(size));
	return odd && to_bits(x) >> 31 ? -size : size;
}

/* ---- division ---------------------------------------------------------------------- */

/* |x| > 0 and finite as m * 2^*e with m in [2^23, 2^24). */
FINF_K_FN unsigned whole_mantissa(float x, int *e)
{
	bool tiny = absolute(x) < 1.17549435e-38f;
	unsigned bits = to_bits(tiny ? x * 16777216.0f : x);

	*e = (int)(bits >> 23 & 0xff) - 150 - (tiny ? 24 : 0);
	return (bits & 0x7fffff) | 0x800000;
}

/* C's fmodf(), exact: long division of the mantissas, 40 binary digits at a time. */
FINF_K_FN float remainder_of(float x, float y)
{
	float size = absolute(x), by = absolute(y), rest;
	unsigned long long m, divisor;
	int e, ey;

	if (!(size < INFINITE) || !(by > 0))
		return NOT_A_NUMBER;
	if (size < by)
		return x;
	m = whole_mantissa(size, &e);
	divisor = whole_mantissa(by, &ey);
	m %= divisor;
	for (int left = e - ey; left > 0; left -= 40)
		m = (m << (left < 40 ? left : 40)) % divisor;
	rest = (float)(unsigned)m; /* below 2^24: exact; so are both steps of scaling */
	rest *= from_bits((unsigned)(ey / 2 + 127) << 23);
	rest *= from_bits((unsigned)(ey - ey / 2 + 127) << 23);
	return x < 0 ? -rest : rest;
}

/* ---- curves ------------------------------------------------------------------------ */

FINF_K_FN float sigmoid(float x)
{
	return 1.0f / (1.0f + exponential(-x));
}

FINF_K_FN float tangent(float x) /* hyperbolic */
{
	float less = exponential_less_1(-2 * absolute(x)), y = -less / (2 + less);

	return x < 0 ? -y : y;
}

FINF_K_FN float softplus(float x)
{
	return (x > 0 ? x : 0) + logarithm_of_1_and(exponential(-absolute(x)));
}

FINF_K_FN float mish(float x)
{
	return x * tangent(softplus(x));
}

FINF_K_FN float hard_swish(float x)
{
	return x * (x < -3 ? 0 : x > 3 ? 1 : x / 6 + 0.5f);
}

/*
 * Below 1 its series, from there on 1 - p(t) e^(-x^2), within 1.5e-7.
 * Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.5 and 7.1.26.
 */
FINF_K_FN float error_function(float x)
{
	float size = absolute(x), z = x * x, t, y;

	if (size < 1) {
		y = finf_k_fma(-1.0f / 6894720, z, 1.0f / 685440);
		y = finf_k_fma(y, z, -1.0f / 75600);
		y = finf_k_fma(y, z, 1.0f / 9360);
		y = finf_k_fma(y, z, -1.0f / 1320);
		y = finf_k_fma(y, z, 1.0f / 216);
		y = finf_k_fma(y, z, -1.0f / 42);
		y = finf_k_fma(y, z, 1.0f / 10);
		y = finf_k_fma(y, z, -1.0f / 3);
		return 1.128379167f * finf_k_fma(y * z, x, x);
	}
	t = 1 / finf_k_fma(0.3275911f, size, 1.0f);
	y = finf_k_fma(1.061405429f, t, -1.453152027f);
	y = finf_k_fma(y, t, 1.421413741f);
	y = finf_k_fma(y, t, -0.284496736f);
	y = finf_k_fma(y, t, 0.254829592f);
	y = 1 - y * t * exponential(-z);
	return x < 0 ? -y : y;
}

FINF_K_FN float gelu(float x)
{
	return 0.5f * x * (1 + error_function(x * 0.7071067812f));
}

FINF_K_FN float gelu_by_tangent(float x)
{
	return 0.5f * x * (1 + tangent(0.7978845608f * finf_k_fma(0.044715f * x * x, x, x)));
}

#endif
