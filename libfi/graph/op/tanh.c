/* SPDX-License-Identifier: MIT */
/* Tanh: hyperbolic tangent (ONNX Tanh-6, -13). */
#include <math.h>

#include "graph/op/unary.h"

FINF_UNARY_FLOAT_OP(tanh, "Tanh", 7, tanh(x));
