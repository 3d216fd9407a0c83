/* SPDX-License-Identifier: MIT */
/* fuse: chains of elementwise nodes become one program, as exporters write them. */
#include "graph/program.h"
#include "tests/unit/fuse/net.h"

static uint32_t number(struct finf_graph *g, const char *name, float v)
{
	return net_const(g, name, FINF_F32, (struct finf_shape){0}, &v);
}

static uint32_t one(struct finf_graph *g, const char *op, const char *out, uint32_t x)
{
	return net_node(g, op, out, INS(x));
}

static uint32_t two(struct finf_graph *g, const char *op, const char *out, uint32_t a, uint32_t b)
{
	return net_node(g, op, out, INS(a, b));
}

/* The one node that is left: so many inputs, steps and numbers. */
static void is_program(const struct finf_graph *g, uint32_t n_in, uint32_t steps, uint32_t numbers)
{
	const struct finf_node *node = net_maker(g, "y");
	struct finf_program program;

	ck_assert_str_eq(node->op->name, "FusedElementwise");
	ck_assert_uint_eq(node->n_in, n_in);
	ck_assert_int_eq(finf_program_read(node, &program, NULL), 0);
	ck_assert_uint_eq(program.n_steps, steps);
	ck_assert_uint_eq(program.n_numbers, numbers);
}

/* ---- what exporters write ------------------------------------------------------------------ */

static void gelu_tanh(struct finf_graph *g)
{
	uint32_t x = net_input(g, "x", SHAPE(2, 3, 4)), half = number(g, "half", 0.5f);
	uint32_t p = two(g, "Mul", "b", two(g, "Pow", "a", x, number(g, "three", 3)),
			 number(g, "k", 0.044715f));
	uint32_t t = two(g, "Mul", "d", two(g, "Add", "c", x, p), number(g, "s", 0.7978846f));

	t = two(g, "Add", "f", one(g, "Tanh", "e", t), number(g, "one", 1));
	net_output(g, two(g, "Mul", "y", two(g, "Mul", "g", x, half), t));
}

static void is_gelu_tanh(const struct finf_graph *g)
{
	is_program(g, 1, 8, 5);
}

static void hard_swish(struct finf_graph *g)
{
	uint32_t x = net_input(g, "x", SHAPE(2, 3, 4)), six = number(g, "six", 6), t;

	t = two(g, "Add", "a", x, number(g, "three", 3));
	t = net_node(g, "Clip", "b", INS(t, number(g, "zero", 0), six));
	net_output(g, two(g, "Div", "y", two(g, "Mul", "c", x, t), six));
}

static void is_hard_swish(const struct finf_graph *g)
{
	is_program(g, 1, 4, 3);
}

static void mish(struct finf_graph *g)
{
	uint32_t x = net_input(g, "x", SHAPE(2, 3, 4));

	net_output(g, two(g, "Mul", "y", x, one(g, "Tanh", "b", one(g, "Softplus", "a", x))));
}

static void is_mish(const struct finf_graph *g)
{
	is_program(g, 1, 3, 0);
}

/* x (root mean square) row: what is left of RMSNorm behind the mean. */
static void norm_tail(struct finf_graph *g)
{
	uint32_t x = one(g, "Softmax", "x", net_input(g, "in", SHAPE(2, 3, 4)));
	uint32_t r = net_input(g, "r", SHAPE(2, 3, 1));

	net_output(g, two(g, "Mul", "y", two(g, "Mul", "a", r, x),
			  net_random(g, "w", SHAPE(4), -1)));
}

static void is_norm_tail(const struct finf_graph *g)
{
	is_program(g, 3, 2, 0);
	ck_assert_uint_eq(net_maker(g, "y")->in[0], net_value(g, "x")); /* may be written over */
}

/* The gate is smaller than what it scales: it would be computed for each pixel. */
static void gate(struct finf_graph *g)
{
	uint32_t x = net_input(g, "x", SHAPE(1, 3, 4, 4)), s = net_input(g, "s", SHAPE(1, 3, 1, 1));
	uint32_t scaled = two(g, "Mul", "c", x, one(g, "Sigmoid", "b", one(g, "Exp", "a", s)));

	net_output(g, two(g, "Add", "y", scaled, net_input(g, "r", SHAPE(1, 3, 4, 4))));
}

static void is_gate(const struct finf_graph *g)
{
	is_program(g, 3, 2, 0);
	ck_assert_str_eq(net_maker(g, "b")->op->name, "FusedElementwise");
}

static void folded(struct finf_graph *g)
{
	uint32_t x = net_input(g, "x", SHAPE(2, 3)), a = two(g, "Add", "a", x, x), y;

	g->nodes[g->values[a].producer].act = FINF_ACT_CLIP;
	g->nodes[g->values[a].producer].act_b = 0.5f;
	y = one(g, "Exp", "y", a);
	g->nodes[g->values[y].producer].act = FINF_ACT_LEAKY;
	g->nodes[g->values[y].producer].act_a = 0.25f;
	net_output(g, y);
}

static void is_folded(const struct finf_graph *g)
{
	is_program(g, 1, 4, 3);
	ck_assert_int_eq(net_maker(g, "y")->act, FINF_ACT_NONE);
}

static void attributes(struct finf_graph *g)
{
	const struct finf_attr alpha = {.name = "alpha", .type = FINF_ATTR_FLOAT, .f = 0.3f};
	uint32_t x = net_input(g, "x", SHAPE(2, 3)), t;

	t = net_node_with(g, "Elu", "a", &alpha, 1, OPSET, INS(x));
	t = net_node_with(g, "LeakyRelu", "b", &alpha, 1, OPSET, INS(t));
	t = net_node_with(g, "HardSigmoid", "c", &alpha, 1, OPSET, INS(t));
	t = net_node(g, "Clip", "d", INS(t, FINF_NONE, number(g, "high", 0.6f)));
	net_output(g, net_node(g, "Max", "y", INS(t, x, net_input(g, "z", SHAPE(3)))));
}

static void is_attributes(const struct finf_graph *g)
{
	is_program(g, 2, 6, 4); /* Max of three is two steps */
}

static void where(struct finf_graph *g)
{
	uint32_t x = net_input(g, "x", SHAPE(2, 3));
	uint32_t below = two(g, "Less", "a", x, number(g, "low", 0));

	below = two(g, "Or", "c", below, two(g, "Greater", "b", x, number(g, "high", 0.5f)));
	net_output(g, net_node(g, "Where", "y", INS(below, one(g, "Neg", "d", x), x)));
}

static void is_where(const struct finf_graph *g)
{
	is_program(g, 1, 5, 2);
}

/* ---- what is left alone ------------------------------------------------------------------- */

static void alone(struct finf_graph *g)
{
	net_output(g, one(g, "Relu", "y", net_input(g, "x", SHAPE(2, 3))));
}

static void read_elsewhere(struct finf_graph *g)
{
	uint32_t a = one(g, "Exp", "a", net_input(g, "x", SHAPE(2, 3)));

	net_output(g, one(g, "Neg", "y", a));
	net_output(g, one(g, "Softmax", "z", a));
}

static void is_output(struct finf_graph *g)
{
	uint32_t a = one(g, "Exp", "a", net_input(g, "x", SHAPE(2, 3)));

	net_output(g, a);
	net_output(g, one(g, "Neg", "y", a));
}

static void grows(struct finf_graph *g)
{
	uint32_t a = one(g, "Exp", "a", net_input(g, "x", SHAPE(1, 3)));

	net_output(g, two(g, "Add", "y", a, net_input(g, "r", SHAPE(2, 3))));
}

/* The number alone makes the result a matrix. */
static void number_adds_dimension(struct finf_graph *g)
{
	const float v = 2;
	uint32_t n = net_const(g, "n", FINF_F32, SHAPE(1, 1), &v);
	uint32_t a = two(g, "Mul", "a", net_input(g, "x", SHAPE(3)), n);

	net_output(g, one(g, "Exp", "y", a));
}

static void comes_out_true(struct finf_graph *g)
{
	uint32_t a = one(g, "Exp", "a", net_input(g, "x", SHAPE(3)));

	net_output(g, two(g, "Less", "y", a, number(g, "one", 1)));
}

static void integers(struct finf_graph *g)
{
	const int64_t v[] = {1, 2, 3};
	uint32_t c = net_const(g, "c", FINF_I64, SHAPE(3), v);

	net_output(g, two(g, "Mul", "y", two(g, "Add", "a", c, c), c));
}

static void constant_mask(struct finf_graph *g)
{
	const uint8_t v[] = {1, 0, 1};
	uint32_t mask = net_const(g, "mask", FINF_BOOL, SHAPE(3), v);
	uint32_t x = net_input(g, "x", SHAPE(2, 3));

	net_output(g, net_node(g, "Where", "y", INS(mask, one(g, "Exp", "a", x), x)));
}

/* 40 steps: 32 fit into one program. */
static void long_chain(struct finf_graph *g)
{
	uint32_t x = net_input(g, "x", SHAPE(2, 3));
	char name[16];

	for (int i = 0; i < 39; i++) {
		snprintf(name, sizeof(name), "v%d", i);
		x = one(g, i % 2 ? "Neg" : "Sigmoid", name, x);
	}
	net_output(g, one(g, "Abs", "y", x));
}

static void is_two_programs(const struct finf_graph *g)
{
	ck_assert_uint_eq(g->n_nodes, 2);
	is_program(g, 1, 32, 0);
	ck_assert_str_eq(g->nodes[0].op->name, "FusedElementwise");
}

/* Ten inputs: eight fit. */
static void wide(struct finf_graph *g)
{
	uint32_t x = net_random(g, "c", SHAPE(2, 3), -1);
	char name[16];

	for (int i = 0; i < 9; i++) {
		uint32_t r;

		snprintf(name, sizeof(name), "r%d", i);
		r = net_random(g, name, SHAPE(2, 3), -1);
		snprintf(name, sizeof(name), "s%d", i);
		x = two(g, "Add", name, x, r);
	}
	net_output(g, two(g, "Mul", "y", x, net_input(g, "x", SHAPE(2, 3))));
}

static void is_wide(const struct finf_graph *g)
{
	is_program(g, 8, 7, 0);
	ck_assert_uint_eq(net_maker(g, "y")->in[0], net_value(g, "s2"));
}

static const struct net_row rows[] = {
	{"gelu by tanh", gelu_tanh, 7, is_gelu_tanh},
	{"hard swish", hard_swish, 3, is_hard_swish},
	{"mish", mish, 2, is_mish},
	{"behind a mean", norm_tail, 1, is_norm_tail},
	{"a gate apart from what it scales", gate, 2, is_gate},
	{"folded activations", folded, 1, is_folded},
	{"attributes, many operands", attributes, 4, is_attributes},
	{"comparisons", where, 4, is_where},
	{"too long for one", long_chain, 38, is_two_programs},
	{"too wide for one", wide, 8, is_wide},
	{"not: alone", alone, 0, NULL},
	{"not: read elsewhere", read_elsewhere, 0, NULL},
	{"not: an output", is_output, 0, NULL},
	{"not: smaller than the result", grows, 0, NULL},
	{"not: a number adds a dimension", number_adds_dimension, 0, NULL},
	{"not: bool comes out", comes_out_true, 0, NULL},
	{"not: integers", integers, 0, NULL},
	{"not: a constant mask", constant_mask, 0, NULL},
};

NET_ROWS_TEST("chain")

/* Extents that are not known are the same where the names say nothing else: right whatever comes. */
START_TEST(test_unknown_extents)
{
	struct finf_graph *g = net_new();
	struct finf_diag diag;
	uint32_t x = net_input(g, "x", SHAPE(FINF_DIM_ANY, 4)), changes = 77;
	uint32_t a = two(g, "Mul", "a", x, net_random(g, "w", SHAPE(4), -1));

	net_output(g, two(g, "Add", "y", a, net_input(g, "r", SHAPE(FINF_DIM_ANY, 4))));
	net_ready(g);
	ck_assert_int_eq(finf_fuse_pass_run(net_pass_named("chain"), g, &changes, &diag), 0);
	ck_assert_uint_eq(changes, 1);
	ck_assert_uint_eq(g->nodes[0].n_in, 3);
	net_ready(g);
	finf_graph_free(g);
}
END_TEST

/* A constant whose bytes are not here is an input, not a number. */
START_TEST(test_constants_without_bytes)
{
	struct finf_graph *g = net_new();
	struct finf_diag diag;
	uint32_t x = net_input(g, "x", SHAPE(3, 4)), w = net_random(g, "w", SHAPE(1), -1);
	uint32_t changes = 77;

	net_output(g, one(g, "Exp", "y", two(g, "Mul", "a", x, w)));
	net_ready(g);
	g->values[w].data = NULL;
	ck_assert_int_eq(finf_fuse_pass_run(net_pass_named("chain"), g, &changes, &diag), 0);
	ck_assert_uint_eq(changes, 1);
	is_program(g, 2, 2, 0);
	finf_graph_free(g);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("fuse/chain");
	TCase *tcase = net_tcase("chain");

	tcase_add_loop_test(tcase, test_row, 0, FINF_ARRAY_LEN(rows));
	tcase_add_test(tcase, test_unknown_extents);
	tcase_add_test(tcase, test_constants_without_bytes);
	suite_add_tcase(suite, tcase);
	return suite;
}
