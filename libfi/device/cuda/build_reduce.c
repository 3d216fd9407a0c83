/* SPDX-License-Identifier: MIT */
/* cuda: launches of pools, reductions and normalisations. */
#include <errno.h>
#include <string.h>

#include "device/cuda/node.h"

int finf_k_build_pool(struct finf_k_build *b)
{
	unsigned n = finf_k_count(finf_k_out(b, 0));
	struct finf_k_call *call = finf_k_each_add(b, FINF_K_FUNCTION_pool, n);
	struct finf_pool_args *args;
	struct finf_window win;
	uint32_t n_kernel;
	const int64_t *kernel = finf_node_ints(b->node, "kernel_shape", &n_kernel);
	int err;

	if (!call)
		return -ENOMEM;
	err = finf_k_window(b, kernel, &win);
	if (err)
		return err;
	b->flops = (uint64_t)n * (uint64_t)(win.kernel[0] * win.kernel[1]);
	args = &call->args.pool;
	*args = (struct finf_pool_args){
		.n = n,
		.average = !strcmp(b->node->op->name, "AveragePool"),
		.with_pad = finf_node_int(b->node, "count_include_pad", 0) != 0,
		.out_cols = finf_k_div((unsigned)win.out[1]),
		.out_rows = finf_k_div((unsigned)win.out[0]),
		.act = finf_k_act(b),
	};
	for (int i = 0; i < 2; i++) {
		args->in[i] = (int)win.in[i];
		args->taps[i] = (int)win.kernel[i];
		args->stride[i] = (int)win.stride[i];
		args->dilation[i] = (int)win.dilation[i];
		args->pad[i] = (int)win.pad_begin[i];
		args->pad_end[i] = (int)win.pad_end[i];
	}
	finf_k_point_in(b, call, &args->x, 0);
	finf_k_point(call, &args->y, FINF_K_OUT, 0, 0);
	return 0;
}

/* The window is cut to the channels, which are fewer than 2^31. */
int finf_k_build_lrn(struct finf_k_build *b)
{
	const struct finf_shape *x = &finf_k_in(b, 0)->shape;
	int64_t size = finf_node_int(b->node, "size", 1), channels = x->dim[1];
	unsigned n = finf_k_count(finf_k_out(b, 0));
	struct finf_k_call *call = finf_k_each_add(b, FINF_K_FUNCTION_lrn, n);

	if (!call)
		return -ENOMEM;
	b->flops = (uint64_t)n * (uint64_t)(2 * FINF_MIN(size, channels) + 40);
	call->args.lrn = (struct finf_lrn_args){
		.n = n,
		.before = (int)FINF_MIN((size - 1) / 2, channels),
		.after = (int)FINF_MIN(size / 2, channels),
		.factor = finf_node_float(b->node, "alpha", 1e-4f) / (float)size,
		.beta = finf_node_float(b->node, "beta", 0.75f),
		.bias = finf_node_float(b->node, "bias", 1.0f),
		.plane = finf_k_div(finf_k_product(x, 2, x->rank)),
		.channels = finf_k_div((unsigned)channels),
		.act = finf_k_act(b),
	};
	finf_k_point_in(b, call, &call->args.lrn.x, 0);
	finf_k_point(call, &call->args.lrn.y, FINF_K_OUT, 0, 0);
	return 0;
}

/* ---- reductions ---------------------------------------------------------------------- */

static int reduce(struct finf_k_build *b, unsigned how, const bool marked[FINF_RANK_MAX])
{
	const struct finf_shape *x = &finf_k_in(b, 0)->shape;
	struct finf_k_box outer = {0}, inner = {0};
	int64_t stride[FINF_RANK_MAX];
	unsigned n = finf_k_count(finf_k_out(b, 0)), count = 1;
	struct finf_k_call *call;

	finf_k_strides(x, stride);
	for (uint32_t i = 0; i < x->rank; i++) {
		finf_k_box_add(marked[i] ? &inner : &outer, x->dim[i], stride[i], 0);
		count *= marked[i] ? (unsigned)x->dim[i] : 1;
	}
	call = finf_k_call_add(b, FINF_K_FUNCTION_reduce, n, finf_k_reduce_threads(count));
	if (!call)
		return -ENOMEM;
	b->flops = (uint64_t)n * count;
	call->args.reduce = (struct finf_reduce_args){
		.count = count,
		.how = how,
		.outer = finf_k_box_walk(&outer, 0),
		.inner = finf_k_box_walk(&inner, 0),
		.act = finf_k_act(b),
	};
	finf_k_point_in(b, call, &call->args.reduce.x, 0);
	finf_k_point(call, &call->args.reduce.y, FINF_K_OUT, 0, 0);
	return 0;
}

int finf_k_build_global_pool(struct finf_k_build *b)
{
	bool marked[FINF_RANK_MAX] = {false};
	bool average = !strcmp(b->node->op->name, "GlobalAveragePool");

	for (uint32_t i = 2; i < FINF_RANK_MAX; i++)
		marked[i] = true;
	return reduce(b, average ? FINF_K_REDUCE_MEAN : FINF_K_REDUCE_MAX, marked);
}

int finf_k_build_reduce(struct finf_k_build *b)
{
	static const char *const names[] = {
		[FINF_K_REDUCE_L1] = "ReduceL1",
		[FINF_K_REDUCE_L2] = "ReduceL2",
		[FINF_K_REDUCE_LOG_SUM] = "ReduceLogSum",
		[FINF_K_REDUCE_LOG_SUM_EXP] = "ReduceLogSumExp",
		[FINF_K_REDUCE_MAX] = "ReduceMax",
		[FINF_K_REDUCE_MEAN] = "ReduceMean",
		[FINF_K_REDUCE_MIN] = "ReduceMin",
		[FINF_K_REDUCE_PROD] = "ReduceProd",
		[FINF_K_REDUCE_SUM] = "ReduceSum",
		[FINF_K_REDUCE_SUM_SQUARE] = "ReduceSumSquare",
	};
	bool marked[FINF_RANK_MAX] = {false};
	struct finf_k_ints axes;
	uint32_t axis;
	int err = finf_k_ints(b, "axes", 1, &axes);

	if (err)
		return err;
	if (!axes.n && finf_node_int(b->node, "noop_with_empty_axes", 0))
		return finf_k_build_copy(b);
	for (uint32_t i = 0; i < axes.n; i++)
		if (finf_axis(axes.v[i], finf_k_in(b, 0)->shape.rank, &axis))
			marked[axis] = true;
	for (uint32_t i = 0; !axes.n && i < FINF_RANK_MAX; i++)
		marked[i] = true;
	return reduce(b, finf_k_number(b->node->op->name, names, FINF_ARRAY_LEN(names)), marked);
}

int finf_k_build_best(struct finf_k_build *b)
{
	const struct finf_shape *x = &finf_k_in(b, 0)->shape;
	unsigned n = finf_k_count(finf_k_out(b, 0));
	struct finf_k_call *call = finf_k_each_add(b, FINF_K_FUNCTION_best, n);
	uint32_t axis;

	if (!call)
		return -ENOMEM;
	if (!finf_axis(finf_node_int(b->node, "axis", 0), x->rank, &axis) || !x->dim[axis])
		return finf_diag_set(b->diag, -EINVAL, "there is nothing along its axis");
	b->flops = finf_k_count(finf_k_in(b, 0));
	call->args.best = (struct finf_best_args){
		.n = n,
		.count = (unsigned)x->dim[axis],
		.smallest = !strcmp(b->node->op->name, "ArgMin"),
		.last = finf_node_int(b->node, "select_last_index", 0) != 0,
		.step = finf_k_div(finf_k_product(x, axis + 1, x->rank)),
	};
	finf_k_point_in(b, call, &call->args.best.x, 0);
	finf_k_point(call, &call->args.best.y, FINF_K_OUT, 0, 0);
	return 0;
}

/* ---- Softmax -------------------------------------------------------------------------- */

int finf_k_build_softmax(struct finf_k_build *b)
{
	const struct finf_shape *x = &finf_k_in(b, 0)->shape;
	bool matrix = b->node->opset < 13;
	unsigned n = finf_k_count(finf_k_in(b, 0)), step, count;
	struct finf_k_call *call;
	uint32_t axis;

	if (!finf_axis(finf_node_int(b->node, "axis", matrix ? 1 : -1), x->rank, &axis))
		return finf_diag_set(b->diag, -EINVAL, "its axis is out of range");
	step = matrix ? 1 : finf_k_product(x, axis + 1, x->rank);
	count = matrix ? finf_k_product(x, axis, x->rank) : (unsigned)x->dim[axis];
	call = finf_k_call_add(b, FINF_K_FUNCTION_softmax, n / count, finf_k_reduce_threads(count));
	if (!call)
		return -ENOMEM;
	b->inplace = true;
	b->flops = 20 * (uint64_t)n;
	call->args.softmax = (struct finf_softmax_args){
		.count = count,
		.logarithm = b->node->op->name[0] == 'L',
		.step = finf_k_div(step),
		.act = finf_k_act(b),
	};
	finf_k_point_in(b, call, &call->args.softmax.x, 0);
	finf_k_point(call, &call->args.softmax.y, FINF_K_OUT, 0, 0);
	return 0;
}

/* ---- normalisation ---------------------------------------------------------------------- */

/* Rows of input 0, and which weights their elements take (args.h). */
static int normalize_rows(struct finf_k_build *b, struct finf_normalize_args *args)
{
	const struct finf_shape *x = &finf_k_in(b, 0)->shape;
	unsigned weights = finf_k_count(finf_k_in(b, 1)), channels = (unsigned)x->dim[1], groups;
	uint32_t axis;

	if (b->node->op->name[0] == 'L') {
		if (!finf_axis(finf_node_int(b->node, "axis", -1), x->rank, &axis))
			return finf_diag_set(b->diag, -EINVAL, "its axis is out of range");
		args->count = finf_k_product(x, axis, x->rank);
		args->weight_rows = args->run = finf_k_div(1);
		return 0;
	}
	groups = (unsigned)finf_node_int(b->node, "num_groups", channels);
	args->count = channels / groups * finf_k_product(x, 2, x->rank);
	args->row_weights = weights / groups;
	args->weight_rows = finf_k_div(groups);
	args->run = finf_k_div(args->count / args->row_weights);
	return 0;
}

int finf_k_build_normalize(struct finf_k_build *b)
{
	unsigned n = finf_k_count(finf_k_out(b, 0));
	struct finf_normalize_args args = {.epsilon = finf_node_float(b->node, "epsilon", 1e-5f)};
	struct finf_k_call *call;
	int err = normalize_rows(b, &args);

	if (err)
		return err;
	call = finf_k_call_add(b, FINF_K_FUNCTION_normalize, n / args.count,
			       finf_k_reduce_threads(args.count));
	if (!call)
		return -ENOMEM;
	b->inplace = true;
	b->flops = 8 * (uint64_t)n;
	args.act = finf_k_act(b);
	call->args.normalize = args;
	finf_k_point_in(b, call, &call->args.normalize.x, 0);
	finf_k_point_in(b, call, &call->args.normalize.scale, 1);
	finf_k_point_in(b, call, &call->args.normalize.shift, 2);
	finf_k_point(call, &call->args.normalize.y, FINF_K_OUT, 0, 0);
	return 0;
}

/* ---- CumSum -------------------------------------------------------------------------- */

int finf_k_build_cumsum(struct finf_k_build *b)
{
	const struct finf_value *x = finf_k_in(b, 0), *given = finf_k_in(b, 1);
	struct finf_k_call *call;
	unsigned n, length, step;
	uint32_t axis;

	if (!given->data)
		return finf_diag_set(b->diag, -EOPNOTSUPP, "its axis is not known before it runs");
	if (!finf_axis(given->dtype == FINF_I64 ? *(const int64_t *)given->data
						: *(const int32_t *)given->data,
		       x->shape.rank, &axis))
		return finf_diag_set(b->diag, -EINVAL, "its axis is beyond its dimensions");
	length = (unsigned)x->shape.dim[axis];
	step = finf_k_product(&x->shape, axis + 1, x->shape.rank);
	n = finf_k_count(x) / length;
	call = finf_k_each_add(b, FINF_K_FUNCTION_cumsum, n);
	if (!call)
		return -ENOMEM;
	call->args.cumsum = (struct finf_cumsum_args){
		.n = n,
		.length = length,
		.dtype = x->dtype,
		.exclusive = finf_node_int(b->node, "exclusive", 0) != 0,
		.reverse = finf_node_int(b->node, "reverse", 0) != 0,
		.step = finf_k_div(step),
		.act = x->dtype == FINF_F32 ? finf_k_act(b) : (struct finf_k_act){0},
	};
	finf_k_point_in(b, call, &call->args.cumsum.x, 0);
	finf_k_point(call, &call->args.cumsum.y, FINF_K_OUT, 0, 0);
	return 0;
}
