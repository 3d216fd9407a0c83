/* SPDX-License-Identifier: MIT */
/*
 * Groups: branches side by side or one after the other. Plans of random groups
 * must be proven, and must survive being run in any order their dependencies
 * allow; plans whose dependencies were spoilt must be refused.
 */
#include "graph/member.h"
#include "tests/unit/plan/fake.h"

#define SEEDS  200
#define ORDERS 4
#define LINE   FINF_BUFFER_ALIGN

/* ---- samples --------------------------------------------------------------------- */

static void add_member(struct finf_graph *graph, const char *name, uint32_t output)
{
	struct finf_member_port port = {output, "y"};
	struct finf_member member = {.name = name, .n_outputs = 1, .outputs = &port};

	ck_assert_int_eq(finf_graph_add_member(graph, &member), 0);
}

/* A random graph whose outputs are those of a member each. */
static struct finf_graph *random_group(uint64_t *seed)
{
	struct finf_graph *graph = fake_random_graph(seed);
	char name[16];

	for (uint32_t i = 0; i < graph->n_outputs; i++) {
		snprintf(name, sizeof(name), "m%u", i);
		add_member(graph, name, i);
	}
	return graph;
}

/* Chains of @n nodes of 64 floats each, every one a member. */
static struct finf_graph *chains(uint32_t n_chains, uint32_t n)
{
	struct finf_graph *graph = fake_graph();
	char name[16];

	for (uint32_t c = 0; c < n_chains; c++) {
		uint32_t v = fake_input(graph, 64);

		for (uint32_t i = 0; i < n; i++)
			v = fake_node(graph, 64, v, fake_const(graph, 64), FINF_NONE);
		ck_assert_int_eq(finf_graph_output(graph, v), 0);
	}
	for (uint32_t c = 0; c < n_chains; c++) {
		snprintf(name, sizeof(name), "m%u", c);
		add_member(graph, name, c);
	}
	return graph;
}

static struct finf_plan *plan_for(const struct finf_graph *graph, enum finf_schedule schedule,
				  uint64_t bytes)
{
	struct finf_plan_opts opts = {
		.size = sizeof(opts), .threads = 2, .schedule = schedule, .bytes = bytes};
	struct finf_form_table table;
	struct finf_plan *plan;

	fake_plain_table(&table, graph);
	plan = fake_plan(graph, &table, &opts);
	fake_table_fini(&table);
	return plan;
}

/* ---- run in any order that is allowed ------------------------------------------------ */

/* Each line of the arena says which step wrote it last. */
struct machine {
	const struct finf_plan *plan;
	uint32_t *lines;
	bool *done;
};

#define WROTE_INPUT (FINF_NONE - 1)
#define SCRATCH	    (FINF_NONE - 2)

static void stamp(const struct machine *m, uint64_t offset, uint64_t bytes, uint32_t who)
{
	for (uint64_t at = offset / LINE; at < (offset + bytes + LINE - 1) / LINE; at++)
		m->lines[at] = who;
}

/* Whoever wrote the bytes that buffer @b means; aliases that no step writes mean their source's. */
static uint32_t writer_of(const struct finf_plan *plan, uint32_t b)
{
	for (;;) {
		for (uint32_t s = 0; s < plan->n_steps; s++)
			for (uint32_t k = 0; k < plan->steps[s].n_out; k++)
				if (plan->steps[s].out[k].kind == FINF_OPERAND_BUFFER &&
				    plan->steps[s].out[k].index == b)
					return s;
		if (plan->buffers[b].alias_of == FINF_NONE)
			return WROTE_INPUT;
		b = plan->buffers[b].alias_of;
	}
}

static bool joins(const struct finf_step *step)
{
	return step->form.flags & FINF_FORM_JOIN;
}

/* What is joined must be what was written for it. */
static void expect(const struct machine *m, uint32_t b)
{
	const struct finf_plan_buffer *buffer = &m->plan->buffers[b];
	uint32_t who = writer_of(m->plan, b);

	if (who != WROTE_INPUT && joins(&m->plan->steps[who])) {
		for (uint32_t k = 0; k < m->plan->steps[who].n_in; k++)
			expect(m, m->plan->steps[who].in[k].index);
		return;
	}
	for (uint64_t at = buffer->offset / LINE;
	     at < (buffer->offset + buffer->bytes + LINE - 1) / LINE; at++)
		ck_assert_msg(m->lines[at] == who, "buffer %u was written over", b);
}

static bool ready(const struct machine *m, uint32_t s)
{
	const struct finf_step *step = &m->plan->steps[s];

	for (uint32_t i = 0; i < s; i++)
		if (m->plan->steps[i].branch == step->branch && !m->done[i])
			return false;
	for (uint32_t i = 0; i < step->n_deps; i++)
		if (!m->done[step->deps[i]])
			return false;
	return !m->done[s];
}

static void run_step(struct machine *m, uint32_t s)
{
	const struct finf_plan *plan = m->plan;
	const struct finf_step *step = &plan->steps[s];

	for (uint32_t k = 0; k < step->n_in; k++)
		if (step->in[k].kind == FINF_OPERAND_BUFFER)
			expect(m, step->in[k].index);
	if (step->form.workspace_bytes)
		stamp(m, step->workspace_offset, step->form.workspace_bytes, SCRATCH);
	for (uint32_t k = 0; k < step->n_out && !joins(step); k++)
		if (step->out[k].kind == FINF_OPERAND_BUFFER)
			stamp(m, plan->buffers[step->out[k].index].offset,
			      plan->buffers[step->out[k].index].bytes, s);
	m->done[s] = true;
}

static void run_somehow(const struct finf_plan *plan, uint64_t *seed)
{
	struct machine m = {.plan = plan};

	m.lines = calloc(plan->arena_bytes / LINE + 1, sizeof(*m.lines));
	m.done = calloc(plan->n_steps + 1, sizeof(*m.done));
	for (uint32_t i = 0; i < plan->n_inputs; i++)
		stamp(&m, plan->buffers[plan->inputs[i]].offset,
		      plan->buffers[plan->inputs[i]].bytes, WROTE_INPUT);
	for (uint32_t n = 0; n < plan->n_steps; n++) {
		uint32_t s = fake_below(seed, plan->n_steps);

		while (!ready(&m, s))
			s = (s + 1) % plan->n_steps;
		run_step(&m, s);
	}
	for (uint32_t i = 0; i < plan->n_outputs; i++)
		expect(&m, plan->outputs[i]);
	free(m.lines);
	free(m.done);
}

START_TEST(test_any_order)
{
	uint64_t seed = (uint64_t)_i;
	struct finf_graph *graph = random_group(&seed);
	struct finf_form_table table;
	struct finf_plan *plan;

	fake_random_table(&table, graph, &seed);
	plan = fake_plan(graph, &table, NULL);
	for (int i = 0; i < ORDERS; i++)
		run_somehow(plan, &seed);
	finf_plan_free(plan);
	fake_table_fini(&table);
	finf_graph_free(graph);
}
END_TEST

/* ---- what is chosen --------------------------------------------------------------------- */

/* Members that need little but in the middle: side by side the sum, else the largest of them. */
START_TEST(test_choice)
{
	struct finf_graph *graph = fake_graph();
	uint64_t large = 4096, small = 64, bytes;
	struct finf_plan *wide, *narrow, *given;

	for (uint32_t m = 0; m < 3; m++) {
		uint32_t v = fake_node(graph, 1024, fake_input(graph, 16), FINF_NONE, FINF_NONE);

		finf_graph_output(graph, fake_node(graph, 16, v, FINF_NONE, FINF_NONE));
	}
	add_member(graph, "a", 0);
	add_member(graph, "b", 1);
	add_member(graph, "c", 2);
	wide = plan_for(graph, FINF_SIDE_BY_SIDE, 0);
	narrow = plan_for(graph, FINF_ONE_BY_ONE, 0);
	ck_assert_uint_eq(wide->n_branches, 3);
	ck_assert_uint_eq(narrow->n_branches, 1);
	ck_assert_uint_ge(wide->arena_bytes, 3 * large + 3 * small);
	ck_assert_uint_le(wide->arena_bytes, 3 * large + 6 * small);
	ck_assert_uint_ge(narrow->arena_bytes, large + 3 * small);
	ck_assert_uint_le(narrow->arena_bytes, large + 6 * small);
	bytes = wide->weight_bytes + wide->arena_bytes;
	given = plan_for(graph, FINF_SIDE_BY_SIDE, bytes);
	ck_assert_uint_eq(given->n_branches, 3);
	finf_plan_free(given);
	given = plan_for(graph, FINF_SIDE_BY_SIDE, bytes - 1);
	ck_assert_uint_eq(given->n_branches, 1);
	ck_assert_uint_eq(given->arena_bytes, narrow->arena_bytes);
	finf_plan_free(given);
	finf_plan_free(wide);
	finf_plan_free(narrow);
	finf_graph_free(graph);
}
END_TEST

/* Weights of members alternate: nobody waits for the last byte of another. */
START_TEST(test_weights_interleaved)
{
	struct finf_graph *graph = chains(2, 4);
	struct finf_plan *plan = plan_for(graph, FINF_SIDE_BY_SIDE, 0);

	ck_assert_uint_eq(plan->n_weights, 8);
	ck_assert_uint_eq(plan->n_steps, 8);
	for (uint32_t s = 0; s < plan->n_steps; s++) {
		ck_assert_uint_eq(plan->steps[s].branch, s % 2);
		ck_assert_uint_eq(plan->steps[s].in[1].index, s);
		ck_assert_uint_eq(plan->steps[s].n_deps, 0);
	}
	finf_plan_free(plan);
	finf_graph_free(graph);
}
END_TEST

/* A trunk that two members share is in the first one's branch; the second waits for its end. */
START_TEST(test_shared_trunk)
{
	struct finf_graph *graph = fake_graph();
	uint32_t trunk = fake_node(graph, 64, fake_input(graph, 64), FINF_NONE, FINF_NONE);
	struct finf_plan *plan;

	trunk = fake_node(graph, 64, trunk, FINF_NONE, FINF_NONE);
	for (int i = 0; i < 2; i++)
		finf_graph_output(graph, fake_node(graph, 64, trunk, FINF_NONE, FINF_NONE));
	add_member(graph, "a", 0);
	add_member(graph, "b", 1);
	plan = plan_for(graph, FINF_SIDE_BY_SIDE, 0);
	ck_assert_uint_eq(plan->n_branches, 2);
	ck_assert_uint_eq(plan->n_steps, 4);
	for (uint32_t s = 0; s < 3; s++)
		ck_assert_uint_eq(plan->steps[s].n_deps, 0);
	ck_assert_uint_eq(plan->steps[3].branch, 1);
	ck_assert_uint_eq(plan->steps[3].n_deps, 1);
	ck_assert_uint_eq(plan->steps[3].deps[0], 1);
	finf_plan_free(plan);
	finf_graph_free(graph);
}
END_TEST

/* ---- on paper ---------------------------------------------------------------------------- */

START_TEST(test_round_trip)
{
	struct finf_graph *graph = chains(3, 3);
	struct finf_plan *plan = plan_for(graph, FINF_SIDE_BY_SIDE, 0), *back = NULL;
	struct finf_buf one, two;
	struct finf_diag diag = {""};

	plan->steps[8].deps[plan->steps[8].n_deps++] = 0; /* one more does no harm */
	finf_buf_init(&one);
	finf_buf_init(&two);
	finf_plan_write(plan, &one);
	ck_assert_int_eq(finf_plan_read(one.data, one.len, &back, &diag), 0);
	ck_assert_msg(!finf_plan_check(graph, back, &diag), "%s", diag.text);
	ck_assert_uint_eq(back->n_branches, 3);
	ck_assert_uint_eq(back->steps[8].n_deps, 1);
	finf_plan_write(back, &two);
	ck_assert_uint_eq(one.len, two.len);
	ck_assert_mem_eq(one.data, two.data, one.len);
	for (size_t n = 0; n < one.len; n++) {
		struct finf_plan *cut = NULL;

		ck_assert_int_eq(finf_plan_read(one.data, n, &cut, &diag), -EBADMSG);
	}
	finf_buf_fini(&one);
	finf_buf_fini(&two);
	finf_plan_free(plan);
	finf_plan_free(back);
	finf_graph_free(graph);
}
END_TEST

/*
 * Members of which each is given much and makes some: one after the other the group takes
 * the arena of one, when inputs may come late and outputs go early. That is proven, and not
 * believed of an input that comes after its reader, of an output that goes before it is there, or
 * beside branches.
 */
static const struct {
	bool copies;
	enum finf_schedule schedule;
	uint32_t lines; /* of the arena */
} copy_rows[] = {
	{true, FINF_ONE_BY_ONE, 16 + 4},
	{false, FINF_ONE_BY_ONE, 3 * 16 + 4},
	{true, FINF_SIDE_BY_SIDE, 3 * 16 + 3 * 4},
};

START_TEST(test_copies_between)
{
	struct finf_graph *graph = fake_graph();
	struct finf_plan_opts opts = {.size = sizeof(opts),
				      .threads = 2,
				      .schedule = copy_rows[_i].schedule,
				      .copy_between = copy_rows[_i].copies};
	struct finf_plan_buffer *input, *output;
	struct finf_form_table table;
	struct finf_diag diag = {""};
	struct finf_plan *plan;
	char name[16];
	bool between;

	for (uint32_t c = 0; c < 3; c++) {
		uint32_t v = fake_input(graph, 256);

		v = fake_node(graph, 64, v, FINF_NONE, FINF_NONE);
		ck_assert_int_eq(finf_graph_output(graph, v), 0);
	}
	for (uint32_t c = 0; c < 3; c++) {
		snprintf(name, sizeof(name), "m%u", c);
		add_member(graph, name, c);
	}
	fake_plain_table(&table, graph);
	plan = fake_plan(graph, &table, &opts);
	between = plan->n_branches == 1 && copy_rows[_i].copies;
	ck_assert_uint_eq(plan->arena_bytes, copy_rows[_i].lines * LINE);
	input = &plan->buffers[plan->inputs[1]];
	output = &plan->buffers[plan->outputs[1]];
	ck_assert_uint_eq(input->first_step, between ? 1 : 0);
	ck_assert_uint_eq(output->last_step, between ? 1 : 3);
	output->last_step = 1;
	ck_assert_int_eq(finf_plan_check(graph, plan, &diag), plan->n_branches == 1 ? 0 : -EINVAL);
	input->first_step = 1;
	ck_assert_int_eq(finf_plan_check(graph, plan, &diag), plan->n_branches == 1 ? 0 : -EINVAL);
	output->first_step = output->last_step = 0;
	ck_assert_int_eq(finf_plan_check(graph, plan, &diag), -EINVAL);
	output->first_step = output->last_step = 1;
	input->first_step = input->last_step = 2;
	ck_assert_int_eq(finf_plan_check(graph, plan, &diag), -EINVAL);
	fake_table_fini(&table);
	finf_plan_free(plan);
	finf_graph_free(graph);
}
END_TEST

/* Who reads an output last must not write over it: it goes behind that step. */
START_TEST(test_output_is_not_written_over)
{
	struct finf_graph *graph = fake_graph();
	struct finf_plan_opts opts = {.size = sizeof(opts), .threads = 1, .copy_between = true};
	uint32_t first = fake_node(graph, 64, fake_input(graph, 64), FINF_NONE, FINF_NONE);
	uint32_t second = fake_node(graph, 64, first, FINF_NONE, FINF_NONE);
	struct finf_plan_buffer *taken, *over;
	struct finf_form_table table;
	struct finf_diag diag = {""};
	struct finf_plan *plan;

	finf_graph_output(graph, first);
	finf_graph_output(graph, second);
	fake_plain_table(&table, graph);
	table.nodes[1].forms[0].flags = FINF_FORM_INPLACE;
	plan = fake_plan(graph, &table, &opts);
	taken = &plan->buffers[plan->outputs[0]];
	over = &plan->buffers[plan->outputs[1]];
	ck_assert_uint_eq(taken->last_step, 1);
	ck_assert_uint_eq(over->alias_of, FINF_NONE);
	over->alias_of = plan->outputs[0];
	over->offset = taken->offset;
	ck_assert_int_eq(finf_plan_check(graph, plan, &diag), -EINVAL);
	ck_assert_msg(strstr(diag.text, "after it was written over"), "%s", diag.text);
	fake_table_fini(&table);
	finf_plan_free(plan);
	finf_graph_free(graph);
}
END_TEST

static void take(const struct machine *m, uint32_t s)
{
	for (uint32_t i = 0; i < m->plan->n_outputs; i++)
		if (m->plan->buffers[m->plan->outputs[i]].last_step == s)
			expect(m, m->plan->outputs[i]);
}

static void run_with_copies(const struct finf_plan *plan)
{
	struct machine m = {.plan = plan};

	m.lines = calloc(plan->arena_bytes / LINE + 1, sizeof(*m.lines));
	m.done = calloc(plan->n_steps + 1, sizeof(*m.done));
	for (uint32_t s = 0; s <= plan->n_steps; s++) {
		for (uint32_t i = 0; i < plan->n_inputs; i++)
			if (plan->buffers[plan->inputs[i]].first_step == s)
				stamp(&m, plan->buffers[plan->inputs[i]].offset,
				      plan->buffers[plan->inputs[i]].bytes, WROTE_INPUT);
		if (s < plan->n_steps)
			run_step(&m, s);
		take(&m, s);
	}
	free(m.lines);
	free(m.done);
}

/* Any group, its members one after the other: read as it was written, and never larger so. */
START_TEST(test_copies_of_any_group)
{
	uint64_t seed = (uint64_t)_i;
	struct finf_graph *graph = random_group(&seed);
	struct finf_plan_opts opts = {.size = sizeof(opts), .threads = 1};
	struct finf_plan *plan, *without, *back = NULL;
	struct finf_form_table table;
	struct finf_diag diag = {""};
	uint64_t live, live_without;
	struct finf_buf buf;

	fake_random_table(&table, graph, &seed);
	without = fake_plan(graph, &table, &opts);
	opts.copy_between = true;
	plan = fake_plan(graph, &table, &opts);
	run_with_copies(without);
	run_with_copies(plan);
	ck_assert_int_eq(finf_plan_live_bytes(plan, &live), 0);
	ck_assert_int_eq(finf_plan_live_bytes(without, &live_without), 0);
	ck_assert_uint_le(live, live_without);
	finf_buf_init(&buf);
	finf_plan_write(plan, &buf);
	ck_assert_int_eq(finf_plan_read(buf.data, buf.len, &back, &diag), 0);
	ck_assert_msg(!finf_plan_check(graph, back, &diag), "%s", diag.text);
	finf_buf_fini(&buf);
	finf_plan_free(back);
	finf_plan_free(plan);
	finf_plan_free(without);
	fake_table_fini(&table);
	finf_graph_free(graph);
}
END_TEST

/* Whatever the costs are: the schedule is proven, and read as it was written. */
START_TEST(test_side_by_side)
{
	uint64_t seed = (uint64_t)_i;
	struct finf_graph *graph = random_group(&seed);
	struct finf_side_times times;
	struct finf_form_table table;
	struct finf_plan *plan, *back = NULL;
	struct finf_diag diag = {""};
	struct finf_buf buf;

	fake_random_table(&table, graph, &seed);
	plan = fake_plan(graph, &table, NULL);
	plan->threads = 2 + (uint32_t)_i % 3;
	plan->side.costs =
		finf_arena_array(&plan->arena, plan->n_steps, sizeof(*plan->side.costs));
	for (uint32_t s = 0; s < plan->n_steps; s++) {
		plan->side.costs[s].all_ns = 10000 + test_random(&seed) % 1000000;
		plan->side.costs[s].one_ns =
			plan->side.costs[s].all_ns * (80 + test_random(&seed) % 120) / 100;
	}
	ck_assert_int_eq(finf_plan_side(plan, &times), 0);
	ck_assert_msg(!finf_plan_check(graph, plan, &diag), "%s", diag.text);
	ck_assert_uint_le(times.bound_ns, FINF_MIN(times.list_ns, times.side_ns));
	finf_buf_init(&buf);
	finf_plan_write(plan, &buf);
	ck_assert_msg(!finf_plan_read(buf.data, buf.len, &back, &diag), "%s", diag.text);
	ck_assert_msg(!finf_plan_check(graph, back, &diag), "%s", diag.text);
	ck_assert_uint_eq(back->side.n_lanes, plan->side.n_lanes);
	for (uint32_t b = 0; plan->side.n_lanes && b < plan->n_branches; b++)
		ck_assert_uint_eq(back->side.head[b], plan->side.head[b]);
	for (uint32_t k = 0; k < plan->side.n_lanes; k++) {
		const struct finf_plan_lane *lane = &plan->side.lanes[k];

		ck_assert_uint_eq(back->side.lanes[k].n, lane->n);
		ck_assert_mem_eq(back->side.lanes[k].pieces, lane->pieces,
				 lane->n * sizeof(*lane->pieces));
	}
	ck_assert_mem_eq(back->side.costs, plan->side.costs,
			 plan->n_steps * sizeof(*plan->side.costs));
	finf_buf_fini(&buf);
	finf_plan_free(back);
	finf_plan_free(plan);
	fake_table_fini(&table);
	finf_graph_free(graph);
}
END_TEST

/* Three chains of three steps in two lanes; each row is what is wrong with them. */
#define LANE_PIECES 3u
static const struct {
	const char *what;
	uint32_t head[3];
	struct finf_plan_piece lanes[2][LANE_PIECES];
	bool waits; /* the last step of the third chain for the first of the first */
	int err;
} lanes_rows[] = {
	{"whole", {0, 0, 0}, {{{0, 0, 3}, {1, 0, 3}}, {{2, 0, 3}}}, true, 0},
	{"one cut", {0, 0, 0}, {{{0, 0, 3}, {1, 2, 3}}, {{1, 0, 2}, {2, 0, 3}}}, true, 0},
	{"with heads", {1, 0, 3}, {{{0, 1, 3}}, {{1, 0, 3}}}, true, 0},
	{"waits for a later lane", {0, 0, 0}, {{{2, 0, 3}}, {{1, 0, 3}, {0, 0, 3}}}, true, 0},
	{"waits for itself", {0, 0, 0}, {{{2, 0, 3}, {0, 0, 3}}, {{1, 0, 3}}}, true, -EINVAL},
	{"no such wait", {0, 0, 0}, {{{2, 0, 3}, {0, 0, 3}}, {{1, 0, 3}}}, false, 0},
	{"in a circle", {0, 0, 0}, {{{1, 2, 3}, {0, 0, 3}}, {{2, 0, 3}, {1, 0, 2}}}, true, -EINVAL},
	{"the end first", {0, 0, 0}, {{{0, 1, 3}, {0, 0, 1}}, {{1, 0, 3}, {2, 0, 3}}}, false, -EINVAL},
	{"a head waits", {0, 0, 3}, {{{0, 0, 3}}, {{1, 0, 3}}}, true, -EINVAL},
	{"a head too long", {4, 0, 0}, {{{1, 0, 3}}, {{2, 0, 3}}}, false, -EINVAL},
	{"a step is missing", {0, 0, 0}, {{{0, 0, 2}, {1, 0, 3}}, {{2, 0, 3}}}, false, -EINVAL},
	{"a step is there twice", {0, 0, 0}, {{{0, 0, 3}, {1, 0, 3}}, {{1, 1, 2}, {2, 0, 3}}}, false, -EINVAL},
	{"twice for one that is missing", {0, 0, 0}, {{{0, 0, 3}, {1, 0, 2}}, {{1, 1, 2}, {2, 0, 3}}}, false, -EINVAL},
	{"in a head too", {1, 0, 0}, {{{0, 0, 3}, {1, 0, 3}}, {{2, 1, 3}}}, false, -EINVAL},
	{"an empty piece", {0, 0, 0}, {{{0, 0, 3}, {0, 3, 3}, {1, 0, 3}}, {{2, 0, 3}}}, false, -EINVAL},
	{"no such branch", {0, 0, 0}, {{{0, 0, 3}, {3, 0, 3}}, {{2, 0, 3}}}, false, -EINVAL},
	{"no such step", {0, 0, 0}, {{{0, 0, 3}, {1, 0, 4}}, {{2, 1, 3}}}, false, -EINVAL},
};

START_TEST(test_lanes_are_proven)
{
	struct finf_graph *graph = chains(3, 3);
	struct finf_plan *plan = plan_for(graph, FINF_SIDE_BY_SIDE, 0);
	struct finf_plan_piece pieces[2][LANE_PIECES];
	struct finf_plan_lane lanes[2];
	struct finf_diag diag = {""};
	uint32_t head[3];

	memcpy(pieces, lanes_rows[_i].lanes, sizeof(pieces));
	memcpy(head, lanes_rows[_i].head, sizeof(head));
	for (uint32_t k = 0; k < 2; k++) {
		lanes[k] = (struct finf_plan_lane){.pieces = pieces[k]};
		while (lanes[k].n < LANE_PIECES && pieces[k][lanes[k].n].until)
			lanes[k].n++;
	}
	plan->threads = 2;
	plan->side.costs =
		finf_arena_array(&plan->arena, plan->n_steps, sizeof(*plan->side.costs));
	plan->side.head = head;
	plan->side.lanes = lanes;
	plan->side.n_lanes = 2;
	ck_assert_uint_eq(plan->steps[8].branch, 2);
	if (lanes_rows[_i].waits)
		plan->steps[8].deps[plan->steps[8].n_deps++] = 0; /* the first of branch 0 */
	ck_assert_msg(finf_plan_check(graph, plan, &diag) == lanes_rows[_i].err, "%s: %s",
		      lanes_rows[_i].what, diag.text);
	if (!lanes_rows[_i].err) { /* more lanes than threads, and no costs */
		plan->threads = 1;
		ck_assert_int_eq(finf_plan_check(graph, plan, &diag), -EINVAL);
		plan->threads = 2;
		plan->side.costs = NULL;
		ck_assert_int_eq(finf_plan_check(graph, plan, &diag), -EINVAL);
	}
	finf_plan_free(plan);
	finf_graph_free(graph);
}
END_TEST

/* ---- spoilt ---------------------------------------------------------------------------------- */

/* Each is what the planner needs: dependencies are the least there can be. */
static bool drop_dep(struct finf_plan *plan, uint64_t *seed)
{
	for (uint32_t n = plan->n_steps, s = fake_below(seed, n), i = 0; i < n;
	     i++, s = (s + 1) % n) {
		if (!plan->steps[s].n_deps)
			continue;
		plan->steps[s].n_deps--;
		return true;
	}
	return false;
}

static bool wait_for_later(struct finf_plan *plan, uint64_t *seed)
{
	struct finf_step *step = &plan->steps[fake_below(seed, plan->n_steps)];

	step->n_deps = FINF_MAX(step->n_deps, 1u);
	step->deps[0] = (uint32_t)(step - plan->steps) + fake_below(seed, 2);
	return true;
}

static bool no_such_branch(struct finf_plan *plan, uint64_t *seed)
{
	plan->steps[fake_below(seed, plan->n_steps)].branch = plan->n_branches;
	return true;
}

static bool no_branches(struct finf_plan *plan, uint64_t *seed)
{
	plan->n_branches = fake_below(seed, 2) ? 0 : FINF_BRANCHES_MAX + 1;
	return true;
}

/* Results of first steps of two branches: nothing orders them. */
static bool share_bytes(struct finf_plan *plan, uint64_t *seed)
{
	struct finf_plan_buffer *a = NULL;

	(void)seed;
	for (uint32_t s = 0, branch = 0; s < plan->n_steps; s++) {
		struct finf_step *step = &plan->steps[s];
		struct finf_plan_buffer *b = &plan->buffers[step->out[0].index];

		if (step->out[0].kind != FINF_OPERAND_BUFFER || !b->bytes || step->n_deps ||
		    b->alias_of != FINF_NONE)
			continue;
		if (a && step->branch != branch && s < 8 && plan->steps[s].node != FINF_NONE) {
			b->offset = a->offset;
			return b->bytes <= a->bytes;
		}
		a = a ? a : b;
		branch = a == b ? step->branch : branch;
	}
	return false;
}

static bool share_workspace(struct finf_plan *plan, uint64_t *seed)
{
	const struct finf_step *first = NULL;

	(void)seed;
	for (uint32_t s = 0; s < plan->n_steps; s++) {
		struct finf_step *step = &plan->steps[s];

		if (!step->form.workspace_bytes)
			continue;
		if (first && first->branch != step->branch) {
			step->workspace_offset = first->workspace_offset;
			return true;
		}
		first = first ? first : step;
	}
	return false;
}

static const struct {
	const char *name;
	bool (*fn)(struct finf_plan *plan, uint64_t *seed);
	bool independent; /* for members that share nothing */
} spoils[] = {
	{"drop_dep", drop_dep, false},
	{"wait_for_later", wait_for_later, false},
	{"no_such_branch", no_such_branch, false},
	{"no_branches", no_branches, false},
	{"share_bytes", share_bytes, true},
	{"share_workspace", share_workspace, true},
};

static struct finf_graph *spoil_graph(uint64_t *seed, bool independent)
{
	return independent ? chains(2 + fake_below(seed, 3), 1 + fake_below(seed, 6))
			   : random_group(seed);
}

START_TEST(test_spoilt)
{
	uint32_t applied = 0;

	for (uint64_t i = 0; i < SEEDS; i++) {
		uint64_t seed = i;
		struct finf_graph *graph = spoil_graph(&seed, spoils[_i].independent);
		struct finf_form_table table;
		struct finf_diag diag = {""};
		struct finf_plan *plan;

		fake_random_table(&table, graph, &seed);
		plan = fake_plan(graph, &table, NULL);
		if (plan->n_steps && spoils[_i].fn(plan, &seed)) {
			applied++;
			ck_assert_msg(finf_plan_check(graph, plan, &diag) == -EINVAL,
				      "%s passes, seed %u", spoils[_i].name, (unsigned)i);
			ck_assert_str_ne(diag.text, "");
		}
		finf_plan_free(plan);
		fake_table_fini(&table);
		finf_graph_free(graph);
	}
	ck_assert_msg(applied > SEEDS / 10, "%s: only %u plans had any", spoils[_i].name, applied);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("plan/group");
	TCase *tc = tcase_create("group");

	tcase_set_timeout(tc, 300);
	tcase_add_loop_test(tc, test_any_order, 0, SEEDS);
	tcase_add_test(tc, test_choice);
	tcase_add_test(tc, test_weights_interleaved);
	tcase_add_test(tc, test_shared_trunk);
	tcase_add_test(tc, test_round_trip);
	tcase_add_loop_test(tc, test_side_by_side, 0, SEEDS);
	tcase_add_loop_test(tc, test_lanes_are_proven, 0, FINF_ARRAY_LEN(lanes_rows));
	tcase_add_loop_test(tc, test_copies_between, 0, FINF_ARRAY_LEN(copy_rows));
	tcase_add_test(tc, test_output_is_not_written_over);
	tcase_add_loop_test(tc, test_copies_of_any_group, 0, SEEDS);
	tcase_add_loop_test(tc, test_spoilt, 0, FINF_ARRAY_LEN(spoils));
	suite_add_tcase(suite, tc);
	return suite;
}
