/* SPDX-License-Identifier: MIT */
/* graph/op: indices of Gather and Scatter operators, and how scattered elements combine. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "graph/op/compute.h"
#include "graph/op/indexed.h"

enum { DATA, INDICES, UPDATES };

int finf_infer_indices(const struct finf_infer *ctx, uint32_t i, bool narrow)
{
	enum finf_dtype dtype = ctx->in[i]->dtype;

	if (dtype == FINF_I64 || (narrow && dtype == FINF_I32))
		return 0;
	return finf_diag_set(ctx->diag, -EINVAL, "indices are %s, not %sint64",
			     finf_dtype_name(dtype), narrow ? "int32 or " : "");
}

bool finf_index_at(const struct finf_tensor *index, size_t i, int64_t extent, int64_t *ret)
{
	int64_t at = finf_int_at(index, i);

	if (at < -extent || at >= extent)
		return false;
	*ret = at < 0 ? at + extent : at;
	return true;
}

bool finf_index_tuple(const struct finf_tensor *index, size_t first, uint32_t n, const int64_t *dim,
		      const int64_t *stride, int64_t *ret)
{
	int64_t at, offset = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (!finf_index_at(index, first + i, dim[i], &at))
			return false;
		offset += at * stride[i];
	}
	*ret = offset;
	return true;
}

/* ---- scattering ---------------------------------------------------------------- */

int finf_scatter_mode(const struct finf_node *node, enum finf_dtype dtype, enum finf_scatter *ret,
		      struct finf_diag *diag)
{
	static const char *const names[] = {"none", "add", "mul", "max", "min"};
	const char *text = finf_node_str(node, "reduction", "none");
	size_t i = 0;

	while (i < FINF_ARRAY_LEN(names) && strcmp(names[i], text))
		i++;
	if (i == FINF_ARRAY_LEN(names) || (i >= FINF_SCATTER_MAX && node->opset < 18))
		return finf_diag_set(diag, -EINVAL, "reduction is %s", text);
	if (i != FINF_SCATTER_NONE && dtype == FINF_BOOL)
		return finf_diag_set(diag, -EOPNOTSUPP, "reduction %s of bool is not supported",
				     text);
	*ret = (enum finf_scatter)i;
	return 0;
}

/* Integers wrap: they are added and multiplied as the unsigned @wide. */
#define PUT(type, wide)                                                                            \
	do {                                                                                       \
		type *y = (type *)to->data + to_at;                                                \
		type v = ((const type *)from->data)[from_at];                                      \
                                                                                                   \
		switch (mode) {                                                                    \
		case FINF_SCATTER_NONE:                                                            \
			*y = v;                                                                    \
			break;                                                                     \
		case FINF_SCATTER_ADD:                                                             \
			*y = (type)((wide)*y + (wide)v);                                           \
			break;                                                                     \
		case FINF_SCATTER_MUL:                                                             \
			*y = (type)((wide)*y * (wide)v);                                           \
			break;                                                                     \
		case FINF_SCATTER_MAX:                                                             \
			*y = FINF_MAX(*y, v);                                                      \
			break;                                                                     \
		case FINF_SCATTER_MIN:                                                             \
			*y = FINF_MIN(*y, v);                                                      \
			break;                                                                     \
		}                                                                                  \
	} while (0)

void finf_scatter_put(enum finf_scatter mode, struct finf_tensor *to, int64_t to_at,
		      const struct finf_tensor *from, int64_t from_at)
{
	switch (to->dtype) {
	case FINF_F32:
		PUT(float, float);
		break;
	case FINF_F64:
		PUT(double, double);
		break;
	case FINF_I64:
		PUT(int64_t, uint64_t);
		break;
	case FINF_I32:
		PUT(int32_t, uint32_t);
		break;
	case FINF_I8:
		PUT(int8_t, uint32_t);
		break;
	default: /* uint8, and bool without reduction */
		PUT(uint8_t, uint32_t);
	}
}

int finf_scatter_infer(struct finf_infer *ctx, bool narrow)
{
	enum finf_dtype dtype = ctx->in[DATA]->dtype;
	enum finf_scatter mode;
	int err = finf_infer_indices(ctx, INDICES, narrow);

	if (!err && ctx->in[UPDATES]->dtype != dtype)
		err = finf_diag_set(ctx->diag, -EINVAL, "%s updates of %s data",
				    finf_dtype_name(ctx->in[UPDATES]->dtype),
				    finf_dtype_name(dtype));
	if (!err)
		err = finf_scatter_mode(ctx->node, dtype, &mode, ctx->diag);
	ctx->out[0].dtype = dtype;
	ctx->out[0].shape = ctx->in[DATA]->shape;
	ctx->out_has_shape[0] = ctx->in_has_shape[DATA];
	return err;
}

int finf_scatter_elements_infer(struct finf_infer *ctx)
{
	const struct finf_shape *data = &ctx->in[DATA]->shape, *index = &ctx->in[INDICES]->shape;
	const struct finf_shape *updates = &ctx->in[UPDATES]->shape;
	int64_t given = finf_node_int(ctx->node, "axis", 0);
	uint32_t axis;
	int err = finf_scatter_infer(ctx, true);

	if (err || !ctx->in_has_shape[DATA])
		return err;
	if (!finf_axis(given, data->rank, &axis))
		return finf_diag_set(ctx->diag, -EINVAL,
				     "axis %" PRId64 " is beyond %" PRIu32 " dimensions", given,
				     data->rank);
	if (!ctx->in_has_shape[INDICES] || !ctx->in_has_shape[UPDATES])
		return 0;
	if (index->rank != data->rank || updates->rank != data->rank)
		return finf_diag_set(ctx->diag, -EINVAL,
				     "data, indices and updates of different ranks");
	for (uint32_t i = 0; i < data->rank; i++)
		if (finf_dim_differs(index->dim[i], updates->dim[i]) ||
		    (i != axis && data->dim[i] != FINF_DIM_ANY && index->dim[i] > data->dim[i]))
			return finf_diag_set(
				ctx->diag, -EINVAL,
				"dimension %" PRIu32 " of indices or updates does not fit", i);
	return 0;
}

int finf_scatter_elements_eval(const struct finf_node *node, const struct finf_tensor *const *in,
			       struct finf_tensor *const *out)
{
	const struct finf_shape *shape = &in[DATA]->shape;
	struct finf_walk walk = {.rank = shape->rank};
	enum finf_scatter mode;
	int64_t step, at;
	uint32_t axis;
	size_t n;

	if (!finf_axis(finf_node_int(node, "axis", 0), shape->rank, &axis) ||
	    finf_scatter_mode(node, out[0]->dtype, &mode, NULL) ||
	    finf_shape_count(&in[INDICES]->shape, &n) || finf_tensor_copy(in[DATA], out[0]))
		return -EINVAL;
	finf_strides(shape, walk.stride);
	step = walk.stride[axis];
	walk.stride[axis] = 0;
	memcpy(walk.dim, in[INDICES]->shape.dim, sizeof(walk.dim));
	for (size_t i = 0; i < n; i++, finf_walk_next(&walk)) {
		if (!finf_index_at(in[INDICES], i, shape->dim[axis], &at))
			return -EINVAL;
		finf_scatter_put(mode, out[0], walk.offset + at * step, in[UPDATES], (int64_t)i);
	}
	return 0;
}
