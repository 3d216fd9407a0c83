/* SPDX-License-Identifier: MIT */
/*
 * Fused groups on the CUDA device, on the driver of tests/support/fakecuda: batched, and
 * with branches that are captured as such. Whole and one by one, in batches, swapped out and
 * in, every member answers as it does alone on the host device.
 */
#include <dlfcn.h>

#include <fusedinf/engine.h>

#include "tests/integration/inproc.h"
#include "tests/integration/variants.h"
#include "tests/support/fakedriver.h"
#include "tests/support/fid.h"

static __typeof__(fakecuda_violations) *violations;

/* For this process and for those that it starts. */
static void setup(void)
{
	void *lib = dlopen(fakedriver_use(), RTLD_NOW | RTLD_LOCAL);

	ck_assert_ptr_nonnull(lib);
	violations = (__typeof__(violations))dlsym(lib, "fakecuda_violations");
	ck_assert(violations != NULL);
	setenv("FAKECUDA_DELAY_US", "20", 1);
	setenv("FAKECUDA_VIOLATIONS", scratch_path("violations"), 1);
}

static void teardown(void)
{
	const char *last;

	ck_assert_msg(violations(&last) == 0, "%s", last);
	ck_assert_msg(access(scratch_path("violations"), F_OK), "the daemon's driver suffered");
}

/* How a group is made, and whether its plan is batched. */
static const struct way {
	const char *batched, *optimize;
} ways[] = {
	{"always", "latency"},
	{"always", "memory"},
	{"never", "latency"},
	{"never", "memory"},
};

/* ---- in process ------------------------------------------------------------------------- */

static struct finf_engine *open_engine(const char *device, uint64_t pool_bytes)
{
	const struct finf_engine_opts opts = {
		.size = sizeof(opts), .device = device, .pool_bytes = pool_bytes, .threads = 1};
	struct finf_engine *engine;
	struct finf_diag diag;

	ck_assert_msg(!finf_engine_open(&opts, &engine, &diag), "%s", diag.text);
	return engine;
}

/* Each variant by itself, on the host device: the oracle. */
static void reference(int64_t batch, struct variants_scores *ret)
{
	struct finf_engine *engine = open_engine("host", 16 << 20);

	for (unsigned k = 0; k < VARIANTS; k++) {
		char name[8];

		snprintf(name, sizeof(name), "v%u", k);
		inproc_add(engine, variant(k), name);
		variants_infer(engine, name, k, 1, batch, ret);
	}
	finf_engine_close(engine);
}

static void check(const struct variants_scores *got, const struct variants_scores *want,
		  int64_t batch)
{
	for (unsigned k = 0; k < VARIANTS; k++)
		ck_assert_double_lt(
			relative_l2(got->scores[k], want->scores[k], (size_t)batch * CLASSES),
			1e-5);
}

/* First, captured, once more, and after it was out. */
static void ask(struct finf_engine *engine, int64_t batch)
{
	struct variants_scores want, got;
	struct finf_diag diag;

	reference(batch, &want);
	for (int i = 0; i < 4; i++) {
		memset(&got, 0, sizeof(got));
		if (i == 3)
			ck_assert_int_eq(finf_engine_unload(engine, "g"), 0);
		variants_infer(engine, "g", 0, VARIANTS, batch, &got);
		check(&got, &want, batch);
	}
	ck_assert_int_eq(finf_engine_unload(engine, "g"), 0);
	ck_assert_msg(!finf_engine_load(engine, "g", &diag), "%s", diag.text);
	variants_infer(engine, "g", 0, VARIANTS, batch, &got);
	check(&got, &want, batch);
}

static const char *fuse(const struct way *way)
{
	const char *file = scratch_path("g.fim"), *plan;

	fictl_ok(NULL, "fuse", variant(0), variant(1), variant(2), variant(3), "-o", file,
		 "--batched", way->batched, "--optimize", way->optimize, "--no-verdict", NULL);
	plan = fictl_ok(NULL, "plan", file, "--json", NULL);
	ck_assert_int_eq(strstr(plan, "\"batched\": true") != NULL, way->batched[0] == 'a');
	return file;
}

/* Kernels of branches come in any order that the capture allows, another one each time. */
static void any_order(struct finf_engine *engine)
{
	struct variants_scores want, got;

	variants_infer(engine, "g", 0, VARIANTS, 1, &want);
	for (int i = 0; i < 40; i++) {
		variants_infer(engine, "g", 0, VARIANTS, 1, &got);
		check(&got, &want, 1);
	}
}

START_TEST(group_in_process)
{
	struct finf_engine *engine = open_engine("cuda", 16 << 20);

	inproc_add(engine, fuse(&ways[_i]), "g");
	ask(engine, 1);
	any_order(engine);
	ask(engine, VARIANTS_BATCH);
	finf_engine_close(engine);
}
END_TEST

/* ---- through fid --------------------------------------------------------------------------- */

/* fid answers zeros for what no input is given for, the same to a member as to its model. */
static bool same(const struct test_fid *fid, const char *a, const char *b, const char *batch)
{
	const char *one = scratch_path("one.npy"), *two = scratch_path("two.npy");
	const char *const argv[] = {"/usr/bin/cmp", one, two, NULL};
	struct test_output output;
	bool equal;

	unlink(one);
	unlink(two);
	fictl_ok(fid, "infer", a, "--batch", batch, "--outputs", one, NULL);
	fictl_ok(fid, "infer", b, "--batch", batch, "--outputs", two, NULL);
	run_program(&output, argv);
	equal = output.status == 0;
	test_output_free(&output);
	return equal;
}

/* A member of the cold group, the whole, swapped out and in, other models in between. */
START_TEST(group_through_fid)
{
	static const char *const cuda[] = {"--device", "cuda", NULL};
	const struct way *way = &ways[2 * _i];
	struct test_fid fid;

	fid_start(&fid, "group", "16M", cuda);
	for (unsigned k = 0; k < VARIANTS; k++)
		fictl_ok(&fid, "import", variant(k), NULL);
	fictl_ok(&fid, "fuse", "v0", "v1", "v2", "v3", "--name", "g", "--batched", way->batched,
		 "--optimize", way->optimize, "--no-verdict", NULL);
	ck_assert(same(&fid, "g/v2", "v2", "1"));
	fictl_ok(&fid, "infer", "g", "--repeat", "3", NULL);
	ck_assert(same(&fid, "g/v3", "v3", "1"));
	fictl_ok(&fid, "unload", "g", NULL);
	fictl_ok(&fid, "infer", "g", "--repeat", "3", NULL);
	fictl_ok(&fid, "unload", "g", NULL);
	ck_assert(same(&fid, "g/v0", "v0", "2"));
	fictl_ok(&fid, "infer", "g", "--batch", "2", "--repeat", "3", NULL);
	ck_assert_int_eq(json_at(fictl_ok(&fid, "inspect", "g", "--json", NULL), "loads"), 3);
	fid_stop(&fid);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("integration/cuda group");
	TCase *tc = tcase_create("cuda group");

	tcase_set_timeout(tc, 300);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, group_in_process, 0, FINF_ARRAY_LEN(ways));
	tcase_add_loop_test(tc, group_through_fid, 0, 2); /* for latency */
	suite_add_tcase(suite, tc);
	return suite;
}
