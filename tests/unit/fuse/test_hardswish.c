/* SPDX-License-Identifier: MIT */
/* fuse: HardSigmoid and HardSwish, spelled out. */
#include "tests/unit/fuse/net.h"

static uint32_t number(struct finf_graph *g, const char *name, float v)
{
	return net_const(g, name, FINF_F32, (struct finf_shape){0}, &v);
}

static uint32_t input(struct finf_graph *g)
{
	return net_input(g, "x", SHAPE(2, 3, 4));
}

/* Clip(x + @three, 0, @six) as value "clip". */
static uint32_t clip(struct finf_graph *g, uint32_t x, float three, float six)
{
	uint32_t sum = net_node(g, "Add", "sum", INS(x, number(g, "three", three)));

	return net_node(g, "Clip", "clip", INS(sum, number(g, "low", 0), number(g, "high", six)));
}

static void divided_last(struct finf_graph *g)
{
	uint32_t x = input(g), p = net_node(g, "Mul", "p", INS(x, clip(g, x, 3, 6)));

	net_output(g, net_node(g, "Div", "y", INS(p, number(g, "six", 6))));
}

static void multiplied_last(struct finf_graph *g)
{
	uint32_t x = input(g), p = net_node(g, "Mul", "p", INS(clip(g, x, 3, 6), x));

	net_output(g, net_node(g, "Mul", "y", INS(number(g, "sixth", 1.0f / 6), p)));
}

static void is_swish(const struct finf_graph *g)
{
	ck_assert_uint_eq(g->n_nodes, 1);
	ck_assert_str_eq(net_maker(g, "y")->op->name, "HardSwish");
}

static void gate(struct finf_graph *g)
{
	net_output(g, net_node(g, "Div", "y", INS(clip(g, input(g), 3, 6), number(g, "six", 6))));
}

/* Bounds as attributes, the sum the other way round. */
static void old_gate(struct finf_graph *g)
{
	const struct finf_attr bounds[] = {{.name = "min", .type = FINF_ATTR_FLOAT, .f = 0},
					   {.name = "max", .type = FINF_ATTR_FLOAT, .f = 6}};
	uint32_t sum = net_node_with(g, "Add", "sum", NULL, 0, 10,
				     INS(number(g, "three", 3), input(g)));
	uint32_t c = net_node_with(g, "Clip", "clip", bounds, 2, 10, INS(sum));

	net_output(g, net_node_with(g, "Div", "y", NULL, 0, 10, INS(c, number(g, "six", 6))));
}

static void is_sigmoid(const struct finf_graph *g)
{
	const struct finf_node *node = net_maker(g, "y");

	ck_assert_uint_eq(g->n_nodes, 1);
	ck_assert_str_eq(node->op->name, "HardSigmoid");
	ck_assert_float_eq(finf_node_float(node, "alpha", 0), 1.0f / 6);
}

static void of_another(struct finf_graph *g)
{
	uint32_t c = clip(g, input(g), 3, 6);
	uint32_t p = net_node(g, "Mul", "p", INS(c, net_input(g, "z", SHAPE(2, 3, 4))));

	net_output(g, net_node(g, "Div", "y", INS(p, number(g, "six", 6))));
}

static void other_sum(struct finf_graph *g)
{
	net_output(g, net_node(g, "Div", "y", INS(clip(g, input(g), 2, 6), number(g, "six", 6))));
}

static void other_bound(struct finf_graph *g)
{
	net_output(g, net_node(g, "Div", "y", INS(clip(g, input(g), 3, 5), number(g, "six", 6))));
}

static void other_divisor(struct finf_graph *g)
{
	net_output(g, net_node(g, "Div", "y", INS(clip(g, input(g), 3, 6), number(g, "five", 5))));
}

static void divides(struct finf_graph *g)
{
	net_output(g, net_node(g, "Div", "y", INS(number(g, "six", 6), clip(g, input(g), 3, 6))));
}

static void read_elsewhere(struct finf_graph *g)
{
	uint32_t c = clip(g, input(g), 3, 6);

	net_output(g, net_node(g, "Div", "y", INS(c, number(g, "six", 6))));
	net_output(g, c);
}

static const struct net_row rows[] = {
	{"divided last", divided_last, 3, is_swish},
	{"multiplied last", multiplied_last, 3, is_swish},
	{"a gate", gate, 2, is_sigmoid},
	{"a gate of opset 10", old_gate, 2, is_sigmoid},
	{"not: times something else", of_another, 0, NULL},
	{"not: another sum", other_sum, 0, NULL},
	{"not: another bound", other_bound, 0, NULL},
	{"not: another divisor", other_divisor, 0, NULL},
	{"not: divides 6", divides, 0, NULL},
	{"not: read elsewhere", read_elsewhere, 0, NULL},
};

NET_ROWS_TEST("hardswish")

Suite *test_suite(void)
{
	Suite *suite = suite_create("fuse/hardswish");
	TCase *tcase = net_tcase("hardswish");

	tcase_add_loop_test(tcase, test_row, 0, FINF_ARRAY_LEN(rows));
	suite_add_tcase(suite, tcase);
	return suite;
}
