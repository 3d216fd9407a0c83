/* SPDX-License-Identifier: MIT */
/*
 * Groups as their user sees them: made of what fid has or of files, asked for
 * whole or one member at a time, and every way in which they cannot be made.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fusedinf/client.h>
#include <fusedinf/engine.h>

#include "base/base.h"
#include "tests/integration/inproc.h"
#include "tests/support/fid.h"
#include "tests/support/support.h"

/* Committed networks: 1x3x32x32 and ?x3x16x16 in, ten numbers out. */
#define A "net_residual_bn_13"
#define B "net_vgg_raw_11"

static const char *network(const char *name)
{
	static char path[4][1024];
	static unsigned at;
	char *text = path[at++ % 4];

	snprintf(text, 1024, "%s/tests/golden/cases/%s/model.onnx", source_dir(), name);
	return text;
}

static const char *member(const char *name, const char *network_name)
{
	static char text[4][1100];
	static unsigned at;
	char *ret = text[at++ % 4];

	snprintf(ret, 1100, "%s=%s", name, network(network_name));
	return ret;
}

static void import_both(const struct test_fid *fid)
{
	fictl_ok(fid, "import", network(A), "--name", "a", NULL);
	fictl_ok(fid, "import", network(B), "--name", "b", NULL);
}

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

/* ---- in process --------------------------------------------------------------------- */

static void infer(struct finf_engine *engine, const char *name, const struct finf_tensor *in,
		  uint32_t n_in, struct finf_tensor *out, uint32_t n_out)
{
	struct finf_diag diag;

	ck_assert_msg(!finf_engine_infer(engine, name, in, n_in, out, n_out, &diag), "%s",
		      diag.text);
}

static float x_a[3 * 32 * 32], x_b[3 * 16 * 16];

#define IN_A                                                                                       \
	{                                                                                          \
		NULL, FINF_F32, {4, {1, 3, 32, 32}}, x_a, sizeof(x_a)                              \
	}
#define IN_B                                                                                       \
	{                                                                                          \
		NULL, FINF_F32, {4, {1, 3, 16, 16}}, x_b, sizeof(x_b)                              \
	}

static void check_same(const struct finf_tensor *got, const struct finf_tensor *want, bool exact)
{
	ck_assert_uint_eq(got->bytes, want->bytes);
	if (exact)
		ck_assert_mem_eq(got->data, want->data, want->bytes);
	else
		ck_assert_double_lt(relative_l2(got->data, want->data, want->bytes / sizeof(float)),
				    1e-6);
}

/* Both ways of planning, with reference kernels to the bit, with fast ones within 1e-6. */
START_TEST(fused_equals_separate)
{
	const char *optimize = _i & 1 ? "memory" : "latency", *file = scratch_path("g.fim");
	struct finf_tensor in[2] = {IN_A, IN_B}, out[2] = {{NULL}}, a = {NULL}, b = {NULL};
	struct finf_model_stats stats = {.size = sizeof(stats)};
	bool exact = _i & 2;
	struct finf_engine *engine = inproc_open(16 << 20, exact);
	const char *plan;

	test_fill_f32(x_a, FINF_ARRAY_LEN(x_a), 1);
	test_fill_f32(x_b, FINF_ARRAY_LEN(x_b), 2);
	fictl_ok(NULL, "fuse", member("a", A), member("b", B), "-o", file, "--no-verdict",
		 "--optimize", optimize, NULL);
	inproc_add(engine, file, "g");
	inproc_add(engine, network(A), "a");
	inproc_add(engine, network(B), "b");
	infer(engine, "g", in, 2, out, 2);
	infer(engine, "a", &in[0], 1, &a, 1);
	infer(engine, "b", &in[1], 1, &b, 1);
	ck_assert_str_eq(out[0].name, "a/output");
	ck_assert_str_eq(out[1].name, "b/output");
	check_same(&out[0], &a, exact);
	check_same(&out[1], &b, exact);
	/* What was predicted is what it takes. */
	ck_assert_int_eq(finf_engine_stats(engine, "g", &stats), 0);
	if (!exact) {
		plan = fictl_ok(NULL, "plan", file, "--threads", "2", "--json", NULL);
		ck_assert_int_eq(json_at(plan, "branches"), _i & 1 ? 1 : 2);
		ck_assert_uint_eq((uint64_t)json_at(plan, "arena_bytes"), stats.arena_bytes);
		ck_assert_uint_eq((uint64_t)json_at(plan, "weight_bytes"), stats.weight_bytes);
	}
	free(out[0].data);
	free(out[1].data);
	free(a.data);
	free(b.data);
	finf_engine_close(engine);
}
END_TEST

START_TEST(planner_keeps_to_its_bytes)
{
	const char *file = scratch_path("bytes.fim"), *plan;
	char bytes[32];
	int64_t wide;

	fictl_ok(NULL, "fuse", member("a", A), member("b", B), "-o", file, "--no-verdict", NULL);
	plan = fictl_ok(NULL, "plan", file, "--json", NULL);
	wide = json_at(plan, "arena_bytes") + json_at(plan, "weight_bytes");
	ck_assert_int_eq(json_at(plan, "branches"), 2);
	ck_assert_int_gt(json_at(plan, "arena_bytes"), json_at(plan, "arena_bytes_serial"));
	snprintf(bytes, sizeof(bytes), "%lld", (long long)wide - 1);
	plan = fictl_ok(NULL, "plan", file, "--bytes", bytes, "--json", NULL);
	ck_assert_int_eq(json_at(plan, "branches"), 1);
	ck_assert_int_lt(json_at(plan, "arena_bytes"), json_at(plan, "arena_bytes_parallel"));
	ck_assert_ptr_nonnull(strstr(fictl_ok(NULL, "plan", file, "--bytes", bytes, NULL),
				     "one after the other, as the bytes allow no more"));
}
END_TEST

START_TEST(verdict_is_given)
{
	const char *out =
		fictl_ok(NULL, "fuse", member("a", A), member("b", B), "--dry-run", "--json", NULL);

	ck_assert_int_gt(json_at(out, "verdict.fused_ns"), 0);
	ck_assert_int_gt(json_at(out, "verdict.separate_ns"), 0);
	ck_assert_int_gt(json_at(out, "verdict.fused_bytes"), 0);
	ck_assert_ptr_nonnull(strstr(out, "fuse"));
}
END_TEST

/* Bytes of what was printed before the times, which differ. */
static size_t results_bytes(const char *out)
{
	const char *end = strstr(out, "first ");

	ck_assert_ptr_nonnull(end);
	return (size_t)(end - out);
}

/* The same, without a file in between. */
START_TEST(several_files_run_as_one)
{
	const char *file = scratch_path("pair.fim"), *one, *two;

	fictl_ok(NULL, "fuse", member("a", A), member("b", B), "-o", file, "--no-verdict", NULL);
	one = fictl_ok(NULL, "run", file, NULL);
	two = fictl_ok(NULL, "run", member("a", A), member("b", B), NULL);
	ck_assert_ptr_nonnull(strstr(one, "b/output"));
	ck_assert_uint_eq(results_bytes(one), results_bytes(two));
	ck_assert_mem_eq(one, two, results_bytes(one));
	fictl_fails(NULL, 1, "would both be model", "run", network(A), network(B), NULL);
	fictl_fails(NULL, 1, "neither .onnx nor .fim", "run", network(A), "b", NULL);
}
END_TEST

/* A backbone with other heads: its bytes are there once, each head's beside them. */
START_TEST(variants_share_their_backbone)
{
	enum { VARIANTS = 3, HEAD_BYTES = 1000 * 512 * 4 };
	char files[VARIANTS][1200];
	const char *group = scratch_path("variants.fim"), *out;
	int64_t one, all;

	for (int i = 0; i < VARIANTS; i++) {
		char head[16];

		snprintf(files[i], sizeof(files[i]), "%s", scratch_path("variant"));
		snprintf(files[i] + strlen(files[i]), 16, "%d.onnx", i);
		snprintf(head, sizeof(head), "%d", i);
		fictl_ok(NULL, "zoo", "squeezenet1_1", "--head", head, "-o", files[i], NULL);
	}
	ck_assert(!same_files(files[1], files[2]));
	fictl_ok(NULL, "fuse", files[0], files[1], files[2], "-o", group, "--no-verdict",
		 "--optimize", "memory", NULL);
	one = json_at(fictl_ok(NULL, "plan", files[0], "--json", NULL), "weight_bytes");
	all = json_at(fictl_ok(NULL, "plan", group, "--json", NULL), "weight_bytes");
	ck_assert_int_ge(all, one + (VARIANTS - 1) * HEAD_BYTES);
	ck_assert_int_le(all, (one + (VARIANTS - 1) * HEAD_BYTES) * 101 / 100);
	/* One image for all of them: the backbone is computed once, too. */
	out = fictl_ok(NULL, "fuse", files[0], files[1], files[2], "-o", group, "--no-verdict",
		       "--share-input", "--json", NULL);
	ck_assert_int_eq(json_at(out, "inputs_shared"), VARIANTS - 1);
	ck_assert_int_lt(json_at(out, "nodes"), json_at(out, "nodes_before") / 2);
}
END_TEST

/* Figures are for people; that each of them is there, without any other runtime, is ours. */
START_TEST(the_benchmark_tells_all)
{
	const char *out = scratch_path("bench");
	char script[1100];
	const char *const argv[] = {"/usr/bin/python3", script, "--set", "tiny", "--threads", "1",
				    "--rounds", "1", "--runs", "1", "--peers", "/bin/false",
				    "--build", build_dir(), "--out", out, NULL};
	struct test_output output;

	if (access(argv[0], X_OK)) {
		skip_test("python3", "python3 is not installed");
		return;
	}
	snprintf(script, sizeof(script), "%s/tests/bench/fused.py", source_dir());
	run_program(&output, argv);
	ck_assert_msg(output.status == 0, "%s", output.err);
	ck_assert_ptr_nonnull(strstr(output.err, "left out: eager"));
	ck_assert_ptr_nonnull(strstr(output.out, "| tiny | 1 | "));
	ck_assert_ptr_nonnull(strstr(output.out, "process per member PSS"));
	test_output_free(&output);
	ck_assert_int_eq(access(scratch_path("bench/results.json"), R_OK), 0);
	ck_assert_int_eq(access(scratch_path("bench/table.md"), R_OK), 0);
}
END_TEST

/* ---- through fid ------------------------------------------------------------------------ */

static void infer_into(const struct test_fid *fid, const char *model, const char *file)
{
	unlink(file);
	fictl_ok(fid, "infer", model, "--outputs", file, NULL);
}

/* One member of the cold group, the other, the whole, another batch: each right. */
START_TEST(whole_and_members)
{
	const char *one = scratch_path("one.npy"), *two = scratch_path("two.npy");
	struct test_fid fid;
	const char *models;

	fid_start(&fid, "fuse", "16M", NULL);
	import_both(&fid);
	fictl_ok(&fid, "fuse", "a", "b", "--name", "g", "--no-verdict", NULL);
	infer_into(&fid, "g/b", one);
	infer_into(&fid, "b", two);
	ck_assert(same_files(one, two));
	infer_into(&fid, "g:1/a", one);
	infer_into(&fid, "a", two);
	ck_assert(same_files(one, two));
	fictl_ok(&fid, "infer", "g", "--outputs", scratch_path("whole.npz"), NULL);
	fictl_ok(&fid, "infer", "g/b", "--batch", "3", NULL);
	fictl_ok(&fid, "infer", "g", "--batch", "2", NULL);
	models = fictl_ok(&fid, "models", NULL);
	ck_assert_ptr_nonnull(strstr(models, "= a + b"));
	ck_assert_ptr_nonnull(strstr(fictl_ok(&fid, "inspect", "g", NULL), "b/output"));
	ck_assert_ptr_nonnull(strstr(fictl_ok(&fid, "inspect", "g/b", NULL), "\n  output float32"));
	ck_assert_ptr_nonnull(strstr(fictl_ok(&fid, "plan", "g", NULL), "branches side by side"));
	/* Once for all these requests. */
	ck_assert_int_eq(json_at(fictl_ok(&fid, "inspect", "g", "--json", NULL), "loads"), 1);
	/* A group has what it needs: its members may go, also while it is pinned. */
	fictl_ok(&fid, "pin", "g", NULL);
	fictl_fails(&fid, 1, "g:1 is pinned: unpin it first", "remove", "g", NULL);
	fictl_fails(&fid, 1, "g:1 is pinned: unpin it first", "unload", "g", NULL);
	fictl_ok(&fid, "remove", "a", NULL);
	fictl_ok(&fid, "remove", "b", NULL);
	infer_into(&fid, "g/a", one);
	ck_assert(same_files(one, two));
	fictl_ok(&fid, "unpin", "g", NULL);
	fictl_ok(&fid, "remove", "g", NULL);
	fid_stop(&fid);
}
END_TEST

/* What comes out of fid goes back in, byte for byte. */
START_TEST(exported_packs)
{
	const char *file = scratch_path("a.fim"), *again = scratch_path("again.fim");
	struct finf_client *client;
	struct test_fid fid;
	struct finf_diag diag;
	int fd = -1;

	fid_start(&fid, "export", "16M", NULL);
	import_both(&fid);
	fictl_ok(&fid, "export", "a", "-o", file, NULL);
	fictl_ok(NULL, "verify", file, NULL);
	fictl_ok(&fid, "import", file, "--name", "c", NULL);
	fictl_ok(&fid, "export", "c:1", "-o", again, NULL);
	ck_assert(same_files(file, again));
	ck_assert_msg(!finf_client_open(fid.socket, &client, &diag), "%s", diag.text);
	ck_assert_int_eq(finf_client_export(client, "nobody", &fd, &diag), -ENOENT);
	ck_assert_int_eq(finf_client_export(client, "a", &fd, &diag), 0);
	ck_assert_int_eq(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	close(fd);
	finf_client_close(client);
	fictl_fails(&fid, 1, "no such model", "export", "nobody", "-o", file, NULL);
	fictl_fails(&fid, 2, "into which file", "export", "a", NULL);
	fid_stop(&fid);
}
END_TEST

/* ---- refused ------------------------------------------------------------------------------ */

/* The last byte of @file turned: inside its weights. */
static void damage(const char *file)
{
	int fd = open(file, O_RDWR | O_CLOEXEC);
	off_t end = lseek(fd, 0, SEEK_END) - 5000;
	uint8_t byte;

	ck_assert_int_eq(pread(fd, &byte, 1, end), 1);
	byte ^= 0x40;
	ck_assert_int_eq(pwrite(fd, &byte, 1, end), 1);
	close(fd);
}

START_TEST(bad_groups)
{
	const char *broken = scratch_path("broken.fim");
	struct test_fid fid;

	fid_start(&fid, "bad", "16M", NULL);
	import_both(&fid);
	fictl_ok(&fid, "export", "b", "-o", broken, NULL);
	damage(broken);
	fictl_ok(&fid, "fuse", "a", "b", "--name", "g", "--no-verdict", NULL);
	fictl_fails(&fid, 1, "would take the place of its own member", "fuse", "a", "b", "--name", "a",
		    NULL);
	fictl_fails(&fid, 1, "would take the place of its own member", "fuse", "a", "x=b:1", "--name",
		    "b", NULL);
	fictl_fails(&fid, 1, "cannot be fused with itself: a and a are the same", "fuse", "a", "a",
		    "--name", "h", NULL);
	fictl_fails(&fid, 1, "cannot be fused with itself: a and a:1", "fuse", "a", "x=a:1",
		    "--name", "h", NULL);
	fictl_fails(&fid, 1, "would both be a: name one", "fuse", "a", member("a", B), "--name",
		    "h", NULL);
	fictl_fails(&fid, 1, "member nobody: nobody: no such model", "fuse", "a", "nobody",
		    "--name", "h", NULL);
	fictl_fails(&fid, 1, "does not match its checksum", "fuse", "a", broken, "--name", "h",
		    NULL);
	fictl_fails(&fid, 1, "No such file", "fuse", "a", "/nowhere/x.fim", "--name", "h", NULL);
	ck_assert_int_eq(truncate(broken, 5000), 0);
	fictl_fails(&fid, 1, "cut short", "fuse", "a", broken, "--name", "h", NULL);
	fictl_fails(&fid, 1, "mixed batch sizes: a takes batches of 1, two of 2", "fuse", "a",
		    member("two", "op_conv_1x7"), "--name", "h", NULL);
	fictl_fails(&fid, 1, "cannot be fused with itself", "fuse", member("x", B),
		    member("y", B), "--name", "h", NULL);
	fictl_fails(&fid, 1, "g is a group: fuse its members instead", "fuse", "a", "g", "--name",
		    "h", NULL);
	fictl_fails(&fid, 2, "two members or more", "fuse", "a", "--name", "h", NULL);
	fictl_fails(&fid, 2, "needs a --name", "fuse", "a", "b", NULL);
	fictl_fails(&fid, 2, "is not a model name", "fuse", "a", "b", "--name", "h/i", NULL);
	fictl_fails(&fid, 2, "--optimize is memory or latency", "fuse", "a", "b", "--name", "h",
		    "--optimize", "beauty", NULL);
	fictl_fails(&fid, 1, "g has no member c", "infer", "g/c", NULL);
	fictl_fails(&fid, 1, "a has no member a", "infer", "a/a", NULL);
	fictl_fails(&fid, 1, "not a model name", "infer", "g/a:1", NULL);
	ck_assert_ptr_null(strstr(fictl_ok(&fid, "models", NULL), "h:1"));
	fid_stop(&fid);
}
END_TEST

/* By how much, and who would fit; also when it was made for a larger pool. */
START_TEST(larger_than_the_pool)
{
	struct test_fid fid;
	const char *big = scratch_path("big.onnx"), *made = scratch_path("made.fim");

	fictl_ok(NULL, "zoo", "squeezenet1_1", "-o", big, NULL);
	fictl_ok(NULL, "fuse", member("a", A), big, "-o", made, "--no-verdict", NULL);
	fid_start(&fid, "small", "8M", NULL);
	import_both(&fid);
	fictl_fails(&fid, 1, "bytes too much; these fit: a, b", "fuse", "a", big, "b", "--name",
		    "g", NULL);
	fictl_ok(&fid, "import", made, "--name", "g", NULL);
	fictl_fails(&fid, 1, "the pool has 8388608: ", "infer", "g", NULL);
	fictl_fails(&fid, 1, " bytes too much", "infer", "g/a", NULL);
	fictl_fails(&fid, 1, " bytes too much", "infer", "b", "--batch", "5000", NULL);
	fictl_ok(&fid, "infer", "b", NULL);
	fid_stop(&fid);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("integration/fuse");
	TCase *tc = tcase_create("fuse");

	tcase_set_timeout(tc, 300);
	tcase_add_loop_test(tc, fused_equals_separate, 0, 4);
	tcase_add_test(tc, planner_keeps_to_its_bytes);
	tcase_add_test(tc, verdict_is_given);
	tcase_add_test(tc, several_files_run_as_one);
	tcase_add_test(tc, variants_share_their_backbone);
	tcase_add_test(tc, the_benchmark_tells_all);
	tcase_add_test(tc, whole_and_members);
	tcase_add_test(tc, exported_packs);
	tcase_add_test(tc, bad_groups);
	tcase_add_test(tc, larger_than_the_pool);
	suite_add_tcase(suite, tc);
	return suite;
}
