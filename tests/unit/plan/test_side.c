/* SPDX-License-Identifier: MIT */
/* plan: side by side or not, from costs. Each row is a small group and what must become of it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plan/plan.h"
#include "tests/support/support.h"

#define MEMBERS 5u
#define STEPS	64u
#define US	1000u

/* A member: so many equal steps, and what each takes. */
struct chain {
	uint32_t n;
	uint32_t all_us, one_us;
};

static struct finf_step steps[MEMBERS * STEPS];
static struct finf_step_cost costs[MEMBERS * STEPS];

/* Steps of the members in turn, as the planner merges them. */
static void make_plan(struct finf_plan *plan, const struct chain *chains, uint32_t threads)
{
	uint32_t n = 0, n_chains = 0;

	memset(steps, 0, sizeof(steps));
	while (n_chains < MEMBERS && chains[n_chains].n)
		n_chains++;
	for (uint32_t k = 0; k < STEPS; k++)
		for (uint32_t c = 0; c < n_chains; c++) {
			if (k >= chains[c].n)
				continue;
			steps[n].branch = c;
			costs[n++] = (struct finf_step_cost){(uint64_t)chains[c].all_us * US,
							     (uint64_t)chains[c].one_us * US};
		}
	*plan = (struct finf_plan){.steps = steps,
				   .n_steps = n,
				   .n_branches = n_chains,
				   .side.costs = costs,
				   .threads = threads};
	finf_arena_init(&plan->arena);
}

/* gain_pct: at least, of the list's time; bound_pct: at least so near to what is possible */
static const struct {
	const char *what;
	struct chain chains[MEMBERS];
	uint32_t threads;
	bool side;
	uint32_t gain_pct, bound_pct;
} rows[] = {
	{"equal members whose steps do not scale",
	 {{20, 100, 110}, {20, 100, 110}},
	 2,
	 true,
	 40,
	 95},
	{"equal members whose steps scale by half",
	 {{20, 100, 150}, {20, 100, 150}},
	 2,
	 true,
	 20,
	 95},
	{"steps that scale as they should", {{20, 100, 200}, {20, 100, 200}}, 2, false, 0, 0},
	{"steps that nearly do", {{20, 100, 199}, {20, 100, 199}}, 2, false, 0, 0},
	{"a large one that scales, a small one that does not",
	 {{40, 100, 190}, {40, 20, 21}},
	 2,
	 true,
	 5,
	 92},
	{"a large one that scales, a small one that does too",
	 {{40, 100, 198}, {20, 20, 39}},
	 2,
	 false,
	 0,
	 0},
	{"too little to be worth it", {{2, 1, 1}, {2, 1, 1}}, 2, false, 0, 0},
	{"five alike on two threads",
	 {{16, 50, 60}, {16, 50, 60}, {16, 50, 60}, {16, 50, 60}, {16, 50, 60}},
	 2,
	 true,
	 30,
	 80},
	{"three alike on three threads",
	 {{16, 50, 80}, {16, 50, 80}, {16, 50, 80}},
	 3,
	 true,
	 40,
	 90},
	{"three alike on eight threads",
	 {{16, 50, 300}, {16, 50, 300}, {16, 50, 300}},
	 8,
	 false,
	 0,
	 0},
	{"one member", {{20, 100, 120}}, 2, false, 0, 0},
	{"one member, faster with one thread", {{20, 100, 50}}, 2, false, 0, 0},
	{"one thread", {{20, 100, 100}, {20, 100, 100}}, 1, false, 0, 0},
};

START_TEST(decided_by_the_costs)
{
	struct finf_side_times times;
	struct finf_plan plan;

	make_plan(&plan, rows[_i].chains, rows[_i].threads);
	ck_assert_int_eq(finf_plan_side(&plan, &times), 0);
	ck_assert_msg((plan.side.n_lanes > 0) == rows[_i].side, "%s: %u, list %lu side %lu",
		      rows[_i].what, plan.side.n_lanes, (unsigned long)times.list_ns,
		      (unsigned long)times.side_ns);
	ck_assert_uint_le(times.bound_ns, FINF_MAX(times.list_ns, times.side_ns));
	if (rows[_i].side) {
		ck_assert_msg(times.side_ns * 100 <= times.list_ns * (100 - rows[_i].gain_pct),
			      "%s: list %lu side %lu", rows[_i].what, (unsigned long)times.list_ns,
			      (unsigned long)times.side_ns);
		ck_assert_msg(times.bound_ns * 100 >= times.side_ns * rows[_i].bound_pct,
			      "%s: bound %lu side %lu", rows[_i].what,
			      (unsigned long)times.bound_ns, (unsigned long)times.side_ns);
		ck_assert_ptr_nonnull(plan.side.head);
	} else {
		ck_assert_ptr_null(plan.side.head);
	}
	finf_arena_fini(&plan.arena);
}
END_TEST

/* A part of the large one comes first, on all threads. */
START_TEST(the_early_finisher_helps)
{
	const struct chain chains[MEMBERS] = {{40, 100, 160}, {10, 100, 160}};
	struct finf_side_times times;
	struct finf_plan plan;

	make_plan(&plan, chains, 2);
	ck_assert_int_eq(finf_plan_side(&plan, &times), 0);
	ck_assert_uint_eq(plan.side.n_lanes, 2);
	ck_assert_uint_gt(plan.side.head[0], 0);
	/* Without help the large one alone takes 6.4 ms, the list 5 ms. */
	ck_assert_uint_lt(times.side_ns, 4800 * US);
	finf_arena_fini(&plan.arena);
}
END_TEST

static uint32_t pieces_of(const struct finf_plan *plan, uint32_t branch)
{
	uint32_t n = 0;

	for (uint32_t k = 0; k < plan->side.n_lanes; k++)
		for (uint32_t i = 0; i < plan->side.lanes[k].n; i++)
			n += plan->side.lanes[k].pieces[i].branch == branch;
	return n;
}

/* Three of a length on two threads: one is cut in two, and both lanes end together. */
static const struct {
	uint32_t n, threads, cut;
} cuts[] = {{3, 2, 1}, {4, 2, 0}, {4, 3, 2}, {5, 2, 1}, {5, 3, 2}, {3, 3, 0}};

START_TEST(a_branch_is_cut_where_lanes_would_end_apart)
{
	struct chain chains[MEMBERS + 1] = {{0}};
	struct finf_side_times times;
	struct finf_plan plan;
	uint32_t cut = 0;

	for (uint32_t c = 0; c < cuts[_i].n; c++)
		chains[c] = (struct chain){STEPS, 100, 110};
	make_plan(&plan, chains, cuts[_i].threads);
	ck_assert_int_eq(finf_plan_side(&plan, &times), 0);
	ck_assert_uint_eq(plan.side.n_lanes, cuts[_i].threads);
	for (uint32_t c = 0; c < cuts[_i].n; c++)
		cut += pieces_of(&plan, c) - 1;
	ck_assert_uint_eq(cut, cuts[_i].cut);
	ck_assert_msg(times.bound_ns * 100 >= times.side_ns * 95, "bound %lu side %lu",
		      (unsigned long)times.bound_ns, (unsigned long)times.side_ns);
	finf_arena_fini(&plan.arena);
}
END_TEST

/* A step waits for another branch's last: there is nothing to overlap. */
START_TEST(waiting_branches_gain_nothing)
{
	const struct chain chains[MEMBERS] = {{10, 100, 150}, {10, 100, 150}};
	static uint32_t last;
	struct finf_side_times times;
	struct finf_plan plan;

	make_plan(&plan, chains, 2);
	/* one chain after the other */
	for (uint32_t s = 0; s < 20; s++)
		steps[s].branch = s / 10;
	last = 9;
	steps[10].deps = &last;
	steps[10].n_deps = 1;
	ck_assert_int_eq(finf_plan_side(&plan, &times), 0);
	ck_assert_uint_eq(plan.side.n_lanes, 0);
	ck_assert_uint_ge(times.bound_ns, 2000 * US);
	finf_arena_fini(&plan.arena);
}
END_TEST

START_TEST(without_costs_no_answer)
{
	struct finf_side_times times;
	struct finf_plan plan;

	make_plan(&plan, rows[0].chains, 2);
	plan.side.costs = NULL;
	ck_assert_int_eq(finf_plan_side(&plan, &times), -ENODATA);
	finf_arena_fini(&plan.arena);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("plan/side");
	TCase *tc = tcase_create("side");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, decided_by_the_costs, 0, FINF_ARRAY_LEN(rows));
	tcase_add_test(tc, the_early_finisher_helps);
	tcase_add_loop_test(tc, a_branch_is_cut_where_lanes_would_end_apart, 0,
			    FINF_ARRAY_LEN(cuts));
	tcase_add_test(tc, waiting_branches_gain_nothing);
	tcase_add_test(tc, without_costs_no_answer);
	suite_add_tcase(suite, tc);
	return suite;
}
