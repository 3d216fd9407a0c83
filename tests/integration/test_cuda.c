/* SPDX-License-Identifier: MIT */
/*
 * The CUDA device in process, on the driver of tests/support/fakecuda: whole
 * networks answer as the reference does, also after they were moved, and a fault
 * fails one call and nothing else. Whatever the driver would suffer in silence
 * is a failure.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fusedinf/engine.h>

#include "base/base.h"
#include "device/cuda/driver.h"
#include "tests/support/fakedriver.h"
#include "tests/support/support.h"
#include "tools/fictl/zoo/build.h"

#define CLASSES_MAX 1000
#define INPUT_MAX   (3 * 64 * 64)

static __typeof__(fakecuda_violations) *violations;
static __typeof__(fakecuda_fail) *inject;

static void *control(void *lib, const char *name)
{
	void *at = dlsym(lib, name);

	ck_assert_msg(at != NULL, "the fake exports no %s", name);
	return at;
}

static void setup(void)
{
	void *lib;

	setenv("FAKECUDA_DELAY_US", "20", 1);
	lib = dlopen(fakedriver_use(), RTLD_NOW | RTLD_LOCAL);
	ck_assert_ptr_nonnull(lib);
	violations = (__typeof__(violations))control(lib, "fakecuda_violations");
	inject = (__typeof__(inject))control(lib, "fakecuda_fail");
}

static void teardown(void)
{
	const char *last;

	ck_assert_msg(violations(&last) == 0, "%s", last);
}

/* ---- networks -------------------------------------------------------------- */

static void squeezenet(struct zoo *z)
{
	z->side = 64;
	zoo_squeezenet1_1(z);
}

static void narrow_resnet(struct zoo *z)
{
	z->narrow = 4;
	zoo_cifar_resnet18(z);
}

static void narrow_vgg(struct zoo *z)
{
	z->narrow = 4;
	zoo_cifar_vgg16(z);
}

static const struct network {
	const char *name;
	void (*build)(struct zoo *z); /* NULL = the trained one of tests/golden */
	struct finf_shape input;
	size_t outputs;
} networks[] = {
	{"digits", NULL, {4, {1, 1, 8, 8}}, 10},
	{"digits", NULL, {4, {5, 1, 8, 8}}, 50},
	{"cifar_resnet18", narrow_resnet, {4, {1, 3, 32, 32}}, 10},
	{"cifar_vgg16", narrow_vgg, {4, {1, 3, 32, 32}}, 10},
	{"squeezenet1_1", squeezenet, {4, {1, 3, 64, 64}}, 1000},
};

static const char *network_file(const struct network *net)
{
	static char path[1024];
	struct finf_diag diag = {""};
	struct zoo z;

	if (!net->build)
		return golden_path("digits/digits.onnx");
	snprintf(path, sizeof(path), "%s.onnx", scratch_path(net->name));
	zoo_begin(&z, net->name, 13, 1);
	net->build(&z);
	ck_assert_msg(!zoo_end(&z, path, &diag), "%s", diag.text);
	zoo_free(&z);
	return path;
}

static struct finf_engine *open_engine(const char *device, uint64_t pool_bytes)
{
	const struct finf_engine_opts opts = {
		.size = sizeof(opts), .device = device, .pool_bytes = pool_bytes, .threads = 1};
	struct finf_engine *engine;
	struct finf_diag diag = {""};

	ck_assert_msg(!finf_engine_open(&opts, &engine, &diag), "%s", diag.text);
	return engine;
}

static void add(struct finf_engine *engine, const struct network *net, const char *name)
{
	struct finf_diag diag = {""};

	ck_assert_msg(!finf_engine_add(engine, network_file(net), name, &diag), "%s", diag.text);
}

static int infer(struct finf_engine *engine, const struct network *net, const char *name,
		 float *answer, struct finf_diag *diag)
{
	static float image[INPUT_MAX];
	struct finf_tensor in = {.dtype = FINF_F32, .shape = net->input, .data = image};
	struct finf_tensor out = {.data = answer, .bytes = net->outputs * sizeof(*answer)};
	size_t count;

	ck_assert_int_eq(finf_shape_count(&net->input, &count), 0);
	ck_assert_uint_le(count, INPUT_MAX);
	in.bytes = count * sizeof(*image);
	test_fill_f32(image, count, 7);
	memset(answer, 0, out.bytes);
	diag->text[0] = 0;
	return finf_engine_infer(engine, name, &in, 1, &out, 1, diag);
}

static void expect(struct finf_engine *engine, const struct network *net, const char *name,
		   const float *want)
{
	float answer[CLASSES_MAX];
	struct finf_diag diag;

	ck_assert_msg(!infer(engine, net, name, answer, &diag), "%s: %s", name, diag.text);
	ck_assert_msg(relative_l2(answer, want, net->outputs) <= 1e-4, "%s: off by %g", name,
		      relative_l2(answer, want, net->outputs));
}

/* What the host device says: the oracle. */
static void reference(const struct network *net, float *answer)
{
	struct finf_engine *engine = open_engine("host", 64 << 20);
	struct finf_diag diag;

	add(engine, net, net->name);
	ck_assert_msg(!infer(engine, net, net->name, answer, &diag), "%s", diag.text);
	finf_engine_close(engine);
}

/* ---- tests ------------------------------------------------------------------- */

START_TEST(answers_as_the_host_does)
{
	const struct network *net = &networks[_i];
	float want[CLASSES_MAX];
	struct finf_engine *engine;

	reference(net, want);
	engine = open_engine("cuda", 32 << 20);
	add(engine, net, net->name);
	for (int i = 0; i < 3; i++) /* first, captured, and once more */
		expect(engine, net, net->name, want);
	finf_engine_close(engine);
}
END_TEST

/*
 * | a | b | c |  room: when `a` is gone, `d` has no place before `b` and `c` move down.
 */
START_TEST(moved_weights_are_captured_again)
{
	const struct network *net = &networks[2];
	struct finf_model_stats stats = {.size = sizeof(stats)};
	float want[CLASSES_MAX];
	struct finf_engine *engine;
	struct finf_diag diag;
	uint64_t each;

	reference(net, want);
	engine = open_engine("cuda", 32 << 20);
	add(engine, net, "b");
	ck_assert_int_eq(finf_engine_stats(engine, "b", &stats), 0);
	finf_engine_close(engine);

	each = finf_align_up(stats.weight_bytes, 64 << 10);
	engine = open_engine("cuda", finf_align_up(3 * each + stats.arena_bytes, 64 << 10));
	add(engine, &networks[0], "a");
	add(engine, net, "b");
	add(engine, net, "c");
	add(engine, net, "d");
	ck_assert_msg(!finf_engine_load(engine, "a", &diag), "%s", diag.text);
	for (int i = 0; i < 2; i++) {
		expect(engine, net, "b", want);
		expect(engine, net, "c", want);
	}
	ck_assert_int_eq(finf_engine_unload(engine, "a"), 0);
	expect(engine, net, "d", want);
	for (int i = 0; i < 2; i++) {
		expect(engine, net, "b", want);
		expect(engine, net, "c", want);
		expect(engine, net, "d", want);
	}
	finf_engine_close(engine);
}
END_TEST

/* What goes wrong in a warm run, and whether it lasts. */
static const struct {
	const char *call;
	unsigned code;
	bool sticks;
} faults[] = {
	{"cuGraphLaunch", FINF_CU_ERROR_LAUNCH_OUT_OF_RESOURCES, false},
	{"KERNEL", FINF_CU_ERROR_ILLEGAL_ADDRESS, true},
	{"cuGraphLaunch", FINF_CU_ERROR_LAUNCH_FAILED, true},
	{"cuMemcpyHtoDAsync_v2", FINF_CU_ERROR_OUT_OF_MEMORY, false},
	{"cuMemcpyDtoHAsync_v2", FINF_CU_ERROR_ILLEGAL_ADDRESS, true},
};

START_TEST(fault_fails_one_call)
{
	const struct network *net = &networks[0];
	struct finf_model_stats stats = {.size = sizeof(stats)};
	float want[CLASSES_MAX], answer[CLASSES_MAX];
	struct finf_engine *engine;
	struct finf_diag diag;

	reference(net, want);
	engine = open_engine("cuda", 32 << 20);
	add(engine, net, "digits");
	add(engine, net, "other");
	expect(engine, net, "other", want);
	for (int i = 0; i < 2; i++)
		expect(engine, net, "digits", want);
	inject(faults[_i].call, 1, faults[_i].code);
	ck_assert_int_lt(infer(engine, net, "digits", answer, &diag), 0);
	ck_assert_int_ne(diag.text[0], 0);
	/* what a fault that sticks took along is not there, and comes back by itself */
	ck_assert_int_eq(finf_engine_stats(engine, "other", &stats), 0);
	ck_assert_int_eq(stats.loaded, !faults[_i].sticks);
	for (int i = 0; i < 2; i++) {
		expect(engine, net, "digits", want);
		expect(engine, net, "other", want);
	}
	finf_engine_close(engine);
}
END_TEST

/* No memory for a graph: the run is launched step by step, and nobody notices. */
START_TEST(run_without_a_graph)
{
	const struct network *net = &networks[0];
	float want[CLASSES_MAX];
	struct finf_engine *engine;

	reference(net, want);
	engine = open_engine("cuda", 32 << 20);
	add(engine, net, "digits");
	inject("cuGraphInstantiateWithFlags", 1, FINF_CU_ERROR_OUT_OF_MEMORY);
	for (int i = 0; i < 3; i++)
		expect(engine, net, "digits", want);
	finf_engine_close(engine);
}
END_TEST

/* While the device cannot be reset each call says so; the engine lives on. */
START_TEST(reset_that_fails)
{
	const struct network *net = &networks[0];
	float want[CLASSES_MAX], answer[CLASSES_MAX];
	struct finf_engine *engine;
	struct finf_diag diag;

	reference(net, want);
	engine = open_engine("cuda", 32 << 20);
	add(engine, net, "digits");
	expect(engine, net, "digits", want);
	inject("KERNEL", 1, FINF_CU_ERROR_ILLEGAL_ADDRESS);
	for (unsigned i = 1; i <= 2; i++)
		inject("cuDevicePrimaryCtxRetain", i, FINF_CU_ERROR_UNKNOWN);
	ck_assert_int_eq(infer(engine, net, "digits", answer, &diag), -EREMOTEIO);
	ck_assert_int_eq(infer(engine, net, "digits", answer, &diag), -EREMOTEIO);
	ck_assert_msg(strstr(diag.text, "could not be reset"), "%s", diag.text);
	finf_engine_close(engine);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("cuda");
	TCase *tc = tcase_create("cuda");

	tcase_set_timeout(tc, 300);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, answers_as_the_host_does, 0, FINF_ARRAY_LEN(networks));
	tcase_add_test(tc, moved_weights_are_captured_again);
	tcase_add_loop_test(tc, fault_fails_one_call, 0, FINF_ARRAY_LEN(faults));
	tcase_add_test(tc, run_without_a_graph);
	tcase_add_test(tc, reset_that_fails);
	suite_add_tcase(suite, tc);
	return suite;
}
