/* SPDX-License-Identifier: MIT */
/* cuda: launches of operators that go by indices - gathering, scattering, TopK. */
#include <errno.h>
#include <stdlib.h>

#include "device/cuda/node.h"
#include "graph/op/indexed.h"

static unsigned element_bytes(const struct finf_value *value)
{
	return (unsigned)finf_dtype_bytes(value->dtype);
}

/* Indices that are known now are refused now, @n extents in turn; at run time they are nowhere. */
static int check_indices(const struct finf_k_build *b, const int64_t *extent, uint32_t n)
{
	const struct finf_value *index = finf_k_in(b, 1);

	for (unsigned i = 0; index->is_const && index->data && i < finf_k_count(index); i++) {
		int64_t at = index->dtype == FINF_I64 ? ((const int64_t *)index->data)[i]
						      : ((const int32_t *)index->data)[i];
		int64_t end = extent[i % n];

		if (at < -end || at >= end)
			return finf_diag_set(b->diag, -EOPNOTSUPP, "index %lld of %lld is outside",
					     (long long)at, (long long)end);
	}
	return 0;
}

/* ---- gathering ------------------------------------------------------------------------ */

int finf_k_build_gather(struct finf_k_build *b)
{
	const struct finf_shape *x = &finf_k_in(b, 0)->shape;
	const struct finf_value *index = finf_k_in(b, 1);
	uint32_t axis = finf_k_axis(b, x->rank);
	unsigned n = finf_k_count(finf_k_out(b, 0));
	struct finf_k_call *call;
	int err = check_indices(b, &x->dim[axis], 1);

	if (err)
		return err;
	call = finf_k_each_add(b, FINF_K_FUNCTION_gather, n);
	if (!call)
		return -ENOMEM;
	call->args.gather = (struct finf_gather_args){
		.n = n,
		.each = element_bytes(finf_k_out(b, 0)),
		.wide = index->dtype == FINF_I64,
		.extent = (unsigned)x->dim[axis],
		.inner = finf_k_div(finf_k_product(x, axis + 1, x->rank)),
		.indices = finf_k_div(finf_k_count(index)),
		.act = finf_k_float_act(b),
	};
	finf_k_point_in(b, call, &call->args.gather.x, 0);
	finf_k_point_in(b, call, &call->args.gather.index, 1);
	finf_k_point(call, &call->args.gather.y, FINF_K_OUT, 0, 0);
	return 0;
}

/* Elements by one index along an axis: where each of the indices' shape is in the data. */
static struct finf_k_place along(const struct finf_k_build *b)
{
	const struct finf_shape *data = &finf_k_in(b, 0)->shape;
	const struct finf_value *index = finf_k_in(b, 1);
	uint32_t axis = finf_k_axis(b, data->rank);
	int64_t stride[FINF_RANK_MAX];
	struct finf_k_box box = {0};

	finf_k_strides(data, stride);
	for (uint32_t i = 0; i < data->rank; i++)
		finf_k_box_add(&box, index->shape.dim[i], i == axis ? 0 : stride[i], 0);
	return (struct finf_k_place){
		.wide = index->dtype == FINF_I64,
		.tuple = 1,
		.slice = finf_k_div(1),
		.extent = {(int)data->dim[axis]},
		.stride = {(int)stride[axis]},
		.at = finf_k_box_walk(&box, 0),
	};
}

/* Slices by a tuple of indices behind @batch dimensions that data and indices share. */
static struct finf_k_place by_tuple(const struct finf_k_build *b, uint32_t batch)
{
	const struct finf_shape *data = &finf_k_in(b, 0)->shape;
	const struct finf_shape *index = &finf_k_in(b, 1)->shape;
	uint32_t tuple = (uint32_t)index->dim[index->rank - 1];
	unsigned slice = finf_k_product(data, batch + tuple, data->rank);
	struct finf_k_place place = {.wide = true, .tuple = tuple, .slice = finf_k_div(slice)};
	int64_t stride[FINF_RANK_MAX];
	struct finf_k_box box = {0};

	finf_k_strides(data, stride);
	for (uint32_t i = 0; i < tuple; i++) {
		place.extent[i] = (int)data->dim[batch + i];
		place.stride[i] = (int)stride[batch + i];
	}
	finf_k_box_add(&box, finf_k_product(data, 0, batch),
		       finf_k_product(data, batch, data->rank), 0);
	finf_k_box_add(&box, finf_k_product(index, batch, index->rank - 1), 0, 0);
	finf_k_box_add(&box, slice, 1, 0);
	place.at = finf_k_box_walk(&box, 0);
	return place;
}

static int gather_at(struct finf_k_build *b, const struct finf_k_place *place,
		     const int64_t *extent)
{
	unsigned n = finf_k_count(finf_k_out(b, 0));
	struct finf_k_call *call;
	int err = check_indices(b, extent, place->tuple);

	if (err)
		return err;
	call = finf_k_each_add(b, FINF_K_FUNCTION_gather_at, n);
	if (!call)
		return -ENOMEM;
	call->args.gather_at = (struct finf_gather_at_args){
		.n = n,
		.each = element_bytes(finf_k_out(b, 0)),
		.place = *place,
		.act = finf_k_float_act(b),
	};
	finf_k_point_in(b, call, &call->args.gather_at.x, 0);
	finf_k_point_in(b, call, &call->args.gather_at.place.index, 1);
	finf_k_point(call, &call->args.gather_at.y, FINF_K_OUT, 0, 0);
	return 0;
}

int finf_k_build_gather_elements(struct finf_k_build *b)
{
	const struct finf_shape *data = &finf_k_in(b, 0)->shape;
	struct finf_k_place place = along(b);

	return gather_at(b, &place, &data->dim[finf_k_axis(b, data->rank)]);
}

int finf_k_build_gather_nd(struct finf_k_build *b)
{
	uint32_t batch = (uint32_t)finf_node_int(b->node, "batch_dims", 0);
	struct finf_k_place place = by_tuple(b, batch);

	return gather_at(b, &place, &finf_k_in(b, 0)->shape.dim[batch]);
}

/* ---- scattering ------------------------------------------------------------------------ */

/* Indices as operators see them, where they are known now. */
static bool known_indices(const struct finf_k_build *b, struct finf_tensor *ret)
{
	const struct finf_value *index = finf_k_in(b, 1);

	*ret = (struct finf_tensor){.dtype = index->dtype,
				    .shape = index->shape,
				    .data = (void *)(uintptr_t)index->data,
				    .bytes = index->bytes};
	return index->is_const && index->data;
}

/* Offset of a tuple's slice, or of an element along the axis, as the kernel finds it. */
static int64_t place_of(const struct finf_k_place *place, const struct finf_tensor *index,
			unsigned i)
{
	unsigned left = i;
	int64_t offset = 0, at;

	for (uint32_t k = place->at.rank; k-- > 0; left /= place->at.dim[k].by)
		offset += (int64_t)(left % place->at.dim[k].by) * place->at.stride[k];
	for (uint32_t t = 0; t < place->tuple; t++)
		if (finf_index_at(index, (size_t)i / place->slice.by * place->tuple + t,
				  place->extent[t], &at))
			offset += at * place->stride[t];
	return offset;
}

/* Is it sure that no two of @n updates are for one place? 0, 1; -ENOMEM. */
static int no_two_meet(const struct finf_k_build *b, const struct finf_k_place *place, unsigned n)
{
	struct finf_tensor index;
	bool *taken, two = false;

	if (!known_indices(b, &index))
		return 0;
	taken = calloc(finf_k_count(finf_k_out(b, 0)), sizeof(*taken));
	if (!taken)
		return -ENOMEM;
	for (unsigned i = 0; i < n && !two; i++) {
		int64_t at = place_of(place, &index, i);

		two = taken[at];
		taken[at] = true;
	}
	free(taken);
	return !two;
}

/* The data where the updates go; it may lie there already. */
static int copy_data(struct finf_k_build *b)
{
	const struct finf_value *y = finf_k_out(b, 0);
	unsigned n = finf_k_count(y);
	struct finf_k_call *call = finf_k_each_add(b, FINF_K_FUNCTION_rows, n);

	if (!call)
		return -ENOMEM;
	b->inplace = true;
	call->args.rows =
		(struct finf_rows_args){.n = n, .each = element_bytes(y), .length = finf_k_div(n)};
	finf_k_point_in(b, call, &call->args.rows.x, 0);
	finf_k_point(call, &call->args.rows.y, FINF_K_OUT, 0, 0);
	return 0;
}

static int scatter_add(struct finf_k_build *b, enum finf_k_function function,
		       const struct finf_scatter_args *args, bool owned)
{
	struct finf_k_call *call = finf_k_each_add(b, function, args->n);

	if (!call)
		return -ENOMEM;
	call->args.scatter = *args;
	finf_k_point_in(b, call, &call->args.scatter.place.index, 1);
	finf_k_point_in(b, call, &call->args.scatter.updates, 2);
	finf_k_point(call, &call->args.scatter.y, FINF_K_OUT, 0, 0);
	if (owned)
		finf_k_point(call, &call->args.scatter.owner, FINF_K_WORKSPACE, 0, 0);
	return 0;
}

/* @args has the line in which updates for one place are, and the place. */
static int scatter(struct finf_k_build *b, struct finf_scatter_args *args, const int64_t *extent)
{
	const struct finf_value *y = finf_k_out(b, 0);
	enum finf_scatter how;
	int err = check_indices(b, extent, args->place.tuple), alone = 0;

	if (!err)
		err = finf_scatter_mode(b->node, y->dtype, &how, b->diag);
	if (!err)
		err = copy_data(b);
	args->n = finf_k_count(finf_k_in(b, 2));
	if (err || !args->n)
		return err;
	args->each = element_bytes(y);
	args->dtype = y->dtype;
	args->how = how;
	alone = no_two_meet(b, &args->place, args->n);
	if (alone < 0)
		return alone;
	if (!alone) {
		b->workspace_bytes = (uint64_t)finf_k_count(y) * sizeof(*args->owner);
		err = finf_k_fill_add(b, FINF_K_WORKSPACE, finf_k_count(y), sizeof(*args->owner),
				      0);
		if (!err)
			err = scatter_add(b, FINF_K_FUNCTION_scatter_claim, args, true);
	}
	return err ? err : scatter_add(b, FINF_K_FUNCTION_scatter, args, !alone);
}

int finf_k_build_scatter(struct finf_k_build *b)
{
	const struct finf_shape *index = &finf_k_in(b, 1)->shape;
	uint32_t axis = finf_k_axis(b, index->rank);
	struct finf_scatter_args args = {
		.step = finf_k_div(finf_k_product(index, axis + 1, index->rank)),
		.count = finf_k_div((unsigned)index->dim[axis]),
		.place = along(b),
	};

	return scatter(b, &args, &finf_k_in(b, 0)->shape.dim[axis]);
}

int finf_k_build_scatter_nd(struct finf_k_build *b)
{
	const struct finf_shape *index = &finf_k_in(b, 1)->shape;
	struct finf_scatter_args args = {
		.count = finf_k_div(finf_k_product(index, 0, index->rank - 1)),
		.place = by_tuple(b, 0),
	};

	args.step = args.place.slice;
	return scatter(b, &args, finf_k_in(b, 0)->shape.dim);
}

/* ---- TopK ------------------------------------------------------------------------------- */

int finf_k_build_topk(struct finf_k_build *b)
{
	const struct finf_value *x = finf_k_in(b, 0), *y = finf_k_out(b, 0);
	const struct finf_value *which = finf_k_out(b, 1);
	unsigned n = finf_k_count(x);
	struct finf_k_call *call;
	uint32_t axis;

	if (!finf_axis(finf_node_int(b->node, "axis", -1), x->shape.rank, &axis))
		return finf_diag_set(b->diag, -EINVAL, "its axis is out of range");
	call = finf_k_each_add(b, FINF_K_FUNCTION_topk, n);
	if (!call)
		return -ENOMEM;
	b->flops = (uint64_t)n * (uint64_t)x->shape.dim[axis];
	call->args.topk = (struct finf_topk_args){
		.n = n,
		.k = (unsigned)(y ? y : which)->shape.dim[axis],
		.dtype = x->dtype,
		.smallest = !finf_node_int(b->node, "largest", 1),
		.length = finf_k_div((unsigned)x->shape.dim[axis]),
		.step = finf_k_div(finf_k_product(&x->shape, axis + 1, x->shape.rank)),
	};
	finf_k_point_in(b, call, &call->args.topk.x, 0);
	if (y)
		finf_k_point(call, &call->args.topk.y, FINF_K_OUT, 0, 0);
	if (which)
		finf_k_point(call, &call->args.topk.index, FINF_K_OUT, 1, 0);
	return 0;
}
