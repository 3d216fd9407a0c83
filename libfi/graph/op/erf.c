/* SPDX-License-Identifier: MIT */
/* Erf: the error function (ONNX Erf-9, -13). */
#include <math.h>

#include "graph/op/unary.h"

FINF_UNARY_FLOAT_OP(erf, "Erf", 9, erf(x));
