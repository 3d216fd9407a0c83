/* SPDX-License-Identifier: MIT */
/*
 * FusedElementwise: a program of elementwise steps (program.h) over inputs that broadcast
 * together. Not of ONNX: the passes make it of chains of elementwise nodes.
 */
#include <errno.h>

#include "graph/op/compute.h"
#include "graph/op/move.h"
#include "graph/program.h"

static int infer_shape(struct finf_infer *ctx)
{
	struct finf_shape all = {0};

	for (uint32_t i = 0; i < ctx->node->n_in; i++) {
		if (!ctx->in_has_shape[i])
			return 0;
		if (finf_broadcast(&all, &ctx->in[i]->shape, &all))
			return finf_diag_set(ctx->diag, -EINVAL,
					     "input %u does not broadcast to those before it", i);
	}
	ctx->out[0].shape = all;
	ctx->out_has_shape[0] = true;
	return 0;
}

static int infer(struct finf_infer *ctx)
{
	struct finf_program program;
	int err = finf_program_read(ctx->node, &program, ctx->diag);

	for (uint32_t i = 0; !err && i < ctx->node->n_in; i++)
		if (!ctx->in[i])
			err = finf_diag_set(ctx->diag, -EINVAL, "input %u is missing", i);
		else if (ctx->in[i]->dtype != FINF_F32 && ctx->in[i]->dtype != FINF_BOOL)
			err = finf_diag_set(ctx->diag, -EOPNOTSUPP,
					    "input %u is %s, not float32 or bool", i,
					    finf_dtype_name(ctx->in[i]->dtype));
	if (err)
		return err;
	ctx->out[0].dtype = FINF_F32;
	return infer_shape(ctx);
}

/* All that operands can be: inputs, then steps; numbers go by their own index. */
struct values {
	float of[FINF_PROGRAM_INPUTS + FINF_PROGRAM_STEPS];
};

static double operand(const struct finf_program *program, const struct values *values, int at)
{
	return (double)(at < 0 ? program->numbers[~at] : values->of[at]);
}

static float run(const struct finf_program *program, struct values *values)
{
	float *y = values->of + FINF_PROGRAM_INPUTS;

	for (uint32_t s = 0; s < program->n_steps; s++) {
		const struct finf_program_step *step = &program->steps[s];

		y[s] = (float)finf_step_eval(step->kind, operand(program, values, step->in[0]),
					     operand(program, values, step->in[1]),
					     operand(program, values, step->in[2]));
	}
	return y[program->n_steps - 1];
}

static int eval(const struct finf_node *node, const struct finf_tensor *const *in,
		struct finf_tensor *const *out)
{
	size_t n = finf_dims_product(&out[0]->shape, 0, out[0]->shape.rank);
	struct finf_walk walk[FINF_PROGRAM_INPUTS];
	struct values values = {{0}};
	struct finf_program program;
	int err = finf_program_read(node, &program, NULL);

	if (err)
		return err;
	for (uint32_t k = 0; k < node->n_in; k++)
		finf_walk_over(&walk[k], &in[k]->shape, &out[0]->shape);
	for (size_t i = 0; i < n; i++) {
		for (uint32_t k = 0; k < node->n_in; k++) {
			const void *x = in[k]->data;

			values.of[k] = in[k]->dtype == FINF_F32
					       ? ((const float *)x)[walk[k].offset]
					       : ((const uint8_t *)x)[walk[k].offset] != 0;
			finf_walk_next(&walk[k]);
		}
		((float *)out[0]->data)[i] = run(&program, &values);
	}
	return 0;
}

static const struct finf_attr_spec attrs[] = {
	{.name = "numbers", .type = FINF_ATTR_FLOATS},
	{.name = "program", .type = FINF_ATTR_INTS, .required = true},
	{0},
};

const struct finf_op finf_op_fusedelementwise = {
	.name = "FusedElementwise",
	.opset_min = FINF_OPSET_OWN,
	.opset_max = FINF_OPSET_OWN,
	.min_in = 1,
	.max_in = FINF_PROGRAM_INPUTS,
	.min_out = 1,
	.max_out = 1,
	.attrs = attrs,
	.infer = infer,
	.eval = eval,
};
