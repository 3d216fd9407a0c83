/* SPDX-License-Identifier: MIT */
/*
 * fuse: evaluate what depends on constants alone. Shape inference has computed
 * small results already; larger ones (weights made by arithmetic) are computed
 * here by the reference kernels.
 */
#include <errno.h>
#include <stdlib.h>

#include "fuse/internal.h"

/*
 * A fold has to pay: weights travel from disk on every swap-in, so a result
 * may not be much larger than what it is made from. The other bound keeps a
 * hostile model from exhausting memory.
 */
#define RESULT_BYTES_MAX ((size_t)256 << 20)
#define GROWTH_BYTES_MAX ((size_t)64 << 10)

/* Tensors of one node, for its kernel. */
struct call {
	struct finf_tensor *tensors;   /* owned: inputs, then outputs */
	const struct finf_tensor **in; /* owned */
	struct finf_tensor **out;      /* owned */
};

static void call_fini(struct call *call)
{
	free(call->tensors);
	free(call->in);
	free(call->out);
}

static int call_init(struct call *call, const struct finf_node *node)
{
	call->tensors = calloc((size_t)node->n_in + node->n_out, sizeof(*call->tensors));
	call->in = calloc(node->n_in + (size_t)1, sizeof(*call->in));
	call->out = calloc(node->n_out, sizeof(*call->out));
	if (call->tensors && call->in && call->out)
		return 0;
	call_fini(call);
	return -ENOMEM;
}

/* All inputs are here, and every output has a size that is worth storing. */
static bool foldable(const struct finf_graph *graph, const struct finf_node *node,
		     const uint32_t *is_output)
{
	size_t given = 0, bytes;

	for (uint32_t i = 0; i < node->n_in; i++) {
		const struct finf_value *v;

		if (node->in[i] == FINF_NONE)
			continue;
		v = &graph->values[node->in[i]];
		if (!v->is_const || !v->data)
			return false;
		given += v->bytes;
	}
	for (uint32_t i = 0; i < node->n_out; i++) {
		const struct finf_value *v;

		if (node->out[i] == FINF_NONE)
			continue;
		v = &graph->values[node->out[i]];
		if (is_output[node->out[i]] || !v->has_shape ||
		    finf_tensor_bytes(v->dtype, &v->shape, &bytes) || bytes > RESULT_BYTES_MAX ||
		    bytes > given + GROWTH_BYTES_MAX)
			return false;
	}
	return true;
}

static struct finf_tensor tensor_of(const struct finf_value *v)
{
	return (struct finf_tensor){.name = v->name,
				    .dtype = v->dtype,
				    .shape = v->shape,
				    .data = (void *)(uintptr_t)v->data,
				    .bytes = v->bytes};
}

/* Results lie in the graph's arena. */
static int call_load(struct call *call, struct finf_graph *graph, const struct finf_node *node)
{
	for (uint32_t i = 0; i < node->n_in; i++) {
		if (node->in[i] == FINF_NONE)
			continue;
		call->tensors[i] = tensor_of(&graph->values[node->in[i]]);
		call->in[i] = &call->tensors[i];
	}
	for (uint32_t i = 0; i < node->n_out; i++) {
		struct finf_tensor *t = &call->tensors[node->n_in + i];

		if (node->out[i] == FINF_NONE)
			continue;
		*t = tensor_of(&graph->values[node->out[i]]);
		if (finf_tensor_bytes(t->dtype, &t->shape, &t->bytes))
			return -EINVAL;
		t->data = finf_arena_alloc(&graph->arena, FINF_MAX(t->bytes, (size_t)1));
		if (!t->data)
			return -ENOMEM;
		call->out[i] = t;
	}
	return 0;
}

static int fold(struct finf_graph *graph, struct finf_node *node, struct finf_diag *diag)
{
	struct call call;
	int err = call_init(&call, node);

	if (err)
		return err;
	err = call_load(&call, graph, node);
	if (err)
		goto out;
	err = finf_op_eval(node, call.in, call.out);
	if (err) {
		finf_diag_set(diag, err, "node %s, operator %s: its constant inputs are refused",
			      node->name, node->op->name);
		goto out;
	}
	for (uint32_t i = 0; !err && i < node->n_out; i++) {
		if (!call.out[i])
			continue;
		graph->values[node->out[i]].producer = FINF_NONE;
		err = finf_graph_set_const(graph, node->out[i], call.out[i]->data,
					   call.out[i]->bytes, false);
		node->out[i] = FINF_NONE;
	}
out:
	call_fini(&call);
	return err;
}

static int run(struct finf_graph *graph, uint32_t *ret_changes, struct finf_diag *diag)
{
	struct finf_rewrite rw;
	uint32_t *is_output, known;
	int err = finf_graph_fold(graph, &known);

	if (err)
		return err;
	err = finf_rewrite_begin(&rw, graph);
	if (err)
		return err;
	rw.changes = known;
	is_output = calloc(FINF_MAX(graph->n_values, 1u), sizeof(*is_output));
	if (!is_output)
		err = -ENOMEM;
	for (uint32_t i = 0; !err && i < graph->n_outputs; i++)
		is_output[graph->outputs[i]] = 1;
	for (uint32_t i = 0; !err && i < graph->n_nodes; i++) {
		if (!foldable(graph, &graph->nodes[i], is_output))
			continue;
		err = fold(graph, &graph->nodes[i], diag);
		rw.keep[i] = false;
		rw.changes++;
	}
	free(is_output);
	return finf_rewrite_end(&rw, err, ret_changes);
}

const struct finf_fuse_pass finf_fuse_constants = {.name = "constants", .run = run};
