/* SPDX-License-Identifier: MIT */
/* fuse: Gelu spelled out in five nodes becomes one. */
#include "tests/unit/fuse/net.h"

static uint32_t number(struct finf_graph *g, const char *name, float x)
{
	return net_const(g, name, FINF_F32, (struct finf_shape){.rank = 0}, &x);
}

static uint32_t input(struct finf_graph *g)
{
	return net_input(g, "x", SHAPE(2, 5, 8));
}

/* 1 + erf(@scaled), in that order or the other. */
static uint32_t sum(struct finf_graph *g, uint32_t scaled, float one, bool first)
{
	uint32_t erf = net_node(g, "Erf", "e", INS(scaled)), c = number(g, "one", one);

	return first ? net_node(g, "Add", "a", INS(c, erf)) : net_node(g, "Add", "a", INS(erf, c));
}

static uint32_t divided(struct finf_graph *g, uint32_t x)
{
	return net_node(g, "Div", "d", INS(x, number(g, "root", 1.4142135f)));
}

static uint32_t usual(struct finf_graph *g, uint32_t x, uint32_t a, float half)
{
	uint32_t p = net_node(g, "Mul", "p", INS(x, a));

	return net_node(g, "Mul", "y", INS(p, number(g, "half", half)));
}

static void half_last(struct finf_graph *g)
{
	uint32_t x = input(g);

	net_output(g, usual(g, x, sum(g, divided(g, x), 1, false), 0.5f));
}

static void half_first(struct finf_graph *g)
{
	uint32_t x = input(g), a = sum(g, divided(g, x), 1, true);
	uint32_t p = net_node(g, "Mul", "p", INS(number(g, "half", 0.5f), x));

	net_output(g, net_node(g, "Mul", "y", INS(p, a)));
}

static void half_of_the_sum(struct finf_graph *g)
{
	uint32_t x = input(g), a = sum(g, divided(g, x), 1, false);
	uint32_t p = net_node(g, "Mul", "p", INS(a, number(g, "half", 0.5f)));

	net_output(g, net_node(g, "Mul", "y", INS(x, p)));
}

static void multiplied(struct finf_graph *g)
{
	uint32_t x = input(g);
	uint32_t m = net_node(g, "Mul", "d", INS(number(g, "root", 0.70710677f), x));

	net_output(g, usual(g, x, sum(g, m, 1, false), 0.5f));
}

static void other_half(struct finf_graph *g)
{
	uint32_t x = input(g);

	net_output(g, usual(g, x, sum(g, divided(g, x), 1, false), 0.50001f));
}

static void other_one(struct finf_graph *g)
{
	uint32_t x = input(g);

	net_output(g, usual(g, x, sum(g, divided(g, x), 1.5f, false), 0.5f));
}

static void other_root(struct finf_graph *g)
{
	uint32_t x = input(g);
	uint32_t d = net_node(g, "Div", "d", INS(x, number(g, "root", 1.4f)));

	net_output(g, usual(g, x, sum(g, d, 1, false), 0.5f));
}

static void other_x(struct finf_graph *g)
{
	uint32_t x = input(g), z = net_input(g, "z", SHAPE(2, 5, 8));

	net_output(g, usual(g, z, sum(g, divided(g, x), 1, false), 0.5f));
}

static void upside_down(struct finf_graph *g)
{
	uint32_t x = input(g);
	uint32_t d = net_node(g, "Div", "d", INS(number(g, "root", 1.4142135f), x));

	net_output(g, usual(g, x, sum(g, d, 1, false), 0.5f));
}

static void two_readers(struct finf_graph *g)
{
	uint32_t x = input(g), a = sum(g, divided(g, x), 1, false);

	net_output(g, a);
	net_output(g, usual(g, x, a, 0.5f));
}

static void adds_a_dimension(struct finf_graph *g)
{
	const float half = 0.5f;
	uint32_t x = input(g), a = sum(g, divided(g, x), 1, false);
	uint32_t p = net_node(g, "Mul", "p", INS(x, a));

	net_output(g, net_node(g, "Mul", "y",
			       INS(p, net_const(g, "half", FINF_F32, SHAPE(1, 1, 1, 1), &half))));
}

static void activation_between(struct finf_graph *g)
{
	uint32_t x = input(g), a = sum(g, divided(g, x), 1, false);

	g->nodes[g->values[a].producer].act = FINF_ACT_RELU;
	net_output(g, usual(g, x, a, 0.5f));
}

static void is_gelu(const struct finf_graph *g)
{
	ck_assert_str_eq(net_maker(g, "y")->op->name, "Gelu");
	ck_assert_uint_eq(net_maker(g, "y")->opset, 20);
	ck_assert_uint_eq(g->n_nodes, 1);
}

static const struct net_row rows[] = {
	{"one half last", half_last, 4, is_gelu},
	{"one half first", half_first, 4, is_gelu},
	{"one half of the sum", half_of_the_sum, 4, is_gelu},
	{"multiplied by the reciprocal", multiplied, 4, is_gelu},
	{"not: another factor", other_half, 0, NULL},
	{"not: another addend", other_one, 0, NULL},
	{"not: another divisor", other_root, 0, NULL},
	{"not: another x", other_x, 0, NULL},
	{"not: the root divided by x", upside_down, 0, NULL},
	{"not: the sum is an output", two_readers, 0, NULL},
	{"not: a constant adds a dimension", adds_a_dimension, 0, NULL},
	{"not: an activation between", activation_between, 0, NULL},
};

NET_ROWS_TEST("gelu")

Suite *test_suite(void)
{
	Suite *suite = suite_create("fuse/gelu");
	TCase *tcase = net_tcase("gelu");

	tcase_add_loop_test(tcase, test_row, 0, FINF_ARRAY_LEN(rows));
	suite_add_tcase(suite, tcase);
	return suite;
}
