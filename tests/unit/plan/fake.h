/* SPDX-License-Identifier: MIT */
/*
 * Graphs of one made-up operator and form tables written by hand: what plan
 * and pack see of a device, without a device.
 */
#ifndef FI_TESTS_PLAN_FAKE_H
#define FI_TESTS_PLAN_FAKE_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/op.h"
#include "plan/plan.h"
#include "tests/support/support.h"

#define FAKE_NAME_LEN 32

static const struct finf_op fake_op = {
	.name = "Fake", .opset_min = 1, .opset_max = 99,
	.min_in = 0, .max_in = 255, .min_out = 0, .max_out = 255,
};

static inline struct finf_graph *fake_graph(void)
{
	struct finf_graph *graph;

	ck_assert_int_eq(finf_graph_new("fake", &graph), 0);
	return graph;
}

/* A float32 vector of @n elements, named after its number. */
static inline uint32_t fake_value(struct finf_graph *graph, int64_t n)
{
	struct finf_shape shape = {.rank = 1, .dim = {n}};
	char name[FAKE_NAME_LEN];
	uint32_t value;

	snprintf(name, sizeof(name), "v%u", graph->n_values);
	ck_assert_int_eq(finf_graph_value(graph, name, FINF_F32, &shape, &value), 0);
	return value;
}

static inline uint32_t fake_input(struct finf_graph *graph, int64_t n)
{
	uint32_t value = fake_value(graph, n);

	ck_assert_int_eq(finf_graph_input(graph, value), 0);
	return value;
}

static inline uint32_t fake_const(struct finf_graph *graph, int64_t n)
{
	uint32_t value = fake_value(graph, n);
	float *data = calloc((size_t)n + 1, sizeof(*data));

	test_fill_f32(data, (size_t)n, value);
	ck_assert_int_eq(finf_graph_set_const(graph, value, data, (size_t)n * 4, true), 0);
	free(data);
	return value;
}

/* One node, one output of @n elements; inputs until FINF_NONE. */
static inline uint32_t fake_node(struct finf_graph *graph, int64_t n, uint32_t a, uint32_t b,
				 uint32_t c)
{
	uint32_t in[3] = {a, b, c}, n_in = 0, out = fake_value(graph, n);

	while (n_in < 3 && in[n_in] != FINF_NONE)
		n_in++;
	ck_assert_int_eq(finf_graph_node(graph, &fake_op, 1, NULL, in, n_in, &out, 1, NULL, 0, NULL),
			 0);
	return out;
}

/* ---- forms -------------------------------------------------------------- */

/* A device layout takes a little more than the plain bytes. */
static inline int fake_layout_bytes(const void *ctx, uint16_t layout, enum finf_dtype dtype,
				    const struct finf_shape *shape, uint64_t *ret)
{
	size_t plain;
	int err = finf_tensor_bytes(dtype, shape, &plain);

	(void)ctx;
	if (!err)
		*ret = finf_align_up(plain, 64) + 64u * layout;
	return err;
}

static inline uint64_t fake_reorder_ns(const void *ctx, uint16_t from, uint16_t to, uint64_t bytes)
{
	(void)ctx, (void)from, (void)to;
	return 100 + bytes / 16;
}

static inline void fake_table_init(struct finf_form_table *table, const struct finf_graph *graph)
{
	*table = (struct finf_form_table){.n_nodes = graph->n_nodes,
					  .layout_bytes = fake_layout_bytes,
					  .reorder_ns = fake_reorder_ns};
	finf_arena_init(&table->arena);
	table->nodes = finf_arena_array(&table->arena, graph->n_nodes, sizeof(*table->nodes));
	for (uint32_t i = 0; i < graph->n_nodes; i++)
		table->nodes[i].forms = finf_arena_array(&table->arena, 8, sizeof(struct finf_form));
}

/* Another form of node @node; it reads every constant input, described by @desc ("" = plain). */
static inline struct finf_form *fake_form(struct finf_form_table *table,
					  const struct finf_graph *graph, uint32_t node,
					  uint16_t in_layout, uint16_t out_layout, uint64_t est_ns,
					  const char *desc)
{
	struct finf_form_list *list = &table->nodes[node];
	struct finf_form *form = &list->forms[list->n++];
	const struct finf_node *n = &graph->nodes[node];

	*form = (struct finf_form){.algo = list->n, .name = "fake", .in_layout = in_layout,
				   .out_layout = out_layout, .est_ns = est_ns};
	form->weights = finf_arena_array(&table->arena, n->n_in, sizeof(*form->weights));
	for (uint32_t k = 0; k < n->n_in; k++) {
		const struct finf_value *value;

		if (n->in[k] == FINF_NONE)
			continue;
		value = &graph->values[n->in[k]];
		if (!value->is_const)
			continue;
		form->weights[form->n_weights++] = (struct finf_weight_form){
			.input = k,
			.bytes = *desc ? finf_align_up(value->bytes, 64) : value->bytes,
			.desc_bytes = (uint32_t)strlen(desc),
			.desc = *desc ? finf_arena_str(&table->arena, desc) : NULL};
	}
	return form;
}

/* Every node plain, 1000 ns. */
static inline void fake_plain_table(struct finf_form_table *table, const struct finf_graph *graph)
{
	fake_table_init(table, graph);
	for (uint32_t i = 0; i < graph->n_nodes; i++)
		fake_form(table, graph, i, 0, 0, 1000, "");
}

static inline void fake_table_fini(struct finf_form_table *table)
{
	finf_arena_fini(&table->arena);
}

/* A plan that must come out, and must be proven. */
static inline struct finf_plan *fake_plan(const struct finf_graph *graph,
					  const struct finf_form_table *table,
					  const struct finf_plan_opts *opts)
{
	struct finf_plan_opts defaults = {.size = sizeof(defaults), .threads = 2};
	struct finf_plan *plan = NULL;
	struct finf_diag diag = {""};
	int err = finf_plan_new(graph, table, opts ? opts : &defaults, &plan, &diag);

	ck_assert_msg(!err, "plan: %d %s", err, diag.text);
	err = finf_plan_check(graph, plan, &diag);
	ck_assert_msg(!err, "check: %s", diag.text);
	return plan;
}

/* ---- random graphs --------------------------------------------------------- */

static inline uint32_t fake_below(uint64_t *seed, uint32_t n)
{
	return (uint32_t)(test_random(seed) % n);
}

static inline uint32_t fake_random_operand(struct finf_graph *graph, uint64_t *seed)
{
	switch (fake_below(seed, 8)) {
	case 0: return fake_const(graph, 16 << fake_below(seed, 9));
	case 1: return FINF_NONE;
	case 2: case 3: case 4: /* something recent: chains, so that things die */
		return graph->n_values - 1 - fake_below(seed, FINF_MIN(graph->n_values, 3u));
	default: return fake_below(seed, graph->n_values);
	}
}

/* A node whose output is as long as its inputs together. */
static inline void fake_random_join(struct finf_graph *graph, uint64_t *seed)
{
	uint32_t in[3], out, n_in = 1 + fake_below(seed, 3);
	int64_t n = 0;

	for (uint32_t k = 0; k < n_in; k++) {
		in[k] = graph->n_values - 1 - fake_below(seed, FINF_MIN(graph->n_values, 5u));
		n += graph->values[in[k]].shape.dim[0];
	}
	out = fake_value(graph, n);
	ck_assert_int_eq(
		finf_graph_node(graph, &fake_op, 1, NULL, in, n_in, &out, 1, NULL, 0, NULL), 0);
}

/* A random graph: any wiring that is acyclic, outputs of every kind. */
static inline struct finf_graph *fake_random_graph(uint64_t *seed)
{
	struct finf_graph *graph = fake_graph();
	uint32_t n_inputs = 1 + fake_below(seed, 3), n_nodes = fake_below(seed, 40);

	for (uint32_t i = 0; i < n_inputs; i++)
		fake_input(graph, 16 << fake_below(seed, 4));
	for (uint32_t i = 0; i < n_nodes; i++) {
		uint32_t in[3], out[2], n_in = fake_below(seed, 4), n_out = 1 + !fake_below(seed, 6);

		if (!fake_below(seed, 4)) {
			fake_random_join(graph, seed);
			continue;
		}
		for (uint32_t k = 0; k < n_in; k++)
			in[k] = fake_random_operand(graph, seed);
		for (uint32_t k = 0; k < n_out; k++)
			out[k] = k && fake_below(seed, 2) ? FINF_NONE
							  : fake_value(graph, 16 << fake_below(seed, 4));
		ck_assert_int_eq(finf_graph_node(graph, &fake_op, 1, NULL, in, n_in, out, n_out,
						 NULL, 0, NULL), 0);
	}
	for (uint32_t i = 1 + fake_below(seed, 3); i > 0; i--)
		ck_assert_int_eq(finf_graph_output(graph, fake_below(seed, graph->n_values)), 0);
	ck_assert_int_eq(finf_graph_output(graph, graph->n_values - 1), 0);
	return graph;
}

/* A plain form always, up to three others in made-up layouts; aliases and in place at random. */
static inline void fake_random_table(struct finf_form_table *table, const struct finf_graph *graph,
				     uint64_t *seed)
{
	static const char *const descs[] = {"", "blocked-a", "blocked-b"};
	static const uint32_t over[] = {0, FINF_FORM_INPLACE, FINF_FORM_INPLACE_LAST};

	fake_table_init(table, graph);
	for (uint32_t i = 0; i < graph->n_nodes; i++) {
		uint32_t n = fake_below(seed, 4);

		fake_form(table, graph, i, 0, 0, 500 + fake_below(seed, 1000), "");
		for (uint32_t f = 0; f < n; f++)
			fake_form(table, graph, i, (uint16_t)fake_below(seed, 3),
				  (uint16_t)fake_below(seed, 3), 200 + fake_below(seed, 1000),
				  descs[fake_below(seed, 3)]);
		for (uint32_t f = 0; f < table->nodes[i].n; f++) {
			struct finf_form *form = &table->nodes[i].forms[f];

			form->flags = over[fake_below(seed, 3)];
			form->workspace_bytes = fake_below(seed, 4) ? 0 : fake_below(seed, 3000);
		}
		if (!fake_below(seed, 4))
			fake_form(table, graph, i, 0, 0, 0, "")->flags = FINF_FORM_ALIAS;
		if (fake_below(seed, 4)) { /* the planner sees where it cannot be */
			fake_form(table, graph, i, 0, 0, 0, "")->flags = FINF_FORM_JOIN;
			table->nodes[i].forms[table->nodes[i].n - 1].n_weights = 0;
		}
	}
}

#endif
