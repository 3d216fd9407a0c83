/* SPDX-License-Identifier: MIT */
/* engine: concats without a copy - where they can be, and the same answers everywhere. */
#include "engine/priv.h"
#include "fuse/fuse.h"
#include "tests/unit/engine/testmodel.h"

#define SIZE	 6u
#define CHANNELS 32u /* of each layer but the last */
#define LAST	 5u
#define Y	 ((2 * CHANNELS + LAST) * SIZE * SIZE)

static void add_conv(struct onnx_build *b, const char *name, const char *in, const char *out,
		     int64_t from, int64_t to)
{
	static float data[CHANNELS * 2 * CHANNELS];
	char both[40];
	Onnx__TensorProto *w =
		build_tensor(b, name, FINF_F32, 4, (const int64_t[]){to, from, 1, 1});

	test_fill_f32(data, (size_t)(from * to), (uint64_t)name[1]);
	build_raw(b, w, data, (size_t)(from * to) * sizeof(float));
	build_initialiser(b, w);
	snprintf(both, sizeof(both), "%s,%s", in, name);
	build_node(b, "Conv", out, both, out);
}

static void add_concat(struct onnx_build *b, const char *in, const char *out)
{
	Onnx__AttributeProto *axis = build_attr(b, build_node(b, "Concat", out, in, out), "axis",
						ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);

	axis->has_i = 1;
	axis->i = 1;
}

/* Three layers of a dense block: each reads all before it; the last has odd channels. */
static const char *write_net(void)
{
	const char *path = scratch_path("dense.onnx");
	struct onnx_build b;
	uint8_t *file;
	size_t bytes;
	FILE *to;

	build_init(&b, 13);
	build_input(&b, "x", FINF_F32, 4, (const int64_t[]){-1, CHANNELS, SIZE, SIZE});
	add_conv(&b, "w0", "x", "a", CHANNELS, CHANNELS);
	add_conv(&b, "w1", "a", "b", CHANNELS, CHANNELS);
	add_concat(&b, "a,b", "c1");
	build_node(&b, "Sigmoid", "s1", "c1", "d1"); /* not over a and b: they are read again */
	add_conv(&b, "w2", "d1", "c", 2 * CHANNELS, LAST);
	add_concat(&b, "a,b,c", "c2");
	build_node(&b, "Sigmoid", "s2", "c2", "y");
	build_output(&b, "y");
	file = build_pack(&b, &bytes);
	to = fopen(path, "wb");
	ck_assert_ptr_nonnull(to);
	ck_assert_uint_eq(fwrite(file, 1, bytes, to), bytes);
	fclose(to);
	free(file);
	build_fini(&b);
	return path;
}

static void answer(const char *path, bool exact, int64_t batch, float *y)
{
	struct finf_engine_opts opts = {
		.size = sizeof(opts), .pool_bytes = 32 << 20, .threads = 2, .exact = exact};
	struct finf_tensor in = {"x", FINF_F32, {4, {batch, CHANNELS, SIZE, SIZE}}, NULL,
				 (size_t)batch * CHANNELS * SIZE * SIZE * sizeof(float)};
	struct finf_tensor out = {.data = y, .bytes = (size_t)batch * Y * sizeof(float)};
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
	finf_engine_close(engine);
	free(in.data);
}

START_TEST(same_answers)
{
	const char *path = write_net();
	int64_t batch = _i;
	size_t n = (size_t)batch * Y;
	float *want = malloc(n * sizeof(float)), *got = malloc(n * sizeof(float));

	answer(path, true, batch, want);
	answer(path, false, batch, got);
	ck_assert_double_lt(relative_l2(got, want, n), 1e-5);
	free(want);
	free(got);
}
END_TEST

static uint32_t joins_at(struct finf_device *dev, const struct finf_graph *graph, int64_t batch)
{
	const struct finf_shape shape = {4, {batch, CHANNELS, SIZE, SIZE}};
	struct finf_graph *bound = NULL;
	struct finf_plan *plan = NULL;
	struct finf_diag diag = {""};
	uint32_t joins = 0;

	ck_assert_msg(!finf_engine_plan(dev, graph, &shape, 2, 0, 0, NULL, &bound, &plan, &diag),
		      "%s", diag.text);
	for (uint32_t i = 0; i < plan->n_steps; i++)
		joins += !!(plan->steps[i].form.flags & FINF_FORM_JOIN);
	finf_plan_free(plan);
	finf_graph_free(bound);
	return joins;
}

/* Of a single image both are joined; of several the channels of one lie between another's. */
START_TEST(only_at_batch_one)
{
	struct finf_graph *graph = NULL;
	struct finf_device *dev = NULL;
	struct finf_fuse_report report;
	struct finf_diag diag = {""};

	ck_assert_msg(!finf_import_file(write_net(), &graph, &diag), "%s", diag.text);
	ck_assert_int_eq(finf_fuse_run(graph, &report, &diag), 0);
	ck_assert_int_eq(finf_device_open("host", &dev, &diag), 0);
	ck_assert_uint_eq(joins_at(dev, graph, 1), 2);
	ck_assert_uint_eq(joins_at(dev, graph, 2), 0);
	finf_device_close(dev);
	finf_graph_free(graph);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("engine/join");
	TCase *tc = tcase_create("join");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, same_answers, 1, 4);
	tcase_add_test(tc, only_at_batch_one);
	suite_add_tcase(suite, tc);
	return suite;
}
