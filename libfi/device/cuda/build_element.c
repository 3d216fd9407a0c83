/* SPDX-License-Identifier: MIT */
/* cuda: launches of operators whose outputs depend on one element. */
#include <errno.h>
#include <float.h>
#include <string.h>

#include "device/cuda/node.h"
#include "graph/program.h"

static int unary(struct finf_k_build *b, struct finf_k_act first, bool bounds)
{
	unsigned n = finf_k_count(finf_k_out(b, 0));
	struct finf_k_call *call = finf_k_fours_add(b, FINF_K_FUNCTION_unary, n);

	if (!call)
		return -ENOMEM;
	b->inplace = true;
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

int finf_k_build_map(struct finf_k_build *b)
{
	static const char *const names[] = {
		[FINF_K_ABS] = "Abs",
		[FINF_K_CEIL] = "Ceil",
		[FINF_K_COS] = "Cos",
		[FINF_K_ELU] = "Elu",
		[FINF_K_ERF] = "Erf",
		[FINF_K_EXP] = "Exp",
		[FINF_K_FLOOR] = "Floor",
		[FINF_K_GELU] = "Gelu",
		[FINF_K_HARD_SIGMOID] = "HardSigmoid",
		[FINF_K_HARD_SWISH] = "HardSwish",
		[FINF_K_LOG] = "Log",
		[FINF_K_MISH] = "Mish",
		[FINF_K_NEG] = "Neg",
		[FINF_K_RECIPROCAL] = "Reciprocal",
		[FINF_K_SIN] = "Sin",
		[FINF_K_SOFTPLUS] = "Softplus",
		[FINF_K_SOFTSIGN] = "Softsign",
		[FINF_K_SQRT] = "Sqrt",
		[FINF_K_TANH] = "Tanh",
	};
	unsigned n = finf_k_count(finf_k_out(b, 0));
	unsigned function = finf_k_number(b->node->op->name, names, FINF_ARRAY_LEN(names));
	struct finf_k_call *call = finf_k_each_add(b, FINF_K_FUNCTION_map, n);

	if (!call)
		return -ENOMEM;
	if (!strcmp(finf_node_str(b->node, "approximate", "none"), "tanh"))
		function = FINF_K_GELU_TANH;
	b->inplace = true;
	b->flops = 20 * (uint64_t)n;
	call->args.map = (struct finf_map_args){
		.n = n,
		.function = function,
		.alpha = finf_node_float(b->node, "alpha", function == FINF_K_ELU ? 1 : 0.2f),
		.beta = finf_node_float(b->node, "beta", 0.5f),
		.act = finf_k_act(b),
	};
	finf_k_point_in(b, call, &call->args.map.x, 0);
	finf_k_point(call, &call->args.map.y, FINF_K_OUT, 0, 0);
	return 0;
}

/* ---- programs ----------------------------------------------------------------------- */

_Static_assert(FINF_K_CHAIN_INPUTS == FINF_PROGRAM_INPUTS &&
		       FINF_K_CHAIN_STEPS == FINF_PROGRAM_STEPS &&
		       FINF_K_CHAIN_NUMBERS == FINF_PROGRAM_NUMBERS,
	       "the kernel has room for every program");

static void put_steps(const struct finf_program *program, struct finf_chain_args *args)
{
	args->n_steps = program->n_steps;
	args->n_numbers = program->n_numbers;
	memcpy(args->numbers, program->numbers, program->n_numbers * sizeof(args->numbers[0]));
	for (uint32_t s = 0; s < program->n_steps; s++) {
		const struct finf_program_step *step = &program->steps[s];

		args->steps[s].kind = (unsigned char)step->kind;
		for (uint32_t k = 0; k < FINF_STEP_OPERANDS; k++)
			args->steps[s].in[k] = (unsigned char)(
				step->in[k] < 0 ? FINF_K_CHAIN_INPUTS + FINF_K_CHAIN_STEPS +
							  ~step->in[k]
						: step->in[k]);
	}
}

int finf_k_build_chain(struct finf_k_build *b)
{
	unsigned n = finf_k_count(finf_k_out(b, 0));
	const struct finf_value *x = finf_k_in(b, 0);
	struct finf_program program;
	struct finf_k_call *call;
	int err = finf_program_read(b->node, &program, b->diag);

	if (err)
		return err;
	call = finf_k_each_add(b, FINF_K_FUNCTION_chain, n);
	if (!call)
		return -ENOMEM;
	b->flops = 10 * (uint64_t)n * program.n_steps;
	b->inplace = x->dtype == FINF_F32 && finf_shape_equal(&x->shape, &finf_k_out(b, 0)->shape);
	call->args.chain = (struct finf_chain_args){
		.n = n, .n_in = b->node->n_in, .act = finf_k_act(b)};
	put_steps(&program, &call->args.chain);
	for (uint32_t i = 0; i < b->node->n_in; i++) {
		call->args.chain.at[i] = finf_k_walk_in(b, i);
		if (finf_k_in(b, i)->dtype == FINF_BOOL)
			call->args.chain.truth |= 1u << i;
		finf_k_point_in(b, call, &call->args.chain.x[i], i);
	}
	finf_k_point(call, &call->args.chain.y, FINF_K_OUT, 0, 0);
	return 0;
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

/* ---- quantisation --------------------------------------------------------------------- */

int finf_k_build_quantize(struct finf_k_build *b)
{
	const struct finf_value *x = finf_k_in(b, 0), *y = finf_k_out(b, 0);
	unsigned n = finf_k_count(y), step = 1, count = finf_k_count(finf_k_in(b, 1));
	struct finf_k_call *call;
	uint32_t axis;

	if (count > 1) {
		if (!finf_axis(finf_node_int(b->node, "axis", 1), x->shape.rank, &axis))
			return finf_diag_set(b->diag, -EINVAL, "its axis is out of range");
		step = finf_k_product(&x->shape, axis + 1, x->shape.rank);
	}
	call = finf_k_each_add(
		b, y->dtype == FINF_F32 ? FINF_K_FUNCTION_dequantize : FINF_K_FUNCTION_quantize, n);
	if (!call)
		return -ENOMEM;
	b->flops = 4 * (uint64_t)n;
	call->args.quantize = (struct finf_quantize_args){
		.n = n,
		.from = x->dtype,
		.to = y->dtype,
		.step = finf_k_div(step),
		.count = finf_k_div(count),
		.act = finf_k_float_act(b),
	};
	finf_k_point_in(b, call, &call->args.quantize.x, 0);
	finf_k_point_in(b, call, &call->args.quantize.scale, 1);
	finf_k_point_in(b, call, &call->args.quantize.zero, 2);
	finf_k_point(call, &call->args.quantize.y, FINF_K_OUT, 0, 0);
	return 0;
}
