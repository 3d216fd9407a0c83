/* SPDX-License-Identifier: MIT */
/* Resize: more or fewer cells along axes, interpolated (ONNX Resize-10, -11, -13, -18, -19). */
#include "graph/op/resample.h"

static const struct finf_attr_spec attrs[] = {
	{.name = "antialias", .type = FINF_ATTR_INT, .since = 18},
	{.name = "axes", .type = FINF_ATTR_INTS, .since = 18},
	{.name = "coordinate_transformation_mode", .type = FINF_ATTR_STRING, .since = 11},
	{.name = "cubic_coeff_a", .type = FINF_ATTR_FLOAT, .since = 11},
	{.name = "exclude_outside", .type = FINF_ATTR_INT, .since = 11},
	{.name = "extrapolation_value", .type = FINF_ATTR_FLOAT, .since = 11},
	{.name = "keep_aspect_ratio_policy", .type = FINF_ATTR_STRING, .since = 18},
	{.name = "mode", .type = FINF_ATTR_STRING},
	{.name = "nearest_mode", .type = FINF_ATTR_STRING, .since = 11},
	{0},
};

const struct finf_op finf_op_resize = {
	.name = "Resize",
	.opset_min = 10,
	.opset_max = 21,
	.min_in = 1,
	.max_in = 4,
	.min_out = 1,
	.max_out = 1,
	.attrs = attrs,
	.infer = finf_resample_infer,
	.range = finf_resample_range,
};
