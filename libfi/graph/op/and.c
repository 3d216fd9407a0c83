/* SPDX-License-Identifier: MIT */
/* And of two bools with broadcasting (ONNX And-7). */
#include <errno.h>

#include "graph/op/arith.h"

FINF_ARITH_ROW(and_bool, uint8_t, p &&q, false)

static const struct finf_arith rows[] = {FINF_ARITH_SAME(BOOL, 7, and_bool), {0}};

FINF_ARITH_OP(and, "And", 7, rows);
