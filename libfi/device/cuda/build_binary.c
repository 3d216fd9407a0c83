/* SPDX-License-Identifier: MIT */
/* cuda: launches of operators on broadcast operands. */
#include <errno.h>
#include <string.h>

#include "device/cuda/node.h"

/* ---- arithmetic ------------------------------------------------------------------- */

static const char *const arith_names[] = {
	[FINF_K_ADD] = "Add", [FINF_K_SUB] = "Sub", [FINF_K_MUL] = "Mul", [FINF_K_DIV] = "Div",
	[FINF_K_MOD] = "Mod", [FINF_K_MAX] = "Max", [FINF_K_MIN] = "Min", [FINF_K_PRELU] = "PRelu",
};

static int flat(struct finf_k_build *b, unsigned op, unsigned n, bool b_is_one)
{
	struct finf_k_call *call = finf_k_fours_add(b, FINF_K_FUNCTION_flat, n);

	if (!call)
		return -ENOMEM;
	b->inplace = true;
	call->args.flat = (struct finf_flat_args){
		.n = n, .op = op, .b_is_one = b_is_one, .act = finf_k_act(b)};
	finf_k_point_in(b, call, &call->args.flat.a, 0);
	finf_k_point_in(b, call, &call->args.flat.b, 1);
	finf_k_point(call, &call->args.flat.y, FINF_K_OUT, 0, 0);
	return 0;
}

/* Output 0 from inputs 0 and 1; pointers to the operands are left to the caller. */
static struct finf_k_call *binary_add(struct finf_k_build *b, unsigned op,
				      enum finf_k_function function)
{
	unsigned n = finf_k_count(finf_k_out(b, 0));
	struct finf_k_call *call = finf_k_each_add(b, function, n);

	if (!call)
		return NULL;
	b->flops += n;
	call->args.binary = (struct finf_binary_args){.n = n, .op = op, .scale = 1};
	finf_k_point(call, &call->args.binary.y, FINF_K_OUT, 0, 0);
	return call;
}

static int broadcast(struct finf_k_build *b, unsigned op, enum finf_k_function function)
{
	struct finf_k_call *call = binary_add(b, op, function);

	if (!call)
		return -ENOMEM;
	call->args.binary.at_a = finf_k_walk_in(b, 0);
	call->args.binary.at_b = finf_k_walk_in(b, 1);
	if (function == FINF_K_FUNCTION_binary)
		call->args.binary.act = finf_k_act(b);
	finf_k_point_in(b, call, &call->args.binary.a, 0);
	finf_k_point_in(b, call, &call->args.binary.b, 1);
	return 0;
}

static int two_floats(struct finf_k_build *b, unsigned op)
{
	unsigned n = finf_k_count(finf_k_out(b, 0));
	unsigned left = finf_k_count(finf_k_in(b, 0)), right = finf_k_count(finf_k_in(b, 1));

	if (left == n && (right == n || right == 1))
		return flat(b, op, n, right != n);
	return broadcast(b, op, FINF_K_FUNCTION_binary);
}

/* A kernel could not report a division by 0: the divisors have to be known. */
static int check_divisors(const struct finf_k_build *b)
{
	const struct finf_value *by = finf_k_in(b, 1);

	if (!by->is_const || !by->data)
		return finf_diag_set(b->diag, -EOPNOTSUPP,
				     "the CUDA device divides no integers by what is not "
				     "constant: it could not report a division by 0");
	for (unsigned i = 0; i < finf_k_count(by); i++)
		if (by->dtype == FINF_I64 ? !((const int64_t *)by->data)[i]
					  : !((const int32_t *)by->data)[i])
			return finf_diag_set(b->diag, -EOPNOTSUPP, "it divides by 0");
	return 0;
}

static enum finf_k_function binary_of(enum finf_dtype dtype)
{
	return dtype == FINF_F32   ? FINF_K_FUNCTION_binary
	       : dtype == FINF_I32 ? FINF_K_FUNCTION_binary_i32
				   : FINF_K_FUNCTION_binary_i64;
}

int finf_k_build_arith(struct finf_k_build *b)
{
	unsigned op = finf_k_number(b->node->op->name, arith_names, FINF_ARRAY_LEN(arith_names));
	enum finf_dtype dtype = finf_k_out(b, 0)->dtype;
	int err = 0;

	if (op == FINF_K_MOD && finf_node_int(b->node, "fmod", 0))
		op = FINF_K_REST;
	if (dtype == FINF_F32)
		return two_floats(b, op);
	if (op == FINF_K_DIV || op == FINF_K_MOD || op == FINF_K_REST)
		err = check_divisors(b);
	return err ? err : broadcast(b, op, binary_of(dtype));
}

/* More than two operands: y = in 0 op in 1, y = y op in 2, and on. */
static int many(struct finf_k_build *b, unsigned op)
{
	enum finf_dtype dtype = finf_k_out(b, 0)->dtype;
	struct finf_k_call *call = NULL;

	for (uint32_t i = 1; i < b->node->n_in; i++) {
		call = binary_add(b, op, binary_of(dtype));
		if (!call)
			return -ENOMEM;
		call->args.binary.at_b = finf_k_walk_in(b, i);
		finf_k_point_in(b, call, &call->args.binary.b, i);
		if (i > 1) { /* element for element */
			call->args.binary.at_a.stride[0] = 1;
			finf_k_point(call, &call->args.binary.a, FINF_K_OUT, 0, 0);
			continue;
		}
		call->args.binary.at_a = finf_k_walk_in(b, 0);
		finf_k_point_in(b, call, &call->args.binary.a, 0);
	}
	if (!strcmp(b->node->op->name, "Mean"))
		call->args.binary.scale = 1 / (float)b->node->n_in;
	call->args.binary.act = finf_k_float_act(b);
	return 0;
}

int finf_k_build_fold(struct finf_k_build *b)
{
	const char *name = b->node->op->name;
	bool mean = !strcmp(name, "Mean"), sum = mean || !strcmp(name, "Sum");
	unsigned op = finf_k_number(sum ? "Add" : name, arith_names, FINF_ARRAY_LEN(arith_names));

	if (b->node->n_in == 1)
		return finf_k_build_copy(b);
	return b->node->n_in == 2 && !mean && finf_k_out(b, 0)->dtype == FINF_F32
		       ? two_floats(b, op)
		       : many(b, op);
}

int finf_k_build_pow(struct finf_k_build *b)
{
	unsigned n = finf_k_count(finf_k_out(b, 0));
	struct finf_k_call *call = finf_k_each_add(b, FINF_K_FUNCTION_power, n);

	if (!call)
		return -ENOMEM;
	b->flops = 50 * (uint64_t)n;
	call->args.power = (struct finf_power_args){
		.n = n,
		.dtype = finf_k_in(b, 1)->dtype,
		.at_a = finf_k_walk_in(b, 0),
		.at_b = finf_k_walk_in(b, 1),
		.act = finf_k_act(b),
	};
	finf_k_point_in(b, call, &call->args.power.a, 0);
	finf_k_point_in(b, call, &call->args.power.b, 1);
	finf_k_point(call, &call->args.power.y, FINF_K_OUT, 0, 0);
	return 0;
}

/* ---- choices ------------------------------------------------------------------------ */

int finf_k_build_compare(struct finf_k_build *b)
{
	static const char *const names[] = {
		[FINF_K_EQUAL] = "Equal",
		[FINF_K_LESS] = "Less",
		[FINF_K_GREATER] = "Greater",
		[FINF_K_UP_TO] = "LessOrEqual",
		[FINF_K_FROM] = "GreaterOrEqual",
		[FINF_K_AND] = "And",
		[FINF_K_OR] = "Or",
		[FINF_K_XOR] = "Xor",
		[FINF_K_NOT] = "Not",
	};
	uint32_t right = b->node->n_in - 1;
	unsigned n = finf_k_count(finf_k_out(b, 0));
	struct finf_k_call *call = finf_k_each_add(b, FINF_K_FUNCTION_compare, n);

	if (!call)
		return -ENOMEM;
	b->flops = n;
	call->args.compare = (struct finf_compare_args){
		.n = n,
		.op = finf_k_number(b->node->op->name, names, FINF_ARRAY_LEN(names)),
		.dtype = finf_k_in(b, 0)->dtype,
		.at_a = finf_k_walk_in(b, 0),
		.at_b = finf_k_walk_in(b, right),
	};
	finf_k_point_in(b, call, &call->args.compare.a, 0);
	finf_k_point_in(b, call, &call->args.compare.b, right);
	finf_k_point(call, &call->args.compare.y, FINF_K_OUT, 0, 0);
	return 0;
}

int finf_k_build_where(struct finf_k_build *b)
{
	const struct finf_value *y = finf_k_out(b, 0);
	unsigned n = finf_k_count(y);
	struct finf_k_call *call = finf_k_each_add(b, FINF_K_FUNCTION_where, n);

	if (!call)
		return -ENOMEM;
	call->args.where = (struct finf_where_args){
		.n = n,
		.each = (unsigned)finf_dtype_bytes(y->dtype),
		.at_holds = finf_k_walk_in(b, 0),
		.at_a = finf_k_walk_in(b, 1),
		.at_b = finf_k_walk_in(b, 2),
	};
	if (y->dtype == FINF_F32)
		call->args.where.act = finf_k_act(b);
	finf_k_point_in(b, call, &call->args.where.holds, 0);
	finf_k_point_in(b, call, &call->args.where.a, 1);
	finf_k_point_in(b, call, &call->args.where.b, 2);
	finf_k_point(call, &call->args.where.y, FINF_K_OUT, 0, 0);
	return 0;
}
