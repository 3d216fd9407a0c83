/* SPDX-License-Identifier: MIT */
/* fuse: LayerNormalization spelled out in nine nodes becomes one. */
#include "tests/unit/fuse/net.h"

#define WIDTH 8

/* What a row of the table may do differently; 0 is as exporters do it. */
struct how {
	int64_t axis; /* 0 = the last */
	bool drop_dims, times, axes_input, left, row_of_one, fourth, other_mean, centre_read;
	bool scale_is_input, between;
};

static uint32_t mean(struct finf_graph *g, const char *name, uint32_t x, const struct how *how)
{
	const int64_t axis = how->axis ? how->axis : -1;
	const struct finf_attr attrs[] = {
		{.name = "keepdims", .type = FINF_ATTR_INT, .i = !how->drop_dims},
		{.name = "axes", .type = FINF_ATTR_INTS, .n = 1, .ints = &axis},
	};
	char text[16];

	if (!how->axes_input)
		return net_node_with(g, "ReduceMean", name, attrs, 2, OPSET, INS(x));
	snprintf(text, sizeof(text), "%s.axes", name);
	return net_node_with(g, "ReduceMean", name, attrs, 1, 18,
			     INS(x, net_const(g, text, FINF_I64, SHAPE(1), &axis)));
}

static uint32_t square(struct finf_graph *g, uint32_t c, const struct how *how)
{
	const float power = how->fourth ? 4 : 2;

	if (how->times)
		return net_node(g, "Mul", "s", INS(c, c));
	return net_node(g, "Pow", "s",
			INS(c, net_const(g, "two", FINF_F32, (struct finf_shape){0}, &power)));
}

static void build(struct finf_graph *g, const struct how *how)
{
	const float epsilon = 1e-3f;
	uint32_t x = net_input(g, "x", SHAPE(WIDTH, WIDTH, WIDTH)), m, c, v, y, w;

	m = mean(g, "m", how->other_mean ? net_input(g, "z", SHAPE(WIDTH, WIDTH, WIDTH)) : x, how);
	c = net_node(g, "Sub", "c", INS(x, m));
	v = mean(g, "v", square(g, c, how), how);
	v = net_node(g, "Add", "a",
		     INS(v, net_const(g, "eps", FINF_F32, (struct finf_shape){0}, &epsilon)));
	if (how->between)
		g->nodes[g->values[v].producer].act = FINF_ACT_RELU;
	y = net_node(g, "Div", "q", INS(c, net_node(g, "Sqrt", "r", INS(v))));
	w = how->scale_is_input ? net_input(g, "w", SHAPE(WIDTH))
				: net_random(g, "w", SHAPE(how->row_of_one ? 1 : WIDTH), 0.5f);
	y = how->left ? net_node(g, "Mul", "t", INS(w, y)) : net_node(g, "Mul", "t", INS(y, w));
	w = net_random(g, "b", SHAPE(WIDTH), -1);
	y = how->left ? net_node(g, "Add", "y", INS(w, y)) : net_node(g, "Add", "y", INS(y, w));
	net_output(g, y);
	if (how->centre_read)
		net_output(g, c);
}

#define ROW(name, ...)                                                                             \
	static void name(struct finf_graph *g)                                                     \
	{                                                                                          \
		build(g, &(const struct how){__VA_ARGS__});                                        \
	}

ROW(as_exported, .axis = 0)
ROW(last_by_number, .axis = 2)
ROW(by_product, .times = true)
ROW(axes_as_input, .axes_input = true)
ROW(constants_left, .left = true)
ROW(other_axis, .axis = 1)
ROW(without_dims, .drop_dims = true)
ROW(one_scale, .row_of_one = true)
ROW(fourth_power, .fourth = true)
ROW(other_mean, .other_mean = true)
ROW(centre_is_output, .centre_read = true)
ROW(scale_is_input, .scale_is_input = true)
ROW(activation_between, .between = true)

static void is_norm(const struct finf_graph *g)
{
	const struct finf_node *node = net_maker(g, "y");

	ck_assert_str_eq(node->op->name, "LayerNormalization");
	ck_assert_uint_eq(node->opset, 17);
	ck_assert_float_eq(finf_node_float(node, "epsilon", 0), 1e-3f);
	ck_assert_uint_eq(g->n_nodes, 1);
}

static const struct net_row rows[] = {
	{"as exporters spell it", as_exported, 8, is_norm},
	{"the last axis by its number", last_by_number, 8, is_norm},
	{"a product for the square", by_product, 8, is_norm},
	{"axes as an input", axes_as_input, 8, is_norm},
	{"constants on the left", constants_left, 8, is_norm},
	{"not: another axis", other_axis, 0, NULL},
	{"not: dimensions dropped", without_dims, 0, NULL},
	{"not: one scale for all", one_scale, 0, NULL},
	{"not: the fourth power", fourth_power, 0, NULL},
	{"not: the mean of something else", other_mean, 0, NULL},
	{"not: the centred value is an output", centre_is_output, 0, NULL},
	{"not: the scale is an input", scale_is_input, 0, NULL},
	{"not: an activation between", activation_between, 0, NULL},
};

NET_ROWS_TEST("layernorm")

Suite *test_suite(void)
{
	Suite *suite = suite_create("fuse/layernorm");
	TCase *tcase = net_tcase("layernorm");

	tcase_add_loop_test(tcase, test_row, 0, FINF_ARRAY_LEN(rows));
	suite_add_tcase(suite, tcase);
	return suite;
}
