/* SPDX-License-Identifier: MIT */
/* engine: larger forms of weights - only when asked for, only for one shape, same answers. */
#include <errno.h>

#include "engine/priv.h"
#include "fuse/fuse.h"
#include "graph/op.h"
#include "tests/unit/engine/testmodel.h"

#define CHANNELS CONVS_CHANNELS
#define SIZE	 CONVS_SIZE
#define X	 CONVS_X

static struct finf_graph *import(const char *path)
{
	struct finf_graph *graph = NULL;
	struct finf_fuse_report report;
	struct finf_diag diag = {""};

	ck_assert_msg(!finf_import_file(path, &graph, &diag), "%s", diag.text);
	ck_assert_int_eq(finf_fuse_run(graph, &report, &diag), 0);
	return graph;
}

static bool has_fat(const struct finf_plan *plan)
{
	for (uint32_t i = 0; i < plan->n_steps; i++)
		if (plan->steps[i].form.flags & FINF_FORM_FAT)
			return true;
	return false;
}

/* Weights of the model under a name, and its answer in @y. */
static uint64_t answer(const char *path, enum finf_optimize optimize, bool exact, int64_t batch,
		       float *y)
{
	struct finf_engine_opts opts = {.size = sizeof(opts), .pool_bytes = 32 << 20, .threads = 1,
					.exact = exact, .optimize = optimize};
	struct finf_tensor in = {"x", FINF_F32, {4, {batch, CHANNELS, SIZE, SIZE}}, NULL,
				 (size_t)batch * X * sizeof(float)};
	struct finf_tensor out = {.data = y, .bytes = in.bytes};
	struct finf_model_stats stats = {.size = sizeof(stats)};
	struct finf_engine *engine = NULL;
	struct finf_diag diag = {""};

	in.data = malloc(in.bytes);
	ck_assert_ptr_nonnull(in.data);
	test_fill_f32(in.data, in.bytes / sizeof(float), 7);
	ck_assert_msg(!finf_engine_open(&opts, &engine, &diag), "%s", diag.text);
	ck_assert_msg(!finf_engine_add(engine, path, "m", &diag), "%s", diag.text);
	for (int i = 0; i < 2; i++)
		ck_assert_msg(!finf_engine_infer(engine, "m", &in, 1, &out, 1, &diag), "%s",
			      diag.text);
	ck_assert_int_eq(finf_engine_stats(engine, "m", &stats), 0);
	finf_engine_close(engine);
	free(in.data);
	return stats.weight_bytes;
}

START_TEST(same_answers)
{
	const char *path = model_write_convs(1);
	float *want = malloc(X * sizeof(float)), *got = malloc(X * sizeof(float));
	uint64_t lean, fast;

	answer(path, FINF_OPTIMIZE_MEMORY, true, 1, want);
	lean = answer(path, FINF_OPTIMIZE_MEMORY, false, 1, got);
	ck_assert_double_lt(relative_l2(got, want, X), 1e-5);
	fast = answer(path, FINF_OPTIMIZE_LATENCY, false, 1, got);
	ck_assert_double_lt(relative_l2(got, want, X), 1e-5);
	ck_assert_uint_ge(fast, lean); /* larger where this machine found it worth while */
	free(want);
	free(got);
}
END_TEST

/* Its weights must serve every batch: they stay as they are. */
START_TEST(shapes_that_vary)
{
	const char *path = model_write_convs(-1);
	float *want = malloc(3 * X * sizeof(float)), *got = malloc(3 * X * sizeof(float));

	for (int64_t batch = 1; batch <= 3; batch += 2) {
		uint64_t lean = answer(path, FINF_OPTIMIZE_MEMORY, true, batch, want);

		lean = answer(path, FINF_OPTIMIZE_MEMORY, false, batch, got);
		ck_assert_uint_eq(answer(path, FINF_OPTIMIZE_LATENCY, false, batch, got), lean);
		ck_assert_double_lt(relative_l2(got, want, (size_t)batch * X), 1e-5);
	}
	free(want);
	free(got);
}
END_TEST

/* ---- devices that answer as they are told ---------------------------------------------- */

static int (*real_run)(struct finf_device *dev, struct finf_kernel *kernel,
		       const struct finf_launch *launch);
static int (*real_new)(struct finf_device *dev, const struct finf_graph *graph, uint32_t node,
		       const struct finf_form *form, uint32_t threads,
		       struct finf_kernel **ret_kernel, struct finf_diag *diag);
static int runs_left; /* until one fails */
static bool fat_is_slow, running_fat;

static int told_new(struct finf_device *dev, const struct finf_graph *graph, uint32_t node,
		    const struct finf_form *form, uint32_t threads, struct finf_kernel **ret_kernel,
		    struct finf_diag *diag)
{
	running_fat = form->flags & FINF_FORM_FAT;
	return real_new(dev, graph, node, form, threads, ret_kernel, diag);
}

/* The slower of the two takes 30 ms: much more than either does by itself. */
static int told_run(struct finf_device *dev, struct finf_kernel *kernel,
		    const struct finf_launch *launch)
{
	uint64_t start = finf_now_ns();

	if (!runs_left--)
		return -EREMOTEIO;
	while (running_fat == fat_is_slow && finf_now_ns() - start < 30000000)
		;
	return real_run(dev, kernel, launch);
}

static int plan_told(unsigned how, int runs, bool *ret_fat)
{
	struct finf_graph *graph = import(model_write_convs(1)), *bound = NULL;
	struct finf_device *dev = NULL;
	struct finf_device_ops ops;
	struct finf_plan *plan = NULL;
	struct finf_diag diag = {""};
	int err;

	ck_assert_int_eq(finf_device_open("host", &dev, &diag), 0);
	ops = *dev->ops;
	real_run = ops.kernel_run;
	real_new = ops.kernel_new;
	ops.kernel_run = told_run;
	ops.kernel_new = told_new;
	dev->ops = &ops;
	runs_left = runs;
	err = finf_engine_plan(dev, graph, NULL, 1, 0, how, NULL, &bound, &plan, &diag);
	if (!err)
		*ret_fat = has_fat(plan);
	finf_plan_free(plan);
	finf_graph_free(bound);
	finf_graph_free(graph);
	finf_device_close(dev);
	return err;
}

static bool offers_fat(void)
{
	struct finf_graph *graph = import(model_write_convs(1)), *bound = NULL;
	struct finf_device *dev = NULL;
	struct finf_form_table table;
	bool found = false;

	ck_assert_int_eq(finf_device_open("host", &dev, NULL), 0);
	ck_assert_int_eq(finf_engine_bind(graph, NULL, false, &bound, NULL), 0);
	ck_assert_int_eq(finf_device_forms(dev, bound, 1, NULL, &table, NULL), 0);
	for (uint32_t i = 0; i < table.n_nodes; i++)
		for (uint32_t k = 0; k < table.nodes[i].n; k++)
			found |= table.nodes[i].forms[k].flags & FINF_FORM_FAT;
	finf_form_table_fini(&table);
	finf_graph_free(bound);
	finf_graph_free(graph);
	finf_device_close(dev);
	return found;
}

START_TEST(what_was_measured_decides)
{
	bool fat = true;

	if (!offers_fat()) {
		skip_test("winograd", "this oneDNN or CPU has none");
		return;
	}
	fat_is_slow = false;
	ck_assert_int_eq(plan_told(FINF_PLAN_FAST, INT32_MAX, &fat), 0);
	ck_assert(fat);
	fat_is_slow = true;
	ck_assert_int_eq(plan_told(FINF_PLAN_FAST, INT32_MAX, &fat), 0);
	ck_assert(!fat);
	fat_is_slow = false;
	ck_assert_int_eq(plan_told(0, 0, &fat), 0); /* not asked for: nothing is run */
	ck_assert(!fat);
	for (int runs = 0; runs < 8; runs++)
		ck_assert_int_eq(plan_told(FINF_PLAN_FAST, runs, &fat), -EREMOTEIO);
}
END_TEST

START_TEST(unknown_wish)
{
	struct finf_engine_opts opts = {.size = sizeof(opts), .optimize = (enum finf_optimize)7};
	struct finf_engine *engine = NULL;
	struct finf_diag diag = {""};

	ck_assert_int_eq(finf_engine_open(&opts, &engine, &diag), -EINVAL);
	ck_assert_ptr_null(engine);
	ck_assert_ptr_nonnull(strstr(diag.text, "optimize"));
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("engine/fast");
	TCase *tc = tcase_create("fast");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, same_answers);
	tcase_add_test(tc, shapes_that_vary);
	tcase_add_test(tc, what_was_measured_decides);
	tcase_add_test(tc, unknown_wish);
	suite_add_tcase(suite, tc);
	return suite;
}
