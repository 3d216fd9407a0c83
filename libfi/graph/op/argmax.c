/* SPDX-License-Identifier: MIT */
/* ArgMax: the index of the largest element along an axis (ONNX ArgMax-1, -11, -12, -13). */
#include "graph/op/along.h"

FINF_ARG_OP(argmax, "ArgMax", true);
