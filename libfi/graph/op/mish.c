/* SPDX-License-Identifier: MIT */
/* Mish: x * tanh(softplus(x)) (ONNX Mish-18), softplus in a form that does not overflow. */
#include <math.h>

#include "graph/op/unary.h"

FINF_UNARY_FLOAT_OP(mish, "Mish", 18, x *tanh((x > 0 ? x : 0) + log1p(exp(-fabs(x)))));
