/* SPDX-License-Identifier: MIT */
/*
 * engine: members of a group side by side on the host device. Measured when the
 * group is planned; and whatever was decided, each schedule gives what the list gives.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/priv.h"
#include "fuse/fuse.h"
#include "graph/op.h"
#include "tests/support/support.h"

#define CHANNELS 16
#define SIZE	 12
#define LAYERS	 6
#define VALUES	 (CHANNELS * SIZE * SIZE)
#define MEMBERS	 3u
#define LAST	 UINT32_MAX /* a branch's own last step */

static struct finf_device *dev;
static struct finf_graph *nets[MEMBERS]; /* whose constants the group borrows */

static uint32_t conv(struct finf_graph *graph, uint32_t layer, uint32_t x, uint64_t seed)
{
	static const int64_t pads[] = {1, 1, 1, 1};
	const struct finf_attr attr = {
		.name = "pads", .type = FINF_ATTR_INTS, .n = 4, .ints = pads};
	struct finf_shape shape = {4, {CHANNELS, CHANNELS, 3, 3}};
	float data[CHANNELS * CHANNELS * 9];
	uint32_t in[2] = {x}, out;
	char name[16];

	test_fill_f32(data, FINF_ARRAY_LEN(data), seed);
	snprintf(name, sizeof(name), "w%u", layer);
	ck_assert_int_eq(finf_graph_value(graph, name, FINF_F32, &shape, &in[1]), 0);
	ck_assert_int_eq(finf_graph_set_const(graph, in[1], data, sizeof(data), true), 0);
	snprintf(name, sizeof(name), layer ? "h%u" : "y", layer);
	ck_assert_int_eq(finf_graph_value(graph, name, FINF_DTYPE_NONE, NULL, &out), 0);
	ck_assert_int_eq(finf_graph_node(graph, finf_op_find("Conv"), 13, name, in, 2, &out, 1,
					 &attr, 1, NULL),
			 0);
	return out;
}

/* @batch -1: it may vary. */
static struct finf_graph *network(uint64_t seed, int64_t batch)
{
	struct finf_shape shape = {4, {batch, CHANNELS, SIZE, SIZE}};
	struct finf_graph *graph;
	uint32_t x;

	ck_assert_int_eq(finf_graph_new("net", &graph), 0);
	ck_assert_int_eq(finf_graph_value(graph, "x", FINF_F32, &shape, &x), 0);
	ck_assert_int_eq(finf_graph_input(graph, x), 0);
	for (uint32_t layer = LAYERS; layer-- > 0;)
		x = conv(graph, layer, x, seed * LAYERS + layer);
	ck_assert_int_eq(finf_graph_output(graph, x), 0);
	ck_assert_int_eq(finf_graph_infer(graph, NULL), 0);
	return graph;
}

static struct finf_graph *merged(enum finf_schedule schedule)
{
	struct finf_merge_opts opts = {.size = sizeof(opts), .schedule = schedule};
	struct finf_fuse_member members[MEMBERS] = {{"a", nets[0]}, {"b", nets[1]}, {"c", nets[2]}};
	struct finf_graph *group;

	ck_assert_int_eq(finf_fuse_merge("g", members, MEMBERS, &opts, &group, NULL, NULL), 0);
	return group;
}

/* Outputs of all members, one after the other. */
static void run(const struct finf_graph *bound, const struct finf_plan *plan, const void *extent,
		void *arena, float *y)
{
	struct finf_session *session = NULL;
	struct finf_tensor in[MEMBERS], out[MEMBERS];
	struct finf_run all = {.size = sizeof(all),
			       .weights = extent,
			       .arena = arena,
			       .inputs = in,
			       .outputs = out,
			       .n_inputs = MEMBERS,
			       .n_outputs = MEMBERS};
	struct finf_diag diag = {""};
	float x[MEMBERS][VALUES];

	for (uint32_t m = 0; m < MEMBERS; m++) {
		test_fill_f32(x[m], VALUES, 100 + m);
		in[m] = (struct finf_tensor){
			NULL, FINF_F32, {4, {1, CHANNELS, SIZE, SIZE}}, x[m], sizeof(x[m])};
		out[m] = (struct finf_tensor){.data = y + m * VALUES, .bytes = sizeof(x[m])};
	}
	memset(arena, 0xff, plan->arena_bytes);
	ck_assert_msg(!finf_session_new(dev, bound, plan, &session, &diag), "%s", diag.text);
	for (int i = 0; i < 3; i++)
		ck_assert_msg(!finf_session_run(session, &all, &diag), "%s", diag.text);
	finf_session_free(session);
}

#define PIECES 3u
static const struct {
	unsigned how;
	uint32_t head[MEMBERS];
	struct finf_plan_piece lanes[2][PIECES]; /* up to the first that is empty */
} rows[] = {
	{FINF_PLAN_EXACT, {0, 0, 0}, {{{0, 0, 6}, {1, 0, 6}}, {{2, 0, 6}}}},
	{FINF_PLAN_EXACT, {2, 0, 0}, {{{0, 2, 6}, {1, 3, 6}}, {{1, 0, 3}, {2, 0, 6}}}},
	{0, {0, 0, 0}, {{{0, 0, LAST}, {1, 0, LAST}}, {{2, 0, LAST}}}},
	{0, {0, 0, 0}, {{{0, 0, LAST}, {1, 4, LAST}}, {{1, 0, 4}, {2, 0, LAST}}}},
	{0, {3, 1, 0}, {{{0, 3, LAST}}, {{1, 1, LAST}, {2, 0, LAST}}}},
};

static uint32_t steps_of(const struct finf_plan *plan, uint32_t branch)
{
	uint32_t n = 0;

	for (uint32_t s = 0; s < plan->n_steps; s++)
		n += plan->steps[s].branch == branch;
	return n;
}

START_TEST(every_schedule_gives_what_the_list_gives)
{
	struct finf_graph *graph = merged(FINF_SIDE_BY_SIDE), *bound = NULL;
	uint32_t head[MEMBERS];
	struct finf_plan_piece pieces[2][PIECES];
	struct finf_plan_lane lanes[2];
	struct finf_plan *plan = NULL, other;
	struct finf_diag diag = {""};
	static float list[MEMBERS * VALUES], side[MEMBERS * VALUES];
	void *extent, *arena;

	ck_assert_msg(
		!finf_engine_plan(dev, graph, NULL, 2, 0, rows[_i].how, NULL, &bound, &plan, &diag),
		"%s", diag.text);
	ck_assert_uint_eq(plan->n_branches, MEMBERS);
	ck_assert_ptr_nonnull(plan->side.costs);
	for (uint32_t s = 0; s < plan->n_steps; s++) {
		ck_assert_uint_gt(plan->side.costs[s].all_ns, 0);
		ck_assert_uint_lt(plan->side.costs[s].one_ns, UINT64_MAX);
	}
	extent = aligned_alloc(4096, plan->weight_bytes);
	arena = aligned_alloc(4096, finf_align_up(plan->arena_bytes, 4096));
	ck_assert_int_eq(finf_weights_place(dev, &(struct finf_weight_source){.graph = bound}, plan,
					    extent, &diag),
			 0);
	other = *plan;
	other.side.n_lanes = 0;
	run(bound, &other, extent, arena, list);
	memcpy(head, rows[_i].head, sizeof(head));
	memcpy(pieces, rows[_i].lanes, sizeof(pieces));
	for (uint32_t k = 0; k < 2; k++) {
		lanes[k] = (struct finf_plan_lane){.pieces = pieces[k]};
		for (uint32_t n; (n = lanes[k].n) < PIECES && pieces[k][n].until; lanes[k].n++)
			if (pieces[k][n].until == LAST)
				pieces[k][n].until = steps_of(plan, pieces[k][n].branch);
	}
	other.side.n_lanes = 2;
	other.side.lanes = lanes;
	other.side.head = head;
	ck_assert_msg(!finf_plan_check(bound, &other, &diag), "%s", diag.text);
	run(bound, &other, extent, arena, side);
	if (rows[_i].how & FINF_PLAN_EXACT)
		ck_assert_mem_eq(side, list, sizeof(list));
	else
		ck_assert_double_lt(relative_l2(side, list, MEMBERS * VALUES), 1e-6);
	free(extent);
	free(arena);
	finf_plan_free(plan);
	finf_graph_free(bound);
	finf_graph_free(graph);
}
END_TEST

/* Nothing to run side by side: nothing is measured. */
static const struct {
	enum finf_schedule schedule;
	uint32_t threads;
} idle[] = {{FINF_ONE_BY_ONE, 2}, {FINF_SIDE_BY_SIDE, 1}};

START_TEST(measured_only_where_it_matters)
{
	struct finf_graph *graph = merged(idle[_i].schedule), *bound = NULL;
	struct finf_plan *plan = NULL;

	ck_assert_int_eq(finf_engine_plan(dev, graph, NULL, idle[_i].threads, 0, 0, NULL, &bound,
					  &plan, NULL),
			 0);
	ck_assert_uint_eq(plan->n_branches, 1); /* nor is there memory for it */
	ck_assert_ptr_null(plan->side.costs);
	ck_assert_uint_eq(plan->side.n_lanes, 0);
	finf_plan_free(plan);
	finf_graph_free(bound);
	finf_graph_free(graph);
}
END_TEST

/* ---- bytes ------------------------------------------------------------------------------ */

/* One after the other: the largest member's arena, what later ones are given, what earlier ones
 * have made; here all of that is of one size. */
START_TEST(memory_of_the_largest_member)
{
	struct finf_graph *graph = merged(FINF_ONE_BY_ONE), *bound = NULL;
	uint64_t largest = 0;
	struct finf_plan *plan = NULL;

	ck_assert_int_eq(finf_engine_plan(dev, graph, NULL, 2, 0, 0, NULL, &bound, &plan, NULL), 0);
	for (uint32_t m = 0; m < MEMBERS; m++) {
		struct finf_graph *one = NULL;
		struct finf_plan *alone = NULL;

		ck_assert_int_eq(finf_engine_plan(dev, nets[m], NULL, 2, 0, 0, NULL, &one, &alone, NULL),
				 0);
		largest = FINF_MAX(largest, alone->arena_bytes);
		finf_plan_free(alone);
		finf_graph_free(one);
	}
	ck_assert_uint_eq(plan->n_branches, 1);
	ck_assert_uint_eq(plan->arena_bytes,
			  largest + (MEMBERS - 1) * VALUES * sizeof(float));
	finf_plan_free(plan);
	finf_graph_free(bound);
	finf_graph_free(graph);
}
END_TEST

static struct finf_pack *open_pack(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	struct finf_pack *pack = NULL;

	ck_assert_int_eq(finf_pack_open(fd, name, &pack, NULL), 0);
	close(fd);
	return pack;
}

static int opens(int dir, uint64_t bytes)
{
	struct finf_pack *pack = open_pack(dir, "t.fim");
	struct finf_model *model = NULL;
	int err = finf_model_open(dev, pack, 2, bytes, &model, NULL);

	if (err)
		finf_pack_close(pack);
	finf_model_close(model);
	return err;
}

/* Tuned for a pool of so many bytes, and opened in others. 0 = no bound. */
START_TEST(a_pool_of_another_size_plans_again)
{
	int dir = open(scratch_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct finf_graph *graph = merged(FINF_SIDE_BY_SIDE);
	struct finf_pack *pack;
	uint64_t wide, narrow;

	ck_assert_int_eq(finf_pack_write_portable(dir, "p.fim", graph, NULL), 0);
	finf_graph_free(graph);
	pack = open_pack(dir, "p.fim");
	ck_assert_int_eq(finf_engine_tune(dev, pack, 2, 0, dir, "t.fim", NULL), 0);
	finf_pack_close(pack);
	pack = open_pack(dir, "t.fim");
	wide = pack->plan->weight_bytes + pack->plan->arena_bytes;
	finf_pack_close(pack);
	ck_assert_int_eq(opens(dir, 0), 0);
	ck_assert_int_eq(opens(dir, wide), 0);
	ck_assert_int_eq(opens(dir, wide - 1), -EKEYREJECTED);

	pack = open_pack(dir, "p.fim");
	ck_assert_int_eq(finf_engine_tune(dev, pack, 2, wide - 1, dir, "t.fim", NULL), 0);
	finf_pack_close(pack);
	pack = open_pack(dir, "t.fim");
	narrow = pack->plan->weight_bytes + pack->plan->arena_bytes;
	ck_assert_uint_eq(pack->plan->n_branches, 1);
	ck_assert_uint_eq(pack->plan->weight_bytes + pack->plan->side_arena_bytes, wide);
	finf_pack_close(pack);
	ck_assert_uint_lt(narrow, wide);
	ck_assert_int_eq(opens(dir, narrow), 0);
	ck_assert_int_eq(opens(dir, wide - 1), 0);
	ck_assert_int_eq(opens(dir, wide), -EKEYREJECTED);
	ck_assert_int_eq(opens(dir, 0), -EKEYREJECTED);
	close(dir);
}
END_TEST

/* ---- other input shapes ----------------------------------------------------------------- */

#define BATCH 3

/* What steps of the default shapes are said to cost; and whether there are bytes for the arena of
 * members side by side at the other shapes. */
static const struct {
	uint64_t all_ns, one_ns;
	bool room;
	uint32_t branches, lanes;
} shapes[] = {
	{100000, 100000, true, MEMBERS, 2},
	{100000, 200000, true, MEMBERS, 0},
	{100000, 100000, false, 1, 0},
};

static void say(struct finf_model *model, uint64_t all_ns, uint64_t one_ns)
{
	struct finf_plan *plan = (struct finf_plan *)model->bindings[0]->plan;

	ck_assert_ptr_nonnull(plan->side.costs);
	for (uint32_t s = 0; s < plan->n_steps; s++)
		plan->side.costs[s] = (struct finf_step_cost){all_ns, one_ns};
}

static void run_binding(const struct finf_binding *binding, const struct finf_tensor *in,
			const void *extent, bool alone, float *y)
{
	uint64_t bytes = finf_binding_arena_bytes(binding);
	struct finf_tensor out[MEMBERS];
	struct finf_run args = {.size = sizeof(args), .weights = extent, .alone = alone,
				.inputs = in, .outputs = out, .n_inputs = MEMBERS,
				.n_outputs = MEMBERS};
	struct finf_diag diag = {""};

	args.arena = aligned_alloc(4096, finf_align_up(bytes, 4096));
	ck_assert_ptr_nonnull(args.arena);
	for (int i = 0; i < 3; i++) {
		memset(args.arena, 0xff, bytes);
		for (uint32_t m = 0; m < MEMBERS; m++)
			out[m] = (struct finf_tensor){.data = y + m * BATCH * VALUES,
						      .bytes = BATCH * VALUES * sizeof(*y)};
		ck_assert_msg(!finf_binding_run(binding, &args, &diag), "%s", diag.text);
	}
	free(args.arena);
}

/* Of the group's weights and this much more: not enough for members side by side. */
static struct finf_model *open_group(uint64_t bytes)
{
	struct finf_model *model = NULL;
	struct finf_diag diag = {""};

	ck_assert_msg(!finf_model_open_graph(dev, merged(FINF_SIDE_BY_SIDE), 2, bytes, 0, &model,
					     &diag),
		      "%s", diag.text);
	return model;
}

START_TEST(other_shapes_too)
{
	static float x[MEMBERS][BATCH * VALUES], list[MEMBERS * BATCH * VALUES],
		side[MEMBERS * BATCH * VALUES];
	struct finf_tensor in[MEMBERS];
	struct finf_model *model = open_group(0);
	struct finf_diag diag = {""};
	const struct finf_binding *binding = NULL;
	void *extent;

	if (!shapes[_i].room) {
		uint64_t bytes = finf_model_weight_bytes(model) + finf_model_arena_bytes(model);

		finf_model_close(model);
		model = open_group(bytes);
	}
	say(model, shapes[_i].all_ns, shapes[_i].one_ns);
	for (uint32_t m = 0; m < MEMBERS; m++) {
		test_fill_f32(x[m], BATCH * VALUES, 50 + m);
		in[m] = (struct finf_tensor){
			NULL, FINF_F32, {4, {BATCH, CHANNELS, SIZE, SIZE}}, x[m], sizeof(x[m])};
	}
	ck_assert_msg(!finf_model_bind(model, in, MEMBERS, &binding, &diag), "%s", diag.text);
	ck_assert_uint_eq(binding->plan->n_branches, shapes[_i].branches);
	ck_assert_uint_eq(binding->plan->side.n_lanes, shapes[_i].lanes);
	ck_assert_msg(!finf_plan_check(binding->bound, binding->plan, &diag), "%s", diag.text);
	ck_assert(!binding->watch == !shapes[_i].lanes);
	/* They are a guess: first one step at a time, but not for long. */
	if (binding->watch) {
		ck_assert(finf_watch_next(binding->watch));
		ck_assert_uint_le(binding->watch->runs, FINF_WATCH_RUNS_NEW);
	}
	extent = aligned_alloc(4096, finf_model_weight_bytes(model));
	ck_assert_int_eq(finf_weights_place(
				 dev, &(struct finf_weight_source){.graph = model->bindings[0]->bound},
				 finf_model_plan(model), extent, &diag),
			 0);
	run_binding(binding, in, extent, true, list);
	for (int i = 0; i < 2; i++) /* with a trial in between */
		run_binding(binding, in, extent, false, side);
	ck_assert_double_lt(relative_l2(side, list, MEMBERS * BATCH * VALUES), 1e-6);
	free(extent);
	finf_model_close(model);
}
END_TEST

static void setup(void)
{
	ck_assert_int_eq(finf_device_open("host", &dev, NULL), 0);
	for (uint32_t m = 0; m < MEMBERS; m++)
		nets[m] = network(m, -1);
}

static void teardown(void)
{
	for (uint32_t m = 0; m < MEMBERS; m++)
		finf_graph_free(nets[m]);
	finf_device_close(dev);
}

Suite *test_suite(void)
{
	Suite *suite = suite_create("engine/side");
	TCase *tc = tcase_create("side");

	tcase_set_timeout(tc, 300);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, every_schedule_gives_what_the_list_gives, 0, FINF_ARRAY_LEN(rows));
	tcase_add_test(tc, memory_of_the_largest_member);
	tcase_add_test(tc, a_pool_of_another_size_plans_again);
	tcase_add_loop_test(tc, other_shapes_too, 0, FINF_ARRAY_LEN(shapes));
	tcase_add_loop_test(tc, measured_only_where_it_matters, 0, FINF_ARRAY_LEN(idle));
	suite_add_tcase(suite, tc);
	return suite;
}
