/* SPDX-License-Identifier: MIT */
/* Floor: the largest integer not above (ONNX Floor-6, -13). */
#include <math.h>

#include "graph/op/unary.h"

FINF_UNARY_FLOAT_OP(floor, "Floor", 7, floor(x));
