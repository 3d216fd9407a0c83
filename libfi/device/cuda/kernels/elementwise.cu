/* SPDX-License-Identifier: MIT */
/* kernels: an output depends on one element of each operand. */
#include "device/cuda/kernels/kernel.cuh"

/* ---- activations, bounds ---------------------------------------------------------- */

FINF_K(unary)
{
	const struct finf_k_four *x = (const struct finf_k_four *)p.x;
	struct finf_k_four *y = (struct finf_k_four *)p.y;
	struct finf_k_act first;

	first.kind = p.first.kind;
	first.a = p.low ? *p.low : p.first.a;
	first.b = p.high ? *p.high : p.first.b;
	FINF_K_EACH (i, p.n / 4) {
		struct finf_k_four four = x[i];

#pragma unroll
		for (int k = 0; k < 4; k++)
			four.v[k] = activate(activate(four.v[k], first), p.act);
		y[i] = four;
	}
	FINF_K_EACH (i, p.n % 4) {
		unsigned at = p.n / 4 * 4 + i;

		p.y[at] = activate(activate(p.x[at], first), p.act);
	}
}

#define CLIP(type, name)                                                                           \
	FINF_K(name)                                                                               \
	{                                                                                          \
		const type *x = (const type *)p.x, *low = (const type *)p.low;                     \
		const type *high = (const type *)p.high;                                           \
		type *y = (type *)p.y;                                                             \
                                                                                                   \
		FINF_K_EACH (i, p.n) {                                                             \
			type v = x[i];                                                             \
                                                                                                   \
			v = low && v < *low ? *low : v;                                            \
			y[i] = high && v > *high ? *high : v;                                      \
		}                                                                                  \
	}

CLIP(int, clip_i32)
CLIP(long long, clip_i64)

/* ---- arithmetic ----------------------------------------------------------------------- */

FINF_K_FN float arith(float a, float b, unsigned op)
{
	switch (op) {
	case FINF_K_ADD:
		return a + b;
	case FINF_K_SUB:
		return a - b;
	case FINF_K_MUL:
		return a * b;
	case FINF_K_DIV:
		return a / b;
	case FINF_K_REST:
		return remainder_of(a, b);
	case FINF_K_MAX:
		return a > b || !(a == a) ? a : b;
	case FINF_K_MIN:
		return a < b || !(a == a) ? a : b;
	default: /* FINF_K_PRELU */
		return a < 0 ? a * b : a;
	}
}

FINF_K(flat)
{
	const struct finf_k_four *a = (const struct finf_k_four *)p.a;
	const struct finf_k_four *b = (const struct finf_k_four *)p.b;
	struct finf_k_four *y = (struct finf_k_four *)p.y;
	float one = p.b_is_one ? p.b[0] : 0;

	FINF_K_EACH (i, p.n / 4) {
		struct finf_k_four left = a[i], right;

		if (!p.b_is_one)
			right = b[i];
		else
			right.v[0] = right.v[1] = right.v[2] = right.v[3] = one;
#pragma unroll
		for (int k = 0; k < 4; k++)
			left.v[k] = activate(arith(left.v[k], right.v[k], p.op), p.act);
		y[i] = left;
	}
	FINF_K_EACH (i, p.n % 4) {
		unsigned at = p.n / 4 * 4 + i;

		p.y[at] = activate(arith(p.a[at], p.b_is_one ? one : p.b[at], p.op), p.act);
	}
}

FINF_K(binary)
{
	const float *a = (const float *)p.a, *b = (const float *)p.b;
	float *y = (float *)p.y;

	FINF_K_EACH (i, p.n)
		y[i] = activate(p.scale *
					arith(a[walk_at(&p.at_a, i)], b[walk_at(&p.at_b, i)], p.op),
				p.act);
}

/*
 * Integers wrap, as unsigned ones do. No divisor is 0, the C side sees to it: a
 * kernel could not report it. What -1 divides needs no division, which might overflow.
 */
#define BINARY(type, wraps, name)                                                                  \
	FINF_K_FN type of_##name(type a, type b, unsigned op)                                      \
	{                                                                                          \
		type rest;                                                                         \
                                                                                                   \
		switch (op) {                                                                      \
		case FINF_K_ADD:                                                                   \
			return (type)((wraps)a + (wraps)b);                                        \
		case FINF_K_SUB:                                                                   \
			return (type)((wraps)a - (wraps)b);                                        \
		case FINF_K_MUL:                                                                   \
			return (type)((wraps)a * (wraps)b);                                        \
		case FINF_K_DIV:                                                                   \
			return b == -1 ? (type)(0 - (wraps)a) : a / b;                             \
		case FINF_K_MAX:                                                                   \
			return a > b ? a : b;                                                      \
		case FINF_K_MIN:                                                                   \
			return a < b ? a : b;                                                      \
		default:                                                                           \
			rest = b == -1 ? 0 : a % b;                                                \
			return op == FINF_K_MOD && rest && (a < 0) != (b < 0) ? rest + b : rest;   \
		}                                                                                  \
	}                                                                                          \
	FINF_K(name)                                                                               \
	{                                                                                          \
		const type *a = (const type *)p.a, *b = (const type *)p.b;                         \
		type *y = (type *)p.y;                                                             \
                                                                                                   \
		FINF_K_EACH (i, p.n)                                                               \
			y[i] = of_##name(a[walk_at(&p.at_a, i)], b[walk_at(&p.at_b, i)], p.op);    \
	}

BINARY(int, unsigned, binary_i32)
BINARY(long long, unsigned long long, binary_i64)

/* ---- batch normalisation ------------------------------------------------------------------ */

FINF_K(batchnorm)
{
	FINF_K_EACH (i, p.n) {
		unsigned c = quotient(i, p.plane);
		float factor;

		c = split(&c, p.channels);
		factor = p.scale[c] / finf_k_sqrt(p.var[c] + p.epsilon);
		p.y[i] = activate(finf_k_fma(p.x[i] - p.mean[c], factor, p.bias[c]), p.act);
	}
}
