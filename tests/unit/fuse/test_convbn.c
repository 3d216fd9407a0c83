/* SPDX-License-Identifier: MIT */
/* fuse: BatchNormalization into Conv. */
#include "tests/unit/fuse/net.h"

#define X SHAPE(2, 3, 4, 5)

static void plain(struct finf_graph *g)
{
	net_output(g, net_bn(g, "bn", net_conv(g, "conv", net_input(g, "x", X), 3, false), 3));
}

static void with_bias(struct finf_graph *g)
{
	net_output(g, net_bn(g, "bn", net_conv(g, "conv", net_input(g, "x", X), 3, true), 3));
}

static void depthwise(struct finf_graph *g)
{
	const struct finf_attr group = {.name = "group", .type = FINF_ATTR_INT, .i = 3};
	uint32_t x = net_input(g, "x", X), w = net_random(g, "w", SHAPE(6, 1, 2, 2), -1);

	net_output(g, net_bn(g, "bn", net_node_with(g, "Conv", "conv", &group, 1, OPSET, INS(x, w)),
			     6));
}

static void chain(struct finf_graph *g)
{
	uint32_t a = net_bn(g, "bn1", net_conv(g, "conv1", net_input(g, "x", X), 3, false), 3);

	net_output(g, net_bn(g, "bn2",
			     net_conv(g, "conv2", net_node(g, "Relu", "r", INS(a)), 3, true), 3));
}

static void two_norms(struct finf_graph *g)
{
	net_output(g,
		   net_bn(g, "bn2",
			  net_bn(g, "bn1", net_conv(g, "c", net_input(g, "x", X), 3, true), 3), 3));
}

static void shared_weight(struct finf_graph *g)
{
	uint32_t x = net_input(g, "x", SHAPE(1, 3, 5, 5)),
		 w = net_random(g, "w", SHAPE(3, 3, 3, 3), -1);
	uint32_t a = net_node(g, "Conv", "a", INS(x, w)), b = net_node(g, "Conv", "b", INS(x, w));
	uint32_t c = net_node(g, "Conv", "c", INS(x, w));

	net_output(g, net_bn(g, "bn_a", a, 3));
	net_output(g, net_bn(g, "bn_b", b, 3));
	net_output(g, c);
}

static void shared_checked(const struct finf_graph *g)
{
	ck_assert_str_eq(g->values[net_maker(g, "bn_a")->in[1]].name, "w.bn");
	ck_assert_str_eq(g->values[net_maker(g, "bn_b")->in[1]].name, "w.bn.2");
	ck_assert_str_eq(g->values[net_maker(g, "bn_b")->in[2]].name, "w.bn.bias.2");
	ck_assert_str_eq(g->values[net_maker(g, "c")->in[1]].name, "w");
}

static void folded_act(struct finf_graph *g)
{
	uint32_t bn = net_bn(g, "bn", net_conv(g, "conv", net_input(g, "x", X), 3, false), 3);

	g->nodes[g->values[bn].producer].act = FINF_ACT_LEAKY;
	g->nodes[g->values[bn].producer].act_a = 0.5f;
	net_output(g, bn);
}

static void act_kept(const struct finf_graph *g)
{
	ck_assert_int_eq(net_maker(g, "bn")->act, FINF_ACT_LEAKY);
	ck_assert(net_maker(g, "bn")->act_a == 0.5f);
}

/* ---- where it must not fire ---- */

static void two_readers(struct finf_graph *g)
{
	uint32_t conv = net_conv(g, "conv", net_input(g, "x", X), 3, false);

	net_output(g, net_node(g, "Add", "sum", INS(conv, net_bn(g, "bn", conv, 3))));
}

static void conv_is_output(struct finf_graph *g)
{
	uint32_t conv = net_conv(g, "conv", net_input(g, "x", X), 3, false);

	net_output(g, conv);
	net_output(g, net_bn(g, "bn", conv, 3));
}

static void after_nothing(struct finf_graph *g)
{
	net_output(g, net_bn(g, "bn", net_input(g, "x", X), 3));
}

static void after_pool(struct finf_graph *g)
{
	net_output(g, net_bn(g, "bn",
			     net_node(g, "GlobalAveragePool", "p", INS(net_input(g, "x", X))), 3));
}

static void activation_between(struct finf_graph *g)
{
	uint32_t conv = net_conv(g, "conv", net_input(g, "x", X), 3, false);

	g->nodes[g->values[conv].producer].act = FINF_ACT_RELU;
	net_output(g, net_bn(g, "bn", conv, 3));
}

static void weight_is_input(struct finf_graph *g)
{
	uint32_t x = net_input(g, "x", SHAPE(1, 3, 5, 5)), w = net_input(g, "w", SHAPE(3, 3, 3, 3));

	net_output(g, net_bn(g, "bn", net_node(g, "Conv", "conv", INS(x, w)), 3));
}

static void bias_is_input(struct finf_graph *g)
{
	uint32_t x = net_input(g, "x", SHAPE(1, 3, 5, 5)),
		 w = net_random(g, "w", SHAPE(3, 3, 3, 3), -1);
	uint32_t b = net_input(g, "b", SHAPE(3));

	net_output(g, net_bn(g, "bn", net_node(g, "Conv", "conv", INS(x, w, b)), 3));
}

static void scale_is_input(struct finf_graph *g)
{
	uint32_t conv = net_conv(g, "conv", net_input(g, "x", X), 3, false);
	uint32_t scale = net_input(g, "scale", SHAPE(3)), k = net_random(g, "k", SHAPE(3), 0.5f);

	net_output(g, net_node(g, "BatchNormalization", "bn", INS(conv, scale, k, k, k)));
}

static void deviation_zero(struct finf_graph *g)
{
	const struct finf_attr epsilon = {.name = "epsilon", .type = FINF_ATTR_FLOAT, .f = 0};
	uint32_t conv = net_conv(g, "conv", net_input(g, "x", X), 3, false);
	uint32_t k = net_random(g, "k", SHAPE(3), 0.5f);
	uint32_t zero = net_const(g, "zero", FINF_F32, SHAPE(3), (float[]){1, 0, 1});
	uint32_t bn = net_node_with(g, "BatchNormalization", "bn", &epsilon, 1, OPSET,
				    INS(conv, k, k, k, zero));
	uint32_t low = net_const(g, "low", FINF_F32, SHAPE(1), (float[]){-1e3f});
	uint32_t high = net_const(g, "high", FINF_F32, SHAPE(1), (float[]){1e3f});

	net_output(g, net_node(g, "Clip", "y", INS(bn, low, high)));
}

static const struct net_row rows[] = {
	{"a Conv without bias", plain, 1, NULL},
	{"a Conv with bias", with_bias, 1, NULL},
	{"groups, two outputs each", depthwise, 1, NULL},
	{"one after the other", chain, 2, NULL},
	{"two norms in a row", two_norms, 2, NULL},
	{"a weight that three share is copied", shared_weight, 2, shared_checked},
	{"the norm's activation moves", folded_act, 1, act_kept},
	{"not: the Conv has two readers", two_readers, 0, NULL},
	{"not: the Conv is an output", conv_is_output, 0, NULL},
	{"not: nothing before", after_nothing, 0, NULL},
	{"not: a pool before", after_pool, 0, NULL},
	{"not: an activation between", activation_between, 0, NULL},
	{"not: the weight is an input", weight_is_input, 0, NULL},
	{"not: the bias is an input", bias_is_input, 0, NULL},
	{"not: the scale is an input", scale_is_input, 0, NULL},
	{"not: division by zero", deviation_zero, 0, NULL},
};

NET_ROWS_TEST("conv+bn")

/* By hand: f = 3 / sqrt(4) = 1.5, W' = 2 * 1.5, B' = (1 - 5) * 1.5 + 7. */
START_TEST(test_by_hand)
{
	const struct finf_attr epsilon = {.name = "epsilon", .type = FINF_ATTR_FLOAT, .f = 0};
	struct finf_graph *g = net_new();
	uint32_t x = net_input(g, "x", SHAPE(1, 1, 1, 2));
	uint32_t w = net_const(g, "w", FINF_F32, SHAPE(1, 1, 1, 1), (float[]){2});
	uint32_t b = net_const(g, "b", FINF_F32, SHAPE(1), (float[]){1});
	uint32_t scale = net_const(g, "s", FINF_F32, SHAPE(1), (float[]){3});
	uint32_t bias = net_const(g, "o", FINF_F32, SHAPE(1), (float[]){7});
	uint32_t mean = net_const(g, "m", FINF_F32, SHAPE(1), (float[]){5});
	uint32_t var = net_const(g, "v", FINF_F32, SHAPE(1), (float[]){4});
	uint32_t conv = net_node(g, "Conv", "conv", INS(x, w, b));

	net_output(g, net_node_with(g, "BatchNormalization", "y", &epsilon, 1, OPSET,
				    INS(conv, scale, bias, mean, var)));
	net_pass(g, net_pass_named("conv+bn"), 1);
	ck_assert(*(const float *)g->values[net_value(g, "w.bn")].data == 3);
	ck_assert(*(const float *)g->values[net_value(g, "w.bn.bias")].data == 1);
	/* What nobody reads any more is gone. */
	ck_assert(!finf_graph_find(g, "w", &x) && !finf_graph_find(g, "v", &x));
	finf_graph_free(g);
}
END_TEST

/* Constants whose bytes are elsewhere cannot be computed with. */
START_TEST(test_bytes_elsewhere)
{
	struct finf_graph *g = net_new();
	struct finf_diag diag;
	uint32_t changes = 77;

	plain(g);
	net_ready(g);
	g->values[net_value(g, "conv.w")].data = NULL;
	ck_assert_int_eq(finf_fuse_pass_run(net_pass_named("conv+bn"), g, &changes, &diag), 0);
	ck_assert_uint_eq(changes, 0);
	ck_assert_uint_eq(g->n_nodes, 2);
	finf_graph_free(g);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("fuse/convbn");
	TCase *tcase = net_tcase("conv+bn");

	tcase_add_loop_test(tcase, test_row, 0, FINF_ARRAY_LEN(rows));
	tcase_add_test(tcase, test_by_hand);
	tcase_add_test(tcase, test_bytes_elsewhere);
	suite_add_tcase(suite, tcase);
	return suite;
}
