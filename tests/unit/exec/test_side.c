/* SPDX-License-Identifier: MIT */
/*
 * exec: three chains of additions side by side, planned by hand over a device
 * that knows who runs what beside what.
 *
 *   x -> a0 -> a1 -> a2 -> a3        (branch 0)
 *   x -> b0 -> b1 -> b2 -> b3        (branch 1)
 *   a1 -> c0 -> c1 -> c2 -> c3       (branch 2, waits for a1)
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "exec/exec.h"
#include "graph/op.h"
#include "tests/support/support.h"

#define CHAINS	3u
#define LONG	4u
#define N_STEPS (CHAINS * LONG)
#define COUNT	1024u
#define BYTES	(COUNT * sizeof(float))
#define THREADS 3u

#define PATIENCE_NS 60000000000u

/* ---- a device that watches ---------------------------------------------------- */

struct finf_kernel {
	uint32_t node, threads;
};

static struct {
	int live_kernels, made;
	uint32_t fail_at;	 /* node, FINF_NONE = never */
	uint32_t meet[2];	 /* nodes that wait for each other to have begun */
	uint32_t until_deadline; /* node that ends when the deadline is over */
	uint64_t deadline_ns;
	atomic_int inside;
	atomic_bool crowded; /* a kernel of many threads ran beside another */
	atomic_bool apart;   /* who was to meet gave up */
	atomic_uint began;   /* nodes, as bits */
	atomic_uint with_one, with_all;
	bool alone; /* no more threads today */
} fake;

/* Threads of the device, as long as a test lasts. */
#define TEAM 8u
static struct {
	pthread_t threads[TEAM];
	pthread_barrier_t begin, end;
	uint32_t n; /* who is to work; 0 = leave */
	finf_spread_fn fn;
	void *ctx;
} team;

static void *team_main(void *arg)
{
	uint32_t k = (uint32_t)(uintptr_t)arg;

	for (;;) {
		pthread_barrier_wait(&team.begin);
		if (!team.n)
			return NULL;
		if (k < team.n)
			team.fn(team.ctx, k);
		pthread_barrier_wait(&team.end);
	}
}

static int fake_spread(struct finf_device *dev, uint32_t n, finf_spread_fn fn, void *ctx)
{
	(void)dev;
	ck_assert_uint_le(n, TEAM);
	if (fake.alone)
		return -EAGAIN;
	team.n = n;
	team.fn = fn;
	team.ctx = ctx;
	pthread_barrier_wait(&team.begin);
	fn(ctx, 0);
	pthread_barrier_wait(&team.end);
	return 0;
}

static void team_start(void)
{
	ck_assert_int_eq(pthread_barrier_init(&team.begin, NULL, TEAM), 0);
	ck_assert_int_eq(pthread_barrier_init(&team.end, NULL, TEAM), 0);
	for (uintptr_t k = 1; k < TEAM; k++)
		ck_assert_int_eq(
			pthread_create(&team.threads[k], NULL, team_main, (void *)k), 0);
}

static void team_stop(void)
{
	team.n = 0;
	pthread_barrier_wait(&team.begin);
	for (uint32_t k = 1; k < TEAM; k++)
		pthread_join(team.threads[k], NULL);
	pthread_barrier_destroy(&team.begin);
	pthread_barrier_destroy(&team.end);
}

static int fake_kernel_new(struct finf_device *dev, const struct finf_graph *graph, uint32_t node,
			   const struct finf_form *form, uint32_t threads,
			   struct finf_kernel **ret_kernel, struct finf_diag *diag)
{
	(void)dev, (void)graph, (void)form, (void)diag;
	*ret_kernel = calloc(1, sizeof(**ret_kernel));
	ck_assert_ptr_nonnull(*ret_kernel);
	**ret_kernel = (struct finf_kernel){node, threads};
	fake.live_kernels++;
	fake.made++;
	return 0;
}

static void fake_kernel_free(struct finf_device *dev, struct finf_kernel *kernel)
{
	(void)dev;
	fake.live_kernels--;
	free(kernel);
}

static void meet(uint32_t node)
{
	uint32_t both = 1u << fake.meet[0] | 1u << fake.meet[1];
	uint64_t until_ns = finf_now_ns() + PATIENCE_NS;

	if (fake.meet[0] == fake.meet[1] || (node != fake.meet[0] && node != fake.meet[1]))
		return;
	while ((atomic_load(&fake.began) & both) != both) {
		if (finf_now_ns() > until_ns) {
			atomic_store(&fake.apart, true);
			return;
		}
		sched_yield();
	}
}

static int fake_run(struct finf_device *dev, struct finf_kernel *kernel,
		    const struct finf_launch *launch)
{
	int others = atomic_fetch_add(&fake.inside, 1);

	(void)dev;
	if (kernel->threads > 1 && others)
		atomic_store(&fake.crowded, true);
	atomic_fetch_add(kernel->threads > 1 ? &fake.with_all : &fake.with_one, 1);
	atomic_fetch_or(&fake.began, 1u << kernel->node);
	meet(kernel->node);
	while (kernel->node == fake.until_deadline && finf_now_ns() < fake.deadline_ns)
		sched_yield();
	for (uint32_t i = 0; i < COUNT; i++)
		((float *)launch->out[0])[i] =
			((const float *)launch->in[0])[i] + ((const float *)launch->in[1])[i];
	atomic_fetch_sub(&fake.inside, 1);
	return kernel->node == fake.fail_at ? -EREMOTEIO : 0;
}

static int fake_copy(struct finf_device *dev, void *to, const void *from, uint64_t bytes)
{
	(void)dev;
	memcpy(to, from, bytes);
	return 0;
}

static struct finf_device_ops fake_ops = {
	.abi = FINF_DEVICE_ABI,
	.name = "fake",
	.read = fake_copy,
	.write = fake_copy,
	.move = fake_copy,
	.kernel_new = fake_kernel_new,
	.kernel_run = fake_run,
	.kernel_free = fake_kernel_free,
	.spread = fake_spread,
};

static struct finf_device fake_device = {&fake_ops};

/* ---- the group --------------------------------------------------------------------- */

static struct finf_graph *graph;
static struct finf_plan plan;
static struct finf_step steps[N_STEPS];
static struct finf_operand in[N_STEPS][2], out[N_STEPS];
static struct finf_plan_buffer buffers[N_STEPS + 1]; /* 0 = x, then one per step */
static struct finf_plan_weight weights[N_STEPS];
static struct finf_plan_segment segments[N_STEPS];
static struct finf_step_cost costs[N_STEPS];
static uint32_t plan_inputs[1], plan_outputs[CHAINS], head[CHAINS], wait_for[1];

#define PIECES 4u
static struct finf_plan_piece pieces[CHAINS][PIECES];
static struct finf_plan_lane lanes[CHAINS];

/* Each lane up to its first piece that is empty. */
static void use_lanes(const struct finf_plan_piece from[CHAINS][PIECES])
{
	memcpy(pieces, from, sizeof(pieces));
	plan.side.n_lanes = 0;
	for (uint32_t k = 0; k < CHAINS; k++) {
		lanes[k] = (struct finf_plan_lane){.pieces = pieces[k]};
		while (lanes[k].n < PIECES && pieces[k][lanes[k].n].until)
			lanes[k].n++;
		if (lanes[k].n)
			plan.side.n_lanes = k + 1;
	}
}

static const struct finf_plan_piece one_each[CHAINS][PIECES] = {
	{{0, 0, LONG}}, {{1, 0, LONG}}, {{2, 0, LONG}}};

static float x[COUNT], y[CHAINS][COUNT], want[CHAINS][COUNT];
static float extent[N_STEPS][COUNT] __attribute__((aligned(4096)));
static char activations[(N_STEPS + 1) * BYTES] __attribute__((aligned(64)));

static const struct finf_shape shape = {2, {1, COUNT}};

/* One valid order: c0 comes after a1. */
static uint32_t chain_of(uint32_t s)
{
	static const uint32_t list[N_STEPS] = {0, 1, 0, 1, 2, 0, 1, 2, 0, 1, 2, 2};

	return list[s];
}

static uint32_t value_of(const char *name, uint32_t number)
{
	char text[32];
	uint32_t value;

	snprintf(text, sizeof(text), "%s%u", name, number);
	ck_assert_int_eq(finf_graph_value(graph, text, FINF_F32, &shape, &value), 0);
	return value;
}

static void make_step(uint32_t s, uint32_t from, const uint32_t *value, uint32_t weight)
{
	static struct finf_op add = {
		.name = "Add", .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1};
	uint32_t node, to = value[s + 1];
	char text[32];

	snprintf(text, sizeof(text), "node%u", s);
	ck_assert_int_eq(finf_graph_node(graph, &add, 13, text, (uint32_t[]){value[from], weight},
					 2, &to, 1, NULL, 0, &node),
			 0);
	in[s][0] = (struct finf_operand){FINF_OPERAND_BUFFER, from};
	in[s][1] = (struct finf_operand){FINF_OPERAND_WEIGHT, s};
	out[s] = (struct finf_operand){FINF_OPERAND_BUFFER, s + 1};
	steps[s] = (struct finf_step){
		.node = node,
		.n_in = 2,
		.n_out = 1,
		.in = in[s],
		.out = &out[s],
		.need_segments = s + 1,
		.branch = chain_of(s),
	};
	for (uint32_t i = 0; i < COUNT; i++)
		((float *)activations)[(s + 1) * COUNT + i] =
			((float *)activations)[from * COUNT + i] + extent[s][i];
}

/* What is wanted is worked out in the arena, which is then spoilt. */
static void make_group(void)
{
	uint32_t value[N_STEPS + 1], last[CHAINS] = {0};

	ck_assert_int_eq(finf_graph_new("chains", &graph), 0);
	for (uint32_t i = 0; i <= N_STEPS; i++) {
		value[i] = value_of("v", i);
		buffers[i] = (struct finf_plan_buffer){.value = value[i],
						       .alias_of = FINF_NONE,
						       .offset = i * BYTES,
						       .bytes = BYTES};
	}
	ck_assert_int_eq(finf_graph_input(graph, value[0]), 0);
	memcpy(activations, x, BYTES);
	wait_for[0] = 2; /* a1 */
	for (uint32_t s = 0; s < N_STEPS; s++) {
		uint32_t weight = value_of("w", s), c = chain_of(s);

		graph->values[weight].is_const = true;
		weights[s].offset = s * BYTES;
		segments[s] = (struct finf_plan_segment){s * BYTES, BYTES};
		make_step(s, c == 2 && !last[2] ? wait_for[0] + 1 : last[c], value, weight);
		if (c == 2 && !last[2]) {
			steps[s].deps = wait_for;
			steps[s].n_deps = 1;
		}
		last[c] = s + 1;
		costs[s] = (struct finf_step_cost){1000, 1500};
	}
	for (uint32_t c = 0; c < CHAINS; c++) {
		plan_outputs[c] = last[c];
		buffers[last[c]].last_step = N_STEPS;
		ck_assert_int_eq(finf_graph_output(graph, value[last[c]]), 0);
		memcpy(want[c], activations + last[c] * BYTES, BYTES);
	}
	memset(activations, 0xff, sizeof(activations));
}

static void setup(void)
{
	memset(&fake, 0, sizeof(fake));
	fake.fail_at = fake.until_deadline = FINF_NONE;
	fake_ops.spread = fake_spread;
	team_start();
	test_fill_f32(x, COUNT, 1);
	test_fill_f32(extent[0], N_STEPS * COUNT, 2);
	memset(head, 0, sizeof(head));
	make_group();
	plan = (struct finf_plan){
		.steps = steps,
		.n_steps = N_STEPS,
		.buffers = buffers,
		.n_buffers = N_STEPS + 1,
		.weights = weights,
		.n_weights = N_STEPS,
		.segments = segments,
		.n_segments = N_STEPS,
		.inputs = plan_inputs,
		.outputs = plan_outputs,
		.n_inputs = 1,
		.n_outputs = CHAINS,
		.weight_bytes = sizeof(extent),
		.arena_bytes = sizeof(activations),
		.n_branches = CHAINS,
		.side = {.lanes = lanes, .head = head, .costs = costs},
		.threads = THREADS,
	};
	use_lanes(one_each);
}

static void teardown(void)
{
	finf_graph_free(graph);
	team_stop();
	ck_assert_int_eq(fake.live_kernels, 0);
	ck_assert(!fake.crowded);
}

static struct finf_session *new_session(void)
{
	struct finf_session *session = NULL;
	struct finf_diag diag = {""};
	int err = finf_session_new(&fake_device, graph, &plan, &session, &diag);

	ck_assert_msg(!err, "%d %s", err, diag.text);
	return session;
}

static struct finf_tensor given, wanted[CHAINS];

static struct finf_run a_run(void)
{
	given = (struct finf_tensor){"v0", FINF_F32, shape, x, BYTES};
	for (uint32_t c = 0; c < CHAINS; c++)
		wanted[c] = (struct finf_tensor){.data = y[c], .bytes = BYTES};
	return (struct finf_run){
		.size = sizeof(struct finf_run),
		.weights = extent,
		.arena = activations,
		.inputs = &given,
		.n_inputs = 1,
		.outputs = wanted,
		.n_outputs = CHAINS,
	};
}

static void expect_right(struct finf_session *session)
{
	struct finf_run run = a_run();
	struct finf_diag diag = {""};
	int err;

	memset(y, 0, sizeof(y));
	memset(activations, 0xff, sizeof(activations));
	err = finf_session_run(session, &run, &diag);
	ck_assert_msg(!err, "%d %s", err, diag.text);
	ck_assert_mem_eq(y, want, sizeof(y));
}

/* ---- results -------------------------------------------------------------------------- */

static const struct {
	uint32_t threads, head[CHAINS];
	struct finf_plan_piece lanes[CHAINS][PIECES];
} schedules[] = {
	{3, {0, 0, 0}, {{{0, 0, 4}}, {{1, 0, 4}}, {{2, 0, 4}}}},
	{2, {0, 0, 0}, {{{0, 0, 4}, {2, 0, 4}}, {{1, 0, 4}}}},
	{2, {0, 0, 0}, {{{0, 0, 4}, {1, 0, 4}}, {{2, 0, 4}}}},
	{3, {0, 0, 0}, {{{0, 0, 4}, {1, 2, 4}}, {{1, 0, 2}, {2, 0, 4}}}},
	{8, {0, 0, 0}, {{{0, 0, 2}, {1, 1, 2}, {2, 3, 4}}, {{1, 0, 1}, {0, 2, 4}, {2, 0, 3}}, {{1, 2, 4}}}},
	{3, {2, 0, 0}, {{{0, 2, 4}}, {{1, 0, 4}}, {{2, 0, 4}}}},
	{2, {2, 4, 1}, {{{0, 2, 4}}, {{2, 1, 4}}}},
	{2, {4, 4, 0}, {{{2, 0, 1}, {2, 2, 3}}, {{2, 1, 2}, {2, 3, 4}}}},
	{2, {0, 0, 0}, {{{1, 0, 4}, {0, 0, 4}, {2, 0, 4}}}},
};

START_TEST(every_schedule_gives_the_same)
{
	struct finf_session *session;
	uint32_t in_heads = 0;

	plan.threads = schedules[_i].threads;
	memcpy(head, schedules[_i].head, sizeof(head));
	for (uint32_t c = 0; c < CHAINS; c++)
		in_heads += head[c];
	use_lanes(schedules[_i].lanes);
	session = new_session();
	ck_assert_int_eq(fake.made, 2 * N_STEPS);
	for (int i = 0; i < 200; i++) {
		fake.with_all = fake.with_one = 0;
		expect_right(session);
		ck_assert_uint_eq(fake.with_all + fake.with_one, N_STEPS);
		ck_assert_uint_eq(fake.with_all, in_heads);
	}
	finf_session_free(session);
}
END_TEST

START_TEST(alone_a_step_has_as_many_threads_as_are_fastest)
{
	struct finf_session *session;

	head[0] = head[1] = head[2] = LONG;
	lanes[0].n = lanes[1].n = lanes[2].n = 0;
	costs[3].one_ns = costs[7].one_ns = 500;
	session = new_session();
	expect_right(session);
	ck_assert_uint_eq(fake.with_one, 2);
	ck_assert_uint_eq(fake.with_all, N_STEPS - 2);
	finf_session_free(session);
}
END_TEST

static const struct {
	uint32_t n_lanes, threads;
	bool spreads;
} lists[] = {{0, 3, true}, {CHAINS, 1, true}, {CHAINS, 3, false}};

START_TEST(else_one_branch_after_the_other)
{
	struct finf_session *session;

	plan.side.n_lanes = lists[_i].n_lanes;
	plan.threads = lists[_i].threads;
	fake_ops.spread = lists[_i].spreads ? fake_spread : NULL;
	session = new_session();
	ck_assert_int_eq(fake.made, N_STEPS);
	expect_right(session);
	finf_session_free(session);
}
END_TEST

START_TEST(with_too_few_threads_one_branch_after_the_other)
{
	struct finf_session *session = new_session();

	fake.alone = true;
	expect_right(session);
	ck_assert_uint_eq(fake.with_all, N_STEPS);
	fake.alone = false;
	fake.with_all = 0;
	expect_right(session);
	ck_assert_uint_eq(fake.with_all, 0);
	finf_session_free(session);
}
END_TEST

/* Each branch as far as it gets: c waits for a1. */
static void note_order(void *ctx, uint32_t step, uint64_t start_ns, uint64_t end_ns)
{
	uint32_t **at = ctx;

	(void)start_ns, (void)end_ns;
	*(*at)++ = step;
}

START_TEST(branch_after_branch)
{
	static const uint32_t warm[N_STEPS] = {0, 2, 5, 8, 1, 3, 6, 9, 4, 7, 10, 11};
	struct finf_session *session;
	uint32_t seen[N_STEPS], *at = seen;
	struct finf_run run = a_run();

	plan.side.n_lanes = 0;
	session = new_session();
	run.on_step = note_order;
	run.on_step_ctx = &at;
	ck_assert_int_eq(finf_session_run(session, &run, NULL), 0);
	ck_assert_mem_eq(seen, warm, sizeof(warm));
	finf_session_free(session);
}
END_TEST

/* Each of the two begins only when the other has: one thread would never get there. */
START_TEST(branches_run_at_the_same_time)
{
	struct finf_session *session = new_session();

	fake.meet[0] = 0;
	fake.meet[1] = 1;
	expect_right(session);
	ck_assert(!fake.apart);
	fake.meet[0] = fake.meet[1] = 0;
	finf_session_free(session);
}
END_TEST

struct log {
	uint32_t seen[N_STEPS], n; /* no atomics: calls never overlap */
};

static void note_step(void *ctx, uint32_t step, uint64_t start_ns, uint64_t end_ns)
{
	struct log *log = ctx;

	ck_assert_uint_le(start_ns, end_ns);
	log->seen[step]++;
	log->n++;
}

START_TEST(each_step_is_told_once)
{
	struct finf_session *session = new_session();
	struct log log = {.n = 0};

	for (uint32_t i = 1; i <= 100; i++) {
		struct finf_run run = a_run();

		run.on_step = note_step;
		run.on_step_ctx = &log;
		ck_assert_int_eq(finf_session_run(session, &run, NULL), 0);
		ck_assert_uint_eq(log.n, i * N_STEPS);
	}
	for (uint32_t s = 0; s < N_STEPS; s++)
		ck_assert_uint_eq(log.seen[s], 100);
	finf_session_free(session);
}
END_TEST

START_TEST(warm_runs_take_no_heap)
{
	struct finf_session *session = new_session();
	size_t before;

	/* A thread's first lock may allocate. */
	for (int i = 0; i < 10; i++)
		expect_right(session);
	before = mallinfo2().uordblks;
	for (int i = 0; i < 1000; i++)
		expect_right(session);
	ck_assert_uint_eq(mallinfo2().uordblks, before);
	finf_session_free(session);
}
END_TEST

/* ---- what goes wrong --------------------------------------------------------------------- */

START_TEST(a_step_that_fails_ends_all_branches)
{
	struct finf_session *session;
	struct finf_diag diag;
	struct finf_run run;
	char says[32];

	plan.threads = 2 + (uint32_t)_i % 2;
	use_lanes(schedules[(uint32_t)_i % 5].lanes);
	plan.threads = FINF_MAX(plan.threads, plan.side.n_lanes);
	session = new_session();
	snprintf(says, sizeof(says), "'node%d' failed", _i);
	for (int i = 0; i < 20; i++) {
		fake.fail_at = (uint32_t)_i;
		run = a_run();
		diag.text[0] = 0;
		memset(y, 0, sizeof(y));
		ck_assert_int_eq(finf_session_run(session, &run, &diag), -EREMOTEIO);
		ck_assert_msg(strstr(diag.text, says), "%s", diag.text);
		ck_assert_float_eq(y[0][0], 0);
		fake.fail_at = FINF_NONE;
		expect_right(session);
	}
	finf_session_free(session);
}
END_TEST

START_TEST(deadline_ends_all_branches)
{
	struct finf_session *session = new_session();
	struct finf_diag diag = {""};
	struct finf_run run = a_run();

	fake.until_deadline = (uint32_t)_i;
	run.deadline_ns = fake.deadline_ns = finf_now_ns() + 20000000;
	ck_assert_int_eq(finf_session_run(session, &run, &diag), -ETIME);
	ck_assert_msg(strstr(diag.text, "deadline passed before"), "%s", diag.text);
	fake.until_deadline = FINF_NONE;
	expect_right(session);
	finf_session_free(session);
}
END_TEST

/* ---- while weights come --------------------------------------------------------------------- */

/* The second half is held back until a step of the first has run. */
struct gate {
	atomic_bool open;
	bool gave_up;
	struct finf_load *load;
};

static void hold_second_half(void *ctx, uint64_t file_offset)
{
	struct gate *gate = ctx;
	uint64_t until_ns = finf_now_ns() + PATIENCE_NS;

	while (file_offset >= N_STEPS / 2 * BYTES && !atomic_load(&gate->open) && !gate->gave_up) {
		gate->gave_up = finf_now_ns() > until_ns;
		usleep(100);
	}
}

static void open_gate(void *ctx, uint32_t step, uint64_t start_ns, uint64_t end_ns)
{
	(void)step, (void)start_ns, (void)end_ns;
	atomic_store(&((struct gate *)ctx)->open, true);
}

static int run_while_loading(uint32_t damaged, struct finf_diag *diag)
{
	static float pool[N_STEPS][COUNT] __attribute__((aligned(4096)));
	struct gate gate = {.open = false};
	struct finf_loader_opts opts = {
		.size = sizeof(opts), .depth = 1, .slow = hold_second_half, .slow_ctx = &gate};
	struct finf_pool_memory memory = {.base = pool,
					  .bytes = sizeof(pool),
					  .host_visible = true,
					  .mode = "host",
					  .pages = "4k"};
	struct finf_load_segment parts[N_STEPS];
	struct finf_session *session = new_session();
	struct finf_run run = a_run();
	struct finf_loader *loader;
	int fd, err;

	memset(pool, 0xff, sizeof(pool));
	fd = memfd_create("extent", MFD_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(finf_pwrite_full(fd, extent, sizeof(extent), 0), 0);
	for (uint32_t i = 0; i < N_STEPS; i++)
		parts[i] = (struct finf_load_segment){.file_offset = i * BYTES,
						      .bytes = BYTES,
						      .xxh3 = finf_hash64(extent[i], BYTES) +
							      (i == damaged),
						      .to = pool[i]};
	ck_assert_int_eq(finf_loader_new(&fake_device, &memory, &opts, &loader, diag), 0);
	ck_assert_int_eq(
		finf_load_start(loader, fd, "extent", parts, N_STEPS, 0, NULL, NULL, &gate.load),
		0);
	memset(y, 0, sizeof(y));
	run.weights = pool;
	run.load = gate.load;
	run.on_step = open_gate;
	run.on_step_ctx = &gate;
	err = finf_session_run(session, &run, diag);
	atomic_store(&gate.open, true);
	finf_load_unref(gate.load);
	finf_loader_free(loader);
	close(fd);
	ck_assert(!gate.gave_up);
	finf_session_free(session);
	return err;
}

START_TEST(steps_start_before_all_weights_have_come)
{
	struct finf_diag diag = {""};
	int err = run_while_loading(FINF_NONE, &diag);

	ck_assert_msg(!err, "%d %s", err, diag.text);
	ck_assert_mem_eq(y, want, sizeof(y));
}
END_TEST

START_TEST(a_load_that_fails_ends_the_run)
{
	struct finf_diag diag = {""};

	ck_assert_int_eq(run_while_loading(N_STEPS - 2, &diag), -EBADMSG);
	ck_assert_msg(strstr(diag.text, "could not be loaded"), "%s", diag.text);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("exec/side");
	TCase *tc = tcase_create("side");

	tcase_set_timeout(tc, 300);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, every_schedule_gives_the_same, 0, FINF_ARRAY_LEN(schedules));
	tcase_add_test(tc, alone_a_step_has_as_many_threads_as_are_fastest);
	tcase_add_loop_test(tc, else_one_branch_after_the_other, 0, FINF_ARRAY_LEN(lists));
	tcase_add_test(tc, with_too_few_threads_one_branch_after_the_other);
	tcase_add_test(tc, branch_after_branch);
	tcase_add_test(tc, branches_run_at_the_same_time);
	tcase_add_test(tc, each_step_is_told_once);
	tcase_add_test(tc, warm_runs_take_no_heap);
	tcase_add_loop_test(tc, a_step_that_fails_ends_all_branches, 0, N_STEPS);
	tcase_add_loop_test(tc, deadline_ends_all_branches, 0, 3);
	tcase_add_test(tc, steps_start_before_all_weights_have_come);
	tcase_add_test(tc, a_load_that_fails_ends_the_run);
	suite_add_tcase(suite, tc);
	return suite;
}
