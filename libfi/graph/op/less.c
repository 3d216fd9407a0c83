/* SPDX-License-Identifier: MIT */
/* Less: a < b with broadcasting (ONNX Less-7, -9, -13). */
#include "graph/op/compare.h"

FINF_COMPARE_OP(less, "Less", 7, 9, <);
