/* SPDX-License-Identifier: MIT */
/* graph/op: Einsum. */
#include <errno.h>
#include <math.h>

#include "tests/support/optest.h"

#define A      OT(F32, OT_S(2, 3), 1, 2, 3, 4, 5, 6)
#define B      OT(F32, OT_S(3, 2), 1, 0, 0, 1, 1, 1)
#define SQUARE OT(F32, OT_S(2, 2), 1, 2, 3, 4)
#define ROW(title, text, y, ...)                                                                   \
	{                                                                                          \
		.name = title, .op = "Einsum", .attrs = {OT_STR("equation", text)},                \
		.in = {__VA_ARGS__},                                                               \
		.out = { y }                                                                       \
	}
#define BAD(title, text, error, what, ...)                                                         \
	{                                                                                          \
		.name = title, .op = "Einsum", .attrs = {OT_STR("equation", text)},                \
		.in = {__VA_ARGS__}, .err = error, .says = what                                    \
	}

static const struct optest_row rows[] = {
	ROW("product of matrices", "ij,jk->ik", OT(F32, OT_S(2, 2), 4, 5, 10, 11), A, B),
	ROW("the result left out", "ij,jk", OT(F32, OT_S(2, 2), 4, 5, 10, 11), A, B),
	ROW("the result left out, letters in disorder", "ba", OT(F32, OT_S(3, 2), 1, 4, 2, 5, 3, 6),
	    A),
	ROW("spaces", " i j , j k -> k i ", OT(F32, OT_S(2, 2), 4, 10, 5, 11), A, B),
	ROW("transposed", "ij->ji", OT(F32, OT_S(3, 2), 1, 4, 2, 5, 3, 6), A),
	ROW("sum of rows", "ij->i", OT(F32, OT_S(2), 6, 15), A),
	ROW("sum of all", "ij->", OT(F32, OT_S(), 21), A),
	ROW("diagonal", "ii->i", OT(F32, OT_S(2), 1, 4), SQUARE),
	ROW("trace", "ii", OT(F32, OT_S(), 5), SQUARE),
	ROW("inner product", "i,i", OT(F32, OT_S(), 11), OT(F32, OT_S(2), 1, 2),
	    OT(F32, OT_S(2), 3, 4)),
	ROW("outer product, float64", "i,j->ij", OT(F64, OT_S(2, 2), 3, 4, 6, 8),
	    OT(F64, OT_S(2), 1, 2), OT(F64, OT_S(2), 3, 4)),
	ROW("batches as attention has them", "bqhd,bkhd->bhqk",
	    OT(F32, OT_S(1, 2, 1, 2), 2, 4, 18, 24), OT(F32, OT_S(1, 1, 2, 1), 1, 3),
	    OT(F32, OT_S(1, 2, 2, 1), 2, 6, 4, 8)),
	ROW("three operands", "ij,jk,k->i", OT(F32, OT_S(2), 14, 32), A, B, OT(F32, OT_S(2), 1, 2)),
	ROW("an extent of 1 is repeated", "ij,ij->ij", OT(F32, OT_S(2, 2), 2, 4, 9, 12), SQUARE,
	    OT(F32, OT_S(2, 1), 2, 3)),
	ROW("a scalar", ",i->i", OT(F32, OT_S(2), 2, 4), OT(F32, OT_S(), 2),
	    OT(F32, OT_S(2), 1, 2)),
	ROW("a sum of nothing", "ij->i", OT(F32, OT_S(2), 0, 0), OT_ZEROS(F32, OT_S(2, 0))),
	BAD("ellipsis", "...i->...", -EOPNOTSUPP, "ellipsis", A),
	BAD("extents apart", "ij,ij", -EINVAL, "label i is 2 and 3", A, B),
	BAD("too few labels", "i->i", -EINVAL, "equation i->i", A),
	BAD("too many labels", "ijk->i", -EINVAL, "operand 0", A),
	BAD("too few operands", "ij,jk->ik", -EINVAL, "does not fit", A),
	BAD("too many operands", "ij->ij", -EINVAL, "does not fit its operands", A, B),
	BAD("a label of the result twice", "ij->ii", -EINVAL, "equation", A),
	BAD("a label of the result from nowhere", "ij->ik", -EINVAL, "equation", A),
	BAD("half an arrow", "ij-", -EINVAL, "equation", A),
	BAD("no letter", "i1->i", -EINVAL, "equation", A),
	BAD("integers", "i->i", -EOPNOTSUPP, "int64", OT(I64, OT_S(1), 1)),
	BAD("two dtypes", "i,i", -EINVAL, "input 1", OT(F32, OT_S(1), 1), OT(F64, OT_S(1), 1)),
	BAD("more labels than dimensions can be", "abcde,fghij->", -EOPNOTSUPP, "labels",
	    OT(F32, OT_S(1, 1, 1, 1, 1), 1), OT(F32, OT_S(1, 1, 1, 1, 1), 1)),
	{.name = "no equation", .op = "Einsum", .in = {A}, .err = -EINVAL, .says = "equation"},
};

OPTEST_SUITE("graph/op/einsum", rows)
