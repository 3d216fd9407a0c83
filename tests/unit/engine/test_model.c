/* SPDX-License-Identifier: MIT */
/*
 * engine: models as fid uses them - matching, binding, targets, what a tuned
 * extent holds - and packs with one bit wrong anywhere.
 */
#include <errno.h>
#include <sys/stat.h>

#include "engine/priv.h"
#include "fuse/fuse.h"
#include "graph/op.h"
#include "tests/unit/engine/testmodel.h"

static struct finf_device *dev;

static void setup(void)
{
	struct finf_diag diag = {""};

	ck_assert_msg(!finf_device_open("host", &dev, &diag), "%s", diag.text);
}

static void teardown(void)
{
	finf_device_close(dev);
}

/* ---- helpers --------------------------------------------------------------------- */

static struct finf_pack *open_pack(const char *path)
{
	struct finf_pack *pack = NULL;
	struct finf_diag diag = {""};
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_msg(!finf_pack_open(fd, path, &pack, &diag), "%s", diag.text);
	close(fd);
	return pack;
}

/* model_write() as portable and tuned packs "m.fim" and "t.fim". */
static void write_packs(uint32_t threads)
{
	int dir = open(scratch_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct finf_fuse_report report;
	struct finf_graph *graph = NULL;
	struct finf_diag diag = {""};
	struct finf_pack *pack;

	ck_assert_int_eq(finf_import_file(model_write("m.onnx", 1, false), &graph, &diag), 0);
	ck_assert_int_eq(finf_fuse_run(graph, &report, &diag), 0);
	ck_assert_msg(!finf_pack_write_portable(dir, "m.fim", graph, &diag), "%s", diag.text);
	finf_graph_free(graph);
	pack = open_pack(scratch_path("m.fim"));
	ck_assert_msg(!finf_engine_tune(dev, pack, threads, 0, dir, "t.fim", &diag), "%s",
		      diag.text);
	finf_pack_close(pack);
	close(dir);
}

/* Two inputs of different kinds, two outputs: a[?,4] float32 and n[3] int64. */
static struct finf_model *two_by_two(void)
{
	struct finf_shape a = {2, {FINF_DIM_ANY, 4}}, n = {1, {3}};
	uint32_t in[2], out[2];
	struct finf_graph *graph = NULL;
	struct finf_model *model = NULL;
	struct finf_diag diag = {""};

	ck_assert_int_eq(finf_graph_new("two", &graph), 0);
	ck_assert_int_eq(finf_graph_value(graph, "a", FINF_F32, &a, &in[0]), 0);
	ck_assert_int_eq(finf_graph_value(graph, "n", FINF_I64, &n, &in[1]), 0);
	ck_assert_int_eq(finf_graph_value(graph, "b", FINF_F32, NULL, &out[0]), 0);
	ck_assert_int_eq(finf_graph_value(graph, "m", FINF_I64, NULL, &out[1]), 0);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(finf_graph_input(graph, in[i]), 0);
		ck_assert_int_eq(finf_graph_node(graph, finf_op_find(i ? "Identity" : "Relu"), 13,
						 i ? "id" : "relu", &in[i], 1, &out[i], 1, NULL, 0,
						 &(uint32_t){0}),
				 0);
		ck_assert_int_eq(finf_graph_output(graph, out[i]), 0);
	}
	ck_assert_int_eq(finf_graph_sort(graph, &diag), 0);
	ck_assert_msg(!finf_graph_infer(graph, &diag), "%s", diag.text);
	ck_assert_msg(!finf_model_open_graph(dev, graph, 1, 0, 0, &model, &diag), "%s",
		      diag.text);
	return model;
}

/* ---- matching ----------------------------------------------------------------------- */

static float a_data[8];
static int64_t n_data[3];

#define A(name)                                                                                    \
	{                                                                                          \
		name, FINF_F32, {2, {2, 4}}, a_data, sizeof(a_data)                                \
	}
#define N(name)                                                                                    \
	{                                                                                          \
		name, FINF_I64, {1, {3}}, n_data, sizeof(n_data)                                   \
	}

static const struct {
	struct finf_tensor given[3];
	uint32_t n;
	const char *says; /* NULL = matches */
} input_rows[] = {
	{{A("a"), N("n")}, 2, NULL},
	{{N("n"), A("a")}, 2, NULL},
	{{A(NULL), N(NULL)}, 2, NULL},
	{{A(NULL), N("n")}, 2, NULL},
	{{N(NULL), A(NULL)}, 2, "input 'a': given int64 3, expected float32 ?x4"},
	{{A("a")}, 1, "input 'n' is missing"},
	{{N("n"), N(NULL)}, 2, "input 'n' is given twice"},
	{{A("a"), N("m")}, 2, "the model has no input 'm', but 'a' and 1 more"},
	{{A("a"), N("n"), A(NULL)}, 3, "input number 3 given, the model has 2"},
};

START_TEST(inputs_by_name_or_position)
{
	struct finf_model *model = two_by_two();
	struct finf_diag diag = {""};
	struct finf_tensor ret[2];
	int err =
		finf_model_match(model, false, input_rows[_i].given, input_rows[_i].n, ret, &diag);

	if (input_rows[_i].says) {
		ck_assert_int_eq(err, -EINVAL);
		ck_assert_msg(strstr(diag.text, input_rows[_i].says), "%s", diag.text);
	} else {
		ck_assert_msg(!err, "%s", diag.text);
		ck_assert_ptr_eq(ret[0].data, a_data);
		ck_assert_ptr_eq(ret[1].data, n_data);
		ck_assert_str_eq(ret[1].name, "n");
	}
	finf_model_close(model);
}
END_TEST

START_TEST(outputs_may_be_left_out)
{
	struct finf_model *model = two_by_two();
	struct finf_tensor given = {.name = "m", .data = n_data, .bytes = 24}, ret[2];
	struct finf_diag diag = {""};

	ck_assert_int_eq(finf_model_match(model, true, &given, 1, ret, &diag), 0);
	ck_assert_ptr_null(ret[0].name);
	ck_assert_ptr_null(ret[0].data);
	ck_assert_str_eq(ret[1].name, "m");
	ck_assert_ptr_eq(ret[1].data, n_data);
	given.name = "a";
	ck_assert_int_eq(finf_model_match(model, true, &given, 1, ret, &diag), -EINVAL);
	ck_assert_msg(strstr(diag.text, "the model has no output 'a'"), "%s", diag.text);
	finf_model_close(model);
}
END_TEST

/* ---- binding --------------------------------------------------------------------------- */

static const struct finf_binding *bind(struct finf_model *model, int64_t batch)
{
	const struct finf_binding *binding = NULL;
	struct finf_tensor in[2] = {{"a", FINF_F32, {2, {batch, 4}}, NULL, 0}, N("n")};
	struct finf_diag diag = {""};
	struct finf_port port;

	ck_assert_msg(!finf_model_bind(model, in, 2, &binding, &diag), "%s", diag.text);
	finf_binding_output(binding, 0, &port);
	ck_assert_str_eq(port.name, "b");
	ck_assert_int_eq(port.shape.dim[0], batch);
	ck_assert_uint_ge(finf_binding_arena_bytes(binding), (uint64_t)batch * 16);
	return binding;
}

/* So many are kept; the default never goes, of the others the one used longest ago. */
START_TEST(least_recently_used_shape_is_given_up)
{
	struct finf_model *model = two_by_two();
	const int64_t most = FINF_MODEL_BINDINGS;
	const struct finf_binding *kept[FINF_MODEL_BINDINGS + 1];
	struct finf_tensor wrong[2] = {{"a", FINF_F32, {2, {2, 5}}, NULL, 0}, N("n")};
	const struct finf_binding *none = NULL;
	struct finf_diag diag = {""};

	for (int64_t batch = 1; batch <= most; batch++)
		kept[batch] = bind(model, batch);
	for (int64_t batch = 1; batch <= most; batch++)
		ck_assert_ptr_eq(bind(model, batch), kept[batch]);
	bind(model, 2);
	bind(model, most + 1); /* 3 is the oldest now */
	for (int64_t batch = 1; batch <= most; batch++)
		if (batch != 3)
			ck_assert_ptr_eq(bind(model, batch), kept[batch]);
	ck_assert_int_eq(finf_model_bind(model, wrong, 2, &none, &diag), -EINVAL);
	ck_assert_msg(strstr(diag.text, "?x4 was expected, not 2x5"), "%s", diag.text);
	ck_assert_int_eq(finf_model_bind(model, wrong, 1, &none, &diag), -EINVAL);
	ck_assert_ptr_null(none);
	ck_assert_ptr_eq(bind(model, 4), kept[4]);
	finf_model_close(model);
}
END_TEST

/* Their bytes are counted, all go that must, and one is kept however large it is. */
START_TEST(kept_within_bytes)
{
	struct finf_model *model = two_by_two();
	const struct finf_binding *first = bind(model, 1);
	uint64_t bytes, more;
	uint32_t n;

	finf_model_kept(model, &n, &bytes);
	ck_assert(!n && !bytes);
	bind(model, 2);
	finf_model_kept(model, &n, &bytes);
	ck_assert(n == 1 && bytes > FINF_KERNEL_BYTES && bytes < 1 << 20);
	bind(model, 3);
	bind(model, 4);
	finf_model_kept(model, &n, &more);
	ck_assert(n == 3 && more > bytes);
	/* As if there were others, up to two more of the kind. */
	atomic_fetch_add(&model->more_bytes, FINF_BINDINGS_BYTES - more);
	bind(model, 5);
	finf_model_kept(model, &n, &bytes);
	ck_assert_uint_le(bytes, FINF_BINDINGS_BYTES);
	ck_assert(n == 2 || n == 3);
	atomic_store(&model->more_bytes, 2ull * FINF_BINDINGS_BYTES);
	bind(model, 6);
	finf_model_kept(model, &n, &bytes);
	ck_assert_uint_eq(n, 1);
	ck_assert_ptr_eq(bind(model, 1), first);
	finf_model_close(model);
}
END_TEST

/* ---- packs ------------------------------------------------------------------------------ */

START_TEST(pack_for_another_target)
{
	struct finf_model *model = NULL;
	struct finf_diag diag = {""};
	struct finf_pack *pack;

	write_packs(2);
	pack = open_pack(scratch_path("t.fim"));
	ck_assert_int_eq(finf_model_open(dev, pack, 1, 0, &model, &diag), -EKEYREJECTED);
	ck_assert_ptr_null(model);
	ck_assert_msg(strstr(diag.text, pack->target), "%s", diag.text);
	finf_pack_close(pack); /* was not taken over */
	pack = open_pack(scratch_path("m.fim"));
	ck_assert_int_eq(finf_model_open(dev, pack, 1, 0, &model, &diag), -EKEYREJECTED);
	ck_assert_msg(strstr(diag.text, "the pack is for 'portable'"), "%s", diag.text);
	finf_pack_close(pack);
}
END_TEST

START_TEST(plan_that_does_not_fit_the_graph)
{
	struct finf_model *model = NULL;
	struct finf_diag diag = {""};
	struct finf_pack *pack;

	write_packs(1);
	pack = open_pack(scratch_path("t.fim"));
	pack->plan->buffers[pack->plan->outputs[0]].offset = pack->plan->arena_bytes;
	ck_assert_int_eq(finf_model_open(dev, pack, 1, 0, &model, &diag), -EBADMSG);
	ck_assert_msg(strstr(diag.text, "the pack's plan does not fit its graph"), "%s", diag.text);
	ck_assert_ptr_null(model);
	finf_pack_close(pack);
}
END_TEST

static void count_done(void *ctx, struct finf_load *load, int result, const struct finf_diag *diag)
{
	unsigned *count = ctx;

	ck_assert_ptr_null(load);
	ck_assert_msg(!result, "%s", diag->text);
	(*count)++;
}

static void read_segments(const struct finf_pack *pack, char *extent)
{
	for (uint32_t i = 0; i < pack->n_segments; i++)
		ck_assert_int_eq(finf_pread_full(pack->fd, extent + pack->segments[i].offset,
						 pack->segments[i].bytes,
						 pack->segments[i].file_offset),
				 0);
}

/* Plain and blocked weights of a tuned pack are what a load from the portable one places. */
START_TEST(tuned_extent_is_the_placed_extent)
{
	struct finf_model *model = NULL;
	struct finf_load *load = NULL;
	struct finf_diag diag = {""};
	struct finf_pack *tuned;
	char *streamed, *placed;
	unsigned n_done = 0;

	write_packs(1);
	tuned = open_pack(scratch_path("t.fim"));
	ck_assert_int_eq(finf_model_open_portable(dev, open_pack(scratch_path("m.fim")), 1, 0,
						  0, &model, &diag),
			 0);
	ck_assert_uint_eq(finf_model_weight_bytes(model), tuned->weight_bytes);
	ck_assert_uint_eq(finf_model_arena_bytes(model), tuned->plan->arena_bytes);
	streamed = calloc(1, tuned->weight_bytes);
	placed = calloc(1, tuned->weight_bytes);
	ck_assert(streamed && placed);
	read_segments(tuned, streamed);
	ck_assert_int_eq(finf_model_load(model, NULL, placed, NULL, count_done, &n_done, &load), 0);
	ck_assert_uint_eq(n_done, 1);
	ck_assert_ptr_null(load);
	ck_assert_uint_gt(tuned->plan->n_weights, 0);
	for (uint32_t i = 0; i < tuned->plan->n_weights; i++) {
		const struct finf_plan_weight *w = &tuned->plan->weights[i];

		ck_assert_msg(!memcmp(streamed + w->offset, placed + w->offset, w->form.bytes),
			      "%s", w->name);
	}
	free(streamed);
	free(placed);
	finf_pack_close(tuned);
	finf_model_close(model);
}
END_TEST

/* ---- one wrong bit, or a file cut short ----------------------------------------------------- */

static float flip_x[MODEL_X], flip_want[MODEL_Y];

/* Adds and runs the file. Return: 0 with the right result, or the error of add or infer. */
static int serve(const char *path)
{
	struct finf_engine_opts opts = {.size = sizeof(opts), .pool_bytes = 1 << 20, .threads = 1};
	struct finf_tensor in = {"x", FINF_F32, model_shape(1), flip_x, sizeof(flip_x)};
	float y[MODEL_Y];
	struct finf_tensor out = {.data = y, .bytes = sizeof(y)};
	struct finf_engine *engine = NULL;
	struct finf_diag diag = {""};
	int err;

	ck_assert_int_eq(finf_engine_open(&opts, &engine, &diag), 0);
	err = finf_engine_add(engine, path, "m", &diag);
	if (!err)
		err = finf_engine_infer(engine, "m", &in, 1, &out, 1, &diag);
	if (!err)
		ck_assert_double_lt(relative_l2(y, flip_want, MODEL_Y), 1e-5);
	else
		ck_assert_msg(diag.text[0], "error %d without a word", err);
	finf_engine_close(engine);
	return err;
}

static uint8_t *read_file(const char *path, size_t *ret_bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	uint8_t *data;

	ck_assert_int_eq(fstat(fd, &st), 0);
	data = malloc((size_t)st.st_size);
	ck_assert_ptr_nonnull(data);
	ck_assert_int_eq(finf_pread_full(fd, data, (size_t)st.st_size, 0), 0);
	close(fd);
	*ret_bytes = (size_t)st.st_size;
	return data;
}

static const char *write_file(const char *name, const uint8_t *data, size_t bytes)
{
	const char *path = scratch_path(name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_eq(finf_write_full(fd, data, bytes), 0);
	close(fd);
	return path;
}

/*
 * Header, graph, plan and weights all lie under checksums, so a wrong bit is
 * an error; where it is not (padding), the result is still right.
 */
static const char *const packs[] = {"t.fim", "m.fim"}; /* tuned and portable */

START_TEST(pack_with_a_wrong_bit)
{
	uint64_t seed = 77;
	size_t bytes;
	uint8_t *data;

	write_packs(1);
	test_fill_f32(flip_x, MODEL_X, 3);
	model_oracle(scratch_path("m.onnx"), 1, 3, flip_want);
	data = read_file(scratch_path(packs[_i]), &bytes);
	ck_assert_int_eq(serve(write_file("f.fim", data, bytes)), 0);
	for (int i = 0; i < 150; i++) {
		/* half of them in the first 4 KiB: the header */
		size_t at = test_random(&seed) % (i % 2 ? bytes : 4096);
		uint8_t bit = (uint8_t)(1u << test_random(&seed) % 8);

		data[at] ^= bit;
		serve(write_file("f.fim", data, bytes));
		data[at] ^= bit;
	}
	for (int i = 0; i < 30; i++)
		ck_assert_int_ne(serve(write_file("f.fim", data, test_random(&seed) % bytes)), 0);
	ck_assert_int_eq(serve(write_file("f.fim", data, bytes)), 0);
	free(data);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("engine/model");
	TCase *tc = tcase_create("model");

	tcase_set_timeout(tc, 300);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, inputs_by_name_or_position, 0, FINF_ARRAY_LEN(input_rows));
	tcase_add_test(tc, outputs_may_be_left_out);
	tcase_add_test(tc, least_recently_used_shape_is_given_up);
	tcase_add_test(tc, kept_within_bytes);
	tcase_add_test(tc, pack_for_another_target);
	tcase_add_test(tc, plan_that_does_not_fit_the_graph);
	tcase_add_test(tc, tuned_extent_is_the_placed_extent);
	tcase_add_loop_test(tc, pack_with_a_wrong_bit, 0, FINF_ARRAY_LEN(packs));
	suite_add_tcase(suite, tc);
	return suite;
}
