/* SPDX-License-Identifier: MIT */
/*
 * exec: a chain of additions planned by hand over a device that counts and can
 * fail on command. Shows results, refusals, undo, deadlines, that a run starts
 * before its last segment has arrived, and when runs are captured.
 *
 *   x -> [reorder] -> +w0 -> (alias) -> +w1 -> +w2 -> +w3 -> y     one 4 KiB segment per w
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "exec/exec.h"
#include "graph/op.h"
#include "tests/support/support.h"

#define N_ADDS	  4u
#define N_STEPS	  (N_ADDS + 2) /* the additions, one reorder, one alias */
#define COUNT	  1024u
#define BYTES	  (COUNT * sizeof(float))
#define WORKSPACE 128u

/* ---- a device that counts ------------------------------------------------- */

static struct {
	int live_kernels;
	int new_left;	       /* kernels that may still be made */
	int run_left;	       /* launches that may still succeed */
	const void *workspace; /* of the last launch */

	/* a device that captures and whose faults show late */
	struct finf_captured *noting; /* between begin and end */
	int begin_err, end_err, launch_err;
	bool late_fault, faulted;
	int begins, launches, syncs, given_up, live_captured;
	uint32_t resets;
} fake;

struct finf_kernel {
	const struct finf_graph *graph;
	uint32_t node; /* FINF_NONE = reorder */
};

static int fake_new(const struct finf_graph *graph, uint32_t node, struct finf_kernel **ret)
{
	if (fake.new_left-- <= 0)
		return -EOPNOTSUPP;
	*ret = calloc(1, sizeof(**ret));
	ck_assert_ptr_nonnull(*ret);
	(*ret)->graph = graph;
	(*ret)->node = node;
	fake.live_kernels++;
	return 0;
}

static int fake_kernel_new(struct finf_device *dev, const struct finf_graph *graph, uint32_t node,
			   const struct finf_form *form, uint32_t threads,
			   struct finf_kernel **ret_kernel, struct finf_diag *diag)
{
	int err = fake_new(graph, node, ret_kernel);

	(void)dev, (void)form, (void)threads;
	return err ? finf_diag_set(diag, err, "no such kernel") : 0;
}

static int fake_reorder_new(struct finf_device *dev, enum finf_dtype dtype,
			    const struct finf_shape *shape, uint16_t from, uint16_t to,
			    uint32_t threads, struct finf_kernel **ret_kernel,
			    struct finf_diag *diag)
{
	(void)dev, (void)dtype, (void)shape, (void)threads, (void)diag;
	ck_assert_uint_eq(from, 0);
	ck_assert_uint_eq(to, 7);
	return fake_new(NULL, FINF_NONE, ret_kernel);
}

static int fake_run(struct finf_device *dev, struct finf_kernel *kernel,
		    const struct finf_launch *launch)
{
	(void)dev;
	if (fake.run_left-- <= 0)
		return -EREMOTEIO;
	fake.workspace = launch->workspace;
	if (kernel->node == FINF_NONE) {
		memcpy(launch->out[0], launch->in[0], BYTES);
		return 0;
	}
	for (uint32_t i = 0; i < COUNT; i++)
		((float *)launch->out[0])[i] =
			((const float *)launch->in[0])[i] + ((const float *)launch->in[1])[i];
	return 0;
}

/* A captured run: the launches with the addresses they had. */
struct finf_captured {
	struct {
		struct finf_kernel *kernel;
		const void *in[2];
		void *out;
	} note[N_STEPS];
	uint32_t n, resets;
};

static int fake_note(struct finf_device *dev, struct finf_kernel *kernel,
		     const struct finf_launch *launch)
{
	struct finf_captured *c = fake.noting;

	if (!c)
		return fake_run(dev, kernel, launch);
	if (fake.run_left-- <= 0)
		return -EREMOTEIO;
	ck_assert_uint_lt(c->n, N_STEPS);
	c->note[c->n].kernel = kernel;
	c->note[c->n].in[0] = launch->in[0];
	c->note[c->n].in[1] = kernel->node == FINF_NONE ? NULL : launch->in[1];
	c->note[c->n++].out = launch->out[0];
	return 0;
}

static int fake_capture_begin(struct finf_device *dev, struct finf_diag *diag)
{
	(void)dev;
	ck_assert_ptr_null(fake.noting);
	fake.begins++;
	if (fake.begin_err)
		return finf_diag_set(diag, fake.begin_err, "no capture today");
	fake.noting = calloc(1, sizeof(*fake.noting));
	ck_assert_ptr_nonnull(fake.noting);
	fake.noting->resets = fake.resets;
	return 0;
}

static int fake_capture_end(struct finf_device *dev, struct finf_captured **io_captured,
			    struct finf_diag *diag)
{
	struct finf_captured *noted = fake.noting;

	(void)dev;
	ck_assert_ptr_nonnull(noted);
	fake.noting = NULL;
	if (!io_captured || fake.end_err) {
		fake.given_up += !io_captured;
		free(noted);
		return io_captured ? finf_diag_set(diag, fake.end_err, "no memory for it") : 0;
	}
	if (*io_captured) {
		**io_captured = *noted;
		free(noted);
	} else {
		*io_captured = noted;
		fake.live_captured++;
	}
	return 0;
}

static int fake_captured_run(struct finf_device *dev, struct finf_captured *captured)
{
	if (captured->resets != fake.resets)
		return -ESTALE;
	if (fake.launch_err)
		return fake.launch_err;
	fake.launches++;
	for (uint32_t i = 0; i < captured->n; i++) {
		struct finf_launch launch = {
			.in = captured->note[i].in, .out = &captured->note[i].out};
		int err = fake_run(dev, captured->note[i].kernel, &launch);

		if (err)
			return err;
	}
	return 0;
}

static void fake_captured_free(struct finf_device *dev, struct finf_captured *captured)
{
	(void)dev;
	fake.live_captured--;
	free(captured);
}

static int fake_sync(struct finf_device *dev)
{
	bool late = fake.late_fault;

	(void)dev;
	ck_assert_ptr_null(fake.noting);
	fake.syncs++;
	fake.late_fault = false;
	return late ? -EREMOTEIO : 0;
}

static bool fake_faulted(struct finf_device *dev)
{
	(void)dev;
	return fake.faulted;
}

static int fake_reset(struct finf_device *dev, struct finf_pool_memory *pool,
		      struct finf_diag *diag)
{
	(void)dev, (void)pool, (void)diag;
	fake.resets++;
	return 0;
}

static void fake_kernel_free(struct finf_device *dev, struct finf_kernel *kernel)
{
	(void)dev;
	fake.live_kernels--;
	free(kernel);
}

static int fake_read(struct finf_device *dev, void *host, const void *device, uint64_t bytes)
{
	(void)dev;
	memcpy(host, device, bytes);
	return 0;
}

static int fake_write(struct finf_device *dev, void *device, const void *host, uint64_t bytes)
{
	(void)dev;
	memcpy(device, host, bytes);
	return 0;
}

/* Layout 7 takes as much as the plain one, others are not known. */
static int fake_layout_bytes(struct finf_device *dev, uint16_t layout, enum finf_dtype dtype,
			     const struct finf_shape *of, uint64_t *ret_bytes)
{
	size_t bytes;
	int err = layout == 7 ? finf_tensor_bytes(dtype, of, &bytes) : -EOPNOTSUPP;

	(void)dev;
	if (!err)
		*ret_bytes = bytes;
	return err;
}

static const struct finf_device_ops fake_ops = {
	.abi = FINF_DEVICE_ABI,
	.name = "fake",
	.read = fake_read,
	.write = fake_write,
	.move = fake_write,
	.layout_bytes = fake_layout_bytes,
	.kernel_new = fake_kernel_new,
	.reorder_new = fake_reorder_new,
	.kernel_run = fake_run,
	.kernel_free = fake_kernel_free,
};

static struct finf_device fake_device = {&fake_ops};

/* The same, capturing and asynchronous. */
static const struct finf_device_ops late_ops = {
	.abi = FINF_DEVICE_ABI,
	.name = "late",
	.read = fake_read,
	.write = fake_write,
	.move = fake_write,
	.layout_bytes = fake_layout_bytes,
	.kernel_new = fake_kernel_new,
	.reorder_new = fake_reorder_new,
	.kernel_run = fake_note,
	.kernel_free = fake_kernel_free,
	.sync = fake_sync,
	.capture_begin = fake_capture_begin,
	.capture_end = fake_capture_end,
	.captured_run = fake_captured_run,
	.captured_free = fake_captured_free,
	.faulted = fake_faulted,
	.reset = fake_reset,
};

/* ---- the model ------------------------------------------------------------ */

static struct finf_graph *graph;
static struct finf_plan plan;
static struct finf_step steps[N_STEPS];
static struct finf_operand in[N_STEPS][2], out[N_STEPS];
static struct finf_plan_buffer buffers[N_STEPS + 2];
static struct finf_plan_weight weights[N_ADDS];
static struct finf_plan_segment segments[N_ADDS];
static uint32_t plan_inputs[2], plan_outputs[2];

static float x[COUNT], y[COUNT], want[COUNT];
static float extent[N_ADDS][COUNT] __attribute__((aligned(4096)));
static char activations[3 * BYTES + WORKSPACE] __attribute__((aligned(64)));

static const struct finf_shape shape = {2, {1, COUNT}};

static uint32_t add_value(const char *name, uint32_t number)
{
	char text[32];
	uint32_t value;

	snprintf(text, sizeof(text), "%s%u", name, number);
	ck_assert_int_eq(finf_graph_value(graph, text, FINF_F32, &shape, &value), 0);
	return value;
}

static void add_node(const char *op, uint32_t number, const uint32_t *ins, uint32_t n_in,
		     uint32_t to)
{
	struct finf_op none = {.name = op, .min_in = 1, .max_in = 2, .min_out = 1, .max_out = 1};
	static struct finf_op rows[N_STEPS];
	char text[32];
	uint32_t node;

	rows[number] = none;
	snprintf(text, sizeof(text), "node%u", number);
	ck_assert_int_eq(
		finf_graph_node(graph, &rows[number], 13, text, ins, n_in, &to, 1, NULL, 0, &node),
		0);
	ck_assert_uint_eq(node, number);
}

/* Buffers 0 and 1 alternate in the arena; the alias lies on the one before it. */
static void add_buffer(uint32_t index, uint32_t value, uint32_t alias_of)
{
	buffers[index] = (struct finf_plan_buffer){
		.value = value,
		.layout = index == 1 ? 7 : 0,
		.alias_of = alias_of,
		.offset = alias_of == FINF_NONE ? index % 2 * BYTES : 1, /* 1: must not be used */
		.bytes = BYTES,
	};
}

static void add_step(uint32_t index, uint32_t node, uint32_t weight)
{
	uint32_t n_in = weight == FINF_NONE ? 1 : 2;

	in[index][0] = (struct finf_operand){FINF_OPERAND_BUFFER, index};
	in[index][1] = (struct finf_operand){FINF_OPERAND_WEIGHT, weight};
	out[index] = (struct finf_operand){FINF_OPERAND_BUFFER, index + 1};
	steps[index] = (struct finf_step){
		.node = node,
		.n_in = n_in,
		.n_out = 1,
		.in = in[index],
		.out = &out[index],
		.need_segments = weight == FINF_NONE ? 0 : weight + 1,
	};
}

static void make_graph(void)
{
	uint32_t value[N_STEPS + 1], weight[N_ADDS];

	ck_assert_int_eq(finf_graph_new("adds", &graph), 0);
	for (uint32_t i = 0; i < N_ADDS; i++) {
		weight[i] = add_value("w", i);
		graph->values[weight[i]].is_const = true;
	}
	for (uint32_t i = 0; i <= N_STEPS; i++)
		value[i] = add_value("v", i);
	ck_assert_int_eq(finf_graph_input(graph, value[0]), 0);
	ck_assert_int_eq(finf_graph_output(graph, value[N_STEPS]), 0);
	add_node("Add", 0, (uint32_t[]){value[1], weight[0]}, 2, value[2]);
	add_node("Alias", 1, &value[2], 1, value[3]);
	for (uint32_t i = 1; i < N_ADDS; i++)
		add_node("Add", i + 1, (uint32_t[]){value[i + 2], weight[i]}, 2, value[i + 3]);
	for (uint32_t i = 0; i <= N_STEPS; i++)
		add_buffer(i, value[i], i == 3 ? 2 : FINF_NONE);
	/* after the alias the parity turns: 4 must not lie on 2 */
	for (uint32_t i = 4; i <= N_STEPS; i++)
		buffers[i].offset = (i + 1) % 2 * BYTES;
}


static void make_plan(void)
{
	add_step(0, FINF_NONE, FINF_NONE);
	add_step(1, 0, 0);
	add_step(2, 1, FINF_NONE);
	steps[2].form.flags = FINF_FORM_ALIAS;
	for (uint32_t i = 1; i < N_ADDS; i++)
		add_step(i + 2, i + 1, i);
	steps[N_STEPS - 1].form.workspace_bytes = WORKSPACE;
	steps[N_STEPS - 1].workspace_offset = 2 * BYTES;
	for (uint32_t i = 0; i < N_ADDS; i++) {
		weights[i].offset = i * BYTES;
		segments[i] = (struct finf_plan_segment){i * BYTES, BYTES};
	}
	plan_inputs[0] = 0;
	plan_outputs[0] = N_STEPS;
	buffers[N_STEPS].last_step = N_STEPS;
	plan = (struct finf_plan){
		.steps = steps,
		.n_steps = N_STEPS,
		.buffers = buffers,
		.n_buffers = N_STEPS + 1,
		.weights = weights,
		.n_weights = N_ADDS,
		.segments = segments,
		.n_segments = N_ADDS,
		.inputs = plan_inputs,
		.outputs = plan_outputs,
		.n_inputs = 1,
		.n_outputs = 1,
		.weight_bytes = sizeof(extent),
		.arena_bytes = sizeof(activations),
		.n_branches = 1,
		.threads = 1,
	};
}

static void setup(void)
{
	memset(&fake, 0, sizeof(fake));
	fake.new_left = fake.run_left = INT32_MAX;
	make_graph();
	make_plan();
	test_fill_f32(x, COUNT, 1);
	test_fill_f32(extent[0], N_ADDS * COUNT, 2);
	memset(y, 0, sizeof(y));
	for (uint32_t i = 0; i < COUNT; i++) {
		want[i] = x[i];
		for (uint32_t k = 0; k < N_ADDS; k++)
			want[i] += extent[k][i];
	}
}

static void teardown(void)
{
	finf_graph_free(graph);
	ck_assert_int_eq(fake.live_kernels, 0);
	ck_assert_int_eq(fake.live_captured, 0);
	ck_assert_ptr_null(fake.noting);
	fake_device.ops = &fake_ops;
}

static struct finf_session *new_session(void)
{
	struct finf_session *session = NULL;
	struct finf_diag diag = {""};
	int err = finf_session_new(&fake_device, graph, &plan, &session, &diag);

	ck_assert_msg(!err, "%d %s", err, diag.text);
	return session;
}

static struct finf_tensor given, wanted;

static struct finf_run a_run(void)
{
	given = (struct finf_tensor){"v0", FINF_F32, shape, x, BYTES};
	wanted = (struct finf_tensor){.data = y, .bytes = sizeof(y)};
	return (struct finf_run){
		.size = sizeof(struct finf_run),
		.weights = extent,
		.arena = activations,
		.inputs = &given,
		.n_inputs = 1,
		.outputs = &wanted,
		.n_outputs = 1,
	};
}

/* ---- results --------------------------------------------------------------- */

START_TEST(runs_and_fills_the_output)
{
	struct finf_session *session = new_session();
	struct finf_run run = a_run();
	struct finf_diag diag = {""};

	ck_assert_int_eq(finf_session_run(session, &run, &diag), 0);
	ck_assert_mem_eq(y, want, sizeof(y));
	ck_assert_int_eq(wanted.dtype, FINF_F32);
	ck_assert_uint_eq(wanted.bytes, BYTES);
	ck_assert_uint_eq(wanted.shape.rank, 2);
	ck_assert_int_eq(wanted.shape.dim[1], COUNT);
	ck_assert_ptr_eq(fake.workspace, activations + 2 * BYTES);
	finf_session_free(session);
}
END_TEST

START_TEST(weights_and_arena_may_move_between_runs)
{
	static float moved[N_ADDS][COUNT];
	static char other[sizeof(activations)] __attribute__((aligned(64)));
	struct finf_session *session = new_session();
	struct finf_run run = a_run();

	ck_assert_int_eq(finf_session_run(session, &run, NULL), 0);
	memcpy(moved, extent, sizeof(extent));
	memset(extent, 0xff, sizeof(extent));
	memset(activations, 0xff, sizeof(activations));
	memset(y, 0, sizeof(y));
	run = a_run();
	run.weights = moved;
	run.arena = other;
	ck_assert_int_eq(finf_session_run(session, &run, NULL), 0);
	ck_assert_mem_eq(y, want, sizeof(y));
	finf_session_free(session);
}
END_TEST

START_TEST(output_that_is_not_wanted_is_left_out)
{
	struct finf_session *session = new_session();
	struct finf_run run = a_run();

	wanted.data = NULL;
	ck_assert_int_eq(finf_session_run(session, &run, NULL), 0);
	ck_assert_uint_eq(wanted.shape.rank, 0);
	finf_session_free(session);
}
END_TEST

START_TEST(warm_runs_take_no_heap)
{
	struct finf_session *session = new_session();
	struct finf_run run = a_run();
	size_t before;

	ck_assert_int_eq(finf_session_run(session, &run, NULL), 0);
	before = mallinfo2().uordblks;
	for (int i = 0; i < 1000; i++) {
		run = a_run();
		ck_assert_int_eq(finf_session_run(session, &run, NULL), 0);
	}
	ck_assert_uint_eq(mallinfo2().uordblks, before);
	finf_session_free(session);
}
END_TEST

/* ---- copies between steps ------------------------------------------------------ */

#define TAKEN 2u /* behind this step an output goes whose bytes a later one writes over */
#define COMES 4u /* before this one an input comes */

static float late_x[COUNT], early_y[COUNT];
static struct finf_tensor two_given[2], two_wanted[2];

static void make_two(void)
{
	uint32_t input = add_value("late", 0), output;

	ck_assert_int_eq(finf_graph_input(graph, input), 0);
	ck_assert(finf_graph_find(graph, "v2", &output));
	ck_assert_int_eq(finf_graph_output(graph, output), 0);
	buffers[N_STEPS + 1] = (struct finf_plan_buffer){
		.value = input,
		.alias_of = FINF_NONE,
		.first_step = COMES,
		.last_step = COMES,
		.offset = 2 * BYTES + WORKSPACE,
		.bytes = BYTES,
	};
	buffers[2].last_step = TAKEN;
	plan_inputs[1] = N_STEPS + 1;
	plan_outputs[1] = 2;
	plan.n_buffers = N_STEPS + 2;
	plan.n_inputs = plan.n_outputs = 2;
	test_fill_f32(late_x, COUNT, 3);
	memset(early_y, 0, sizeof(early_y));
	memset(activations, 0, sizeof(activations));
}

static struct finf_run two_run(void)
{
	struct finf_run run = a_run();

	two_given[0] = given;
	two_given[1] = (struct finf_tensor){"late0", FINF_F32, shape, late_x, BYTES};
	two_wanted[0] = wanted;
	two_wanted[1] = (struct finf_tensor){.data = early_y, .bytes = BYTES};
	run.inputs = two_given;
	run.outputs = two_wanted;
	run.n_inputs = run.n_outputs = 2;
	return run;
}

static bool early_is_right(void)
{
	for (uint32_t i = 0; i < COUNT; i++)
		if (early_y[i] != x[i] + extent[0][i])
			return false;
	return true;
}

/* Called before what goes behind the step. */
static void look(void *ctx, uint32_t step, uint64_t start_ns, uint64_t end_ns)
{
	bool here = !memcmp(activations + buffers[N_STEPS + 1].offset, late_x, BYTES);

	(void)start_ns;
	(void)end_ns;
	ck_assert_uint_eq(early_is_right(), step > TAKEN);
	ck_assert_uint_eq(here, step >= COMES);
	++*(uint32_t *)ctx;
}

START_TEST(copies_between_steps)
{
	struct finf_session *session;
	struct finf_run run = two_run();
	uint32_t seen = 0;

	make_two();
	session = new_session();
	run.on_step = look;
	run.on_step_ctx = &seen;
	ck_assert_int_eq(finf_session_run(session, &run, NULL), 0);
	ck_assert_uint_eq(seen, N_STEPS);
	ck_assert_mem_eq(y, want, sizeof(y));
	ck_assert_uint_eq(two_wanted[1].bytes, BYTES);
	ck_assert_uint_eq(two_wanted[1].shape.rank, 2);
	finf_session_free(session);
}
END_TEST

/* Its bytes are there already; that it is an output is not said. */
START_TEST(run_that_fails_behind_an_output_tells_of_none)
{
	struct finf_session *session;
	struct finf_run run = two_run();

	make_two();
	session = new_session();
	fake.run_left = 3;
	ck_assert_int_eq(finf_session_run(session, &run, NULL), -EREMOTEIO);
	ck_assert(early_is_right());
	ck_assert_uint_eq(two_wanted[1].shape.rank, 0);
	ck_assert_int_eq(two_wanted[1].dtype, 0);
	fake.run_left = INT32_MAX;
	ck_assert_int_eq(finf_session_run(session, &run, NULL), 0);
	ck_assert_mem_eq(y, want, sizeof(y));
	finf_session_free(session);
}
END_TEST

/* Only where it would harm: an output over an input that comes later. */
static const struct {
	void *late, *last, *early; /* the input, and where the outputs go */
	int err;
} overlaps[] = {
	{early_y, y, early_y, -EINVAL},
	{early_y + COUNT / 2, y, early_y, -EINVAL},
	{late_x, late_x, early_y, 0},
	{late_x, y, x, 0},
	{late_x, y, NULL, 0},
};

START_TEST(output_over_a_later_input_is_refused)
{
	struct finf_session *session;
	struct finf_run run = two_run();
	struct finf_diag diag = {""};

	make_two();
	session = new_session();
	two_given[1].data = overlaps[_i].late;
	two_wanted[0].data = overlaps[_i].last;
	two_wanted[1].data = overlaps[_i].early;
	ck_assert_int_eq(finf_session_run(session, &run, &diag), overlaps[_i].err);
	if (overlaps[_i].err)
		ck_assert_str_eq(diag.text, "output 'v2' would be written over input 'late0'");
	else
		ck_assert_mem_eq(overlaps[_i].last, want, sizeof(want));
	ck_assert_uint_eq(fake.run_left == INT32_MAX, !!overlaps[_i].err);
	finf_session_free(session);
}
END_TEST

/* ---- refusals --------------------------------------------------------------- */

static const struct {
	const char *what;
	struct finf_tensor given;
	uint32_t n_inputs;
	size_t room;
	uint32_t n_outputs;
	int err;
	const char *says;
} refused[] = {
	{"dtype",
	 {"v0", FINF_I64, {2, {1, COUNT}}, x, BYTES},
	 1,
	 BYTES,
	 1,
	 -EINVAL,
	 "input 'v0': given int64 1x1024, expected float32 1x1024"},
	{"rank",
	 {"v0", FINF_F32, {1, {COUNT}}, x, BYTES},
	 1,
	 BYTES,
	 1,
	 -EINVAL,
	 "given float32 1024, expected float32 1x1024"},
	{"dimension",
	 {"v0", FINF_F32, {2, {2, COUNT}}, x, 2 * BYTES},
	 1,
	 BYTES,
	 1,
	 -EINVAL,
	 "given float32 2x1024"},
	{"bytes",
	 {"v0", FINF_F32, {2, {1, COUNT}}, x, BYTES - 1},
	 1,
	 BYTES,
	 1,
	 -EINVAL,
	 "input 'v0': 4095 bytes given, 4096 expected"},
	{"no data",
	 {"v0", FINF_F32, {2, {1, COUNT}}, NULL, BYTES},
	 1,
	 BYTES,
	 1,
	 -EINVAL,
	 "input 'v0': 0 bytes given"},
	{"too few inputs",
	 {"v0", FINF_F32, {2, {1, COUNT}}, x, BYTES},
	 0,
	 BYTES,
	 1,
	 -EINVAL,
	 "0 inputs given, 1 expected"},
	{"too many outputs",
	 {"v0", FINF_F32, {2, {1, COUNT}}, x, BYTES},
	 1,
	 BYTES,
	 2,
	 -EINVAL,
	 "2 outputs given, 1 expected"},
	{"small output",
	 {"v0", FINF_F32, {2, {1, COUNT}}, x, BYTES},
	 1,
	 BYTES - 4,
	 1,
	 -ENOSPC,
	 "output 'v6': room for 4092 bytes, 4096 needed"},
};

START_TEST(wrong_tensors_are_named)
{
	struct finf_session *session = new_session();
	struct finf_run run = a_run();
	struct finf_diag diag = {""};

	given = refused[_i].given;
	run.n_inputs = refused[_i].n_inputs;
	run.n_outputs = refused[_i].n_outputs;
	wanted.bytes = refused[_i].room;
	ck_assert_msg(finf_session_run(session, &run, &diag) == refused[_i].err, "%s",
		      refused[_i].what);
	ck_assert_msg(strstr(diag.text, refused[_i].says), "%s: %s", refused[_i].what, diag.text);
	ck_assert_int_eq(fake.run_left, INT32_MAX);
	finf_session_free(session);
}
END_TEST

START_TEST(kernel_that_cannot_be_made_undoes_the_session)
{
	struct finf_session *session = NULL;
	struct finf_diag diag = {""};

	fake.new_left = _i;
	ck_assert_int_eq(finf_session_new(&fake_device, graph, &plan, &session, &diag),
			 -EOPNOTSUPP);
	ck_assert_ptr_null(session);
	ck_assert_int_eq(fake.live_kernels, 0);
	if (_i > 0)
		ck_assert_msg(strstr(diag.text, "node 'node"), "%s", diag.text);
}
END_TEST

/* What a damaged or hostile plan could say although it passed the plan's own proof. */
static const struct {
	uint32_t buffer;
	uint16_t layout;
	uint64_t bytes;
	uint32_t alias_of;
	const char *says;
} hostile[] = {
	{1, 7, BYTES - 4, FINF_NONE, "value 'v1' cannot lie in layout 7 in 4092 bytes"},
	{1, 8, BYTES, FINF_NONE, "value 'v1' cannot lie in layout 8"},
	{3, 0, BYTES, FINF_NONE, "node 'node1': output is not where the input is"},
};

START_TEST(plan_that_lies_about_the_device)
{
	struct finf_session *session = NULL;
	struct finf_diag diag = {""};
	struct finf_plan_buffer *buffer = &buffers[hostile[_i].buffer];

	buffer->layout = hostile[_i].layout;
	buffer->bytes = hostile[_i].bytes;
	buffer->alias_of = hostile[_i].alias_of;
	ck_assert_int_eq(finf_session_new(&fake_device, graph, &plan, &session, &diag), -EBADMSG);
	ck_assert_msg(strstr(diag.text, hostile[_i].says), "%s", diag.text);
	ck_assert_ptr_null(session);
}
END_TEST

/* A join of one: what the alias did. */
START_TEST(join_has_no_kernel)
{
	struct finf_session *session;
	struct finf_run run;
	struct finf_diag diag = {""};

	steps[2].form.flags = FINF_FORM_JOIN;
	session = new_session();
	run = a_run();
	ck_assert_int_eq(finf_session_run(session, &run, &diag), 0);
	ck_assert_mem_eq(y, want, sizeof(y));
	finf_session_free(session);
}
END_TEST

static const struct {
	uint32_t alias_of;
	uint64_t bytes;
} not_joined[] = {{FINF_NONE, BYTES}, {2, 2 * BYTES}, {2, BYTES / 2}};

START_TEST(join_of_what_lies_elsewhere)
{
	struct finf_session *session = NULL;
	struct finf_diag diag = {""};

	steps[2].form.flags = FINF_FORM_JOIN;
	buffers[3].alias_of = not_joined[_i].alias_of;
	buffers[3].bytes = not_joined[_i].bytes;
	ck_assert_int_eq(finf_session_new(&fake_device, graph, &plan, &session, &diag), -EBADMSG);
	ck_assert_msg(strstr(diag.text, "'node1': inputs are not where the output is"), "%s",
		      diag.text);
	ck_assert_ptr_null(session);
}
END_TEST

START_TEST(device_fault_names_the_node)
{
	struct finf_session *session = new_session();
	struct finf_run run = a_run();
	struct finf_diag diag = {""};

	fake.run_left = 2;
	ck_assert_int_eq(finf_session_run(session, &run, &diag), -EREMOTEIO);
	ck_assert_msg(strstr(diag.text, "'node2'"), "%s", diag.text);
	ck_assert_uint_eq(wanted.shape.rank, 0);
	/* one request failed, not the session */
	fake.run_left = INT32_MAX;
	ck_assert_int_eq(finf_session_run(session, &run, &diag), 0);
	ck_assert_mem_eq(y, want, sizeof(y));
	finf_session_free(session);
}
END_TEST

static uint32_t steps_seen;

static void until_deadline(void *ctx, uint32_t step, uint64_t start_ns, uint64_t end_ns)
{
	const uint64_t *deadline_ns = ctx;

	ck_assert_uint_le(start_ns, end_ns);
	ck_assert_uint_eq(step, steps_seen);
	steps_seen++;
	while (finf_now_ns() < *deadline_ns)
		;
}

START_TEST(deadline_is_checked_between_steps)
{
	struct finf_session *session = new_session();
	struct finf_run run = a_run();
	struct finf_diag diag = {""};

	steps_seen = 0;
	run.deadline_ns = finf_now_ns() + 100000000;
	run.on_step = until_deadline;
	run.on_step_ctx = &run.deadline_ns;
	ck_assert_int_eq(finf_session_run(session, &run, &diag), -ETIME);
	ck_assert_msg(strstr(diag.text, "deadline passed"), "%s", diag.text);
	ck_assert_uint_le(steps_seen, 1);
	ck_assert_uint_eq(wanted.shape.rank, 0);
	finf_session_free(session);
}
END_TEST

/* ---- streaming --------------------------------------------------------------- */

/* Holds the loader at the last segment until the first node has run. */
struct gate {
	pthread_mutex_t lock;
	pthread_cond_t opened;
	uint64_t hold_from; /* file offset */
	bool open, gave_up;
	struct finf_load *load;
	uint32_t published_at_first; /* when the first node had run */
	bool done;
	int result;
};

static void gate_wait(void *ctx, uint64_t file_offset)
{
	struct gate *gate = ctx;
	struct timespec limit;

	if (file_offset < gate->hold_from)
		return;
	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += 60;
	pthread_mutex_lock(&gate->lock);
	while (!gate->open && !gate->gave_up)
		if (pthread_cond_timedwait(&gate->opened, &gate->lock, &limit) == ETIMEDOUT)
			gate->gave_up = true;
	pthread_mutex_unlock(&gate->lock);
}

static void gate_open(struct gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	gate->open = true;
	pthread_cond_broadcast(&gate->opened);
	pthread_mutex_unlock(&gate->lock);
}

static void open_after_first_add(void *ctx, uint32_t step, uint64_t start_ns, uint64_t end_ns)
{
	struct gate *gate = ctx;

	(void)start_ns, (void)end_ns;
	if (step != 1)
		return;
	gate->published_at_first = finf_load_published(gate->load);
	gate_open(gate);
}

static void load_done(void *ctx, struct finf_load *load, int result, const struct finf_diag *diag)
{
	struct gate *gate = ctx;

	(void)load, (void)diag;
	pthread_mutex_lock(&gate->lock);
	gate->result = result;
	gate->done = true;
	pthread_cond_broadcast(&gate->opened);
	pthread_mutex_unlock(&gate->lock);
}

static void wait_done(struct gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	while (!gate->done)
		pthread_cond_wait(&gate->opened, &gate->lock);
	pthread_mutex_unlock(&gate->lock);
}

struct stream {
	struct gate gate;
	struct finf_pool_memory pool;
	struct finf_loader *loader;
	int fd;
};

/* The extent goes to a file and is to come back into an empty pool; segment
 * @damaged has the wrong checksum. */
static void stream_start(struct stream *stream, uint32_t damaged)
{
	struct finf_load_segment parts[N_ADDS];
	struct finf_loader_opts opts = {
		.size = sizeof(opts),
		.depth = 1, /* so that a block is published before the next is asked for */
		.slow = gate_wait,
		.slow_ctx = &stream->gate,
	};
	struct finf_diag diag = {""};

	*stream = (struct stream){.gate = {.hold_from = (N_ADDS - 1) * BYTES}};
	pthread_mutex_init(&stream->gate.lock, NULL);
	pthread_cond_init(&stream->gate.opened, NULL);
	stream->pool = (struct finf_pool_memory){
		.base = mmap(NULL, sizeof(extent), PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
		.bytes = sizeof(extent),
		.host_visible = true,
		.mode = "host",
		.pages = "4k",
	};
	stream->fd = open(scratch_path("extent"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_ge(stream->fd, 0);
	ck_assert_int_eq(finf_pwrite_full(stream->fd, extent, sizeof(extent), 0), 0);
	for (uint32_t i = 0; i < N_ADDS; i++)
		parts[i] = (struct finf_load_segment){
			.file_offset = i * BYTES,
			.bytes = BYTES,
			.xxh3 = finf_hash64(extent[i], BYTES) + (i == damaged),
			.to = (char *)stream->pool.base + i * BYTES,
		};
	ck_assert_int_eq(
		finf_loader_new(&fake_device, &stream->pool, &opts, &stream->loader, &diag), 0);
	ck_assert_int_eq(finf_load_start(stream->loader, stream->fd, "extent", parts, N_ADDS, 0,
					 load_done, &stream->gate, &stream->gate.load),
			 0);
}

static void stream_end(struct stream *stream)
{
	wait_done(&stream->gate);
	finf_load_unref(stream->gate.load);
	finf_loader_free(stream->loader);
	munmap(stream->pool.base, stream->pool.bytes);
	close(stream->fd);
	pthread_cond_destroy(&stream->gate.opened);
	pthread_mutex_destroy(&stream->gate.lock);
}

static struct finf_run a_streamed_run(struct stream *stream)
{
	struct finf_run run = a_run();

	run.weights = stream->pool.base;
	run.load = stream->gate.load;
	run.on_step = open_after_first_add;
	run.on_step_ctx = &stream->gate;
	return run;
}

START_TEST(first_node_runs_before_the_last_segment_is_there)
{
	struct finf_session *session = new_session();
	struct finf_diag diag = {""};
	struct stream stream;
	struct finf_run run;

	stream_start(&stream, FINF_NONE);
	run = a_streamed_run(&stream);
	ck_assert_int_eq(finf_session_run(session, &run, &diag), 0);
	/* The loader was held at the last segment and let go by the first node: had
	 * the run waited for all of it, neither would have moved. */
	ck_assert(!stream.gate.gave_up);
	ck_assert_uint_ge(stream.gate.published_at_first, 1);
	ck_assert_uint_lt(stream.gate.published_at_first, N_ADDS);
	ck_assert_mem_eq(y, want, sizeof(y));
	stream_end(&stream);
	ck_assert_int_eq(stream.gate.result, 0);
	finf_session_free(session);
}
END_TEST

START_TEST(load_that_fails_midway_fails_the_run)
{
	struct finf_session *session = new_session();
	struct finf_diag diag = {""};
	struct stream stream;
	struct finf_run run;

	stream_start(&stream, N_ADDS - 1);
	run = a_streamed_run(&stream);
	ck_assert_int_eq(finf_session_run(session, &run, &diag), -EBADMSG);
	ck_assert_msg(strstr(diag.text, "checksum of segment 3"), "%s", diag.text);
	ck_assert_uint_eq(wanted.shape.rank, 0);
	stream_end(&stream);
	ck_assert_int_eq(stream.gate.result, -EBADMSG);
	finf_session_free(session);
}
END_TEST

START_TEST(deadline_passes_while_weights_are_loading)
{
	struct finf_session *session = new_session();
	struct finf_diag diag = {""};
	struct stream stream;
	struct finf_run run;

	stream_start(&stream, FINF_NONE);
	run = a_streamed_run(&stream);
	run.on_step = NULL; /* the gate stays shut */
	run.deadline_ns = finf_now_ns() + 50000000;
	ck_assert_int_eq(finf_session_run(session, &run, &diag), -ETIME);
	gate_open(&stream.gate);
	stream_end(&stream);
	ck_assert_int_eq(stream.gate.result, 0);
	finf_session_free(session);
}
END_TEST

/* ---- captured runs ------------------------------------------------------------ */

static char said[512];
static int lines;

static void hear(void *ctx, const char *line)
{
	(void)ctx;
	lines++;
	snprintf(said, sizeof(said), "%s", line);
}

static void late_setup(void)
{
	setup();
	fake_device.ops = &late_ops;
	lines = 0;
	finf_set_log(hear, NULL);
}

static void late_teardown(void)
{
	finf_set_log(NULL, NULL);
	teardown();
}

static int run_now(struct finf_session *session, struct finf_diag *diag)
{
	struct finf_run run = a_run();

	memset(y, 0, sizeof(y));
	diag->text[0] = 0;
	return finf_session_run(session, &run, diag);
}

START_TEST(resident_runs_are_captured_once)
{
	struct finf_session *session = new_session();
	struct finf_diag diag;

	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(run_now(session, &diag), 0);
		ck_assert_mem_eq(y, want, sizeof(y));
	}
	ck_assert_int_eq(fake.begins, 1);
	ck_assert_int_eq(fake.launches, 3);
	ck_assert_int_ge(fake.syncs, 3);
	finf_session_free(session);
}
END_TEST

START_TEST(run_with_copies_between_steps_is_not_captured)
{
	struct finf_session *session;
	struct finf_run run = two_run();

	make_two();
	session = new_session();
	ck_assert_int_eq(finf_session_run(session, &run, NULL), 0);
	ck_assert_mem_eq(y, want, sizeof(y));
	ck_assert(early_is_right());
	ck_assert_int_eq(fake.begins, 0);
	finf_session_free(session);
}
END_TEST

START_TEST(moved_weights_or_arena_are_captured_again)
{
	static float moved[N_ADDS][COUNT];
	static char other[sizeof(activations)] __attribute__((aligned(64)));
	struct finf_session *session = new_session();
	struct finf_diag diag;
	struct finf_run run;

	ck_assert_int_eq(run_now(session, &diag), 0);
	memcpy(moved, extent, sizeof(extent));
	memset(extent, 0xff, sizeof(extent));
	for (int i = 0; i < 4; i++) { /* weights move, and stay; the arena moves, and stays */
		run = a_run();
		run.weights = moved;
		run.arena = i < 2 ? activations : other;
		memset(y, 0, sizeof(y));
		ck_assert_int_eq(finf_session_run(session, &run, &diag), 0);
		ck_assert_mem_eq(y, want, sizeof(y));
	}
	ck_assert_int_eq(fake.begins, 3);
	ck_assert_int_eq(fake.live_captured, 1); /* brought up to date, not made again */
	finf_session_free(session);
}
END_TEST

START_TEST(reset_device_is_captured_again)
{
	struct finf_session *session = new_session();
	struct finf_diag diag;

	ck_assert_int_eq(run_now(session, &diag), 0);
	ck_assert_int_eq(finf_device_reset(&fake_device, NULL, &diag), 0);
	ck_assert_int_eq(run_now(session, &diag), 0);
	ck_assert_mem_eq(y, want, sizeof(y));
	ck_assert_int_eq(fake.begins, 2);
	ck_assert_int_eq(fake.live_captured, 1);
	finf_session_free(session);
}
END_TEST

/* Where a capture fails: at its begin, at a launch, at its end; and at a later one. */
static const struct {
	int begin_err, run_left, end_err;
	bool later;
} uncapturable[] = {
	{.begin_err = -EOPNOTSUPP, .run_left = INT32_MAX},
	{.run_left = 1},
	{.run_left = INT32_MAX, .end_err = -ENOMEM},
	{.run_left = INT32_MAX, .end_err = -ENOMEM, .later = true},
};

START_TEST(what_cannot_be_captured_is_launched_step_by_step)
{
	struct finf_session *session = new_session();
	struct finf_diag diag;

	if (uncapturable[_i].later) {
		ck_assert_int_eq(run_now(session, &diag), 0);
		fake.resets++;
	}
	fake.begin_err = uncapturable[_i].begin_err;
	fake.end_err = uncapturable[_i].end_err;
	fake.run_left = uncapturable[_i].run_left;
	if (fake.run_left == 1) {
		/* the launch that failed in the capture fails again, and is named */
		ck_assert_int_eq(run_now(session, &diag), -EREMOTEIO);
		ck_assert_ptr_nonnull(strstr(diag.text, "failed on the device"));
		ck_assert_int_eq(fake.given_up, 1);
		fake.run_left = INT32_MAX;
	}
	fake.begins = 0;
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(run_now(session, &diag), 0);
		ck_assert_mem_eq(y, want, sizeof(y));
	}
	ck_assert_int_le(fake.begins, 1); /* tried once, not at every run */
	ck_assert_int_eq(lines, 1);
	ck_assert_msg(strstr(said, "step by step"), "%s", said);
	ck_assert_int_eq(fake.live_captured, 0);
	finf_session_free(session);
}
END_TEST

START_TEST(faulted_device_is_no_reason_to_stop_capturing)
{
	struct finf_session *session = new_session();
	struct finf_diag diag;

	fake.begin_err = -EREMOTEIO;
	fake.faulted = true;
	ck_assert_int_eq(run_now(session, &diag), -EREMOTEIO);
	ck_assert_msg(strstr(diag.text, "no capture today"), "%s", diag.text);
	fake.begin_err = 0;
	fake.faulted = false;
	ck_assert_int_eq(run_now(session, &diag), 0);
	ck_assert_mem_eq(y, want, sizeof(y));
	ck_assert_int_eq(fake.launches, 1);
	finf_session_free(session);
}
END_TEST

START_TEST(late_faults_fail_the_run_they_belong_to)
{
	struct finf_session *session = new_session();
	struct finf_run run = a_run();
	struct finf_diag diag = {""};

	fake.late_fault = true;
	ck_assert_int_eq(run_now(session, &diag), -EREMOTEIO);
	ck_assert_msg(strstr(diag.text, "a kernel of this run"), "%s", diag.text);
	ck_assert_uint_eq(wanted.shape.rank, 0);
	ck_assert_int_eq(run_now(session, &diag), 0);

	/* with a profile each step is waited for: the node is known */
	fake.late_fault = true;
	steps_seen = 0;
	run.on_step = until_deadline;
	run.on_step_ctx = &run.deadline_ns; /* none: returns at once */
	ck_assert_int_eq(finf_session_run(session, &run, &diag), -EREMOTEIO);
	ck_assert_msg(strstr(diag.text, "'v1' failed"), "%s", diag.text);

	fake.launch_err = -EREMOTEIO;
	ck_assert_int_eq(run_now(session, &diag), -EREMOTEIO);
	ck_assert_msg(strstr(diag.text, "could not be launched"), "%s", diag.text);
	fake.launch_err = 0;
	ck_assert_int_eq(run_now(session, &diag), 0);
	ck_assert_mem_eq(y, want, sizeof(y));
	finf_session_free(session);
}
END_TEST

START_TEST(run_ends_finished_also_without_outputs)
{
	struct finf_session *session = new_session();
	struct finf_run run = a_run();
	struct finf_diag diag = {""};
	int before;

	wanted.data = NULL;
	ck_assert_int_eq(finf_session_run(session, &run, &diag), 0);
	ck_assert_int_ge(fake.syncs, 1);
	before = fake.syncs;
	run.deadline_ns = 1;
	ck_assert_int_eq(finf_session_run(session, &run, &diag), -ETIME);
	ck_assert_int_gt(fake.syncs, before);
	ck_assert_int_eq(fake.launches, 1);
	finf_session_free(session);
}
END_TEST

START_TEST(streaming_run_is_not_captured)
{
	struct finf_session *session = new_session();
	struct finf_diag diag = {""};
	struct stream stream;
	struct finf_run run;

	stream_start(&stream, FINF_NONE);
	gate_open(&stream.gate);
	run = a_streamed_run(&stream);
	run.on_step = NULL;
	ck_assert_int_eq(finf_session_run(session, &run, &diag), 0);
	ck_assert_mem_eq(y, want, sizeof(y));
	ck_assert_int_eq(fake.begins, 0);
	run.load = NULL; /* warm now */
	memset(y, 0, sizeof(y));
	ck_assert_int_eq(finf_session_run(session, &run, &diag), 0);
	ck_assert_mem_eq(y, want, sizeof(y));
	ck_assert_int_eq(fake.begins, 1);
	stream_end(&stream);
	finf_session_free(session);
}
END_TEST

static TCase *captured_case(void)
{
	TCase *tc = tcase_create("captured");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, late_setup, late_teardown);
	tcase_add_test(tc, resident_runs_are_captured_once);
	tcase_add_test(tc, run_with_copies_between_steps_is_not_captured);
	tcase_add_test(tc, moved_weights_or_arena_are_captured_again);
	tcase_add_test(tc, reset_device_is_captured_again);
	tcase_add_loop_test(tc, what_cannot_be_captured_is_launched_step_by_step, 0,
			    FINF_ARRAY_LEN(uncapturable));
	tcase_add_test(tc, faulted_device_is_no_reason_to_stop_capturing);
	tcase_add_test(tc, late_faults_fail_the_run_they_belong_to);
	tcase_add_test(tc, run_ends_finished_also_without_outputs);
	tcase_add_test(tc, streaming_run_is_not_captured);
	return tc;
}

Suite *test_suite(void)
{
	Suite *suite = suite_create("exec/session");
	TCase *tc = tcase_create("run");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, runs_and_fills_the_output);
	tcase_add_test(tc, weights_and_arena_may_move_between_runs);
	tcase_add_test(tc, output_that_is_not_wanted_is_left_out);
	tcase_add_test(tc, warm_runs_take_no_heap);
	tcase_add_test(tc, copies_between_steps);
	tcase_add_test(tc, run_that_fails_behind_an_output_tells_of_none);
	tcase_add_loop_test(tc, output_over_a_later_input_is_refused, 0,
			    FINF_ARRAY_LEN(overlaps));
	tcase_add_loop_test(tc, wrong_tensors_are_named, 0, FINF_ARRAY_LEN(refused));
	tcase_add_loop_test(tc, kernel_that_cannot_be_made_undoes_the_session, 0, N_ADDS + 1);
	tcase_add_loop_test(tc, plan_that_lies_about_the_device, 0, FINF_ARRAY_LEN(hostile));
	tcase_add_test(tc, join_has_no_kernel);
	tcase_add_loop_test(tc, join_of_what_lies_elsewhere, 0,
			    FINF_ARRAY_LEN(not_joined));
	tcase_add_test(tc, device_fault_names_the_node);
	tcase_add_test(tc, deadline_is_checked_between_steps);
	tcase_add_test(tc, first_node_runs_before_the_last_segment_is_there);
	tcase_add_test(tc, load_that_fails_midway_fails_the_run);
	tcase_add_test(tc, deadline_passes_while_weights_are_loading);
	suite_add_tcase(suite, tc);
	suite_add_tcase(suite, captured_case());
	return suite;
}
