/* SPDX-License-Identifier: MIT */
/* Greater: a > b with broadcasting (ONNX Greater-7, -9, -13). */
#include "graph/op/compare.h"

FINF_COMPARE_OP(greater, "Greater", 7, 9, >);
