/* SPDX-License-Identifier: MIT */
/* LessOrEqual: a <= b with broadcasting (ONNX LessOrEqual-12, -16). */
#include "graph/op/compare.h"

FINF_COMPARE_OP(lessorequal, "LessOrEqual", 12, 12, <=);
