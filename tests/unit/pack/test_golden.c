/* SPDX-License-Identifier: MIT */
/*
 * Packs of every released format stay readable. tests/golden/packs/ holds one
 * portable and one tuned pack per format and one of a group, written by this program
 * when the format was new: FI_WRITE_GOLDEN=1 build/tests/unit/pack/test_golden.
 */
#include "graph/member.h"
#include "tests/unit/pack/packs.h"

#define NEWEST 1 /* formats 1 to this one have their files */

static int golden_dir(void)
{
	char path[4096];
	int dir;

	snprintf(path, sizeof(path), "%s/tests/golden/packs", source_dir());
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_msg(dir >= 0, "%s: %s", path, strerror(errno));
	return dir;
}

static struct finf_pack *open_golden(const char *kind, int format)
{
	struct finf_pack *pack = NULL;
	struct finf_diag diag = {""};
	int dir = golden_dir(), fd, err;
	char name[64];

	snprintf(name, sizeof(name), "%s-%d.fim", kind, format);
	fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ck_assert_msg(fd >= 0, "%s: %s", name, strerror(errno));
	err = finf_pack_open(fd, name, &pack, &diag);
	ck_assert_msg(!err, "%s", diag.text);
	err = finf_pack_verify(pack, &diag);
	ck_assert_msg(!err, "%s", diag.text);
	close(fd);
	close(dir);
	return pack;
}

/* The same nodes, wired the same way, by name. */
static void check_graph(const struct finf_graph *got, const struct finf_graph *want)
{
	ck_assert_uint_eq(got->n_nodes, want->n_nodes);
	ck_assert_uint_eq(got->n_values, want->n_values);
	for (uint32_t i = 0; i < got->n_nodes; i++) {
		const struct finf_node *a = &got->nodes[i], *b = &want->nodes[i];

		ck_assert_str_eq(a->op->name, b->op->name);
		ck_assert_uint_eq(a->opset, b->opset);
		ck_assert_uint_eq(a->n_in, b->n_in);
		for (uint32_t k = 0; k < a->n_in; k++)
			ck_assert_str_eq(got->values[a->in[k]].name, want->values[b->in[k]].name);
		ck_assert_str_eq(got->values[a->out[0]].name, want->values[b->out[0]].name);
	}
	ck_assert_str_eq(got->values[got->inputs[0]].name, "x");
	ck_assert_str_eq(got->values[got->outputs[0]].name, "y");
}

START_TEST(test_portable)
{
	struct finf_graph *graph = sample_graph();
	struct finf_pack *pack = open_golden("portable", _i);

	check_graph(pack->graph, graph);
	ck_assert_str_eq(pack->target, "portable");
	ck_assert_uint_eq(pack->n_weights, 4);
	for (uint32_t v = 0; v < graph->n_values; v++) {
		const struct finf_value *value = &graph->values[v];
		uint8_t bytes[8192];

		if (!value->is_const)
			continue;
		ck_assert_int_eq(finf_pack_read_weight(pack, value->name, 0, bytes, value->bytes), 0);
		ck_assert_mem_eq(bytes, value->data, value->bytes);
	}
	finf_pack_close(pack);
	finf_graph_free(graph);
}
END_TEST

START_TEST(test_tuned)
{
	struct finf_graph *graph = sample_graph();
	struct finf_pack *pack = open_golden("tuned", _i);
	struct finf_diag diag = {""};

	check_graph(pack->graph, graph);
	ck_assert_str_eq(pack->target, SAMPLE_TARGET);
	ck_assert_str_eq(pack->source, "123456789abcdef0");
	ck_assert_msg(!finf_plan_check(graph, pack->plan, &diag), "%s", diag.text);
	ck_assert_uint_eq(pack->plan->threads, 2);
	ck_assert_uint_eq(pack->n_weights, 4);
	ck_assert_uint_eq(pack->n_segments, 3);
	for (uint32_t i = 0; i < pack->n_weights; i++) {
		uint8_t bytes[8192];

		ck_assert_int_eq(finf_pack_read_weight(pack, pack->weights[i].name, 0, bytes,
						       pack->weights[i].bytes), 0);
		for (uint64_t k = 0; k < pack->weights[i].bytes; k++)
			ck_assert_uint_eq(bytes[k], tuned_byte(i, k));
	}
	finf_pack_close(pack);
	finf_graph_free(graph);
}
END_TEST

/* The sample as a group of two that answer alike. */
static struct finf_graph *group_graph(void)
{
	struct finf_graph *graph = sample_graph();

	for (uint32_t i = 0; i < 2; i++) {
		struct finf_member_port in = {0, i ? "data" : "image"}, out = {0, "scores"};
		struct finf_member member = {i ? "b" : "a", 1, 1, &in, &out};

		ck_assert_int_eq(finf_graph_add_member(graph, &member), 0);
	}
	graph->schedule = FINF_ONE_BY_ONE;
	return graph;
}

static void write_group(int dir, const char *name)
{
	struct finf_graph *graph = group_graph();
	struct finf_plan *plan = sample_plan(graph);

	ck_assert_int_eq(finf_pack_write_tuned(dir, name, graph, plan, SAMPLE_TARGET, 1,
					       &tuned_source, NULL),
			 0);
	finf_plan_free(plan);
	finf_graph_free(graph);
}

/* Graph and plan of version 2. */
START_TEST(test_group)
{
	struct finf_pack *pack = open_golden("group", 1);
	struct finf_graph *graph = group_graph();
	struct finf_diag diag = {""};

	check_graph(pack->graph, graph);
	ck_assert_uint_eq(pack->graph->n_members, 2);
	ck_assert_int_eq(pack->graph->schedule, FINF_ONE_BY_ONE);
	for (uint32_t i = 0; i < 2; i++) {
		const struct finf_member *member = &pack->graph->members[i];

		ck_assert_str_eq(member->name, i ? "b" : "a");
		ck_assert_uint_eq(member->n_inputs, 1);
		ck_assert_str_eq(member->inputs[0].name, i ? "data" : "image");
		ck_assert_uint_eq(member->outputs[0].index, 0);
		ck_assert_str_eq(member->outputs[0].name, "scores");
	}
	ck_assert_msg(!finf_plan_check(graph, pack->plan, &diag), "%s", diag.text);
	ck_assert_uint_eq(pack->plan->n_branches, 1);
	finf_pack_close(pack);
	finf_graph_free(graph);
}
END_TEST

START_TEST(test_write_golden)
{
	int dir = golden_dir();
	char name[64];

	snprintf(name, sizeof(name), "portable-%d.fim", FINF_PACK_FORMAT);
	ck_assert_int_eq(write_sample_portable(dir, name), 0);
	snprintf(name, sizeof(name), "tuned-%d.fim", FINF_PACK_FORMAT);
	ck_assert_int_eq(write_sample_tuned(dir, name), 0);
	snprintf(name, sizeof(name), "group-%d.fim", FINF_PACK_FORMAT);
	write_group(dir, name);
	close(dir);
}
END_TEST

/* A new format comes with its golden files. */
START_TEST(test_newest)
{
	ck_assert_int_eq(FINF_PACK_FORMAT, NEWEST);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("pack/golden");
	TCase *tc = tcase_create("golden");

	tcase_set_timeout(tc, 60);
	if (getenv("FI_WRITE_GOLDEN"))
		tcase_add_test(tc, test_write_golden);
	tcase_add_loop_test(tc, test_portable, 1, NEWEST + 1);
	tcase_add_loop_test(tc, test_tuned, 1, NEWEST + 1);
	tcase_add_test(tc, test_group);
	tcase_add_test(tc, test_newest);
	suite_add_tcase(suite, tc);
	return suite;
}
