/* SPDX-License-Identifier: MIT */
/*
 * cuda/node - a node as the launches it takes: private header of the kernels'
 * C side. A builder per operator (build_*.c) serves both describe and
 * kernel_new, so that what is offered is what runs.
 * Must not know: the driver, except by the numbers of functions.
 */
#ifndef FINF_DEVICE_CUDA_NODE_H
#define FINF_DEVICE_CUDA_NODE_H

#include "device/device.h"
#include "device/cuda/kernels/args.h"
#include "graph/op.h"

/* Algorithms of forms. */
enum { FINF_K_KERNEL = 0, FINF_K_ALIAS = 1, FINF_K_JOIN = 2 };

enum finf_k_function {
#define FINF_KERNEL(name) FINF_K_FUNCTION_##name,
#include "device/cuda/kernels/table.def"
#undef FINF_KERNEL
	FINF_K_FUNCTIONS,
};

/* Where a pointer in the arguments comes from at launch. */
enum finf_k_source { FINF_K_IN, FINF_K_OUT, FINF_K_WORKSPACE };

struct finf_k_pointer {
	uint16_t at; /* offset of the field in the arguments */
	uint16_t source;
	uint32_t index; /* of the node's inputs or outputs */
	uint64_t offset_bytes;
};

#define FINF_K_POINTERS 9

/* One launch; its arguments lack the pointers. */
struct finf_k_call {
	enum finf_k_function function;
	unsigned blocks, threads;
	uint32_t n_pointers;
	struct finf_k_pointer pointers[FINF_K_POINTERS];
	union {
#define FINF_KERNEL(name) struct finf_##name##_args name;
#include "device/cuda/kernels/table.def"
#undef FINF_KERNEL
	} args;
};

/* What a builder makes; n_calls 0 where there is nothing to compute. */
struct finf_k_build {
	const struct finf_graph *graph;
	const struct finf_node *node;
	struct finf_diag *diag;
	struct finf_k_call *calls; /* owned, free() */
	uint32_t n_calls, cap_calls;
	uint32_t n_fills; /* the first calls, which only write constants */
	uint64_t flops, workspace_bytes;
	bool inplace;	/* output 0 may lie on input 0 */
	bool inplace_last; /* or on the last one */
	bool act_taken; /* the folded activation is in the calls */
};

/* 0; -EOPNOTSUPP with the reason in b->diag; -ENOMEM. */
typedef int (*finf_k_builder)(struct finf_k_build *b);

int finf_k_build_activation(struct finf_k_build *b); /* Relu, LeakyRelu, Sigmoid */
int finf_k_build_arith(struct finf_k_build *b);	     /* Add, Sub, Mul, Div, Mod, PRelu */
int finf_k_build_batchnorm(struct finf_k_build *b);
int finf_k_build_best(struct finf_k_build *b); /* ArgMax, ArgMin */
int finf_k_build_cast(struct finf_k_build *b);
int finf_k_build_chain(struct finf_k_build *b); /* FusedElementwise */
int finf_k_build_clip(struct finf_k_build *b);
int finf_k_build_compare(struct finf_k_build *b); /* Equal, Less, ..., And, Not */
int finf_k_build_concat(struct finf_k_build *b);
int finf_k_build_attention(struct finf_k_build *b);
int finf_k_build_constant(struct finf_k_build *b); /* ConstantOfShape */
int finf_k_build_conv(struct finf_k_build *b);	   /* and fused */
int finf_k_build_copy(struct finf_k_build *b); /* what only renames bytes */
int finf_k_build_deconv(struct finf_k_build *b);
int finf_k_build_depth(struct finf_k_build *b); /* DepthToSpace, SpaceToDepth */
int finf_k_build_einsum(struct finf_k_build *b);
int finf_k_build_expand(struct finf_k_build *b);
int finf_k_build_fold(struct finf_k_build *b); /* Max, Min, Sum */
int finf_k_build_cumsum(struct finf_k_build *b);
int finf_k_build_gather(struct finf_k_build *b);
int finf_k_build_gather_elements(struct finf_k_build *b);
int finf_k_build_gather_nd(struct finf_k_build *b);
int finf_k_build_trilu(struct finf_k_build *b);
int finf_k_build_gemm(struct finf_k_build *b);
int finf_k_build_global_pool(struct finf_k_build *b);
int finf_k_build_lrn(struct finf_k_build *b);
int finf_k_build_map(struct finf_k_build *b); /* functions of one float */
int finf_k_build_matmul(struct finf_k_build *b);
int finf_k_build_normalize(struct finf_k_build *b); /* of layers, instances, groups */
int finf_k_build_pad(struct finf_k_build *b);
int finf_k_build_pool(struct finf_k_build *b);
int finf_k_build_pow(struct finf_k_build *b);
int finf_k_build_quantize(struct finf_k_build *b); /* DequantizeLinear too */
int finf_k_build_range(struct finf_k_build *b);
int finf_k_build_reduce(struct finf_k_build *b);  /* ReduceMean, ReduceSum, ... */
int finf_k_build_resize(struct finf_k_build *b);  /* Upsample too */
int finf_k_build_scatter(struct finf_k_build *b); /* ScatterElements too */
int finf_k_build_scatter_nd(struct finf_k_build *b);
int finf_k_build_shape(struct finf_k_build *b); /* Shape, Size */
int finf_k_build_slice(struct finf_k_build *b);
int finf_k_build_softmax(struct finf_k_build *b); /* LogSoftmax too */
int finf_k_build_split(struct finf_k_build *b);
int finf_k_build_tile(struct finf_k_build *b);
int finf_k_build_topk(struct finf_k_build *b);
int finf_k_build_transpose(struct finf_k_build *b);
int finf_k_build_where(struct finf_k_build *b);

/* ---- builders.c ------------------------------------------------------------------ */

/** finf_k_find - the builder of an operator; NULL: none. */
finf_k_builder finf_k_find(const char *op);
/**
 * finf_k_build_node - run the node's builder, after checking what all kernels rely on.
 * @b  graph, node and diag are set; free with finf_k_build_fini() in any case
 */
int finf_k_build_node(struct finf_k_build *b);
void finf_k_build_fini(struct finf_k_build *b);

/* ---- call.c: what builders are written with ------------------------------------- */

/** finf_k_kernel_new - the calls as a kernel; @b keeps its own. 0; -ENOMEM. (kernels.c) */
int finf_k_kernel_new(const struct finf_k_build *b, struct finf_kernel **ret_kernel);

/** An input or output; NULL where left out. Shapes are static, counts fit 31 bits. */
const struct finf_value *finf_k_in(const struct finf_k_build *b, uint32_t i);
const struct finf_value *finf_k_out(const struct finf_k_build *b, uint32_t i);
/**
 * finf_k_tensors - the first @n inputs as operators take them, NULL where left out. Returns how
 * many besides input 0 have bytes that only the run knows.
 */
uint32_t finf_k_tensors(const struct finf_k_build *b, struct finf_tensor *tensors,
			const struct finf_tensor **in, uint32_t n);
/** Elements of a value. */
unsigned finf_k_count(const struct finf_value *value);
/** Product of the dimensions [from, to). */
unsigned finf_k_product(const struct finf_shape *shape, uint32_t from, uint32_t to);

/* Integers that older opsets have as attribute and newer ones as int64 input; v is borrowed. */
struct finf_k_ints {
	const int64_t *v; /* NULL: neither is there, or there are none */
	uint32_t n;
};

/** finf_k_ints - 0; -EOPNOTSUPP for an input whose bytes only the run knows. */
int finf_k_ints(const struct finf_k_build *b, const char *attr, uint32_t input,
		struct finf_k_ints *ret);

/** finf_k_call_add - one more launch of @blocks blocks, zeroed; NULL out of memory. */
struct finf_k_call *finf_k_call_add(struct finf_k_build *b, enum finf_k_function function,
				    unsigned blocks, unsigned threads);
/** finf_k_each_add - a launch whose threads share @n elements. */
struct finf_k_call *finf_k_each_add(struct finf_k_build *b, enum finf_k_function function,
				    unsigned n);
/** finf_k_fours_add - the same, threads take four elements at a time. */
struct finf_k_call *finf_k_fours_add(struct finf_k_build *b, enum finf_k_function function,
				     unsigned n);
/** finf_k_point - @field of call->args comes from there. */
void finf_k_point(struct finf_k_call *call, const void *field, enum finf_k_source source,
		  uint32_t index, uint64_t offset_bytes);
/** finf_k_point_in - the same for an input that may be left out. */
void finf_k_point_in(const struct finf_k_build *b, struct finf_k_call *call, const void *field,
		     uint32_t index);

struct finf_k_div finf_k_div(unsigned by); /* by 1 to 2^31 - 1; 0 is taken as 1 */
/** The node's folded activation, which the call that gets it applies. */
struct finf_k_act finf_k_act(struct finf_k_build *b);

/** The same where the output is float32; others have none. */
struct finf_k_act finf_k_float_act(struct finf_k_build *b);
/** finf_k_fill_add - a launch that writes @bits to the first @n elements of @source. */
int finf_k_fill_add(struct finf_k_build *b, enum finf_k_source source, unsigned n, unsigned each,
		    long long bits);
/** Attribute axis, 0 when absent, for an input of that rank. */
uint32_t finf_k_axis(const struct finf_k_build *b, uint32_t rank);

/* A box of elements and, per operand, how far apart they are. */
struct finf_k_box {
	uint32_t rank;
	int64_t dim[FINF_RANK_MAX], stride[2][FINF_RANK_MAX];
};

/** finf_k_box_add - a last dimension, merged with the one before where memory goes on. */
void finf_k_box_add(struct finf_k_box *box, int64_t dim, int64_t stride_a, int64_t stride_b);
struct finf_k_walk finf_k_box_walk(const struct finf_k_box *box, unsigned which);
/** Strides of a dense tensor, in elements. */
void finf_k_strides(const struct finf_shape *shape, int64_t stride[FINF_RANK_MAX]);
/** Strides of @from seen as @to, to which it broadcasts: 0 where it is repeated. */
void finf_k_broadcast(const struct finf_shape *from, const struct finf_shape *to,
		      int64_t stride[FINF_RANK_MAX]);
/** Element of output 0 -> element of an input, which broadcasts to it. */
struct finf_k_walk finf_k_walk_in(const struct finf_k_build *b, uint32_t input);
/** The number of @name in a table of names, in the order of an enum of args.h. */
unsigned finf_k_number(const char *name, const char *const *names, unsigned n);

/** finf_k_planes - a shape with one spatial dimension as planes of one row; others as they are. */
struct finf_shape finf_k_planes(const struct finf_shape *shape);
/** finf_k_window - of input 0, over rows and columns, in numbers that 32 bits hold. */
int finf_k_window(const struct finf_k_build *b, const int64_t *kernel, struct finf_window *ret);
/** finf_k_reduce_threads - of a block that reduces @n elements. */
unsigned finf_k_reduce_threads(unsigned n);

#endif
