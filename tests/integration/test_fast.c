/* SPDX-License-Identifier: MIT */
/*
 * A busy model of a real fid earns a larger, faster form of its weights, and gives it back.
 * Two 3x3 convolutions of 64 channels, made here. No timing is asserted: what is expected is
 * waited for, bounded, by asking fid. Where the form is not measured to be faster, as on a
 * processor without AVX-512, there is nothing to see.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CONVS_CHANNELS 64u
#define CONVS_SIZE 28u

#include "tests/support/fid.h"
#include "tests/unit/engine/testmodel.h"

#define ROUNDS 400 /* of 50 requests: minutes, if need be */

static const char *network(void)
{
	static char path[1200];

	if (!path[0])
		snprintf(path, sizeof(path), "%s", model_write_convs(-1));
	return path;
}

static int64_t model(const struct test_fid *fid, const char *name, const char *path)
{
	return json_at(fictl_ok(fid, "--json", "inspect", name, NULL), path);
}

static int64_t status(const struct test_fid *fid, const char *path)
{
	return json_at(fictl_ok(fid, "--json", "status", NULL), path);
}

static bool why_says(const struct test_fid *fid, const char *name, const char *text)
{
	return strstr(fictl_ok(fid, "why", name, NULL), text) != NULL;
}

/* Until `why` says @text. False: there is no faster form on this machine. */
static bool busy_until(const struct test_fid *fid, const char *name, const char *text)
{
	for (int i = 0; i < ROUNDS; i++) {
		if (why_says(fid, name, text))
			return true;
		if (why_says(fid, name, "there is no faster form"))
			return false;
		fictl_ok(fid, "infer", name, "--repeat", "50", NULL);
	}
	ck_abort_msg("%s never: %s\n%s", text, fictl_ok(fid, "why", name, NULL),
		     fictl_ok(fid, "events", NULL));
	return false;
}

#define READY "it runs on a faster form"

static bool earn_or_skip(const struct test_fid *fid, const char *name)
{
	if (busy_until(fid, name, READY))
		return true;
	skip_test("winograd", "no form of these weights is faster on this machine");
	return false;
}

static void start(struct test_fid *fid, const char *name, const char *pool, const char *when)
{
	const char *extra[] = {"--threads", "1", "--fast-forms", when, NULL};

	fid_start(fid, name, pool, extra);
}

/* The floats of an .npy. */
static void answer(const struct test_fid *fid, const char *name, float *y)
{
	const char *path = scratch_path("y.npy");
	uint8_t head[10];
	FILE *file;

	fictl_ok(fid, "infer", name, "--outputs", path, NULL);
	file = fopen(path, "rb");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fread(head, 1, sizeof(head), file), sizeof(head));
	ck_assert_int_eq(fseek(file, head[8] + head[9] * 256, SEEK_CUR), 0);
	ck_assert_uint_eq(fread(y, sizeof(float), CONVS_X, file), CONVS_X);
	fclose(file);
}

/* Bytes of all that the pool holds are those that models say they hold. */
static void check_pool(const struct test_fid *fid, int64_t weights, int64_t fast)
{
	const char *json = fictl_ok(fid, "--json", "status", NULL);

	ck_assert_int_eq(json_at(json, "pool.weights"), weights + fast);
	ck_assert_int_eq(json_at(json, "pool.fast"), fast);
}

START_TEST(earned_and_kept_from_others)
{
	static float lean[CONVS_X], fast[CONVS_X];
	struct test_fid fid;
	int64_t weights, bytes;

	start(&fid, "earned", "64M", "auto");
	fictl_ok(&fid, "import", network(), "--name", "m", NULL);
	fictl_ok(&fid, "import", network(), "--name", "small", "--optimize", "memory", NULL);
	answer(&fid, "m", lean);
	weights = status(&fid, "pool.weights");
	if (earn_or_skip(&fid, "m")) {
		bytes = model(&fid, "m", "fast.bytes");
		ck_assert_int_gt(bytes, 0);
		check_pool(&fid, weights, bytes);
		answer(&fid, "m", fast);
		ck_assert_double_lt(relative_l2(fast, lean, CONVS_X), 1e-4);
		ck_assert_ptr_nonnull(strstr(fictl_ok(&fid, "events", NULL), "grow"));
		ck_assert_ptr_nonnull(strstr(fictl_ok(&fid, "models", NULL), " fast"));
		/* Other shapes than the default ones go on with the lean one. */
		fictl_ok(&fid, "infer", "m", "--batch", "3", NULL);
		fictl_ok(&fid, "optimize", "m", "memory", NULL);
		check_pool(&fid, weights, 0);
		ck_assert_int_eq(model(&fid, "m", "fast.given_back"), 1);
		answer(&fid, "m", fast);
		ck_assert_int_eq(memcmp(fast, lean, sizeof(lean)), 0);
		fictl_ok(&fid, "optimize", "m", "latency", NULL);
	}
	fictl_ok(&fid, "infer", "small", "--repeat", "200", NULL);
	ck_assert(why_says(&fid, "small", "stay lean: so it was asked for"));
	ck_assert_int_eq(model(&fid, "small", "fast.made"), 0);
	fictl_fails(&fid, 1, "no such model", "optimize", "nobody", "memory", NULL);
	fictl_fails(&fid, 2, "memory or latency", "optimize", "m", "speed", NULL);
	fictl_fails(&fid, 2, "memory or latency", "import", network(), "--optimize", "speed", NULL);
	fid_stop(&fid);
	/* A choice is kept with the model. */
	start(&fid, "earned", "64M", "auto");
	ck_assert(why_says(&fid, "small", "stay lean: so it was asked for"));
	ck_assert(!why_says(&fid, "m", "stay lean"));
	fid_stop(&fid);
}
END_TEST

START_TEST(off)
{
	struct test_fid fid;

	start(&fid, "off", "64M", "off");
	fictl_ok(&fid, "import", network(), "--name", "m", NULL);
	fictl_ok(&fid, "infer", "m", "--repeat", "200", NULL);
	ck_assert(why_says(&fid, "m", "fid runs without faster forms"));
	ck_assert_ptr_null(strstr(fictl_ok(&fid, "events", NULL), "price"));
	fictl_ok(&fid, "optimize", "m", "latency", NULL);
	ck_assert(why_says(&fid, "m", "fid runs without faster forms"));
	/* Batches are planned once and kept; one that can never fit is told which would. */
	for (int round = 0; round < 2; round++)
		for (int batch = 2; batch <= 9; batch++) {
			char text[8];

			snprintf(text, sizeof(text), "%d", batch);
			fictl_ok(&fid, "infer", "m", "--batch", text, NULL);
		}
	ck_assert_int_eq(model(&fid, "m", "kept.shapes"), 8);
	ck_assert_int_gt(model(&fid, "m", "kept.bytes"), 8 * 25600);
	fictl_fails(&fid, 1, "of a batch of 400 about ", "infer", "m", "--batch", "400", NULL);
	fid_stop(&fid);
}
END_TEST

/* In a pool that holds exactly one model and its form, a second model takes the form's place. */
START_TEST(given_back_before_a_model_is_evicted)
{
	struct test_fid fid;
	int64_t bytes = 0;
	char pool[32];

	start(&fid, "measured", "64M", "auto");
	fictl_ok(&fid, "import", network(), "--name", "m", NULL);
	if (earn_or_skip(&fid, "m"))
		bytes = status(&fid, "pool.weights") + status(&fid, "pool.arena");
	fid_stop(&fid);
	if (!bytes)
		return;
	snprintf(pool, sizeof(pool), "%" PRId64, FINF_MAX(bytes, (int64_t)1 << 20));
	start(&fid, "exact", pool, "auto");
	fictl_ok(&fid, "import", network(), "--name", "m", NULL);
	fictl_ok(&fid, "import", network(), "--name", "n", NULL);
	busy_until(&fid, "m", READY);
	fictl_ok(&fid, "infer", "n", NULL);
	ck_assert_int_eq(status(&fid, "swap.evictions"), 0);
	ck_assert_int_eq(status(&fid, "pool.fast"), 0);
	ck_assert_int_eq(status(&fid, "models.resident"), 2);
	ck_assert_ptr_nonnull(strstr(fictl_ok(&fid, "events", NULL), "room for weights (for n:1)"));
	fictl_ok(&fid, "infer", "m", NULL);
	/* And when its model goes, it goes too. */
	fictl_ok(&fid, "unload", "n", NULL);
	fictl_ok(&fid, "unload", "m", NULL);
	check_pool(&fid, 0, 0);
	fid_stop(&fid);
}
END_TEST

/* Runs on the form are slow: it is given back, once, and why is said. */
START_TEST(given_back_when_no_faster)
{
	struct test_fid fid;
	int64_t weights;

	fid_program("tests/slow/fid");
	start(&fid, "slow", "64M", "auto");
	fictl_ok(&fid, "import", network(), "--name", "m", NULL);
	fictl_ok(&fid, "infer", "m", NULL);
	weights = status(&fid, "pool.weights");
	if (busy_until(&fid, "m", "on which runs were no faster")) {
		check_pool(&fid, weights, 0);
		fictl_ok(&fid, "infer", "m", "--repeat", "300", NULL);
		ck_assert_int_eq(model(&fid, "m", "fast.made"), 1);
		ck_assert_int_eq(model(&fid, "m", "fast.given_back"), 1);
		ck_assert_ptr_nonnull(strstr(fictl_ok(&fid, "events", NULL),
					     "its runs were no faster"));
	} else {
		skip_test("winograd", "no form of these weights is faster on this machine");
	}
	fid_stop(&fid);
	fid_program("fid");
}
END_TEST

/* A group whose members may run side by side earns one like any model; made for memory, none. */
START_TEST(group)
{
	struct test_fid fid;
	int64_t weights;

	fid_start(&fid, "group", "64M", (const char *const[]){"--threads", "2", NULL});
	fictl_ok(&fid, "import", network(), "--name", "a", NULL);
	fictl_ok(&fid, "import", model_write_convs(1), "--name", "b", NULL);
	fictl_ok(&fid, "fuse", "a", "b", "--name", "g", "--batched", "never", "--no-verdict", NULL);
	fictl_ok(&fid, "fuse", "a", "b", "--name", "lean", "--optimize", "memory", "--no-verdict",
		 NULL);
	fictl_ok(&fid, "infer", "g", NULL);
	weights = status(&fid, "pool.weights");
	if (earn_or_skip(&fid, "g")) {
		ck_assert_int_gt(model(&fid, "g", "fast.bytes"), 0);
		check_pool(&fid, weights, model(&fid, "g", "fast.bytes"));
		fictl_ok(&fid, "infer", "g", "--repeat", "100", NULL);
		fictl_ok(&fid, "infer", "g", "--batch", "2", "--repeat", "10", NULL);
		fictl_ok(&fid, "infer", "g/b", "--repeat", "10", NULL);
		fictl_ok(&fid, "optimize", "g", "memory", NULL);
		check_pool(&fid, weights, 0);
	}
	fictl_ok(&fid, "infer", "lean", "--repeat", "100", NULL);
	ck_assert(why_says(&fid, "lean", "its weights stay lean: so it was asked for"));
	fid_stop(&fid);
}
END_TEST

/* Whatever is under way when the model is removed or fid is told to stop. */
START_TEST(interrupted)
{
	struct test_fid fid;

	for (int64_t round = 0; round < 4; round++) {
		char runs[8];

		snprintf(runs, sizeof(runs), "%" PRId64, 32 + round * 20);
		start(&fid, "interrupted", "64M", "auto");
		fictl_ok(&fid, "import", network(), "--name", "m", NULL);
		fictl_ok(&fid, "infer", "m", "--repeat", runs, NULL);
		fictl_ok(&fid, "remove", "m", NULL);
		check_pool(&fid, 0, 0);
		fictl_ok(&fid, "import", network(), "--name", "m", NULL);
		fictl_ok(&fid, "infer", "m", "--repeat", runs, NULL);
		if (round % 2)
			fictl_ok(&fid, "unload", "m", NULL);
		fid_stop(&fid);
	}
}
END_TEST

static void hide(const struct test_fid *fid, const char *suffix)
{
	char *files = file_list(fid->root), *save = NULL;
	char from[1200], to[1300];

	for (char *line = strtok_r(files, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		size_t len = strlen(line), n = strlen(suffix);

		if (len < n || !strstr(line, suffix))
			continue;
		snprintf(from, sizeof(from), "%s%s%s", *line == '/' ? "" : fid->root,
			 *line == '/' ? "" : "/", line);
		snprintf(to, sizeof(to), "%s.hidden", from);
		ck_assert_msg(!rename(from, to), "%s", from);
	}
	free(files);
}

/* What it takes to make a form cannot be read: the lean one goes on, the bytes are free. */
START_TEST(cannot_be_made)
{
	static const char *const missing[] = {"tuned-", "portable"};
	static float lean[CONVS_X], after[CONVS_X];
	struct test_fid fid;
	int64_t weights;

	start(&fid, "missing", "64M", "auto");
	fictl_ok(&fid, "import", network(), "--name", "m", NULL);
	answer(&fid, "m", lean);
	weights = status(&fid, "pool.weights");
	hide(&fid, missing[_i]);
	if (busy_until(&fid, "m", "given back or failed a moment ago")) {
		check_pool(&fid, weights, 0);
		ck_assert_int_eq(model(&fid, "m", "fast.made"), 0);
		answer(&fid, "m", after);
		ck_assert_int_eq(memcmp(after, lean, sizeof(lean)), 0);
	} else {
		skip_test("winograd", "no form of these weights is faster on this machine");
	}
	fid_stop(&fid);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("integration/fast");
	TCase *tc = tcase_create("fast");

	tcase_set_timeout(tc, 600);
	tcase_add_test(tc, earned_and_kept_from_others);
	tcase_add_test(tc, off);
	tcase_add_test(tc, given_back_before_a_model_is_evicted);
	tcase_add_test(tc, given_back_when_no_faster);
	tcase_add_test(tc, group);
	tcase_add_test(tc, interrupted);
	tcase_add_loop_test(tc, cannot_be_made, 0, 2);
	suite_add_tcase(suite, tc);
	return suite;
}
