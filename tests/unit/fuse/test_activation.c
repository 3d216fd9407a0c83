/* SPDX-License-Identifier: MIT */
/* fuse: activations into the node before. */
#include <float.h>

#include "tests/unit/fuse/net.h"

#define X SHAPE(2, 3, 4, 5)

/* The node before, by operator; two-sided ones read x twice. */
static uint32_t producer(struct finf_graph *g, const char *op)
{
	uint32_t x = net_input(g, "x", X);

	if (!strcmp(op, "Conv"))
		return net_conv(g, "p", x, 3, true);
	if (!strcmp(op, "BatchNormalization"))
		return net_bn(g, "p", x, 3);
	if (!strcmp(op, "MatMul"))
		return net_node(g, op, "p", INS(x, net_random(g, "w", SHAPE(5, 4), -1)));
	if (!strcmp(op, "Gemm"))
		return net_node(
			g, op, "p",
			INS(net_input(g, "m", SHAPE(2, 3)), net_random(g, "w", SHAPE(3, 4), -1)));
	return net_node(g, op, "p", INS(x, net_random(g, "w", SHAPE(3, 1, 1), 0.5f)));
}

static const char *const takers[] = {
	"Conv", "Gemm", "MatMul", "BatchNormalization", "Add", "Sub", "Mul", "Div",
};

START_TEST(test_producers)
{
	struct finf_graph *g = net_new();

	net_output(g, net_node(g, "Relu", "y", INS(producer(g, takers[_i]))));
	net_pass(g, net_pass_named("activation"), 1);
	ck_assert_str_eq(net_maker(g, "y")->op->name, takers[_i]);
	ck_assert_int_eq(net_maker(g, "y")->act, FINF_ACT_RELU);
	finf_graph_free(g);
}
END_TEST

/* One activation behind a Conv: what becomes of it. */
static const struct {
	const char *op;
	uint32_t opset;
	struct finf_attr attrs[2];
	float low, high; /* Clip inputs; NAN-free, 0 and 0 = none */
	enum finf_act act;
	float a, b;
} acts[] = {
	{.op = "Relu", .opset = 13, .act = FINF_ACT_RELU},
	{.op = "Sigmoid", .opset = 13, .act = FINF_ACT_SIGMOID},
	{.op = "LeakyRelu", .opset = 13, .act = FINF_ACT_LEAKY, .a = 0.01f},
	{.op = "LeakyRelu",
	 .opset = 13,
	 .attrs = {{.name = "alpha", .type = FINF_ATTR_FLOAT, .f = 0.25f}},
	 .act = FINF_ACT_LEAKY,
	 .a = 0.25f},
	{.op = "Elu", .opset = 13, .act = FINF_ACT_ELU, .a = 1},
	{.op = "Gelu", .opset = 20, .act = FINF_ACT_GELU},
	{.op = "Gelu",
	 .opset = 20,
	 .attrs = {{.name = "approximate", .type = FINF_ATTR_STRING, .n = 4, .s = "tanh"}},
	 .act = FINF_ACT_GELU_TANH},
	{.op = "HardSwish", .opset = 14, .act = FINF_ACT_HARD_SWISH},
	{.op = "Mish", .opset = 18, .act = FINF_ACT_MISH},
	{.op = "Tanh", .opset = 13, .act = FINF_ACT_TANH},
	{.op = "Clip",
	 .opset = 13,
	 .low = -0.5f,
	 .high = 1,
	 .act = FINF_ACT_CLIP,
	 .a = -0.5f,
	 .b = 1},
	{.op = "Clip", .opset = 13, .act = FINF_ACT_CLIP, .a = -FLT_MAX, .b = FLT_MAX},
	{.op = "Clip",
	 .opset = 7,
	 .attrs = {{.name = "min", .type = FINF_ATTR_FLOAT, .f = 0},
		   {.name = "max", .type = FINF_ATTR_FLOAT, .f = 6}},
	 .act = FINF_ACT_CLIP,
	 .a = 0,
	 .b = 6},
	{.op = "Clip",
	 .opset = 10,
	 .attrs = {{.name = "max", .type = FINF_ATTR_FLOAT, .f = 0.5f}},
	 .act = FINF_ACT_CLIP,
	 .a = -FLT_MAX,
	 .b = 0.5f},
};

START_TEST(test_acts)
{
	struct finf_graph *g = net_new();
	uint32_t in[3] = {producer(g, "Conv"), FINF_NONE, FINF_NONE}, n_attrs = 0, n_in = 1;

	while (n_attrs < 2 && acts[_i].attrs[n_attrs].name)
		n_attrs++;
	if (acts[_i].low < acts[_i].high) {
		in[1] = net_const(g, "low", FINF_F32, (struct finf_shape){0}, &acts[_i].low);
		in[2] = net_const(g, "high", FINF_F32, SHAPE(1), &acts[_i].high);
		n_in = 3;
	}
	net_output(g, net_node_with(g, acts[_i].op, "y", acts[_i].attrs, n_attrs, acts[_i].opset,
				    in, n_in));
	net_pass(g, net_pass_named("activation"), 1);
	ck_assert_uint_eq(g->n_nodes, 1);
	ck_assert_int_eq(g->nodes[0].act, acts[_i].act);
	ck_assert(g->nodes[0].act_a == acts[_i].a && g->nodes[0].act_b == acts[_i].b);
	finf_graph_free(g);
}
END_TEST

/* ---- where it must not fire, or only once ---- */

static void two_readers(struct finf_graph *g)
{
	uint32_t p = producer(g, "Conv");

	net_output(g, net_node(g, "Add", "y", INS(p, net_node(g, "Sigmoid", "s", INS(p)))));
}

static void swish(struct finf_graph *g)
{
	uint32_t p = producer(g, "Conv");

	net_output(g, net_node(g, "Mul", "y", INS(p, net_node(g, "Sigmoid", "s", INS(p)))));
}

static void swish_in_front(struct finf_graph *g)
{
	uint32_t p = producer(g, "BatchNormalization");

	net_output(g, net_node(g, "Mul", "y", INS(net_node(g, "Sigmoid", "s", INS(p)), p)));
}

static void is_swish(const struct finf_graph *g)
{
	ck_assert_uint_eq(g->n_nodes, 1);
	ck_assert_int_eq(net_maker(g, "y")->act, FINF_ACT_SWISH);
}

static void swish_of_another(struct finf_graph *g)
{
	uint32_t p = producer(g, "Conv");

	net_output(g, net_node(g, "Mul", "y",
			       INS(p, net_node(g, "Sigmoid", "s", INS(net_input(g, "z", X))))));
	net_output(g, p);
}

static void swish_read_elsewhere(struct finf_graph *g)
{
	uint32_t p = producer(g, "Conv"), s = net_node(g, "Sigmoid", "s", INS(p));

	net_output(g, net_node(g, "Mul", "y", INS(p, s)));
	net_output(g, s);
}

static uint32_t hard_sigmoid(struct finf_graph *g, uint32_t x, float alpha)
{
	const struct finf_attr attr = {.name = "alpha", .type = FINF_ATTR_FLOAT, .f = alpha};

	return net_node_with(g, "HardSigmoid", "s", &attr, 1, OPSET, INS(x));
}

static void hard_swish(struct finf_graph *g)
{
	uint32_t p = producer(g, "Conv");

	net_output(g, net_node(g, "Mul", "y", INS(p, hard_sigmoid(g, p, 1.0f / 6))));
}

static void is_hard_swish(const struct finf_graph *g)
{
	ck_assert_uint_eq(g->n_nodes, 1);
	ck_assert_int_eq(net_maker(g, "y")->act, FINF_ACT_HARD_SWISH);
}

static void steeper(struct finf_graph *g)
{
	uint32_t p = producer(g, "Conv");

	net_output(g, net_node(g, "Mul", "y", INS(p, hard_sigmoid(g, p, 0.2f))));
}

static void mish(struct finf_graph *g)
{
	uint32_t p = producer(g, "Conv"), s = net_node(g, "Softplus", "s", INS(p));

	net_output(g, net_node(g, "Mul", "y", INS(net_node(g, "Tanh", "t", INS(s)), p)));
}

static void tanh_of_it(struct finf_graph *g)
{
	uint32_t p = producer(g, "Conv");

	net_output(g, net_node(g, "Mul", "y", INS(p, net_node(g, "Tanh", "t", INS(p)))));
}

static void is_output(struct finf_graph *g)
{
	uint32_t p = producer(g, "Conv");

	net_output(g, p);
	net_output(g, net_node(g, "Relu", "y", INS(p)));
}

static void of_input(struct finf_graph *g)
{
	net_output(g, net_node(g, "Relu", "y", INS(net_input(g, "x", X))));
}

static void of_other_operator(struct finf_graph *g)
{
	net_output(g,
		   net_node(g, "Relu", "y",
			    INS(net_node(g, "GlobalAveragePool", "p", INS(net_input(g, "x", X))))));
}

static void second_activation(struct finf_graph *g)
{
	uint32_t first = net_node(g, "LeakyRelu", "first", INS(producer(g, "Conv")));

	net_output(g, net_node(g, "Sigmoid", "y", INS(first)));
}

static void second_stays(const struct finf_graph *g)
{
	ck_assert_str_eq(net_maker(g, "y")->op->name, "Sigmoid");
	ck_assert_int_eq(net_maker(g, "first")->act, FINF_ACT_LEAKY);
}

static void bound_is_input(struct finf_graph *g)
{
	uint32_t p = producer(g, "Conv"), low = net_input(g, "low", SHAPE(1));

	net_output(g, net_node(g, "Clip", "y", INS(p, low)));
}

static void upper_bound_is_input(struct finf_graph *g)
{
	uint32_t p = producer(g, "Conv"), high = net_input(g, "high", SHAPE(1));

	net_output(g, net_node(g, "Clip", "y", INS(p, FINF_NONE, high)));
}

static void integers(struct finf_graph *g)
{
	const struct finf_attr to_int = {.name = "to", .type = FINF_ATTR_INT, .i = FINF_I64};
	uint32_t x = net_input(g, "x", X);
	uint32_t n = net_node_with(g, "Cast", "n", &to_int, 1, OPSET, INS(x));
	uint32_t one = net_const(g, "one", FINF_I64, (struct finf_shape){0}, (int64_t[]){1});

	net_output(g, net_node(g, "Clip", "y", INS(net_node(g, "Add", "sum", INS(n, n)), one)));
}

/* Without bounds nothing but the dtype speaks against it. */
static void integers_without_bounds(struct finf_graph *g)
{
	const struct finf_attr to_int = {.name = "to", .type = FINF_ATTR_INT, .i = FINF_I64};
	uint32_t n = net_node_with(g, "Cast", "n", &to_int, 1, OPSET, INS(net_input(g, "x", X)));

	net_output(g, net_node(g, "Clip", "y", INS(net_node(g, "Add", "sum", INS(n, n)))));
}

static const struct net_row rows[] = {
	{"swish", swish, 2, is_swish},
	{"swish, the other way round", swish_in_front, 2, is_swish},
	{"hard swish", hard_swish, 2, is_hard_swish},
	{"not: x Tanh(Softplus(x)), a chain", mish, 0, NULL},
	{"not: a steeper HardSigmoid", steeper, 0, NULL},
	{"not: x times its Tanh", tanh_of_it, 0, NULL},
	{"not: a Sigmoid of something else", swish_of_another, 0, NULL},
	{"not: a Sigmoid that is read elsewhere", swish_read_elsewhere, 0, NULL},
	{"not: two readers", two_readers, 0, NULL},
	{"not: the node before is an output", is_output, 0, NULL},
	{"not: of an input", of_input, 0, NULL},
	{"not: the operator before is not on the list", of_other_operator, 0, NULL},
	{"not: a lower bound that is an input", bound_is_input, 0, NULL},
	{"not: an upper bound that is an input", upper_bound_is_input, 0, NULL},
	{"not: integers", integers, 0, NULL},
	{"not: integers without bounds", integers_without_bounds, 0, NULL},
	{"one activation per node", second_activation, 1, second_stays},
};

NET_ROWS_TEST("activation")

Suite *test_suite(void)
{
	Suite *suite = suite_create("fuse/activation");
	TCase *tcase = net_tcase("activation");

	tcase_add_loop_test(tcase, test_producers, 0, FINF_ARRAY_LEN(takers));
	tcase_add_loop_test(tcase, test_acts, 0, FINF_ARRAY_LEN(acts));
	tcase_add_loop_test(tcase, test_row, 0, FINF_ARRAY_LEN(rows));
	suite_add_tcase(suite, tcase);
	return suite;
}
