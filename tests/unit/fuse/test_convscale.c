/* SPDX-License-Identifier: MIT */
/* fuse: constants per channel into the Conv before. */
#include "tests/unit/fuse/net.h"

#define X SHAPE(2, 3, 4, 5)

static uint32_t conv(struct finf_graph *g, bool bias)
{
	return net_conv(g, "conv", net_input(g, "x", X), 3, bias);
}

/* Conv @op constant of @shape, or the other way round. */
static void build(struct finf_graph *g, const char *op, bool bias, struct finf_shape shape,
		  bool swapped)
{
	uint32_t c = conv(g, bias), k = net_random(g, "k", shape, 0.5f);

	net_output(g, net_node(g, op, "y", INS(swapped ? k : c, swapped ? c : k)));
}

static void is_conv(const struct finf_graph *g)
{
	ck_assert_uint_eq(g->n_nodes, 1);
	ck_assert_str_eq(g->nodes[0].op->name, "Conv");
	ck_assert_uint_eq(g->nodes[0].n_in, 3);
}

/* A weight that nothing is multiplied with is still the model's. */
static void weight_kept(const struct finf_graph *g)
{
	is_conv(g);
	ck_assert_str_eq(g->values[g->nodes[0].in[1]].name, "conv.w");
}

static void weight_scaled(const struct finf_graph *g)
{
	is_conv(g);
	ck_assert_str_eq(g->values[g->nodes[0].in[1]].name, "conv.w.scaled");
}

static void add(struct finf_graph *g)
{
	build(g, "Add", false, SHAPE(3, 1, 1), false);
}

static void add_in_front(struct finf_graph *g)
{
	build(g, "Add", true, SHAPE(1, 3, 1, 1), true);
}

static void sub(struct finf_graph *g)
{
	build(g, "Sub", true, SHAPE(3, 1, 1), false);
}

static void mul(struct finf_graph *g)
{
	build(g, "Mul", true, SHAPE(3, 1, 1), false);
}

static void mul_one(struct finf_graph *g)
{
	build(g, "Mul", false, SHAPE(1), true);
}

static void div_by(struct finf_graph *g)
{
	build(g, "Div", true, SHAPE(1, 3, 1, 1), false);
}

static void mul_then_add(struct finf_graph *g)
{
	uint32_t scaled = net_node(g, "Mul", "scaled",
				   INS(conv(g, false), net_random(g, "f", SHAPE(3, 1, 1), -1)));
	uint32_t y = net_node(g, "Add", "y", INS(scaled, net_random(g, "s", SHAPE(3, 1, 1), -1)));

	g->nodes[g->values[y].producer].act = FINF_ACT_RELU;
	net_output(g, y);
}

static void act_moved(const struct finf_graph *g)
{
	is_conv(g);
	ck_assert_int_eq(g->nodes[0].act, FINF_ACT_RELU);
}

static void sub_from(struct finf_graph *g)
{
	build(g, "Sub", true, SHAPE(3, 1, 1), true);
}

static void along_columns(struct finf_graph *g)
{
	build(g, "Mul", true, SHAPE(5), false);
}

static void whole_plane(struct finf_graph *g)
{
	build(g, "Add", true, SHAPE(3, 4, 5), false);
}

static void more_dimensions(struct finf_graph *g)
{
	build(g, "Add", true, SHAPE(1, 1, 3, 1, 1), false);
}

static void by_zero(struct finf_graph *g)
{
	const float zero[] = {1, 0, 1};
	uint32_t k = net_const(g, "k", FINF_F32, SHAPE(3, 1, 1), zero);

	net_output(g,
		   net_node(g, "Relu", "y", INS(net_node(g, "Div", "d", INS(conv(g, true), k)))));
}

static void two_readers(struct finf_graph *g)
{
	uint32_t c = conv(g, true);

	net_output(g, net_node(g, "Add", "y", INS(c, net_random(g, "k", SHAPE(3, 1, 1), -1))));
	net_output(g, c);
}

static const struct net_row rows[] = {
	{"added", add, 1, weight_kept},
	{"added in front, and a bias", add_in_front, 1, weight_kept},
	{"subtracted", sub, 1, weight_kept},
	{"multiplied", mul, 1, weight_scaled},
	{"multiplied by one number", mul_one, 1, weight_scaled},
	{"divided", div_by, 1, weight_scaled},
	{"multiplied, added, activated", mul_then_add, 2, act_moved},
	{"not: subtracted from", sub_from, 0, NULL},
	{"not: along columns", along_columns, 0, NULL},
	{"not: for each cell", whole_plane, 0, NULL},
	{"not: more dimensions", more_dimensions, 0, NULL},
	{"not: two readers", two_readers, 0, NULL},
};

NET_ROWS_TEST("conv+scale")

/* Division by 0 is left to run time, which says the same at least. */
START_TEST(test_by_zero)
{
	struct finf_graph *g = net_new();
	struct finf_diag diag;
	uint32_t changes = 77;

	by_zero(g);
	net_ready(g);
	ck_assert_int_eq(finf_fuse_pass_run(net_pass_named("conv+scale"), g, &changes, &diag), 0);
	ck_assert_uint_eq(changes, 0);
	finf_graph_free(g);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("fuse/convscale");
	TCase *tcase = net_tcase("convscale");

	tcase_add_loop_test(tcase, test_row, 0, FINF_ARRAY_LEN(rows));
	tcase_add_test(tcase, test_by_zero);
	suite_add_tcase(suite, tcase);
	return suite;
}
