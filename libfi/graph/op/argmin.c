/* SPDX-License-Identifier: MIT */
/* ArgMin: the index of the smallest element along an axis (ONNX ArgMin-1, -11, -12, -13). */
#include "graph/op/along.h"

FINF_ARG_OP(argmin, "ArgMin", false);
