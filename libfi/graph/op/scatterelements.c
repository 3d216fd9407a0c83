/* SPDX-License-Identifier: MIT */
/*
 * ScatterElements: the data with single elements replaced or combined, by index along an axis
 * (ONNX ScatterElements-11, -13, -16, -18).
 */
#include "graph/op/indexed.h"

static const struct finf_attr_spec attrs[] = {
	{.name = "axis", .type = FINF_ATTR_INT},
	{.name = "reduction", .type = FINF_ATTR_STRING, .since = 16},
	{0},
};

const struct finf_op finf_op_scatterelements = {
	.name = "ScatterElements",
	.opset_min = 11,
	.opset_max = 21,
	.min_in = 3,
	.max_in = 3,
	.min_out = 1,
	.max_out = 1,
	.attrs = attrs,
	.infer = finf_scatter_elements_infer,
	.eval = finf_scatter_elements_eval,
};
