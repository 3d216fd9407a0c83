/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/device/rows_indexed - nodes for the CUDA device beside those of cases.h:
 * indices: gathered, scattered, sorted.
 */
#ifndef FI_TESTS_DEVICE_ROWS_INDEXED_H
#define FI_TESTS_DEVICE_ROWS_INDEXED_H

#include "tests/unit/device/bench.h"

/* clang-format off */
static const struct node_case indexed_rows[] = {
	{"gather rows", "Gather", 13, {ACT(5, 3, 2), INDEX_IN(I64, 0, -1, 4, -5, 2, 2)}, 2, {{0}},
	 .act = FINF_ACT_LEAKY, .act_a = 3},
	{"gather middle", "Gather", 13, {OTHER(I8, 2, 5, 3), INDEX_IN(I32, 1, -1, 4, -5, 2, 0)}, 2,
	 {ATTR_INT("axis", 1)}, .want = WANT_ANY},
	{"gather scalar index", "Gather", 13, {OTHER(I64, 4, 2), {.is_const = true, .ints = true,
	  .ivalues = {-2}}}, 2, {ATTR_INT("axis", -1)}, .want = WANT_ANY},
	{"gather from a constant", "Gather", 13, {WEIGHT(9, 7), INDEX_IN(I64, 8, 0, 1, 2, -9, 5)}, 2,
	 {{0}}, .want = WANT_ANY},
	{"gather many", "Gather", 13, {ACT(7, 3), KEPT(I64, 2, 65)}, 2, {{0}}, .want = WANT_ANY},
	{"gather many int32", "Gather", 13, {ACT(3, 7), KEPT(I32, 131)}, 2, {ATTR_INT("axis", 1)},
	 .act = FINF_ACT_RELU},
	{"gather too many to keep", "Gather", 13, {ACT(7, 3), KEPT(I64, 513)}, 2, {{0}},
	 .want = WANT_ANY},
	{"gather elements", "GatherElements", 13, {ACT(5, 3), INDEX_IN(I64, 0, -1, 4, -5, 2, 2)}, 2,
	 {{0}}, .act = FINF_ACT_LEAKY, .act_a = 3},
	{"gather elements of a row", "GatherElements", 11, {OTHER(I8, 2, 5),
	  INDEX_IN(I32, 1, -1, 4, -5, 2, 0)}, 2, {ATTR_INT("axis", 1)}, .want = WANT_ANY},
	{"gather kept elements", "GatherElements", 13, {ACT(4, 7, 2), KEPT(I64, 3, 9, 2)}, 2,
	 {ATTR_INT("axis", -2)}, .want = WANT_ANY},
	{"gather tuples", "GatherND", 13, {ACT(3, 4, 5), {.rank = 2, .dim = {3, 2}, .dtype = FINF_I64,
	  .ivalues = {2, -1, 0, 0, -3, 3}}}, 2, {{0}}, .act = FINF_ACT_LEAKY, .act_a = 3},
	{"gather tuples in batches", "GatherND", 12, {OTHER(I8, 2, 3, 4), {.rank = 3, .dim = {2, 3, 1},
	  .dtype = FINF_I64, .is_const = true, .ivalues = {2, -1, 0, 0, -3, 1}}}, 2,
	 {ATTR_INT("batch_dims", 1)}, .want = WANT_ANY},
	{"gather whole tuples", "GatherND", 13, {OTHER(I64, 3, 2, 2), {.rank = 3, .dim = {1, 2, 3},
	  .dtype = FINF_I64, .ivalues = {2, 1, 0, 0, 0, 1}}}, 2, {{0}}, .want = WANT_ANY},
	{"scatter", "Scatter", 9, {ACT(3, 4), {.rank = 2, .dim = {2, 3}, .dtype = FINF_I32,
	  .ivalues = {1, 0, 2, -1, 2, 0}}, ACT(2, 3)}, 3, {{0}}, .want = WANT_ANY},
	{"scatter kept, apart", "ScatterElements", 18, {ACT(2, 7, 3), {.rank = 3, .dim = {2, 3, 1},
	  .dtype = FINF_I64, .is_const = true, .ivalues = {0, -1, 3, 5, 1, 0}}, ACT(2, 3, 1)}, 3,
	 {ATTR_INT("axis", 1)}, .want = WANT_ANY},
	{"scatter kept, together", "ScatterElements", 18, {OTHER(U8, 1, 7), {.rank = 2, .dim = {1, 6},
	  .dtype = FINF_I64, .is_const = true, .ivalues = {0, -1, 3, 0, 6, 0}}, OTHER(U8, 1, 6)}, 3,
	 {ATTR_INT("axis", 1)}, .want = WANT_ANY},
	{"scatter sums", "ScatterElements", 18, {ACT(7, 65), {.rank = 2, .dim = {9, 65},
	  .dtype = FINF_I64, .ivalues = {3, -7, 5, 0, -1, 2}}, ACT(9, 65)}, 3,
	 {ATTR_STR("reduction", "add")}, .want = WANT_ANY},
	{"scatter products", "ScatterElements", 16, {OTHER(I64, 2, 4), {.rank = 2, .dim = {2, 6},
	  .dtype = FINF_I64, .ivalues = {3, -4, 0, 0, -1, 2}}, OTHER(I64, 2, 6)}, 3,
	 {ATTR_INT("axis", -1), ATTR_STR("reduction", "mul")}, .want = WANT_ANY},
	{"scatter the largest", "ScatterElements", 18, {OTHER(I8, 4, 2), {.rank = 2, .dim = {6, 1},
	  .dtype = FINF_I32, .ivalues = {3, -4, 0, 0, -1, 2}}, OTHER(I8, 6, 1)}, 3,
	 {ATTR_STR("reduction", "max")}, .want = WANT_ANY},
	{"scatter the smallest", "ScatterElements", 18, {ACT(4, 2), {.rank = 2, .dim = {6, 2},
	  .dtype = FINF_I64, .is_const = true, .ivalues = {3, -4, 0, 0, -1, 2}}, ACT(6, 2)}, 3,
	 {ATTR_STR("reduction", "min")}, .want = WANT_ANY},
	{"scatter slices", "ScatterND", 18, {ACT(4, 3, 5), {.rank = 2, .dim = {3, 1},
	  .dtype = FINF_I64, .ivalues = {3, -4, 3, 0, 0, 0}}, ACT(3, 3, 5)}, 3, {{0}}, .want = WANT_ANY},
	{"scatter cells", "ScatterND", 11, {OTHER(I32, 4, 3), {.rank = 3, .dim = {1, 3, 2},
	  .dtype = FINF_I64, .is_const = true, .ivalues = {3, -1, 0, 0, -4, 1}}, OTHER(I32, 1, 3)}, 3,
	 {{0}}, .want = WANT_ANY},
	{"scatter sums of slices", "ScatterND", 16, {ACT(4, 2, 3), {.rank = 3, .dim = {3, 2, 1},
	  .dtype = FINF_I64, .ivalues = {3, -4, 3, 0, 0, 0}}, ACT(3, 2, 2, 3)}, 3,
	 {ATTR_STR("reduction", "add")}, .want = WANT_ANY},
	{"scatter products of doubles", "ScatterND", 18, {OTHER(F64, 5), {.rank = 2, .dim = {6, 1},
	  .dtype = FINF_I64, .ivalues = {3, -5, 3, 0, -1, 2}}, OTHER(F64, 6)}, 3,
	 {ATTR_STR("reduction", "mul")}, .want = WANT_ANY},
	{"scatter of nothing", "ScatterND", 18, {ACT(4, 2), {.rank = 2, .dim = {0, 1},
	  .dtype = FINF_I64}, ACT(0, 2)}, 3, {{0}}, .want = WANT_ANY},
	{"top of rows", "TopK", 11, {ACT(3, 70), INTS_IN(5)}, 2, {{0}}, .want = WANT_ANY},
	{"top of equals", "TopK", 11, {OTHER(I32, 2, 20), INTS_IN(9)}, 2, {{0}}, .want = WANT_ANY},
	{"least of columns", "TopK", 11, {OTHER(I64, 7, 5), INTS_IN(4)}, 2,
	 {ATTR_INT("axis", 0), ATTR_INT("largest", 0), ATTR_INT("sorted", 0)}, .want = WANT_ANY},
	{"top, attribute", "TopK", 9, {OTHER(F64, 2, 9, 3)}, 1,
	 {ATTR_INT("axis", 1), ATTR_INT("k", 9)}, .want = WANT_ANY},
	{"top of none", "TopK", 11, {ACT(3, 7), INTS_IN(0)}, 2, {{0}}, .want = WANT_ANY},
};
/* clang-format on */

#endif
