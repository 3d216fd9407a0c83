/* SPDX-License-Identifier: MIT */
/* Cos: cosine (ONNX Cos-7). */
#include <math.h>

#include "graph/op/unary.h"

FINF_UNARY_FLOAT_OP(cos, "Cos", 7, cos(x));
