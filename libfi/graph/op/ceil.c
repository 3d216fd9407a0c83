/* SPDX-License-Identifier: MIT */
/* Ceil: the smallest integer not below (ONNX Ceil-6, -13). */
#include <math.h>

#include "graph/op/unary.h"

FINF_UNARY_FLOAT_OP(ceil, "Ceil", 7, ceil(x));
