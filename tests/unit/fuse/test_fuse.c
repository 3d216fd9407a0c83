/* SPDX-License-Identifier: MIT */
/* fuse: all passes together, on random networks. */
#include "tests/unit/fuse/net.h"

#define LAYERS	   12
#define MAX_VALUES (LAYERS + 1)

/* Every layer takes and gives this. */
#define X SHAPE(2, 3, 4, 4)

struct random_net {
	struct finf_graph *graph;
	uint64_t seed;
	uint32_t values[MAX_VALUES], n;
	uint32_t shared_weight;
};

static uint32_t pick(struct random_net *net)
{
	/* The newest more often than not, so that chains form. */
	if (test_random(&net->seed) % 4)
		return net->values[net->n - 1];
	return net->values[test_random(&net->seed) % net->n];
}

static uint32_t add_layer(struct random_net *net, const char *name)
{
	static const char *const unary[] = {"Relu", "LeakyRelu", "Sigmoid", "Identity", "Dropout"};
	static const char *const binary[] = {"Add", "Sub", "Mul"};
	const struct finf_attr pads = {
		.name = "pads", .type = FINF_ATTR_INTS, .n = 4, .ints = (int64_t[]){1, 1, 1, 1}};
	struct finf_graph *g = net->graph;
	uint32_t in = pick(net);
	char text[32];

	switch (test_random(&net->seed) % 8) {
	case 0:
		return net_conv(g, name, in, 3, test_random(&net->seed) % 2);
	case 1:
		return net_node_with(g, "Conv", name, &pads, 1, OPSET, INS(in, net->shared_weight));
	case 2:
	case 3:
		return net_bn(g, name, in, 3);
	case 4:
		return net_node(g, binary[test_random(&net->seed) % 3], name, INS(in, pick(net)));
	case 5:
		snprintf(text, sizeof(text), "%s.k", name);
		in = net_random(g, text, X, -1);
		snprintf(text, sizeof(text), "%s.sum", name);
		in = net_node(g, "Add", text, INS(in, in));
		return net_node(g, "Sub", name, INS(pick(net), in));
	default:
		return net_node(g, unary[test_random(&net->seed) % 5], name, INS(in));
	}
}

static struct finf_graph *random_graph(uint64_t seed)
{
	struct random_net net = {.graph = net_new(), .seed = seed};
	char name[16];

	net.values[net.n++] = net_input(net.graph, "x", X);
	net.shared_weight = net_random(net.graph, "shared", SHAPE(3, 3, 3, 3), -1);
	for (int i = 0; i < LAYERS; i++) {
		snprintf(name, sizeof(name), "v%d", i);
		net.values[net.n] = add_layer(&net, name);
		net.n++;
	}
	net_output(net.graph, net.values[LAYERS]);
	if (test_random(&net.seed) % 2)
		net_output(net.graph, net.values[1 + test_random(&net.seed) % (LAYERS - 1)]);
	return net.graph;
}

START_TEST(test_random_networks)
{
	struct finf_graph *graph = random_graph((uint64_t)_i);
	struct finf_tensor before[NET_PORTS], after[NET_PORTS];
	struct finf_fuse_report report, again;
	struct finf_diag diag = {""};
	struct net_names names;
	uint32_t changes = 0;

	net_ready(graph);
	net_names(graph, &names);
	net_run(graph, before);
	ck_assert_msg(!finf_fuse_run(graph, &report, &diag), "%s", diag.text);
	for (uint32_t i = 0; finf_fuse_pass_at(i); i++)
		changes += report.changes[i];
	ck_assert_uint_eq(report.nodes_before - report.nodes_after, changes);
	ck_assert_uint_eq(report.nodes_after, graph->n_nodes);
	net_names_kept(graph, &names);
	net_run(graph, after);
	net_same(before, after, graph->n_outputs);

	ck_assert_int_eq(finf_fuse_run(graph, &again, &diag), 0);
	for (uint32_t i = 0; finf_fuse_pass_at(i); i++)
		ck_assert_uint_eq(again.changes[i], 0);
	ck_assert_uint_eq(again.nodes_after, report.nodes_after);
	interp_free(before, graph->n_outputs);
	interp_free(after, graph->n_outputs);
	finf_graph_free(graph);
}
END_TEST

/* Each pass makes room for the next: Conv, Identity, BN, Dropout, Relu is one node in the end. */
START_TEST(test_passes_together)
{
	struct finf_graph *g = net_new();
	struct finf_fuse_report report;
	struct finf_diag diag;
	uint32_t v = net_conv(g, "conv", net_input(g, "x", X), 3, false);

	v = net_node(g, "Identity", "i", INS(v));
	v = net_bn(g, "bn", v, 3);
	v = net_node(g, "Dropout", "d", INS(v));
	net_node(g, "Sigmoid", "unused", INS(v));
	net_output(g, net_node(g, "Relu", "y", INS(v)));
	net_ready(g);
	ck_assert_int_eq(finf_fuse_run(g, &report, &diag), 0);
	ck_assert_uint_eq(report.nodes_before, 6);
	ck_assert_uint_eq(report.nodes_after, 1);
	ck_assert_str_eq(g->nodes[0].op->name, "Conv");
	ck_assert_int_eq(g->nodes[0].act, FINF_ACT_RELU);
	finf_graph_free(g);
}
END_TEST

START_TEST(test_open_batch)
{
	struct finf_graph *g = net_new(), *bound;
	struct finf_diag diag = {""};
	struct finf_shape shape = X;

	shape.dim[0] = FINF_DIM_ANY;
	net_output(g, net_node(g, "Relu", "y",
			       INS(net_bn(g, "bn",
					  net_conv(g, "conv", net_input(g, "x", shape), 3, true),
					  3))));
	ck_assert_msg(!finf_fuse_run(g, NULL, &diag), "%s", diag.text);
	ck_assert_uint_eq(g->n_nodes, 1);
	ck_assert_int_eq(g->values[g->outputs[0]].shape.dim[0], FINF_DIM_ANY);
	ck_assert_int_eq(g->values[g->outputs[0]].shape.dim[1], 3);
	shape.dim[0] = 2;
	ck_assert_msg(!finf_graph_bind(g, &shape, &bound, &diag), "%s", diag.text);
	ck_assert_int_eq(bound->values[bound->outputs[0]].shape.dim[0], 2);
	finf_graph_free(bound);
	finf_graph_free(g);
}
END_TEST

START_TEST(test_dead)
{
	struct finf_graph *g = net_new();
	uint32_t x = net_input(g, "x", X), y = net_node(g, "Relu", "y", INS(x));

	net_input(g, "unread", X);
	net_output(g, y);
	net_node(g, "Sigmoid", "dead2", INS(net_node(g, "Sigmoid", "dead1", INS(y))));
	net_pass(g, net_pass_named("dead"), 2);
	/* The interface stays as it was. */
	ck_assert_uint_eq(g->n_inputs, 2);
	finf_graph_free(g);
}
END_TEST

/* An error says which pass found it. */
START_TEST(test_error)
{
	struct finf_graph *g = net_new();
	struct finf_diag diag = {""};
	int64_t *zeros = calloc(20000, sizeof(*zeros));
	uint32_t a;

	ck_assert_ptr_nonnull(zeros);
	a = net_const(g, "zeros", FINF_I64, SHAPE(20000), zeros);
	net_output(g, net_node(g, "Identity", "y", INS(net_node(g, "Div", "ratio", INS(a, a)))));
	ck_assert_int_eq(finf_fuse_run(g, NULL, &diag), -EINVAL);
	ck_assert_msg(strstr(diag.text, "pass constants") && strstr(diag.text, "ratio"), "%s",
		      diag.text);
	finf_graph_free(g);
	free(zeros);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("fuse");
	TCase *tcase = net_tcase("fuse");

	tcase_add_loop_test(tcase, test_random_networks, 0, 200);
	tcase_add_test(tcase, test_passes_together);
	tcase_add_test(tcase, test_open_batch);
	tcase_add_test(tcase, test_dead);
	tcase_add_test(tcase, test_error);
	suite_add_tcase(suite, tcase);
	return suite;
}
