/* SPDX-License-Identifier: MIT */
/* Or of two bools with broadcasting (ONNX Or-7). */
#include <errno.h>

#include "graph/op/arith.h"

FINF_ARITH_ROW(or_bool, uint8_t, p || q, false)

static const struct finf_arith rows[] = {FINF_ARITH_SAME(BOOL, 7, or_bool), {0}};

FINF_ARITH_OP(or, "Or", 7, rows);
