/* SPDX-License-Identifier: MIT */
/* Reciprocal: 1 / x (ONNX Reciprocal-6, -13). */
#include <math.h>

#include "graph/op/unary.h"

FINF_UNARY_FLOAT_OP(reciprocal, "Reciprocal", 7, 1 / x);
