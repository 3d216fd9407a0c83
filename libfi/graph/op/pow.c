/* SPDX-License-Identifier: MIT */
/*
 * Pow with broadcasting (ONNX Pow-7: floats; -12, -13, -15: integers, and an
 * exponent of another dtype). The result has the dtype of the base. Integers
 * wrap around; to a negative power only 1 and -1 are integers, what is between
 * them is 0, and 0 is refused. What comes out of a float exponent stops at the
 * ends of the integers.
 */
#include <errno.h>
#include <math.h>

#include "graph/op/arith.h"
#include "graph/op/element.h"

static int64_t power(int64_t base, int64_t exponent)
{
	uint64_t y = 1, square = (uint64_t)base;

	if (exponent < 0)
		return base == 1 ? 1 : base == -1 ? (exponent % 2 ? -1 : 1) : 0;
	for (; exponent; exponent /= 2, square *= square)
		if (exponent % 2)
			y *= square;
	return (int64_t)y;
}

#define POW(p, q) pow((double)(p), (double)(q))

FINF_ARITH_ROW(pow_f32, float, POW(p, q), false)
FINF_ARITH_ROW(pow_f64, double, POW(p, q), false)
FINF_MIXED_ROW(pow_f32_f64, float, float, double, POW(p, q), false)
FINF_MIXED_ROW(pow_f32_i64, float, float, int64_t, POW(p, q), false)
FINF_MIXED_ROW(pow_f32_i32, float, float, int32_t, POW(p, q), false)
FINF_MIXED_ROW(pow_i64_f32, int64_t, int64_t, float, finf_to_int(POW(p, q), FINF_I64), false)
FINF_MIXED_ROW(pow_i64_i64, int64_t, int64_t, int64_t, power(p, q), !p && q < 0)
FINF_MIXED_ROW(pow_i64_i32, int64_t, int64_t, int32_t, power(p, q), !p && q < 0)
FINF_MIXED_ROW(pow_i32_f32, int32_t, int32_t, float, finf_to_int(POW(p, q), FINF_I32), false)
FINF_MIXED_ROW(pow_i32_i64, int32_t, int32_t, int64_t, power(p, q), !p && q < 0)
FINF_MIXED_ROW(pow_i32_i32, int32_t, int32_t, int32_t, power(p, q), !p && q < 0)

static const struct finf_arith rows[] = {
	FINF_ARITH_SAME(F32, 7, pow_f32),
	FINF_ARITH_SAME(F64, 7, pow_f64),
	{FINF_F32, FINF_F64, FINF_F32, 12, pow_f32_f64},
	{FINF_F32, FINF_I64, FINF_F32, 12, pow_f32_i64},
	{FINF_F32, FINF_I32, FINF_F32, 12, pow_f32_i32},
	{FINF_I64, FINF_F32, FINF_I64, 12, pow_i64_f32},
	{FINF_I64, FINF_I64, FINF_I64, 12, pow_i64_i64},
	{FINF_I64, FINF_I32, FINF_I64, 12, pow_i64_i32},
	{FINF_I32, FINF_F32, FINF_I32, 12, pow_i32_f32},
	{FINF_I32, FINF_I64, FINF_I32, 12, pow_i32_i64},
	{FINF_I32, FINF_I32, FINF_I32, 12, pow_i32_i32},
	{0},
};

FINF_ARITH_OP(pow, "Pow", 7, rows);
