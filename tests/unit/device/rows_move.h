/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/device/rows_move - nodes for the CUDA device beside those of cases.h:
 * elements that go elsewhere.
 */
#ifndef FI_TESTS_DEVICE_ROWS_MOVE_H
#define FI_TESTS_DEVICE_ROWS_MOVE_H

#include "tests/unit/device/bench.h"

/* clang-format off */
static const struct node_case move_rows[] = {
	{"transpose bytes", "Transpose", 13, {OTHER(U8, 3, 4, 5)}, 1, {ATTR_INTS("perm", 2, 0, 1)}, .want = WANT_ANY},
	{"transpose int64", "Transpose", 13, {OTHER(I64, 3, 4)}, 1, {{0}}, .want = WANT_ANY},
	{"transpose nothing", "Transpose", 13, {ACT(3, 4, 5)}, 1, {ATTR_INTS("perm", 0, 1, 2)}, .want = WANT_ANY},
	{"concat bool", "Concat", 13, {OTHER(BOOL, 2, 3), OTHER(BOOL, 2, 1), OTHER(BOOL, 2, 0)}, 3,
	 {ATTR_INT("axis", 1)}, .want = WANT_ANY},
	{"concat vectors", "Concat", 13, {ACT(3), ACT(5), ACT(1)}, 3, {ATTR_INT("axis", 0)},
	 .act = FINF_ACT_RELU},
	{"pad reflect", "Pad", 13, {ACT(2, 4, 5), INTS_IN(0, 3, 2, 0, 1, 4)}, 2,
	 {ATTR_STR("mode", "reflect")}, .want = WANT_ANY},
	{"pad edge", "Pad", 13, {ACT(4, 5), INTS_IN(3, -1, 2, 4)}, 2, {ATTR_STR("mode", "edge")},
	 .act = FINF_ACT_RELU},
	{"pad cut", "Pad", 13, {ACT(4, 5), INTS_IN(-1, 2, 0, -3)}, 2, {{0}}, .want = WANT_ANY},
	{"pad attribute", "Pad", 10, {ACT(4, 5)}, 1,
	 {ATTR_INTS("pads", 1, 0, 0, 2), ATTR_FLOAT("value", 1.5f)}, .want = WANT_ANY},
	{"pad int64", "Pad", 13, {OTHER(I64, 4), INTS_IN(1, 2)}, 2, {{0}}, .want = WANT_ANY},
	{"pad computed constant", "Pad", 13, {ACT(4), INTS_IN(1, 2), {.rank = 0}}, 3, {{0}}, .want = WANT_ANY},
	{"reshape bytes", "Reshape", 13, {OTHER(U8, 3, 4), INTS_IN(12)}, 2, {{0}}, .want = WANT_ANY},
	{"identity of a constant", "Identity", 13, {WEIGHT(3, 5)}, 1, {{0}}, .want = WANT_ANY},
	{"pad axes", "Pad", 18, {ACT(2, 4, 5), INTS_IN(1, 2, 3, 0), SCALAR(2.5f), INTS_IN(-1, 0)}, 4,
	 {{0}}, .act = FINF_ACT_LEAKY, .act_a = 2},
	{"pad axes reflect", "Pad", 21, {ACT(3, 4, 5), INTS_IN(3, -2), LEFT_OUT, INTS_IN(1)}, 4,
	 {ATTR_STR("mode", "reflect")}, .want = WANT_ANY},
	{"pad wrap", "Pad", 19, {ACT(4, 5), INTS_IN(9, -1, 6, 13)}, 2, {ATTR_STR("mode", "wrap")},
	 .want = WANT_ANY},
	{"upper triangle", "Trilu", 14, {ACT(2, 5, 7)}, 1, {{0}}, .act = FINF_ACT_RELU},
	{"lower triangle, shifted", "Trilu", 14, {OTHER(I64, 5, 4), {.is_const = true, .ints = true,
	  .ivalues = {-2}}}, 2, {ATTR_INT("upper", 0)}, .want = WANT_ANY},
	{"triangle of bytes", "Trilu", 14, {OTHER(U8, 2, 3, 3, 4), {.dtype = FINF_I64,
	  .ivalues = {1}}}, 2, {{0}}, .want = WANT_ANY},
	{"depth to space", "DepthToSpace", 13, {ACT(2, 12, 3, 5)}, 1, {ATTR_INT("blocksize", 2)},
	 .act = FINF_ACT_RELU},
	{"depth to space in turn", "DepthToSpace", 11, {OTHER(I64, 1, 18, 2, 3)}, 1,
	 {ATTR_INT("blocksize", 3), ATTR_STR("mode", "CRD")}, .want = WANT_ANY},
	{"space to depth", "SpaceToDepth", 13, {ACT(2, 3, 4, 6)}, 1, {ATTR_INT("blocksize", 2)},
	 .act = FINF_ACT_LEAKY, .act_a = 2},
	{"space to depth of bytes", "SpaceToDepth", 7, {OTHER(U8, 1, 2, 6, 3)}, 1,
	 {ATTR_INT("blocksize", 3)}, .want = WANT_ANY},
	{"expand", "Expand", 13, {ACT(3, 1, 2), INTS_IN(2, 1, 4, 1)}, 2, {{0}}, .act = FINF_ACT_RELU},
	{"expand bool", "Expand", 8, {OTHER(BOOL, 1), INTS_IN(6)}, 2, {{0}}, .want = WANT_ANY},
	{"slice", "Slice", 13, {ACT(4, 5, 6), INTS_IN(1, -5), INTS_IN(3, 100), INTS_IN(0, -1),
	  INTS_IN(1, 2)}, 5, {{0}}, .act = FINF_ACT_LEAKY, .act_a = 2},
	{"slice backwards", "Slice", 13, {OTHER(I64, 4, 6), INTS_IN(-1, 4), INTS_IN(-100, 0),
	  INTS_IN(0, 1), INTS_IN(-1, -3)}, 5, {{0}}, .want = WANT_ANY},
	{"slice by attributes", "Slice", 9, {OTHER(U8, 4, 6)}, 1, {ATTR_INTS("starts", 1, 2),
	  ATTR_INTS("ends", 4, -1)}, .want = WANT_ANY},
	{"slice of nothing left", "Slice", 13, {ACT(4), INTS_IN(3), INTS_IN(1)}, 3, {{0}}, .want = WANT_ANY},
	{"tile", "Tile", 13, {ACT(2, 3), INTS_IN(3, 2)}, 2, {{0}}, .act = FINF_ACT_RELU},
	{"tile bytes", "Tile", 13, {OTHER(U8, 2, 1, 3), INTS_IN(1, 4, 2)}, 2, {{0}}, .want = WANT_ANY},
	{"split into one", "Split", 18, {ACT(2, 3)}, 1, {ATTR_INT("num_outputs", 1)}, .want = WANT_ANY},
	{"size", "Size", 13, {OTHER(BOOL, 3, 5)}, 1, {{0}}, .want = WANT_ANY},
	{"range", "Range", 11, {SCALAR(0.5f), SCALAR(30), SCALAR(0.1f)}, 3, {{0}}, .want = WANT_ANY},
	{"range down", "Range", 11, {{.is_const = true, .ints = true, .ivalues = {900}},
	  {.is_const = true, .ints = true, .ivalues = {-3}}, {.is_const = true, .ints = true,
	  .ivalues = {-2}}}, 3, {{0}}, .want = WANT_ANY},
	{"range int32", "Range", 11, {KEPT(I32), {.is_const = true, .dtype = FINF_I32,
	  .ivalues = {77}}, KEPT(I32)}, 3, {{0}}, .want = WANT_ANY},
	{"range of doubles", "Range", 11, {{.is_const = true, .dtype = FINF_F64, .ivalues = {-5}},
	  {.is_const = true, .dtype = FINF_F64, .ivalues = {7}}, {.is_const = true, .dtype = FINF_F64,
	  .ivalues = {1}}}, 3, {{0}}, .want = WANT_ANY},
};
/* clang-format on */

#endif
