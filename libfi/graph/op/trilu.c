/* SPDX-License-Identifier: MIT */
/*
 * Trilu: the last two dimensions above (upper = 1) or below their k-th
 * diagonal, zeros elsewhere; the diagonal stays (ONNX Trilu-14).
 */
#include <errno.h>

#include "graph/op/compute.h"
#include "graph/op/move.h"

static int infer(struct finf_infer *ctx)
{
	struct finf_list k;
	int err = finf_infer_list(ctx, NULL, 1, &k);

	if (err)
		return err;
	if (k.has_count && k.n != 1)
		return finf_diag_set(ctx->diag, -EINVAL, "k has %u elements, not 1", k.n);
	ctx->out[0].dtype = ctx->in[0]->dtype;
	if (!ctx->in_has_shape[0])
		return 0;
	if (ctx->in[0]->shape.rank < 2)
		return finf_diag_set(ctx->diag, -EINVAL, "an input of rank %u is no matrix",
				     ctx->in[0]->shape.rank);
	ctx->out[0].shape = ctx->in[0]->shape;
	ctx->out_has_shape[0] = true;
	return 0;
}

static int eval(const struct finf_node *node, const struct finf_tensor *const *in,
		struct finf_tensor *const *out)
{
	static const uint64_t zero;
	const struct finf_shape *shape = &in[0]->shape;
	size_t matrices = finf_dims_product(shape, 0, shape->rank - 2);
	int64_t rows = shape->dim[shape->rank - 2], cols = shape->dim[shape->rank - 1], at = 0;
	int64_t k = 0;
	bool upper = finf_node_int(node, "upper", 1) != 0;
	size_t each = finf_dtype_bytes(in[0]->dtype);

	if (node->n_in > 1 && in[1]) {
		if (in[1]->dtype != FINF_I64)
			return -EINVAL;
		k = *(const int64_t *)in[1]->data;
	}
	k = FINF_MAX(-rows, FINF_MIN(k, cols)); /* beyond these nothing changes */
	for (; matrices; matrices--)
		for (int64_t r = 0; r < rows; r++)
			for (int64_t c = 0; c < cols; c++, at++) {
				bool stays = upper ? c - r >= k : c - r <= k;

				finf_move(out[0]->data, at, stays ? in[0]->data : &zero,
					  stays ? at : 0, each);
			}
	return 0;
}

static const struct finf_attr_spec attrs[] = {
	{.name = "upper", .type = FINF_ATTR_INT},
	{0},
};

const struct finf_op finf_op_trilu = {
	.name = "Trilu",
	.opset_min = 14,
	.opset_max = 21,
	.min_in = 1,
	.max_in = 2,
	.min_out = 1,
	.max_out = 1,
	.attrs = attrs,
	.infer = infer,
	.eval = eval,
};
