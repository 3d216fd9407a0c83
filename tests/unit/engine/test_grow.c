/* SPDX-License-Identifier: MIT */
/*
 * engine: larger weights in a second extent beside a tuned model - same answers, the first
 * extent untouched, given up at any moment. The device is told how fast its forms are.
 */
#include <errno.h>
#include <time.h>

#include "engine/priv.h"
#include "fuse/fuse.h"
#include "tests/unit/engine/testmodel.h"

static struct finf_device *dev;
static const struct finf_device_ops *real;
static struct finf_device_ops told;
static bool fat_is_slow;
static struct finf_kernel *fat_kernels[8];
static uint32_t n_fat;
static int runs_left; /* until one fails */

static int told_new(struct finf_device *d, const struct finf_graph *graph, uint32_t node,
		    const struct finf_form *form, uint32_t threads, struct finf_kernel **ret_kernel,
		    struct finf_diag *diag)
{
	int err = real->kernel_new(d, graph, node, form, threads, ret_kernel, diag);

	if (!err && form->flags & FINF_FORM_FAT)
		fat_kernels[n_fat++ % FINF_ARRAY_LEN(fat_kernels)] = *ret_kernel;
	return err;
}

static void told_free(struct finf_device *d, struct finf_kernel *kernel)
{
	for (size_t i = 0; i < FINF_ARRAY_LEN(fat_kernels); i++)
		if (fat_kernels[i] == kernel)
			fat_kernels[i] = NULL;
	real->kernel_free(d, kernel);
}

static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* The slower of the two takes 20 ms of processor time: much more than either does by itself. */
static int told_run(struct finf_device *d, struct finf_kernel *kernel,
		    const struct finf_launch *launch)
{
	uint64_t start = cpu_ns();
	bool fat = false;

	if (!runs_left--)
		return -EREMOTEIO;
	for (size_t i = 0; i < FINF_ARRAY_LEN(fat_kernels); i++)
		fat |= fat_kernels[i] == kernel;
	while (fat == fat_is_slow && cpu_ns() - start < 20000000)
		;
	return real->kernel_run(d, kernel, launch);
}

static struct finf_pack *open_pack(const char *name)
{
	int fd = open(scratch_path(name), O_RDONLY | O_CLOEXEC);
	struct finf_pack *pack = NULL;
	struct finf_diag diag = {""};

	ck_assert_int_ge(fd, 0);
	ck_assert_msg(!finf_pack_open(fd, name, &pack, &diag), "%s", diag.text);
	close(fd);
	return pack;
}

/* model_write_convs() as portable and tuned packs; the batch may vary. */
static void setup(void)
{
	int dir = open(scratch_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct finf_fuse_report report;
	struct finf_graph *graph = NULL;
	struct finf_diag diag = {""};
	struct finf_pack *pack;

	ck_assert_msg(!finf_device_open("host", &dev, &diag), "%s", diag.text);
	ck_assert_int_eq(finf_import_file(model_write_convs(-1), &graph, &diag), 0);
	ck_assert_int_eq(finf_fuse_run(graph, &report, &diag), 0);
	ck_assert_msg(!finf_pack_write_portable(dir, "m.fim", graph, &diag), "%s", diag.text);
	finf_graph_free(graph);
	pack = open_pack("m.fim");
	ck_assert_msg(!finf_engine_tune(dev, pack, 1, 0, dir, "t.fim", &diag), "%s", diag.text);
	finf_pack_close(pack);
	close(dir);
	real = dev->ops;
	told = *real;
	told.kernel_new = told_new;
	told.kernel_free = told_free;
	told.kernel_run = told_run;
	dev->ops = &told;
	fat_is_slow = false;
	runs_left = INT32_MAX;
}

static void teardown(void)
{
	dev->ops = real;
	finf_device_close(dev);
}

static int open_grown(const atomic_bool *stop, struct finf_model **ret_model)
{
	struct finf_pack *pack = open_pack("t.fim");
	struct finf_diag diag = {""};
	int err = finf_model_open_grown(dev, pack, 1, 0, stop, ret_model, &diag);

	if (err)
		finf_pack_close(pack);
	return err;
}

/* NULL, and the test says that it is skipped, where there are no larger forms. */
static struct finf_model *grown_or_skip(void)
{
	struct finf_model *model = NULL;
	int err = open_grown(NULL, &model);

	if (err == -ENODATA)
		skip_test("winograd", "this oneDNN or CPU has none");
	else
		ck_assert_int_eq(err, 0);
	return model;
}

struct extent {
	char *at;
	uint64_t bytes, next; /* where the next piece has to begin, at least */
	uint32_t left;	      /* pieces until nobody wants it any more */
};

static int put(void *ctx, uint64_t offset, const void *bytes, uint64_t n)
{
	struct extent *extent = ctx;

	if (!extent->left)
		return -ECANCELED;
	if (!n)
		return 0;
	extent->left--;
	ck_assert_uint_le(n, FINF_GROW_PIECE_BYTES);
	ck_assert_uint_ge(offset, extent->next);
	ck_assert_uint_le(offset + n, extent->bytes);
	memcpy(extent->at + offset, bytes, n);
	extent->next = offset + n;
	return 0;
}

static void read_weights(struct finf_pack *tuned, char *extent)
{
	for (uint32_t i = 0; i < tuned->n_segments; i++)
		ck_assert_int_eq(finf_pread_full(tuned->fd, extent + tuned->segments[i].offset,
						 tuned->segments[i].bytes,
						 tuned->segments[i].file_offset), 0);
}

static void run(struct finf_model *model, const char *weights, const char *grown, float *y)
{
	struct finf_tensor in = {"x", FINF_F32, {4, {1, CONVS_CHANNELS, CONVS_SIZE, CONVS_SIZE}},
				 NULL, CONVS_X * sizeof(float)};
	struct finf_tensor out = {.data = y, .bytes = in.bytes};
	struct finf_run args = {.size = sizeof(args), .weights = weights, .grown = grown,
				.inputs = &in, .outputs = &out, .n_inputs = 1, .n_outputs = 1};
	const struct finf_binding *binding;
	struct finf_diag diag = {""};

	in.data = malloc(in.bytes);
	ck_assert_ptr_nonnull(in.data);
	test_fill_f32(in.data, CONVS_X, 7);
	ck_assert_msg(!finf_model_bind(model, &in, 1, &binding, &diag), "%s", diag.text);
	args.arena = aligned_alloc(4096, finf_align_up(finf_binding_arena_bytes(binding), 4096));
	ck_assert_ptr_nonnull(args.arena);
	ck_assert_msg(!finf_binding_run(binding, &args, &diag), "%s", diag.text);
	free(args.arena);
	free(in.data);
}

START_TEST(same_answers_and_the_lean_extent_stays)
{
	struct finf_model *grown = grown_or_skip(), *lean = NULL;
	struct finf_pack *portable, *tuned;
	struct finf_diag diag = {""};
	struct extent extra = {.left = UINT32_MAX};
	float *want, *got;
	char *weights;

	if (!grown)
		return;
	ck_assert_double_gt(finf_model_grown_speed(grown), 1.05);
	tuned = open_pack("t.fim");
	weights = aligned_alloc(4096, finf_align_up(tuned->weight_bytes, 4096));
	want = malloc(CONVS_X * sizeof(float));
	got = malloc(CONVS_X * sizeof(float));
	extra.bytes = finf_model_grown_bytes(grown);
	extra.at = aligned_alloc(4096, finf_align_up(extra.bytes, 4096));
	ck_assert(weights && want && got && extra.at);
	ck_assert_uint_gt(extra.bytes, tuned->weight_bytes); /* both convolutions */
	ck_assert_int_eq(finf_model_open(dev, tuned, 1, 0, &lean, &diag), 0);
	ck_assert_uint_eq(finf_model_weight_bytes(grown),
			  finf_model_weight_bytes(lean) + extra.bytes);
	read_weights(tuned, weights);
	portable = open_pack("m.fim");
	ck_assert_msg(!finf_model_grow(grown, portable, put, &extra, &diag), "%s", diag.text);
	finf_pack_close(portable);
	run(lean, weights, NULL, want);
	run(grown, weights, extra.at, got);
	ck_assert_double_lt(relative_l2(got, want, CONVS_X), 1e-5);
	ck_assert_int_ne(memcmp(got, want, CONVS_X * sizeof(float)), 0); /* other arithmetic */
	memset(extra.at, 0xff, extra.bytes);
	run(lean, weights, NULL, got);
	ck_assert_int_eq(memcmp(got, want, CONVS_X * sizeof(float)), 0);
	finf_model_close(grown);
	finf_model_close(lean);
	free(extra.at);
	free(weights);
	free(want);
	free(got);
}
END_TEST

START_TEST(given_up)
{
	struct finf_model *grown = grown_or_skip();
	struct finf_pack *portable;
	struct finf_diag diag = {""};
	atomic_bool stop = true;
	struct extent extra = {.left = 0};

	if (!grown)
		return;
	extra.bytes = finf_model_grown_bytes(grown);
	extra.at = malloc(extra.bytes);
	ck_assert_ptr_nonnull(extra.at);
	portable = open_pack("m.fim");
	for (uint32_t left = 0; left < 2; left++) {
		extra.left = left;
		extra.next = 0;
		ck_assert_int_eq(finf_model_grow(grown, portable, put, &extra, &diag), -ECANCELED);
	}
	finf_pack_close(portable);
	finf_model_close(grown);
	free(extra.at);
	ck_assert_int_eq(open_grown(&stop, &grown), -ECANCELED);
}
END_TEST

/* What was measured decides, and a device that fails is told. */
START_TEST(nothing_to_gain)
{
	struct finf_model *grown = grown_or_skip();

	if (!grown)
		return;
	finf_model_close(grown);
	for (int n = 0; n < 8; n++) {
		runs_left = n;
		ck_assert_int_eq(open_grown(NULL, &grown), -EREMOTEIO);
	}
	runs_left = INT32_MAX;
	fat_is_slow = true;
	ck_assert_int_eq(open_grown(NULL, &grown), -ENODATA);
}
END_TEST

/* A wrong bit of the master must not get into weights that no checksum covers. */
START_TEST(damaged_master)
{
	struct finf_model *grown = grown_or_skip();
	struct finf_diag diag = {""};
	struct finf_pack *portable;
	struct extent extra = {.left = UINT32_MAX};
	char byte;
	int fd;

	if (!grown)
		return;
	portable = open_pack("m.fim");
	fd = open(scratch_path("m.fim"), O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(pread(fd, &byte, 1, (off_t)portable->file_bytes - 9000), 1);
	byte ^= 4;
	ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)portable->file_bytes - 9000), 1);
	close(fd);
	ck_assert_int_eq(finf_model_grow(grown, portable, put, &extra, &diag), -EBADMSG);
	ck_assert_uint_eq(extra.next, 0);
	finf_pack_close(portable);
	finf_model_close(grown);
}
END_TEST

/* ---- members side by side ------------------------------------------------------------ */

#define THREADS 2

/* Two of the networks as a group, in packs for two threads. */
static void write_group(int dir)
{
	struct finf_merge_opts opts = {.size = sizeof(opts), .schedule = FINF_SIDE_BY_SIDE};
	struct finf_graph *net = NULL, *group = NULL;
	struct finf_fuse_report report;
	struct finf_diag diag = {""};
	struct finf_pack *pack;

	ck_assert_int_eq(finf_import_file(model_write_convs(1), &net, &diag), 0);
	ck_assert_int_eq(finf_fuse_run(net, &report, &diag), 0);
	ck_assert_int_eq(finf_fuse_merge("g", (struct finf_fuse_member[]){{"a", net}, {"b", net}}, 2,
					 &opts, &group, NULL, &diag),
			 0);
	ck_assert_msg(!finf_pack_write_portable(dir, "gm.fim", group, &diag), "%s", diag.text);
	finf_graph_free(group);
	finf_graph_free(net);
	pack = open_pack("gm.fim");
	dev->ops = real; /* as fast as they are */
	ck_assert_msg(!finf_engine_tune(dev, pack, THREADS, 0, dir, "gt.fim", &diag), "%s",
		      diag.text);
	dev->ops = &told;
	finf_pack_close(pack);
}

/* The tuned group, whose convolutions are said to gain nothing by a second thread: two lanes. */
static struct finf_pack *open_group(void)
{
	struct finf_pack *pack = open_pack("gt.fim");
	struct finf_side_times times;

	ck_assert_uint_eq(pack->plan->n_branches, 2);
	ck_assert_ptr_nonnull(pack->plan->side.costs);
	for (uint32_t s = 0; s < pack->plan->n_steps; s++)
		pack->plan->side.costs[s] = pack->plan->steps[s].node == FINF_NONE
						    ? (struct finf_step_cost){1000, 1000}
						    : (struct finf_step_cost){50000000, 50000000};
	pack->plan->side.off = false;
	ck_assert_int_eq(finf_plan_side(pack->plan, &times), 0);
	ck_assert_uint_eq(pack->plan->side.n_lanes, 2);
	return pack;
}

static struct finf_model *open_grown_group(uint64_t bytes)
{
	struct finf_model *grown = NULL;
	struct finf_pack *pack = open_group();
	struct finf_diag diag = {""};
	int err = finf_model_open_grown(dev, pack, THREADS, bytes, NULL, &grown, &diag);

	if (err)
		finf_pack_close(pack);
	if (err == -ENODATA)
		skip_test("winograd", "this oneDNN or CPU has none for one thread and for two");
	else
		ck_assert_msg(!err, "%s", diag.text);
	return grown;
}

static void run_group(struct finf_model *model, const char *weights, const char *grown, bool alone,
		      float *y)
{
	struct finf_tensor in[2], out[2];
	struct finf_run args = {.size = sizeof(args), .weights = weights, .grown = grown,
				.inputs = in, .outputs = out, .n_inputs = 2, .n_outputs = 2,
				.alone = alone};
	static float x[2][CONVS_X];
	struct finf_diag diag = {""};

	for (uint32_t m = 0; m < 2; m++) {
		test_fill_f32(x[m], CONVS_X, 7 + m);
		in[m] = (struct finf_tensor){NULL, FINF_F32,
					     {4, {1, CONVS_CHANNELS, CONVS_SIZE, CONVS_SIZE}},
					     x[m], sizeof(x[m])};
		out[m] = (struct finf_tensor){.data = y + m * CONVS_X, .bytes = sizeof(x[m])};
	}
	args.arena = aligned_alloc(4096, finf_align_up(finf_model_arena_bytes(model), 4096));
	ck_assert_ptr_nonnull(args.arena);
	ck_assert_msg(!finf_binding_run(model->bindings[0], &args, &diag), "%s", diag.text);
	free(args.arena);
}

START_TEST(members_side_by_side)
{
	int dir = open(scratch_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	static float want[2 * CONVS_X], got[2 * CONVS_X];
	struct finf_model *grown, *lean = NULL;
	struct finf_pack *portable, *tuned;
	struct extent extra = {.left = UINT32_MAX};
	struct finf_diag diag = {""};
	char *weights;

	write_group(dir);
	close(dir);
	grown = open_grown_group(0);
	if (!grown)
		return;
	/* The lean one runs in lanes already: only faster lanes are faster than that. */
	ck_assert_uint_eq(finf_model_plan(grown)->side.n_lanes, 2);
	ck_assert_ptr_nonnull(grown->bindings[0]->watch);
	ck_assert_double_gt(finf_model_grown_speed(grown), 1.05);
	extra.bytes = finf_model_grown_bytes(grown);
	extra.at = aligned_alloc(4096, finf_align_up(extra.bytes, 4096));
	portable = open_pack("gm.fim");
	ck_assert_msg(!finf_model_grow(grown, portable, put, &extra, &diag), "%s", diag.text);
	finf_pack_close(portable);
	tuned = open_group();
	weights = aligned_alloc(4096, finf_align_up(tuned->weight_bytes, 4096));
	read_weights(tuned, weights);
	ck_assert_msg(!finf_model_open(dev, tuned, THREADS, 0, &lean, &diag), "%s", diag.text);
	run_group(lean, weights, NULL, true, want);
	for (int alone = 0; alone < 2; alone++) {
		run_group(grown, weights, extra.at, alone, got);
		ck_assert_double_lt(relative_l2(got, want, 2 * CONVS_X), 1e-5);
		ck_assert_int_ne(memcmp(got, want, sizeof(got)), 0); /* other arithmetic */
	}
	finf_model_close(grown);
	finf_model_close(lean);
	free(extra.at);
	free(weights);
}
END_TEST

/* Without bytes for both arenas members take turns, and that has to be faster than lanes were. */
START_TEST(no_bytes_for_lanes)
{
	int dir = open(scratch_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct finf_model *grown;
	uint64_t bytes;

	write_group(dir);
	close(dir);
	grown = open_grown_group(0);
	if (!grown)
		return;
	bytes = finf_model_weight_bytes(grown) + finf_model_arena_bytes(grown);
	finf_model_close(grown);
	grown = open_grown_group(bytes - 1);
	ck_assert_uint_eq(finf_model_plan(grown)->n_branches, 1);
	ck_assert_uint_eq(finf_model_plan(grown)->side.n_lanes, 0);
	ck_assert_uint_lt(finf_model_arena_bytes(grown) + finf_model_weight_bytes(grown), bytes);
	ck_assert_double_gt(finf_model_grown_speed(grown), 1);
	finf_model_close(grown);
}
END_TEST

START_TEST(foreign_target)
{
	struct finf_pack *pack = open_pack("t.fim");
	struct finf_model *grown = NULL;
	struct finf_diag diag = {""};

	ck_assert_int_eq(finf_model_open_grown(dev, pack, 2, 0, NULL, &grown, &diag), -EKEYREJECTED);
	ck_assert_ptr_null(grown);
	finf_pack_close(pack);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("engine/grow");
	TCase *tc = tcase_create("grow");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, same_answers_and_the_lean_extent_stays);
	tcase_add_test(tc, given_up);
	tcase_add_test(tc, nothing_to_gain);
	tcase_add_test(tc, damaged_master);
	tcase_add_test(tc, members_side_by_side);
	tcase_add_test(tc, no_bytes_for_lanes);
	tcase_add_test(tc, foreign_target);
	suite_add_tcase(suite, tc);
	return suite;
}
