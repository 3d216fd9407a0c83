/* SPDX-License-Identifier: MIT */
/* fuse: scale, bias and mask become part of the product. */
#include "tests/unit/fuse/net.h"

static uint32_t product(struct finf_graph *g)
{
	return net_node(
		g, "MatMul", "p",
		INS(net_input(g, "x", SHAPE(2, 3, 4)), net_random(g, "w", SHAPE(4, 5), -1)));
}

static uint32_t number(struct finf_graph *g, float v)
{
	return net_const(g, "number", FINF_F32, (struct finf_shape){0}, &v);
}

static const struct finf_node *is_fused(const struct finf_graph *g, uint32_t n_in, float alpha)
{
	const struct finf_node *node = net_maker(g, "y");

	ck_assert_uint_eq(g->n_nodes, 1);
	ck_assert_str_eq(node->op->name, "FusedMatMul");
	ck_assert_uint_eq(node->n_in, n_in);
	ck_assert_float_eq(finf_node_float(node, "alpha", 77), alpha);
	return node;
}

static void bias(struct finf_graph *g)
{
	net_output(g, net_node(g, "Add", "y", INS(product(g), net_random(g, "b", SHAPE(5), -1))));
}

static void bias_on_the_left(struct finf_graph *g)
{
	uint32_t y = net_node(g, "Add", "y", INS(net_random(g, "b", SHAPE(5), -1), product(g)));

	g->nodes[g->values[y].producer].act = FINF_ACT_RELU;
	net_output(g, y);
}

static void has_addend(const struct finf_graph *g)
{
	is_fused(g, 3, 1);
}

static void keeps_act(const struct finf_graph *g)
{
	ck_assert_int_eq(is_fused(g, 3, 1)->act, FINF_ACT_RELU);
}

static void divided(struct finf_graph *g)
{
	net_output(g, net_node(g, "Div", "y", INS(product(g), number(g, 8))));
}

static void multiplied(struct finf_graph *g)
{
	net_output(g, net_node(g, "Mul", "y", INS(number(g, 0.125f), product(g))));
}

static void is_eighth(const struct finf_graph *g)
{
	is_fused(g, 2, 0.125f);
}

/* Both factors come scaled, as scaled_dot_product_attention() is exported. */
static void scaled_factors(struct finf_graph *g)
{
	uint32_t half = number(g, 0.5f);
	uint32_t a = net_node(g, "Mul", "a", INS(net_input(g, "q", SHAPE(2, 3, 4)), half));
	uint32_t b = net_node(g, "Mul", "b", INS(half, net_input(g, "k", SHAPE(2, 4, 3))));

	net_output(g, net_node(g, "MatMul", "y", INS(a, b)));
}

static void is_quarter(const struct finf_graph *g)
{
	is_fused(g, 2, 0.25f);
}

/* Scale and mask, where the mask is made after the product. */
static void attention(struct finf_graph *g)
{
	uint32_t q = net_input(g, "q", SHAPE(2, 2, 3, 4)), k = net_input(g, "k", SHAPE(2, 2, 4, 3));
	uint32_t p = net_node(g, "MatMul", "p", INS(q, k));
	uint32_t scaled = net_node(g, "Div", "scaled", INS(p, number(g, 2)));
	uint32_t mask = net_node(g, "Relu", "mask", INS(net_input(g, "m", SHAPE(2, 1, 1, 3))));

	net_output(g, net_node(g, "Add", "y", INS(scaled, mask)));
}

static void is_attention(const struct finf_graph *g)
{
	const struct finf_node *node = net_maker(g, "y");

	ck_assert_str_eq(node->op->name, "FusedMatMul");
	ck_assert_float_eq(finf_node_float(node, "alpha", 77), 0.5f);
	ck_assert_uint_eq(node->in[2], net_value(g, "mask"));
}

static void residual(struct finf_graph *g)
{
	net_output(g, net_node(g, "Add", "y", INS(net_input(g, "r", SHAPE(2, 3, 5)), product(g))));
}

static void two_addends(struct finf_graph *g)
{
	uint32_t p = product(g);
	uint32_t s = net_node(g, "Add", "s", INS(p, net_random(g, "b", SHAPE(5), -1)));

	net_output(g, net_node(g, "Add", "y", INS(s, net_input(g, "r", SHAPE(2, 3, 5)))));
}

static void two_readers(struct finf_graph *g)
{
	uint32_t p = product(g);

	net_output(g, net_node(g, "Add", "y", INS(p, net_random(g, "b", SHAPE(5), -1))));
	net_output(g, net_node(g, "Relu", "z", INS(p)));
}

static void activation_between(struct finf_graph *g)
{
	uint32_t p = product(g);

	g->nodes[g->values[p].producer].act = FINF_ACT_RELU;
	net_output(g, net_node(g, "Add", "y", INS(p, net_random(g, "b", SHAPE(5), -1))));
}

static void addend_is_larger(struct finf_graph *g)
{
	net_output(g,
		   net_node(g, "Add", "y", INS(product(g), net_input(g, "b", SHAPE(4, 2, 3, 5)))));
}

static void scale_is_input(struct finf_graph *g)
{
	net_output(g, net_node(g, "Mul", "y", INS(product(g), net_input(g, "s", SHAPE(1)))));
}

static void scale_is_divided(struct finf_graph *g)
{
	net_output(g, net_node(g, "Div", "y", INS(number(g, 8), product(g))));
}

static void scale_is_zero(struct finf_graph *g)
{
	net_output(g, net_node(g, "Mul", "y", INS(product(g), number(g, 0))));
}

static void vector(struct finf_graph *g)
{
	uint32_t p =
		net_node(g, "MatMul", "p",
			 INS(net_input(g, "x", SHAPE(4)), net_random(g, "w", SHAPE(4, 5), -1)));

	net_output(g, net_node(g, "Add", "y", INS(p, net_random(g, "b", SHAPE(5), -1))));
}

static const struct net_row rows[] = {
	{"a bias", bias, 1, has_addend},
	{"a bias on the left", bias_on_the_left, 1, keeps_act},
	{"a residual", residual, 1, has_addend},
	{"divided", divided, 1, is_eighth},
	{"multiplied", multiplied, 1, is_eighth},
	{"scaled factors", scaled_factors, 2, is_quarter},
	{"scale and mask", attention, 2, is_attention},
	{"one of two addends", two_addends, 1, NULL},
	{"not: two readers", two_readers, 0, NULL},
	{"not: an activation between", activation_between, 0, NULL},
	{"not: the addend is larger", addend_is_larger, 0, NULL},
	{"not: the scale is an input", scale_is_input, 0, NULL},
	{"not: divides a number", scale_is_divided, 0, NULL},
	{"not: times 0", scale_is_zero, 0, NULL},
	{"not: a vector", vector, 0, NULL},
};

NET_ROWS_TEST("matmul")

static struct finf_graph *residual_of_any(void)
{
	struct finf_graph *g = net_new();
	uint32_t x = net_input(g, "x", SHAPE(FINF_DIM_ANY, 3, 4));
	uint32_t p = net_node(g, "MatMul", "p", INS(x, net_random(g, "w", SHAPE(4, 5), -1)));

	net_output(g,
		   net_node(g, "Add", "y", INS(p, net_input(g, "r", SHAPE(FINF_DIM_ANY, 3, 5)))));
	net_ready(g);
	return g;
}

/* What may be as large as the product is an addend: should it be larger, so is the sum. */
START_TEST(test_unknown_extents)
{
	static const struct finf_shape asked[][2] = {
		{SHAPE(2, 3, 4), SHAPE(2, 3, 5)},
		{SHAPE(2, 3, 4), SHAPE(1, 3, 5)},
		{SHAPE(1, 3, 4), SHAPE(2, 3, 5)},
	};
	struct finf_graph *graphs[2] = {residual_of_any(), residual_of_any()}, *bound;
	struct finf_diag diag;
	uint32_t changes = 77;

	ck_assert_int_eq(finf_fuse_pass_run(net_pass_named("matmul"), graphs[1], &changes, &diag), 0);
	ck_assert_uint_eq(changes, 1);
	for (size_t i = 0; i < FINF_ARRAY_LEN(asked); i++) {
		struct finf_tensor out[2][NET_PORTS];

		for (int k = 0; k < 2; k++) {
			ck_assert_msg(!finf_graph_bind(graphs[k], asked[i], &bound, &diag), "%s",
				      diag.text);
			net_run(bound, out[k]);
			finf_graph_free(bound);
		}
		net_same(out[0], out[1], 1);
		interp_free(out[0], 1);
		interp_free(out[1], 1);
	}
	finf_graph_free(graphs[0]);
	finf_graph_free(graphs[1]);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("fuse/matmul");
	TCase *tcase = net_tcase("matmul");

	tcase_add_loop_test(tcase, test_row, 0, FINF_ARRAY_LEN(rows));
	tcase_add_test(tcase, test_unknown_extents);
	suite_add_tcase(suite, tcase);
	return suite;
}
