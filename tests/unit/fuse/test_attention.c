/* SPDX-License-Identifier: MIT */
/* fuse: two products with a Softmax between them become one node. */
#include <math.h>

#include "tests/unit/fuse/net.h"

/* ---- parts --------------------------------------------------------------------------- */

static uint32_t transposed(struct finf_graph *g, const char *name, uint32_t x, const int64_t *perm,
			   uint32_t n)
{
	const struct finf_attr attr = {
		.name = "perm", .type = FINF_ATTR_INTS, .n = n, .ints = (int64_t *)(uintptr_t)perm};

	return net_node_with(g, "Transpose", name, &attr, 1, OPSET, INS(x));
}

#define PERM(...) (const int64_t[]){__VA_ARGS__}, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)

static uint32_t softmax(struct finf_graph *g, uint32_t x, int64_t axis, uint32_t opset)
{
	const struct finf_attr attr = {.name = "axis", .type = FINF_ATTR_INT, .i = axis};

	return net_node_with(g, "Softmax", "p", &attr, 1, opset, INS(x));
}

/* Scores of two heads of three queries and four keys. */
static uint32_t scores(struct finf_graph *g)
{
	return net_node(
		g, "MatMul", "s",
		INS(net_input(g, "q", SHAPE(1, 2, 3, 5)), net_input(g, "k", SHAPE(1, 2, 5, 4))));
}

static uint32_t fused_scores(struct finf_graph *g, uint32_t mask)
{
	const struct finf_attr alpha = {.name = "alpha", .type = FINF_ATTR_FLOAT, .f = 0.25f};
	uint32_t in[3] = {net_input(g, "q", SHAPE(1, 2, 3, 5)),
			  net_input(g, "k", SHAPE(1, 2, 5, 4)), mask};

	return net_node_with(g, "FusedMatMul", "s", &alpha, 1, FINF_OPSET_OWN, in,
			     mask == FINF_NONE ? 2 : 3);
}

static uint32_t weighed(struct finf_graph *g, uint32_t weights)
{
	return net_node(g, "MatMul", "y", INS(weights, net_input(g, "v", SHAPE(1, 2, 4, 6))));
}

static const struct finf_node *is_attention(const struct finf_graph *g, uint32_t n_in, float alpha)
{
	const struct finf_node *node = net_maker(g, "y");

	ck_assert_str_eq(node->op->name, "FusedAttention");
	ck_assert_uint_eq(node->n_in, n_in);
	ck_assert_float_eq(finf_node_float(node, "alpha", 77), alpha);
	return node;
}

static void has_perm(const struct finf_node *node, const char *name, const int64_t *perm,
		     uint32_t n)
{
	uint32_t n_own;
	const int64_t *own = finf_node_ints(node, name, &n_own);

	ck_assert_msg(own, "no %s", name);
	ck_assert_uint_eq(n_own, n);
	ck_assert_mem_eq(own, perm, n * sizeof(*perm));
}

/* ---- what becomes one ------------------------------------------------------------------- */

static void bare(struct finf_graph *g)
{
	net_output(g, weighed(g, softmax(g, scores(g), -1, 13)));
}

static void is_bare(const struct finf_graph *g)
{
	ck_assert_uint_eq(g->n_nodes, 1);
	ck_assert_uint_eq(is_attention(g, 3, 1)->n_attrs, 1);
}

static void older_softmax(struct finf_graph *g)
{
	net_output(g, weighed(g, softmax(g, scores(g), 3, 11)));
}

static void scaled(struct finf_graph *g)
{
	net_output(g, weighed(g, softmax(g, fused_scores(g, FINF_NONE), 3, 13)));
}

static void is_scaled(const struct finf_graph *g)
{
	is_attention(g, 3, 0.25f);
}

static void masked(struct finf_graph *g)
{
	uint32_t mask = net_input(g, "m", SHAPE(1, 1, 1, 4));

	net_output(g, weighed(g, softmax(g, fused_scores(g, mask), -1, 13)));
}

static void is_masked(const struct finf_graph *g)
{
	ck_assert_uint_eq(is_attention(g, 4, 0.25f)->in[3], net_value(g, "m"));
}

/* A decoder: what comes later is not seen. */
static void causal(struct finf_graph *g)
{
	static const float mask[] = {0,		-INFINITY, -INFINITY, -INFINITY, 0, 0,
				     -INFINITY, -INFINITY, 0,	      0,	 0, -INFINITY};

	net_output(
		g,
		weighed(g,
			softmax(g, fused_scores(g, net_const(g, "m", FINF_F32, SHAPE(3, 4), mask)),
				-1, 13)));
}

/* As encoders are exported: heads are made by Transposes, keys by another order of them. */
static void heads(struct finf_graph *g)
{
	uint32_t x = net_input(g, "x", SHAPE(2, 3, 2, 5));
	uint32_t q = transposed(g, "tq", x, PERM(0, 2, 1, 3));
	uint32_t k = transposed(g, "tk", net_input(g, "k", SHAPE(2, 4, 2, 5)), PERM(0, 2, 3, 1));
	uint32_t v = transposed(g, "tv", net_input(g, "v", SHAPE(2, 4, 2, 6)), PERM(0, 2, 1, 3));
	uint32_t p = softmax(g, net_node(g, "MatMul", "s", INS(q, k)), -1, 13);
	uint32_t y = net_node(g, "MatMul", "z", INS(p, v));

	net_output(g, transposed(g, "y", y, PERM(0, 2, 1, 3)));
}

static void has_heads(const struct finf_graph *g)
{
	const struct finf_node *node = is_attention(g, 3, 1);

	ck_assert_uint_eq(g->n_nodes, 1);
	has_perm(node, "perm_q", PERM(0, 2, 1, 3));
	has_perm(node, "perm_k", PERM(0, 2, 3, 1));
	has_perm(node, "perm_v", PERM(0, 2, 1, 3));
	has_perm(node, "perm_y", PERM(0, 2, 1, 3));
}

/* Vision transformers: one product for all three, one Transpose for heads, one for the keys. */
static void keys_transposed_twice(struct finf_graph *g)
{
	uint32_t k = transposed(g, "t1", net_input(g, "k", SHAPE(4, 2, 5)), PERM(1, 0, 2));
	uint32_t s = net_node(
		g, "MatMul", "s",
		INS(net_input(g, "q", SHAPE(2, 3, 5)), transposed(g, "t2", k, PERM(0, 2, 1))));

	net_output(g, net_node(g, "MatMul", "y",
			       INS(softmax(g, s, -1, 13), net_input(g, "v", SHAPE(2, 4, 6)))));
}

static void has_both(const struct finf_graph *g)
{
	ck_assert_uint_eq(g->n_nodes, 1);
	has_perm(is_attention(g, 3, 1), "perm_k", PERM(1, 2, 0));
}

/* ---- what stays ------------------------------------------------------------------------- */

static void transpose_has_readers(struct finf_graph *g)
{
	uint32_t q = transposed(g, "tq", net_input(g, "x", SHAPE(1, 3, 2, 5)), PERM(0, 2, 1, 3));
	uint32_t s = net_node(g, "MatMul", "s", INS(q, net_input(g, "k", SHAPE(1, 2, 5, 4))));

	net_output(g, weighed(g, softmax(g, s, -1, 13)));
	net_output(g, net_node(g, "Relu", "z", INS(q)));
}

/* Elements of a row of neither would be neighbours. */
static void transposes_scatter(struct finf_graph *g)
{
	uint32_t q = transposed(g, "tq", net_input(g, "x", SHAPE(2, 3, 5, 1)), PERM(3, 0, 1, 2));
	uint32_t v = transposed(g, "tv", net_input(g, "v", SHAPE(4, 6, 2)), PERM(2, 0, 1));
	uint32_t s = net_node(g, "MatMul", "s", INS(q, net_input(g, "k", SHAPE(1, 2, 5, 4))));
	uint32_t y = net_node(g, "MatMul", "o", INS(softmax(g, s, -1, 13), v));

	net_output(g, transposed(g, "y", y, PERM(0, 2, 3, 1)));
}

static void has_three(const struct finf_graph *g)
{
	ck_assert_uint_eq(net_count(g, "Transpose"), 3);
	ck_assert_uint_eq(g->n_nodes, 4);
}

static void along_queries(struct finf_graph *g)
{
	net_output(g, weighed(g, softmax(g, scores(g), 2, 13)));
}

static void of_whole_matrices(struct finf_graph *g)
{
	net_output(g, weighed(g, softmax(g, scores(g), 2, 11)));
}

static void weights_are_read(struct finf_graph *g)
{
	uint32_t p = softmax(g, scores(g), -1, 13);

	net_output(g, weighed(g, p));
	net_output(g, p);
}

static void scores_are_read(struct finf_graph *g)
{
	uint32_t s = scores(g);

	net_output(g, weighed(g, softmax(g, s, -1, 13)));
	net_output(g, net_node(g, "Relu", "z", INS(s)));
}

static void activation_on_top(struct finf_graph *g)
{
	uint32_t y = weighed(g, softmax(g, scores(g), -1, 13));

	g->nodes[g->values[y].producer].act = FINF_ACT_RELU;
	net_output(g, y);
}

static void weights_are_right(struct finf_graph *g)
{
	net_output(g, net_node(g, "MatMul", "y",
			       INS(net_input(g, "v", SHAPE(1, 2, 6, 3)),
				   softmax(g, scores(g), -1, 13))));
}

static const struct net_row rows[] = {
	{"bare", bare, 2, is_bare},
	{"an older Softmax", older_softmax, 2, is_bare},
	{"a scale", scaled, 2, is_scaled},
	{"a mask", masked, 2, is_masked},
	{"a causal mask", causal, 2, is_masked},
	{"heads", heads, 6, has_heads},
	{"keys transposed twice", keys_transposed_twice, 4, has_both},
	{"a Transpose that others read", transpose_has_readers, 2, NULL},
	{"Transposes that scatter", transposes_scatter, 2, has_three},
	{"not: along queries", along_queries, 0, NULL},
	{"not: of whole matrices", of_whole_matrices, 0, NULL},
	{"not: weights are an output", weights_are_read, 0, NULL},
	{"not: scores are read", scores_are_read, 0, NULL},
	{"not: an activation", activation_on_top, 0, NULL},
	{"not: weights on the right", weights_are_right, 0, NULL},
};

NET_ROWS_TEST("attention")

/* ---- whole layers, all passes --------------------------------------------------------------- */

static uint32_t reshaped(struct finf_graph *g, const char *name, uint32_t x, const int64_t *dim,
			 uint32_t n)
{
	char text[32];

	snprintf(text, sizeof(text), "%s.dims", name);
	return net_node(g, "Reshape", name,
			INS(x, net_const(g, text, FINF_I64, SHAPE((int64_t)n), dim)));
}

static uint32_t linear(struct finf_graph *g, const char *name, uint32_t x)
{
	char text[32];
	uint32_t y;

	snprintf(text, sizeof(text), "%s.w", name);
	y = net_node(g, "MatMul", name, INS(x, net_random(g, text, SHAPE(8, 8), -1)));
	snprintf(text, sizeof(text), "%s.b", name);
	x = net_random(g, text, SHAPE(8), -1);
	snprintf(text, sizeof(text), "%s.sum", name);
	return net_node(g, "Add", text, INS(y, x));
}

/* Self-attention with two heads over x of @batch x @length x 8. @mask: FINF_NONE = none. */
static uint32_t layer(struct finf_graph *g, uint32_t x, uint32_t mask)
{
	static const int64_t split[] = {0, 0, 2, 4}, whole[] = {0, 0, 8};
	const float scale = 2;
	uint32_t q = reshaped(g, "q4", linear(g, "q", x), split, 4);
	uint32_t k = reshaped(g, "k4", linear(g, "k", x), split, 4);
	uint32_t v = reshaped(g, "v4", linear(g, "v", x), split, 4);
	uint32_t s;

	q = transposed(g, "tq", q, PERM(0, 2, 1, 3));
	k = transposed(g, "tk", k, PERM(0, 2, 3, 1));
	v = transposed(g, "tv", v, PERM(0, 2, 1, 3));
	s = net_node(g, "Div", "scaled",
		     INS(net_node(g, "MatMul", "s", INS(q, k)),
			 net_const(g, "scale", FINF_F32, (struct finf_shape){0}, &scale)));
	if (mask != FINF_NONE)
		s = net_node(g, "Add", "masked", INS(s, mask));
	v = net_node(g, "MatMul", "o", INS(softmax(g, s, -1, 13), v));
	v = reshaped(g, "o3", transposed(g, "to", v, PERM(0, 2, 1, 3)), whole, 3);
	return net_node(g, "Add", "y", INS(linear(g, "out", v), x));
}

/* Nothing but the attention is between the linear layers; the answers stay. */
static void check_layer(struct finf_graph *g, uint32_t n_in)
{
	struct finf_tensor before[NET_PORTS], after[NET_PORTS];
	struct finf_diag diag;
	const struct finf_node *node = NULL;

	net_ready(g);
	net_run(g, before);
	ck_assert_msg(!finf_fuse_run(g, NULL, &diag), "%s", diag.text);
	ck_assert_uint_eq(net_count(g, "Transpose"), 0);
	ck_assert_uint_eq(net_count(g, "Softmax"), 0);
	ck_assert_uint_eq(net_count(g, "FusedAttention"), 1);
	for (uint32_t i = 0; i < g->n_nodes; i++)
		if (!strcmp(g->nodes[i].op->name, "FusedAttention"))
			node = &g->nodes[i];
	ck_assert_uint_eq(node->n_in, n_in);
	ck_assert_float_eq(finf_node_float(node, "alpha", 77), 0.5f);
	net_run(g, after);
	net_same(before, after, g->n_outputs);
	interp_free(before, g->n_outputs);
	interp_free(after, g->n_outputs);
	finf_graph_free(g);
}

START_TEST(test_encoder)
{
	struct finf_graph *g = net_new();
	uint32_t mask = net_node(g, "Relu", "m", INS(net_input(g, "mask", SHAPE(2, 1, 1, 5))));

	net_output(g, layer(g, net_input(g, "x", SHAPE(2, 5, 8)), mask));
	check_layer(g, 4);
}
END_TEST

START_TEST(test_decoder)
{
	struct finf_graph *g = net_new();
	float mask[25];

	for (int i = 0; i < 25; i++)
		mask[i] = i % 5 > i / 5 ? -INFINITY : 0;
	net_output(g, layer(g, net_input(g, "x", SHAPE(2, 5, 8)),
			    net_const(g, "mask", FINF_F32, SHAPE(1, 1, 5, 5), mask)));
	check_layer(g, 4);
}
END_TEST

START_TEST(test_vision)
{
	struct finf_graph *g = net_new();

	net_output(g, layer(g, net_input(g, "x", SHAPE(1, 17, 8)), FINF_NONE));
	check_layer(g, 3);
}
END_TEST

/* What the extents of x and mask are is said with the request; they need not be the same. */
START_TEST(test_unknown_extents)
{
	static const struct {
		struct finf_shape x, mask;
	} asked[] = {
		{SHAPE(2, 5, 8), SHAPE(2, 1, 1, 5)}, {SHAPE(1, 3, 8), SHAPE(1, 1, 1, 3)},
		{SHAPE(2, 5, 8), SHAPE(1, 1, 5, 5)}, {SHAPE(2, 5, 8), SHAPE(1, 1, 1, 1)},
		{SHAPE(1, 5, 8), SHAPE(2, 1, 1, 5)}, {SHAPE(1, 1, 8), SHAPE(1, 1, 3, 1)},
	};

	for (size_t i = 0; i < FINF_ARRAY_LEN(asked); i++) {
		struct finf_graph *graphs[2];
		struct finf_tensor out[2][NET_PORTS];
		struct finf_diag diag;

		for (int fused = 0; fused < 2; fused++) {
			struct finf_graph *g = net_new(), *bound;
			uint32_t x = net_input(g, "x", SHAPE(FINF_DIM_ANY, FINF_DIM_ANY, 8));
			uint32_t mask = net_input(
				g, "mask", SHAPE(FINF_DIM_ANY, 1, FINF_DIM_ANY, FINF_DIM_ANY));
			struct finf_shape shapes[2] = {asked[i].x, asked[i].mask};

			graphs[fused] = g;
			net_output(g, layer(g, x, mask));
			net_ready(g);
			if (fused)
				ck_assert_msg(!finf_fuse_run(g, NULL, &diag), "%s", diag.text);
			ck_assert_uint_eq(net_count(g, "FusedAttention"), (uint32_t)fused);
			ck_assert_msg(!finf_graph_bind(g, shapes, &bound, &diag), "%s", diag.text);
			net_run(bound, out[fused]);
			finf_graph_free(bound);
		}
		net_same(out[0], out[1], 1);
		for (int fused = 0; fused < 2; fused++) {
			interp_free(out[fused], 1);
			finf_graph_free(graphs[fused]);
		}
	}
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("fuse/attention");
	TCase *tcase = net_tcase("attention");

	tcase_add_loop_test(tcase, test_row, 0, FINF_ARRAY_LEN(rows));
	tcase_add_test(tcase, test_encoder);
	tcase_add_test(tcase, test_decoder);
	tcase_add_test(tcase, test_vision);
	tcase_add_test(tcase, test_unknown_extents);
	suite_add_tcase(suite, tcase);
	return suite;
}
