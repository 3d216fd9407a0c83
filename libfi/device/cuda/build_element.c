/* SPDX-License-Identifier: MIT */
/* cuda: launches of operators whose outputs depend on one element of each operand. */
#include <errno.h>
#include <float.h>
#include <string.h>

#include "device/cuda/node.h"

/* Threads of these kernels take four elements at a time. */
static struct finf_k_call *fours_add(struct finf_k_build *b, enum finf_k_function function,
				     unsigned n)
{
	b->inplace = true;
	b->flops = n;
	return finf_k_each_add(b, function, (n + 3) / 4);
}

static int unary(struct finf_k_build *b, struct finf_k_act first, bool bounds)
{
	unsigned n = finf_k_count(finf_k_out(b, 0));
	struct finf_k_call *call = fours_add(b, FINF_K_FUNCTION_unary, n);

	if (!call)
		return -ENOMEM;
	call->args.unary = (struct finf_unary_args){.n = n, .first = first, .act = finf_k_act(b)};
	finf_k_point_in(b, call, &call->args.unary.x, 0);
	finf_k_point(call, &call->args.unary.y, FINF_K_OUT, 0, 0);
	if (bounds) {
		finf_k_point_in(b, call, &call->args.unary.low, 1);
		finf_k_point_in(b, call, &call->args.unary.high, 2);
	}
	return 0;
}

int finf_k_build_activation(struct finf_k_build *b)
{
	struct finf_k_act act = {.kind = FINF_ACT_RELU};

	if (!strcmp(b->node->op->name, "Sigmoid"))
		act.kind = FINF_ACT_SIGMOID;
	if (!strcmp(b->node->op->name, "LeakyRelu"))
		act = (struct finf_k_act){FINF_ACT_LEAKY, finf_node_float(b->node, "alpha", 0.01f),
					  0};
	return unary(b, act, false);
}

static int clip_ints(struct finf_k_build *b, enum finf_k_function function)
{
	unsigned n = finf_k_count(finf_k_out(b, 0));
	struct finf_k_call *call = finf_k_each_add(b, function, n);

	if (!call)
		return -ENOMEM;
	b->inplace = true;
	call->args.clip_i32.n = n;
	finf_k_point_in(b, call, &call->args.clip_i32.x, 0);
	finf_k_point_in(b, call, &call->args.clip_i32.low, 1);
	finf_k_point_in(b, call, &call->args.clip_i32.high, 2);
	finf_k_point(call, &call->args.clip_i32.y, FINF_K_OUT, 0, 0);
	return 0;
}

int finf_k_build_clip(struct finf_k_build *b)
{
	struct finf_k_act clip = {FINF_ACT_CLIP, finf_node_float(b->node, "min", -FLT_MAX),
				  finf_node_float(b->node, "max", FLT_MAX)};

	switch (finf_k_in(b, 0)->dtype) {
	case FINF_I32:
		return clip_ints(b, FINF_K_FUNCTION_clip_i32);
	case FINF_I64:
		return clip_ints(b, FINF_K_FUNCTION_clip_i64);
	default:
		return unary(b, clip, true);
	}
}

/* What only renames bytes, where an alias cannot be had. */
int finf_k_build_copy(struct finf_k_build *b)
{
	const struct finf_value *y = finf_k_out(b, 0);
	unsigned n = finf_k_count(y);
	struct finf_k_call *call;

	if (y->dtype == FINF_F32)
		return unary(b, (struct finf_k_act){0}, false);
	call = finf_k_each_add(b, FINF_K_FUNCTION_rows, n);
	if (!call)
		return -ENOMEM;
	call->args.rows = (struct finf_rows_args){
		.n = n, .each = (unsigned)finf_dtype_bytes(y->dtype), .length = finf_k_div(n)};
	finf_k_point_in(b, call, &call->args.rows.x, 0);
	finf_k_point(call, &call->args.rows.y, FINF_K_OUT, 0, 0);
	return 0;
}

/* ---- arithmetic ------------------------------------------------------------------- */

static unsigned arith_op(const char *op)
{
	return !strcmp(op, "Add")   ? FINF_K_ADD
	       : !strcmp(op, "Sub") ? FINF_K_SUB
	       : !strcmp(op, "Mul") ? FINF_K_MUL
				    : FINF_K_DIV;
}

static int flat(struct finf_k_build *b, unsigned op, unsigned n, bool b_is_one)
{
	struct finf_k_call *call = fours_add(b, FINF_K_FUNCTION_flat, n);

	if (!call)
		return -ENOMEM;
	call->args.flat = (struct finf_flat_args){
		.n = n, .op = op, .b_is_one = b_is_one, .act = finf_k_act(b)};
	finf_k_point_in(b, call, &call->args.flat.a, 0);
	finf_k_point_in(b, call, &call->args.flat.b, 1);
	finf_k_point(call, &call->args.flat.y, FINF_K_OUT, 0, 0);
	return 0;
}

static int broadcast(struct finf_k_build *b, unsigned op, enum finf_k_function function)
{
	const struct finf_shape *y = &finf_k_out(b, 0)->shape;
	int64_t step_a[FINF_RANK_MAX], step_b[FINF_RANK_MAX];
	struct finf_k_box box = {0};
	unsigned n = finf_k_count(finf_k_out(b, 0));
	struct finf_k_call *call = finf_k_each_add(b, function, n);

	if (!call)
		return -ENOMEM;
	finf_k_broadcast(&finf_k_in(b, 0)->shape, y, step_a);
	finf_k_broadcast(&finf_k_in(b, 1)->shape, y, step_b);
	for (uint32_t i = 0; i < y->rank; i++)
		finf_k_box_add(&box, y->dim[i], step_a[i], step_b[i]);
	b->flops = n;
	call->args.binary = (struct finf_binary_args){
		.n = n,
		.op = op,
		.at_a = finf_k_box_walk(&box, 0),
		.at_b = finf_k_box_walk(&box, 1),
	};
	if (function == FINF_K_FUNCTION_binary)
		call->args.binary.act = finf_k_act(b);
	finf_k_point_in(b, call, &call->args.binary.a, 0);
	finf_k_point_in(b, call, &call->args.binary.b, 1);
	finf_k_point(call, &call->args.binary.y, FINF_K_OUT, 0, 0);
	return 0;
}

int finf_k_build_arith(struct finf_k_build *b)
{
	const struct finf_value *left = finf_k_in(b, 0), *right = finf_k_in(b, 1);
	const struct finf_value *y = finf_k_out(b, 0);
	unsigned op = arith_op(b->node->op->name), n = finf_k_count(y);

	if (y->dtype != FINF_F32 && op == FINF_K_DIV)
		return finf_diag_set(b->diag, -EOPNOTSUPP,
				     "the CUDA device divides no integers: it could not "
				     "report a division by 0");
	if (y->dtype != FINF_F32)
		return broadcast(b, op,
				 y->dtype == FINF_I32 ? FINF_K_FUNCTION_binary_i32
						      : FINF_K_FUNCTION_binary_i64);
	if (finf_k_count(left) == n && (finf_k_count(right) == n || finf_k_count(right) == 1))
		return flat(b, op, n, finf_k_count(right) != n);
	return broadcast(b, op, FINF_K_FUNCTION_binary);
}

/* ---- the others --------------------------------------------------------------------- */

int finf_k_build_batchnorm(struct finf_k_build *b)
{
	const struct finf_value *y = finf_k_out(b, 0);
	uint32_t spatial = FINF_MIN(y->shape.rank, 2u);
	unsigned n = finf_k_count(y);
	struct finf_k_call *call = finf_k_each_add(b, FINF_K_FUNCTION_batchnorm, n);

	if (!call)
		return -ENOMEM;
	b->inplace = true;
	b->flops = 2 * (uint64_t)n;
	call->args.batchnorm = (struct finf_batchnorm_args){
		.n = n,
		.epsilon = finf_node_float(b->node, "epsilon", 1e-5f),
		.plane = finf_k_div(finf_k_product(&y->shape, spatial, y->shape.rank)),
		.channels = finf_k_div(spatial < 2 ? 1 : (unsigned)y->shape.dim[1]),
		.act = finf_k_act(b),
	};
	finf_k_point_in(b, call, &call->args.batchnorm.x, 0);
	finf_k_point_in(b, call, &call->args.batchnorm.scale, 1);
	finf_k_point_in(b, call, &call->args.batchnorm.bias, 2);
	finf_k_point_in(b, call, &call->args.batchnorm.mean, 3);
	finf_k_point_in(b, call, &call->args.batchnorm.var, 4);
	finf_k_point(call, &call->args.batchnorm.y, FINF_K_OUT, 0, 0);
	return 0;
}

int finf_k_build_cast(struct finf_k_build *b)
{
	const struct finf_value *x = finf_k_in(b, 0), *y = finf_k_out(b, 0);
	unsigned n = finf_k_count(y);
	struct finf_k_call *call;

	if (x->dtype == y->dtype)
		return finf_k_build_copy(b);
	call = finf_k_each_add(b, FINF_K_FUNCTION_cast, n);
	if (!call)
		return -ENOMEM;
	call->args.cast = (struct finf_cast_args){.n = n, .from = x->dtype, .to = y->dtype};
	finf_k_point_in(b, call, &call->args.cast.x, 0);
	finf_k_point(call, &call->args.cast.y, FINF_K_OUT, 0, 0);
	return 0;
}
