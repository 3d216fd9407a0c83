/* SPDX-License-Identifier: MIT */
/* Exp: e to the power x (ONNX Exp-6, -13). */
#include <math.h>

#include "graph/op/unary.h"

FINF_UNARY_FLOAT_OP(exp, "Exp", 7, exp(x));
