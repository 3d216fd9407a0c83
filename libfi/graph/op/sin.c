/* SPDX-License-Identifier: MIT */
/* Sin: sine (ONNX Sin-7). */
#include <math.h>

#include "graph/op/unary.h"

FINF_UNARY_FLOAT_OP(sin, "Sin", 7, sin(x));
