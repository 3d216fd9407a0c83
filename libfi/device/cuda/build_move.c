/* SPDX-License-Identifier: MIT */
/* cuda: launches of operators that move elements. */
#include <errno.h>
#include <string.h>

#include "device/cuda/node.h"
#include "graph/op/move.h"

static unsigned element_bytes(const struct finf_k_build *b)
{
	return (unsigned)finf_dtype_bytes(finf_k_out(b, 0)->dtype);
}

/* Output @out is a box of elements of input 0, from element @from on. */
static int take(struct finf_k_build *b, uint32_t out, const struct finf_k_box *box, unsigned from)
{
	const struct finf_value *y = finf_k_out(b, out);
	unsigned n = finf_k_count(y);
	struct finf_k_call *call = finf_k_each_add(b, FINF_K_FUNCTION_transpose, n);

	if (!call)
		return -ENOMEM;
	call->args.transpose = (struct finf_transpose_args){
		.n = n,
		.each = (unsigned)finf_dtype_bytes(y->dtype),
		.from = from,
		.at = finf_k_box_walk(box, 0),
		.act = finf_k_float_act(b),
	};
	finf_k_point_in(b, call, &call->args.transpose.x, 0);
	finf_k_point(call, &call->args.transpose.y, FINF_K_OUT, out, 0);
	return 0;
}

int finf_k_build_transpose(struct finf_k_build *b)
{
	const struct finf_shape *x = &finf_k_in(b, 0)->shape, *y = &finf_k_out(b, 0)->shape;
	struct finf_k_box box = {0};
	int64_t stride[FINF_RANK_MAX];
	uint32_t n_perm;
	const int64_t *perm = finf_node_ints(b->node, "perm", &n_perm);

	finf_k_strides(x, stride);
	for (uint32_t i = 0; i < y->rank; i++)
		finf_k_box_add(&box, y->dim[i], stride[n_perm ? perm[i] : y->rank - 1 - i], 0);
	return take(b, 0, &box, 0);
}

int finf_k_build_expand(struct finf_k_build *b)
{
	const struct finf_shape *y = &finf_k_out(b, 0)->shape;
	struct finf_k_box box = {0};
	int64_t stride[FINF_RANK_MAX];

	finf_k_broadcast(&finf_k_in(b, 0)->shape, y, stride);
	for (uint32_t i = 0; i < y->rank; i++)
		finf_k_box_add(&box, y->dim[i], stride[i], 0);
	return take(b, 0, &box, 0);
}

int finf_k_build_slice(struct finf_k_build *b)
{
	struct finf_tensor tensors[5];
	const struct finf_tensor *in[5];
	struct finf_k_box box = {0};
	struct finf_walk walk;

	if (finf_k_tensors(b, tensors, in, FINF_ARRAY_LEN(in)))
		return finf_diag_set(b->diag, -EOPNOTSUPP,
				     "its bounds are not known before it runs");
	if (finf_slice_walk(b->node, in, &finf_k_out(b, 0)->shape, &walk))
		return finf_diag_set(b->diag, -EINVAL, "its bounds contradict its output");
	for (uint32_t i = 0; i < walk.rank; i++)
		finf_k_box_add(&box, walk.dim[i], walk.stride[i], 0);
	return take(b, 0, &box, (unsigned)walk.offset);
}

/* Squares of one channel are pixels of many channels, there and back. */
static void depth_box(const struct finf_k_build *b, struct finf_k_box *box)
{
	const struct finf_shape *y = &finf_k_out(b, 0)->shape;
	bool in_turn = !strcmp(finf_node_str(b->node, "mode", "DCR"), "CRD");
	int64_t block = finf_node_int(b->node, "blocksize", 1), channels = y->dim[1];
	int64_t rows = y->dim[2] / block, cols = y->dim[3] / block, plane = rows * cols;
	int64_t apart = in_turn ? plane : channels * plane; /* of a square's columns */

	finf_k_box_add(box, y->dim[0], channels * block * block * plane, 0);
	finf_k_box_add(box, channels, in_turn ? block * block * plane : plane, 0);
	finf_k_box_add(box, rows, cols, 0);
	finf_k_box_add(box, block, block * apart, 0);
	finf_k_box_add(box, cols, 1, 0);
	finf_k_box_add(box, block, apart, 0);
}

static void space_box(const struct finf_k_build *b, struct finf_k_box *box)
{
	const struct finf_shape *x = &finf_k_in(b, 0)->shape;
	int64_t block = finf_node_int(b->node, "blocksize", 1), plane = x->dim[2] * x->dim[3];

	finf_k_box_add(box, x->dim[0], x->dim[1] * plane, 0);
	finf_k_box_add(box, block, x->dim[3], 0);
	finf_k_box_add(box, block, 1, 0);
	finf_k_box_add(box, x->dim[1], plane, 0);
	finf_k_box_add(box, x->dim[2] / block, block * x->dim[3], 0);
	finf_k_box_add(box, x->dim[3] / block, block, 0);
}

int finf_k_build_depth(struct finf_k_build *b)
{
	struct finf_k_box box = {0};

	if (b->node->op->name[0] == 'D')
		depth_box(b, &box);
	else
		space_box(b, &box);
	return take(b, 0, &box, 0);
}

int finf_k_build_split(struct finf_k_build *b)
{
	const struct finf_shape *x = &finf_k_in(b, 0)->shape;
	uint32_t axis = finf_k_axis(b, x->rank);
	unsigned outer = finf_k_product(x, 0, axis), inner = finf_k_product(x, axis + 1, x->rank);
	unsigned from = 0;

	for (uint32_t i = 0; i < b->node->n_out; i++) {
		const struct finf_value *y = finf_k_out(b, i);
		struct finf_k_box box = {0};
		int err;

		if (!y) /* its size is not to be seen */
			return finf_diag_set(b->diag, -EOPNOTSUPP,
					     "the CUDA device needs all of its outputs");
		if (!finf_k_count(y))
			continue;
		finf_k_box_add(&box, outer, x->dim[axis] * inner, 0);
		finf_k_box_add(&box, y->shape.dim[axis] * inner, 1, 0);
		err = take(b, i, &box, from);
		if (err)
			return err;
		from += (unsigned)y->shape.dim[axis] * inner;
	}
	return 0;
}

int finf_k_build_concat(struct finf_k_build *b)
{
	const struct finf_shape *y = &finf_k_out(b, 0)->shape;
	uint32_t axis = finf_k_axis(b, y->rank);
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
			.act = finf_k_float_act(b),
		};
		finf_k_point_in(b, call, &call->args.rows.x, i);
		finf_k_point(call, &call->args.rows.y, FINF_K_OUT, 0, offset * each);
		offset += length;
	}
	return 0;
}

/* ---- Trilu -------------------------------------------------------------------------- */

int finf_k_build_trilu(struct finf_k_build *b)
{
	const struct finf_shape *x = &finf_k_in(b, 0)->shape;
	unsigned n = finf_k_count(finf_k_out(b, 0));
	struct finf_k_call *call = finf_k_each_add(b, FINF_K_FUNCTION_trilu, n);

	if (!call)
		return -ENOMEM;
	call->args.trilu = (struct finf_trilu_args){
		.n = n,
		.each = element_bytes(b),
		.upper = finf_node_int(b->node, "upper", 1) != 0,
		.cols = finf_k_div((unsigned)x->dim[x->rank - 1]),
		.rows = finf_k_div((unsigned)x->dim[x->rank - 2]),
		.act = finf_k_float_act(b),
	};
	finf_k_point_in(b, call, &call->args.trilu.x, 0);
	finf_k_point_in(b, call, &call->args.trilu.k, 1);
	finf_k_point(call, &call->args.trilu.y, FINF_K_OUT, 0, 0);
	return 0;
}

/* ---- Pad ------------------------------------------------------------------------------ */

/* In front of each dimension of x; what is behind follows from the shape of y. */
static int pads_of(const struct finf_k_build *b, int64_t begin[FINF_RANK_MAX])
{
	const struct finf_shape *x = &finf_k_in(b, 0)->shape;
	struct finf_k_ints pads, axes;
	int err = finf_k_ints(b, "pads", 1, &pads);
	uint32_t axis;

	if (!err)
		err = finf_k_ints(b, "axes", 3, &axes);
	if (err)
		return err;
	memset(begin, 0, FINF_RANK_MAX * sizeof(*begin));
	for (uint32_t i = 0; i < pads.n / 2; i++)
		if (finf_axis(finf_k_in(b, 3) ? axes.v[i] : i, x->rank, &axis))
			begin[axis] = pads.v[i];
	return 0;
}

static enum finf_k_pad pad_mode(const struct finf_node *node)
{
	const char *mode = finf_node_str(node, "mode", "constant");

	return !strcmp(mode, "reflect") ? FINF_K_REFLECT
	       : !strcmp(mode, "edge")	? FINF_K_EDGE
	       : !strcmp(mode, "wrap")	? FINF_K_WRAP
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

/* Output cell -> cell of input 0, @begin further. */
static int pad(struct finf_k_build *b, enum finf_k_pad mode, const int64_t begin[FINF_RANK_MAX])
{
	const struct finf_shape *x = &finf_k_in(b, 0)->shape, *y = &finf_k_out(b, 0)->shape;
	unsigned n = finf_k_count(finf_k_out(b, 0));
	struct finf_k_call *call = finf_k_each_add(b, FINF_K_FUNCTION_pad, n);
	int64_t stride[FINF_RANK_MAX];
	struct finf_pad_args *args;

	if (!call)
		return -ENOMEM;
	args = &call->args.pad;
	*args = (struct finf_pad_args){
		.n = n,
		.each = element_bytes(b),
		.mode = mode,
		.bits = pad_bits(b),
		.at.rank = y->rank,
		.act = finf_k_float_act(b),
	};
	finf_k_strides(x, stride);
	for (uint32_t i = 0; i < y->rank; i++) {
		args->begin[i] = (int)begin[i];
		args->extent[i] = (int)x->dim[i];
		args->at.dim[i] = finf_k_div((unsigned)y->dim[i]);
		args->at.stride[i] = (int)stride[i];
	}
	finf_k_point_in(b, call, &args->x, 0);
	finf_k_point_in(b, call, &args->cell, 2);
	finf_k_point(call, &args->y, FINF_K_OUT, 0, 0);
	return 0;
}

int finf_k_build_pad(struct finf_k_build *b)
{
	int64_t begin[FINF_RANK_MAX];
	int err = pads_of(b, begin);

	return err ? err : pad(b, pad_mode(b->node), begin);
}

/* What is beyond the end begins anew. */
int finf_k_build_tile(struct finf_k_build *b)
{
	static const int64_t begin[FINF_RANK_MAX];

	return pad(b, FINF_K_WRAP, begin);
}

/* ---- what follows from shapes and scalars ------------------------------------------------- */

/* A padding with nothing to pad. */
int finf_k_fill_add(struct finf_k_build *b, enum finf_k_source source, unsigned n, unsigned each,
		    long long bits)
{
	struct finf_k_call *call = finf_k_each_add(b, FINF_K_FUNCTION_pad, n);

	if (!call)
		return -ENOMEM;
	call->args.pad = (struct finf_pad_args){
		.n = n,
		.each = each,
		.mode = FINF_K_CONSTANT,
		.bits = bits,
		.at = {.rank = 1, .dim = {finf_k_div(n)}},
	};
	finf_k_point(call, &call->args.pad.y, source, 0, 0);
	return 0;
}

int finf_k_build_constant(struct finf_k_build *b)
{
	const struct finf_attr *value = finf_node_attr(b->node, "value");
	long long bits = 0;

	if (value)
		memcpy(&bits, value->t->data, element_bytes(b));
	return finf_k_fill_add(b, FINF_K_OUT, finf_k_count(finf_k_out(b, 0)), element_bytes(b),
			       bits);
}

int finf_k_build_range(struct finf_k_build *b)
{
	unsigned n = finf_k_count(finf_k_out(b, 0));
	struct finf_k_call *call = finf_k_each_add(b, FINF_K_FUNCTION_range, n);

	if (!call)
		return -ENOMEM;
	call->args.range = (struct finf_range_args){.n = n, .dtype = finf_k_out(b, 0)->dtype};
	finf_k_point_in(b, call, &call->args.range.start, 0);
	finf_k_point_in(b, call, &call->args.range.delta, 2);
	finf_k_point(call, &call->args.range.y, FINF_K_OUT, 0, 0);
	return 0;
}

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
