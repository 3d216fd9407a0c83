/* SPDX-License-Identifier: MIT */
/*
 * engine: one member of a group alone. Its segments come first, it runs as soon
 * as they are there, and the rest of the group follows behind other loads.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/engine.h"
#include "fuse/fuse.h"
#include "graph/op.h"
#include "tests/support/interp.h"
#include "tests/support/support.h"

#define N	   512 /* one matrix of N x 6N float32 is 6 MiB: two members, several segments */
#define WIDE	   (6 * N)
#define POOL_BYTES (64u << 20)

static struct finf_device *dev;

/* ---- two members, each a matrix and back ------------------------------------------- */

static uint32_t matrix(struct finf_graph *graph, const char *name, int64_t rows, int64_t columns,
		       uint64_t seed)
{
	struct finf_shape shape = {2, {rows, columns}};
	size_t n = (size_t)(rows * columns);
	float *data = malloc(n * sizeof(*data));
	uint32_t value;

	test_fill_f32(data, n, seed);
	ck_assert_int_eq(finf_graph_value(graph, name, FINF_F32, &shape, &value), 0);
	ck_assert_int_eq(finf_graph_set_const(graph, value, data, n * sizeof(*data), true), 0);
	free(data);
	return value;
}

static uint32_t product(struct finf_graph *graph, const char *name, uint32_t a, uint32_t b)
{
	uint32_t in[2] = {a, b}, out;

	ck_assert_int_eq(finf_graph_value(graph, name, FINF_DTYPE_NONE, NULL, &out), 0);
	ck_assert_int_eq(finf_graph_node(graph, finf_op_find("MatMul"), 13, name, in, 2, &out, 1,
					 NULL, 0, NULL),
			 0);
	return out;
}

static struct finf_graph *network(uint64_t seed)
{
	struct finf_shape shape = {2, {1, N}};
	struct finf_graph *graph;
	uint32_t x;

	ck_assert_int_eq(finf_graph_new("net", &graph), 0);
	ck_assert_int_eq(finf_graph_value(graph, "x", FINF_F32, &shape, &x), 0);
	ck_assert_int_eq(finf_graph_input(graph, x), 0);
	x = product(graph, "h", x, matrix(graph, "w1", N, WIDE, seed));
	x = product(graph, "y", x, matrix(graph, "w2", WIDE, N, seed + 1));
	ck_assert_int_eq(finf_graph_output(graph, x), 0);
	ck_assert_int_eq(finf_graph_infer(graph, NULL), 0);
	return graph;
}

static struct finf_pack *open_pack(const char *name)
{
	struct finf_pack *pack = NULL;
	struct finf_diag diag = {""};
	int fd = open(scratch_path(name), O_RDONLY | O_CLOEXEC);

	ck_assert_msg(!finf_pack_open(fd, name, &pack, &diag), "%s", diag.text);
	close(fd);
	return pack;
}

/* One after the other, so that each member's weights are together. */
static struct finf_model *open_group(struct finf_graph *const *graphs)
{
	struct finf_merge_opts opts = {.size = sizeof(opts), .schedule = FINF_ONE_BY_ONE};
	struct finf_fuse_member members[] = {{"a", graphs[0]}, {"b", graphs[1]}};
	int dir = open(scratch_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct finf_graph *group;
	struct finf_model *model = NULL;
	struct finf_pack *pack;
	struct finf_diag diag = {""};

	ck_assert_msg(!finf_fuse_merge("g", members, 2, &opts, &group, NULL, &diag), "%s",
		      diag.text);
	ck_assert_int_eq(finf_pack_write_portable(dir, "p.fim", group, &diag), 0);
	finf_graph_free(group);
	pack = open_pack("p.fim");
	ck_assert_msg(!finf_engine_tune(dev, pack, 1, 0, dir, "t.fim", &diag), "%s", diag.text);
	finf_pack_close(pack);
	ck_assert_msg(!finf_model_open(dev, open_pack("t.fim"), 1, 0, &model, &diag), "%s",
		      diag.text);
	close(dir);
	return model;
}

/* ---- a loader that can be held ---------------------------------------------------------- */

/* Reads from @from on wait until the gate is opened. */
struct gate {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t from, upto;
	bool open, done;
	int result;
};

static void hold(void *ctx, uint64_t file_offset)
{
	struct gate *gate = ctx;

	pthread_mutex_lock(&gate->lock);
	while (!gate->open && file_offset >= gate->from && file_offset < gate->upto)
		pthread_cond_wait(&gate->changed, &gate->lock);
	pthread_mutex_unlock(&gate->lock);
}

static void load_done(void *ctx, struct finf_load *load, int result, const struct finf_diag *diag)
{
	struct gate *gate = ctx;

	(void)load, (void)diag;
	pthread_mutex_lock(&gate->lock);
	gate->result = result;
	gate->done = true;
	pthread_cond_signal(&gate->changed);
	pthread_mutex_unlock(&gate->lock);
}

/* The file range of the segments that hold only weights of @other. */
static void hold_segments_of(struct gate *gate, const struct finf_model *group, const char *other)
{
	struct finf_pack *pack = open_pack("t.fim");
	const struct finf_plan *plan = finf_model_plan(group);
	size_t len = strlen(other);
	uint64_t first = UINT64_MAX, end = 0;

	for (uint32_t w = 0; w < plan->n_weights; w++) {
		if (strncmp(plan->weights[w].name, other, len))
			continue;
		first = FINF_MIN(first, plan->weights[w].offset);
		end = FINF_MAX(end, plan->weights[w].offset + plan->weights[w].form.bytes);
	}
	gate->from = UINT64_MAX;
	for (uint32_t s = 0; s < pack->n_segments; s++) {
		const struct finf_pack_segment *segment = &pack->segments[s];

		if (segment->offset < first ||
		    segment->offset + segment->bytes > finf_align_up(end, FINF_SEGMENT_ALIGN))
			continue;
		gate->from = FINF_MIN(gate->from, segment->file_offset);
		gate->upto = segment->file_offset + segment->bytes;
	}
	finf_pack_close(pack);
	ck_assert_uint_lt(gate->from, gate->upto);
}

static void run_member(struct finf_model *member, const void *weights, struct finf_load *load,
		       float *x, float *y)
{
	struct finf_tensor in = {NULL, FINF_F32, {2, {1, N}}, x, N * sizeof(*x)}, ordered;
	struct finf_tensor out = {.data = y, .bytes = N * sizeof(*y)};
	const struct finf_binding *binding;
	struct finf_diag diag = {""};
	struct finf_run run = {.size = sizeof(run),
			       .weights = weights,
			       .load = load,
			       .inputs = &ordered,
			       .outputs = &out,
			       .n_inputs = 1,
			       .n_outputs = 1};

	in.name = "x"; /* its own name for it, not the group's */
	ck_assert_msg(!finf_model_match(member, false, &in, 1, &ordered, &diag), "%s", diag.text);
	ck_assert_msg(!finf_model_bind(member, &ordered, 1, &binding, &diag), "%s", diag.text);
	run.arena = aligned_alloc(4096, finf_align_up(finf_binding_arena_bytes(binding) + 1, 4096));
	ck_assert_msg(!finf_binding_run(binding, &run, &diag), "%s", diag.text);
	free(run.arena);
}

static void check_member(struct finf_graph *graph, float *x, const float *got)
{
	struct finf_tensor in = {NULL, FINF_F32, {2, {1, N}}, x, N * sizeof(*x)}, want;

	ck_assert_int_eq(interp_run(graph, &in, &want), 0);
	ck_assert_double_lt(relative_l2(got, want.data, N), 1e-5);
	interp_free(&want, 1);
}

/* b's answer comes while nothing of a has been read. */
START_TEST(test_first)
{
	struct finf_graph *graphs[] = {network(1), network(3)};
	struct finf_model *group = open_group(graphs), *members[2];
	struct gate gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, .open = false};
	struct finf_loader_opts opts = {.size = sizeof(opts), .slow = hold, .slow_ctx = &gate};
	uint32_t first = (uint32_t)_i;
	float x[N], y[N];
	struct finf_pool_memory pool;
	struct finf_loader *loader;
	struct finf_load *load;
	struct finf_diag diag = {""};

	test_fill_f32(x, N, 9);
	for (uint32_t m = 0; m < 2; m++)
		ck_assert_int_eq(finf_model_member(group, m, &members[m]), 0);
	hold_segments_of(&gate, group, first ? "a/" : "b/");
	ck_assert_int_eq(finf_device_pool_new(dev, POOL_BYTES, NULL, &pool, &diag), 0);
	ck_assert_int_eq(finf_loader_new(dev, &pool, &opts, &loader, &diag), 0);
	ck_assert_int_eq(
		finf_model_load(group, loader, pool.base, members[first], load_done, &gate, &load),
		0);
	run_member(members[first], pool.base, load, x, y);
	check_member(graphs[first], x, y);
	pthread_mutex_lock(&gate.lock);
	ck_assert(!gate.done);
	gate.open = true;
	pthread_cond_broadcast(&gate.changed);
	pthread_mutex_unlock(&gate.lock);
	run_member(members[!first], pool.base, load, x, y); /* waits for what it needs */
	check_member(graphs[!first], x, y);
	pthread_mutex_lock(&gate.lock);
	while (!gate.done)
		pthread_cond_wait(&gate.changed, &gate.lock);
	ck_assert_int_eq(gate.result, 0);
	pthread_mutex_unlock(&gate.lock);
	run_member(members[first], pool.base, NULL, x, y);
	check_member(graphs[first], x, y);
	finf_load_unref(load);
	finf_loader_free(loader);
	finf_device_pool_free(dev, &pool);
	for (uint32_t m = 0; m < 2; m++) {
		finf_model_close(members[m]);
		finf_graph_free(graphs[m]);
	}
	finf_model_close(group);
}
END_TEST

static void setup(void)
{
	ck_assert_int_eq(finf_device_open("host", &dev, NULL), 0);
}

static void teardown(void)
{
	finf_device_close(dev);
}

Suite *test_suite(void)
{
	Suite *suite = suite_create("engine/member");
	TCase *tc = tcase_create("member");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, test_first, 0, 2);
	suite_add_tcase(suite, tc);
	return suite;
}
