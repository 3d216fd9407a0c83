/* SPDX-License-Identifier: MIT */
/*
 * Constant: a value written into the node (ONNX Constant-1 to -11: value; -12
 * and later also value_int, value_ints, value_float, value_floats). Infer hands
 * the attribute's bytes on, so nothing is copied or computed.
 */
#include <errno.h>

#include "graph/op/move.h"

/* The one attribute as a tensor; false for what a tensor cannot be. */
static bool as_tensor(const struct finf_attr *attr, struct finf_tensor *ret)
{
	const void *data = NULL;
	size_t bytes;

	*ret = (struct finf_tensor){0};
	switch (attr->type) {
	case FINF_ATTR_INT:
		ret->dtype = FINF_I64;
		data = &attr->i;
		break;
	case FINF_ATTR_FLOAT:
		ret->dtype = FINF_F32;
		data = &attr->f;
		break;
	case FINF_ATTR_INTS:
		ret->dtype = FINF_I64;
		ret->shape = (struct finf_shape){.rank = 1, .dim = {attr->n}};
		data = attr->ints;
		break;
	case FINF_ATTR_FLOATS:
		ret->dtype = FINF_F32;
		ret->shape = (struct finf_shape){.rank = 1, .dim = {attr->n}};
		data = attr->floats;
		break;
	case FINF_ATTR_TENSOR:
		ret->dtype = attr->t->dtype;
		ret->shape = attr->t->shape;
		data = attr->t->data;
		break;
	case FINF_ATTR_STRING:
		return false;
	}
	if (finf_tensor_bytes(ret->dtype, &ret->shape, &bytes))
		return false;
	ret->data = (void *)(uintptr_t)data;
	ret->bytes = bytes;
	return data && (attr->type != FINF_ATTR_TENSOR || bytes == attr->t->bytes);
}

static int infer(struct finf_infer *ctx)
{
	if (ctx->node->n_attrs != 1)
		return finf_diag_set(ctx->diag, -EINVAL, "%u attributes, but must have one value",
				     ctx->node->n_attrs);
	if (!as_tensor(&ctx->node->attrs[0], &ctx->out[0]))
		return finf_diag_set(ctx->diag, -EINVAL, "its bytes do not match dtype and shape");
	ctx->out_has_shape[0] = true;
	return 0;
}

static int eval(const struct finf_node *node, const struct finf_tensor *const *in,
		struct finf_tensor *const *out)
{
	struct finf_tensor value;

	(void)in;
	if (node->n_attrs != 1 || !as_tensor(&node->attrs[0], &value))
		return -EINVAL;
	return finf_tensor_copy(&value, out[0]);
}

static const struct finf_attr_spec attrs[] = {
	{.name = "value", .type = FINF_ATTR_TENSOR},
	{.name = "value_int", .type = FINF_ATTR_INT, .since = 12},
	{.name = "value_ints", .type = FINF_ATTR_INTS, .since = 12},
	{.name = "value_float", .type = FINF_ATTR_FLOAT, .since = 12},
	{.name = "value_floats", .type = FINF_ATTR_FLOATS, .since = 12},
	{0},
};

const struct finf_op finf_op_constant = {
	.name = "Constant",
	.opset_min = 7,
	.opset_max = 21,
	.min_in = 0,
	.max_in = 0,
	.min_out = 1,
	.max_out = 1,
	.attrs = attrs,
	.infer = infer,
	.eval = eval,
};
