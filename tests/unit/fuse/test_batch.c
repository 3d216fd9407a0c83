/* SPDX-License-Identifier: MIT */
/* fuse: what members do alike, once for all of them - what is joined, what is left alone. */
#include "tests/unit/fuse/net.h"

#define MEMBERS_MAX 4
#define IMAGE	    SHAPE(2, 4, 6, 6)

/* ---- a group, and the check that every one of them goes through ------------------------- */

static void drop(void *group)
{
	finf_graph_free(group);
}

static struct finf_graph *merged(struct finf_graph *const *graphs, uint32_t n, bool share)
{
	static const char *const names[MEMBERS_MAX] = {"a", "b", "c", "d"};
	struct finf_merge_opts opts = {.size = sizeof(opts), .share_inputs = share};
	struct finf_fuse_member members[MEMBERS_MAX];
	struct finf_shape shapes[NET_PORTS];
	struct finf_graph *group = NULL, *bound = NULL;
	struct finf_diag diag = {""};

	for (uint32_t i = 0; i < n; i++)
		members[i] = (struct finf_fuse_member){names[i], graphs[i]};
	ck_assert_msg(!finf_fuse_merge("g", members, n, &opts, &group, NULL, &diag), "%s",
		      diag.text);
	for (uint32_t i = 0; i < group->n_inputs; i++)
		shapes[i] = group->values[group->inputs[i]].shape;
	ck_assert_msg(!finf_graph_bind(group, shapes, &bound, &diag), "%s", diag.text);
	bound->release = drop; /* what merging found out is read until then */
	bound->foreign = group;
	return bound;
}

/* The reference kernels give the same bits, however many rows there are. */
static struct finf_batch_report batch_group(struct finf_graph *group)
{
	struct finf_tensor before[NET_PORTS], after[NET_PORTS];
	struct finf_batch_report report;
	struct finf_diag diag = {""};
	struct net_names names;

	net_names(group, &names);
	net_run(group, before);
	ck_assert_msg(!finf_fuse_batch(group, &report, &diag), "%s", diag.text);
	net_names_kept(group, &names);
	net_run(group, after);
	for (uint32_t i = 0; i < group->n_outputs; i++) {
		ck_assert(finf_shape_equal(&before[i].shape, &after[i].shape));
		ck_assert_mem_eq(before[i].data, after[i].data, before[i].bytes);
	}
	interp_free(before, group->n_outputs);
	interp_free(after, group->n_outputs);
	return report;
}

static struct finf_batch_report batch_members(struct finf_graph *const *graphs, uint32_t n,
					      struct finf_graph **ret_group)
{
	struct finf_graph *group = merged(graphs, n, false);
	struct finf_batch_report report = batch_group(group);

	if (ret_group)
		*ret_group = group;
	else
		finf_graph_free(group);
	return report;
}

static void free_all(struct finf_graph *const *graphs, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		finf_graph_free(graphs[i]);
}

/* ---- operators ---------------------------------------------------------------------------- */

/*
 * Each row is a node behind a Conv that all members have: the Conv becomes one, and so does the
 * node where its operator treats rows apart. More inputs are a constant of floats, of numbers,
 * or the same value again.
 */
struct op_row {
	const char *op;
	uint32_t opset;
	struct finf_attr attrs[3];
	struct finf_shape floats; /* rank 0 = none, unless @scalar */
	int64_t numbers[8];
	uint32_t n_numbers;
	bool scalar, filters, linear, twice, thrice, flat; /* flat: the node sees 2x144 */
	uint32_t outputs;	  /* 0 = one */
	bool joined;
};

#define INT(key, x) {.name = key, .type = FINF_ATTR_INT, .i = x}
#define INTS(key, ...)                                                                             \
	{.name = key, .type = FINF_ATTR_INTS,                                                      \
	 .n = sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), .ints = (int64_t[]){__VA_ARGS__}}
#define NUMBERS(...)                                                                               \
	.numbers = {__VA_ARGS__}, .n_numbers = sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)

static const struct op_row ops[] = {
	{"Relu", 13, .joined = true},
	{"Tanh", 13, .joined = true},
	{"Add", 13, .twice = true, .joined = true},
	{"Add", 13, .scalar = true, .joined = true},
	{"Mul", 13, .floats = {3, {4, 1, 1}}, .joined = true},
	{"Mul", 13, .floats = {4, {1, 4, 6, 6}}, .joined = true},
	{"Mul", 13, .floats = {4, {2, 4, 6, 6}}}, /* a constant of its own for each row */
	{"PRelu", 13, .floats = {3, {4, 1, 1}}, .joined = true},
	{"Conv", 13, .floats = {4, {5, 4, 3, 3}}, .joined = true},
	{"ConvTranspose", 13, .floats = {4, {4, 2, 3, 3}}, .joined = true},
	{"MaxPool", 13, {INTS("kernel_shape", 2, 2)}, .joined = true},
	{"AveragePool", 13, {INTS("kernel_shape", 2, 2)}, .joined = true},
	{"GlobalAveragePool", 13, .joined = true},
	{"LRN", 13, {INT("size", 3)}, .joined = true},
	{"DepthToSpace", 13, {INT("blocksize", 2)}, .joined = true},
	{"Softmax", 13, .joined = true},
	{"Softmax", 13, {INT("axis", 0)}, .joined = false},
	{"Softmax", 13, {INT("axis", -4)}, .joined = false},
	{"Softmax", 11, .joined = true},
	{"Softmax", 11, {INT("axis", 0)}, .joined = false},
	{"LogSoftmax", 13, {INT("axis", 1)}, .joined = true},
	{"LayerNormalization", 17, .floats = {1, {6}}, .joined = true},
	{"LayerNormalization", 17, {INT("axis", 0)}, .floats = {4, {2, 4, 6, 6}}},
	{"Concat", 13, {INT("axis", 1)}, .twice = true, .joined = true},
	{"Concat", 13, {INT("axis", -1)}, .twice = true, .joined = true},
	{"Concat", 13, {INT("axis", 0)}, .twice = true},
	{"Concat", 13, {INT("axis", 1)}, .floats = {4, {2, 1, 6, 6}}},
	{"ReduceMean", 13, {INTS("axes", 2, 3)}, .joined = true},
	{"ReduceMean", 13, {INTS("axes", -1), INT("keepdims", 0)}, .joined = true},
	{"ReduceMean", 13, {INTS("axes", 0)}, .joined = false},
	{"ReduceMean", 13, {INTS("axes", 1, -4)}, .joined = false},
	{"ReduceMean", 13, .joined = false},
	{"ReduceSum", 13, NUMBERS(1), .joined = true},
	{"ReduceSum", 13, NUMBERS(0)},
	{"ReduceSum", 13, .joined = false},
	{"ArgMax", 13, {INT("axis", 1)}, .joined = true},
	{"ArgMax", 13, .joined = false},
	{"TopK", 13, NUMBERS(2), .outputs = 2, .joined = true},
	{"TopK", 13, {INT("axis", 0)}, NUMBERS(2), .outputs = 2},
	{"Split", 7, {INT("axis", 1)}, .outputs = 2, .joined = true},
	{"Split", 7, {INT("axis", 1), INTS("split", 4)}, .joined = true},
	{"Split", 7, {INTS("split", 2)}, .joined = false},
	{"Slice", 7, {INTS("axes", 1), INTS("ends", 2), INTS("starts", 0)}, .joined = true},
	{"Slice", 7, {INTS("axes", 0), INTS("ends", 1), INTS("starts", 0)}, .joined = false},
	{"Slice", 7, {INTS("ends", 1), INTS("starts", 0)}, .joined = false},
	{"Pad", 7, {INTS("pads", 0, 0, 1, 1, 0, 0, 1, 1)}, .joined = true},
	{"Pad", 7, {INTS("pads", 1, 0, 0, 0, 0, 0, 0, 0)}, .joined = false},
	{"Pad", 13, NUMBERS(0, 1, 0, 0, 0, 0, 0, 2), .joined = true},
	{"Pad", 13, NUMBERS(0, 0, 0, 0, 1, 0, 0, 0)},
	{"Transpose", 13, {INTS("perm", 0, 2, 3, 1)}, .joined = true},
	{"Transpose", 13, {INTS("perm", 1, 0, 2, 3)}, .joined = false},
	{"Transpose", 13, .joined = false},
	{"Gather", 13, {INT("axis", 1)}, NUMBERS(0, 2), .joined = true},
	{"Gather", 13, NUMBERS(0, 1)},
	{"Reshape", 13, NUMBERS(2, -1), .joined = true},
	{"Reshape", 13, NUMBERS(0, 4, 36), .joined = true},
	{"Reshape", 13, NUMBERS(-1, 2), .joined = true},
	{"Reshape", 13, NUMBERS(1, 2, -1), .joined = true},
	{"Flatten", 13, .joined = true},
	{"Flatten", 13, {INT("axis", 0)}, .joined = true},
	{"Unsqueeze", 7, {INTS("axes", 0)}, .joined = true},
	{"Gemm", 13, .floats = {2, {144, 7}}, .flat = true, .joined = true},
	{"Gemm", 13, {INT("transB", 1)}, .floats = {2, {7, 144}}, .flat = true, .joined = true},
	{"Gemm", 13, {INT("transA", 1)}, .floats = {2, {2, 7}}, .flat = true},
	{"MatMul", 13, .floats = {2, {144, 7}}, .flat = true, .joined = true},
	{"MatMul", 13, .floats = {1, {6}}, .joined = true},
	{"MatMul", 13, .twice = true, .joined = true},
	{"MatMul", 13, .floats = {4, {2, 4, 6, 3}}},
	{"FusedConv", FINF_OPSET_OWN, .filters = true, .twice = true, .joined = true},
	{"FusedConv", FINF_OPSET_OWN, .filters = true, .floats = {4, {2, 4, 6, 6}}},
	{"FusedMatMul", FINF_OPSET_OWN, .twice = true, .joined = true},
	{"FusedMatMul", FINF_OPSET_OWN, .twice = true, .floats = {1, {6}}, .joined = true},
	{"FusedMatMul", FINF_OPSET_OWN, .twice = true, .floats = {4, {1, 1, 6, 6}}, .joined = true},
	{"FusedMatMul", FINF_OPSET_OWN, .twice = true, .floats = {4, {2, 1, 1, 6}}},
	{"FusedMatMul", FINF_OPSET_OWN, .linear = true, .twice = true, .joined = true},
	{"FusedMatMul", FINF_OPSET_OWN, .linear = true, .floats = {4, {2, 4, 6, 6}}},
	{"FusedAttention", FINF_OPSET_OWN, .thrice = true, .joined = true},
	{"FusedAttention", FINF_OPSET_OWN, .thrice = true, .floats = {4, {1, 1, 6, 6}},
	 .joined = true},
	{"FusedAttention", FINF_OPSET_OWN, .thrice = true, .floats = {4, {2, 1, 1, 6}}},
	{"FusedAttention", FINF_OPSET_OWN, {INTS("perm_k", 0, 1, 3, 2)}, .thrice = true,
	 .joined = true},
	{"FusedAttention", FINF_OPSET_OWN, {INTS("perm_y", 1, 0, 2, 3)}, .thrice = true},
	{"Tile", 13, NUMBERS(1, 1, 1, 2)}, /* not on the list */
	{"Shape", 13, .joined = false},
};

/* Constants come under one name and so are the same in every member. */
static struct finf_graph *op_member(const struct op_row *row)
{
	struct finf_graph *g = net_new();
	uint32_t in[4], out[2], n_in = 1, n_attrs = 0;

	in[0] = net_conv(g, "c", net_input(g, "x", IMAGE), 4, true);
	if (row->flat)
		in[0] = net_node(g, "Flatten", "f", in, 1);
	if (row->filters) {
		in[n_in++] = net_random(g, "w", SHAPE(4, 4, 1, 1), -1);
		in[n_in++] = net_random(g, "b", SHAPE(4), -1);
	}
	if (row->linear) {
		in[n_in++] = net_random(g, "w", SHAPE(6, 6), -1);
		in[n_in++] = net_random(g, "b", SHAPE(6), -1);
	}
	for (int k = row->thrice ? 2 : row->twice; k > 0; k--)
		in[n_in++] = in[0];
	if (row->floats.rank || row->scalar)
		in[n_in++] = net_random(g, "k", row->floats, -1);
	if (row->n_numbers)
		in[n_in++] = net_const(g, "n", FINF_I64, SHAPE(row->n_numbers), row->numbers);
	while (n_attrs < FINF_ARRAY_LEN(row->attrs) && row->attrs[n_attrs].name)
		n_attrs++;
	for (uint32_t k = 0; k < FINF_MAX(row->outputs, 1u); k++)
		ck_assert_int_eq(finf_graph_value(g, k ? "y2" : "y", FINF_DTYPE_NONE, NULL, &out[k]),
				 0);
	ck_assert_int_eq(finf_graph_node(g, finf_op_find(row->op), row->opset, "node", in, n_in,
					 out, FINF_MAX(row->outputs, 1u), row->attrs, n_attrs, NULL),
			 0);
	for (uint32_t k = 0; k < FINF_MAX(row->outputs, 1u); k++)
		net_output(g, out[k]);
	net_ready(g);
	return g;
}

START_TEST(test_operator)
{
	const struct op_row *row = &ops[_i];
	struct finf_graph *graphs[3] = {op_member(row), op_member(row), op_member(row)};
	struct finf_batch_report report = batch_members(graphs, 3, NULL);
	uint32_t want = 1 + row->flat + row->joined;

	ck_assert_msg(report.batched == want, "%s, row %d: %u nodes, not %u", row->op, _i,
		      report.batched, want);
	ck_assert_uint_eq(report.nodes, 3 * want);
	ck_assert_uint_eq(report.members, 7);
	free_all(graphs, 3);
}
END_TEST

/* ---- what is alike ---------------------------------------------------------------------------- */

/* c1, relu, c2, relu that all have; then a head of that name. */
static uint32_t trunk(struct finf_graph *g, uint32_t x)
{
	x = net_node(g, "Relu", "r1", INS(net_conv(g, "c1", x, 4, true)));
	return net_node(g, "Relu", "r2", INS(net_conv(g, "c2", x, 4, true)));
}

static struct finf_graph *variant(const char *head, struct finf_shape shape)
{
	struct finf_graph *g = net_new();

	net_output(g, net_conv(g, head, trunk(g, net_input(g, "x", shape)), 4, true));
	net_ready(g);
	return g;
}

START_TEST(test_backbone)
{
	struct finf_graph *graphs[] = {variant("h1", IMAGE), variant("h2", IMAGE)}, *group;
	struct finf_batch_report report = batch_members(graphs, 2, &group);

	ck_assert_uint_eq(report.batched, 4);
	ck_assert_uint_eq(report.nodes, 8);
	ck_assert_uint_eq(report.members, 3);
	/* Joined where it begins, cut where it ends, and nowhere in between. */
	ck_assert_uint_eq(net_count(group, "Concat"), 1);
	ck_assert_uint_eq(net_count(group, "Slice"), 2);
	ck_assert_uint_eq(group->n_nodes, 1 + 4 + 2 + 2);
	ck_assert_int_eq(group->values[net_value(group, "a/r2.batch")].shape.dim[0], 4);
	/* A member alone is another matter: it is taken from the group as it was. */
	ck_assert_uint_eq(group->n_members, 2);
	finf_graph_free(group);
	free_all(graphs, 2);
}
END_TEST

/* A head in common is part of it, up to the last node. */
START_TEST(test_same_to_the_end)
{
	struct finf_graph *graphs[] = {variant("h", IMAGE), variant("h", IMAGE)}, *group;
	struct finf_batch_report report = batch_members(graphs, 2, &group);

	ck_assert_uint_eq(report.batched, 5);
	ck_assert_uint_eq(group->n_nodes, 1 + 5 + 2);
	finf_graph_free(group);
	free_all(graphs, 2);
}
END_TEST

START_TEST(test_nothing_alike)
{
	struct finf_graph *other = net_new(), *graphs[] = {variant("h1", IMAGE), other};
	uint32_t x = net_conv(other, "d", net_input(other, "x", IMAGE), 4, true);

	net_output(other, net_node(other, "Relu", "r1", INS(x)));
	net_ready(other);
	ck_assert_uint_eq(batch_members(graphs, 2, NULL).nodes, 0);
	finf_graph_free(other);
	/* Rows of other sizes do not lie one behind the other. */
	graphs[1] = variant("h1", SHAPE(2, 4, 6, 5));
	ck_assert_uint_eq(batch_members(graphs, 2, NULL).nodes, 0);
	free_all(graphs, 2);
}
END_TEST

/* With one input for all the work is there once already. */
START_TEST(test_shared_input)
{
	struct finf_graph *graphs[] = {variant("h1", IMAGE), variant("h2", IMAGE)};
	struct finf_graph *group = merged(graphs, 2, true);

	ck_assert_uint_eq(batch_group(group).nodes, 0);
	finf_graph_free(group);
	free_all(graphs, 2);
}
END_TEST

/* A graph that is no group has no members to do anything alike. */
START_TEST(test_no_group)
{
	struct finf_graph *graph = variant("h1", IMAGE);
	struct finf_batch_report report;

	ck_assert_int_eq(finf_fuse_batch(graph, &report, NULL), 0);
	ck_assert_uint_eq(report.nodes, 0);
	ck_assert_uint_eq(graph->n_nodes, 5);
	finf_graph_free(graph);
}
END_TEST

/* a and c go together, b and d do, and none with one of the others. */
START_TEST(test_two_families)
{
	struct finf_graph *graphs[] = {variant("h1", IMAGE), net_new(), variant("h2", IMAGE),
				       net_new()};
	struct finf_batch_report report;

	for (uint32_t i = 1; i < 4; i += 2) {
		uint32_t x = net_conv(graphs[i], "d", net_input(graphs[i], "x", IMAGE), 4, true);

		net_output(graphs[i], net_conv(graphs[i], i == 1 ? "h3" : "h4", x, 4, false));
		net_ready(graphs[i]);
	}
	report = batch_members(graphs, 4, NULL);
	ck_assert_uint_eq(report.batched, 4 + 1);
	ck_assert_uint_eq(report.nodes, 8 + 2);
	ck_assert_uint_eq(report.members, 15);
	free_all(graphs, 4);
}
END_TEST

/* The third leaves half way: two of three rows go on, cut out and joined again. */
START_TEST(test_some_go_on)
{
	struct finf_graph *graphs[] = {variant("h1", IMAGE), variant("h2", IMAGE), net_new()};
	struct finf_graph *early = graphs[2], *group;
	uint32_t x = net_conv(early, "c1", net_input(early, "x", IMAGE), 4, true);
	struct finf_batch_report report;

	net_output(early, net_node(early, "Sigmoid", "s", INS(x)));
	net_ready(early);
	report = batch_members(graphs, 3, &group);
	ck_assert_uint_eq(report.batched, 4);
	ck_assert_uint_eq(report.nodes, 3 + 2 + 2 + 2);
	ck_assert_uint_eq(net_count(group, "Concat"), 2);
	ck_assert_uint_eq(net_count(group, "Slice"), 3 + 2);
	finf_graph_free(group);
	free_all(graphs, 3);
}
END_TEST

/* The same two layers in the other order: one pair at most, else each would wait for itself. */
START_TEST(test_other_order)
{
	struct finf_graph *graphs[] = {net_new(), net_new()};

	for (uint32_t i = 0; i < 2; i++) {
		uint32_t x = net_input(graphs[i], "x", IMAGE);

		x = net_conv(graphs[i], i ? "c2" : "c1", x, 4, true);
		net_output(graphs[i], net_conv(graphs[i], i ? "c1" : "c2", x, 4, true));
		net_ready(graphs[i]);
	}
	ck_assert_uint_eq(batch_members(graphs, 2, NULL).batched, 1);
	free_all(graphs, 2);
}
END_TEST

/* One matrix three times over: the first with the first, the second with the second. */
START_TEST(test_layer_again)
{
	struct finf_graph *graphs[] = {net_new(), net_new()}, *group;

	for (uint32_t i = 0; i < 2; i++) {
		struct finf_graph *g = graphs[i];
		uint32_t w = net_random(g, "w", SHAPE(8, 8), -1);
		uint32_t x = net_input(g, "x", SHAPE(3, 8));

		x = net_node(g, "MatMul", "m1", INS(x, w));
		x = net_node(g, "MatMul", "m2", INS(x, w));
		net_output(g, net_node(g, "MatMul", "m3", INS(x, w)));
		net_ready(g);
	}
	ck_assert_uint_eq(batch_members(graphs, 2, &group).batched, 3);
	ck_assert_uint_eq(net_count(group, "Concat"), 1);
	finf_graph_free(group);
	free_all(graphs, 2);
}
END_TEST

/* An output from the middle, a skip around, and a branch that only one member has. */
START_TEST(test_ways_out)
{
	struct finf_graph *graphs[] = {net_new(), net_new()}, *group;

	for (uint32_t i = 0; i < 2; i++) {
		struct finf_graph *g = graphs[i];
		uint32_t x = net_input(g, "x", IMAGE), h, s;

		h = trunk(g, x);
		s = net_node(g, "Add", "s", INS(net_conv(g, "c3", h, 4, false), h));
		net_output(g, h);
		net_output(g, s);
		if (i)
			net_output(g, net_node(g, "Sigmoid", "z", INS(s)));
		net_ready(g);
	}
	ck_assert_uint_eq(batch_members(graphs, 2, &group).batched, 6);
	ck_assert_uint_eq(net_count(group, "Slice"), 4);
	finf_graph_free(group);
	free_all(graphs, 2);
}
END_TEST

/* What no output needs is not cut out: one member alone goes on with its rows. */
START_TEST(test_parts_unasked)
{
	struct finf_graph *graphs[] = {net_new(), net_new()}, *group;
	const struct finf_node *slice;

	for (uint32_t i = 0; i < 2; i++) {
		struct finf_graph *g = graphs[i];
		uint32_t h = trunk(g, net_input(g, "x", IMAGE));

		net_output(g, net_node(g, "GlobalAveragePool", "y", INS(h)));
		if (i)
			net_output(g, net_conv(g, "own", h, 4, false));
		net_ready(g);
	}
	ck_assert_uint_eq(batch_members(graphs, 2, &group).batched, 5);
	ck_assert_uint_eq(net_count(group, "Slice"), 3);
	slice = net_maker(group, "b/r2");
	ck_assert_str_eq(slice->op->name, "Slice");
	ck_assert(!finf_graph_find(group, "a/r2", NULL));
	finf_graph_free(group);
	free_all(graphs, 2);
}
END_TEST

/* Shapes that each member computes for itself are alike all the same. */
START_TEST(test_computed_shape)
{
	struct finf_graph *graphs[] = {net_new(), net_new()};
	const int64_t zero = 0, rest = -1;

	for (uint32_t i = 0; i < 2; i++) {
		struct finf_graph *g = graphs[i];
		const struct finf_attr axis = INT("axis", 0);
		uint32_t x = net_conv(g, "c", net_input(g, "x", IMAGE), 4, true), n, shape;

		n = net_node(g, "Shape", "shape", INS(x));
		n = net_node(g, "Gather", "n", INS(n, net_const(g, "zero", FINF_I64, SHAPE(1), &zero)));
		shape = net_node_with(g, "Concat", "to", &axis, 1, OPSET,
				      INS(n, net_const(g, "rest", FINF_I64, SHAPE(1), &rest)));
		x = net_node(g, "Reshape", "flat", INS(x, shape));
		net_output(g, net_node(g, "MatMul", "y",
				       INS(x, net_random(g, "w", SHAPE(144, 5), -1))));
		net_ready(g);
	}
	ck_assert_uint_eq(batch_members(graphs, 2, NULL).batched, 3);
	free_all(graphs, 2);
}
END_TEST

/* Numbers of words, looked up in one table. */
START_TEST(test_table)
{
	struct finf_graph *graphs[] = {net_new(), net_new()};
	const int64_t most = 4;

	for (uint32_t i = 0; i < 2; i++) {
		struct finf_graph *g = graphs[i];
		const struct finf_attr to = INT("to", FINF_I64);
		uint32_t x = net_input(g, "x", SHAPE(1, 7));

		x = net_node_with(g, "Cast", "id", &to, 1, OPSET,
				  INS(net_node(g, "Abs", "abs", INS(x))));
		x = net_node(g, "Min", "in", INS(x, net_const(g, "most", FINF_I64, SHAPE(1), &most)));
		x = net_node(g, "Gather", "words", INS(net_random(g, "table", SHAPE(5, 3), -1), x));
		net_output(g, net_node(g, "Tanh", "y", INS(x)));
		net_ready(g);
	}
	ck_assert_uint_eq(batch_members(graphs, 2, NULL).batched, 2);
	free_all(graphs, 2);
}
END_TEST

/* b and c go together where a has a layer of its own, before, between and after what all have. */
START_TEST(test_others_go_together)
{
	struct finf_graph *graphs[3], *group;

	for (uint32_t i = 0; i < 3; i++) {
		struct finf_graph *g = graphs[i] = net_new();
		uint32_t x = net_input(g, "x", IMAGE);

		x = net_conv(g, i ? "n1" : "o1", x, 4, false);
		x = net_conv(g, "c1", x, 4, false);
		x = net_conv(g, i ? "n2" : "o2", x, 4, false);
		x = net_conv(g, "c2", x, 4, false);
		net_output(g, net_conv(g, i ? "n3" : "o3", x, 4, false));
		net_ready(g);
	}
	ck_assert_uint_eq(batch_members(graphs, 3, &group).batched, 5);
	ck_assert_uint_eq(net_count(group, "Conv"), 3 + 2 + 3);
	finf_graph_free(group);
	free_all(graphs, 3);
}
END_TEST

/*
 * a: P Q   b: P R   c: R Q, and so P, R, Q would do for all of them; but with c: Q R the pairs
 * of P, of Q and of R would wait for each other in a circle.
 */
START_TEST(test_circle)
{
	static const char *const layers[2][3][2] = {{{"p", "q"}, {"p", "r"}, {"r", "q"}},
						    {{"p", "q"}, {"r", "p"}, {"q", "r"}}};

	for (uint32_t way = 0; way < 2; way++) {
		struct finf_graph *graphs[3];

		for (uint32_t i = 0; i < 3; i++) {
			struct finf_graph *g = graphs[i] = net_new();
			uint32_t x = net_input(g, "x", IMAGE);

			x = net_conv(g, layers[way][i][0], x, 4, false);
			net_output(g, net_conv(g, layers[way][i][1], x, 4, false));
			net_ready(g);
		}
		ck_assert_uint_eq(batch_members(graphs, 3, NULL).batched, way ? 2 : 3);
		free_all(graphs, 3);
	}
}
END_TEST

/* ---- random variants ------------------------------------------------------------------------- */

#define LAYERS 10

/* The same layers for all; a layer is the member's own when chance says so. */
static struct finf_graph *random_member(uint64_t seed, uint32_t member)
{
	static const char *const unary[] = {"Relu", "Sigmoid", "Tanh", "Abs"};
	struct finf_graph *g = net_new();
	uint32_t values[LAYERS + 1] = {net_input(g, "x", IMAGE)};
	uint64_t own = seed + 1000 * (member + 1);

	for (uint32_t i = 0; i < LAYERS; i++) {
		uint32_t in = values[test_random(&seed) % 3 ? i : test_random(&seed) % (i + 1)];
		uint32_t other = values[test_random(&seed) % (i + 1)], kind, u;
		char name[32];

		snprintf(name, sizeof(name), "v%u%s", i,
			 test_random(&own) % 5 ? "" : (const char *[]){".a", ".b", ".c"}[member]);
		kind = (uint32_t)(test_random(&seed) % 6);
		u = (uint32_t)(test_random(&seed) % FINF_ARRAY_LEN(unary));
		if (kind < 3)
			values[i + 1] = net_conv(g, name, in, 4, kind);
		else if (kind == 3)
			values[i + 1] = net_node(g, "Add", name, INS(in, other));
		else if (test_random(&own) % 6)
			values[i + 1] = net_node(g, unary[u], name, INS(in));
		else
			values[i + 1] = net_node(g, "Neg", name, INS(in));
	}
	net_output(g, values[LAYERS]);
	net_ready(g);
	return g;
}

START_TEST(test_random_variants)
{
	uint64_t seed = (uint64_t)_i;
	struct finf_graph *graphs[3] = {random_member(seed, 0), random_member(seed, 1),
					random_member(seed, 2)};

	batch_members(graphs, 3, NULL);
	free_all(graphs, 3);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("fuse/batch");
	TCase *tc = net_tcase("batch");

	tcase_add_loop_test(tc, test_operator, 0, FINF_ARRAY_LEN(ops));
	tcase_add_test(tc, test_backbone);
	tcase_add_test(tc, test_same_to_the_end);
	tcase_add_test(tc, test_nothing_alike);
	tcase_add_test(tc, test_shared_input);
	tcase_add_test(tc, test_no_group);
	tcase_add_test(tc, test_two_families);
	tcase_add_test(tc, test_some_go_on);
	tcase_add_test(tc, test_other_order);
	tcase_add_test(tc, test_layer_again);
	tcase_add_test(tc, test_ways_out);
	tcase_add_test(tc, test_parts_unasked);
	tcase_add_test(tc, test_computed_shape);
	tcase_add_test(tc, test_table);
	tcase_add_test(tc, test_others_go_together);
	tcase_add_test(tc, test_circle);
	tcase_add_loop_test(tc, test_random_variants, 0, 150);
	suite_add_tcase(suite, tc);
	return suite;
}
