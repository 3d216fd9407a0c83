/* SPDX-License-Identifier: MIT */
/*
 * ConstantOfShape: a tensor of the given extents, filled with the one element
 * of value, float32 zero when there is none (ONNX ConstantOfShape-9, -20, -21).
 */
#include <errno.h>
#include <inttypes.h>

#include "graph/op/move.h"

static const struct finf_tensor *filling(const struct finf_node *node)
{
	const struct finf_attr *value = finf_node_attr(node, "value");

	return value ? value->t : NULL;
}

static int infer(struct finf_infer *ctx)
{
	const struct finf_tensor *value = filling(ctx->node);
	struct finf_tensor *out = &ctx->out[0];
	struct finf_list list;
	size_t n = 1;
	int err = finf_infer_list(ctx, NULL, 0, &list);

	if (err)
		return err;
	if (value && (finf_shape_count(&value->shape, &n) || n != 1))
		return finf_diag_set(ctx->diag, -EINVAL, "value has not one element");
	out->dtype = value ? value->dtype : FINF_F32;
	if (!list.has_count)
		return 0;
	if (list.n > FINF_RANK_MAX)
		return finf_diag_set(ctx->diag, -EOPNOTSUPP,
				     "%u dimensions, at most %d are supported", list.n,
				     FINF_RANK_MAX);
	for (uint32_t i = 0; i < list.n; i++) {
		if (list.known && list.v[i] < 0)
			return finf_diag_set(ctx->diag, -EINVAL, "extent %" PRId64, list.v[i]);
		out->shape.dim[i] = list.known ? list.v[i] : FINF_DIM_ANY;
	}
	out->shape.rank = list.n;
	ctx->out_has_shape[0] = true;
	return 0;
}

static int eval(const struct finf_node *node, const struct finf_tensor *const *in,
		struct finf_tensor *const *out)
{
	static const uint64_t zero;
	const struct finf_tensor *value = filling(node);
	size_t n, each = finf_dtype_bytes(out[0]->dtype);

	(void)in;
	if (finf_shape_count(&out[0]->shape, &n))
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		finf_move(out[0]->data, (int64_t)i, value ? value->data : &zero, 0, each);
	return 0;
}

static const struct finf_attr_spec attrs[] = {
	{.name = "value", .type = FINF_ATTR_TENSOR},
	{0},
};

const struct finf_op finf_op_constantofshape = {
	.name = "ConstantOfShape",
	.opset_min = 9,
	.opset_max = 21,
	.min_in = 1,
	.max_in = 1,
	.min_out = 1,
	.max_out = 1,
	.attrs = attrs,
	.infer = infer,
	.eval = eval,
};
