/* SPDX-License-Identifier: MIT */
/*
 * op/element - a number as a dtype holds it. Where ONNX leaves the result open,
 * floats become the nearest integer towards zero that there is, NaN becomes 0.
 */
#ifndef FINF_GRAPH_OP_ELEMENT_H
#define FINF_GRAPH_OP_ELEMENT_H

#include <math.h>

#include "graph/op.h"

static inline int64_t finf_clamp(double x, int64_t low, int64_t high)
{
	if (isnan(x))
		return 0;
	/* Above 2^53 the upper bound is rounded up: it compares equal already. */
	if (x >= (double)high)
		return high;
	return x <= (double)low ? low : (int64_t)x;
}

/** finf_to_int - @x as an integer of @dtype. */
static inline int64_t finf_to_int(double x, enum finf_dtype dtype)
{
	switch (dtype) {
	case FINF_I64:
		return finf_clamp(x, INT64_MIN, INT64_MAX);
	case FINF_I32:
		return finf_clamp(x, INT32_MIN, INT32_MAX);
	case FINF_I8:
		return finf_clamp(x, INT8_MIN, INT8_MAX);
	case FINF_BOOL:
		return x != 0; /* NaN is not 0 */
	default:
		return finf_clamp(x, 0, UINT8_MAX);
	}
}

#endif
