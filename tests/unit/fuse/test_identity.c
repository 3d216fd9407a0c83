/* SPDX-License-Identifier: MIT */
/* fuse: Identity, Dropout, Pad by nothing and Cast to the same disappear. */
#include "tests/unit/fuse/net.h"

#define X SHAPE(2, 3)

static uint32_t relu(struct finf_graph *g, const char *name, uint32_t in)
{
	return net_node(g, "Relu", name, INS(in));
}

static uint32_t identity(struct finf_graph *g, const char *name, uint32_t in)
{
	return net_node(g, "Identity", name, INS(in));
}

static void between(struct finf_graph *g)
{
	net_output(g, relu(g, "y", identity(g, "i", relu(g, "a", net_input(g, "x", X)))));
}

static void several(struct finf_graph *g)
{
	net_output(g, relu(g, "y",
			   identity(g, "i",
				    identity(g, "j", identity(g, "k", net_input(g, "x", X))))));
}

static void output_keeps_name(struct finf_graph *g)
{
	net_output(g, identity(g, "y", relu(g, "a", net_input(g, "x", X))));
}

static void made_by_relu(const struct finf_graph *g)
{
	uint32_t gone;

	ck_assert_str_eq(net_maker(g, "y")->op->name, "Relu");
	ck_assert(!finf_graph_find(g, "a", &gone));
}

/* The input of the Identity has another reader, which reads the output then. */
static void output_and_reader(struct finf_graph *g)
{
	uint32_t a = relu(g, "a", net_input(g, "x", X));

	net_output(g, identity(g, "y", a));
	net_output(g, net_node(g, "Add", "z", INS(a, a)));
}

static void two_outputs_of_one(struct finf_graph *g)
{
	uint32_t a = relu(g, "a", net_input(g, "x", X));

	net_output(g, identity(g, "y", a));
	net_output(g, identity(g, "z", a));
}

static void input_to_output(struct finf_graph *g)
{
	net_output(g, identity(g, "y", net_input(g, "x", X)));
}

static void constant_to_output(struct finf_graph *g)
{
	net_input(g, "x", X);
	net_output(g, identity(g, "y", net_random(g, "k", X, -1)));
}

static void output_to_output(struct finf_graph *g)
{
	uint32_t a = relu(g, "a", net_input(g, "x", X));

	net_output(g, a);
	net_output(g, identity(g, "y", a));
}

static void with_activation(struct finf_graph *g)
{
	uint32_t i = identity(g, "i", net_input(g, "x", X));

	g->nodes[g->values[i].producer].act = FINF_ACT_RELU;
	net_output(g, net_node(g, "Sigmoid", "y", INS(i)));
}

static void dropout_attribute(struct finf_graph *g)
{
	const struct finf_attr ratio = {.name = "ratio", .type = FINF_ATTR_FLOAT, .f = 0.5f};
	uint32_t d = net_node_with(g, "Dropout", "d", &ratio, 1, 7, INS(net_input(g, "x", X)));

	net_output(g, relu(g, "y", d));
}

static void dropout_inputs(struct finf_graph *g)
{
	uint32_t x = net_input(g, "x", X);
	uint32_t ratio = net_const(g, "ratio", FINF_F32, (struct finf_shape){0}, (float[]){0.5f});
	uint32_t mode = net_const(g, "mode", FINF_BOOL, (struct finf_shape){0}, (uint8_t[]){0});

	net_output(g, relu(g, "y", net_node(g, "Dropout", "d", INS(x, ratio, mode))));
}

static void dropout_mask(struct finf_graph *g, bool mask_read)
{
	uint32_t x = net_input(g, "x", X), out[2];

	ck_assert_int_eq(finf_graph_value(g, "d", FINF_DTYPE_NONE, NULL, &out[0]), 0);
	ck_assert_int_eq(finf_graph_value(g, "mask", FINF_DTYPE_NONE, NULL, &out[1]), 0);
	ck_assert_int_eq(finf_graph_node(g, finf_op_find("Dropout"), OPSET, "drop", &x, 1, out, 2,
					 NULL, 0, NULL),
			 0);
	net_output(g, relu(g, "y", out[0]));
	if (mask_read)
		net_output(g, out[1]);
}

static void dropout_mask_unread(struct finf_graph *g)
{
	dropout_mask(g, false);
}

static void dropout_mask_read(struct finf_graph *g)
{
	dropout_mask(g, true);
}

static void pad(struct finf_graph *g, const int64_t pads[4])
{
	uint32_t given = net_const(g, "pads", FINF_I64, SHAPE(4), pads);

	net_output(g, relu(g, "y", net_node(g, "Pad", "p", INS(net_input(g, "x", X), given))));
}

static void pad_nothing(struct finf_graph *g)
{
	pad(g, (int64_t[]){0, 0, 0, 0});
}

static void pad_something(struct finf_graph *g)
{
	pad(g, (int64_t[]){0, 0, 0, 1});
}

static void pad_attribute(struct finf_graph *g)
{
	const struct finf_attr pads = {
		.name = "pads", .type = FINF_ATTR_INTS, .n = 4, .ints = (int64_t[]){0, 0, 0, 0}};

	net_output(g, relu(g, "y",
			   net_node_with(g, "Pad", "p", &pads, 1, 10,
					 INS(net_input(g, "x", X)))));
}

static void cast(struct finf_graph *g, int64_t to)
{
	const struct finf_attr attr = {.name = "to", .type = FINF_ATTR_INT, .i = to};

	net_output(g, net_node_with(g, "Cast", "y", &attr, 1, OPSET,
				    INS(relu(g, "a", net_input(g, "x", X)))));
}

static void cast_to_same(struct finf_graph *g)
{
	cast(g, 1);
}

static void cast_to_other(struct finf_graph *g)
{
	cast(g, 7);
}

static const struct net_row rows[] = {
	{"Pad by nothing", pad_nothing, 1, NULL},
	{"Pad by nothing, an attribute", pad_attribute, 1, NULL},
	{"Cast to the same dtype", cast_to_same, 1, made_by_relu},
	{"not: Pad by something", pad_something, 0, NULL},
	{"not: Cast to another dtype", cast_to_other, 0, NULL},
	{"between two nodes", between, 1, NULL},
	{"three in a row", several, 3, NULL},
	{"an output keeps its name", output_keeps_name, 1, made_by_relu},
	{"an output, and its source has another reader", output_and_reader, 1, made_by_relu},
	{"two outputs of one source", two_outputs_of_one, 1, NULL},
	{"Dropout with an attribute", dropout_attribute, 1, NULL},
	{"Dropout with inputs", dropout_inputs, 1, NULL},
	{"Dropout whose mask nobody reads", dropout_mask_unread, 1, NULL},
	{"not: an input handed to an output", input_to_output, 0, NULL},
	{"not: a constant handed to an output", constant_to_output, 0, NULL},
	{"not: an output handed to an output", output_to_output, 0, NULL},
	{"not: an activation is folded in", with_activation, 0, NULL},
	{"not: the mask is read", dropout_mask_read, 0, NULL},
};

NET_ROWS_TEST("identity")

/* Inference refuses a Dropout that trains; the pass must not hide it before. */
START_TEST(test_training)
{
	static const uint8_t yes = 1;
	struct finf_graph *g = net_new();
	struct finf_diag diag;
	uint32_t x = net_input(g, "x", X), mode, changes = 77;

	if (_i == 0)
		mode = net_const(g, "mode", FINF_BOOL, (struct finf_shape){0}, &yes);
	else
		ck_assert_int_eq(
			finf_graph_value(g, "mode", FINF_BOOL, &(struct finf_shape){0}, &mode), 0);
	if (_i == 1)
		ck_assert_int_eq(finf_graph_input(g, mode), 0);
	net_output(g, relu(g, "y", net_node(g, "Dropout", "d", INS(x, FINF_NONE, mode))));
	ck_assert_int_eq(finf_fuse_pass_run(net_pass_named("identity"), g, &changes, &diag), 0);
	ck_assert_uint_eq(changes, 0);
	ck_assert_uint_eq(net_count(g, "Dropout"), 1);
	finf_graph_free(g);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("fuse/identity");
	TCase *tcase = net_tcase("identity");

	tcase_add_loop_test(tcase, test_row, 0, FINF_ARRAY_LEN(rows));
	tcase_add_loop_test(tcase, test_training, 0, 2);
	suite_add_tcase(suite, tcase);
	return suite;
}
