/* SPDX-License-Identifier: MIT */
/*
 * engine: a batched group from its packs and from memory, whole and one member at a time; and
 * what becomes of it where there is no room, or where pack and plan do not agree.
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
#include "tests/support/interp.h"
#include "tests/support/support.h"

#define MEMBERS 3u
#define N	48 /* features, everywhere */
#define ROWS	2  /* of a request */

static struct finf_device *dev;
static struct finf_graph *nets[MEMBERS]; /* whose constants the group borrows */

/* ---- three variants: a layer in common, a layer of their own ------------------------------- */

static uint32_t node(struct finf_graph *graph, const char *op, const char *name, const uint32_t *in,
		     uint32_t n_in)
{
	uint32_t out;

	ck_assert_int_eq(finf_graph_value(graph, name, FINF_DTYPE_NONE, NULL, &out), 0);
	ck_assert_int_eq(finf_graph_node(graph, finf_op_find(op), 13, name, in, n_in, &out, 1, NULL,
					 0, NULL),
			 0);
	return out;
}

static uint32_t layer(struct finf_graph *graph, const char *name, uint32_t x, uint64_t seed)
{
	struct finf_shape shape = {2, {N, N}};
	float data[N * N];
	uint32_t in[2] = {x};
	char weight[32];

	test_fill_f32(data, FINF_ARRAY_LEN(data), seed);
	snprintf(weight, sizeof(weight), "%s.w", name);
	ck_assert_int_eq(finf_graph_value(graph, weight, FINF_F32, &shape, &in[1]), 0);
	ck_assert_int_eq(finf_graph_set_const(graph, in[1], data, sizeof(data), true), 0);
	return node(graph, "MatMul", name, in, 2);
}

static struct finf_graph *network(uint64_t seed)
{
	struct finf_shape shape = {2, {FINF_DIM_ANY, N}};
	struct finf_graph *graph;
	uint32_t x;

	ck_assert_int_eq(finf_graph_new("net", &graph), 0);
	ck_assert_int_eq(finf_graph_value(graph, "x", FINF_F32, &shape, &x), 0);
	ck_assert_int_eq(finf_graph_input(graph, x), 0);
	x = layer(graph, "trunk", x, 1);
	x = node(graph, "Relu", "relu", &x, 1);
	x = layer(graph, "head", x, seed);
	ck_assert_int_eq(finf_graph_output(graph, x), 0);
	ck_assert_int_eq(finf_graph_infer(graph, NULL), 0);
	return graph;
}

static struct finf_graph *merged(void)
{
	struct finf_fuse_member members[MEMBERS] = {{"a", nets[0]}, {"b", nets[1]}, {"c", nets[2]}};
	struct finf_graph *group;

	ck_assert_int_eq(finf_fuse_merge("g", members, MEMBERS, NULL, &group, NULL, NULL), 0);
	group->batched = true;
	return group;
}

/* ---- its packs ------------------------------------------------------------------------------- */

static struct finf_pack *open_pack(const char *name)
{
	struct finf_pack *pack = NULL;
	struct finf_diag diag = {""};
	int fd = open(scratch_path(name), O_RDONLY | O_CLOEXEC);

	ck_assert_msg(!finf_pack_open(fd, name, &pack, &diag), "%s", diag.text);
	close(fd);
	return pack;
}

/* The group as p.fim, and for a pool of @bytes as t.fim. Returns what the plan takes. */
static uint64_t make_packs(uint64_t bytes)
{
	int dir = open(scratch_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct finf_graph *group = merged();
	struct finf_diag diag = {""};
	struct finf_pack *pack;
	uint64_t takes;

	ck_assert_int_eq(finf_pack_write_portable(dir, "p.fim", group, &diag), 0);
	finf_graph_free(group);
	pack = open_pack("p.fim");
	ck_assert(pack->graph->batched);
	ck_assert_msg(!finf_engine_tune(dev, pack, 1, bytes, dir, "t.fim", &diag), "%s", diag.text);
	finf_pack_close(pack);
	close(dir);
	pack = open_pack("t.fim");
	takes = pack->plan->weight_bytes + pack->plan->arena_bytes;
	finf_pack_close(pack);
	return takes;
}

static bool is_batched(void)
{
	struct finf_pack *pack = open_pack("t.fim");
	bool batched = pack->graph->batched;

	finf_pack_close(pack);
	return batched;
}

/* The fewest bytes in which it is batched; t.fim is tuned for them. */
static uint64_t tightest(void)
{
	uint64_t bytes = make_packs(0), fewer;

	while ((fewer = make_packs(bytes - 1)) < bytes && is_batched())
		bytes = fewer;
	ck_assert_uint_eq(make_packs(bytes), bytes);
	return bytes;
}

static void fill(struct finf_tensor *in, float (*x)[ROWS * N], int64_t rows)
{
	for (uint32_t m = 0; m < MEMBERS; m++) {
		test_fill_f32(x[m], ROWS * N, 100 + m);
		in[m] = (struct finf_tensor){
			NULL, FINF_F32, {2, {rows, N}}, x[m], (size_t)rows * N * sizeof(float)};
	}
}

/* Inputs from @first on, as many as the model has, against the members' reference. */
static void check(struct finf_model *model, const void *weights, uint32_t first, int64_t rows)
{
	uint32_t n = finf_model_graph(model)->n_inputs;
	struct finf_tensor in[MEMBERS], out[MEMBERS], want;
	float x[MEMBERS][ROWS * N], y[MEMBERS][ROWS * N];
	const struct finf_binding *binding;
	struct finf_diag diag = {""};
	struct finf_run run = {.size = sizeof(run),
			       .weights = weights,
			       .inputs = in + first,
			       .outputs = out,
			       .n_inputs = n,
			       .n_outputs = n};

	fill(in, x, rows);
	for (uint32_t k = 0; k < n; k++)
		out[k] = (struct finf_tensor){.data = y[k], .bytes = sizeof(y[k])};
	ck_assert_msg(!finf_model_bind(model, in + first, n, &binding, &diag), "%s", diag.text);
	run.arena = aligned_alloc(4096, finf_align_up(finf_binding_arena_bytes(binding) + 1, 4096));
	ck_assert_ptr_nonnull(run.arena);
	memset(run.arena, 0xff, finf_binding_arena_bytes(binding));
	ck_assert_msg(!finf_binding_run(binding, &run, &diag), "%s", diag.text);
	free(run.arena);
	for (uint32_t k = 0; k < n; k++) {
		struct finf_graph *bound;

		ck_assert_int_eq(finf_graph_bind(nets[first + k], &in[first + k].shape, &bound, NULL),
				 0);
		ck_assert_int_eq(interp_run(bound, &in[first + k], &want), 0);
		ck_assert_double_lt(relative_l2(y[k], want.data, (size_t)rows * N), 1e-5);
		interp_free(&want, 1);
		finf_graph_free(bound);
	}
}

static void loaded(void *ctx, struct finf_load *load, int result, const struct finf_diag *diag)
{
	(void)load, (void)diag;
	*(int *)ctx = result;
}

/* Whole and one by one, with the rows it was planned for and with more. */
static void check_all(struct finf_model *group)
{
	void *weights = aligned_alloc(4096, finf_model_weight_bytes(group));
	struct finf_weight_source source = {group->bindings[0]->bound, group->pack};
	struct finf_diag diag = {""};
	struct finf_load *load;
	int result = 1;

	ck_assert_ptr_nonnull(weights);
	if (group->tuned) { /* what its segments hold is what placing gives */
		struct finf_pack *portable = open_pack("p.fim");

		source.pack = portable;
		ck_assert_int_eq(finf_weights_place(dev, &source, finf_model_plan(group), weights,
						    &diag),
				 0);
		finf_pack_close(portable);
	} else {
		ck_assert_int_eq(finf_model_load(group, NULL, weights, NULL, loaded, &result, &load),
				 0);
		ck_assert_int_eq(result, 0);
	}
	for (int64_t rows = 1; rows <= ROWS; rows++) {
		check(group, weights, 0, rows);
		for (uint32_t m = 0; m < MEMBERS; m++) {
			struct finf_model *member;

			ck_assert_int_eq(finf_model_member(group, m, &member), 0);
			check(member, weights, m, rows);
			finf_model_close(member);
		}
	}
	free(weights);
}

static uint32_t steps_of(const struct finf_model *model, const char *op)
{
	const struct finf_binding *binding = model->bindings[0];
	uint32_t n = 0;

	for (uint32_t s = 0; s < binding->plan->n_steps; s++)
		n += binding->plan->steps[s].node != FINF_NONE &&
		     !strcmp(binding->bound->nodes[binding->plan->steps[s].node].op->name, op);
	return n;
}

START_TEST(from_memory)
{
	struct finf_model *group;
	struct finf_diag diag = {""};
	bool exact = _i;

	ck_assert_msg(!finf_model_open_graph(dev, merged(), 1, 0, exact ? FINF_PLAN_EXACT : 0,
					     &group, &diag),
		      "%s", diag.text);
	/* The reference kernels do each member's own. */
	ck_assert_uint_eq(steps_of(group, "MatMul"), exact ? 2 * MEMBERS : 1 + MEMBERS);
	ck_assert_uint_eq(finf_model_plan(group)->n_weights, 1 + MEMBERS);
	check_all(group);
	finf_model_close(group);
}
END_TEST

START_TEST(from_portable)
{
	struct finf_model *group;
	struct finf_diag diag = {""};

	make_packs(0);
	ck_assert_msg(!finf_model_open_portable(dev, open_pack("p.fim"), 1, 0, 0, &group, &diag),
		      "%s", diag.text);
	ck_assert_uint_eq(steps_of(group, "MatMul"), 1 + MEMBERS);
	check_all(group);
	finf_model_close(group);
}
END_TEST

START_TEST(from_tuned)
{
	struct finf_model *group;
	struct finf_diag diag = {""};

	make_packs(0);
	ck_assert_msg(!finf_model_open(dev, open_pack("t.fim"), 1, 0, &group, &diag), "%s",
		      diag.text);
	ck_assert_uint_eq(steps_of(group, "MatMul"), 1 + MEMBERS);
	check_all(group);
	finf_model_close(group);
}
END_TEST

/* One byte too few for the tightest plan: tuned for that pool it is not batched; tuned for more it is
 * to be tuned again. */
START_TEST(without_room)
{
	uint64_t bytes = tightest();
	struct finf_pack *pack = open_pack("t.fim");
	struct finf_model *group;
	struct finf_diag diag = {""};

	ck_assert_int_eq(finf_model_open(dev, pack, 1, bytes - 1, &group, &diag), -EKEYREJECTED);
	ck_assert_ptr_nonnull(strstr(diag.text, "planned batched for more than"));
	finf_pack_close(pack);
	ck_assert_int_eq(finf_model_open(dev, open_pack("t.fim"), 1, bytes, &group, &diag), 0);
	finf_model_close(group);
	/* Heads one after the other take fewer; at last it is the rows that do not fit. */
	for (bool batched = true; batched;) {
		uint64_t takes = make_packs(bytes - 1);

		pack = open_pack("t.fim");
		batched = pack->graph->batched;
		finf_pack_close(pack);
		ck_assert(!batched || takes < bytes);
		bytes = batched ? takes : bytes;
	}
	ck_assert_int_eq(finf_model_open(dev, open_pack("t.fim"), 1, bytes - 1, &group, &diag), 0);
	ck_assert_uint_eq(steps_of(group, "MatMul"), 2 * MEMBERS);
	check_all(group);
	finf_model_close(group);
}
END_TEST

/* A pack whose graph says one thing and whose plan another. */
START_TEST(plan_of_another)
{
	struct finf_model *group = NULL;
	struct finf_diag diag = {""};
	struct finf_pack *pack;

	make_packs(0);
	pack = open_pack("t.fim");
	pack->graph->batched = false;
	ck_assert_int_eq(finf_model_open(dev, pack, 1, 0, &group, &diag), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(diag.text, "does not fit its graph"));
	ck_assert_ptr_null(group);
	finf_pack_close(pack);
}
END_TEST

static void setup(void)
{
	ck_assert_int_eq(finf_device_open("host", &dev, NULL), 0);
	for (uint32_t m = 0; m < MEMBERS; m++)
		nets[m] = network(10 + m);
}

static void teardown(void)
{
	for (uint32_t m = 0; m < MEMBERS; m++)
		finf_graph_free(nets[m]);
	finf_device_close(dev);
}

Suite *test_suite(void)
{
	Suite *suite = suite_create("engine/batch");
	TCase *tc = tcase_create("batch");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, from_memory, 0, 2);
	tcase_add_test(tc, from_portable);
	tcase_add_test(tc, from_tuned);
	tcase_add_test(tc, without_room);
	tcase_add_test(tc, plan_of_another);
	suite_add_tcase(suite, tc);
	return suite;
}
