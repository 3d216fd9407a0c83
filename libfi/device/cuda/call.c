/* SPDX-License-Identifier: MIT */
/* cuda: the parts that builders put launches together from. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "device/cuda/node.h"

#define THREADS	   256
#define BLOCKS_MAX 4096	     /* of a launch whose threads go round */
#define WINDOW_MAX (1 << 28) /* so that sums of a few of them fit an int */

/* ---- operands ------------------------------------------------------------------ */

static const struct finf_value *value_at(const struct finf_k_build *b, const uint32_t *values,
					 uint32_t n, uint32_t i)
{
	return i < n && values[i] != FINF_NONE ? &b->graph->values[values[i]] : NULL;
}

const struct finf_value *finf_k_in(const struct finf_k_build *b, uint32_t i)
{
	return value_at(b, b->node->in, b->node->n_in, i);
}

const struct finf_value *finf_k_out(const struct finf_k_build *b, uint32_t i)
{
	return value_at(b, b->node->out, b->node->n_out, i);
}

unsigned finf_k_product(const struct finf_shape *shape, uint32_t from, uint32_t to)
{
	unsigned n = 1;

	for (uint32_t i = from; i < to; i++)
		n *= (unsigned)shape->dim[i];
	return n;
}

unsigned finf_k_count(const struct finf_value *value)
{
	return finf_k_product(&value->shape, 0, value->shape.rank);
}

int finf_k_ints(const struct finf_k_build *b, const char *attr, uint32_t input,
		struct finf_k_ints *ret)
{
	const struct finf_value *value = finf_k_in(b, input);
	struct finf_k_ints ints = {.v = finf_node_ints(b->node, attr, &ints.n)};

	if (!ints.v && value) {
		ints.v = value->data;
		ints.n = finf_k_count(value);
		if (ints.n && (!ints.v || value->dtype != FINF_I64))
			return finf_diag_set(b->diag, -EOPNOTSUPP,
					     "%s are not known before it runs", attr);
	}
	*ret = ints;
	return 0;
}

/* ---- launches --------------------------------------------------------------------- */

struct finf_k_call *finf_k_call_add(struct finf_k_build *b, enum finf_k_function function,
				    unsigned blocks, unsigned threads)
{
	struct finf_k_call *call;

	if (finf_grow(&b->calls, &b->cap_calls, b->n_calls, sizeof(*b->calls)))
		return NULL;
	call = &b->calls[b->n_calls++];
	memset(call, 0, sizeof(*call));
	call->function = function;
	call->blocks = blocks;
	call->threads = threads;
	return call;
}

struct finf_k_call *finf_k_each_add(struct finf_k_build *b, enum finf_k_function function,
				    unsigned n)
{
	unsigned blocks = (n + THREADS - 1) / THREADS;

	return finf_k_call_add(b, function, FINF_MAX(1u, FINF_MIN(blocks, BLOCKS_MAX)), THREADS);
}

struct finf_k_call *finf_k_fours_add(struct finf_k_build *b, enum finf_k_function function,
				     unsigned n)
{
	b->flops = n;
	return finf_k_each_add(b, function, (n + 3) / 4);
}

void finf_k_point(struct finf_k_call *call, const void *field, enum finf_k_source source,
		  uint32_t index, uint64_t offset_bytes)
{
	call->pointers[call->n_pointers++] = (struct finf_k_pointer){
		.at = (uint16_t)((const char *)field - (const char *)&call->args),
		.source = (uint16_t)source,
		.index = index,
		.offset_bytes = offset_bytes,
	};
}

void finf_k_point_in(const struct finf_k_build *b, struct finf_k_call *call, const void *field,
		     uint32_t index)
{
	if (finf_k_in(b, index))
		finf_k_point(call, field, FINF_K_IN, index, 0);
}

unsigned finf_k_reduce_threads(unsigned n)
{
	return n <= 64 ? 32 : n <= 1024 ? 128 : 256;
}

struct finf_shape finf_k_planes(const struct finf_shape *shape)
{
	struct finf_shape planes = *shape;

	if (shape->rank != 3)
		return planes;
	planes.rank = 4;
	planes.dim[3] = planes.dim[2];
	planes.dim[2] = 1;
	return planes;
}

/* Of three spatial dimensions, as finf_window_volume() makes them, the last two. */
static void last_two(int64_t v[FINF_SPATIAL_MAX])
{
	v[0] = v[1];
	v[1] = v[2];
}

static void window_planes(struct finf_window *w)
{
	*w = finf_window_volume(w);
	w->n = 2;
	last_two(w->kernel);
	last_two(w->stride);
	last_two(w->dilation);
	last_two(w->pad_begin);
	last_two(w->pad_end);
	last_two(w->in);
	last_two(w->out);
}

int finf_k_window(const struct finf_k_build *b, const int64_t *kernel, struct finf_window *ret)
{
	const struct finf_shape *x = &finf_k_in(b, 0)->shape;
	int err;

	if (x->rank > 4)
		return finf_diag_set(b->diag, -EOPNOTSUPP,
				     "%u spatial dimensions, the CUDA device has 1 and 2",
				     x->rank - 2);
	err = finf_window_init(b->node, x->rank - 2, kernel, &x->dim[2], ret, b->diag);
	if (err)
		return err;
	window_planes(ret);
	for (int i = 0; i < 2 && !err; i++)
		if (ret->stride[i] > WINDOW_MAX || ret->pad_begin[i] > WINDOW_MAX ||
		    ret->pad_end[i] > WINDOW_MAX || ret->dilation[i] > WINDOW_MAX ||
		    ret->kernel[i] * ret->dilation[i] > WINDOW_MAX || ret->in[i] > WINDOW_MAX)
			err = finf_diag_set(b->diag, -EOPNOTSUPP,
					    "a stride, a pad or the window is beyond %d",
					    WINDOW_MAX);
	return err;
}

/* ---- arguments --------------------------------------------------------------------- */

/*
 * n / by == (n * mul / 2^32 + n) >> shift for n below 2^31.
 * Source: Granlund and Montgomery, Division by Invariant Integers, 1994, figure 4.1.
 */
struct finf_k_div finf_k_div(unsigned by)
{
	struct finf_k_div div = {.by = FINF_MAX(by, 1u)};

	while ((uint64_t)1 << div.shift < div.by)
		div.shift++;
	div.mul =
		(unsigned)((((uint64_t)1 << 32) * (((uint64_t)1 << div.shift) - div.by)) / div.by +
			   1);
	return div;
}

struct finf_k_act finf_k_act(struct finf_k_build *b)
{
	b->act_taken = true;
	return (struct finf_k_act){(unsigned)b->node->act, b->node->act_a, b->node->act_b};
}

struct finf_k_act finf_k_float_act(struct finf_k_build *b)
{
	return finf_k_out(b, 0)->dtype == FINF_F32 ? finf_k_act(b) : (struct finf_k_act){0};
}

void finf_k_box_add(struct finf_k_box *box, int64_t dim, int64_t stride_a, int64_t stride_b)
{
	uint32_t last = box->rank - 1;

	if (dim == 1)
		return;
	if (box->rank && box->stride[0][last] == stride_a * dim &&
	    box->stride[1][last] == stride_b * dim) {
		box->dim[last] *= dim;
		box->stride[0][last] = stride_a;
		box->stride[1][last] = stride_b;
		return;
	}
	box->dim[box->rank] = dim;
	box->stride[0][box->rank] = stride_a;
	box->stride[1][box->rank++] = stride_b;
}

struct finf_k_walk finf_k_box_walk(const struct finf_k_box *box, unsigned which)
{
	struct finf_k_walk walk = {.rank = box->rank};

	for (uint32_t i = 0; i < box->rank; i++) {
		walk.dim[i] = finf_k_div((unsigned)box->dim[i]);
		walk.stride[i] = (int)box->stride[which][i];
	}
	return walk;
}

void finf_k_strides(const struct finf_shape *shape, int64_t stride[FINF_RANK_MAX])
{
	for (uint32_t i = shape->rank; i-- > 0;)
		stride[i] = i + 1 < shape->rank ? stride[i + 1] * shape->dim[i + 1] : 1;
}

void finf_k_broadcast(const struct finf_shape *from, const struct finf_shape *to,
		      int64_t stride[FINF_RANK_MAX])
{
	int64_t step = 1;

	for (uint32_t i = to->rank, j = from->rank; i-- > 0;) {
		int64_t dim = j ? from->dim[--j] : 1;

		stride[i] = dim == 1 ? 0 : step;
		step *= dim;
	}
}

struct finf_k_walk finf_k_walk_in(const struct finf_k_build *b, uint32_t input)
{
	const struct finf_shape *y = &finf_k_out(b, 0)->shape;
	int64_t stride[FINF_RANK_MAX];
	struct finf_k_box box = {0};

	finf_k_broadcast(&finf_k_in(b, input)->shape, y, stride);
	for (uint32_t i = 0; i < y->rank; i++)
		finf_k_box_add(&box, y->dim[i], stride[i], 0);
	return finf_k_box_walk(&box, 0);
}

uint32_t finf_k_axis(const struct finf_k_build *b, uint32_t rank)
{
	uint32_t axis = 0;

	finf_axis(finf_node_int(b->node, "axis", 0), rank, &axis);
	return axis;
}

uint32_t finf_k_tensors(const struct finf_k_build *b, struct finf_tensor *tensors,
			const struct finf_tensor **in, uint32_t n)
{
	uint32_t unknown = 0;

	for (uint32_t i = 0; i < n; i++) {
		const struct finf_value *value = finf_k_in(b, i);

		in[i] = NULL;
		if (!value)
			continue;
		tensors[i] = (struct finf_tensor){.dtype = value->dtype,
						  .shape = value->shape,
						  .data = (void *)(uintptr_t)value->data,
						  .bytes = value->bytes};
		in[i] = &tensors[i];
		unknown += i && finf_k_count(value) && !value->data;
	}
	return unknown;
}

unsigned finf_k_number(const char *name, const char *const *names, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (names[i] && !strcmp(names[i], name))
			return i;
	return n;
}
