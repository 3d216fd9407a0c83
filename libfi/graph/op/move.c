/* SPDX-License-Identifier: MIT */
/* graph/op: what the operators that move bytes share. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "graph/op/move.h"

static int list_set(const struct finf_infer *ctx, const int64_t *v, int64_t n,
		    struct finf_list *ret)
{
	if (n > (int64_t)FINF_ARRAY_LEN(ret->v))
		return finf_diag_set(ctx->diag, -EOPNOTSUPP,
				     "a list of %" PRId64 " integers, at most %zu are supported", n,
				     FINF_ARRAY_LEN(ret->v));
	ret->given = ret->has_count = true;
	ret->known = v || !n;
	ret->n = (uint32_t)n;
	if (v && n)
		memcpy(ret->v, v, (size_t)n * sizeof(*v));
	return 0;
}

int finf_infer_list(const struct finf_infer *ctx, const char *attr, uint32_t input,
		    struct finf_list *ret)
{
	if (finf_infer_has(ctx, input) && ctx->in[input]->dtype == FINF_I32)
		return finf_diag_set(ctx->diag, -EINVAL, "input %u is int32, but must be int64",
				     input);
	return finf_infer_narrow_list(ctx, attr, input, ret);
}

int finf_infer_narrow_list(const struct finf_infer *ctx, const char *attr, uint32_t input,
			   struct finf_list *ret)
{
	const struct finf_tensor *in;
	const int64_t *ints;
	uint32_t n;
	int err;

	*ret = (struct finf_list){0};
	ints = attr ? finf_node_ints(ctx->node, attr, &n) : NULL;
	if (ints)
		return list_set(ctx, ints, n, ret);
	if (!finf_infer_has(ctx, input))
		return 0;
	ret->given = true;
	in = ctx->in[input];
	if (in->dtype != FINF_I64 && in->dtype != FINF_I32)
		return finf_diag_set(ctx->diag, -EINVAL, "input %u is %s, but must be int64", input,
				     finf_dtype_name(in->dtype));
	if (!ctx->in_has_shape[input])
		return 0;
	if (in->shape.rank > 1)
		return finf_diag_set(ctx->diag, -EINVAL, "input %u has %u dimensions, not 1", input,
				     in->shape.rank);
	if (!finf_shape_is_static(&in->shape))
		return 0;
	err = list_set(ctx, NULL, in->shape.rank ? in->shape.dim[0] : 1, ret);
	for (uint32_t i = 0; !err && in->data && i < ret->n; i++)
		ret->v[i] = finf_int_at(in, i);
	ret->known |= in->data != NULL;
	return err;
}

int finf_eval_list(const struct finf_node *node, const struct finf_tensor *const *in,
		   const char *attr, uint32_t input, struct finf_list *ret)
{
	const struct finf_tensor *t = input < node->n_in ? in[input] : NULL;
	const int64_t *ints;
	uint32_t n;
	size_t count;

	*ret = (struct finf_list){0};
	ints = attr ? finf_node_ints(node, attr, &n) : NULL;
	if (!ints && !t)
		return 0;
	count = ints ? n : 0;
	if ((!ints && finf_shape_count(&t->shape, &count)) || count > FINF_ARRAY_LEN(ret->v))
		return -EINVAL;
	ret->given = ret->has_count = ret->known = true;
	ret->n = (uint32_t)count;
	for (uint32_t i = 0; i < ret->n; i++)
		ret->v[i] = ints ? ints[i] : finf_int_at(t, i);
	return 0;
}

int finf_infer_since(const struct finf_infer *ctx, uint32_t input, uint32_t opset)
{
	if (!finf_infer_has(ctx, input) || ctx->node->opset >= opset)
		return 0;
	return finf_diag_set(ctx->diag, -EINVAL, "input %u does not exist before opset %u", input,
			     opset);
}

void finf_infer_renamed(struct finf_infer *ctx, const struct finf_shape *shape)
{
	ctx->out[0].dtype = ctx->in[0]->dtype;
	ctx->out[0].data = ctx->in[0]->data;
	ctx->out[0].bytes = ctx->in[0]->bytes;
	if (shape) {
		ctx->out[0].shape = *shape;
		ctx->out_has_shape[0] = true;
	}
}

int finf_eval_renamed(const struct finf_node *node, const struct finf_tensor *const *in,
		      struct finf_tensor *const *out)
{
	(void)node;
	return finf_tensor_copy(in[0], out[0]);
}

int finf_mark_axes(const int64_t *axes, uint32_t n, uint32_t rank, bool marked[FINF_RANK_MAX],
		   struct finf_diag *diag)
{
	memset(marked, 0, FINF_RANK_MAX * sizeof(*marked));
	for (uint32_t i = 0; i < n; i++) {
		uint32_t axis;

		if (!finf_axis(axes[i], rank, &axis))
			return finf_diag_set(diag, -EINVAL,
					     "axis %" PRId64 " is beyond %u dimensions", axes[i],
					     rank);
		if (marked[axis])
			return finf_diag_set(diag, -EINVAL, "axis %" PRId64 " is listed twice",
					     axes[i]);
		marked[axis] = true;
	}
	return 0;
}

int finf_dims_count(const int64_t *dim, uint32_t n, int64_t *ret)
{
	int64_t count = 1;
	bool any = false, none = false;

	for (uint32_t i = 0; i < n; i++) {
		any |= dim[i] == FINF_DIM_ANY;
		none |= dim[i] == 0;
	}
	for (uint32_t i = 0; !any && !none && i < n; i++)
		if (__builtin_mul_overflow(count, dim[i], &count))
			return -EOVERFLOW;
	*ret = any ? FINF_DIM_ANY : none ? 0 : count;
	return 0;
}

void finf_strides(const struct finf_shape *shape, int64_t stride[FINF_RANK_MAX])
{
	uint64_t step = 1; /* wraps only where the tensor is empty and nobody steps */

	for (uint32_t i = shape->rank; i-- > 0;) {
		stride[i] = (int64_t)step;
		step *= (uint64_t)shape->dim[i];
	}
}

void finf_broadcast_strides(const struct finf_shape *from, const struct finf_shape *to,
			    int64_t stride[FINF_RANK_MAX])
{
	int64_t step = 1;

	for (uint32_t i = to->rank, j = from->rank; i-- > 0;) {
		int64_t dim = j ? from->dim[--j] : 1;

		stride[i] = dim == 1 ? 0 : step;
		step *= dim;
	}
}

void finf_walk_over(struct finf_walk *walk, const struct finf_shape *from,
		    const struct finf_shape *to)
{
	*walk = (struct finf_walk){.rank = to->rank};
	for (uint32_t i = 0; i < to->rank; i++)
		walk->dim[i] = to->dim[i];
	finf_broadcast_strides(from, to, walk->stride);
}

void finf_walk_seek(struct finf_walk *walk, size_t index)
{
	for (uint32_t i = walk->rank; i-- > 0;) {
		walk->at[i] = (int64_t)(index % (size_t)walk->dim[i]);
		walk->offset += walk->at[i] * walk->stride[i];
		index /= (size_t)walk->dim[i];
	}
}

void finf_walk_move(struct finf_walk *walk, const struct finf_tensor *from, struct finf_tensor *to,
		    struct finf_span span)
{
	size_t each = finf_dtype_bytes(from->dtype);

	finf_walk_seek(walk, span.from);
	for (size_t i = span.from; i < span.to; i++, finf_walk_next(walk))
		finf_move(to->data, (int64_t)i, from->data, walk->offset, each);
}
