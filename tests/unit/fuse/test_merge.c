/* SPDX-License-Identifier: MIT */
/* fuse: many models in one graph - what is shared, what is named how, what is refused. */
#include "tests/unit/fuse/net.h"

#define IMAGE SHAPE(1, 3, 6, 6)

/* ---- samples ----------------------------------------------------------------------- */

/* A trunk of two convolutions that every variant has, and a head that is @head's own. */
static struct finf_graph *variant(const char *input, const char *head)
{
	struct finf_graph *graph = net_new();
	uint32_t x = net_input(graph, input, IMAGE);

	x = net_node(graph, "Relu", "r1", INS(net_conv(graph, "c1", x, 3, true)));
	x = net_node(graph, "Relu", "r2", INS(net_conv(graph, "c2", x, 3, false)));
	net_output(graph, net_node(graph, "Sigmoid", "y", INS(net_conv(graph, head, x, 3, true))));
	net_ready(graph);
	return graph;
}

static struct finf_graph *merge(struct finf_graph *const *graphs, uint32_t n, bool share,
				struct finf_merge_report *report)
{
	static const char *const names[] = {"a", "b", "c"};
	struct finf_merge_opts opts = {.size = sizeof(opts), .share_inputs = share};
	struct finf_fuse_member members[3];
	struct finf_graph *group = NULL;
	struct finf_diag diag = {""};

	for (uint32_t i = 0; i < n; i++)
		members[i] = (struct finf_fuse_member){names[i], graphs[i]};
	ck_assert_msg(!finf_fuse_merge("g", members, n, &opts, &group, report, &diag), "%s",
		      diag.text);
	ck_assert_uint_eq(group->n_members, n);
	return group;
}

/* Each output of the group is bit for bit that of the member alone, given the same input. */
static void check_outputs(const struct finf_graph *group, struct finf_graph *const *graphs)
{
	struct finf_tensor inputs[NET_PORTS], whole[NET_PORTS], alone[NET_PORTS];
	float x[3 * 6 * 6];

	test_fill_f32(x, FINF_ARRAY_LEN(x), 1);
	for (uint32_t i = 0; i < NET_PORTS; i++)
		inputs[i] = (struct finf_tensor){
			.dtype = FINF_F32, .shape = IMAGE, .data = x, .bytes = sizeof(x)};
	ck_assert_int_eq(interp_run(group, inputs, whole), 0);
	for (uint32_t m = 0; m < group->n_members; m++) {
		const struct finf_member *member = &group->members[m];

		ck_assert_int_eq(interp_run(graphs[m], inputs, alone), 0);
		for (uint32_t k = 0; k < member->n_outputs; k++) {
			const struct finf_tensor *got = &whole[member->outputs[k].index];
			char name[64];

			ck_assert_str_eq(member->outputs[k].name, alone[k].name);
			snprintf(name, sizeof(name), "%s/%s", member->name, alone[k].name);
			ck_assert_str_eq(got->name, name);
			ck_assert_uint_eq(got->bytes, alone[k].bytes);
			ck_assert_mem_eq(got->data, alone[k].data, got->bytes);
		}
		interp_free(alone, graphs[m]->n_outputs);
	}
	interp_free(whole, group->n_outputs);
}

static void free_all(struct finf_graph *group, struct finf_graph *const *graphs, uint32_t n)
{
	finf_graph_free(group);
	for (uint32_t i = 0; i < n; i++)
		finf_graph_free(graphs[i]);
}

/* ---- sharing -------------------------------------------------------------------------- */

START_TEST(test_inputs_apart)
{
	struct finf_graph *graphs[] = {variant("x", "h1"), variant("x", "h2")};
	struct finf_merge_report report;
	struct finf_graph *group = merge(graphs, 2, false, &report);

	/* Weights of the trunk once; its work twice, for the inputs are two. */
	ck_assert_uint_eq(group->n_inputs, 2);
	ck_assert_uint_eq(group->n_nodes, 12);
	ck_assert_uint_eq(report.constants_before, 10);
	ck_assert_uint_eq(report.constants_after, 7);
	ck_assert_uint_eq(report.bytes_before - report.bytes_after, (81 + 3 + 81) * sizeof(float));
	ck_assert_uint_eq(report.inputs_shared, 0);
	net_value(group, "a/x");
	net_value(group, "b/x");
	check_outputs(group, graphs);
	free_all(group, graphs, 2);
}
END_TEST

START_TEST(test_backbone_once)
{
	struct finf_graph *graphs[] = {variant("x", "h1"), variant("x", "h2"), variant("x", "h3")};
	struct finf_merge_report report;
	struct finf_graph *group = merge(graphs, 3, true, &report);
	uint64_t serves[8];

	ck_assert_uint_eq(group->n_inputs, 1);
	ck_assert_uint_eq(report.inputs_shared, 2);
	ck_assert_uint_eq(report.nodes_before, 18);
	ck_assert_uint_eq(group->n_nodes, 4 + 3 * 2);
	ck_assert_uint_eq(net_count(group, "Conv"), 2 + 3);
	check_outputs(group, graphs);
	ck_assert_int_eq(finf_graph_serves(group, (uint64_t[10]){0}), 0);
	finf_graph_free(group);
	group = merge(graphs, 2, true, &report);
	ck_assert_uint_eq(group->n_nodes, 8);
	ck_assert_int_eq(finf_graph_serves(group, serves), 0);
	for (uint32_t i = 0; i < 8; i++)
		ck_assert_uint_eq(serves[i], i < 4 ? 3 : i < 6 ? 1 : 2);
	free_all(group, graphs, 3);
}
END_TEST

/* One input each, of other names: there is no doubt what is meant. With two there is. */
START_TEST(test_only_input)
{
	struct finf_graph *graphs[] = {variant("image", "h1"), variant("data", "h2")};
	struct finf_merge_report report;
	struct finf_graph *group = merge(graphs, 2, true, &report);

	ck_assert_uint_eq(group->n_inputs, 1);
	ck_assert_str_eq(group->members[0].inputs[0].name, "image");
	ck_assert_str_eq(group->members[1].inputs[0].name, "data");
	ck_assert_uint_eq(group->members[1].inputs[0].index, 0);
	check_outputs(group, graphs);
	finf_graph_free(group);
	net_input(graphs[1], "more", IMAGE);
	group = merge(graphs, 2, true, &report);
	ck_assert_uint_eq(group->n_inputs, 3);
	free_all(group, graphs, 2);
}
END_TEST

/* The very same twice: only a name is left to be made. */
START_TEST(test_same_output)
{
	struct finf_graph *graphs[] = {variant("x", "h"), variant("x", "h")};
	struct finf_merge_report report;
	struct finf_graph *group = merge(graphs, 2, true, &report);

	ck_assert_uint_eq(group->n_nodes, 7);
	ck_assert_str_eq(net_maker(group, "b/y")->op->name, "Identity");
	check_outputs(group, graphs);
	free_all(group, graphs, 2);
}
END_TEST

/* Outputs that are inputs, constants or there twice. */
START_TEST(test_odd_outputs)
{
	struct finf_graph *graphs[2];
	struct finf_merge_report report;
	struct finf_graph *group;

	for (int i = 0; i < 2; i++) {
		uint32_t x;

		graphs[i] = net_new();
		x = net_input(graphs[i], "x", IMAGE);
		net_output(graphs[i], x);
		net_output(graphs[i], net_random(graphs[i], "w", SHAPE(40), 0));
		x = net_node(graphs[i], "Relu", "r", INS(x));
		net_output(graphs[i], x);
		net_output(graphs[i], x);
		net_ready(graphs[i]);
	}
	group = merge(graphs, 2, true, &report);
	ck_assert_uint_eq(group->n_outputs, 6);
	check_outputs(group, graphs);
	free_all(group, graphs, 2);
}
END_TEST

/* Equal bytes are not equal constants, equal inputs not equal work. */
START_TEST(test_not_the_same)
{
	struct finf_graph *graphs[2];
	struct finf_merge_report report;
	struct finf_graph *group;
	float w[36] = {1};

	for (int i = 0; i < 2; i++) {
		uint32_t x, c;
		struct finf_attr alpha = {
			.name = "alpha", .type = FINF_ATTR_FLOAT, .f = i ? 0.5f : 0.25f};

		graphs[i] = net_new();
		x = net_input(graphs[i], "x", IMAGE);
		c = net_const(graphs[i], "w", FINF_F32, i ? SHAPE(6, 6) : SHAPE(1, 6, 6), w);
		x = net_node_with(graphs[i], "LeakyRelu", "l", &alpha, 1, OPSET, INS(x));
		net_output(graphs[i], net_node(graphs[i], "Add", "y", INS(x, c)));
		net_ready(graphs[i]);
	}
	group = merge(graphs, 2, true, &report);
	ck_assert_uint_eq(report.constants_after, 2);
	ck_assert_uint_eq(group->n_nodes, 4);
	check_outputs(group, graphs);
	free_all(group, graphs, 2);
}
END_TEST

/* ---- a member alone, and on paper -------------------------------------------------------- */

START_TEST(test_alone)
{
	struct finf_graph *graphs[] = {variant("image", "h1"), variant("data", "h2")};
	struct finf_merge_report report;
	struct finf_graph *group = merge(graphs, 2, true, &report), *back = NULL, *alone;
	struct finf_tensor one[NET_PORTS], other[NET_PORTS];
	struct finf_diag diag = {""};
	struct finf_buf buf, again;

	finf_buf_init(&buf);
	finf_buf_init(&again);
	group->schedule = FINF_ONE_BY_ONE;
	finf_graph_write(group, &buf);
	ck_assert_msg(!finf_graph_read(buf.data, buf.len, &back, &diag), "%s", diag.text);
	ck_assert_uint_eq(back->n_members, 2);
	ck_assert_int_eq(back->schedule, FINF_ONE_BY_ONE);
	ck_assert_str_eq(back->members[1].inputs[0].name, "data");
	finf_graph_write(back, &again);
	ck_assert_uint_eq(buf.len, again.len);
	ck_assert_mem_eq(buf.data, again.data, buf.len);
	for (size_t n = 0; n < buf.len; n++) {
		struct finf_graph *cut = NULL;

		ck_assert_int_eq(finf_graph_read(buf.data, n, &cut, &diag), -EBADMSG);
	}
	for (uint32_t m = 0; m < 2; m++) {
		ck_assert_int_eq(finf_graph_member_only(group, m, &alone), 0);
		ck_assert_uint_eq(alone->n_nodes, 6);
		ck_assert_uint_eq(alone->n_members, 0);
		ck_assert_str_eq(alone->values[alone->inputs[0]].name, m ? "data" : "image");
		ck_assert_str_eq(alone->values[alone->outputs[0]].name, "y");
		net_run(alone, one);
		net_run(graphs[m], other);
		ck_assert_mem_eq(one[0].data, other[0].data, one[0].bytes);
		interp_free(one, 1);
		interp_free(other, 1);
		finf_graph_free(alone);
	}
	finf_buf_fini(&buf);
	finf_buf_fini(&again);
	finf_graph_free(back);
	free_all(group, graphs, 2);
}
END_TEST

/* ---- refused ------------------------------------------------------------------------------ */

START_TEST(test_refused)
{
	struct finf_graph *x = variant("x", "h1"), *y = variant("x", "h2"), *batch = net_new();
	struct finf_graph *graphs[] = {x, y}, *group, *ret = NULL;
	struct finf_merge_report report;
	char long_name[200] = "";
	uint32_t w;

	net_output(batch, net_node(batch, "Relu", "y", INS(net_input(batch, "x", SHAPE(4, 3)))));
	net_ready(batch);
	group = merge(graphs, 2, false, &report);
	memset(long_name, 'n', sizeof(long_name) - 1);
	const struct {
		struct finf_fuse_member members[2];
		uint32_t n;
		int err;
		const char *says;
	} rows[] = {
		{{{"a", x}}, 1, -EINVAL, "2 to 64 members, not 1"},
		{{{"a", x}, {"a", y}}, 2, -EEXIST, "two members are named a"},
		{{{"a", x}, {"b/c", y}}, 2, -EINVAL, "'b/c' is no name"},
		{{{"a", x}, {"b:2", y}}, 2, -EINVAL, "'b:2' is no name"},
		{{{"a", x}, {long_name, y}}, 2, -EINVAL, "is no name"},
		{{{"a", x}, {"g", group}}, 2, -EINVAL, "g is a group"},
		{{{"a", x}, {"b", batch}},
		 2,
		 -EINVAL,
		 "mixed batch sizes: a takes batches of 1, b of 4"},
	};

	for (size_t i = 0; i < FINF_ARRAY_LEN(rows); i++) {
		struct finf_diag diag = {""};

		ck_assert_int_eq(
			finf_fuse_merge("g", rows[i].members, rows[i].n, NULL, &ret, NULL, &diag),
			rows[i].err);
		ck_assert_msg(strstr(diag.text, rows[i].says) != NULL, "%s", diag.text);
		ck_assert_ptr_null(ret);
	}
	w = net_value(y, "c1.w");
	y->values[w].data = NULL;
	ck_assert_int_eq(finf_fuse_merge("g", (struct finf_fuse_member[]){{"a", x}, {"b", y}}, 2,
					 NULL, &ret, NULL, NULL),
			 -EINVAL);
	ck_assert_ptr_null(ret);
	finf_graph_free(batch);
	free_all(group, graphs, 2);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("fuse/merge");
	TCase *tc = tcase_create("merge");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_inputs_apart);
	tcase_add_test(tc, test_backbone_once);
	tcase_add_test(tc, test_only_input);
	tcase_add_test(tc, test_same_output);
	tcase_add_test(tc, test_odd_outputs);
	tcase_add_test(tc, test_not_the_same);
	tcase_add_test(tc, test_alone);
	tcase_add_test(tc, test_refused);
	suite_add_tcase(suite, tc);
	return suite;
}
