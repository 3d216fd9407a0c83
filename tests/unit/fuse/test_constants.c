/* SPDX-License-Identifier: MIT */
/* fuse: constants are folded. */
#include "tests/unit/fuse/net.h"

#define X SHAPE(2, 3)

static void chain(struct finf_graph *g)
{
	uint32_t a = net_random(g, "a", X, -1), b = net_random(g, "b", SHAPE(3), -1);
	uint32_t sum = net_node(g, "Add", "sum", INS(a, b));

	net_output(g, net_node(g, "Mul", "y",
			       INS(net_input(g, "x", X), net_node(g, "Relu", "r", INS(sum)))));
}

static void chain_checked(const struct finf_graph *g)
{
	ck_assert(g->values[net_value(g, "r")].is_const);
	ck_assert_uint_eq(g->n_values, 3);
}

/* Beyond what inference computes by itself. */
static void large(struct finf_graph *g)
{
	uint32_t x = net_input(g, "x", SHAPE(300, 100)),
		 w = net_random(g, "w", SHAPE(300, 100), -1);
	uint32_t scale = net_random(g, "scale", SHAPE(300, 1), -1);

	net_output(g, net_node(g, "Sub", "y", INS(x, net_node(g, "Mul", "scaled", INS(w, scale)))));
}

static void large_with_act(struct finf_graph *g)
{
	uint32_t x = net_input(g, "x", SHAPE(300, 100)),
		 w = net_random(g, "w", SHAPE(300, 100), -1);
	uint32_t sum = net_node(g, "Add", "sum", INS(w, w));

	g->nodes[g->values[sum].producer].act = FINF_ACT_RELU;
	net_output(g, net_node(g, "Sub", "y", INS(x, sum)));
}

static void left_out_input(struct finf_graph *g)
{
	uint32_t x = net_input(g, "x", SHAPE(300, 100)),
		 w = net_random(g, "w", SHAPE(300, 100), -1);
	uint32_t high = net_const(g, "high", FINF_F32, (struct finf_shape){0}, (float[]){0.25f});

	net_output(g, net_node(g, "Sub", "y",
			       INS(x, net_node(g, "Clip", "c", INS(w, FINF_NONE, high)))));
}

static void shape_of_input(struct finf_graph *g)
{
	uint32_t x = net_input(g, "x", X), shape = net_node(g, "Shape", "s", INS(x));

	net_output(g, net_node(g, "Reshape", "y", INS(net_node(g, "Relu", "r", INS(x)), shape)));
}

static void output_stays(struct finf_graph *g)
{
	uint32_t a = net_random(g, "a", X, -1);

	net_output(g, net_node(g, "Add", "y", INS(a, a)));
	net_output(g, net_node(g, "Relu", "z", INS(net_input(g, "x", X))));
}

static void depends_on_input(struct finf_graph *g)
{
	net_output(g,
		   net_node(g, "Add", "y", INS(net_input(g, "x", X), net_random(g, "k", X, -1))));
}

/* 600 + 600 numbers would become 360,000: more to load than to compute. */
static void grows(struct finf_graph *g)
{
	uint32_t x = net_input(g, "x", SHAPE(600, 600));
	uint32_t a = net_random(g, "a", SHAPE(600, 1), -1),
		 b = net_random(g, "b", SHAPE(1, 600), -1);

	net_output(g, net_node(g, "Sub", "y", INS(x, net_node(g, "Mul", "outer", INS(a, b)))));
}

static const struct net_row rows[] = {
	{"small ones, one after the other", chain, 2, chain_checked},
	{"a large one", large, 1, NULL},
	{"a large one with an activation", large_with_act, 1, NULL},
	{"a large one, an input left out", left_out_input, 1, NULL},
	{"the shape of an input", shape_of_input, 1, NULL},
	{"not: an output stays computed", output_stays, 0, NULL},
	{"not: it depends on an input", depends_on_input, 0, NULL},
	{"not: the result is much larger than its inputs", grows, 0, NULL},
};

NET_ROWS_TEST("constants")

/* What the kernel refuses is the model's fault, and is said with the node's name. */
START_TEST(test_refused)
{
	struct finf_graph *g = net_new();
	struct finf_diag diag = {""};
	int64_t *zeros = calloc(20000, sizeof(*zeros));
	uint32_t changes = 77, a;

	ck_assert_ptr_nonnull(zeros);
	net_input(g, "x", X);
	a = net_const(g, "zeros", FINF_I64, SHAPE(20000), zeros);
	net_output(g, net_node(g, "Identity", "y", INS(net_node(g, "Div", "ratio", INS(a, a)))));
	net_ready(g);
	ck_assert_int_eq(finf_fuse_pass_run(net_pass_named("constants"), g, &changes, &diag), -EINVAL);
	ck_assert_uint_eq(changes, 77);
	ck_assert_msg(strstr(diag.text, "ratio") && strstr(diag.text, "Div"), "%s", diag.text);
	finf_graph_free(g);
	free(zeros);
}
END_TEST

START_TEST(test_bytes_elsewhere)
{
	struct finf_graph *g = net_new();
	struct finf_diag diag;
	uint32_t changes = 77;

	large(g);
	net_ready(g);
	g->values[net_value(g, "w")].data = NULL;
	ck_assert_int_eq(finf_fuse_pass_run(net_pass_named("constants"), g, &changes, &diag), 0);
	ck_assert_uint_eq(changes, 0);
	ck_assert_uint_eq(g->n_nodes, 2);
	finf_graph_free(g);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("fuse/constants");
	TCase *tcase = net_tcase("constants");

	tcase_add_loop_test(tcase, test_row, 0, FINF_ARRAY_LEN(rows));
	tcase_add_test(tcase, test_refused);
	tcase_add_test(tcase, test_bytes_elsewhere);
	suite_add_tcase(suite, tcase);
	return suite;
}
