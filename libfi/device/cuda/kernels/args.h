/* SPDX-License-Identifier: MIT */
/*
 * kernels/args - the one parameter of each kernel, the same bytes for the
 * device compiler and for the C side. No includes: there is no libc there.
 * Counts and indices fit 31 bits (the C side sees to it), so that index
 * arithmetic is 32-bit; pointers are 16-byte aligned, unless said otherwise.
 */
#ifndef FINF_CUDA_KERNELS_ARGS_H
#define FINF_CUDA_KERNELS_ARGS_H

#define FINF_K_RANK 8

/* Division by a constant as multiply and shift; finf_k_div() makes it. */
struct finf_k_div {
	unsigned by, mul, shift;
};

/* The folded activation; kind is an enum finf_act. */
struct finf_k_act {
	unsigned kind;
	float a, b;
};

/* A walk over a box: element number -> offset by strides. Dimension 0 needs no division. */
struct finf_k_walk {
	unsigned rank;
	struct finf_k_div dim[FINF_K_RANK];
	int stride[FINF_K_RANK];
};

struct finf_batchnorm_args {
	const float *x, *scale, *bias, *mean, *var;
	float *y;
	unsigned n;
	float epsilon;
	struct finf_k_div plane, channels;
	struct finf_k_act act;
};

/* y[i] = which of count elements, step apart, is the largest. */
struct finf_best_args {
	const float *x;
	long long *y;
	unsigned n, count;
	unsigned smallest, last; /* the smallest instead; the last of equals, not the first */
	struct finf_k_div step;
};

enum finf_k_arith {
	FINF_K_ADD,
	FINF_K_SUB,
	FINF_K_MUL,
	FINF_K_DIV,
	FINF_K_MAX, /* from here on float32 only */
	FINF_K_MIN,
	FINF_K_PRELU
};

/* y = a op b; the walks are over y, with stride 0 where an operand is repeated. */
struct finf_binary_args {
	const void *a, *b;
	void *y;
	unsigned n, op;
	float scale; /* of the result; float32 only */
	struct finf_k_walk at_a, at_b;
	struct finf_k_act act;
};
#define finf_binary_i32_args finf_binary_args
#define finf_binary_i64_args finf_binary_args

/* The same without repetition, or with one element as b: y's index is a's. */
struct finf_flat_args {
	const float *a, *b;
	float *y;
	unsigned n, op;
	unsigned b_is_one; /* b has one element */
	struct finf_k_act act;
};

enum finf_k_compare {
	FINF_K_EQUAL,
	FINF_K_LESS,
	FINF_K_GREATER,
	FINF_K_UP_TO,
	FINF_K_FROM,
	FINF_K_AND,
	FINF_K_OR,
	FINF_K_XOR,
	FINF_K_NOT /* b is not looked at, but it is there */
};

/* y = a op b as bool; dtype is that of both. */
struct finf_compare_args {
	const void *a, *b;
	void *y;
	unsigned n, op, dtype;
	struct finf_k_walk at_a, at_b;
};

/* from and to are enum finf_dtype. */
struct finf_cast_args {
	const void *x;
	void *y;
	unsigned n, from, to;
};

#define FINF_K_CHAIN_INPUTS  8
#define FINF_K_CHAIN_STEPS   32
#define FINF_K_CHAIN_NUMBERS 32

/* Operands: inputs, then what steps made, then numbers. The kinds are those of graph/step.def. */
struct finf_k_step {
	unsigned char kind, in[3];
};

/* y = the last step's; bit k of truth: x[k] is of bool, not float32. */
struct finf_chain_args {
	const void *x[FINF_K_CHAIN_INPUTS];
	float *y;
	unsigned n, n_in, n_steps, n_numbers, truth;
	struct finf_k_step steps[FINF_K_CHAIN_STEPS];
	float numbers[FINF_K_CHAIN_NUMBERS];
	struct finf_k_walk at[FINF_K_CHAIN_INPUTS]; /* over y */
	struct finf_k_act act;
};

/* low and high may be NULL: no bound. */
struct finf_clip_args {
	const void *x, *low, *high;
	void *y;
	unsigned n;
};
#define finf_clip_i32_args finf_clip_args
#define finf_clip_i64_args finf_clip_args

/*
 * Convolution as a product: rows are the output channels of a group, columns
 * the pixels of all images, and the sum runs over the group's input channels
 * and taps. Tiles of FINF_K_TILE x FINF_K_TILE, one block each.
 */
struct finf_conv_args {
	const float *x, *w, *bias; /* bias may be NULL */
	float *y;
	float *partial; /* splits > 1: sums of each split, [split][y], instead of y */
	unsigned channels, rows, cols;	     /* of x */
	unsigned group_in, group_out, inner; /* channels of a group; length of the sum */
	unsigned pixels, outputs;	     /* columns of the product; elements of y */
	unsigned split_inner;		     /* part of the sum that a split takes */
	int stride[2], dilation[2], pad[2];
	struct finf_k_div col_tiles, row_tiles, groups; /* blocks: [split][group][row][col] */
	struct finf_k_div out_plane, out_cols, taps, tap_cols;
	struct finf_k_act act;
};

/* One thread per output: for groups with few output channels, depthwise above all. */
struct finf_conv_direct_args {
	const float *x, *w, *bias;
	float *y;
	unsigned n, channels, rows, cols, group_in;
	unsigned taps[2];
	int stride[2], dilation[2], pad[2];
	struct finf_k_div out_cols, out_rows, out_channels, group_out;
	struct finf_k_act act;
};

/* y = act(bias + partial sums), in the order of the splits. */
struct finf_conv_sum_args {
	const float *partial, *bias;
	float *y;
	unsigned n, splits;
	struct finf_k_div plane, channels;
	struct finf_k_act act;
};

/*
 * y = act(alpha * a * b + beta * c), for each matrix of a stack. Strides in
 * elements; those of c may be 0, c may be NULL.
 */
struct finf_gemm_args {
	const float *a, *b, *c;
	float *y;
	unsigned m, n, k;
	int a_row, a_inner, b_inner, b_col, c_row, c_col;
	float alpha, beta;
	struct finf_k_div col_tiles, row_tiles; /* blocks: [matrix][row][col] */
	struct finf_k_div cols;			/* by n */
	struct finf_k_walk at_a, at_b, at_c;	/* matrix number -> offset */
	struct finf_k_act act;
};
/* dot: a warp per output; for few rows and b_inner 1. col_tiles: blocks of a matrix. */
#define finf_dot_args finf_gemm_args

/* y = the words of v, of which there are n. */
#define FINF_K_WORDS 64
struct finf_fill_args {
	void *y;
	unsigned n;
	long long v[FINF_K_WORDS];
};

/* each is the size of an element: 1, 2, 4 or 8. */
struct finf_gather_args {
	const void *x, *index;
	void *y;
	unsigned n, each, wide; /* wide: indices are 64 bits, else 32 */
	unsigned extent;
	struct finf_k_div inner, indices;
	struct finf_k_act act;
};

/* y's index i takes from x at walk + index * step. */
struct finf_gather_elements_args {
	const void *x, *index;
	void *y;
	unsigned n, each, wide; /* as above */
	unsigned extent, step;
	struct finf_k_walk at;
	struct finf_k_act act;
};

/* k is one int64, or NULL for 0. */
struct finf_trilu_args {
	const void *x;
	const long long *k;
	void *y;
	unsigned n, each, upper;
	struct finf_k_div cols, rows;
	struct finf_k_act act;
};

/* n lines of so many elements, step apart; of float32, int64 or int32. */
struct finf_cumsum_args {
	const void *x;
	void *y;
	unsigned n, length, dtype;
	unsigned exclusive, reverse;
	struct finf_k_div step;
	struct finf_k_act act;
};

enum finf_k_map {
	FINF_K_ABS,
	FINF_K_CEIL,
	FINF_K_COS,
	FINF_K_ELU,
	FINF_K_ERF,
	FINF_K_EXP,
	FINF_K_FLOOR,
	FINF_K_GELU,
	FINF_K_GELU_TANH,
	FINF_K_HARD_SIGMOID,
	FINF_K_HARD_SWISH,
	FINF_K_LOG,
	FINF_K_MISH,
	FINF_K_NEG,
	FINF_K_RECIPROCAL,
	FINF_K_SIN,
	FINF_K_SOFTPLUS,
	FINF_K_SOFTSIGN,
	FINF_K_SQRT,
	FINF_K_TANH
};

struct finf_map_args {
	const float *x;
	float *y;
	unsigned n, function;
	float alpha, beta; /* of those that have them */
	struct finf_k_act act;
};

/*
 * Rows of count elements to mean 0 and variance 1, then scale and shift. A block
 * per row. Row r takes scale[r % weight_rows.by * row_weights + i / run.by] for element i.
 */
struct finf_normalize_args {
	const float *x, *scale, *shift; /* shift may be NULL */
	float *y;
	unsigned count, row_weights;
	float epsilon;
	struct finf_k_div weight_rows, run;
	struct finf_k_act act;
};

enum finf_k_pad { FINF_K_CONSTANT, FINF_K_REFLECT, FINF_K_EDGE, FINF_K_WRAP };

struct finf_pad_args {
	const void *x;
	const void *cell; /* the constant; NULL: bits */
	void *y;
	unsigned n, each, mode;
	long long bits;
	int begin[FINF_K_RANK], extent[FINF_K_RANK]; /* of x */
	struct finf_k_walk at;			     /* dims of y, strides of x */
	struct finf_k_act act;
};

struct finf_pool_args {
	const float *x;
	float *y;
	unsigned n, average, with_pad;
	int in[2], taps[2], stride[2], dilation[2], pad[2], pad_end[2];
	struct finf_k_div out_cols, out_rows;
	struct finf_k_act act;
};

/* y = a to the power of b; dtype is b's, an enum finf_dtype. */
struct finf_power_args {
	const float *a;
	const void *b;
	float *y;
	unsigned n, dtype;
	struct finf_k_walk at_a, at_b;
	struct finf_k_act act;
};

enum finf_k_reduce {
	FINF_K_REDUCE_L1,
	FINF_K_REDUCE_L2,
	FINF_K_REDUCE_LOG_SUM,
	FINF_K_REDUCE_LOG_SUM_EXP,
	FINF_K_REDUCE_MAX,
	FINF_K_REDUCE_MEAN,
	FINF_K_REDUCE_MIN,
	FINF_K_REDUCE_PROD,
	FINF_K_REDUCE_SUM,
	FINF_K_REDUCE_SUM_SQUARE
};

/* y[i] from count elements, which inner walks from where outer puts i. A block per i. */
struct finf_reduce_args {
	const float *x;
	float *y;
	unsigned count, how;
	struct finf_k_walk outer, inner;
	struct finf_k_act act;
};

/* Rows of elements to rows of another pitch; x and y are aligned to an element only. */
struct finf_rows_args {
	const void *x;
	void *y;
	unsigned n, each, pitch;
	struct finf_k_div length;
	struct finf_k_act act;
};

/* count elements, step apart, for each of outer x step rows. A block per row. */
struct finf_softmax_args {
	const float *x;
	float *y;
	unsigned count, logarithm; /* logarithm: LogSoftmax */
	struct finf_k_div step;
	struct finf_k_act act;
};

struct finf_transpose_args {
	const void *x;
	void *y;
	unsigned n, each;
	unsigned from;	       /* where the first element is */
	struct finf_k_walk at; /* dims of y, strides of x, which may be negative */
	struct finf_k_act act;
};

/* y = act(first(x)); bounds of a clip may lie in memory: low, high, each may be NULL. */
struct finf_unary_args {
	const float *x, *low, *high;
	float *y;
	unsigned n;
	struct finf_k_act first, act;
};

/* y = a where holds, else b. */
struct finf_where_args {
	const void *holds, *a, *b;
	void *y;
	unsigned n, each;
	struct finf_k_walk at_holds, at_a, at_b;
	struct finf_k_act act;
};

/* Edge of a tile of the products, depth of one step, threads of their blocks. */
#define FINF_K_TILE    64
#define FINF_K_DEPTH   16
#define FINF_K_THREADS 256

#endif
