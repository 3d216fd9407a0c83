/* SPDX-License-Identifier: MIT */
/* cuda: launches of operators that move elements. */
#include <errno.h>
#include <string.h>

#include "device/cuda/node.h"

static unsigned element_bytes(const struct finf_k_build *b)
{
	return (unsigned)finf_dtype_bytes(finf_k_out(b, 0)->dtype);
}

/* Only float32 has activations. */
static struct finf_k_act act_of(struct finf_k_build *b)
{
	return finf_k_out(b, 0)->dtype == FINF_F32 ? finf_k_act(b) : (struct finf_k_act){0};
}

static uint32_t axis_of(const struct finf_k_build *b, uint32_t rank)
{
	uint32_t axis = 0;

	finf_axis(finf_node_int(b->node, "axis", 0), rank, &axis);
	return axis;
}

int finf_k_build_transpose(struct finf_k_build *b)
{
	const struct finf_shape *x = &finf_k_in(b, 0)->shape, *y = &finf_k_out(b, 0)->shape;
	unsigned n = finf_k_count(finf_k_out(b, 0));
	struct finf_k_call *call = finf_k_each_add(b, FINF_K_FUNCTION_transpose, n);
	struct finf_k_box box = {0};
	int64_t stride[FINF_RANK_MAX];
	uint32_t n_perm;
	const int64_t *perm = finf_node_ints(b->node, "perm", &n_perm);

	if (!call)
		return -ENOMEM;
	finf_k_strides(x, stride);
	for (uint32_t i = 0; i < y->rank; i++)
		finf_k_box_add(&box, y->dim[i], stride[n_perm ? perm[i] : y->rank - 1 - i], 0);
	call->args.transpose = (struct finf_transpose_args){
		.n = n,
		.each = element_bytes(b),
		.at = finf_k_box_walk(&box, 0),
		.act = act_of(b),
	};
	finf_k_point_in(b, call, &call->args.transpose.x, 0);
	finf_k_point(call, &call->args.transpose.y, FINF_K_OUT, 0, 0);
	return 0;
}

int finf_k_build_concat(struct finf_k_build *b)
{
	const struct finf_shape *y = &finf_k_out(b, 0)->shape;
	uint32_t axis = axis_of(b, y->rank);
	unsigned inner = finf_k_product(y, axis + 1, y->rank), each = element_bytes(b);
	uint64_t offset = 0;

	for (uint32_t i = 0; i < b->node->n_in; i++) {
		const struct finf_value *x = finf_k_in(b, i);
		unsigned n = finf_k_count(x), length = (unsigned)x->shape.dim[axis] * inner;
		struct finf_k_call *call;

		if (!n)
			continue;
		call = finf_k_each_add(b, FINF_K_FUNCTION_rows, n);
		if (!call)
			return -ENOMEM;
		call->args.rows = (struct finf_rows_args){
			.n = n,
			.each = each,
			.pitch = (unsigned)y->dim[axis] * inner,
			.length = finf_k_div(length),
			.act = act_of(b),
		};
		finf_k_point_in(b, call, &call->args.rows.x, i);
		finf_k_point(call, &call->args.rows.y, FINF_K_OUT, 0, offset * each);
		offset += length;
	}
	return 0;
}

/* ---- Gather ------------------------------------------------------------------------ */

/* Indices that are known now are refused now; at run time they yield NaN. */
static int check_indices(const struct finf_k_build *b, int64_t extent)
{
	const struct finf_value *index = finf_k_in(b, 1);

	for (unsigned i = 0; index->is_const && index->data && i < finf_k_count(index); i++) {
		int64_t at = index->dtype == FINF_I64 ? ((const int64_t *)index->data)[i]
						      : ((const int32_t *)index->data)[i];

		if (at < -extent || at >= extent)
			return finf_diag_set(b->diag, -EOPNOTSUPP, "index %lld of %lld is outside",
					     (long long)at, (long long)extent);
	}
	return 0;
}

int finf_k_build_gather(struct finf_k_build *b)
{
	const struct finf_shape *x = &finf_k_in(b, 0)->shape;
	const struct finf_value *index = finf_k_in(b, 1);
	uint32_t axis = axis_of(b, x->rank);
	unsigned n = finf_k_count(finf_k_out(b, 0));
	struct finf_k_call *call;
	int err = check_indices(b, x->dim[axis]);

	if (err)
		return err;
	call = finf_k_each_add(b, FINF_K_FUNCTION_gather, n);
	if (!call)
		return -ENOMEM;
	call->args.gather = (struct finf_gather_args){
		.n = n,
		.each = element_bytes(b),
		.wide = index->dtype == FINF_I64,
		.extent = (unsigned)x->dim[axis],
		.inner = finf_k_div(finf_k_product(x, axis + 1, x->rank)),
		.indices = finf_k_div(finf_k_count(index)),
		.act = act_of(b),
	};
	finf_k_point_in(b, call, &call->args.gather.x, 0);
	finf_k_point_in(b, call, &call->args.gather.index, 1);
	finf_k_point(call, &call->args.gather.y, FINF_K_OUT, 0, 0);
	return 0;
}

/* ---- Pad ------------------------------------------------------------------------------ */

static const int64_t *pads_of(const struct finf_k_build *b)
{
	const struct finf_value *given = finf_k_in(b, 1);
	uint32_t n;
	const int64_t *pads = finf_node_ints(b->node, "pads", &n);

	return pads ? pads : given ? given->data : NULL;
}

static unsigned pad_mode(const struct finf_node *node)
{
	const char *mode = finf_node_str(node, "mode", "constant");

	return !strcmp(mode, "reflect") ? FINF_K_REFLECT
	       : !strcmp(mode, "edge")	? FINF_K_EDGE
					: FINF_K_CONSTANT;
}

/* The constant from attribute value, as bytes of the dtype. */
static long long pad_bits(const struct finf_k_build *b)
{
	float value = finf_node_float(b->node, "value", 0);
	double wide = (double)value;
	long long bits = 0;

	if (finf_k_out(b, 0)->dtype == FINF_F32)
		memcpy(&bits, &value, sizeof(value));
	if (finf_k_out(b, 0)->dtype == FINF_F64)
		memcpy(&bits, &wide, sizeof(wide));
	return bits;
}

int finf_k_build_pad(struct finf_k_build *b)
{
	const struct finf_shape *x = &finf_k_in(b, 0)->shape, *y = &finf_k_out(b, 0)->shape;
	unsigned n = finf_k_count(finf_k_out(b, 0));
	const int64_t *pads = pads_of(b);
	int64_t stride[FINF_RANK_MAX];
	struct finf_pad_args *args;
	struct finf_k_call *call;

	if (!pads)
		return finf_diag_set(b->diag, -EOPNOTSUPP, "pads are not known before it runs");
	call = finf_k_each_add(b, FINF_K_FUNCTION_pad, n);
	if (!call)
		return -ENOMEM;
	args = &call->args.pad;
	*args = (struct finf_pad_args){
		.n = n,
		.each = element_bytes(b),
		.mode = pad_mode(b->node),
		.bits = pad_bits(b),
		.at.rank = y->rank,
		.act = act_of(b),
	};
	finf_k_strides(x, stride);
	for (uint32_t i = 0; i < y->rank; i++) {
		args->begin[i] = (int)pads[i];
		args->extent[i] = (int)x->dim[i];
		args->at.dim[i] = finf_k_div((unsigned)y->dim[i]);
		args->at.stride[i] = (int)stride[i];
	}
	finf_k_point_in(b, call, &args->x, 0);
	finf_k_point_in(b, call, &args->cell, 2);
	finf_k_point(call, &args->y, FINF_K_OUT, 0, 0);
	return 0;
}

/* ---- Shape ------------------------------------------------------------------------------- */

int finf_k_build_shape(struct finf_k_build *b)
{
	const struct finf_value *y = finf_k_out(b, 0);
	unsigned n = finf_k_count(y);
	struct finf_k_call *call;

	if (!y->data)
		return finf_diag_set(b->diag, -EOPNOTSUPP, "the graph is not bound to shapes");
	call = finf_k_each_add(b, FINF_K_FUNCTION_fill, n);
	if (!call)
		return -ENOMEM;
	call->args.fill.n = n;
	memcpy(call->args.fill.v, y->data, n * sizeof(call->args.fill.v[0]));
	finf_k_point(call, &call->args.fill.y, FINF_K_OUT, 0, 0);
	return 0;
}
