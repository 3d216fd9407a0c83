/* SPDX-License-Identifier: MIT */
/* Softplus: log(1 + e^x) (ONNX Softplus-1), in a form that does not overflow. */
#include <math.h>

#include "graph/op/unary.h"

FINF_UNARY_FLOAT_OP(softplus, "Softplus", 7, (x > 0 ? x : 0) + log1p(exp(-fabs(x))));
