/* SPDX-License-Identifier: MIT */
/*
 * graph - the intermediate representation: values, nodes, graphs, shape
 * inference, verification, and the operator table (op.h).
 * Must not know: ONNX bytes, files, devices, plans. Storage of activations is
 * not its business; constants are borrowed or live in the graph's arena.
 */
#ifndef FINF_GRAPH_H
#define FINF_GRAPH_H

#include "base/base.h"

#define FINF_NONE UINT32_MAX /* "no value", "no node" */

struct finf_op;

enum finf_attr_type {
	FINF_ATTR_INT = 1,
	FINF_ATTR_FLOAT,
	FINF_ATTR_STRING,
	FINF_ATTR_INTS,
	FINF_ATTR_FLOATS,
	FINF_ATTR_TENSOR,
};

struct finf_attr {
	const char *name;
	enum finf_attr_type type;
	uint32_t n; /* INTS, FLOATS: elements; STRING: bytes */
	union {
		int64_t i;
		float f;
		const char *s; /* NUL-terminated */
		const int64_t *ints;
		const float *floats;
		const struct finf_tensor *t;
	};
};

/* Activation folded into the node that produces a value: applied to output 0. */
enum finf_act {
	FINF_ACT_NONE = 0,
	FINF_ACT_RELU,
	FINF_ACT_LEAKY, /* x < 0 ? a*x : x */
	FINF_ACT_CLIP,	/* min(max(x, a), b) */
	FINF_ACT_SIGMOID,
	FINF_ACT_ELU, /* x < 0 ? a*(e^x - 1) : x */
	FINF_ACT_GELU,
	FINF_ACT_GELU_TANH,
	FINF_ACT_HARD_SWISH,
	FINF_ACT_MISH,
	FINF_ACT_SWISH, /* x*sigmoid(x) */
	FINF_ACT_TANH,
	FINF_ACTS /* how many there are */
};

/*
 * A value is defined once: as graph input, as constant (data != NULL or
 * is_const with bytes held elsewhere, see finf_graph_read()), or by one node.
 */
struct finf_value {
	const char *name; /* unique in the graph, in its arena */
	enum finf_dtype dtype;
	bool has_shape;
	bool is_input, is_const;
	struct finf_shape shape; /* may hold FINF_DIM_ANY */
	uint32_t producer;	 /* node, or FINF_NONE */
	/* Constant bytes, or what finf_graph_infer() found out about a produced
	 * value (is_const is false then): borrowed or in the arena; else NULL. */
	const void *data;
	size_t bytes; /* of a constant, or of data */
};

struct finf_node {
	const char *name; /* never NULL; made up from the operator when the model has none */
	const struct finf_op *op;
	uint32_t opset; /* version of the default domain the model was written for */
	uint32_t n_in, n_out, n_attrs;
	uint32_t *in;  /* values; FINF_NONE = optional input left out */
	uint32_t *out; /* values; FINF_NONE = optional output left out */
	struct finf_attr *attrs;
	enum finf_act act;
	float act_a, act_b;
};

/* What a group's plan is made for: branches side by side, or one after the other. */
enum finf_schedule { FINF_SIDE_BY_SIDE = 0, FINF_ONE_BY_ONE };

struct finf_member;

struct finf_graph {
	struct finf_arena arena; /* owned: names, attributes, small constants */
	const char *name;
	struct finf_value *values; /* owned */
	uint32_t n_values, cap_values;
	struct finf_node *nodes; /* owned; in topological order after finf_graph_sort() */
	uint32_t n_nodes, cap_nodes;
	uint32_t *inputs, *outputs; /* owned: values, in the model's order */
	uint32_t n_inputs, cap_inputs, n_outputs, cap_outputs;
	struct finf_map by_name;
	struct finf_member *members; /* member.h; in the arena; none = a single model */
	uint32_t n_members;
	enum finf_schedule schedule; /* of a group */
	bool batched; /* of a group: what members do alike is planned as one (fuse.h) */
	/* Constants may point into foreign memory (an unpacked file): kept alive here. */
	void (*release)(void *foreign);
	void *foreign;
};

/* ---- building --------------------------------------------------------- */

/** finf_graph_new - empty graph. Return: 0, -ENOMEM. Free with finf_graph_free(). */
int finf_graph_new(const char *name, struct finf_graph **ret_graph);
void finf_graph_free(struct finf_graph *graph);

/**
 * finf_graph_value - add a value.
 * @param name   copied; must be new in this graph
 * @param shape  NULL = not known yet
 * Return: 0, -EEXIST (name taken), -ENOMEM.
 */
int finf_graph_value(struct finf_graph *graph, const char *name, enum finf_dtype dtype,
		     const struct finf_shape *shape, uint32_t *ret_value);

/** finf_graph_input, finf_graph_output - append to the model's interface. -EEXIST: defined already. */
int finf_graph_input(struct finf_graph *graph, uint32_t value);
int finf_graph_output(struct finf_graph *graph, uint32_t value);

/**
 * finf_graph_set_const - make a value a constant.
 * @param data  @bytes in row-major order; copied into the arena when @copy,
 *              else borrowed for the life of the graph (and copied only when
 *              it is not aligned to its elements)
 * Return: 0; -EINVAL when bytes do not match dtype and shape; -EEXIST when the
 * value is an input or produced by a node; -ENOMEM.
 */
int finf_graph_set_const(struct finf_graph *graph, uint32_t value, const void *data, size_t bytes,
			 bool copy);

/**
 * finf_graph_fix_input - turn an input into a constant: the model specialised
 * for this value, when shapes depend on it. Later inputs move up; infer again.
 * @param data  the bytes of its dtype and static shape; copied
 * Return: 0; -EINVAL when it is not an input or not static, or the graph is a
 * group's; -ENOMEM.
 */
int finf_graph_fix_input(struct finf_graph *graph, uint32_t value, const void *data);

/**
 * finf_graph_node - add a node.
 * @param op      from finf_op_find()
 * @param in,out  value numbers, copied; FINF_NONE for what is left out
 * @param attrs   deep-copied
 * Return: 0; -EEXIST when an output already has a producer; -EINVAL arity; -ENOMEM.
 */
int finf_graph_node(struct finf_graph *graph, const struct finf_op *op, uint32_t opset,
		    const char *name, const uint32_t *in, uint32_t n_in, const uint32_t *out,
		    uint32_t n_out, const struct finf_attr *attrs, uint32_t n_attrs,
		    uint32_t *ret_node);

bool finf_graph_find(const struct finf_graph *graph, const char *name, uint32_t *ret_value);

/* ---- whole-graph work -------------------------------------------------- */

/**
 * finf_graph_sort - topological order, stable.
 * Return: 0; -ELOOP naming a node of the cycle; -ENOMEM.
 */
int finf_graph_sort(struct finf_graph *graph, struct finf_diag *diag);

/**
 * finf_graph_verify - is the graph well formed?
 * Checks arity and attributes against the operator table, that every value
 * used is defined before, that outputs exist, that constants have the bytes of
 * their shape. Call after finf_graph_sort(). Return: 0; -EINVAL with @diag.
 */
int finf_graph_verify(const struct finf_graph *graph, struct finf_diag *diag);

/**
 * finf_graph_infer - dtypes and shapes of every value, in node order.
 * Int64 and small constant subgraphs are evaluated on the way, so that shape
 * arithmetic (Shape, Gather, Concat, Cast ...) yields the shapes it computes.
 * With dynamic inputs some shapes stay partly FINF_DIM_ANY.
 * Return: 0; -EINVAL naming node and operator when shapes contradict; -ENOMEM.
 */
int finf_graph_infer(struct finf_graph *graph, struct finf_diag *diag);

/**
 * finf_graph_fold - make constants of the values whose bytes
 * finf_graph_infer() knows, and drop the nodes that computed them. Outputs of
 * the model stay computed. Renumbers when anything was folded.
 * @param ret_folded  nodes dropped; may be NULL. Return: 0; -ENOMEM.
 */
int finf_graph_fold(struct finf_graph *graph, uint32_t *ret_folded);

/** finf_graph_clone - deep copy; constants stay borrowed from @graph, which must outlive the copy. */
int finf_graph_clone(const struct finf_graph *graph, struct finf_graph **ret_graph);

/**
 * finf_graph_bind - the same graph for concrete input shapes.
 * Clones, sets the shapes of the inputs (in order of graph->inputs), infers,
 * replaces what became constant, drops dead nodes. Value and node numbers of
 * the copy differ; names stay. Every shape of the result is static.
 * @param shapes  n_inputs of them
 * Return: 0; -EINVAL when a shape contradicts the model's; -EOPNOTSUPP when a
 * shape depends on data; -ENOMEM.
 */
int finf_graph_bind(const struct finf_graph *graph, const struct finf_shape *shapes,
		    struct finf_graph **ret_graph, struct finf_diag *diag);

/**
 * finf_graph_prune - drop nodes and values that no output needs, in place, and
 * renumber. @keep marks nodes to keep; NULL = those reachable from the outputs.
 */
int finf_graph_prune(struct finf_graph *graph, const bool *keep);

/**
 * finf_graph_write - serialise (Documentation/formats/graph.md). Constants of
 * at most FINF_GRAPH_INLINE_BYTES and all integer ones travel inline, others
 * by name only: is_const with data == NULL after finf_graph_read(), to be
 * bound by the caller (the pack knows where they are).
 */
#define FINF_GRAPH_INLINE_BYTES 64
bool finf_graph_const_inline(const struct finf_value *value);
void finf_graph_write(const struct finf_graph *graph, struct finf_buf *buf);
/** Return: 0; -EBADMSG damaged, with the place; -EOPNOTSUPP unknown operator; -ENOMEM. */
int finf_graph_read(const void *data, size_t bytes, struct finf_graph **ret_graph,
		    struct finf_diag *diag);

/* ---- attributes -------------------------------------------------------- */

const struct finf_attr *finf_node_attr(const struct finf_node *node, const char *name);
/** The attribute's value, or @fallback when the node does not have it. */
int64_t finf_node_int(const struct finf_node *node, const char *name, int64_t fallback);
float finf_node_float(const struct finf_node *node, const char *name, float fallback);
const char *finf_node_str(const struct finf_node *node, const char *name, const char *fallback);
/** Elements of an INTS attribute; NULL and 0 when absent. */
const int64_t *finf_node_ints(const struct finf_node *node, const char *name, uint32_t *ret_n);

#endif
