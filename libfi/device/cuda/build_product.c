/* SPDX-License-Identifier: MIT */
/* cuda: launches of matrix products, attention and convolutions. */
#include <errno.h>
#include <limits.h>

#include "device/cuda/node.h"
#include "graph/op/attention.h"

#define DOT_ROWS_MAX  4	  /* up to here rows are multiplied one by one, at the speed of memory */
#define DOT_WARPS     8	  /* of a block */
#define FEW_CHANNELS  16  /* a group with fewer outputs leaves most of a tile empty */
#define BLOCKS_WANTED 128 /* a product with fewer tiles is split along its sum */
#define SPLIT_LEAST   128 /* steps of the sum that are worth a block */
#define SPLITS_MAX    32

enum { X, W, B, Z }; /* Z: what is added to each output, of FusedConv and FusedMatMul */

static unsigned tiles_of(unsigned n)
{
	return (n + FINF_K_TILE - 1) / FINF_K_TILE;
}

/* ---- matrices ----------------------------------------------------------------------- */

/* The launch of a product whose sizes and strides are in @args; its pointers are the caller's. */
static struct finf_k_call *product_add(struct finf_k_build *b, const struct finf_gemm_args *args,
				       unsigned matrices)
{
	bool dot = args->b_inner == 1 && args->m <= DOT_ROWS_MAX;
	unsigned cols = tiles_of(args->n), rows = tiles_of(args->m);
	struct finf_k_call *call;

	if (dot) {
		cols = (args->m * args->n + DOT_WARPS - 1) / DOT_WARPS;
		rows = 1;
	}
	call = finf_k_call_add(b, dot ? FINF_K_FUNCTION_dot : FINF_K_FUNCTION_gemm,
			       matrices * rows * cols, FINF_K_THREADS);
	if (!call)
		return NULL;
	b->flops = 2 * (uint64_t)matrices * args->m * args->n * args->k;
	call->args.gemm = *args;
	call->args.gemm.col_tiles = finf_k_div(cols);
	call->args.gemm.row_tiles = finf_k_div(rows);
	call->args.gemm.cols = finf_k_div(args->n);
	return call;
}

/* The same for output 0; the factors are inputs 0 and 1. */
static int product(struct finf_k_build *b, const struct finf_gemm_args *args, unsigned matrices)
{
	struct finf_k_call *call = product_add(b, args, matrices);

	if (!call)
		return -ENOMEM;
	call->args.gemm.act = finf_k_act(b);
	finf_k_point_in(b, call, &call->args.gemm.a, 0);
	finf_k_point_in(b, call, &call->args.gemm.b, 1);
	finf_k_point(call, &call->args.gemm.y, FINF_K_OUT, 0, 0);
	finf_k_point_in(b, call, &call->args.gemm.c, 2);
	finf_k_point_in(b, call, &call->args.gemm.z, Z);
	b->inplace_last = finf_k_in(b, Z) && !finf_k_in(b, Z)->is_const;
	return 0;
}

int finf_k_build_gemm(struct finf_k_build *b)
{
	const struct finf_shape *a = &finf_k_in(b, 0)->shape, *y = &finf_k_out(b, 0)->shape;
	bool ta = finf_node_int(b->node, "transA", 0), tb = finf_node_int(b->node, "transB", 0);
	struct finf_gemm_args args = {
		.m = (unsigned)y->dim[0],
		.n = (unsigned)y->dim[1],
		.k = (unsigned)a->dim[!ta],
		.alpha = finf_node_float(b->node, "alpha", 1),
		.beta = finf_node_float(b->node, "beta", 1),
	};
	int64_t step[FINF_RANK_MAX] = {0};

	args.a_row = ta ? 1 : (int)args.k;
	args.a_inner = ta ? (int)args.m : 1;
	args.b_inner = tb ? 1 : (int)args.n;
	args.b_col = tb ? (int)args.k : 1;
	if (finf_k_in(b, 2))
		finf_k_broadcast(&finf_k_in(b, 2)->shape, y, step);
	args.c_row = (int)step[0];
	args.c_col = (int)step[1];
	return product(b, &args, 1);
}

/* Dimensions in front of a factor's matrix; a vector has none. */
static struct finf_shape stack_of(const struct finf_shape *shape)
{
	struct finf_shape stack = *shape;

	stack.rank = shape->rank < 2 ? 0 : shape->rank - 2;
	return stack;
}

/* Where the addend of each matrix begins, and how it goes on within; none: zeros. */
static void addend(const struct finf_k_build *b, const struct finf_shape *stack,
		   struct finf_gemm_args *args)
{
	const struct finf_value *c = finf_k_in(b, 2);
	int64_t step[FINF_RANK_MAX];
	struct finf_k_box box = {0};

	if (!c)
		return;
	finf_k_broadcast(&c->shape, &finf_k_out(b, 0)->shape, step);
	args->beta = 1;
	args->c_row = (int)step[stack->rank];
	args->c_col = (int)step[stack->rank + 1];
	for (uint32_t i = 0; i < stack->rank; i++)
		finf_k_box_add(&box, stack->dim[i], step[i], 0);
	args->at_c = finf_k_box_walk(&box, 0);
}

/* Is it the same for every row of every matrix? */
static bool is_row(const struct finf_value *c)
{
	return !c || !c->shape.rank || finf_k_product(&c->shape, 0, c->shape.rank - 1) == 1;
}

/* The addend may make the result larger than the product, which is repeated then. */
static void repeat(const struct finf_k_build *b, struct finf_shape *stack,
		   struct finf_gemm_args *args)
{
	const struct finf_shape *y = &finf_k_out(b, 0)->shape;
	unsigned m = (unsigned)y->dim[y->rank - 2], n = (unsigned)y->dim[y->rank - 1];

	*stack = stack_of(y);
	args->a_row = args->m == m ? args->a_row : 0;
	args->b_col = args->n == n ? args->b_col : 0;
	args->m = m;
	args->n = n;
}

int finf_k_build_matmul(struct finf_k_build *b)
{
	const struct finf_shape *a = &finf_k_in(b, 0)->shape, *x = &finf_k_in(b, 1)->shape;
	struct finf_shape stack_a = stack_of(a), stack_b = stack_of(x), stack;
	int64_t step_a[FINF_RANK_MAX], step_b[FINF_RANK_MAX];
	struct finf_gemm_args args = {
		.alpha = finf_node_float(b->node, "alpha", 1), .a_inner = 1, .b_col = 1};
	struct finf_k_box box = {0};
	unsigned matrices, rows;

	args.m = rows = a->rank < 2 ? 1 : (unsigned)a->dim[a->rank - 2];
	args.k = (unsigned)a->dim[a->rank - 1];
	args.n = x->rank < 2 ? 1 : (unsigned)x->dim[x->rank - 1];
	args.a_row = (int)args.k;
	args.b_inner = (int)args.n;
	if (finf_broadcast(&stack_a, &stack_b, &stack))
		return finf_diag_set(b->diag, -EINVAL, "its factors do not multiply");
	if (finf_k_in(b, 2))
		repeat(b, &stack, &args);
	matrices = finf_k_product(&stack, 0, stack.rank);
	addend(b, &stack, &args);
	/* One right factor for a whole stack: its rows are rows of one matrix. */
	if (finf_k_product(&stack_b, 0, stack_b.rank) == 1 && is_row(finf_k_in(b, 2))) {
		args.m *= matrices;
		return product(b, &args, 1);
	}
	finf_k_broadcast(&stack_a, &stack, step_a);
	finf_k_broadcast(&stack_b, &stack, step_b);
	for (uint32_t i = 0; i < stack.rank; i++)
		finf_k_box_add(&box, stack.dim[i], step_a[i] * rows * args.k,
			       step_b[i] * args.k * args.b_inner);
	args.at_a = finf_k_box_walk(&box, 0);
	args.at_b = finf_k_box_walk(&box, 1);
	return product(b, &args, matrices);
}

/* ---- attention -------------------------------------------------------------------------- */

static struct finf_k_walk matrices_at(const struct finf_attention *a,
				      const struct finf_attention_side *side)
{
	struct finf_k_box box = {0};

	for (uint32_t i = 0; i < a->rank; i++)
		finf_k_box_add(&box, a->stack[i], side->stack[i], 0);
	return finf_k_box_walk(&box, 0);
}

static struct finf_attention_args attention_args(struct finf_k_build *b,
						 const struct finf_attention *a)
{
	return (struct finf_attention_args){
		.cols = (unsigned)a->cols,
		.depth = (unsigned)a->depth,
		.width = (unsigned)a->width,
		.alpha = a->alpha,
		.q_row = (int)a->q.outer,
		.q_inner = (int)a->q.inner,
		.k_inner = (int)a->k.outer,
		.k_col = (int)a->k.inner,
		.mask_row = (int)a->mask.outer,
		.mask_col = (int)a->mask.inner,
		.v_inner = (int)a->v.outer,
		.v_col = (int)a->v.inner,
		.y_row = (int)a->y.outer,
		.y_col = (int)a->y.inner,
		.rows = finf_k_div((unsigned)a->rows),
		.at_q = matrices_at(a, &a->q),
		.at_k = matrices_at(a, &a->k),
		.at_v = matrices_at(a, &a->v),
		.at_mask = matrices_at(a, &a->mask),
		.at_y = matrices_at(a, &a->y),
		.act = finf_k_act(b),
	};
}

int finf_k_build_attention(struct finf_k_build *b)
{
	const struct finf_shape *const in[] = {&finf_k_in(b, 0)->shape, &finf_k_in(b, 1)->shape,
					       &finf_k_in(b, 2)->shape,
					       finf_k_in(b, 3) ? &finf_k_in(b, 3)->shape : NULL};
	struct finf_attention_args *args;
	struct finf_k_call *call;
	struct finf_attention a;
	unsigned rows;

	if (finf_attention_init(b->node, in, &finf_k_out(b, 0)->shape, &a))
		return finf_diag_set(b->diag, -EINVAL, "its shapes contradict");
	rows = (unsigned)(finf_attention_matrices(&a) * a.rows);
	call = finf_k_call_add(b, FINF_K_FUNCTION_attention, rows,
			       finf_k_reduce_threads((unsigned)FINF_MAX(a.cols, a.width)));
	if (!call)
		return -ENOMEM;
	b->flops = 2 * (uint64_t)rows * (uint64_t)a.cols * (uint64_t)(2 * a.depth + a.width);
	args = &call->args.attention;
	*args = attention_args(b, &a);
	finf_k_point_in(b, call, &args->q, 0);
	finf_k_point_in(b, call, &args->k, 1);
	finf_k_point_in(b, call, &args->v, 2);
	finf_k_point_in(b, call, &args->mask, 3);
	finf_k_point(call, &args->y, FINF_K_OUT, 0, 0);
	return 0;
}

/* ---- convolution ------------------------------------------------------------------------ */

static void operands(const struct finf_k_build *b, struct finf_k_call *call, const void *x,
		     const void *w)
{
	finf_k_point_in(b, call, x, X);
	finf_k_point_in(b, call, w, W);
}

static int direct(struct finf_k_build *b, const struct finf_window *win, unsigned group_out)
{
	struct finf_shape planes = finf_k_planes(&finf_k_in(b, 0)->shape), *x = &planes;
	const struct finf_shape *w = &finf_k_in(b, 1)->shape;
	unsigned n = finf_k_count(finf_k_out(b, 0));
	struct finf_k_call *call = finf_k_each_add(b, FINF_K_FUNCTION_conv_direct, n);
	struct finf_conv_direct_args *args;

	if (!call)
		return -ENOMEM;
	args = &call->args.conv_direct;
	*args = (struct finf_conv_direct_args){
		.n = n,
		.channels = (unsigned)x->dim[1],
		.rows = (unsigned)x->dim[2],
		.cols = (unsigned)x->dim[3],
		.group_in = (unsigned)w->dim[1],
		.out_cols = finf_k_div((unsigned)win->out[1]),
		.out_rows = finf_k_div((unsigned)win->out[0]),
		.out_channels = finf_k_div((unsigned)w->dim[0]),
		.group_out = finf_k_div(group_out),
		.act = finf_k_act(b),
	};
	for (int i = 0; i < 2; i++) {
		args->taps[i] = (unsigned)win->kernel[i];
		args->stride[i] = (int)win->stride[i];
		args->dilation[i] = (int)win->dilation[i];
		args->pad[i] = (int)win->pad_begin[i];
	}
	operands(b, call, &args->x, &args->w);
	finf_k_point_in(b, call, &args->bias, B);
	finf_k_point_in(b, call, &args->z, Z);
	finf_k_point(call, &args->y, FINF_K_OUT, 0, 0);
	return 0;
}

/* The second launch of a split convolution. */
static int conv_sum(struct finf_k_build *b, unsigned splits)
{
	const struct finf_shape *y = &finf_k_out(b, 0)->shape;
	unsigned n = finf_k_count(finf_k_out(b, 0));
	struct finf_k_call *call = finf_k_each_add(b, FINF_K_FUNCTION_conv_sum, n);

	if (!call)
		return -ENOMEM;
	b->workspace_bytes = (uint64_t)splits * n * sizeof(float);
	call->args.conv_sum = (struct finf_conv_sum_args){
		.n = n,
		.splits = splits,
		.plane = finf_k_div(finf_k_product(y, 2, y->rank)),
		.channels = finf_k_div((unsigned)y->dim[1]),
		.act = finf_k_act(b),
	};
	finf_k_point(call, &call->args.conv_sum.partial, FINF_K_WORKSPACE, 0, 0);
	finf_k_point_in(b, call, &call->args.conv_sum.bias, B);
	finf_k_point_in(b, call, &call->args.conv_sum.z, Z);
	finf_k_point(call, &call->args.conv_sum.y, FINF_K_OUT, 0, 0);
	return 0;
}

static unsigned splits_of(unsigned tiles, unsigned inner)
{
	unsigned splits = FINF_MIN(BLOCKS_WANTED / tiles, inner / SPLIT_LEAST);

	return FINF_MAX(1u, FINF_MIN(splits, SPLITS_MAX));
}

static int tiled(struct finf_k_build *b, const struct finf_window *win, unsigned groups,
		 unsigned group_out)
{
	struct finf_shape planes = finf_k_planes(&finf_k_in(b, 0)->shape), *x = &planes;
	const struct finf_shape *w = &finf_k_in(b, 1)->shape;
	unsigned inner = finf_k_product(w, 1, w->rank), n = finf_k_count(finf_k_out(b, 0));
	unsigned pixels = n / (groups * group_out);
	unsigned tiles = groups * tiles_of(group_out) * tiles_of(pixels);
	unsigned splits = splits_of(tiles, inner);
	unsigned share = (unsigned)finf_align_up(inner / splits + 1, FINF_K_DEPTH);
	struct finf_k_call *call;
	struct finf_conv_args *args;

	splits = FINF_MAX(1u, (inner + share - 1) / share);
	call = finf_k_call_add(b, FINF_K_FUNCTION_conv, splits * tiles, FINF_K_THREADS);
	if (!call)
		return -ENOMEM;
	args = &call->args.conv;
	*args = (struct finf_conv_args){
		.channels = (unsigned)x->dim[1],
		.rows = (unsigned)x->dim[2],
		.cols = (unsigned)x->dim[3],
		.group_in = (unsigned)w->dim[1],
		.group_out = group_out,
		.inner = inner,
		.pixels = pixels,
		.outputs = n,
		.split_inner = share,
		.col_tiles = finf_k_div(tiles_of(pixels)),
		.row_tiles = finf_k_div(tiles_of(group_out)),
		.groups = finf_k_div(groups),
		.out_plane = finf_k_div((unsigned)(win->out[0] * win->out[1])),
		.out_cols = finf_k_div((unsigned)win->out[1]),
		.taps = finf_k_div((unsigned)(win->kernel[0] * win->kernel[1])),
		.tap_cols = finf_k_div((unsigned)win->kernel[1]),
	};
	for (int i = 0; i < 2; i++) {
		args->stride[i] = (int)win->stride[i];
		args->dilation[i] = (int)win->dilation[i];
		args->pad[i] = (int)win->pad_begin[i];
	}
	operands(b, call, &args->x, &args->w);
	if (splits > 1) {
		finf_k_point(call, &args->partial, FINF_K_WORKSPACE, 0, 0);
		return conv_sum(b, splits);
	}
	args->act = finf_k_act(b);
	finf_k_point_in(b, call, &args->bias, B);
	finf_k_point_in(b, call, &args->z, Z);
	finf_k_point(call, &args->y, FINF_K_OUT, 0, 0);
	return 0;
}

int finf_k_build_conv(struct finf_k_build *b)
{
	const struct finf_shape *w = &finf_k_in(b, 1)->shape;
	unsigned groups = (unsigned)finf_node_int(b->node, "group", 1);
	unsigned group_out = (unsigned)w->dim[0] / groups;
	struct finf_window win;
	int err = finf_k_window(b, &w->dim[2], &win);

	if (err)
		return err;
	b->flops = 2 * (uint64_t)finf_k_count(finf_k_out(b, 0)) * finf_k_product(w, 1, w->rank);
	b->inplace_last = finf_k_in(b, Z) && !finf_k_in(b, Z)->is_const;
	return group_out < FEW_CHANNELS ? direct(b, &win, group_out)
					: tiled(b, &win, groups, group_out);
}

/* ---- transposed convolution -------------------------------------------------------------- */

/*
 * What each tap brings from each cell, for all images and groups: weights
 * [inputs, outputs, taps] transposed times the cells of the inputs.
 */
static int spread(struct finf_k_build *b, unsigned groups, struct finf_deconv_args *args)
{
	const struct finf_shape *x = &finf_k_in(b, 0)->shape, *w = &finf_k_in(b, 1)->shape;
	unsigned rows = (unsigned)w->dim[1] * args->kernel, images = (unsigned)x->dim[0];
	struct finf_gemm_args gemm = {
		.m = rows,
		.n = args->cells,
		.k = args->group_in,
		.a_row = 1,
		.a_inner = (int)rows,
		.b_inner = (int)args->cells,
		.b_col = 1,
		.alpha = 1,
	};
	struct finf_k_box box = {0};
	struct finf_k_call *call;
	int64_t group_x = (int64_t)args->group_in * args->cells;

	finf_k_box_add(&box, images, 0, groups * group_x);
	finf_k_box_add(&box, groups, (int64_t)args->group_in * rows, group_x);
	gemm.at_a = finf_k_box_walk(&box, 0);
	gemm.at_b = finf_k_box_walk(&box, 1);
	call = product_add(b, &gemm, images * groups);
	if (!call)
		return -ENOMEM;
	b->workspace_bytes = (uint64_t)images * groups * rows * args->cells * sizeof(float);
	finf_k_point_in(b, call, &call->args.gemm.a, 1);
	finf_k_point_in(b, call, &call->args.gemm.b, 0);
	finf_k_point(call, &call->args.gemm.y, FINF_K_WORKSPACE, 0, 0);
	return 0;
}

static int check_window(const struct finf_k_build *b, const struct finf_window *w)
{
	for (uint32_t i = 0; i < w->n; i++)
		if (w->stride[i] > INT_MAX || w->pad_begin[i] > INT_MAX / 2 ||
		    w->kernel[i] * w->dilation[i] > INT_MAX / 2)
			return finf_diag_set(b->diag, -EOPNOTSUPP,
					     "a stride, a pad or the window is too large");
	return 0;
}

int finf_k_build_deconv(struct finf_k_build *b)
{
	const struct finf_shape *x = &finf_k_in(b, 0)->shape, *w = &finf_k_in(b, 1)->shape;
	const struct finf_shape *y = &finf_k_out(b, 0)->shape;
	unsigned groups = (unsigned)finf_node_int(b->node, "group", 1);
	struct finf_deconv_args args = {
		.n = finf_k_count(finf_k_out(b, 0)),
		.group_in = (unsigned)x->dim[1] / groups,
		.cells = finf_k_product(x, 2, x->rank),
		.kernel = finf_k_product(w, 2, w->rank),
		.out_channels = finf_k_div((unsigned)y->dim[1]),
		.group_out = finf_k_div((unsigned)w->dim[1]),
		.act = finf_k_act(b),
	};
	bool direct = args.group_in < FEW_CHANNELS;
	struct finf_k_call *call;
	struct finf_window win;
	int err =
		finf_window_transposed(b->node, x->rank - 2, &w->dim[2], &x->dim[2], &win, b->diag);

	if (!err)
		err = check_window(b, &win);
	if (!err && !direct)
		err = spread(b, groups, &args);
	if (err)
		return err;
	win = finf_window_volume(&win);
	for (int i = 0; i < 3; i++) {
		args.in[i] = (unsigned)win.in[i];
		args.taps[i] = (unsigned)win.kernel[i];
		args.dilation[i] = (unsigned)win.dilation[i];
		args.pad[i] = (int)win.pad_begin[i];
		args.out[i] = finf_k_div((unsigned)win.out[i]);
		args.stride[i] = finf_k_div((unsigned)win.stride[i]);
	}
	call = finf_k_each_add(b, FINF_K_FUNCTION_deconv, args.n);
	if (!call)
		return -ENOMEM;
	b->flops = 2 * (uint64_t)finf_k_count(finf_k_in(b, 0)) * finf_k_product(w, 1, w->rank);
	call->args.deconv = args;
	if (direct)
		operands(b, call, &call->args.deconv.x, &call->args.deconv.w);
	else
		finf_k_point(call, &call->args.deconv.products, FINF_K_WORKSPACE, 0, 0);
	finf_k_point_in(b, call, &call->args.deconv.bias, 2);
	finf_k_point(call, &call->args.deconv.y, FINF_K_OUT, 0, 0);
	return 0;
}
