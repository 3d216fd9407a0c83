/* SPDX-License-Identifier: MIT */
/* Upsample: what Resize was called before opset 10 (ONNX Upsample-7, -9). */
#include "graph/op/resample.h"

static const struct finf_attr_spec attrs[] = {
	{.name = "mode", .type = FINF_ATTR_STRING},
	{.name = "scales", .type = FINF_ATTR_FLOATS, .required = true, .until = 8},
	{0},
};

const struct finf_op finf_op_upsample = {
	.name = "Upsample",
	.opset_min = 7,
	.opset_max = 9,
	.min_in = 1,
	.max_in = 2,
	.min_out = 1,
	.max_out = 1,
	.attrs = attrs,
	.infer = finf_resample_infer,
	.range = finf_resample_range,
};
