/* SPDX-License-Identifier: MIT */
/* Packs written and read back; what is left when writing fails: nothing. */
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "tests/unit/pack/packs.h"

static struct finf_pack *open_in(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC), err;
	struct finf_pack *pack = NULL;
	struct finf_diag diag = {""};

	ck_assert_int_ge(fd, 0);
	err = finf_pack_open(fd, name, &pack, &diag);
	ck_assert_msg(!err, "%s", diag.text);
	close(fd);
	err = finf_pack_verify(pack, &diag);
	ck_assert_msg(!err, "%s", diag.text);
	return pack;
}

START_TEST(test_portable_round_trip)
{
	static const char *const order[] = {"W1", "b1", "W2", "b2"};
	struct finf_graph *graph = sample_graph();
	int before = open_descriptors(), dir = scratch_fd();
	struct finf_pack *pack;

	ck_assert_int_eq(write_sample_portable(dir, "a.fim"), 0);
	pack = open_in(dir, "a.fim");
	ck_assert_str_eq(pack->target, "portable");
	ck_assert_str_eq(pack->source, "");
	ck_assert_ptr_null(pack->plan);
	ck_assert_uint_ne(pack->header_hash, 0);
	ck_assert_uint_eq(pack->n_weights, FINF_ARRAY_LEN(order));
	ck_assert_uint_eq(pack->file_bytes % FINF_SEGMENT_ALIGN, 0);
	ck_assert_uint_eq(pack->segments[0].file_offset % FINF_SEGMENT_ALIGN, 0);
	for (uint32_t i = 0; i < pack->n_weights; i++) {
		const struct finf_value *value;
		uint8_t bytes[8192];
		uint32_t v;

		ck_assert_str_eq(pack->weights[i].name, order[i]);
		ck_assert_uint_eq(pack->weights[i].offset % FINF_WEIGHT_ALIGN, 0);
		ck_assert(finf_graph_find(graph, order[i], &v));
		value = &graph->values[v];
		ck_assert_uint_eq(pack->weights[i].bytes, value->bytes);
		ck_assert_int_eq(finf_pack_read_weight(pack, order[i], 0, bytes, value->bytes), 0);
		ck_assert_mem_eq(bytes, value->data, value->bytes);
		ck_assert(finf_graph_find(pack->graph, order[i], &v));
		ck_assert(pack->graph->values[v].is_const);
		ck_assert_ptr_null(pack->graph->values[v].data);
	}
	finf_pack_close(pack);
	close(dir);
	ck_assert_int_eq(open_descriptors(), before);
	finf_graph_free(graph);
}
END_TEST

START_TEST(test_tuned_round_trip)
{
	struct finf_graph *graph = sample_graph();
	int dir = scratch_fd();
	struct finf_diag diag = {""};
	struct finf_pack *pack;
	uint8_t bytes[8192];

	ck_assert_int_eq(write_sample_tuned(dir, "t.fim"), 0);
	pack = open_in(dir, "t.fim");
	ck_assert_str_eq(pack->target, SAMPLE_TARGET);
	ck_assert_str_eq(pack->source, "123456789abcdef0");
	ck_assert_ptr_nonnull(pack->plan);
	ck_assert_msg(!finf_plan_check(graph, pack->plan, &diag), "%s", diag.text);
	ck_assert_uint_eq(pack->n_weights, pack->plan->n_weights);
	ck_assert_uint_eq(pack->n_segments, pack->plan->n_segments);
	ck_assert_uint_gt(pack->n_segments, 1);
	for (uint32_t i = 0; i < pack->n_weights; i++) {
		const struct finf_pack_weight *weight = &pack->weights[i];

		ck_assert_uint_eq(weight->offset, pack->plan->weights[i].offset);
		ck_assert_int_eq(finf_pack_read_weight(pack, weight->name, 0, bytes, weight->bytes), 0);
		for (uint64_t k = 0; k < weight->bytes; k++)
			ck_assert_uint_eq(bytes[k], tuned_byte(i, k));
	}
	finf_pack_close(pack);
	close(dir);
	finf_graph_free(graph);
}
END_TEST

START_TEST(test_read_weight_bounds)
{
	int dir = scratch_fd();
	struct finf_pack *pack;
	uint8_t byte[4], same[4];

	ck_assert_int_eq(write_sample_portable(dir, "a.fim"), 0);
	pack = open_in(dir, "a.fim");
	ck_assert_int_eq(finf_pack_read_weight(pack, "nobody", 0, byte, 1), -ENOENT);
	ck_assert_int_eq(finf_pack_read_weight(pack, "W1", 4096, byte, 1), -ERANGE);
	ck_assert_int_eq(finf_pack_read_weight(pack, "W1", 4093, byte, 4), -ERANGE);
	ck_assert_int_eq(finf_pack_read_weight(pack, "W1", UINT64_MAX, byte, 2), -ERANGE);
	ck_assert_int_eq(finf_pack_read_weight(pack, "W1", 4096, byte, 0), 0);
	ck_assert_int_eq(finf_pack_read_weight(pack, "W1", 4092, byte, 4), 0);
	ck_assert_int_eq(finf_pack_read_weight(pack, "W1", 4092, same, 4), 0);
	ck_assert_mem_eq(byte, same, 4);
	finf_pack_close(pack);
	close(dir);
}
END_TEST

/* ---- large weights, several layouts of one constant ------------------------------ */

struct stream {
	uint32_t weight;
	uint64_t at, calls;
};

static int ordered_read(void *ctx, uint32_t weight, uint64_t offset, void *to, uint64_t bytes,
			struct finf_diag *diag)
{
	struct stream *stream = ctx;

	if (weight != stream->weight) {
		ck_assert_uint_eq(weight, stream->weight + 1);
		stream->weight = weight;
		stream->at = 0;
	}
	ck_assert_uint_eq(offset, stream->at);
	ck_assert_uint_gt(bytes, 0);
	ck_assert_uint_le(bytes, 4u << 20);
	stream->at += bytes;
	stream->calls++;
	return tuned_read(NULL, weight, offset, to, bytes, diag);
}

/* Weights of one graph written down by hand: name, bytes, layout. */
static struct finf_plan *hand_plan(const struct finf_plan_weight *weights, uint32_t n)
{
	struct finf_plan *plan = calloc(1, sizeof(*plan));
	uint64_t bytes[8], offsets[8];

	finf_arena_init(&plan->arena);
	plan->weights = finf_arena_dup(&plan->arena, weights, n * sizeof(*weights));
	plan->n_weights = n;
	for (uint32_t i = 0; i < n; i++)
		bytes[i] = weights[i].form.bytes;
	ck_assert_int_eq(finf_plan_extent(bytes, n, 0, &plan->arena, offsets, &plan->segments,
					  &plan->n_segments, &plan->weight_bytes), 0);
	for (uint32_t i = 0; i < n; i++)
		plan->weights[i].offset = offsets[i];
	return plan;
}

START_TEST(test_large_and_twice)
{
	const struct finf_plan_weight weights[] = {
		{.name = "W1", .dtype = FINF_F32, .shape = {2, {16, 64}},
		 .form = {.bytes = 9 << 20, .desc_bytes = 1, .desc = "a"}},
		{.name = "W1@1", .dtype = FINF_F32, .shape = {1, {100}},
		 .form = {.bytes = 400}}, /* unlucky: somebody's own name */
		{.name = "empty", .dtype = FINF_F32, .shape = {1, {0}}},
		{.name = "W1", .dtype = FINF_F32, .shape = {2, {16, 64}},
		 .form = {.bytes = 21 << 20, .desc_bytes = 1, .desc = "b"}},
		{.name = "W1", .dtype = FINF_F32, .shape = {2, {16, 64}},
		 .form = {.bytes = 4096}},
	};
	static const char *const names[] = {"W1", "W1@1", "empty", "W1@2", "W1@3"};
	struct finf_plan *plan = hand_plan(weights, FINF_ARRAY_LEN(weights));
	struct finf_graph *graph = sample_graph();
	struct stream stream = {.weight = UINT32_MAX};
	struct finf_pack_source source = {.ctx = &stream, .read = ordered_read};
	struct finf_diag diag = {""};
	struct finf_pack *pack;
	int dir = scratch_fd(), err;

	/* The empty one is never asked for, so the order skips it. */
	stream.weight = 0;
	plan->weights[2].form.desc_bytes = 0;
	source.read = ordered_read;
	err = finf_pack_write_tuned(dir, "big.fim", graph, plan, "x:1", 1, &tuned_source, &diag);
	ck_assert_msg(!err, "%s", diag.text);
	pack = open_in(dir, "big.fim");
	ck_assert_uint_eq(pack->n_weights, FINF_ARRAY_LEN(names));
	for (uint32_t i = 0; i < pack->n_weights; i++)
		ck_assert_str_eq(pack->weights[i].name, names[i]);
	for (uint64_t at = 0; at < 21 << 20; at += 65537) {
		uint8_t byte;

		ck_assert_int_eq(finf_pack_read_weight(pack, "W1@2", at, &byte, 1), 0);
		ck_assert_uint_eq(byte, tuned_byte(3, at));
	}
	finf_pack_close(pack);

	/* Without the empty one: bytes are asked for in order, in bounded chunks. */
	plan->weights[2] = plan->weights[3];
	plan->weights[3] = plan->weights[4];
	plan->n_weights = 4;
	err = finf_pack_write_tuned(dir, "big.fim", graph, plan, "x:1", 1, &source, &diag);
	ck_assert_msg(!err, "%s", diag.text);
	ck_assert_uint_eq(stream.weight, 3);
	ck_assert_uint_eq(stream.at, 4096);
	ck_assert_uint_ge(stream.calls, 3 + 1 + 6 + 1);
	finf_pack_close(open_in(dir, "big.fim"));
	finf_plan_free(plan);
	finf_graph_free(graph);
	close(dir);
}
END_TEST

/* A model of one Identity has nothing to stream. */
START_TEST(test_no_weights)
{
	struct finf_shape shape = {1, {1}};
	struct finf_graph *graph;
	struct finf_pack *pack;
	int dir = scratch_fd();
	uint32_t x, y;

	ck_assert_int_eq(finf_graph_new("empty", &graph), 0);
	ck_assert_int_eq(finf_graph_value(graph, "x", FINF_F32, &shape, &x), 0);
	ck_assert_int_eq(finf_graph_value(graph, "y", FINF_F32, &shape, &y), 0);
	ck_assert_int_eq(finf_graph_input(graph, x), 0);
	ck_assert_int_eq(finf_graph_node(graph, finf_op_find("Identity"), 13, NULL, &x, 1, &y, 1,
					 NULL, 0, NULL), 0);
	ck_assert_int_eq(finf_graph_output(graph, y), 0);
	ck_assert_int_eq(finf_pack_write_portable(dir, "e.fim", graph, NULL), 0);
	pack = open_in(dir, "e.fim");
	ck_assert_uint_eq(pack->n_segments, 0);
	ck_assert_uint_eq(pack->n_weights, 0);
	ck_assert_uint_eq(pack->weight_bytes, 0);
	ck_assert_uint_eq(pack->file_bytes, 8192);
	finf_pack_close(pack);
	finf_graph_free(graph);
	close(dir);
}
END_TEST

/* ---- refusals -------------------------------------------------------------------- */

static const char *const bad_file_names[] = {"", ".", "..", "a/b", "/a"};

START_TEST(test_bad_file_name)
{
	struct finf_graph *graph = sample_graph();
	int dir = scratch_fd();

	ck_assert_int_eq(finf_pack_write_portable(dir, bad_file_names[_i], graph, NULL), -EINVAL);
	ck_assert_uint_eq(count_files(dir), 0);
	finf_graph_free(graph);
	close(dir);
}
END_TEST

static const char *const bad_names[] = {
	"__fi.graph", "__fi.x", "__metadata__", "line\nbreak", "\x7f", "\xff\xfe", "cut \xc3", "",
};
static const char *const good_names[] = {
	"plain", "with \"quotes\" and \\", "m\xc3\xbcller/weight:0", "a__fi.", "@", "\\u0000",
};

static struct finf_graph *named_const(const char *name)
{
	struct finf_graph *graph = sample_graph();
	uint32_t v = sample_const(graph, name, 1, 32, 0);

	ck_assert_int_eq(finf_graph_output(graph, v), 0);
	return graph;
}

START_TEST(test_bad_names)
{
	struct finf_graph *graph = named_const(bad_names[_i]);
	struct finf_diag diag = {""};
	int dir = scratch_fd();

	ck_assert_int_eq(finf_pack_write_portable(dir, "a.fim", graph, &diag), -EINVAL);
	ck_assert_ptr_nonnull(strstr(diag.text, "a.fim: constant "));
	ck_assert_uint_eq(count_files(dir), 0);
	finf_graph_free(graph);
	close(dir);
}
END_TEST

START_TEST(test_good_names)
{
	struct finf_graph *graph = named_const(good_names[_i]);
	struct finf_diag diag = {""};
	struct finf_pack *pack;
	int dir = scratch_fd(), err = finf_pack_write_portable(dir, "a.fim", graph, &diag);

	ck_assert_msg(!err, "%s", diag.text);
	pack = open_in(dir, "a.fim");
	ck_assert_str_eq(pack->weights[4].name, good_names[_i]);
	finf_pack_close(pack);
	finf_graph_free(graph);
	close(dir);
}
END_TEST

START_TEST(test_constant_without_bytes)
{
	struct finf_graph *graph = sample_graph();
	struct finf_diag diag = {""};
	int dir = scratch_fd();
	uint32_t v, tiny = sample_const(graph, "tiny", 1, 2, 0);

	ck_assert(finf_graph_find(graph, "W2", &v));
	graph->values[v].data = NULL;
	ck_assert_int_eq(finf_pack_write_portable(dir, "a.fim", graph, &diag), -EINVAL);
	ck_assert_str_eq(diag.text, "a.fim: constant W2 has no bytes");
	graph->values[v].data = graph->values[tiny].data; /* never reached */
	graph->values[tiny].data = NULL; /* would be inside the graph */
	ck_assert_int_eq(finf_pack_write_portable(dir, "a.fim", graph, &diag), -EINVAL);
	ck_assert_str_eq(diag.text, "a.fim: constant tiny has no bytes");
	ck_assert_uint_eq(count_files(dir), 0);
	finf_graph_free(graph);
	close(dir);
}
END_TEST

START_TEST(test_bad_target)
{
	static const char *const targets[] = {"", "with space", "quote\"", "sl/ash"};
	struct finf_graph *graph = sample_graph();
	struct finf_plan *plan = sample_plan(graph);
	int dir = scratch_fd();

	for (size_t i = 0; i < FINF_ARRAY_LEN(targets); i++)
		ck_assert_int_eq(finf_pack_write_tuned(dir, "a.fim", graph, plan, targets[i], 0,
						       &tuned_source, NULL), -EINVAL);
	ck_assert_uint_eq(count_files(dir), 0);
	finf_plan_free(plan);
	finf_graph_free(graph);
	close(dir);
}
END_TEST

/* ---- failures: the folder is as before, the old file too --------------------------- */

static int failing_read(void *ctx, uint32_t weight, uint64_t offset, void *to, uint64_t bytes,
			struct finf_diag *diag)
{
	if (weight == *(uint32_t *)ctx)
		return finf_diag_set(diag, -EREMOTEIO, "weight %u is gone", weight);
	return tuned_read(NULL, weight, offset, to, bytes, diag);
}

START_TEST(test_source_fails)
{
	struct finf_graph *graph = sample_graph();
	struct finf_plan *plan = sample_plan(graph);
	struct finf_diag diag = {""};
	int before, dir = scratch_fd();
	uint32_t weight = (uint32_t)_i;
	struct finf_pack_source source = {.ctx = &weight, .read = failing_read};
	struct finf_pack *pack;

	ck_assert_int_eq(write_sample_portable(dir, "a.fim"), 0);
	before = open_descriptors();
	ck_assert_int_eq(finf_pack_write_tuned(dir, "a.fim", graph, plan, "x", 0, &source, &diag),
			 -EREMOTEIO);
	ck_assert_ptr_nonnull(strstr(diag.text, "is gone"));
	ck_assert_uint_eq(count_files(dir), 1);
	ck_assert_int_eq(open_descriptors(), before);
	pack = open_in(dir, "a.fim"); /* the old one, untouched */
	ck_assert_str_eq(pack->target, "portable");
	finf_pack_close(pack);
	finf_plan_free(plan);
	finf_graph_free(graph);
	close(dir);
}
END_TEST

START_TEST(test_file_size_limit)
{
	struct rlimit limit = {4096, 4096};
	int dir = scratch_fd(), before = open_descriptors();

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_int_eq(write_sample_portable(dir, "a.fim"), -EFBIG);
	ck_assert_uint_eq(count_files(dir), 0);
	ck_assert_int_eq(open_descriptors(), before);
	close(dir);
}
END_TEST

/* The limit falls while weights stream: the write itself fails. */
static int limiting_read(void *ctx, uint32_t weight, uint64_t offset, void *to, uint64_t bytes,
			 struct finf_diag *diag)
{
	struct rlimit limit = {8192, 8192};

	(void)ctx;
	if (weight == 2)
		ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	return tuned_read(NULL, weight, offset, to, bytes, diag);
}

START_TEST(test_write_fails_half_way)
{
	struct finf_graph *graph = sample_graph();
	struct finf_plan *plan = sample_plan(graph);
	struct finf_pack_source source = {.read = limiting_read};
	struct finf_diag diag = {""};
	int dir = scratch_fd(), before = open_descriptors();

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(finf_pack_write_tuned(dir, "a.fim", graph, plan, "x", 0, &source, &diag),
			 -EFBIG);
	ck_assert_ptr_nonnull(strstr(diag.text, "a.fim: offset "));
	ck_assert_uint_eq(count_files(dir), 0);
	ck_assert_int_eq(open_descriptors(), before);
	finf_plan_free(plan);
	finf_graph_free(graph);
	close(dir);
}
END_TEST

/* More tensors than a header holds: refused by the writer, not by the next reader. */
START_TEST(test_too_many_tensors)
{
	struct finf_graph *graph = sample_graph();
	struct finf_diag diag = {""};
	int dir = scratch_fd();
	char name[32];

	for (uint32_t i = 0; i < 60000; i++) {
		snprintf(name, sizeof(name), "constant-%u", i);
		sample_const(graph, name, 1, 17, 0);
	}
	ck_assert_int_eq(finf_pack_write_portable(dir, "a.fim", graph, &diag), -EOVERFLOW);
	ck_assert_ptr_nonnull(strstr(diag.text, "too many tensors"));
	ck_assert_uint_eq(count_files(dir), 0);
	finf_graph_free(graph);
	close(dir);
}
END_TEST

START_TEST(test_name_is_a_folder)
{
	int dir = scratch_fd(), before = open_descriptors();

	ck_assert_int_eq(mkdirat(dir, "a.fim", 0700), 0);
	ck_assert_int_eq(write_sample_portable(dir, "a.fim"), -EISDIR);
	ck_assert_uint_eq(count_files(dir), 1);
	ck_assert_int_eq(open_descriptors(), before);
	close(dir);
}
END_TEST

START_TEST(test_folder_not_writable)
{
	int dir = scratch_fd(), before = open_descriptors();

	ck_assert_int_eq(fchmod(dir, 0555), 0);
	if (!geteuid())
		ck_assert_int_eq(seteuid(65534), 0); /* root may write anywhere */
	ck_assert_int_eq(write_sample_portable(dir, "a.fim"), -EACCES);
	ck_assert_uint_eq(count_files(dir), 0);
	ck_assert_int_eq(open_descriptors(), before);
	if (!getuid())
		ck_assert_int_eq(seteuid(0), 0);
	ck_assert_int_eq(fchmod(dir, 0700), 0);
	close(dir);
}
END_TEST

START_TEST(test_no_folder)
{
	struct finf_graph *graph = sample_graph();
	int before = open_descriptors();

	ck_assert_int_eq(finf_pack_write_portable(-1, "a.fim", graph, NULL), -EBADF);
	ck_assert_int_eq(open_descriptors(), before);
	finf_graph_free(graph);
}
END_TEST

START_TEST(test_name_too_long)
{
	struct finf_graph *graph = sample_graph();
	int dir = scratch_fd();
	char name[300];

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	ck_assert_int_eq(finf_pack_write_portable(dir, name, graph, NULL), -ENAMETOOLONG);
	ck_assert_uint_eq(count_files(dir), 0);
	finf_graph_free(graph);
	close(dir);
}
END_TEST

START_TEST(test_disk_full)
{
	const char *mounted = scratch_path("small");
	int dir, before;

	ck_assert_int_eq(mkdir(mounted, 0700), 0);
	if (geteuid() || unshare(CLONE_NEWNS) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("small", mounted, "tmpfs", 0, "size=8k")) {
		skip_test("root", "a full disk needs a tmpfs mounted by root");
		return;
	}
	dir = open(mounted, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	before = open_descriptors();
	ck_assert_int_eq(write_sample_portable(dir, "a.fim"), -ENOSPC);
	ck_assert_uint_eq(count_files(dir), 0);
	ck_assert_int_eq(open_descriptors(), before);
	close(dir);
	ck_assert_int_eq(umount(mounted), 0);
}
END_TEST

START_TEST(test_read_only_file_system)
{
	const char *mounted = scratch_path("ro");
	int dir;

	ck_assert_int_eq(mkdir(mounted, 0700), 0);
	if (geteuid() || unshare(CLONE_NEWNS) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("ro", mounted, "tmpfs", MS_RDONLY, NULL)) {
		skip_test("root", "a read-only file system needs a tmpfs mounted by root");
		return;
	}
	dir = open(mounted, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(write_sample_portable(dir, "a.fim"), -EROFS);
	close(dir);
	ck_assert_int_eq(umount(mounted), 0);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("pack/write");
	TCase *tc = tcase_create("write");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_portable_round_trip);
	tcase_add_test(tc, test_tuned_round_trip);
	tcase_add_test(tc, test_read_weight_bounds);
	tcase_add_test(tc, test_large_and_twice);
	tcase_add_test(tc, test_no_weights);
	tcase_add_loop_test(tc, test_bad_file_name, 0, FINF_ARRAY_LEN(bad_file_names));
	tcase_add_loop_test(tc, test_bad_names, 0, FINF_ARRAY_LEN(bad_names));
	tcase_add_loop_test(tc, test_good_names, 0, FINF_ARRAY_LEN(good_names));
	tcase_add_test(tc, test_constant_without_bytes);
	tcase_add_test(tc, test_bad_target);
	tcase_add_loop_test(tc, test_source_fails, 0, 4);
	tcase_add_test(tc, test_file_size_limit);
	tcase_add_test(tc, test_write_fails_half_way);
	tcase_add_test(tc, test_too_many_tensors);
	tcase_add_test(tc, test_name_is_a_folder);
	tcase_add_test(tc, test_folder_not_writable);
	tcase_add_test(tc, test_no_folder);
	tcase_add_test(tc, test_name_too_long);
	tcase_add_test(tc, test_disk_full);
	tcase_add_test(tc, test_read_only_file_system);
	suite_add_tcase(suite, tc);
	return suite;
}
