/* SPDX-License-Identifier: MIT */
/* cuda: operators and their builders, and the parts that builders put launches together from. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "device/cuda/node.h"

#define THREADS	   256
#define BLOCKS_MAX 4096	     /* of a launch whose threads go round */
#define WINDOW_MAX (1 << 28) /* so that sums of a few of them fit an int */

static const struct {
	const char *op;
	finf_k_builder build;
} builders[] = {
	{"Add", finf_k_build_arith},
	{"AveragePool", finf_k_build_pool},
	{"BatchNormalization", finf_k_build_batchnorm},
	{"Cast", finf_k_build_cast},
	{"Clip", finf_k_build_clip},
	{"Concat", finf_k_build_concat},
	{"Conv", finf_k_build_conv},
	{"Div", finf_k_build_arith},
	{"Dropout", finf_k_build_copy},
	{"Flatten", finf_k_build_copy},
	{"Gather", finf_k_build_gather},
	{"Gemm", finf_k_build_gemm},
	{"GlobalAveragePool", finf_k_build_global_pool},
	{"Identity", finf_k_build_copy},
	{"LeakyRelu", finf_k_build_activation},
	{"MatMul", finf_k_build_matmul},
	{"MaxPool", finf_k_build_pool},
	{"Mul", finf_k_build_arith},
	{"Pad", finf_k_build_pad},
	{"ReduceMean", finf_k_build_reduce_mean},
	{"Relu", finf_k_build_activation},
	{"Reshape", finf_k_build_copy},
	{"Shape", finf_k_build_shape},
	{"Sigmoid", finf_k_build_activation},
	{"Softmax", finf_k_build_softmax},
	{"Squeeze", finf_k_build_copy},
	{"Sub", finf_k_build_arith},
	{"Transpose", finf_k_build_transpose},
	{"Unsqueeze", finf_k_build_copy},
};

finf_k_builder finf_k_find(const char *op)
{
	for (size_t i = 0; i < FINF_ARRAY_LEN(builders); i++)
		if (!strcmp(builders[i].op, op))
			return builders[i].build;
	return NULL;
}

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

static int check_value(struct finf_k_build *b, const struct finf_value *value)
{
	size_t n;

	if (!value)
		return 0;
	if (!value->has_shape || !finf_shape_is_static(&value->shape))
		return finf_diag_set(b->diag, -EINVAL, "the graph is not bound to shapes");
	if (finf_shape_count(&value->shape, &n) || n > INT_MAX)
		return finf_diag_set(b->diag, -EOPNOTSUPP, "%s has more than 2^31 - 1 elements",
				     value->name);
	return 0;
}

static bool nothing_to_do(const struct finf_k_build *b)
{
	for (uint32_t i = 0; i < b->node->n_out; i++)
		if (finf_k_out(b, i) && finf_k_count(finf_k_out(b, i)))
			return false;
	return true;
}

int finf_k_build_node(struct finf_k_build *b)
{
	finf_k_builder build = finf_k_find(b->node->op->name);
	int err = 0;

	for (uint32_t i = 0; i < b->node->n_in && !err; i++)
		err = check_value(b, finf_k_in(b, i));
	for (uint32_t i = 0; i < b->node->n_out && !err; i++)
		err = check_value(b, finf_k_out(b, i));
	if (!err && !build)
		err = finf_diag_set(b->diag, -EOPNOTSUPP, "the CUDA device has no kernel for it");
	if (!err && finf_k_out(b, 1))
		err = finf_diag_set(b->diag, -EOPNOTSUPP,
				    "the CUDA device computes its first output only");
	if (err || nothing_to_do(b))
		return err;
	err = build(b);
	if (!err && b->node->act != FINF_ACT_NONE && !b->act_taken)
		err = finf_diag_set(b->diag, -EOPNOTSUPP,
				    "the CUDA device folds no activation into it");
	return err;
}

void finf_k_build_fini(struct finf_k_build *b)
{
	free(b->calls);
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

int finf_k_window(const struct finf_k_build *b, const int64_t kernel[2], struct finf_window *ret)
{
	int err = finf_window_init(b->node, kernel, &finf_k_in(b, 0)->shape.dim[2], ret, b->diag);

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
