/* SPDX-License-Identifier: MIT */
/*
 * Small graphs for the tests of passes, and the check every one of them goes
 * through: the interpreter must say the same before and after.
 */
#ifndef FI_TESTS_FUSE_NET_H
#define FI_TESTS_FUSE_NET_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuse/fuse.h"
#include "tests/support/interp.h"
#include "tests/support/support.h"

#define NET_PORTS 8
#define OPSET	  13

#define SHAPE(...)                                                                                 \
	((struct finf_shape){sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), {__VA_ARGS__}})
#define INS(...)                                                                                   \
	(const uint32_t[]){__VA_ARGS__}, sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t)

static inline struct finf_graph *net_new(void)
{
	struct finf_graph *graph;

	ck_assert_int_eq(finf_graph_new("net", &graph), 0);
	return graph;
}

static inline uint32_t net_input(struct finf_graph *graph, const char *name,
				 struct finf_shape shape)
{
	uint32_t value;

	ck_assert_int_eq(finf_graph_value(graph, name, FINF_F32, &shape, &value), 0);
	ck_assert_int_eq(finf_graph_input(graph, value), 0);
	return value;
}

static inline uint32_t net_const(struct finf_graph *graph, const char *name, enum finf_dtype dtype,
				 struct finf_shape shape, const void *data)
{
	uint32_t value;
	size_t bytes;

	ck_assert_int_eq(finf_tensor_bytes(dtype, &shape, &bytes), 0);
	ck_assert_int_eq(finf_graph_value(graph, name, dtype, &shape, &value), 0);
	ck_assert_int_eq(finf_graph_set_const(graph, value, data, bytes, true), 0);
	return value;
}

/* Random numbers in [low, low + 2): variances need to be positive. */
static inline uint32_t net_random(struct finf_graph *graph, const char *name,
				  struct finf_shape shape, float low)
{
	uint32_t value;
	size_t n;
	float *x;

	ck_assert_int_eq(finf_shape_count(&shape, &n), 0);
	x = malloc(n * sizeof(*x));
	ck_assert_ptr_nonnull(x);
	test_fill_f32(x, n, finf_hash64(name, strlen(name)));
	for (size_t i = 0; i < n; i++)
		x[i] += low + 1;
	value = net_const(graph, name, FINF_F32, shape, x);
	free(x);
	return value;
}

static inline uint32_t net_node_with(struct finf_graph *graph, const char *op, const char *out,
				     const struct finf_attr *attrs, uint32_t n_attrs,
				     uint32_t opset, const uint32_t *in, uint32_t n_in)
{
	uint32_t value;

	ck_assert_int_eq(finf_graph_value(graph, out, FINF_DTYPE_NONE, NULL, &value), 0);
	ck_assert_int_eq(finf_graph_node(graph, finf_op_find(op), opset, out, in, n_in, &value, 1,
					 attrs, n_attrs, NULL),
			 0);
	return value;
}

static inline uint32_t net_node(struct finf_graph *graph, const char *op, const char *out,
				const uint32_t *in, uint32_t n_in)
{
	return net_node_with(graph, op, out, NULL, 0, OPSET, in, n_in);
}

/* 3x3 with padding from @channels to @channels; weights are named after it. */
static inline uint32_t net_conv(struct finf_graph *graph, const char *name, uint32_t in,
				int64_t channels, bool with_bias)
{
	const struct finf_attr pads = {
		.name = "pads", .type = FINF_ATTR_INTS, .n = 4, .ints = (int64_t[]){1, 1, 1, 1}};
	char text[64];
	uint32_t ids[3] = {in, FINF_NONE, FINF_NONE};

	snprintf(text, sizeof(text), "%s.w", name);
	ids[1] = net_random(graph, text, SHAPE(channels, channels, 3, 3), -1);
	snprintf(text, sizeof(text), "%s.b", name);
	if (with_bias)
		ids[2] = net_random(graph, text, SHAPE(channels), -1);
	return net_node_with(graph, "Conv", name, &pads, 1, OPSET, ids, with_bias ? 3 : 2);
}

static inline uint32_t net_bn(struct finf_graph *graph, const char *name, uint32_t in,
			      int64_t channels)
{
	static const char *const parts[] = {"scale", "bias", "mean", "var"};
	uint32_t ids[5] = {in};
	char text[64];

	for (int i = 0; i < 4; i++) {
		snprintf(text, sizeof(text), "%s.%s", name, parts[i]);
		ids[i + 1] = net_random(graph, text, SHAPE(channels), i == 3 ? 0.125f : -1);
	}
	return net_node(graph, "BatchNormalization", name, ids, 5);
}

static inline void net_output(struct finf_graph *graph, uint32_t value)
{
	ck_assert_int_eq(finf_graph_output(graph, value), 0);
}

static inline uint32_t net_value(const struct finf_graph *graph, const char *name)
{
	uint32_t value;

	ck_assert_msg(finf_graph_find(graph, name, &value), "no value %s", name);
	return value;
}

/* The node that makes value @name. */
static inline const struct finf_node *net_maker(const struct finf_graph *graph, const char *name)
{
	uint32_t producer = graph->values[net_value(graph, name)].producer;

	ck_assert_msg(producer != FINF_NONE, "nobody makes %s", name);
	return &graph->nodes[producer];
}

static inline uint32_t net_count(const struct finf_graph *graph, const char *op)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < graph->n_nodes; i++)
		n += !strcmp(graph->nodes[i].op->name, op);
	return n;
}

static inline void net_ready(struct finf_graph *graph)
{
	struct finf_diag diag = {""};

	ck_assert_msg(!finf_graph_sort(graph, &diag), "%s", diag.text);
	ck_assert_msg(!finf_graph_verify(graph, &diag), "%s", diag.text);
	ck_assert_msg(!finf_graph_infer(graph, &diag), "%s", diag.text);
}

static inline void net_run(const struct finf_graph *graph, struct finf_tensor *outputs)
{
	struct finf_tensor inputs[NET_PORTS];

	ck_assert_uint_le(graph->n_inputs, NET_PORTS);
	ck_assert_uint_le(graph->n_outputs, NET_PORTS);
	for (uint32_t i = 0; i < graph->n_inputs; i++) {
		const struct finf_value *v = &graph->values[graph->inputs[i]];
		size_t bytes;

		ck_assert_int_eq(finf_tensor_bytes(v->dtype, &v->shape, &bytes), 0);
		inputs[i] = (struct finf_tensor){.dtype = v->dtype, .shape = v->shape};
		inputs[i].data = malloc(bytes);
		ck_assert_ptr_nonnull(inputs[i].data);
		test_fill_f32(inputs[i].data, bytes / sizeof(float), i + 1);
	}
	ck_assert_int_eq(interp_run(graph, inputs, outputs), 0);
	interp_free(inputs, graph->n_inputs);
}

static inline void net_same(const struct finf_tensor *before, const struct finf_tensor *after,
			    uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		size_t count;

		ck_assert_int_eq(before[i].dtype, after[i].dtype);
		ck_assert(finf_shape_equal(&before[i].shape, &after[i].shape));
		if (before[i].dtype != FINF_F32) {
			ck_assert_int_eq(memcmp(before[i].data, after[i].data, before[i].bytes), 0);
			continue;
		}
		ck_assert_int_eq(finf_shape_count(&before[i].shape, &count), 0);
		ck_assert_double_lt(relative_l2(after[i].data, before[i].data, count), 1e-5);
	}
}

/* Names of the outputs before, which have to be those after. */
struct net_names {
	char name[NET_PORTS][64];
};

static inline void net_names(const struct finf_graph *graph, struct net_names *names)
{
	for (uint32_t i = 0; i < graph->n_outputs; i++)
		snprintf(names->name[i], sizeof(names->name[i]), "%s",
			 graph->values[graph->outputs[i]].name);
}

static inline void net_names_kept(const struct finf_graph *graph, const struct net_names *names)
{
	for (uint32_t i = 0; i < graph->n_outputs; i++)
		ck_assert_str_eq(graph->values[graph->outputs[i]].name, names->name[i]);
}

/*
 * Run one pass: it must report @want changes, drop as many nodes, leave the
 * outputs as they were, and find nothing the second time.
 */
static inline void net_pass(struct finf_graph *graph, const struct finf_fuse_pass *pass,
			    uint32_t want)
{
	struct finf_tensor before[NET_PORTS], after[NET_PORTS];
	struct finf_diag diag = {""};
	struct net_names names;
	uint32_t changes = 77, nodes;

	net_ready(graph);
	net_names(graph, &names);
	nodes = graph->n_nodes;
	net_run(graph, before);
	ck_assert_msg(!finf_fuse_pass_run(pass, graph, &changes, &diag), "%s", diag.text);
	ck_assert_uint_eq(changes, want);
	ck_assert_uint_eq(graph->n_nodes, nodes - want);
	net_ready(graph);
	net_names_kept(graph, &names);
	net_run(graph, after);
	net_same(before, after, graph->n_outputs);
	ck_assert_int_eq(finf_fuse_pass_run(pass, graph, &changes, &diag), 0);
	ck_assert_uint_eq(changes, 0);
	interp_free(before, graph->n_outputs);
	interp_free(after, graph->n_outputs);
}

static inline const struct finf_fuse_pass *net_pass_named(const char *name)
{
	const struct finf_fuse_pass *pass;

	for (uint32_t i = 0; (pass = finf_fuse_pass_at(i)); i++)
		if (!strcmp(pass->name, name))
			return pass;
	ck_abort_msg("no pass %s", name);
	return NULL;
}

/* One test per row: a builder, and how often the pass must fire on its graph. */
struct net_row {
	const char *what;
	void (*build)(struct finf_graph *graph);
	uint32_t changes;
	void (*check)(const struct finf_graph *graph); /* what is left; may be NULL */
};

static inline void net_row_run(const struct net_row *row, const char *pass)
{
	struct finf_graph *graph = net_new();

	row->build(graph);
	net_pass(graph, net_pass_named(pass), row->changes);
	if (row->check)
		row->check(graph);
	finf_graph_free(graph);
}

#define NET_ROWS_TEST(pass)                                                                        \
	START_TEST(test_row)                                                                       \
	{                                                                                          \
		net_row_run(&rows[_i], pass);                                                      \
	}                                                                                          \
	END_TEST

static inline TCase *net_tcase(const char *name)
{
	TCase *tcase = tcase_create(name);

	tcase_set_timeout(tcase, 120);
	return tcase;
}

#endif
