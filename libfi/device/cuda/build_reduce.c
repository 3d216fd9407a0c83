/* SPDX-License-Identifier: MIT */
/* cuda: launches of pools, means and Softmax. */
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

/* ---- means ------------------------------------------------------------------------- */

static int mean(struct finf_k_build *b, const bool marked[FINF_RANK_MAX])
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
	call = finf_k_call_add(b, FINF_K_FUNCTION_mean, n, finf_k_reduce_threads(count));
	if (!call)
		return -ENOMEM;
	b->flops = (uint64_t)n * count;
	call->args.mean = (struct finf_mean_args){
		.count = count,
		.outer = finf_k_box_walk(&outer, 0),
		.inner = finf_k_box_walk(&inner, 0),
		.act = finf_k_act(b),
	};
	finf_k_point_in(b, call, &call->args.mean.x, 0);
	finf_k_point(call, &call->args.mean.y, FINF_K_OUT, 0, 0);
	return 0;
}

int finf_k_build_global_pool(struct finf_k_build *b)
{
	bool marked[FINF_RANK_MAX] = {false};

	for (uint32_t i = 2; i < FINF_RANK_MAX; i++)
		marked[i] = true;
	return mean(b, marked);
}

int finf_k_build_reduce_mean(struct finf_k_build *b)
{
	bool marked[FINF_RANK_MAX] = {false};
	uint32_t n, axis;
	const int64_t *axes = finf_node_ints(b->node, "axes", &n);

	for (uint32_t i = 0; i < n; i++)
		if (finf_axis(axes[i], finf_k_in(b, 0)->shape.rank, &axis))
			marked[axis] = true;
	for (uint32_t i = 0; !n && i < FINF_RANK_MAX; i++)
		marked[i] = true;
	return mean(b, marked);
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
		.count = count, .step = finf_k_div(step), .act = finf_k_act(b)};
	finf_k_point_in(b, call, &call->args.softmax.x, 0);
	finf_k_point(call, &call->args.softmax.y, FINF_K_OUT, 0, 0);
	return 0;
}
