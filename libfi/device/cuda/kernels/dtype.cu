/* SPDX-License-Identifier: MIT */
/* kernels: elements of any dtype - conversion, comparison, choice. */
#include "device/cuda/kernels/kernel.cuh"

/* The numbers are those of enum finf_dtype. */
enum { F32 = 1, U8 = 2, I8 = 3, I32 = 6, I64 = 7, BOOL = 9, F16 = 10, F64 = 11, BF16 = 16 };

FINF_K_FN bool is_float(unsigned dtype)
{
	return dtype == F32 || dtype == F64 || dtype == F16 || dtype == BF16;
}

/* ---- numbers of 16 bits: base/half.h says how and why -------------------------------- */

union bits {
	unsigned u;
	float f;
};

FINF_K_FN float half_value(unsigned half, bool brain)
{
	union bits x;

	x.u = brain ? half << 16 : (half & 0x7fff) << 13;
	if (brain)
		return x.f;
	x.f *= 0x1p112f;
	x.u |= (half & 0x7c00) == 0x7c00 ? 0x7f800000u : 0;
	x.u |= (half & 0x8000) << 16;
	return x.f;
}

/* A float that rounds to 16 bits as x would. */
FINF_K_FN float odd_float(double x)
{
	union bits near;

	near.f = (float)x;
	if ((double)near.f == x || !(x == x))
		return near.f;
	near.u -= (near.f < 0 ? -(double)near.f : (double)near.f) > (x < 0 ? -x : x);
	near.u |= 1;
	return near.f;
}

FINF_K_FN unsigned half_bits(float value, bool brain)
{
	union bits x, low;
	unsigned sign, half;

	x.f = value;
	sign = x.u >> 16 & 0x8000;
	x.u &= 0x7fffffffu;
	if (x.u > 0x7f800000u)
		return sign | (brain ? 0x7fc0 : 0x7e00);
	if (brain)
		return sign | (x.u + 0x7fff + (x.u >> 16 & 1)) >> 16;
	if (x.u >= 0x477ff000u)
		return sign | 0x7c00;
	low.f = x.f + 0.5f;
	half = (x.u - (112u << 23) + 0xfff + (x.u >> 13 & 1)) >> 13;
	return sign | (x.u < 0x38800000u ? low.u - 0x3f000000u : half);
}

/* ---- elements ----------------------------------------------------------------------- */

FINF_K_FN double load_float(const void *x, unsigned dtype, unsigned i)
{
	if (dtype == F16 || dtype == BF16)
		return (double)half_value(((const unsigned short *)x)[i], dtype == BF16);
	return dtype == F32 ? (double)((const float *)x)[i] : ((const double *)x)[i];
}

FINF_K_FN void store_float(void *y, unsigned dtype, unsigned i, double v)
{
	if (dtype == F32)
		((float *)y)[i] = (float)v;
	else
		((double *)y)[i] = v;
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
	bool from_float = is_float(p.from);

	FINF_K_EACH (i, p.n) {
		if (p.to == F32) /* not through double: one rounding */
			((float *)p.y)[i] = from_float ? (float)load_float(p.x, p.from, i)
						       : (float)load_int(p.x, p.from, i);
		else if (p.to == F64)
			((double *)p.y)[i] = from_float ? load_float(p.x, p.from, i)
							: (double)load_int(p.x, p.from, i);
		else if (p.to == F16 || p.to == BF16)
			((unsigned short *)p.y)[i] = (unsigned short)half_bits(
				odd_float(from_float ? load_float(p.x, p.from, i)
						     : (double)load_int(p.x, p.from, i)),
				p.to == BF16);
		else
			store_int(p.y, p.to, i,
				  from_float ? to_int(load_float(p.x, p.from, i), p.to)
					     : load_int(p.x, p.from, i));
	}
}

/* ---- quantisation -------------------------------------------------------------------- */

/* To the nearest integer, halves to even; what is beyond saturates anyway. NaN is 0. */
FINF_K_FN double rounded(float v)
{
	const float whole = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */

	if (!(v == v))
		return 0;
	v = v < -65536 ? -65536 : v > 65536 ? 65536 : v;
	return (double)((v + whole) - whole);
}

FINF_K(quantize)
{
	FINF_K_EACH (i, p.n) {
		unsigned at = quotient(i, p.step);
		float v = p.from == F32 ? ((const float *)p.x)[i] : (float)((const int *)p.x)[i];
		double q;

		at = split(&at, p.count);
		v /= p.scale[at];
		q = rounded(v) + (p.zero ? (double)load_int(p.zero, p.to, at) : 0);
		store_int(p.y, p.to, i, v == v ? to_int(q, p.to) : 0);
	}
}

FINF_K(dequantize)
{
	float *y = (float *)p.y;

	FINF_K_EACH (i, p.n) {
		unsigned at = quotient(i, p.step);
		long long v;

		at = split(&at, p.count);
		v = load_int(p.x, p.from, i) - (p.zero ? load_int(p.zero, p.from, at) : 0);
		y[i] = activate((float)v * p.scale[at], p.act);
	}
}

/* ---- comparison ------------------------------------------------------------------------- */

#define COMPARE(a, b, op)                                                                          \
	((op) == FINF_K_EQUAL	  ? (a) == (b)                                                     \
	 : (op) == FINF_K_LESS	  ? (a) < (b)                                                      \
	 : (op) == FINF_K_GREATER ? (a) > (b)                                                      \
	 : (op) == FINF_K_UP_TO	  ? (a) <= (b)                                                     \
	 : (op) == FINF_K_FROM	  ? (a) >= (b)                                                     \
	 : (op) == FINF_K_AND	  ? (a) && (b)                                                     \
	 : (op) == FINF_K_OR	  ? (a) || (b)                                                     \
	 : (op) == FINF_K_XOR	  ? !(a) != !(b)                                                   \
				  : !(a))

FINF_K(compare)
{
	unsigned char *y = (unsigned char *)p.y;

	FINF_K_EACH (i, p.n) {
		unsigned at_a = (unsigned)walk_at(&p.at_a, i), at_b = (unsigned)walk_at(&p.at_b, i);

		if (p.dtype == F32 || p.dtype == F64) {
			double a = load_float(p.a, p.dtype, at_a),
			       b = load_float(p.b, p.dtype, at_b);

			y[i] = (unsigned char)COMPARE(a, b, p.op);
		} else {
			long long a = load_int(p.a, p.dtype, at_a),
				  b = load_int(p.b, p.dtype, at_b);

			if (p.dtype == BOOL) { /* which may be any byte */
				a = a != 0;
				b = b != 0;
			}
			y[i] = (unsigned char)COMPARE(a, b, p.op);
		}
	}
}

FINF_K(where)
{
	const unsigned char *holds = (const unsigned char *)p.holds;

	FINF_K_EACH (i, p.n) {
		bool first = holds[walk_at(&p.at_holds, i)] != 0;

		move(p.y, i, first ? p.a : p.b,
		     (unsigned)(first ? walk_at(&p.at_a, i) : walk_at(&p.at_b, i)), p.each, p.act);
	}
}
