/* SPDX-License-Identifier: MIT */
/* graph: programs of elementwise steps - read and checked, written, made of nodes. */
#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "graph/program.h"

#define STEP_INTS (1 + FINF_STEP_OPERANDS)

static const struct {
	const char *name;
	uint32_t n_in;
} kinds[FINF_STEPS] = {
#define FINF_STEP(name, n_in, expression) {#name, n_in},
#include "graph/step.def"
#undef FINF_STEP
};

uint32_t finf_step_operands(enum finf_step_kind kind)
{
	return kinds[kind].n_in;
}

/* ---- what steps mean --------------------------------------------------------------- */

static double clip(double x, double low, double high)
{
	double v = x < low ? low : x;

	return v > high ? high : v;
}

static double unit(double x)
{
	return clip(x, 0, 1);
}

static double softplus(double x)
{
	return (x > 0 ? x : 0) + log1p(exp(-fabs(x)));
}

double finf_step_eval(enum finf_step_kind kind, double x, double y, double z)
{
	switch (kind) {
#define FINF_STEP(name, n_in, expression)                                                          \
	case FINF_STEP_##name:                                                                     \
		return expression;
#include "graph/step.def"
#undef FINF_STEP
	default:
		return NAN;
	}
}

/* ---- attributes --------------------------------------------------------------------- */

static int read_operand(const struct finf_program *program, uint32_t n_in, uint32_t s, int64_t v,
			int *ret, struct finf_diag *diag)
{
	bool input = v >= 0 && v < n_in;
	bool step = v >= FINF_PROGRAM_INPUTS && v < FINF_PROGRAM_INPUTS + (int64_t)s;
	bool number = v < 0 && v >= -(int64_t)program->n_numbers;

	if (!input && !step && !number)
		return finf_diag_set(diag, -EINVAL,
				     "step %" PRIu32 ": operand %" PRId64
				     " is no input, earlier step or number",
				     s, v);
	*ret = (int)v;
	return 0;
}

static int read_step(struct finf_program *program, uint32_t n_in, uint32_t s, const int64_t *ints,
		     struct finf_diag *diag)
{
	struct finf_program_step *step = &program->steps[s];
	int err = 0;

	if (ints[0] < 0 || ints[0] >= FINF_STEPS)
		return finf_diag_set(diag, -EINVAL, "step %" PRIu32 ": there is no kind %" PRId64,
				     s, ints[0]);
	*step = (struct finf_program_step){.kind = (enum finf_step_kind)ints[0]};
	for (uint32_t k = 0; k < FINF_STEP_OPERANDS && !err; k++)
		if (k < finf_step_operands(step->kind))
			err = read_operand(program, n_in, s, ints[1 + k], &step->in[k], diag);
		else if (ints[1 + k])
			err = finf_diag_set(diag, -EINVAL,
					    "step %" PRIu32 ": %s has no operand %" PRIu32, s,
					    kinds[step->kind].name, k);
	return err;
}

int finf_program_read(const struct finf_node *node, struct finf_program *ret,
		      struct finf_diag *diag)
{
	const struct finf_attr *numbers = finf_node_attr(node, "numbers");
	uint32_t n;
	const int64_t *ints = finf_node_ints(node, "program", &n);
	int err = 0;

	if (!n || n % STEP_INTS || n / STEP_INTS > FINF_PROGRAM_STEPS)
		return finf_diag_set(diag, -EINVAL,
				     "a program of %" PRIu32 " integers, not 1 to %d steps of %d",
				     n, FINF_PROGRAM_STEPS, STEP_INTS);
	ret->n_steps = n / STEP_INTS;
	ret->n_numbers = numbers && numbers->type == FINF_ATTR_FLOATS ? numbers->n : 0;
	if (ret->n_numbers > FINF_PROGRAM_NUMBERS)
		return finf_diag_set(diag, -EINVAL, "%" PRIu32 " numbers, at most %d are allowed",
				     ret->n_numbers, FINF_PROGRAM_NUMBERS);
	if (ret->n_numbers)
		memcpy(ret->numbers, numbers->floats, ret->n_numbers * sizeof(ret->numbers[0]));
	for (uint32_t s = 0; s < ret->n_steps && !err; s++)
		err = read_step(ret, FINF_MIN(node->n_in, FINF_PROGRAM_INPUTS), s,
				ints + (size_t)s * STEP_INTS, diag);
	return err;
}

int finf_program_attrs(const struct finf_program *program, struct finf_arena *arena,
		       struct finf_attr **ret_attrs, uint32_t *ret_n)
{
	struct finf_attr *attrs = finf_arena_array(arena, 2, sizeof(*attrs));
	uint32_t n = program->n_steps * STEP_INTS;
	int64_t *ints = finf_arena_array(arena, n, sizeof(*ints));
	const float *numbers = finf_arena_dup(arena, program->numbers,
					      program->n_numbers * sizeof(program->numbers[0]));

	if (!attrs || !ints || !numbers)
		return -ENOMEM;
	for (uint32_t s = 0; s < program->n_steps; s++) {
		ints[s * STEP_INTS] = program->steps[s].kind;
		for (uint32_t k = 0; k < FINF_STEP_OPERANDS; k++)
			ints[s * STEP_INTS + 1 + k] = program->steps[s].in[k];
	}
	attrs[0] = (struct finf_attr){
		.name = "program", .type = FINF_ATTR_INTS, .n = n, .ints = ints};
	attrs[1] = (struct finf_attr){.name = "numbers",
				      .type = FINF_ATTR_FLOATS,
				      .n = program->n_numbers,
				      .floats = numbers};
	*ret_attrs = attrs;
	*ret_n = program->n_numbers ? 2 : 1;
	return 0;
}

/* ---- nodes as steps -------------------------------------------------------------------- */

/* Operators that are one step, or of many operands one step for each after the first. */
static const struct {
	const char *op;
	enum finf_step_kind kind;
} steps_of[] = {
	{"Abs", FINF_STEP_ABS},
	{"Add", FINF_STEP_ADD},
	{"And", FINF_STEP_AND},
	{"Ceil", FINF_STEP_CEIL},
	{"Clip", FINF_STEP_CLIP},
	{"Cos", FINF_STEP_COS},
	{"Div", FINF_STEP_DIV},
	{"Elu", FINF_STEP_ELU},
	{"Equal", FINF_STEP_EQUAL},
	{"Erf", FINF_STEP_ERF},
	{"Exp", FINF_STEP_EXP},
	{"Floor", FINF_STEP_FLOOR},
	{"Gelu", FINF_STEP_GELU},
	{"Greater", FINF_STEP_GREATER},
	{"GreaterOrEqual", FINF_STEP_FROM},
	{"HardSigmoid", FINF_STEP_HARD_SIGMOID},
	{"HardSwish", FINF_STEP_HARD_SWISH},
	{"LeakyRelu", FINF_STEP_PRELU},
	{"Less", FINF_STEP_LESS},
	{"LessOrEqual", FINF_STEP_UP_TO},
	{"Log", FINF_STEP_LOG},
	{"Max", FINF_STEP_MAX},
	{"Min", FINF_STEP_MIN},
	{"Mish", FINF_STEP_MISH},
	{"Mul", FINF_STEP_MUL},
	{"Neg", FINF_STEP_NEG},
	{"Not", FINF_STEP_NOT},
	{"Or", FINF_STEP_OR},
	{"Pow", FINF_STEP_POW},
	{"PRelu", FINF_STEP_PRELU},
	{"Reciprocal", FINF_STEP_RECIPROCAL},
	{"Relu", FINF_STEP_RELU},
	{"Sigmoid", FINF_STEP_SIGMOID},
	{"Sin", FINF_STEP_SIN},
	{"Softplus", FINF_STEP_SOFTPLUS},
	{"Softsign", FINF_STEP_SOFTSIGN},
	{"Sqrt", FINF_STEP_SQRT},
	{"Sub", FINF_STEP_SUB},
	{"Sum", FINF_STEP_ADD},
	{"Tanh", FINF_STEP_TANH},
	{"Where", FINF_STEP_WHERE},
	{"Xor", FINF_STEP_XOR},
};

static enum finf_step_kind kind_of(const struct finf_node *node)
{
	for (size_t i = 0; i < FINF_ARRAY_LEN(steps_of); i++)
		if (!strcmp(steps_of[i].op, node->op->name))
			return steps_of[i].kind == FINF_STEP_GELU &&
					       !strcmp(finf_node_str(node, "approximate", "none"),
						       "tanh")
				       ? FINF_STEP_GELU_TANH
				       : steps_of[i].kind;
	return FINF_STEPS;
}

/* Does this operand hold truth? */
static bool is_logical(enum finf_step_kind kind, uint32_t operand)
{
	return kind == FINF_STEP_AND || kind == FINF_STEP_OR || kind == FINF_STEP_XOR ||
	       kind == FINF_STEP_NOT || (kind == FINF_STEP_WHERE && !operand);
}

bool finf_program_takes(const struct finf_graph *graph, const struct finf_node *node)
{
	enum finf_step_kind kind = kind_of(node);
	enum finf_dtype dtype;

	if (kind == FINF_STEPS || node->n_out != 1 || node->n_in > FINF_PROGRAM_INPUTS ||
	    (node->n_in < 2 && finf_step_operands(kind) == 2 && kind != FINF_STEP_ELU &&
	     kind != FINF_STEP_PRELU))
		return false;
	dtype = graph->values[node->out[0]].dtype;
	if (dtype != FINF_F32 && dtype != FINF_BOOL)
		return false;
	for (uint32_t i = 0; i < node->n_in; i++)
		if (node->in[i] != FINF_NONE &&
		    graph->values[node->in[i]].dtype != (is_logical(kind, i) ? FINF_BOOL : FINF_F32))
			return false;
	return true;
}

int finf_program_number(struct finf_program *program, float number, int *ret_operand)
{
	uint32_t i = 0;

	while (i < program->n_numbers && memcmp(&program->numbers[i], &number, sizeof(number)))
		i++;
	if (i == FINF_PROGRAM_NUMBERS)
		return -EOPNOTSUPP;
	if (i == program->n_numbers)
		program->numbers[program->n_numbers++] = number;
	*ret_operand = -1 - (int)i;
	return 0;
}

static int add_step(struct finf_program *program, enum finf_step_kind kind, int x, int y, int z,
		    int *ret_operand)
{
	if (program->n_steps == FINF_PROGRAM_STEPS)
		return -EOPNOTSUPP;
	*ret_operand = FINF_PROGRAM_INPUTS + (int)program->n_steps;
	program->steps[program->n_steps++] = (struct finf_program_step){kind, {x, y, z}};
	return 0;
}

/* The folded activation of what @io_operand is. */
static int add_act(struct finf_program *program, const struct finf_node *node, int *io_operand)
{
	static const struct {
		enum finf_step_kind kind;
		uint32_t parameters; /* of act_a, act_b */
	} table[FINF_ACTS] = {
		[FINF_ACT_RELU] = {FINF_STEP_RELU, 0},
		[FINF_ACT_LEAKY] = {FINF_STEP_PRELU, 1},
		[FINF_ACT_CLIP] = {FINF_STEP_CLIP, 2},
		[FINF_ACT_SIGMOID] = {FINF_STEP_SIGMOID, 0},
		[FINF_ACT_ELU] = {FINF_STEP_ELU, 1},
		[FINF_ACT_GELU] = {FINF_STEP_GELU, 0},
		[FINF_ACT_GELU_TANH] = {FINF_STEP_GELU_TANH, 0},
		[FINF_ACT_HARD_SWISH] = {FINF_STEP_HARD_SWISH, 0},
		[FINF_ACT_MISH] = {FINF_STEP_MISH, 0},
		[FINF_ACT_SWISH] = {FINF_STEP_SWISH, 0},
		[FINF_ACT_TANH] = {FINF_STEP_TANH, 0},
	};
	int a = 0, b = 0, err = 0;

	if (node->act == FINF_ACT_NONE)
		return 0;
	if (table[node->act].parameters > 0)
		err = finf_program_number(program, node->act_a, &a);
	if (!err && table[node->act].parameters > 1)
		err = finf_program_number(program, node->act_b, &b);
	return err ? err : add_step(program, table[node->act].kind, *io_operand, a, b, io_operand);
}

/* Operand @k of a step that takes it from an input, or from an attribute. */
static int parameter(struct finf_program *program, const struct finf_node *node, const int *in,
		     uint32_t k, const char *name, float fallback, int *ret_operand)
{
	if (k < node->n_in && node->in[k] != FINF_NONE) {
		*ret_operand = in[k];
		return 0;
	}
	return finf_program_number(program, finf_node_float(node, name, fallback), ret_operand);
}

/* What a step has beside x that is no input of the node. */
static int parameters(struct finf_program *program, const struct finf_node *node, const int *in,
		      enum finf_step_kind kind, int *y, int *z)
{
	int err = 0;

	switch (kind) {
	case FINF_STEP_CLIP:
		err = parameter(program, node, in, 1, "min", -FLT_MAX, y);
		return err ? err : parameter(program, node, in, 2, "max", FLT_MAX, z);
	case FINF_STEP_ELU:
		return parameter(program, node, in, 1, "alpha", 1, y);
	case FINF_STEP_HARD_SIGMOID:
		err = parameter(program, node, in, 1, "alpha", 0.2f, y);
		return err ? err : parameter(program, node, in, 2, "beta", 0.5f, z);
	case FINF_STEP_PRELU: /* LeakyRelu */
		return parameter(program, node, in, 1, "alpha", 0.01f, y);
	case FINF_STEP_WHERE:
		*y = in[1];
		*z = in[2];
		return 0;
	default:
		*y = finf_step_operands(kind) > 1 ? in[1] : 0;
		return 0;
	}
}

int finf_program_add(struct finf_program *program, const struct finf_node *node, const int *in,
		     int *ret_operand)
{
	enum finf_step_kind kind = kind_of(node);
	int y = 0, z = 0, operand = 0, err;

	if (kind == FINF_STEPS)
		return -EOPNOTSUPP;
	err = parameters(program, node, in, kind, &y, &z);
	if (!err)
		err = add_step(program, kind, in[0], y, z, &operand);
	for (uint32_t i = 2; !err && finf_step_operands(kind) == 2 && i < node->n_in; i++)
		err = add_step(program, kind, operand, in[i], 0, &operand);
	if (!err)
		err = add_act(program, node, &operand);
	if (!err)
		*ret_operand = operand;
	return err;
}
