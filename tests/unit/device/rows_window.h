/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/device/rows_window - nodes for the CUDA device beside those of cases.h:
 * windows: pools, resampling, neighbouring channels.
 */
#ifndef FI_TESTS_DEVICE_ROWS_WINDOW_H
#define FI_TESTS_DEVICE_ROWS_WINDOW_H

#include "tests/unit/device/bench.h"

/* clang-format off */
static const struct node_case window_rows[] = {
	{"maxpool dilated and padded", "MaxPool", 12, {ACT(2, 3, 9, 7)}, 1,
	 {ATTR_INTS("kernel_shape", 3, 2), ATTR_INTS("dilations", 2, 3), ATTR_INTS("pads", 2, 1, 1, 0),
	  ATTR_INTS("strides", 2, 1)}, .want = WANT_ANY},
	{"avgpool dilated", "AveragePool", 19, {ACT(2, 3, 9, 7)}, 1,
	 {ATTR_INTS("kernel_shape", 3, 2), ATTR_INTS("dilations", 2, 3), ATTR_INTS("pads", 2, 1, 1, 1),
	  ATTR_INTS("strides", 2, 1), ATTR_INT("ceil_mode", 1)}, .want = WANT_ANY},
	{"avgpool dilated with padding", "AveragePool", 19, {ACT(1, 2, 8, 9)}, 1,
	 {ATTR_INTS("kernel_shape", 2, 3), ATTR_INTS("dilations", 3, 2), ATTR_INTS("pads", 1, 2, 1, 1),
	  ATTR_INT("count_include_pad", 1)}, .want = WANT_ANY},
	{"avgpool 1-D", "AveragePool", 11, {ACT(2, 3, 9)}, 1,
	 {ATTR_INTS("kernel_shape", 4), ATTR_INTS("pads", 1, 2)}, .want = WANT_ANY},
	{"avgpool uneven", "AveragePool", 11, {ACT(2, 3, 9, 7)}, 1,
	 {ATTR_INTS("kernel_shape", 4, 3), ATTR_INTS("pads", 1, 2, 3, 0), ATTR_INTS("strides", 3, 2),
	  ATTR_INT("count_include_pad", 1), ATTR_INT("ceil_mode", 1)}, .act = FINF_ACT_RELU},
	{"lrn", "LRN", 13, {ACT(2, 9, 4, 5)}, 1, {ATTR_INT("size", 5)}, .act = FINF_ACT_RELU},
	{"lrn even, given", "LRN", 7, {ACT(1, 6, 7)}, 1, {ATTR_INT("size", 4), ATTR_FLOAT("alpha", 0.5f),
	 ATTR_FLOAT("beta", 1.25f), ATTR_FLOAT("bias", 0.25f)}, .want = WANT_ANY},
	{"lrn wider than it is deep", "LRN", 13, {ACT(3, 2)}, 1, {ATTR_INT("size", 9)},
	 .want = WANT_ANY},
	{"upsample", "Upsample", 9, {ACT(1, 2, 3, 4), SCALES(1, 1, 2, 3)}, 2, {{0}},
	 .act = FINF_ACT_RELU},
	{"upsample linear, attribute", "Upsample", 7, {ACT(1, 2, 3, 4)}, 1,
	 {ATTR_STR("mode", "linear"), {.name = "scales", .type = FINF_ATTR_FLOATS, .n = 4,
	  .floats = (const float[]){1, 1, 1.5f, 2}}}, .want = WANT_ANY},
	{"resize 10", "Resize", 10, {OTHER(U8, 1, 2, 4, 5), SCALES(1, 1, 0.6f, 1.7f)}, 2, {{0}},
	 .want = WANT_ANY},
	{"resize to itself", "Resize", 13, {ACT(1, 2, 3, 4), LEFT_OUT, SCALES(1, 1, 1, 1)}, 3, {{0}},
	 .act = FINF_ACT_LEAKY, .act_a = 2},
	{"resize int64", "Resize", 13, {OTHER(I64, 1, 1, 4, 5), LEFT_OUT, LEFT_OUT,
	  INTS_IN(1, 1, 7, 3)}, 4, {ATTR_STR("nearest_mode", "ceil")}, .want = WANT_ANY},
	{"resize down", "Resize", 13, {ACT(2, 3, 9, 7), LEFT_OUT, LEFT_OUT, INTS_IN(2, 3, 4, 3)}, 4,
	 {ATTR_STR("mode", "linear")}, .act = FINF_ACT_RELU},
	{"resize cubic excluding", "Resize", 13, {ACT(1, 2, 5, 4), LEFT_OUT, SCALES(1, 1, 1.3f, 0.7f)},
	 3, {ATTR_STR("mode", "cubic"), ATTR_INT("exclude_outside", 1),
	 ATTR_FLOAT("cubic_coeff_a", -0.5f)}, .want = WANT_ANY},
	{"resize of three", "Resize", 13, {ACT(2, 3, 4, 5), LEFT_OUT, SCALES(1, 1.5f, 2, 0.5f)}, 3,
	 {ATTR_STR("mode", "linear")}, .want = WANT_ANY},
	{"resize of four", "Resize", 13, {ACT(2, 3, 2, 3), LEFT_OUT, SCALES(1.5f, 1.5f, 2, 2)}, 3,
	 {ATTR_STR("mode", "cubic")}, .want = WANT_ANY},
	{"resize of axes", "Resize", 18, {ACT(2, 5, 3, 4), LEFT_OUT, LEFT_OUT, INTS_IN(7, 6)}, 4,
	 {ATTR_INTS("axes", 3, 1), ATTR_STR("mode", "linear")}, .want = WANT_ANY},
	{"resize keeping aspect", "Resize", 18, {ACT(1, 1, 6, 4), LEFT_OUT, LEFT_OUT, INTS_IN(9, 9)}, 4,
	 {ATTR_INTS("axes", 2, 3), ATTR_STR("keep_aspect_ratio_policy", "not_larger"),
	  ATTR_STR("mode", "linear")}, .want = WANT_ANY},
	{"crop and resize", "Resize", 13, {ACT(1, 1, 6, 5), SCALES(0, 0, 0.4f, 0.3f, 1, 1, 1.2f, 0.9f),
	  LEFT_OUT, INTS_IN(1, 1, 5, 7)}, 4, {ATTR_STR("mode", "linear"),
	 ATTR_STR("coordinate_transformation_mode", "tf_crop_and_resize"),
	 ATTR_FLOAT("extrapolation_value", 7.5f)}, .act = FINF_ACT_LEAKY, .act_a = 3},
	{"crop and resize bytes", "Resize", 13, {OTHER(I32, 1, 1, 6, 5),
	  SCALES(0, 0, 0.4f, 0.3f, 1, 1, 1.2f, 0.9f), LEFT_OUT, INTS_IN(1, 1, 5, 7)}, 4,
	 {ATTR_STR("coordinate_transformation_mode", "tf_crop_and_resize")}, .want = WANT_ANY},
};
/* clang-format on */

#endif
