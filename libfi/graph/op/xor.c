/* SPDX-License-Identifier: MIT */
/* Xor of two bools with broadcasting (ONNX Xor-7). */
#include <errno.h>

#include "graph/op/arith.h"

FINF_ARITH_ROW(xor_bool, uint8_t, !p != !q, false)

static const struct finf_arith rows[] = {FINF_ARITH_SAME(BOOL, 7, xor_bool), {0}};

FINF_ARITH_OP(xor, "Xor", 7, rows);
