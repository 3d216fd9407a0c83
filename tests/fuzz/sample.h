/* SPDX-License-Identifier: MIT */
/*
 * A small network of real operators and a form table for it: the seed of the
 * fuzzers and of the golden packs. Its numbers are part of those golden files.
 */
#ifndef FI_TESTS_FUZZ_SAMPLE_H
#define FI_TESTS_FUZZ_SAMPLE_H

#include "graph/op.h"
#include "plan/plan.h"
#include "tests/fuzz/fuzz.h"

#define SAMPLE_TARGET "sample:1"

static inline uint32_t sample_value(struct finf_graph *graph, const char *name, uint32_t rank,
				    int64_t rows, int64_t columns)
{
	struct finf_shape shape = {.rank = rank, .dim = {rows, columns}};
	uint32_t value;

	FUZZ_ASSERT(!finf_graph_value(graph, name, FINF_F32, &shape, &value));
	return value;
}

/* Every element is a different small binary fraction. */
static inline uint32_t sample_const(struct finf_graph *graph, const char *name, uint32_t rank,
				    int64_t rows, int64_t columns)
{
	uint32_t value = sample_value(graph, name, rank, rows, columns);
	size_t n = (size_t)rows * (rank > 1 ? (size_t)columns : 1);
	float *data = malloc(n * sizeof(*data));

	FUZZ_ASSERT(data);
	for (size_t i = 0; i < n; i++)
		data[i] = (float)((int)(i * 37 % 255) - 127) / 256.0f + (float)rows;
	FUZZ_ASSERT(!finf_graph_set_const(graph, value, data, n * sizeof(*data), true));
	free(data);
	return value;
}

static inline uint32_t sample_node(struct finf_graph *graph, const char *op, const char *name,
				   uint32_t a, uint32_t b, int64_t columns)
{
	uint32_t in[2] = {a, b}, out = sample_value(graph, name, 2, 1, columns);

	FUZZ_ASSERT(finf_op_find(op));
	FUZZ_ASSERT(!finf_graph_node(graph, finf_op_find(op), 13, op, in, b == FINF_NONE ? 1 : 2,
				     &out, 1, NULL, 0, NULL));
	return out;
}

/* x[1x16] * W1[16x64] + b1, Relu, * W2[64x24] + b2 -> y; the last through an Identity. */
static inline struct finf_graph *sample_graph(void)
{
	struct finf_graph *graph;
	uint32_t v;

	FUZZ_ASSERT(!finf_graph_new("sample", &graph));
	v = sample_value(graph, "x", 2, 1, 16);
	FUZZ_ASSERT(!finf_graph_input(graph, v));
	v = sample_node(graph, "MatMul", "h1", v, sample_const(graph, "W1", 2, 16, 64), 64);
	v = sample_node(graph, "Add", "h2", v, sample_const(graph, "b1", 1, 64, 0), 64);
	v = sample_node(graph, "Relu", "h3", v, FINF_NONE, 64);
	v = sample_node(graph, "MatMul", "h4", v, sample_const(graph, "W2", 2, 64, 24), 24);
	v = sample_node(graph, "Add", "h5", v, sample_const(graph, "b2", 1, 24, 0), 24);
	v = sample_node(graph, "Identity", "y", v, FINF_NONE, 24);
	FUZZ_ASSERT(!finf_graph_output(graph, v));
	return graph;
}

static inline int sample_layout_bytes(const void *ctx, uint16_t layout, enum finf_dtype dtype,
				      const struct finf_shape *shape, uint64_t *ret)
{
	size_t plain;
	int err = finf_tensor_bytes(dtype, shape, &plain);

	(void)ctx;
	if (!err)
		*ret = plain + 64u * layout;
	return err;
}

static inline uint64_t sample_reorder_ns(const void *ctx, uint16_t from, uint16_t to,
					 uint64_t bytes)
{
	(void)ctx, (void)from, (void)to;
	return 10 + bytes;
}

/* One form each: the products read blocked weights, the rest works in place. */
static inline void sample_table(struct finf_form_table *table, const struct finf_graph *graph)
{
	*table = (struct finf_form_table){.n_nodes = graph->n_nodes,
					  .layout_bytes = sample_layout_bytes,
					  .reorder_ns = sample_reorder_ns};
	finf_arena_init(&table->arena);
	table->nodes = finf_arena_array(&table->arena, graph->n_nodes, sizeof(*table->nodes));
	FUZZ_ASSERT(table->nodes);
	for (uint32_t i = 0; i < graph->n_nodes; i++) {
		const struct finf_node *node = &graph->nodes[i];
		bool product = !strcmp(node->op->name, "MatMul");
		struct finf_form *form = finf_arena_alloc(&table->arena, sizeof(*form));

		FUZZ_ASSERT(form);
		form->algo = i + 1;
		form->name = "sample";
		form->flags = product ? 0 : FINF_FORM_INPLACE;
		if (!strcmp(node->op->name, "Identity"))
			form->flags = FINF_FORM_ALIAS;
		form->in_layout = product;
		form->workspace_bytes = product ? 100 : 0;
		form->est_ns = 100;
		form->n_weights = node->n_in > 1;
		form->weights = finf_arena_alloc(&table->arena, sizeof(*form->weights));
		FUZZ_ASSERT(form->weights);
		if (node->n_in > 1) {
			form->weights->input = 1;
			form->weights->bytes = graph->values[node->in[1]].bytes + (product ? 32 : 0);
			form->weights->desc = "blocked";
			form->weights->desc_bytes = product ? 7 : 0;
		}
		table->nodes[i].forms = form;
		table->nodes[i].n = 1;
	}
}

static inline struct finf_plan *sample_plan(const struct finf_graph *graph)
{
	struct finf_plan_opts opts = {.size = sizeof(opts), .threads = 2, .segment_bytes = 4096};
	struct finf_form_table table;
	struct finf_plan *plan;

	sample_table(&table, graph);
	FUZZ_ASSERT(!finf_plan_new(graph, &table, &opts, &plan, NULL));
	finf_arena_fini(&table.arena);
	return plan;
}

#endif
