/* SPDX-License-Identifier: MIT */
/* finf_plan_new(): what it decides, one small graph at a time. */
#include "tests/unit/plan/fake.h"

static const struct finf_step *step_of(const struct finf_plan *plan, uint32_t node)
{
	for (uint32_t s = 0; s < plan->n_steps; s++)
		if (plan->steps[s].node == node)
			return &plan->steps[s];
	return NULL;
}

static uint32_t count_reorders(const struct finf_plan *plan)
{
	uint32_t n = 0;

	for (uint32_t s = 0; s < plan->n_steps; s++)
		n += plan->steps[s].node == FINF_NONE;
	return n;
}

static void done(struct finf_graph *graph, struct finf_form_table *table, struct finf_plan *plan)
{
	finf_plan_free(plan);
	fake_table_fini(table);
	finf_graph_free(graph);
}

/* ---- memory ------------------------------------------------------------- */

static const struct chain {
	const char *what;
	uint32_t n;
	int64_t elements[8];
	bool in_place;
	uint64_t arena_bytes;
} chains[] = {
	/* An arena holds what lives at the same time: two neighbours of a chain. */
	{"equal", 5, {64, 64, 64, 64, 64}, false, 512},
	{"one large", 5, {64, 64, 1024, 64, 64}, false, 4096 + 256},
	{"two large neighbours", 6, {16, 512, 1024, 16, 256, 16}, false, 2048 + 4096},
	{"growing", 5, {16, 32, 64, 128, 256}, false, 512 + 1024},
	{"shrinking", 5, {256, 128, 64, 32, 16}, false, 512 + 1024},
	{"hourglass", 7, {512, 256, 16, 16, 16, 256, 512}, false, 1024 + 2048},
	/* In place everything after the input lies on one buffer. */
	{"in place", 6, {64, 64, 64, 64, 64, 64}, true, 512},
	{"in place where it fits", 4, {64, 64, 128, 128}, true, 256 + 512},
	{"rounded up to the alignment", 2, {1, 17}, false, 64 + 128},
};

START_TEST(test_chain_arena)
{
	const struct chain *chain = &chains[_i];
	struct finf_graph *graph = fake_graph();
	struct finf_form_table table;
	struct finf_plan *plan;
	uint32_t v = fake_input(graph, chain->elements[0]);

	for (uint32_t i = 1; i < chain->n; i++)
		v = fake_node(graph, chain->elements[i], v, FINF_NONE, FINF_NONE);
	ck_assert_int_eq(finf_graph_output(graph, v), 0);
	fake_plain_table(&table, graph);
	for (uint32_t i = 0; chain->in_place && i < graph->n_nodes; i++)
		table.nodes[i].forms[0].flags = FINF_FORM_INPLACE;
	plan = fake_plan(graph, &table, NULL);
	ck_assert_msg(plan->arena_bytes == chain->arena_bytes, "%s: %llu", chain->what,
		      (unsigned long long)plan->arena_bytes);
	ck_assert_uint_eq(plan->n_steps, chain->n - 1);
	ck_assert_uint_eq(plan->est_ns, 1000 * (chain->n - 1));
	ck_assert_uint_eq(plan->threads, 2);
	done(graph, &table, plan);
}
END_TEST

/* A workspace is there for its step alone: before and behind it others have the bytes. */
START_TEST(test_workspace_lives_for_a_step)
{
	struct finf_graph *graph = fake_graph();
	struct finf_form_table table;
	struct finf_plan *plan;
	uint32_t v = fake_input(graph, 1024);

	v = fake_node(graph, 16, v, FINF_NONE, FINF_NONE);
	v = fake_node(graph, 16, v, FINF_NONE, FINF_NONE);
	v = fake_node(graph, 1024, v, FINF_NONE, FINF_NONE);
	v = fake_node(graph, 16, v, FINF_NONE, FINF_NONE);
	finf_graph_output(graph, v);
	fake_plain_table(&table, graph);
	table.nodes[1].forms[0].workspace_bytes = 4000;
	table.nodes[3].forms[0].workspace_bytes = 3000;
	plan = fake_plan(graph, &table, NULL);
	ck_assert_uint_eq(plan->n_steps, 4);
	ck_assert_uint_eq(plan->steps[1].workspace_offset, 0); /* where the input was */
	ck_assert_uint_eq(plan->steps[3].workspace_offset, 4096); /* beside what it reads */
	ck_assert_uint_eq(plan->arena_bytes, 4096 + 3008 + 64); /* that step's, no more */
	done(graph, &table, plan);
}
END_TEST

START_TEST(test_sums_are_checked)
{
	struct finf_graph *graph = fake_graph();
	struct finf_plan_opts opts = {.size = sizeof(opts)};
	struct finf_form_table table;
	struct finf_plan *plan = NULL;
	uint32_t v = fake_node(graph, 16, fake_input(graph, 16), fake_const(graph, 16), FINF_NONE);

	finf_graph_output(graph, v);
	fake_plain_table(&table, graph);
	table.nodes[0].forms[0].workspace_bytes = UINT64_MAX - 10;
	ck_assert_int_eq(finf_plan_new(graph, &table, &opts, &plan, NULL), -EOVERFLOW);
	table.nodes[0].forms[0].workspace_bytes = UINT64_MAX - 64;
	ck_assert_int_eq(finf_plan_new(graph, &table, &opts, &plan, NULL), -EOVERFLOW);
	table.nodes[0].forms[0].workspace_bytes = 0;
	table.nodes[0].forms[0].weights[0].bytes = UINT64_MAX - 10;
	ck_assert_int_eq(finf_plan_new(graph, &table, &opts, &plan, NULL), -EOVERFLOW);
	ck_assert_ptr_null(plan);
	done(graph, &table, NULL);
}
END_TEST

/* ---- forms ----------------------------------------------------------------- */

/* input -> a -> b -> c -> output, with a blocked and a plain form each. */
static const struct choice {
	const char *what;
	uint64_t plain_ns, blocked_ns;
	uint32_t reorders;
	uint16_t layout; /* in which the middle works */
} choices[] = {
	{"plain is fast enough", 1000, 950, 0, 0},
	{"blocked pays for two reorders", 1000, 500, 2, 1},
	{"blocked is dear", 100, 500, 0, 0},
};

START_TEST(test_cheapest_forms)
{
	const struct choice *choice = &choices[_i];
	struct finf_graph *graph = fake_graph();
	struct finf_form_table table;
	struct finf_plan *plan;
	uint32_t v = fake_input(graph, 16);

	for (int i = 0; i < 3; i++)
		v = fake_node(graph, 16, v, FINF_NONE, FINF_NONE);
	finf_graph_output(graph, v);
	fake_table_init(&table, graph);
	for (uint32_t i = 0; i < 3; i++) {
		fake_form(&table, graph, i, 0, 0, choice->plain_ns, "");
		fake_form(&table, graph, i, 1, 1, choice->blocked_ns, "");
	}
	plan = fake_plan(graph, &table, NULL);
	ck_assert_msg(count_reorders(plan) == choice->reorders, "%s", choice->what);
	ck_assert_uint_eq(step_of(plan, 1)->form.in_layout, choice->layout);
	ck_assert_uint_eq(plan->buffers[plan->outputs[0]].layout, FINF_LAYOUT_PLAIN);
	done(graph, &table, plan);
}
END_TEST

/* The first node is a little faster plain, but its consumer can only read blocked. */
START_TEST(test_looks_one_node_ahead)
{
	struct finf_graph *graph = fake_graph();
	struct finf_form_table table;
	struct finf_plan *plan;
	uint32_t v = fake_node(graph, 16, fake_input(graph, 16), FINF_NONE, FINF_NONE);

	finf_graph_output(graph, fake_node(graph, 16, v, FINF_NONE, FINF_NONE));
	fake_table_init(&table, graph);
	fake_form(&table, graph, 0, 0, 0, 100, "");
	fake_form(&table, graph, 0, 0, 1, 110, "");
	fake_form(&table, graph, 1, 1, 0, 100, "");
	plan = fake_plan(graph, &table, NULL);
	ck_assert_uint_eq(plan->n_steps, 2);
	ck_assert_uint_eq(plan->steps[0].form.out_layout, 1);
	done(graph, &table, plan);
}
END_TEST

/* Blocked would be faster, were the result not wanted plain. */
START_TEST(test_output_wants_plain)
{
	struct finf_graph *graph = fake_graph();
	struct finf_form_table table;
	struct finf_plan *plan;

	finf_graph_output(graph, fake_node(graph, 16, fake_input(graph, 16), FINF_NONE, FINF_NONE));
	fake_table_init(&table, graph);
	fake_form(&table, graph, 0, 0, 1, 50, "");
	fake_form(&table, graph, 0, 0, 0, 100, "");
	plan = fake_plan(graph, &table, NULL);
	ck_assert_uint_eq(plan->n_steps, 1);
	ck_assert_uint_eq(plan->est_ns, 100);
	done(graph, &table, plan);
}
END_TEST

START_TEST(test_reorder_is_shared)
{
	struct finf_graph *graph = fake_graph();
	struct finf_form_table table;
	struct finf_plan *plan;
	uint32_t v = fake_node(graph, 16, fake_input(graph, 16), FINF_NONE, FINF_NONE);

	for (int i = 0; i < 3; i++)
		finf_graph_output(graph, fake_node(graph, 16, v, FINF_NONE, FINF_NONE));
	fake_table_init(&table, graph);
	fake_form(&table, graph, 0, 0, 0, 100, "");
	for (uint32_t i = 1; i < 4; i++)
		fake_form(&table, graph, i, 1, 0, 100, "");
	plan = fake_plan(graph, &table, NULL);
	ck_assert_uint_eq(count_reorders(plan), 1);
	ck_assert_uint_eq(plan->n_steps, 5);
	ck_assert_uint_eq(plan->steps[2].in[0].index, plan->steps[4].in[0].index);
	done(graph, &table, plan);
}
END_TEST

START_TEST(test_no_form)
{
	struct finf_graph *graph = fake_graph();
	struct finf_plan_opts opts = {.size = sizeof(opts)};
	struct finf_form_table table;
	struct finf_plan *plan = NULL;
	struct finf_diag diag = {""};

	finf_graph_output(graph, fake_node(graph, 16, fake_input(graph, 16), FINF_NONE, FINF_NONE));
	fake_table_init(&table, graph);
	ck_assert_int_eq(finf_plan_new(graph, &table, &opts, &plan, &diag), -EOPNOTSUPP);
	ck_assert_ptr_nonnull(strstr(diag.text, "Fake_0"));
	/* An alias can only rename plain bytes. */
	fake_form(&table, graph, 0, 1, 1, 1, "")->flags = FINF_FORM_ALIAS;
	ck_assert_int_eq(finf_plan_new(graph, &table, &opts, &plan, &diag), -EOPNOTSUPP);
	/* A form that wants an activation as weight. */
	fake_form(&table, graph, 0, 0, 0, 1, "");
	table.nodes[0].forms[1].n_weights = 1;
	ck_assert_int_eq(finf_plan_new(graph, &table, &opts, &plan, &diag), -EOPNOTSUPP);
	table.n_nodes = 0;
	ck_assert_int_eq(finf_plan_new(graph, &table, &opts, &plan, &diag), -EINVAL);
	ck_assert_ptr_null(plan);
	done(graph, &table, NULL);
}
END_TEST

START_TEST(test_unsorted_graph)
{
	struct finf_graph *graph = fake_graph();
	struct finf_plan_opts opts = {.size = sizeof(opts)};
	struct finf_form_table table;
	struct finf_plan *plan = NULL;
	struct finf_diag diag = {""};
	uint32_t late = fake_value(graph, 16), in = fake_input(graph, 16);

	finf_graph_output(graph, fake_node(graph, 16, late, FINF_NONE, FINF_NONE));
	ck_assert_int_eq(finf_graph_node(graph, &fake_op, 1, NULL, &in, 1, &late, 1, NULL, 0, NULL), 0);
	fake_plain_table(&table, graph);
	ck_assert_int_eq(finf_plan_new(graph, &table, &opts, &plan, &diag), -EINVAL);
	ck_assert_str_eq(diag.text, "node Fake_0 uses v0 before it is there");
	done(graph, &table, NULL);
}
END_TEST

/* ---- sharing bytes ----------------------------------------------------------- */

START_TEST(test_alias_has_no_step)
{
	struct finf_graph *graph = fake_graph();
	struct finf_form_table table;
	struct finf_plan *plan;
	uint32_t a = fake_node(graph, 64, fake_input(graph, 16), FINF_NONE, FINF_NONE);
	uint32_t b = fake_node(graph, 64, a, FINF_NONE, FINF_NONE);
	uint32_t c = fake_node(graph, 64, b, FINF_NONE, FINF_NONE);
	const struct finf_plan_buffer *alias;

	finf_graph_output(graph, c);
	fake_plain_table(&table, graph);
	table.nodes[1].forms[0].flags = FINF_FORM_ALIAS;
	plan = fake_plan(graph, &table, NULL);
	ck_assert_uint_eq(plan->n_steps, 2);
	ck_assert_ptr_null(step_of(plan, 1));
	alias = &plan->buffers[step_of(plan, 2)->in[0].index];
	ck_assert_uint_eq(alias->value, b);
	ck_assert_uint_eq(plan->buffers[alias->alias_of].value, a);
	ck_assert_uint_eq(plan->buffers[alias->alias_of].last_step, alias->last_step);
	done(graph, &table, plan);
}
END_TEST

/* The empty model: its one output is its input under another name. */
START_TEST(test_alias_of_input_is_output)
{
	struct finf_graph *graph = fake_graph();
	struct finf_form_table table;
	struct finf_plan *plan;

	finf_graph_output(graph, fake_node(graph, 1, fake_input(graph, 1), FINF_NONE, FINF_NONE));
	fake_plain_table(&table, graph);
	table.nodes[0].forms[0].flags = FINF_FORM_ALIAS;
	plan = fake_plan(graph, &table, NULL);
	ck_assert_uint_eq(plan->n_steps, 0);
	ck_assert_uint_eq(plan->buffers[plan->outputs[0]].alias_of, plan->inputs[0]);
	ck_assert_uint_eq(plan->arena_bytes, 64);
	ck_assert_uint_eq(plan->n_segments, 0);
	ck_assert_uint_eq(plan->weight_bytes, 0);
	done(graph, &table, plan);
}
END_TEST

/* An alias of a constant needs the constant's bytes in the arena. */
START_TEST(test_alias_of_constant_is_copied)
{
	struct finf_graph *graph = fake_graph();
	struct finf_form_table table;
	struct finf_plan *plan;
	uint32_t constant = fake_const(graph, 32);

	finf_graph_output(graph, fake_node(graph, 32, constant, FINF_NONE, FINF_NONE));
	fake_table_init(&table, graph);
	fake_form(&table, graph, 0, 0, 0, 1, "")->flags = FINF_FORM_ALIAS;
	table.nodes[0].forms[0].n_weights = 0;
	plan = fake_plan(graph, &table, NULL);
	ck_assert_uint_eq(plan->n_steps, 1);
	ck_assert_uint_eq(plan->steps[0].node, FINF_NONE);
	ck_assert_uint_eq(plan->steps[0].in[0].kind, FINF_OPERAND_WEIGHT);
	ck_assert_uint_eq(plan->steps[0].need_segments, 1);
	ck_assert_str_eq(plan->weights[0].name, "v0");
	done(graph, &table, plan);
}
END_TEST

START_TEST(test_outputs_are_copies_of_inputs_and_constants)
{
	struct finf_graph *graph = fake_graph();
	struct finf_form_table table;
	struct finf_plan *plan;
	uint32_t in = fake_input(graph, 16), constant = fake_const(graph, 32);

	finf_graph_output(graph, in);
	finf_graph_output(graph, constant);
	fake_plain_table(&table, graph);
	plan = fake_plan(graph, &table, NULL);
	ck_assert_uint_eq(plan->n_steps, 2);
	ck_assert_uint_ne(plan->outputs[0], plan->inputs[0]);
	ck_assert_uint_eq(plan->buffers[plan->outputs[0]].alias_of, FINF_NONE);
	ck_assert_uint_eq(plan->steps[1].in[0].kind, FINF_OPERAND_WEIGHT);
	done(graph, &table, plan);
}
END_TEST

START_TEST(test_blocked_output_is_reordered)
{
	struct finf_graph *graph = fake_graph();
	struct finf_form_table table;
	struct finf_plan *plan;

	finf_graph_output(graph, fake_node(graph, 16, fake_input(graph, 16), FINF_NONE, FINF_NONE));
	fake_table_init(&table, graph);
	fake_form(&table, graph, 0, 0, 2, 1, "");
	plan = fake_plan(graph, &table, NULL);
	ck_assert_uint_eq(plan->n_steps, 2);
	ck_assert_uint_eq(plan->steps[1].node, FINF_NONE);
	ck_assert_uint_eq(plan->steps[1].form.in_layout, 2);
	ck_assert_uint_eq(plan->buffers[plan->outputs[0]].layout, FINF_LAYOUT_PLAIN);
	done(graph, &table, plan);
}
END_TEST

/* Where writing in place would destroy what somebody still needs. */
enum in_place_case { DIES, IS_INPUT, READ_LATER, READ_TWICE, IS_OUTPUT, ALIAS_LIVES, OTHER_SIZE };
static const struct in_place_row {
	enum in_place_case what;
	bool in_place;
	bool last; /* it is the last of two inputs */
} in_place_rows[] = {
	{DIES, true, false},	    {IS_INPUT, false, false},	 {READ_LATER, false, false},
	{READ_TWICE, false, false}, {IS_OUTPUT, false, false},	 {ALIAS_LIVES, false, false},
	{OTHER_SIZE, false, false}, {DIES, true, true},		 {IS_INPUT, false, true},
	{READ_LATER, false, true},  {READ_TWICE, false, true},	 {IS_OUTPUT, false, true},
	{ALIAS_LIVES, false, true}, {OTHER_SIZE, false, true},
};

START_TEST(test_in_place_only_when_dead)
{
	const struct in_place_row *row = &in_place_rows[_i];
	struct finf_graph *graph = fake_graph();
	struct finf_form_table table;
	struct finf_plan *plan;
	uint32_t in = fake_input(graph, 64), a, b, alias = FINF_NONE, target, other;

	a = row->what == IS_INPUT ? in : fake_node(graph, 64, in, FINF_NONE, FINF_NONE);
	if (row->what == ALIAS_LIVES) {
		alias = fake_node(graph, 64, a, FINF_NONE, FINF_NONE);
		target = graph->n_nodes;
	}
	target = graph->n_nodes;
	other = row->what == READ_TWICE ? a : row->last ? fake_input(graph, 64) : FINF_NONE;
	b = fake_node(graph, row->what == OTHER_SIZE ? 32 : 64, row->last ? other : a,
		      row->last ? a : other, FINF_NONE);
	finf_graph_output(graph, fake_node(graph, 64, b, row->what == READ_LATER ? a : alias,
					   FINF_NONE));
	if (row->what == IS_OUTPUT)
		finf_graph_output(graph, a);
	fake_plain_table(&table, graph);
	table.nodes[target].forms[0].flags = row->last ? FINF_FORM_INPLACE_LAST : FINF_FORM_INPLACE;
	if (row->what == ALIAS_LIVES)
		table.nodes[target - 1].forms[0].flags = FINF_FORM_ALIAS;
	plan = fake_plan(graph, &table, NULL);
	b = step_of(plan, target)->out[0].index;
	ck_assert_msg((plan->buffers[b].alias_of != FINF_NONE) == row->in_place, "case %d",
		      row->what);
	done(graph, &table, plan);
}
END_TEST

/* ---- weights ------------------------------------------------------------------- */

START_TEST(test_weights_in_first_use_order)
{
	struct finf_graph *graph = fake_graph();
	struct finf_form_table table;
	struct finf_plan *plan;
	uint32_t in = fake_input(graph, 16);
	uint32_t w0 = fake_const(graph, 100), w1 = fake_const(graph, 200);
	uint32_t unread = fake_const(graph, 16);
	uint32_t a = fake_node(graph, 16, in, w1, unread);
	uint32_t b = fake_node(graph, 16, a, w0, w1);
	uint32_t c = fake_node(graph, 16, b, w1, FINF_NONE);

	finf_graph_output(graph, c);
	fake_table_init(&table, graph);
	fake_form(&table, graph, 0, 0, 0, 1, "")->n_weights = 1; /* reads w1, not the other */
	fake_form(&table, graph, 1, 0, 0, 1, "");
	fake_form(&table, graph, 2, 0, 0, 1, "blocked");
	plan = fake_plan(graph, &table, NULL);
	ck_assert_uint_eq(plan->n_weights, 3);
	ck_assert_str_eq(plan->weights[0].name, "v2");
	ck_assert_str_eq(plan->weights[1].name, "v1");
	ck_assert_str_eq(plan->weights[2].name, "v2"); /* the same constant in another layout */
	ck_assert_uint_eq(plan->weights[2].form.desc_bytes, 7);
	ck_assert_mem_eq(plan->weights[2].form.desc, "blocked", 7);
	ck_assert_uint_eq(plan->steps[0].in[2].kind, FINF_OPERAND_NONE);
	ck_assert_uint_eq(plan->steps[0].in[1].index, plan->steps[1].in[2].index);
	ck_assert_uint_eq(plan->weights[1].offset, 1024); /* 800 on 256 */
	ck_assert_uint_eq(plan->weight_bytes, 4096);
	ck_assert_uint_eq(plan->n_segments, 1);
	done(graph, &table, plan);
}
END_TEST

START_TEST(test_steps_wait_for_their_segments)
{
	struct finf_graph *graph = fake_graph();
	struct finf_plan_opts opts = {.size = sizeof(opts), .segment_bytes = 8192};
	struct finf_form_table table;
	struct finf_plan *plan;
	uint32_t v = fake_input(graph, 16), first = fake_const(graph, 2048);

	v = fake_node(graph, 16, v, first, FINF_NONE);		    /* 8 KiB: segment 0 */
	v = fake_node(graph, 16, v, fake_const(graph, 8192), FINF_NONE); /* 32 KiB: 1 to 3 */
	v = fake_node(graph, 16, v, FINF_NONE, FINF_NONE);	    /* no weights */
	v = fake_node(graph, 16, v, first, FINF_NONE);		    /* the first again */
	finf_graph_output(graph, v);
	fake_plain_table(&table, graph);
	plan = fake_plan(graph, &table, &opts);
	ck_assert_uint_eq(plan->n_segments, 4);
	ck_assert_uint_eq(plan->steps[0].need_segments, 1);
	ck_assert_uint_eq(plan->steps[1].need_segments, 4);
	ck_assert_uint_eq(plan->steps[2].need_segments, 0);
	ck_assert_uint_eq(plan->steps[3].need_segments, 1);
	done(graph, &table, plan);
}
END_TEST

/* ---- a packed model ---------------------------------------------------------------- */

/* Two weights packed blocked; then the same graph planned again, in other orders. */
START_TEST(test_fixed_weights)
{
	struct finf_graph *graph = fake_graph(), *other = fake_graph();
	struct finf_plan_opts opts = {.size = sizeof(opts)};
	struct finf_form_table table, again;
	struct finf_plan *packed, *plan = NULL;
	struct finf_diag diag = {""};
	uint32_t in = fake_input(graph, 16), w0 = fake_const(graph, 100), w1 = fake_const(graph, 50);

	finf_graph_output(graph, fake_node(graph, 16, fake_node(graph, 16, in, w0, FINF_NONE), w1,
					   FINF_NONE));
	fake_table_init(&table, graph);
	fake_form(&table, graph, 0, 0, 0, 1, "blocked");
	fake_form(&table, graph, 1, 0, 0, 1, "");
	packed = fake_plan(graph, &table, NULL);

	/* The same constants, the other way round, and a cheaper form that nobody packed. */
	in = fake_input(other, 16);
	w0 = fake_const(other, 100);
	w1 = fake_const(other, 50);
	finf_graph_output(other, fake_node(other, 16, fake_node(other, 16, in, w1, FINF_NONE), w0,
					   FINF_NONE));
	fake_table_init(&again, other);
	fake_form(&again, other, 0, 0, 0, 900, "");
	fake_form(&again, other, 0, 0, 0, 1, "blocked");
	fake_form(&again, other, 1, 0, 0, 900, "blocked");
	fake_form(&again, other, 1, 0, 0, 1, "");
	opts.fixed = packed;
	plan = fake_plan(other, &again, &opts);
	ck_assert_uint_eq(plan->n_weights, 2);
	ck_assert_uint_eq(plan->weights[0].offset, packed->weights[0].offset);
	ck_assert_uint_eq(plan->weights[1].offset, packed->weights[1].offset);
	ck_assert_str_eq(plan->weights[1].name, packed->weights[1].name);
	ck_assert_uint_eq(plan->steps[0].in[1].index, 1);
	ck_assert_uint_eq(plan->steps[1].in[1].index, 0);
	ck_assert_uint_eq(plan->est_ns, 1800);
	finf_plan_free(plan);

	/* Nothing left that can use what was packed: the constant is named. */
	again.nodes[1].forms[0] = again.nodes[1].forms[1];
	plan = NULL;
	ck_assert_int_eq(finf_plan_new(other, &again, &opts, &plan, &diag), -EOPNOTSUPP);
	ck_assert_ptr_nonnull(strstr(diag.text, "constant v1"));
	ck_assert_ptr_null(plan);
	done(other, &again, NULL);
	done(graph, &table, packed);
}
END_TEST

/* An output that is a constant needs it plain. */
START_TEST(test_fixed_lacks_output)
{
	struct finf_graph *graph = fake_graph();
	struct finf_plan empty = {0};
	struct finf_plan_opts opts = {.size = sizeof(opts), .fixed = &empty};
	struct finf_form_table table;
	struct finf_plan *plan = NULL;
	struct finf_diag diag = {""};

	finf_graph_output(graph, fake_const(graph, 100));
	fake_plain_table(&table, graph);
	ck_assert_int_eq(finf_plan_new(graph, &table, &opts, &plan, &diag), -EOPNOTSUPP);
	ck_assert_str_eq(diag.text, "constant v0 is not in the packed model");
	done(graph, &table, NULL);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("plan/new");
	TCase *tc = tcase_create("new");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_chain_arena, 0, FINF_ARRAY_LEN(chains));
	tcase_add_test(tc, test_workspace_lives_for_a_step);
	tcase_add_test(tc, test_sums_are_checked);
	tcase_add_loop_test(tc, test_cheapest_forms, 0, FINF_ARRAY_LEN(choices));
	tcase_add_test(tc, test_looks_one_node_ahead);
	tcase_add_test(tc, test_output_wants_plain);
	tcase_add_test(tc, test_reorder_is_shared);
	tcase_add_test(tc, test_no_form);
	tcase_add_test(tc, test_unsorted_graph);
	tcase_add_test(tc, test_alias_has_no_step);
	tcase_add_test(tc, test_alias_of_input_is_output);
	tcase_add_test(tc, test_alias_of_constant_is_copied);
	tcase_add_test(tc, test_outputs_are_copies_of_inputs_and_constants);
	tcase_add_test(tc, test_blocked_output_is_reordered);
	tcase_add_loop_test(tc, test_in_place_only_when_dead, 0, FINF_ARRAY_LEN(in_place_rows));
	tcase_add_test(tc, test_weights_in_first_use_order);
	tcase_add_test(tc, test_steps_wait_for_their_segments);
	tcase_add_test(tc, test_fixed_weights);
	tcase_add_test(tc, test_fixed_lacks_output);
	suite_add_tcase(suite, tc);
	return suite;
}
