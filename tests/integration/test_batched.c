/* SPDX-License-Identifier: MIT */
/*
 * Variants of one backbone as their user sees them: what they do alike is done once, and
 * every answer is what the variant alone gives; asked for whole, one by one, in batches, where
 * there is no room for it, and where there is nothing alike.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fusedinf/engine.h>

#include "base/base.h"
#include "tests/integration/inproc.h"
#include "tests/integration/variants.h"
#include "tests/support/fid.h"
#include "tests/support/support.h"

/* All variants as one group in a file, batched as @how says. */
static const char *fuse(const char *how, const char *optimize)
{
	const char *file = scratch_path("g.fim");

	fictl_ok(NULL, "fuse", variant(0), variant(1), variant(2), variant(3), "-o", file,
		 "--batched", how, "--optimize", optimize, "--no-verdict", NULL);
	return file;
}

/* ---- in process ---------------------------------------------------------------------------- */

static void check(const struct variants_scores *got, const struct variants_scores *want,
		  int64_t batch, bool exact)
{
	size_t n = (size_t)batch * CLASSES;

	for (unsigned k = 0; k < VARIANTS; k++) {
		if (exact)
			ck_assert_mem_eq(got->scores[k], want->scores[k], n * sizeof(float));
		else
			ck_assert_double_lt(relative_l2(got->scores[k], want->scores[k], n), 1e-6);
	}
}

/* With one image each, then with three; to the bit with reference kernels, which are never batched. */
START_TEST(batched_equals_separate)
{
	bool exact = _i;
	struct finf_engine *engine = inproc_open(32 << 20, exact);
	struct variants_scores whole, alone;

	inproc_add(engine, fuse("always", "latency"), "g");
	for (unsigned k = 0; k < VARIANTS; k++) {
		char name[8];

		snprintf(name, sizeof(name), "v%u", k);
		inproc_add(engine, variant(k), name);
	}
	for (int64_t batch = 1; batch <= VARIANTS_BATCH; batch += 2) {
		variants_infer(engine, "g", 0, VARIANTS, batch, &whole);
		for (unsigned k = 0; k < VARIANTS; k++) {
			char name[8];

			snprintf(name, sizeof(name), "v%u", k);
			variants_infer(engine, name, k, 1, batch, &alone);
		}
		check(&whole, &alone, batch, exact);
	}
	finf_engine_close(engine);
}
END_TEST

/* One backbone and four heads in bytes, and the bytes that were predicted. */
START_TEST(bytes_are_predicted)
{
	struct finf_model_stats stats = {.size = sizeof(stats)};
	struct finf_engine *engine = inproc_open(32 << 20, false);
	const char *file = fuse("always", "latency"), *plan, *one;
	struct variants_scores whole;
	int64_t weights;

	inproc_add(engine, file, "g");
	variants_infer(engine, "g", 0, VARIANTS, 1, &whole);
	ck_assert_int_eq(finf_engine_stats(engine, "g", &stats), 0);
	plan = fictl_ok(NULL, "plan", file, "--threads", "2", "--json", NULL);
	ck_assert_ptr_nonnull(strstr(plan, "\"batched\": true"));
	ck_assert_uint_eq((uint64_t)json_at(plan, "arena_bytes"), stats.arena_bytes);
	ck_assert_uint_eq((uint64_t)json_at(plan, "weight_bytes"), stats.weight_bytes);
	weights = json_at(plan, "weight_bytes");
	one = fictl_ok(NULL, "plan", variant(0), "--threads", "2", "--json", NULL);
	ck_assert_int_le(weights, json_at(one, "weight_bytes") +
					  (VARIANTS - 1) * (int64_t)(HEAD_FLOATS * sizeof(float)) +
					  4096);
	finf_engine_close(engine);
}
END_TEST

/* The rows of all members at once do not fit: each does its own, and answers as before. */
START_TEST(without_room)
{
	const char *file = fuse("always", "latency"), *plan, *few;
	char bytes[32];
	int64_t all;

	plan = fictl_ok(NULL, "plan", file, "--json", NULL);
	all = json_at(plan, "arena_bytes") + json_at(plan, "weight_bytes");
	snprintf(bytes, sizeof(bytes), "%lld", (long long)all);
	few = fictl_ok(NULL, "plan", file, "--bytes", bytes, "--json", NULL);
	ck_assert_ptr_nonnull(strstr(few, "\"batched\": true"));
	/* Heads one after the other take fewer; at last it is the rows that do not fit. */
	for (bool batched = true; batched;) {
		int64_t takes;

		snprintf(bytes, sizeof(bytes), "%lld", (long long)all - 1);
		few = fictl_ok(NULL, "plan", file, "--bytes", bytes, "--json", NULL);
		batched = strstr(few, "\"batched\": true");
		takes = json_at(few, "arena_bytes") + json_at(few, "weight_bytes");
		ck_assert_int_lt(takes, all);
		all = takes;
	}
}
END_TEST

/* ---- the choice ------------------------------------------------------------------------------ */

static const struct {
	const char *batched, *optimize;
	const char *says; /* by the verdict; NULL = none is asked for */
	bool on;
} choices[] = {
	{"always", "latency", "as asked: ", true},
	{"always", "memory", NULL, true},
	{"never", "latency", NULL, false},
	{"auto", "memory", "not asked for: ", false}, /* it would take bytes */
	{"auto", "latency", NULL, false},		/* unmeasured */
};

START_TEST(asked_for)
{
	const char *file = scratch_path("c.fim"), *out;

	out = fictl_ok(NULL, "fuse", variant(0), variant(1), "--batched", choices[_i].batched,
		       "--optimize", choices[_i].optimize, "-o", file,
		       choices[_i].says ? NULL : "--no-verdict", NULL);
	ck_assert_msg(!choices[_i].says || strstr(out, choices[_i].says), "%s", out);
	out = fictl_ok(NULL, "plan", file, "--json", NULL);
	ck_assert_msg(strstr(out, choices[_i].on ? "\"batched\": true" : "\"batched\": false") !=
			      NULL,
		      "%s", out);
}
END_TEST

/* Whatever was measured, the pack is made so, and the verdict says what was tried. */
START_TEST(measured)
{
	const char *file = scratch_path("m.fim");
	const char *out = fictl_ok(NULL, "fuse", variant(0), variant(1), variant(2), "-o", file,
				   "--json", NULL);
	bool batched = strstr(out, "\"batched\": true");
	const char *plan;

	ck_assert_int_eq(json_at(out, "verdict.nodes_alike"),
			 3 * json_at(out, "verdict.nodes_batched"));
	ck_assert_int_ge(json_at(out, "verdict.nodes_batched"), 5);
	ck_assert_ptr_nonnull(strstr(out, batched ? "batched    yes: " : "batched    no: "));
	plan = fictl_ok(NULL, "plan", file, "--json", NULL);
	ck_assert_int_eq(strstr(plan, "\"batched\": true") != NULL, batched);
}
END_TEST

START_TEST(nothing_alike)
{
	const char *out;
	char other[1024];

	snprintf(other, sizeof(other), "%s/tests/golden/cases/net_vgg_raw_11/model.onnx",
		 source_dir());
	out = fictl_ok(NULL, "fuse", variant(0), other, "--dry-run", NULL);
	ck_assert_ptr_nonnull(strstr(out, "batched    nothing"));
	fictl_fails(NULL, 1, "there is nothing to batch", "fuse", variant(0), other, "--dry-run",
		    "--batched", "always", NULL);
	fictl_fails(NULL, 2, "--batched is auto, always or never, not maybe", "fuse", variant(0),
		    other, "--dry-run", "--batched", "maybe", NULL);
}
END_TEST

/* ---- through fid ------------------------------------------------------------------------------- */

static bool same_files(const char *a, const char *b)
{
	const char *const argv[] = {"/usr/bin/cmp", a, b, NULL};
	struct test_output output;
	bool same;

	run_program(&output, argv);
	same = output.status == 0;
	test_output_free(&output);
	return same;
}

/* One variant of the cold group, the whole, another batch, again after a restart. */
START_TEST(one_of_many)
{
	const char *one = scratch_path("one.npy"), *two = scratch_path("two.npy");
	struct test_fid fid;

	fid_start(&fid, "batched", "16M", NULL);
	for (unsigned k = 0; k < VARIANTS; k++)
		fictl_ok(&fid, "import", variant(k), NULL);
	fictl_ok(&fid, "fuse", "v0", "v1", "v2", "v3", "--name", "g", "--batched", "always",
		 "--no-verdict", NULL);
	for (unsigned k = 0; k < VARIANTS; k += 3) {
		char group[8], name[8];

		snprintf(group, sizeof(group), "g/v%u", k);
		snprintf(name, sizeof(name), "v%u", k);
		unlink(one);
		unlink(two);
		fictl_ok(&fid, "infer", group, "--outputs", one, NULL);
		fictl_ok(&fid, "infer", name, "--outputs", two, NULL);
		ck_assert(same_files(one, two));
	}
	ck_assert_ptr_nonnull(strstr(fictl_ok(&fid, "plan", "g", NULL), "batched: "));
	fictl_ok(&fid, "infer", "g", NULL);
	fictl_ok(&fid, "infer", "g", "--batch", "2", NULL);
	fictl_ok(&fid, "infer", "g/v2", "--batch", "2", NULL);
	ck_assert_int_eq(json_at(fictl_ok(&fid, "inspect", "g", "--json", NULL), "loads"), 1);
	fid_stop(&fid);
	fid_start(&fid, "batched", "16M", NULL);
	fictl_ok(&fid, "infer", "g", NULL);
	fid_stop(&fid);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("integration/batched");
	TCase *tc = tcase_create("batched");

	tcase_set_timeout(tc, 300);
	tcase_add_loop_test(tc, batched_equals_separate, 0, 2);
	tcase_add_test(tc, bytes_are_predicted);
	tcase_add_test(tc, without_room);
	tcase_add_loop_test(tc, asked_for, 0, FINF_ARRAY_LEN(choices));
	tcase_add_test(tc, measured);
	tcase_add_test(tc, nothing_alike);
	tcase_add_test(tc, one_of_many);
	suite_add_tcase(suite, tc);
	return suite;
}
