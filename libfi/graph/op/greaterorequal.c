/* SPDX-License-Identifier: MIT */
/* GreaterOrEqual: a >= b with broadcasting (ONNX GreaterOrEqual-12, -16). */
#include "graph/op/compare.h"

FINF_COMPARE_OP(greaterorequal, "GreaterOrEqual", 12, 12, >=);
