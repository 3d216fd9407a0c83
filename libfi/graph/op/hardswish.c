/* SPDX-License-Identifier: MIT */
/* HardSwish: x * min(max(x / 6 + 0.5, 0), 1) (ONNX HardSwish-14). */
#include <math.h>

#include "graph/op/unary.h"

FINF_UNARY_FLOAT_OP(hardswish, "HardSwish", 14, x *(x<-3 ? 0 : x> 3 ? 1 : x / 6 + 0.5));
