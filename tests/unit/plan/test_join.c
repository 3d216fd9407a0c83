/* SPDX-License-Identifier: MIT */
/* Inputs written where the output of a join has them: when, where, and what then is in place. */
#include "tests/unit/plan/fake.h"

/* Every node plain; those listed may be joins. */
static void make_joins(struct finf_form_table *table, const struct finf_graph *graph,
		       const uint32_t *joins, uint32_t n)
{
	fake_plain_table(table, graph);
	for (uint32_t i = 0; i < n; i++) {
		struct finf_form *form = fake_form(table, graph, joins[i], 0, 0, 0, "");

		form->flags = FINF_FORM_JOIN;
		form->n_weights = 0;
	}
}

static const struct finf_step *step_of(const struct finf_plan *plan, uint32_t node)
{
	for (uint32_t s = 0; s < plan->n_steps; s++)
		if (plan->steps[s].node == node)
			return &plan->steps[s];
	ck_abort_msg("node %u has no step", node);
}

static bool is_joined(const struct finf_plan *plan, uint32_t node)
{
	return step_of(plan, node)->form.flags & FINF_FORM_JOIN;
}

static const struct finf_plan_buffer *out_of(const struct finf_plan *plan, uint32_t node)
{
	return &plan->buffers[step_of(plan, node)->out[0].index];
}

static void done(struct finf_graph *graph, struct finf_form_table *table, struct finf_plan *plan)
{
	finf_plan_free(plan);
	fake_table_fini(table);
	finf_graph_free(graph);
}

/* ---- when ------------------------------------------------------------------------ */

enum what { MADE, GIVEN, BOTH_GIVEN, CONSTANT, TWICE, OTHER_LAYOUT };
static const struct row {
	const char *name;
	enum what first; /* the second is made by a node */
	int64_t n, n_second;
	bool joined;
} rows[] = {
	{"two that nodes make", MADE, 64, 64, true},
	{"a short one last", MADE, 64, 5, true},
	{"a short one first", MADE, 5, 64, false},
	{"nothing first", MADE, 0, 64, true},
	{"what the caller gives, beside what a node makes", GIVEN, 64, 64, false},
	{"what the caller gives", BOTH_GIVEN, 64, 64, true},
	{"a constant", CONSTANT, 64, 64, false},
	{"the same twice", TWICE, 64, 64, false},
	{"left in another layout", OTHER_LAYOUT, 64, 64, true},
};

START_TEST(test_when)
{
	const struct row *row = &rows[_i];
	struct finf_graph *graph = fake_graph();
	uint32_t in = fake_input(graph, row->n), a = in, b, join;
	struct finf_form_table table;
	struct finf_plan *plan;

	if (row->first == CONSTANT)
		a = fake_const(graph, row->n);
	else if (row->first != GIVEN && row->first != BOTH_GIVEN)
		a = fake_node(graph, row->n, in, FINF_NONE, FINF_NONE);
	if (row->first == BOTH_GIVEN)
		b = fake_input(graph, row->n_second);
	else
		b = fake_node(graph, row->n_second, in, FINF_NONE, FINF_NONE);
	join = graph->n_nodes;
	finf_graph_output(graph, fake_node(graph, row->n + row->n_second, a,
					   row->first == TWICE ? a : b, FINF_NONE));
	make_joins(&table, graph, &join, 1);
	if (row->first == OTHER_LAYOUT) /* then the reorder writes where it must be */
		table.nodes[0].forms[0].out_layout = 2;
	plan = fake_plan(graph, &table, NULL);
	ck_assert_msg(is_joined(plan, join) == row->joined, "%s", row->name);
	ck_assert_uint_eq(plan->n_steps, graph->n_nodes + (row->first == OTHER_LAYOUT));
	done(graph, &table, plan);
}
END_TEST

/* Bytes of a layout that has more than the plain ones do not add up. */
START_TEST(test_padded_layout)
{
	struct finf_graph *graph = fake_graph();
	uint32_t in = fake_input(graph, 64), a, b, join;
	struct finf_form_table table;
	struct finf_plan *plan;

	a = fake_node(graph, 64, in, FINF_NONE, FINF_NONE);
	b = fake_node(graph, 64, in, FINF_NONE, FINF_NONE);
	join = graph->n_nodes;
	finf_graph_output(graph, fake_node(graph, 128, a, b, FINF_NONE));
	make_joins(&table, graph, &join, 1);
	table.nodes[join].forms[1].in_layout = table.nodes[join].forms[1].out_layout = 1;
	plan = fake_plan(graph, &table, NULL);
	ck_assert(!is_joined(plan, join));
	done(graph, &table, plan);
}
END_TEST

/* ---- where ------------------------------------------------------------------------- */

/* a b; a b c; (a b c) d: prefixes of each other, and nothing but the four in the arena. */
START_TEST(test_dense_chain)
{
	struct finf_graph *graph = fake_graph();
	uint32_t in = fake_input(graph, 16), v[4], c[3], joins[3];
	struct finf_form_table table;
	struct finf_plan *plan;

	v[0] = fake_node(graph, 64, in, FINF_NONE, FINF_NONE);
	v[1] = fake_node(graph, 32, v[0], FINF_NONE, FINF_NONE);
	joins[0] = graph->n_nodes;
	c[0] = fake_node(graph, 96, v[0], v[1], FINF_NONE);
	v[2] = fake_node(graph, 32, c[0], FINF_NONE, FINF_NONE);
	joins[1] = graph->n_nodes;
	c[1] = fake_node(graph, 128, v[0], v[1], v[2]);
	v[3] = fake_node(graph, 32, c[1], FINF_NONE, FINF_NONE);
	joins[2] = graph->n_nodes;
	c[2] = fake_node(graph, 160, c[1], v[3], FINF_NONE);
	finf_graph_output(graph, c[2]);
	make_joins(&table, graph, joins, 3);
	plan = fake_plan(graph, &table, NULL);
	for (uint32_t i = 0; i < 3; i++) {
		ck_assert(is_joined(plan, joins[i]));
		ck_assert_uint_eq(out_of(plan, joins[i])->offset, out_of(plan, 0)->offset);
	}
	ck_assert_uint_eq(plan->arena_bytes, 16 * 4 + 160 * 4); /* the input, and all of it */
	done(graph, &table, plan);
}
END_TEST

/* a b and c d overlap in a third that wants b c: one block of four. */
START_TEST(test_windows)
{
	struct finf_graph *graph = fake_graph();
	uint32_t in = fake_input(graph, 16), v[4], joins[3];
	struct finf_form_table table;
	struct finf_plan *plan;

	for (uint32_t i = 0; i < 4; i++)
		v[i] = fake_node(graph, 16, in, FINF_NONE, FINF_NONE);
	for (uint32_t i = 0; i < 3; i++) {
		uint32_t from = i == 2 ? 1 : i * 2; /* the two outer ones first */

		joins[i] = graph->n_nodes;
		finf_graph_output(graph, fake_node(graph, 32, v[from], v[from + 1], FINF_NONE));
	}
	make_joins(&table, graph, joins, 3);
	plan = fake_plan(graph, &table, NULL);
	for (uint32_t i = 0; i < 4; i++) {
		ck_assert(i == 3 || is_joined(plan, joins[i]));
		ck_assert_uint_eq(out_of(plan, i)->offset, out_of(plan, 0)->offset + i * 64);
	}
	done(graph, &table, plan);
}
END_TEST

/* The second wants what the first has, elsewhere: it is copied as a whole. */
static const struct clash_row {
	const char *name;
	uint32_t in[3];
	int64_t n;
} clash_rows[] = {
	{"turned round", {1, 0, FINF_NONE}, 128},
	{"another in between", {0, 2, 1}, 192},
	{"another in its place", {0, 2, FINF_NONE}, 128},
};

START_TEST(test_clash)
{
	const struct clash_row *row = &clash_rows[_i];
	struct finf_graph *graph = fake_graph();
	uint32_t in = fake_input(graph, 16), v[3], joins[2];
	struct finf_form_table table;
	struct finf_plan *plan;

	for (uint32_t i = 0; i < 3; i++)
		v[i] = fake_node(graph, 64, in, FINF_NONE, FINF_NONE);
	joins[0] = graph->n_nodes;
	finf_graph_output(graph, fake_node(graph, 128, v[0], v[1], FINF_NONE));
	joins[1] = graph->n_nodes;
	finf_graph_output(graph,
			  fake_node(graph, row->n, v[row->in[0]], v[row->in[1]],
				    row->in[2] == FINF_NONE ? FINF_NONE : v[row->in[2]]));
	make_joins(&table, graph, joins, 2);
	plan = fake_plan(graph, &table, NULL);
	ck_assert(is_joined(plan, joins[0]));
	ck_assert_msg(!is_joined(plan, joins[1]), "%s", row->name);
	done(graph, &table, plan);
}
END_TEST

/* More parts than the proof counts: the rest of the chain starts with a copy. */
START_TEST(test_long_chain)
{
	uint32_t n = FINF_JOIN_PARTS_MAX + 10, *joins = calloc(n, sizeof(*joins)), copies = 0;
	struct finf_graph *graph = fake_graph();
	uint32_t v = fake_node(graph, 16, fake_input(graph, 16), FINF_NONE, FINF_NONE);
	struct finf_form_table table;
	struct finf_plan *plan;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t more = fake_node(graph, 16, v, FINF_NONE, FINF_NONE);

		joins[i] = graph->n_nodes;
		v = fake_node(graph, 16 * (i + 2), v, more, FINF_NONE);
	}
	finf_graph_output(graph, v);
	make_joins(&table, graph, joins, n);
	plan = fake_plan(graph, &table, NULL);
	for (uint32_t i = 0; i < n; i++)
		copies += !is_joined(plan, joins[i]);
	ck_assert_uint_eq(copies, 1);
	free(joins);
	done(graph, &table, plan);
}
END_TEST

/* ---- in place ------------------------------------------------------------------------ */

/* Before the join into the part, after it over the whole, never over a part of it. */
START_TEST(test_in_place)
{
	struct finf_graph *graph = fake_graph();
	uint32_t in = fake_input(graph, 16), a, b, r, c, joins[1];
	struct finf_form_table table;
	struct finf_plan *plan;

	a = fake_node(graph, 64, in, FINF_NONE, FINF_NONE);
	b = fake_node(graph, 64, in, FINF_NONE, FINF_NONE);
	r = fake_node(graph, 64, b, FINF_NONE, FINF_NONE); /* node 2, over b */
	joins[0] = graph->n_nodes;
	c = fake_node(graph, 128, a, r, FINF_NONE);
	a = fake_node(graph, 64, a, FINF_NONE, FINF_NONE); /* node 4, a lives on in c */
	c = fake_node(graph, 128, c, FINF_NONE, FINF_NONE); /* node 5, over c */
	finf_graph_output(graph, fake_node(graph, 64, a, c, FINF_NONE));
	make_joins(&table, graph, joins, 1);
	for (uint32_t i = 2; i < 6; i++)
		table.nodes[i].forms[0].flags = FINF_FORM_INPLACE;
	plan = fake_plan(graph, &table, NULL);
	ck_assert(is_joined(plan, joins[0]));
	ck_assert_uint_eq(out_of(plan, 2)->alias_of, step_of(plan, 2)->in[0].index);
	ck_assert_uint_eq(out_of(plan, 2)->offset, out_of(plan, 0)->offset + 256);
	ck_assert_uint_eq(out_of(plan, 4)->alias_of, FINF_NONE);
	ck_assert_uint_eq(out_of(plan, 5)->alias_of, step_of(plan, 5)->in[0].index);
	done(graph, &table, plan);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("plan/join");
	TCase *tc = tcase_create("join");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_when, 0, FINF_ARRAY_LEN(rows));
	tcase_add_test(tc, test_padded_layout);
	tcase_add_test(tc, test_dense_chain);
	tcase_add_test(tc, test_windows);
	tcase_add_loop_test(tc, test_clash, 0, FINF_ARRAY_LEN(clash_rows));
	tcase_add_test(tc, test_long_chain);
	tcase_add_test(tc, test_in_place);
	suite_add_tcase(suite, tc);
	return suite;
}
