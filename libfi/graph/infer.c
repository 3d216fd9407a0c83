/* SPDX-License-Identifier: MIT */
/*
 * graph: dtypes and shapes of every value, node by node; what follows from
 * constants alone is computed on the way.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "graph/op.h"

/*
 * Bounds on what inference computes by itself. Shape arithmetic is a handful
 * of integers; the limits keep a hostile model from making us multiply
 * matrices, once or in every node. Larger constant subgraphs are folded by the
 * fuse room. What is beyond a bound is simply not known.
 */
#define KNOWN_BYTES	  (64u << 10) /* of one node: inputs together, outputs together */
#define KNOWN_FLOAT_BYTES (4u << 10)  /* the same where floats come out: not linear in general */
#define KNOWN_TOTAL_BYTES (16u << 20)

/* Room for one node at a time, sized for the widest. */
struct step {
	struct finf_graph *graph;
	struct finf_diag *diag;
	struct finf_tensor *in, *out;
	const struct finf_tensor **in_at;
	struct finf_tensor **out_at;
	bool *in_has_shape, *out_has_shape;
	uint8_t *scratch; /* KNOWN_BYTES */
	size_t budget;	  /* bytes that may still be read and written by evaluating */
};

static void step_fini(struct step *s)
{
	free(s->in);
	free(s->out);
	free(s->in_at);
	free(s->out_at);
	free(s->in_has_shape);
	free(s->out_has_shape);
	free(s->scratch);
}

static int step_init(struct step *s, struct finf_graph *graph, struct finf_diag *diag)
{
	size_t n_in = 1, n_out = 1;

	*s = (struct step){.graph = graph, .diag = diag, .budget = KNOWN_TOTAL_BYTES};
	for (uint32_t i = 0; i < graph->n_nodes; i++) {
		n_in = FINF_MAX(n_in, (size_t)graph->nodes[i].n_in);
		n_out = FINF_MAX(n_out, (size_t)graph->nodes[i].n_out);
	}
	s->in = calloc(n_in, sizeof(*s->in));
	s->out = calloc(n_out, sizeof(*s->out));
	s->in_at = calloc(n_in, sizeof(*s->in_at));
	s->out_at = calloc(n_out, sizeof(*s->out_at));
	s->in_has_shape = calloc(n_in, sizeof(*s->in_has_shape));
	s->out_has_shape = calloc(n_out, sizeof(*s->out_has_shape));
	s->scratch = malloc(KNOWN_BYTES);
	if (s->in && s->out && s->in_at && s->out_at && s->in_has_shape && s->out_has_shape &&
	    s->scratch)
		return 0;
	step_fini(s);
	return -ENOMEM;
}

/* The bytes of a value as kernels take them; eval and infer only read. */
static void *known_data(const struct finf_value *v)
{
	return (void *)(uintptr_t)v->data;
}

static void step_load(struct step *s, const struct finf_node *node)
{
	for (uint32_t i = 0; i < node->n_in; i++) {
		const struct finf_value *v;

		s->in_at[i] = NULL;
		s->in_has_shape[i] = false;
		if (node->in[i] == FINF_NONE)
			continue;
		v = &s->graph->values[node->in[i]];
		s->in[i] = (struct finf_tensor){.name = v->name,
						.dtype = v->dtype,
						.shape = v->shape,
						.data = known_data(v),
						.bytes = v->data ? v->bytes : 0};
		s->in_at[i] = &s->in[i];
		s->in_has_shape[i] = v->has_shape;
	}
	memset(s->out, 0, node->n_out * sizeof(*s->out));
	memset(s->out_has_shape, 0, node->n_out * sizeof(*s->out_has_shape));
}

/* ---- shapes ------------------------------------------------------------------ */

/* What is known from outside and what the operator says must not contradict. */
static int merge_shape(struct finf_value *v, const struct finf_shape *shape, struct finf_diag *diag)
{
	char have[128], found[128];
	struct finf_shape merged = *shape;
	bool same = !v->has_shape || v->shape.rank == shape->rank;

	for (uint32_t i = 0; same && v->has_shape && i < shape->rank; i++) {
		if (merged.dim[i] == FINF_DIM_ANY)
			merged.dim[i] = v->shape.dim[i];
		same = v->shape.dim[i] == FINF_DIM_ANY || v->shape.dim[i] == merged.dim[i];
	}
	if (!same)
		return finf_diag_set(diag, -EINVAL, "%s is declared %s but comes out as %s",
				     v->name, finf_shape_text(&v->shape, have, sizeof(have)),
				     finf_shape_text(shape, found, sizeof(found)));
	v->has_shape = true;
	v->shape = merged;
	return 0;
}

/* Extents that exist, and a size in bytes that can be counted. */
static int check_shape(const struct finf_value *v, enum finf_dtype dtype,
		       const struct finf_shape *shape, struct finf_diag *diag)
{
	struct finf_shape least = *shape;
	size_t bytes;
	int err;

	if (shape->rank > FINF_RANK_MAX)
		return finf_diag_set(diag, -EOPNOTSUPP,
				     "%s has %u dimensions, at most %d are supported", v->name,
				     shape->rank, FINF_RANK_MAX);
	for (uint32_t i = 0; i < shape->rank; i++)
		if (shape->dim[i] == FINF_DIM_ANY)
			least.dim[i] = 1;
	err = finf_tensor_bytes(dtype, &least, &bytes);
	if (err)
		return finf_diag_set(diag, err, "%s is too large or has a negative extent",
				     v->name);
	return 0;
}

static int store_shape(struct step *s, struct finf_value *v, const struct finf_tensor *out,
		       bool has_shape)
{
	int err;

	if (!finf_dtype_bytes(out->dtype))
		return finf_diag_set(s->diag, -EINVAL, "the dtype of %s is not known", v->name);
	if (v->dtype != FINF_DTYPE_NONE && v->dtype != out->dtype)
		return finf_diag_set(s->diag, -EINVAL, "%s is declared %s but comes out as %s",
				     v->name, finf_dtype_name(v->dtype),
				     finf_dtype_name(out->dtype));
	v->dtype = out->dtype;
	if (!has_shape)
		return 0;
	err = check_shape(v, out->dtype, &out->shape, s->diag);
	return err ? err : merge_shape(v, &out->shape, s->diag);
}

/* ---- known bytes ------------------------------------------------------------- */

/* Are all inputs known, or all their extents where that is enough? */
static bool inputs_known(const struct step *s, const struct finf_node *node, size_t *ret_bytes)
{
	size_t total = 0;

	for (uint32_t i = 0; i < node->n_in; i++) {
		if (!s->in_at[i])
			continue;
		if (!s->in_has_shape[i] || !finf_shape_is_static(&s->in[i].shape))
			return false;
		if (node->op->shapes_only)
			continue;
		if (!s->in[i].data || s->in[i].bytes > KNOWN_BYTES - total)
			return false;
		total += s->in[i].bytes;
	}
	*ret_bytes = total;
	return true;
}

/* Lays the outputs out in the scratch buffer; false when they are not static or too large. */
static bool outputs_fit(struct step *s, const struct finf_node *node, size_t in_bytes)
{
	size_t at = 0, limit = KNOWN_BYTES;

	for (uint32_t i = 0; i < node->n_out; i++)
		if (node->out[i] != FINF_NONE &&
		    finf_dtype_is_float(s->graph->values[node->out[i]].dtype))
			limit = KNOWN_FLOAT_BYTES;
	if (in_bytes > limit)
		return false;
	for (uint32_t i = 0; i < node->n_out; i++) {
		const struct finf_value *v;
		size_t bytes;

		s->out_at[i] = NULL;
		if (node->out[i] == FINF_NONE)
			continue;
		v = &s->graph->values[node->out[i]];
		if (!v->has_shape || finf_tensor_bytes(v->dtype, &v->shape, &bytes) || at > limit ||
		    bytes > limit - at)
			return false;
		s->out[i] = (struct finf_tensor){.dtype = v->dtype,
						 .shape = v->shape,
						 .data = s->scratch + at,
						 .bytes = bytes};
		s->out_at[i] = &s->out[i];
		at = finf_align_up(at + bytes, 16);
	}
	if (in_bytes + at > s->budget)
		return false;
	s->budget -= in_bytes + at;
	return true;
}

/* Evaluated bytes move from the scratch buffer to the arena; an equal copy that is there stays. */
static int keep_known(struct finf_arena *arena, struct finf_value *v, const struct finf_tensor *out)
{
	const void *copy;

	if (v->data && v->bytes == out->bytes && !memcmp(v->data, out->data, out->bytes))
		return 0;
	copy = finf_arena_dup(arena, out->data, out->bytes);
	if (!copy)
		return -ENOMEM;
	v->data = copy;
	v->bytes = out->bytes;
	return 0;
}

static void forget_known(struct finf_graph *graph, const struct finf_node *node)
{
	for (uint32_t i = 0; i < node->n_out; i++)
		if (node->out[i] != FINF_NONE) {
			graph->values[node->out[i]].data = NULL;
			graph->values[node->out[i]].bytes = 0;
		}
}

static int evaluate(struct step *s, const struct finf_node *node)
{
	struct finf_graph *graph = s->graph;
	size_t in_bytes;
	int err;

	if (!inputs_known(s, node, &in_bytes) || !outputs_fit(s, node, in_bytes)) {
		forget_known(graph, node);
		return 0;
	}
	err = finf_op_eval(node, s->in_at, s->out_at);
	if (err)
		return finf_diag_set(s->diag, err, "its constant inputs contradict each other");
	for (uint32_t i = 0; !err && i < node->n_out; i++)
		if (s->out_at[i])
			err = keep_known(&graph->arena, &graph->values[node->out[i]], s->out_at[i]);
	return err;
}

/* Bytes that the operator handed on from an input; true when that settles every output. */
static bool handed_on(struct step *s, const struct finf_node *node)
{
	bool all = node->act == FINF_ACT_NONE;

	for (uint32_t i = 0; i < node->n_out; i++)
		if (node->out[i] != FINF_NONE && !s->out[i].data)
			all = false;
	for (uint32_t i = 0; all && i < node->n_out; i++) {
		struct finf_value *v;
		size_t bytes;

		if (node->out[i] == FINF_NONE)
			continue;
		v = &s->graph->values[node->out[i]];
		/* A declared shape may say more than the operator knows: then it has to agree. */
		if (!v->has_shape || finf_tensor_bytes(v->dtype, &v->shape, &bytes) ||
		    bytes != s->out[i].bytes)
			return false;
		v->data = s->out[i].data;
		v->bytes = bytes;
	}
	return all;
}

/*
 * Numbers of 16 bits come in and go out, and Cast makes float32 of them: no
 * other kernel has to know them.
 */
static int check_half(struct step *s, const struct finf_node *node)
{
	if (node->op == finf_op_find("Cast"))
		return 0;
	for (uint32_t i = 0; i < node->n_in; i++)
		if (s->in_at[i] && finf_dtype_is_half(s->in[i].dtype))
			return finf_diag_set(s->diag, -EOPNOTSUPP, "input %u is %s", i,
					     finf_dtype_name(s->in[i].dtype));
	for (uint32_t i = 0; i < node->n_out; i++)
		if (node->out[i] != FINF_NONE && finf_dtype_is_half(s->out[i].dtype))
			return finf_diag_set(s->diag, -EOPNOTSUPP, "output %u is %s", i,
					     finf_dtype_name(s->out[i].dtype));
	return 0;
}

/* ---- the walk ------------------------------------------------------------------ */

static int infer_node(struct step *s, uint32_t index)
{
	const struct finf_node *node = &s->graph->nodes[index];
	struct finf_infer ctx = {.graph = s->graph,
				 .node = node,
				 .node_index = index,
				 .in = s->in_at,
				 .in_has_shape = s->in_has_shape,
				 .out = s->out,
				 .out_has_shape = s->out_has_shape,
				 .diag = s->diag};
	int err;

	step_load(s, node);
	err = node->op->infer(&ctx);
	if (!err)
		err = check_half(s, node);
	for (uint32_t i = 0; !err && i < node->n_out; i++)
		if (node->out[i] != FINF_NONE)
			err = store_shape(s, &s->graph->values[node->out[i]], &s->out[i],
					  s->out_has_shape[i]);
	if (err || handed_on(s, node))
		return err;
	return evaluate(s, node);
}

int finf_graph_infer(struct finf_graph *graph, struct finf_diag *diag)
{
	struct step s;
	int err;

	err = step_init(&s, graph, diag);
	if (err)
		return err;
	if (diag)
		diag->text[0] = 0;
	for (uint32_t i = 0; !err && i < graph->n_nodes; i++) {
		const struct finf_node *node = &graph->nodes[i];

		err = infer_node(&s, i);
		if (err && err != -ENOMEM)
			finf_diag_prefix(diag, "node %s, operator %s, opset %u", node->name,
					 node->op->name, node->opset);
	}
	step_fini(&s);
	return err;
}
