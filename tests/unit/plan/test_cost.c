/* SPDX-License-Identifier: MIT */
/* plan: what steps should take, guessed from those of a plan that was measured. */
#include <errno.h>

#include "tests/unit/plan/fake.h"

#define STEPS 4u
#define CHAIN 4u

/* A node or a reorder (node false) that makes value "v<value>"; value 0 ends the list. */
struct made {
	bool node;
	uint32_t value;
	uint64_t est_ns, all_ns, one_ns; /* known; or expected */
};

static const struct {
	const char *what;
	struct made known[STEPS], wanted[STEPS];
} rows[] = {
	{"as it was",
	 {{true, 1, 10, 12, 20}, {true, 2, 5, 6, 7}},
	 {{true, 1, 10, 12, 20}, {true, 2, 5, 6, 7}}},
	{"each by its own price",
	 {{true, 1, 10, 12, 20}, {true, 2, 5, 6, 7}},
	 {{true, 1, 40, 48, 80}, {true, 2, 10, 12, 14}}},
	{"in another order",
	 {{true, 1, 10, 12, 20}, {true, 2, 5, 6, 7}, {true, 3, 1, 2, 3}},
	 {{true, 3, 1, 2, 3}, {true, 1, 5, 6, 10}, {true, 2, 5, 6, 7}}},
	{"a reorder is not the node that made the value",
	 {{true, 1, 10, 12, 20}, {false, 1, 2, 30, 40}},
	 {{true, 1, 10, 12, 20}, {false, 1, 1, 15, 20}}},
	{"what was not there: as its price is worth elsewhere",
	 {{true, 1, 10, 10, 20}, {true, 2, 10, 30, 40}},
	 {{true, 1, 10, 10, 20}, {false, 1, 5, 10, 15}, {true, 2, 10, 30, 40}}},
	{"what had no price there",
	 {{true, 1, 10, 20, 30}, {true, 2, 0, 1, 1}, {true, 3, 10, 20, 30}},
	 {{true, 1, 10, 20, 30}, {true, 2, 20, 41, 61}, {true, 3, 10, 20, 30}}},
	{"beyond all numbers",
	 {{true, 1, 1, UINT64_MAX, UINT64_MAX}},
	 {{true, 1, 1000, UINT64_MAX, UINT64_MAX}}},
};

struct fixture {
	struct finf_graph *graph;
	struct finf_plan plan;
	struct finf_step steps[STEPS];
	struct finf_operand out[STEPS];
	struct finf_plan_buffer buffers[STEPS];
	struct finf_step_cost costs[STEPS];
};

/* @more values come first, so that numbers say nothing and names all. */
static void fill(struct fixture *f, const struct made *made, uint32_t more)
{
	uint32_t n = 0;

	f->graph = fake_graph();
	for (uint32_t i = 0; i < more; i++) {
		struct finf_shape shape = {.rank = 1, .dim = {1}};
		const char *names[] = {"more0", "more1"};
		uint32_t v;

		ck_assert_int_eq(finf_graph_value(f->graph, names[i], FINF_F32, &shape, &v), 0);
	}
	for (uint32_t v = 0; v < CHAIN; v++) {
		struct finf_shape shape = {.rank = 1, .dim = {1}};
		char name[FAKE_NAME_LEN];
		uint32_t value;

		snprintf(name, sizeof(name), "v%u", v);
		ck_assert_int_eq(finf_graph_value(f->graph, name, FINF_F32, &shape, &value), 0);
	}
	for (; n < STEPS && made[n].value; n++) {
		f->out[n] = (struct finf_operand){FINF_OPERAND_BUFFER, n};
		f->buffers[n] = (struct finf_plan_buffer){.value = made[n].value + more};
		f->costs[n] = (struct finf_step_cost){made[n].all_ns, made[n].one_ns};
		f->steps[n] = (struct finf_step){.node = made[n].node ? n : FINF_NONE,
						 .form.est_ns = made[n].est_ns,
						 .n_out = 1,
						 .out = &f->out[n]};
	}
	f->plan = (struct finf_plan){.steps = f->steps,
				     .n_steps = n,
				     .buffers = f->buffers,
				     .n_buffers = n,
				     .side.costs = f->costs};
	finf_arena_init(&f->plan.arena);
}

static void empty(struct fixture *f)
{
	finf_arena_fini(&f->plan.arena);
	finf_graph_free(f->graph);
}

START_TEST(guessed)
{
	struct fixture known, wanted;

	fill(&known, rows[_i].known, 0);
	fill(&wanted, rows[_i].wanted, 2);
	wanted.plan.side.costs = NULL;
	ck_assert_int_eq(finf_plan_guess(wanted.graph, &wanted.plan, known.graph, &known.plan), 0);
	for (uint32_t s = 0; s < wanted.plan.n_steps; s++) {
		const struct finf_step_cost *cost = &wanted.plan.side.costs[s];

		ck_assert_msg(cost->all_ns == rows[_i].wanted[s].all_ns &&
				      cost->one_ns == rows[_i].wanted[s].one_ns,
			      "%s, step %u: %llu and %llu", rows[_i].what, s,
			      (unsigned long long)cost->all_ns, (unsigned long long)cost->one_ns);
	}
	empty(&wanted);
	empty(&known);
}
END_TEST

START_TEST(from_nothing_nothing)
{
	struct fixture known, wanted;

	fill(&known, rows[0].known, 0);
	fill(&wanted, rows[0].wanted, 0);
	known.plan.side.costs = wanted.plan.side.costs = NULL;
	ck_assert_int_eq(finf_plan_guess(wanted.graph, &wanted.plan, known.graph, &known.plan),
			 -ENODATA);
	ck_assert_ptr_null(wanted.plan.side.costs);
	empty(&wanted);
	empty(&known);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("plan/cost");
	TCase *tc = tcase_create("cost");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, guessed, 0, FINF_ARRAY_LEN(rows));
	tcase_add_test(tc, from_nothing_nothing);
	suite_add_tcase(suite, tc);
	return suite;
}
