/* SPDX-License-Identifier: MIT */
/* cuda: operators and their builders, and what is checked before one is run. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "device/cuda/node.h"

#define FILL_BYTES sizeof(((struct finf_fill_args *)NULL)->v)
#define KEPT_MAX   4096 /* bytes of integers that are worth launches */

/* Dtypes of input 0 that a builder takes. */
#define F32   (1u << FINF_F32)
#define INTS  (1u << FINF_I32 | 1u << FINF_I64)
#define REALS (F32 | 1u << FINF_F64)
#define ANY   UINT_MAX

struct builder {
	const char *op;
	finf_k_builder build;
	unsigned dtypes;
};

static const struct builder builders[] = {
	{"Abs", finf_k_build_map, F32},
	{"Add", finf_k_build_arith, F32 | INTS},
	{"And", finf_k_build_compare, ANY},
	{"ArgMax", finf_k_build_best, F32},
	{"ArgMin", finf_k_build_best, F32},
	{"AveragePool", finf_k_build_pool, F32},
	{"BatchNormalization", finf_k_build_batchnorm, F32},
	{"Cast", finf_k_build_cast, ANY},
	{"Ceil", finf_k_build_map, F32},
	{"Clip", finf_k_build_clip, F32 | INTS},
	{"Concat", finf_k_build_concat, ANY},
	{"ConstantOfShape", finf_k_build_constant, ANY},
	{"Conv", finf_k_build_conv, F32},
	{"ConvTranspose", finf_k_build_deconv, F32},
	{"Cos", finf_k_build_map, F32},
	{"CumSum", finf_k_build_cumsum, F32 | INTS},
	{"DepthToSpace", finf_k_build_depth, ANY},
	{"DequantizeLinear", finf_k_build_quantize, ANY},
	{"Div", finf_k_build_arith, F32 | INTS},
	{"Dropout", finf_k_build_copy, ANY},
	{"Einsum", finf_k_build_einsum, F32},
	{"Elu", finf_k_build_map, F32},
	{"Equal", finf_k_build_compare, ANY},
	{"Erf", finf_k_build_map, F32},
	{"Exp", finf_k_build_map, F32},
	{"Expand", finf_k_build_expand, ANY},
	{"Flatten", finf_k_build_copy, ANY},
	{"Floor", finf_k_build_map, F32},
	{"FusedAttention", finf_k_build_attention, F32},
	{"FusedConv", finf_k_build_conv, F32},
	{"FusedElementwise", finf_k_build_chain, F32 | 1u << FINF_BOOL},
	{"FusedMatMul", finf_k_build_matmul, F32},
	{"Gather", finf_k_build_gather, ANY},
	{"GatherElements", finf_k_build_gather_elements, ANY},
	{"GatherND", finf_k_build_gather_nd, ANY},
	{"Gelu", finf_k_build_map, F32},
	{"Gemm", finf_k_build_gemm, F32},
	{"GlobalAveragePool", finf_k_build_global_pool, F32},
	{"GlobalMaxPool", finf_k_build_global_pool, F32},
	{"Greater", finf_k_build_compare, ANY},
	{"GreaterOrEqual", finf_k_build_compare, ANY},
	{"GroupNormalization", finf_k_build_normalize, F32},
	{"HardSigmoid", finf_k_build_map, F32},
	{"HardSwish", finf_k_build_map, F32},
	{"Identity", finf_k_build_copy, ANY},
	{"InstanceNormalization", finf_k_build_normalize, F32},
	{"LRN", finf_k_build_lrn, F32},
	{"LayerNormalization", finf_k_build_normalize, F32},
	{"LeakyRelu", finf_k_build_activation, F32},
	{"Less", finf_k_build_compare, ANY},
	{"LessOrEqual", finf_k_build_compare, ANY},
	{"Log", finf_k_build_map, F32},
	{"LogSoftmax", finf_k_build_softmax, F32},
	{"MatMul", finf_k_build_matmul, F32},
	{"Max", finf_k_build_fold, F32 | INTS},
	{"MaxPool", finf_k_build_pool, F32},
	{"Mean", finf_k_build_fold, F32},
	{"Min", finf_k_build_fold, F32 | INTS},
	{"Mish", finf_k_build_map, F32},
	{"Mod", finf_k_build_arith, F32 | INTS},
	{"Mul", finf_k_build_arith, F32 | INTS},
	{"Neg", finf_k_build_map, F32},
	{"Not", finf_k_build_compare, ANY},
	{"Or", finf_k_build_compare, ANY},
	{"PRelu", finf_k_build_arith, F32},
	{"Pad", finf_k_build_pad, ANY},
	{"Pow", finf_k_build_pow, F32},
	{"QuantizeLinear", finf_k_build_quantize, ANY},
	{"Range", finf_k_build_range, ANY},
	{"Reciprocal", finf_k_build_map, F32},
	{"ReduceL1", finf_k_build_reduce, F32},
	{"ReduceL2", finf_k_build_reduce, F32},
	{"ReduceLogSum", finf_k_build_reduce, F32},
	{"ReduceLogSumExp", finf_k_build_reduce, F32},
	{"ReduceMax", finf_k_build_reduce, F32},
	{"ReduceMean", finf_k_build_reduce, F32},
	{"ReduceMin", finf_k_build_reduce, F32},
	{"ReduceProd", finf_k_build_reduce, F32},
	{"ReduceSum", finf_k_build_reduce, F32},
	{"ReduceSumSquare", finf_k_build_reduce, F32},
	{"Relu", finf_k_build_activation, F32},
	{"Reshape", finf_k_build_copy, ANY},
	{"Resize", finf_k_build_resize, ANY},
	{"Scatter", finf_k_build_scatter, ANY},
	{"ScatterElements", finf_k_build_scatter, ANY},
	{"ScatterND", finf_k_build_scatter_nd, ANY},
	{"Shape", finf_k_build_shape, ANY},
	{"Sigmoid", finf_k_build_activation, F32},
	{"Sin", finf_k_build_map, F32},
	{"Size", finf_k_build_shape, ANY},
	{"Slice", finf_k_build_slice, ANY},
	{"Softmax", finf_k_build_softmax, F32},
	{"Softplus", finf_k_build_map, F32},
	{"Softsign", finf_k_build_map, F32},
	{"SpaceToDepth", finf_k_build_depth, ANY},
	{"Split", finf_k_build_split, ANY},
	{"Sqrt", finf_k_build_map, F32},
	{"Squeeze", finf_k_build_copy, ANY},
	{"Sub", finf_k_build_arith, F32 | INTS},
	{"Sum", finf_k_build_fold, F32},
	{"Tanh", finf_k_build_map, F32},
	{"Tile", finf_k_build_tile, ANY},
	{"TopK", finf_k_build_topk, REALS | INTS},
	{"Transpose", finf_k_build_transpose, ANY},
	{"Trilu", finf_k_build_trilu, ANY},
	{"Unsqueeze", finf_k_build_copy, ANY},
	{"Upsample", finf_k_build_resize, ANY},
	{"Where", finf_k_build_where, ANY},
	{"Xor", finf_k_build_compare, ANY},
};

static const struct builder *find(const char *op)
{
	for (size_t i = 0; i < FINF_ARRAY_LEN(builders); i++)
		if (!strcmp(builders[i].op, op))
			return &builders[i];
	return NULL;
}

finf_k_builder finf_k_find(const char *op)
{
	const struct builder *builder = find(op);

	return builder ? builder->build : NULL;
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

static bool all_outputs(const struct builder *builder)
{
	return builder->build == finf_k_build_split || builder->build == finf_k_build_topk;
}

static int check_builder(struct finf_k_build *b, const struct builder *builder)
{
	const struct finf_value *x = finf_k_in(b, 0);

	if (!builder)
		return finf_diag_set(b->diag, -EOPNOTSUPP, "the CUDA device has no kernel for it");
	if (x && !(builder->dtypes & 1u << x->dtype))
		return finf_diag_set(b->diag, -EOPNOTSUPP, "the CUDA device has no kernel for %s",
				     finf_dtype_name(x->dtype));
	for (uint32_t i = 1; i < b->node->n_out && !all_outputs(builder); i++)
		if (finf_k_out(b, i))
			return finf_diag_set(b->diag, -EOPNOTSUPP,
					     "the CUDA device computes its first output only");
	return 0;
}

static bool nothing_to_do(const struct finf_k_build *b)
{
	for (uint32_t i = 0; i < b->node->n_out; i++)
		if (finf_k_out(b, i) && finf_k_count(finf_k_out(b, i)))
			return false;
	return true;
}

/* ---- integers ---------------------------------------------------------------------- */

/* Pointers to input @input lead to the workspace instead; false: there are none. */
static bool redirect(struct finf_k_build *b, uint32_t input, uint64_t offset_bytes)
{
	bool any = false;

	for (uint32_t i = 0; i < b->n_calls; i++)
		for (uint32_t k = 0; k < b->calls[i].n_pointers; k++) {
			struct finf_k_pointer *pointer = &b->calls[i].pointers[k];

			if (pointer->source != FINF_K_IN || pointer->index != input)
				continue;
			pointer->source = FINF_K_WORKSPACE;
			pointer->offset_bytes += offset_bytes;
			any = true;
		}
	return any;
}

/* A launch in front of the others that writes @n words to the workspace. */
static int fill_first(struct finf_k_build *b, const void *from, size_t bytes, uint64_t offset_bytes)
{
	unsigned n = (unsigned)((bytes + 7) / 8);
	struct finf_k_call fill, *call = finf_k_each_add(b, FINF_K_FUNCTION_fill, n);

	if (!call)
		return -ENOMEM;
	call->args.fill.n = n;
	memcpy(call->args.fill.v, from, bytes);
	finf_k_point(call, &call->args.fill.y, FINF_K_WORKSPACE, 0, offset_bytes);
	fill = *call;
	memmove(b->calls + 1, b->calls, (b->n_calls - 1) * sizeof(fill));
	b->calls[0] = fill;
	b->n_fills++;
	return 0;
}

/*
 * Integer constants may follow from the shapes that the graph is bound to; the
 * weights in an extent are the same for all shapes. So they travel in the
 * arguments of launches. (Integers are never left out of a serialised graph.)
 */
static int keep_integers(struct finf_k_build *b)
{
	int err = 0;

	for (uint32_t i = 0; i < b->node->n_in && !err; i++) {
		const struct finf_value *value = finf_k_in(b, i);
		uint64_t at = finf_align_up(b->workspace_bytes, 16);

		if (!value || !value->is_const || !value->data ||
		    finf_dtype_is_float(value->dtype) || value->bytes > KEPT_MAX ||
		    !redirect(b, i, at))
			continue;
		b->workspace_bytes = at + finf_align_up(value->bytes, 8);
		for (size_t from = 0; from < value->bytes && !err; from += FILL_BYTES)
			err = fill_first(b, (const char *)value->data + from,
					 FINF_MIN(value->bytes - from, FILL_BYTES), at + from);
	}
	return err;
}

int finf_k_build_node(struct finf_k_build *b)
{
	const struct builder *builder = find(b->node->op->name);
	int err = 0;

	for (uint32_t i = 0; i < b->node->n_in && !err; i++)
		err = check_value(b, finf_k_in(b, i));
	for (uint32_t i = 0; i < b->node->n_out && !err; i++)
		err = check_value(b, finf_k_out(b, i));
	if (!err)
		err = check_builder(b, builder);
	if (err || nothing_to_do(b))
		return err;
	err = builder->build(b);
	if (!err)
		err = keep_integers(b);
	if (!err && b->node->act != FINF_ACT_NONE && !b->act_taken)
		err = finf_diag_set(b->diag, -EOPNOTSUPP,
				    "the CUDA device folds no activation into it");
	return err;
}

void finf_k_build_fini(struct finf_k_build *b)
{
	free(b->calls);
}
