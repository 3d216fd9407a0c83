/* SPDX-License-Identifier: MIT */
/*
 * exec: a chain of additions planned by hand, and a device under it that counts
 * and fails on command. After late_setup() it captures runs, and its faults show late.
 *
 *   x -> [reorder] -> +w0 -> (alias) -> +w1 -> +w2 -> +w3 -> y     one 4 KiB segment per w
 */
#ifndef FI_TESTS_ADDS_H
#define FI_TESTS_ADDS_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static int fake_capture_begin(struct finf_device *dev, uint32_t branches, uint32_t marks,
			      struct finf_diag *diag)
{
	(void)dev;
	ck_assert_uint_eq(branches, 1);
	ck_assert_uint_eq(marks, 0);
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

static int fake_copy(struct finf_device *dev, void *to, const void *from, uint64_t bytes)
{
	(void)dev;
	memcpy(to, from, bytes);
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
	.read = fake_copy,
	.write = fake_copy,
	.move = fake_copy,
	.layout_bytes = fake_layout_bytes,
	.kernel_new = fake_kernel_new,
	.reorder_new = fake_reorder_new,
	.kernel_run = fake_run,
	.kernel_free = fake_kernel_free,
};

static struct finf_device fake_device = {&fake_ops};

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

static inline void setup(void)
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

static inline void teardown(void)
{
	finf_graph_free(graph);
	ck_assert_int_eq(fake.live_kernels, 0);
	ck_assert_int_eq(fake.live_captured, 0);
	ck_assert_ptr_null(fake.noting);
	fake_device.ops = &fake_ops;
}

static inline struct finf_session *new_session(void)
{
	struct finf_session *session = NULL;
	struct finf_diag diag = {""};
	int err = finf_session_new(&fake_device, graph, &plan, &session, &diag);

	ck_assert_msg(!err, "%d %s", err, diag.text);
	return session;
}

static struct finf_tensor given, wanted;

static inline struct finf_run a_run(void)
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

/* ---- copies between steps ------------------------------------------------------ */

#define TAKEN 2u /* behind this step an output goes whose bytes a later one writes over */
#define COMES 4u /* before this one an input comes */

static float late_x[COUNT], early_y[COUNT];
static struct finf_tensor two_given[2], two_wanted[2];

static inline void make_two(void)
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

static inline struct finf_run two_run(void)
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

static inline bool early_is_right(void)
{
	for (uint32_t i = 0; i < COUNT; i++)
		if (early_y[i] != x[i] + extent[0][i])
			return false;
	return true;
}

/* As setup(), on the same device, capturing and asynchronous. */
static inline void late_setup(void)
{
	static struct finf_device_ops late_ops;

	late_ops = fake_ops;
	late_ops.name = "late";
	late_ops.kernel_run = fake_note;
	late_ops.sync = fake_sync;
	late_ops.capture_begin = fake_capture_begin;
	late_ops.capture_end = fake_capture_end;
	late_ops.captured_run = fake_captured_run;
	late_ops.captured_free = fake_captured_free;
	late_ops.faulted = fake_faulted;
	late_ops.reset = fake_reset;
	setup();
	fake_device.ops = &late_ops;
}

#endif
