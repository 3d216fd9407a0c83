/* SPDX-License-Identifier: MIT */
/* Scatter: ScatterElements under its first name (ONNX Scatter-9). */
#include "graph/op/indexed.h"

static const struct finf_attr_spec attrs[] = {
	{.name = "axis", .type = FINF_ATTR_INT},
	{0},
};

const struct finf_op finf_op_scatter = {
	.name = "Scatter",
	.opset_min = 9,
	.opset_max = 10,
	.min_in = 3,
	.max_in = 3,
	.min_out = 1,
	.max_out = 1,
	.attrs = attrs,
	.infer = finf_scatter_elements_infer,
	.eval = finf_scatter_elements_eval,
};
