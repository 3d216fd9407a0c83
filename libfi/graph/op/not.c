/* SPDX-License-Identifier: MIT */
/* Not: of bools (ONNX Not-1). */
#include "graph/op/unary.h"

FINF_UNARY_FN(not_bool, uint8_t, int, !x)

static const struct finf_unary rows[] = {{FINF_BOOL, 7, not_bool}, {0}};

FINF_UNARY_OP(not, "Not", 7, rows);
