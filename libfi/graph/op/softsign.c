/* SPDX-License-Identifier: MIT */
/* Softsign: x / (1 + |x|) (ONNX Softsign-1). */
#include <math.h>

#include "graph/op/unary.h"

FINF_UNARY_FLOAT_OP(softsign, "Softsign", 7, x / (1 + fabs(x)));
