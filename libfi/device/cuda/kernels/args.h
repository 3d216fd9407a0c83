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

/*
 * y = act(softmax(alpha q k + mask) v), for each matrix of a stack. A block per row.
 * Strides in elements, 0 where an operand is repeated; mask may be NULL.
 */
struct finf_attention_args {
	const float *q, *k, *v, *mask;
	float *y;
	unsigned cols, depth, width;
	float alpha;
	int q_row, q_inner, k_inner, k_col, mask_row, mask_col, v_inner, v_col, y_row, y_col;
	struct finf_k_div rows;
	struct finf_k_walk at_q, at_k, at_v, at_mask, at_y; /* matrix number -> offset */
	struct finf_k_act act;
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
	FINF_K_DIV,  /* of integers by what is not 0, as the next two */
	FINF_K_MOD,  /* with the sign of the divisor; integers only */
	FINF_K_REST, /* with the sign of the dividend */
	FINF_K_MAX,
	FINF_K_MIN,
	FINF_K_PRELU /* float32 only */
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
	const float *x, *w, *bias, *z; /* bias and what is added may be NULL; y may lie on z */
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
	const float *x, *w, *bias, *z;
	float *y;
	unsigned n, channels, rows, cols, group_in;
	unsigned taps[2];
	int stride[2], dilation[2], pad[2];
	struct finf_k_div out_cols, out_rows, out_channels, group_out;
	struct finf_k_act act;
};

/* y = act(bias + z + partial sums), in the order of the splits. */
struct finf_conv_sum_args {
	const float *partial, *bias, *z;
	float *y;
	unsigned n, splits;
	struct finf_k_div plane, channels;
	struct finf_k_act act;
};

/*
 * Transposed convolution over up to three dimensions, gathered: an output sums
 * the taps of the cells that reach it. The sum over channels was made before,
 * [image][output channel][tap][cell]; or is made here, from x and w.
 */
struct finf_deconv_args {
	const float *products; /* NULL: x and w */
	const float *x, *w, *bias;
	float *y;
	unsigned n, group_in, cells, kernel; /* kernel: taps of all dimensions */
	unsigned in[3], taps[3], dilation[3];
	int pad[3];
	struct finf_k_div out[3], stride[3];
	struct finf_k_div out_channels, group_out;
	struct finf_k_act act;
};

/*
 * y[i] = the sum over s of products of one element of each term, which the walk
 * out puts at i and sum further at s.
 */
#define FINF_K_TERMS 4
struct finf_einsum_args {
	const float *x[FINF_K_TERMS];
	float *y;
	unsigned n, terms, count; /* count: of the sum */
	struct finf_k_walk out[FINF_K_TERMS], sum[FINF_K_TERMS];
	struct finf_k_act act;
};

/*
 * y = act(alpha * a * b + beta * c + z), for each matrix of a stack. Strides in
 * elements; those of c may be 0, c may be NULL. z lies as y does, or where y does, or is NULL.
 */
struct finf_gemm_args {
	const float *a, *b, *c, *z;
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

/*
 * Where element i is: where the walk puts it, and further by each index of its
 * tuple times a stride. slice elements share a tuple.
 */
struct finf_k_place {
	const void *index;
	unsigned wide, tuple; /* wide as above; indices of a tuple */
	struct finf_k_div slice;
	int extent[FINF_K_RANK], stride[FINF_K_RANK];
	struct finf_k_walk at;
};

/* y[i] = x at the place of i. */
struct finf_gather_at_args {
	const void *x;
	void *y;
	unsigned n, each;
	struct finf_k_place place;
	struct finf_k_act act;
};

enum finf_k_scatter {
	FINF_K_SCATTER_PUT, /* the last one stays; the numbers are those of enum finf_scatter */
	FINF_K_SCATTER_ADD,
	FINF_K_SCATTER_MUL,
	FINF_K_SCATTER_MAX,
	FINF_K_SCATTER_MIN
};

/*
 * y at the place of i combines with update i, of which there are n. Where two
 * may be for one place, owner has for each the number, plus 1, of the last; it
 * does the work of all, which are among every step-th of its line of count.
 */
struct finf_scatter_args {
	const void *updates;
	void *y;
	unsigned *owner; /* NULL: no two are for one place */
	unsigned n, each, dtype, how;
	struct finf_k_div step, count;
	struct finf_k_place place;
};
#define finf_scatter_claim_args finf_scatter_args /* writes owner, which is 0 */

/* x over a power of the squares in channels from before to after this one. */
struct finf_lrn_args {
	const float *x;
	float *y;
	unsigned n;
	int before, after;
	float factor, beta, bias;
	struct finf_k_div plane, channels;
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

/* From float32 or int32 to int8 or uint8, or back from those and int32 (enum finf_dtype). */
struct finf_quantize_args {
	const void *x, *zero; /* zero of the narrow dtype; NULL: 0 */
	const float *scale;
	void *y;
	unsigned n, from, to;
	struct finf_k_div step, count; /* scale and zero of element i: i / step % count */
	struct finf_k_act act;
};
#define finf_dequantize_args finf_quantize_args

/* y[i] = start + i * delta, in the dtype of all three. */
struct finf_range_args {
	const void *start, *delta;
	void *y;
	unsigned n, dtype;
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

/* What an output cell is made of along an axis: offsets and weights; at[0] < 0: of nothing. */
struct finf_k_taps {
	int at[4];
	float weight[4];
} __attribute__((aligned(16)));

/* An axis that is resampled; the enums are those of graph/op/resample.h. */
struct finf_k_axis {
	unsigned out; /* the axis's outputs, which are taps in a row */
	int in, stride;
	double scale, first, last;
};
struct finf_resize_taps_args {
	struct finf_k_taps *taps; /* axis after axis */
	unsigned n, mode, coord, round, exclude_outside;
	unsigned constant_outside; /* outputs from beyond the input are of nothing */
	double cubic;
	struct finf_k_axis axis[FINF_K_RANK];
};

/* y from taps: of the axes that have some, bits (0, 1 or 2) is log2 of how many count. */
struct finf_resize_args {
	const void *x;
	const struct finf_k_taps *taps;
	void *y;
	unsigned n, each, bits;
	float outside;
	struct finf_k_walk at;	     /* dims of y; strides of x, where an axis stays as it is */
	unsigned first[FINF_K_RANK]; /* taps of the axis, plus 1; 0: it stays */
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

/* The k elements of each line that come first, in order, and which they were. n elements in all. */
struct finf_topk_args {
	const void *x;
	void *y;	  /* may be NULL */
	long long *index; /* may be NULL */
	unsigned n, k, dtype, smallest;
	struct finf_k_div length, step;
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
