/* SPDX-License-Identifier: MIT */
/*
 * graph: every allocation fails once, from bytes to a bound graph. The answer
 * is -ENOMEM and, under ASan, nothing leaked. The linker sends allocations
 * here first (tests/build.mk, --wrap).
 */
#include <errno.h>
#include <stdio.h>

#include "graph/op.h"
#include "tests/support/support.h"

static unsigned fail_at; /* counted from now; 0 = none */
static unsigned fired;

static bool fails(void)
{
	if (!fail_at || --fail_at)
		return false;
	fired++;
	return true;
}

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t n, size_t bytes);
void *__real_realloc(void *p, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes);
void *__wrap_realloc(void *p, size_t bytes);

void *__wrap_malloc(size_t bytes)
{
	return fails() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t n, size_t bytes)
{
	return fails() ? NULL : __real_calloc(n, bytes);
}

void *__wrap_realloc(void *p, size_t bytes)
{
	return fails() ? NULL : __real_realloc(p, bytes);
}

/*
 * Wide enough that arrays grow and the arena needs several blocks: Shape,
 * Gather and Concat feed a Reshape, then a row of constants is added.
 */
static int build(struct finf_graph *graph)
{
	static const float ones[600];
	const struct finf_shape any = {.rank = 2, .dim = {FINF_DIM_ANY, 600}};
	const struct finf_shape scalar = {0}, one = {.rank = 1, .dim = {1}};
	const struct finf_shape row = {.rank = 1, .dim = {600}};
	const struct finf_attr axis = {.name = "axis", .type = FINF_ATTR_INT, .i = 0};
	const struct {
		const char *op;
		uint32_t in[2], n_in;
		bool has_axis;
	} nodes[] = {
		{"Shape", {0}, 1, false},	 {"Gather", {4, 1}, 2, true},
		{"Unsqueeze", {5, 2}, 2, false}, {"Concat", {6, 3}, 2, true},
		{"Reshape", {0, 7}, 2, false},
	};
	uint32_t v, last;
	char name[32];
	int err;

	err = finf_graph_value(graph, "x", FINF_F32, &any, &v);
	err = err ? err : finf_graph_input(graph, v);
	err = err ? err : finf_graph_value(graph, "zero", FINF_I64, &scalar, &v);
	err = err ? err : finf_graph_set_const(graph, v, (int64_t[]){0}, 8, true);
	err = err ? err : finf_graph_value(graph, "axes", FINF_I64, &one, &v);
	err = err ? err : finf_graph_set_const(graph, v, (int64_t[]){0}, 8, true);
	err = err ? err : finf_graph_value(graph, "rest", FINF_I64, &one, &v);
	err = err ? err : finf_graph_set_const(graph, v, (int64_t[]){-1}, 8, true);
	for (size_t i = 0; !err && i < FINF_ARRAY_LEN(nodes); i++) {
		snprintf(name, sizeof(name), "n%zu", i);
		err = finf_graph_value(graph, name, FINF_DTYPE_NONE, NULL, &v);
		err = err ? err
			  : finf_graph_node(graph, finf_op_find(nodes[i].op), 13, name, nodes[i].in,
					    nodes[i].n_in, &v, 1, &axis, nodes[i].has_axis, NULL);
	}
	for (int i = 0; !err && i < 40; i++) {
		last = v;
		snprintf(name, sizeof(name), "ones%d", i);
		err = finf_graph_value(graph, name, FINF_F32, &row, &v);
		err = err ? err : finf_graph_set_const(graph, v, ones, sizeof(ones), true);
		snprintf(name, sizeof(name), "sum%d", i);
		if (!err) {
			uint32_t in[] = {last, v};

			err = finf_graph_value(graph, name, FINF_DTYPE_NONE, NULL, &v);
			err = err ? err
				  : finf_graph_node(graph, finf_op_find("Add"), 13, NULL, in, 2, &v,
						    1, NULL, 0, NULL);
		}
	}
	return err ? err : finf_graph_output(graph, v);
}

/* Built, sorted, verified, inferred, bound, written and read back. */
static int whole_life(void)
{
	const struct finf_shape shape = {.rank = 2, .dim = {3, 600}};
	struct finf_graph *graph = NULL, *bound = NULL, *back = NULL;
	struct finf_diag diag;
	struct finf_buf buf;
	int err;

	finf_buf_init(&buf);
	err = finf_graph_new("memory", &graph);
	err = err ? err : build(graph);
	err = err ? err : finf_graph_sort(graph, &diag);
	err = err ? err : finf_graph_verify(graph, &diag);
	err = err ? err : finf_graph_infer(graph, &diag);
	err = err ? err : finf_graph_bind(graph, &shape, &bound, &diag);
	/* No assertion in here: Check allocates too. */
	err = !err && bound->n_nodes != 41 ? -EINVAL : err;
	if (!err) {
		finf_graph_write(graph, &buf);
		err = buf.err;
	}
	err = err ? err : finf_graph_read(buf.data, buf.len, &back, &diag);
	finf_buf_fini(&buf);
	finf_graph_free(back);
	finf_graph_free(bound);
	finf_graph_free(graph);
	return err;
}

START_TEST(test_every_allocation_fails_once)
{
	unsigned k = 0;
	int err;

	do {
		fail_at = ++k;
		fired = 0;
		err = whole_life();
		fail_at = 0;
		ck_assert_msg(err == (fired ? -ENOMEM : 0), "allocation %u: error %d", k, err);
	} while (fired);
	ck_assert_uint_gt(k, 40);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("graph/memory");
	TCase *tcase = tcase_create("memory");

	tcase_set_timeout(tcase, 300);
	tcase_add_test(tcase, test_every_allocation_fails_once);
	suite_add_tcase(suite, tcase);
	return suite;
}
