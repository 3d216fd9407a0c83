/* SPDX-License-Identifier: MIT */
/* Log: natural logarithm (ONNX Log-6, -13). */
#include <math.h>

#include "graph/op/unary.h"

FINF_UNARY_FLOAT_OP(log, "Log", 7, log(x));
