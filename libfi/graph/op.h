/* SPDX-License-Identifier: MIT */
/*
 * graph/op - one table of operators. An operator is one file, op/<name>.c:
 * which opsets and attributes it takes, which shapes come out, and a plain C
 * reference kernel that says what it means (the oracle of every device test).
 * Must not know: how fast any of it could be.
 *
 * Adding an operator: op/<name>.c, one row in op/table.def, one test table in
 * tests/unit/graph/op/, one line in Documentation/operators.md.
 */
#ifndef FINF_GRAPH_OP_H
#define FINF_GRAPH_OP_H

#include "graph/graph.h"

struct finf_attr_spec {
	const char *name; /* NULL ends the list */
	enum finf_attr_type type;
	bool required;
	/* Documented opsets of the attribute; 0 = no bound. */
	uint16_t since, until;
};

/*
 * What infer() may look at: dtypes, shapes, and bytes of inputs known already.
 * Its diagnosis need not name the node: the caller puts that in front.
 */
struct finf_infer {
	struct finf_graph *graph;
	const struct finf_node *node;
	uint32_t node_index;
	/* Per input: tensor with data when the value is constant (or was computed
	 * from constants), data == NULL otherwise; NULL when left out. Dims may be
	 * FINF_DIM_ANY. */
	const struct finf_tensor *const *in;
	const bool *in_has_shape;
	/* Per output, to be filled; left-out outputs are there too and ignored. An
	 * operator that only renames bytes (Identity, Reshape, ...) hands data and
	 * bytes of the input on: then the output is known too, without a copy. */
	struct finf_tensor *out;
	bool *out_has_shape; /* preset false; set when the rank is known */
	struct finf_diag *diag;
};

/* Units of an operator's work, by number: [from, to). */
struct finf_span {
	size_t from, to;
};

struct finf_op {
	const char *name; /* ONNX operator name, default domain */
	uint16_t opset_min, opset_max;
	uint8_t min_in, max_in, min_out, max_out; /* 255 = any number */
	const struct finf_attr_spec *attrs;	  /* NULL = none */
	/* eval() looks at the shapes of its inputs, never at their bytes (Shape). */
	bool shapes_only;
	/** infer - output dtypes and shapes. Return: 0; -EINVAL, -EOPNOTSUPP with diag. */
	int (*infer)(struct finf_infer *ctx);
	/**
	 * eval - the reference kernel: plain C, no allocation, no threads.
	 * @in   n_in dense tensors, NULL where left out
	 * @out  n_out dense tensors of the inferred dtype and shape, data to be
	 *       written; NULL where left out
	 * The folded activation of the node is applied by finf_op_eval().
	 * Return: 0; -EINVAL for data that contradicts (an index out of range).
	 */
	int (*eval)(const struct finf_node *node, const struct finf_tensor *const *in,
		    struct finf_tensor *const *out);
	/**
	 * range - in place of eval(), where the work falls into units that need nothing of
	 * each other (an element, a line): those of @span alone, so that several threads
	 * may do a part each, and every bit is the same.
	 */
	int (*range)(const struct finf_node *node, const struct finf_tensor *const *in,
		     struct finf_tensor *const *out, struct finf_span span);
	/** units - how many range() has; NULL = the elements of output 0. 0: data contradicts. */
	size_t (*units)(const struct finf_node *node, const struct finf_tensor *const *in,
			struct finf_tensor *const *out);
};

/* Opset of operators that fuse makes and no model can have: no model's opset is so high. */
#define FINF_OPSET_OWN 1000

/** finf_op_find - table row by ONNX name; NULL when unknown. */
const struct finf_op *finf_op_find(const char *name);
/** finf_op_at - rows by number, for listings; NULL past the end. */
const struct finf_op *finf_op_at(uint32_t index);

/**
 * finf_op_check - are opset, arity and attributes of this node what the table
 * allows? Names node, operator, opset and attribute. Return: 0; -EOPNOTSUPP
 * for an opset or attribute form that is refused by name; -EINVAL otherwise.
 */
int finf_op_check(const struct finf_node *node, struct finf_diag *diag);

/** finf_op_eval - eval plus the folded activation. The evaluator of constants and the oracle. */
int finf_op_eval(const struct finf_node *node, const struct finf_tensor *const *in,
		 struct finf_tensor *const *out);

/** finf_op_units - units that finf_op_eval_span() can divide; 0 when the operator does not say. */
size_t finf_op_units(const struct finf_node *node, const struct finf_tensor *const *in,
		     struct finf_tensor *const *out);

/** finf_op_eval_span - some units, without the folded activation. Together they are eval(). */
int finf_op_eval_span(const struct finf_node *node, const struct finf_tensor *const *in,
		      struct finf_tensor *const *out, struct finf_span span);

/* ---- helpers shared by operators and devices ---------------------------- */

#define FINF_SPATIAL_MAX 3

/* Window of Conv and pools over 1 to 3 spatial dimensions, attributes and auto_pad resolved. */
struct finf_window {
	uint32_t n; /* spatial dimensions; the last ones are rows and columns */
	int64_t kernel[FINF_SPATIAL_MAX], stride[FINF_SPATIAL_MAX], dilation[FINF_SPATIAL_MAX];
	int64_t pad_begin[FINF_SPATIAL_MAX], pad_end[FINF_SPATIAL_MAX];
	int64_t in[FINF_SPATIAL_MAX], out[FINF_SPATIAL_MAX];
};

/**
 * finf_window_init - resolve kernel_shape, strides, dilations, pads, auto_pad
 * and ceil_mode of a node.
 * @param n       spatial dimensions
 * @param kernel  spatial kernel size (from W for Conv, from the attribute for pools)
 * @param in      spatial input size, static
 * Return: 0; -EINVAL with diag; -EOPNOTSUPP for @n beyond FINF_SPATIAL_MAX.
 * Source: ONNX operator specification, Conv-11, MaxPool-12, AveragePool-19.
 */
int finf_window_init(const struct finf_node *node, uint32_t n, const int64_t *kernel,
		     const int64_t *in, struct finf_window *ret, struct finf_diag *diag);

/**
 * finf_window_transposed - the same for ConvTranspose: output_padding and
 * output_shape too; in is the smaller side, out the larger.
 * Source: ONNX operator specification, ConvTranspose-11.
 */
int finf_window_transposed(const struct finf_node *node, uint32_t n, const int64_t *kernel,
			   const int64_t *in, struct finf_window *ret, struct finf_diag *diag);

/** finf_window_volume - the same window in three dimensions: those in front have extent 1. */
struct finf_window finf_window_volume(const struct finf_window *window);

/** finf_axis - normalise a possibly negative axis; false when out of range. */
bool finf_axis(int64_t axis, uint32_t rank, uint32_t *ret);

/** finf_broadcast - NumPy broadcasting of two shapes (FINF_DIM_ANY allowed). Return 0, -EINVAL. */
int finf_broadcast(const struct finf_shape *a, const struct finf_shape *b, struct finf_shape *ret);

/** finf_tensor_copy - the bytes, whatever the shapes say. Return: 0, -EINVAL when sizes differ. */
int finf_tensor_copy(const struct finf_tensor *from, struct finf_tensor *to);

/** finf_copy_span - elements @span, of the same dtype. */
void finf_copy_span(const struct finf_tensor *from, struct finf_tensor *to, struct finf_span span);

/** finf_act_apply - the folded activation, in place, float32 elements. */
void finf_act_apply(enum finf_act act, float a, float b, float *x, size_t n);

#endif
