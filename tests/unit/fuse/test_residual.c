/* SPDX-License-Identifier: MIT */
/* fuse: a residual becomes part of the convolution before it. */
#include "tests/unit/fuse/net.h"

#define IMAGE SHAPE(2, 3, 5, 4)

static const struct finf_node *is_fused(const struct finf_graph *g, const char *conv,
					const char *addend)
{
	const struct finf_node *node = net_maker(g, "y");
	char name[32];

	snprintf(name, sizeof(name), "%s.w", conv);
	ck_assert_str_eq(node->op->name, "FusedConv");
	ck_assert_uint_eq(node->opset, FINF_OPSET_OWN);
	ck_assert_uint_eq(node->n_in, 4);
	ck_assert_uint_eq(node->in[1], net_value(g, name));
	ck_assert_uint_eq(node->in[3], net_value(g, addend));
	return node;
}

static void block(struct finf_graph *g)
{
	uint32_t x = net_input(g, "x", IMAGE), c = net_conv(g, "c", x, 3, true);
	uint32_t y = net_node(g, "Add", "y", INS(c, x));

	g->nodes[g->values[y].producer].act = FINF_ACT_RELU;
	net_output(g, y);
}

static void keeps_act(const struct finf_graph *g)
{
	ck_assert_int_eq(is_fused(g, "c", "x")->act, FINF_ACT_RELU);
	ck_assert_uint_eq(is_fused(g, "c", "x")->in[2], net_value(g, "c.b"));
}

static void addend_first(struct finf_graph *g)
{
	uint32_t x = net_input(g, "x", IMAGE);

	net_output(g, net_node(g, "Add", "y", INS(x, net_conv(g, "c", x, 3, false))));
}

static void has_no_bias(const struct finf_graph *g)
{
	ck_assert_uint_eq(is_fused(g, "c", "x")->in[2], FINF_NONE);
}

static void sum(struct finf_graph *g)
{
	uint32_t x = net_input(g, "x", IMAGE);

	net_output(g, net_node(g, "Sum", "y", INS(net_conv(g, "c", x, 3, true), x)));
}

/* The addend is made behind the convolution. */
static void addend_later(struct finf_graph *g)
{
	uint32_t x = net_input(g, "x", IMAGE), c = net_conv(g, "c", x, 3, true);

	net_output(g, net_node(g, "Add", "y", INS(c, net_node(g, "Relu", "z", INS(x)))));
}

static void is_later(const struct finf_graph *g)
{
	is_fused(g, "c", "z");
}

/* Both are convolutions: the later one takes the other in. */
static void two(struct finf_graph *g)
{
	uint32_t x = net_input(g, "x", IMAGE), c = net_conv(g, "c", x, 3, true);

	net_output(g, net_node(g, "Add", "y", INS(c, net_conv(g, "d", x, 3, true))));
}

static void is_second(const struct finf_graph *g)
{
	is_fused(g, "d", "c");
}

static void two_reversed(struct finf_graph *g)
{
	uint32_t x = net_input(g, "x", IMAGE), c = net_conv(g, "c", x, 3, true);

	net_output(g, net_node(g, "Add", "y", INS(net_conv(g, "d", x, 3, true), c)));
}

static void two_readers(struct finf_graph *g)
{
	uint32_t x = net_input(g, "x", IMAGE), c = net_conv(g, "c", x, 3, true);

	net_output(g, net_node(g, "Add", "y", INS(c, x)));
	net_output(g, net_node(g, "Relu", "z", INS(c)));
}

static void activation_between(struct finf_graph *g)
{
	uint32_t x = net_input(g, "x", IMAGE), c = net_conv(g, "c", x, 3, true);

	g->nodes[g->values[c].producer].act = FINF_ACT_RELU;
	net_output(g, net_node(g, "Add", "y", INS(c, x)));
}

static void broadcasts(struct finf_graph *g)
{
	uint32_t c = net_conv(g, "c", net_input(g, "x", IMAGE), 3, true);

	net_output(g, net_node(g, "Add", "y", INS(c, net_input(g, "z", SHAPE(2, 3, 1, 1)))));
}

static void is_broadcast(struct finf_graph *g)
{
	uint32_t c = net_conv(g, "c", net_input(g, "x", SHAPE(1, 3, 5, 4)), 3, true);

	net_output(g, net_node(g, "Add", "y", INS(c, net_input(g, "z", IMAGE))));
}

static void constant(struct finf_graph *g)
{
	uint32_t c = net_conv(g, "c", net_input(g, "x", IMAGE), 3, true);

	net_output(g, net_node(g, "Add", "y", INS(c, net_random(g, "z", IMAGE, -1))));
}

static void to_itself(struct finf_graph *g)
{
	uint32_t c = net_conv(g, "c", net_input(g, "x", IMAGE), 3, true);

	net_output(g, net_node(g, "Add", "y", INS(c, c)));
}

static void difference(struct finf_graph *g)
{
	uint32_t x = net_input(g, "x", IMAGE);

	net_output(g, net_node(g, "Sub", "y", INS(net_conv(g, "c", x, 3, true), x)));
}

static void sum_of_three(struct finf_graph *g)
{
	uint32_t x = net_input(g, "x", IMAGE);

	net_output(g, net_node(g, "Sum", "y", INS(net_conv(g, "c", x, 3, true), x, x)));
}

/* As the passes before leave a linear layer. */
static uint32_t linear(struct finf_graph *g, struct finf_shape weight, struct finf_shape bias)
{
	return net_node_with(g, "FusedMatMul", "l", NULL, 0, FINF_OPSET_OWN,
			     INS(net_input(g, "x", SHAPE(2, 3, 4)), net_random(g, "l.w", weight, -1),
				 net_random(g, "b", bias, -1)));
}

static void linear_layer(struct finf_graph *g)
{
	net_output(g, net_node(g, "Add", "y",
			       INS(net_input(g, "z", SHAPE(2, 3, 5)),
				   linear(g, SHAPE(4, 5), SHAPE(5)))));
}

static void is_linear(const struct finf_graph *g)
{
	const struct finf_node *node = net_maker(g, "y");

	ck_assert_str_eq(node->op->name, "FusedMatMul");
	ck_assert_uint_eq(node->n_in, 4);
	ck_assert_uint_eq(node->in[2], net_value(g, "b"));
	ck_assert_uint_eq(node->in[3], net_value(g, "z"));
}

static void column(struct finf_graph *g)
{
	uint32_t l = linear(g, SHAPE(4, 5), SHAPE(3, 1));

	net_output(g, net_node(g, "Add", "y", INS(l, net_input(g, "z", SHAPE(2, 3, 5)))));
}

static void stack(struct finf_graph *g)
{
	uint32_t l = linear(g, SHAPE(2, 4, 5), SHAPE(5));

	net_output(g, net_node(g, "Add", "y", INS(l, net_input(g, "z", SHAPE(2, 3, 5)))));
}

static const struct net_row rows[] = {
	{"a block", block, 1, keeps_act},
	{"the addend first", addend_first, 1, has_no_bias},
	{"a Sum", sum, 1, NULL},
	{"the addend is made later", addend_later, 1, is_later},
	{"two convolutions", two, 1, is_second},
	{"two convolutions, reversed", two_reversed, 1, is_second},
	{"a linear layer", linear_layer, 1, is_linear},
	{"not: a product and a column", column, 0, NULL},
	{"not: a matrix for each", stack, 0, NULL},
	{"not: two readers", two_readers, 0, NULL},
	{"not: an activation between", activation_between, 0, NULL},
	{"not: the addend broadcasts", broadcasts, 0, NULL},
	{"not: the convolution broadcasts", is_broadcast, 0, NULL},
	{"not: a constant", constant, 0, NULL},
	{"not: to itself", to_itself, 0, NULL},
	{"not: a difference", difference, 0, NULL},
	{"not: a sum of three", sum_of_three, 0, NULL},
};

NET_ROWS_TEST("residual")

/* ---- extents that nobody knows ----------------------------------------------------------- */

static void fires(struct finf_graph *g, uint32_t y, uint32_t want)
{
	struct finf_diag diag;
	uint32_t changes = 77;

	net_output(g, y);
	net_ready(g);
	ck_assert_int_eq(finf_fuse_pass_run(net_pass_named("residual"), g, &changes, &diag), 0);
	ck_assert_uint_eq(changes, want);
	ck_assert_msg(!finf_graph_infer(g, &diag), "%s", diag.text);
	finf_graph_free(g);
}

/* As many images as the request has, on both sides. */
START_TEST(test_images_in_common)
{
	struct finf_graph *g = net_new();
	uint32_t x = net_input(g, "x", SHAPE(FINF_DIM_ANY, 3, 5, 4));
	uint32_t a = net_node(g, "Relu", "a", INS(net_conv(g, "c", x, 3, true)));
	uint32_t gate = net_node(g, "GlobalAveragePool", "p", INS(a));
	uint32_t gated = net_node(g, "Mul", "m", INS(a, net_node(g, "Sigmoid", "s", INS(gate))));
	uint32_t first = net_node(g, "Add", "f", INS(net_conv(g, "d", gated, 3, true), x));

	fires(g, net_node(g, "Add", "y", INS(first, net_conv(g, "e", first, 3, true))), 2);
}
END_TEST

/* Either may be one image where the other is many. */
START_TEST(test_images_of_two_inputs)
{
	struct finf_graph *g = net_new();
	uint32_t x = net_input(g, "x", SHAPE(FINF_DIM_ANY, 3, 5, 4));
	uint32_t z = net_input(g, "z", SHAPE(FINF_DIM_ANY, 3, 5, 4));

	fires(g, net_node(g, "Add", "y", INS(net_conv(g, "c", x, 3, true), z)), 0);
}
END_TEST

START_TEST(test_unknown_rows_of_pixels)
{
	struct finf_graph *g = net_new();
	uint32_t x = net_input(g, "x", SHAPE(1, 3, FINF_DIM_ANY, 4));

	fires(g, net_node(g, "Add", "y", INS(net_conv(g, "c", x, 3, true), x)), 0);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("fuse/residual");
	TCase *tcase = net_tcase("residual");

	tcase_add_loop_test(tcase, test_row, 0, FINF_ARRAY_LEN(rows));
	tcase_add_test(tcase, test_images_in_common);
	tcase_add_test(tcase, test_images_of_two_inputs);
	tcase_add_test(tcase, test_unknown_rows_of_pixels);
	suite_add_tcase(suite, tcase);
	return suite;
}
