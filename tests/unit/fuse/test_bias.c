/* SPDX-License-Identifier: MIT */
/* fuse: a constant row into the product before. */
#include "tests/unit/fuse/net.h"

static uint32_t matmul(struct finf_graph *g)
{
	return net_node(g, "MatMul", "p",
			INS(net_input(g, "x", SHAPE(2, 3)), net_random(g, "w", SHAPE(3, 4), -1)));
}

static uint32_t gemm(struct finf_graph *g, const struct finf_attr *attrs, uint32_t n_attrs)
{
	return net_node_with(
		g, "Gemm", "p", attrs, n_attrs, OPSET,
		INS(net_input(g, "x", SHAPE(2, 3)), net_random(g, "w", SHAPE(3, 4), -1)));
}

static void on_the_right(struct finf_graph *g)
{
	net_output(g, net_node(g, "Add", "y", INS(matmul(g), net_random(g, "b", SHAPE(4), -1))));
}

static void on_the_left(struct finf_graph *g)
{
	net_output(g, net_node(g, "Add", "y", INS(net_random(g, "b", SHAPE(1, 4), -1), matmul(g))));
}

static void into_gemm(struct finf_graph *g)
{
	const struct finf_attr alpha = {.name = "alpha", .type = FINF_ATTR_FLOAT, .f = 0.5f};

	net_output(g, net_node(g, "Add", "y",
			       INS(gemm(g, &alpha, 1), net_random(g, "b", SHAPE(4), -1))));
}

static void activation_moves(struct finf_graph *g)
{
	uint32_t y = net_node(g, "Add", "y", INS(matmul(g), net_random(g, "b", SHAPE(4), -1)));

	g->nodes[g->values[y].producer].act = FINF_ACT_RELU;
	net_output(g, y);
}

static void is_gemm(const struct finf_graph *g)
{
	ck_assert_str_eq(net_maker(g, "y")->op->name, "Gemm");
	ck_assert_uint_eq(net_maker(g, "y")->n_in, 3);
}

static void act_kept(const struct finf_graph *g)
{
	is_gemm(g);
	ck_assert_int_eq(net_maker(g, "y")->act, FINF_ACT_RELU);
}

static void two_readers(struct finf_graph *g)
{
	uint32_t p = matmul(g),
		 sum = net_node(g, "Add", "s", INS(p, net_random(g, "b", SHAPE(4), -1)));

	net_output(g, net_node(g, "Mul", "y", INS(sum, p)));
}

static void product_is_output(struct finf_graph *g)
{
	uint32_t p = matmul(g);

	net_output(g, p);
	net_output(g, net_node(g, "Add", "y", INS(p, net_random(g, "b", SHAPE(4), -1))));
}

static void row_is_input(struct finf_graph *g)
{
	net_output(g, net_node(g, "Add", "y", INS(matmul(g), net_input(g, "b", SHAPE(4)))));
}

static void column(struct finf_graph *g)
{
	net_output(g, net_node(g, "Add", "y", INS(matmul(g), net_random(g, "b", SHAPE(2, 1), -1))));
}

static void matrix(struct finf_graph *g)
{
	net_output(g, net_node(g, "Add", "y", INS(matmul(g), net_random(g, "b", SHAPE(2, 4), -1))));
}

static void third_dimension(struct finf_graph *g)
{
	net_output(g,
		   net_node(g, "Add", "y", INS(matmul(g), net_random(g, "b", SHAPE(1, 1, 4), -1))));
}

static void batches(struct finf_graph *g)
{
	uint32_t x = net_input(g, "x", SHAPE(2, 2, 3)), w = net_random(g, "w", SHAPE(3, 4), -1);
	uint32_t p = net_node(g, "MatMul", "p", INS(x, w));

	net_output(g, net_node(g, "Add", "y", INS(p, net_random(g, "b", SHAPE(4), -1))));
}

static void gemm_has_bias(struct finf_graph *g)
{
	uint32_t x = net_input(g, "x", SHAPE(2, 3)), w = net_random(g, "w", SHAPE(3, 4), -1);
	uint32_t p = net_node(g, "Gemm", "p", INS(x, w, net_random(g, "c", SHAPE(4), -1)));

	net_output(g, net_node(g, "Add", "y", INS(p, net_random(g, "b", SHAPE(4), -1))));
}

static void gemm_has_beta(struct finf_graph *g)
{
	const struct finf_attr beta = {.name = "beta", .type = FINF_ATTR_FLOAT, .f = 2};

	net_output(g, net_node(g, "Add", "y",
			       INS(gemm(g, &beta, 1), net_random(g, "b", SHAPE(4), -1))));
}

static void activation_between(struct finf_graph *g)
{
	uint32_t p = matmul(g);

	g->nodes[g->values[p].producer].act = FINF_ACT_RELU;
	net_output(g, net_node(g, "Add", "y", INS(p, net_random(g, "b", SHAPE(4), -1))));
}

static void other_operation(struct finf_graph *g)
{
	net_output(g, net_node(g, "Sub", "y", INS(matmul(g), net_random(g, "b", SHAPE(4), -1))));
}

static const struct net_row rows[] = {
	{"a row on the right", on_the_right, 1, is_gemm},
	{"a row on the left, of two dimensions", on_the_left, 1, is_gemm},
	{"a Gemm without C", into_gemm, 1, is_gemm},
	{"the sum's activation moves", activation_moves, 1, act_kept},
	{"not: two readers", two_readers, 0, NULL},
	{"not: the product is an output", product_is_output, 0, NULL},
	{"not: the row is an input", row_is_input, 0, NULL},
	{"not: a column", column, 0, NULL},
	{"not: a matrix", matrix, 0, NULL},
	{"not: a third dimension", third_dimension, 0, NULL},
	{"not: batches", batches, 0, NULL},
	{"not: a Gemm with C", gemm_has_bias, 0, NULL},
	{"not: a Gemm with beta", gemm_has_beta, 0, NULL},
	{"not: an activation between", activation_between, 0, NULL},
	{"not: a difference", other_operation, 0, NULL},
};

NET_ROWS_TEST("bias")

Suite *test_suite(void)
{
	Suite *suite = suite_create("fuse/bias");
	TCase *tcase = net_tcase("bias");

	tcase_add_loop_test(tcase, test_row, 0, FINF_ARRAY_LEN(rows));
	suite_add_tcase(suite, tcase);
	return suite;
}
