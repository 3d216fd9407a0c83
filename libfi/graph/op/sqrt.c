/* SPDX-License-Identifier: MIT */
/* Sqrt: square root, NaN below 0 (ONNX Sqrt-6, -13). */
#include <math.h>

#include "graph/op/unary.h"

FINF_UNARY_FLOAT_OP(sqrt, "Sqrt", 7, sqrt(x));
