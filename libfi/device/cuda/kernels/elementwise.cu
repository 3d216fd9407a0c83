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
	default:
		return a / b;
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
		y[i] = activate(arith(a[walk_at(&p.at_a, i)], b[walk_at(&p.at_b, i)], p.op), p.act);
}

/* Integers wrap, as unsigned ones do. There is no division: it could not report a 0. */
#define BINARY(type, name)                                                                         \
	FINF_K(name)                                                                               \
	{                                                                                          \
		const type *a = (const type *)p.a, *b = (const type *)p.b;                         \
		type *y = (type *)p.y;                                                             \
                                                                                                   \
		FINF_K_EACH (i, p.n) {                                                             \
			type left = a[walk_at(&p.at_a, i)], right = b[walk_at(&p.at_b, i)];        \
                                                                                                   \
			y[i] = p.op == FINF_K_ADD   ? left + right                                 \
			       : p.op == FINF_K_SUB ? left - right                                 \
						    : left * right;                                \
		}                                                                                  \
	}

BINARY(unsigned, binary_i32)
BINARY(unsigned long long, binary_i64)

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

/* ---- conversion ------------------------------------------------------------------------------ */

/* The numbers are those of enum finf_dtype. */
enum { F32 = 1, U8 = 2, I8 = 3, I32 = 6, I64 = 7, BOOL = 9, F64 = 11 };

FINF_K_FN double load_float(const void *x, unsigned dtype, unsigned i)
{
	return dtype == F32 ? (double)((const float *)x)[i] : ((const double *)x)[i];
}

FINF_K_FN long long load_int(const void *x, unsigned dtype, unsigned i)
{
	switch (dtype) {
	case I64:
		return ((const long long *)x)[i];
	case I32:
		return ((const int *)x)[i];
	case I8:
		return ((const signed char *)x)[i];
	default:
		return ((const unsigned char *)x)[i];
	}
}

FINF_K_FN void store_int(void *y, unsigned dtype, unsigned i, long long v)
{
	switch (dtype) {
	case I64:
		((long long *)y)[i] = v;
		break;
	case I32:
		((int *)y)[i] = (int)v;
		break;
	case I8:
		((signed char *)y)[i] = (signed char)v;
		break;
	case BOOL:
		((unsigned char *)y)[i] = v != 0;
		break;
	default:
		((unsigned char *)y)[i] = (unsigned char)v;
	}
}

/* Towards zero, NaN is 0, out of range stops at the ends. The bounds are exact as doubles. */
FINF_K_FN long long to_int(double x, unsigned dtype)
{
	const double high = dtype == I64   ? 9223372036854775808.0
			    : dtype == I32 ? 2147483647.0
			    : dtype == I8  ? 127.0
					   : 255.0;
	const double low = dtype == I64	  ? -9223372036854775808.0
			   : dtype == I32 ? -2147483648.0
			   : dtype == I8  ? -128.0
					  : 0.0;

	if (dtype == BOOL)
		return x != 0;
	if (!(x == x))
		return 0;
	if (x >= high)
		return dtype == I64 ? 0x7fffffffffffffffLL : (long long)high;
	return x <= low ? (long long)low : (long long)x;
}

FINF_K(cast)
{
	bool from_float = p.from == F32 || p.from == F64;

	FINF_K_EACH (i, p.n) {
		if (p.to == F32) /* not through double: one rounding */
			((float *)p.y)[i] = from_float ? (float)load_float(p.x, p.from, i)
						       : (float)load_int(p.x, p.from, i);
		else if (p.to == F64)
			((double *)p.y)[i] = from_float ? load_float(p.x, p.from, i)
							: (double)load_int(p.x, p.from, i);
		else
			store_int(p.y, p.to, i,
				  from_float ? to_int(load_float(p.x, p.from, i), p.to)
					     : load_int(p.x, p.from, i));
	}
}
