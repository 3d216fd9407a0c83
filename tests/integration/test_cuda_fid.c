/* SPDX-License-Identifier: MIT */
/*
 * fid --device cuda on the driver of tests/support/fakecuda: more models than fit,
 * weights streamed through staging and moved, faults that fail one request and
 * nothing else, and a device that does not come back.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fusedinf/client.h>
#include <fusedinf/engine.h>

#include "base/base.h"
#include "policy/record.h"
#include "tests/support/fakedriver.h"
#include "tests/support/fid.h"
#include "tests/support/support.h"
#include "tools/fictl/zoo/build.h"

#define WAIT_MS 120000
#define CLASSES 10
#define PIXELS	(3 * 32 * 32)

static const char *const cuda[] = {"--device", "cuda", NULL};

static const char *violations_file(void)
{
	return scratch_path("violations");
}

static void setup(void)
{
	fakedriver_use();
	setenv("FAKECUDA_DELAY_US", "20", 1);
	setenv("FAKECUDA_MEMORY", "67108864", 1);
	setenv("FAKECUDA_VIOLATIONS", violations_file(), 1);
	unsetenv("FAKECUDA_FAIL");
}

/* The daemon's driver writes them down. */
static void no_violations(void)
{
	const char *argv[] = {"/bin/cat", violations_file(), NULL};
	struct test_output output;

	if (access(violations_file(), F_OK))
		return;
	run_program(&output, argv);
	ck_abort_msg("the driver suffered: %s", output.out);
}

static struct finf_client *open_client(const struct test_fid *fid)
{
	struct finf_client *client;
	struct finf_diag diag = {{0}};

	ck_assert_msg(!finf_client_open(fid->socket, &client, &diag), "%s", diag.text);
	finf_client_timeout(client, WAIT_MS);
	return client;
}

/* ---- models of three sizes, all with ten classes ------------------------------- */

static void narrow_resnet(struct zoo *z)
{
	z->narrow = 8;
	zoo_cifar_resnet18(z);
}

static void narrow_vgg(struct zoo *z)
{
	z->narrow = 8;
	zoo_cifar_vgg16(z);
}

enum kind { DIGITS, RESNET, VGG, N_KINDS };
static const struct {
	const char *name;
	void (*build)(struct zoo *z); /* NULL = the trained one of tests/golden */
	struct finf_shape input;
} kinds[] = {
	[DIGITS] = {"digits", NULL, {4, {1, 1, 8, 8}}},
	[RESNET] = {"resnet", narrow_resnet, {4, {1, 3, 32, 32}}},
	[VGG] = {"vgg", narrow_vgg, {4, {1, 3, 32, 32}}},
};

/* Of the kind a name begins with. */
static enum kind kind_of(const char *name)
{
	enum kind kind = DIGITS;

	while (strncmp(name, kinds[kind].name, strlen(kinds[kind].name)))
		kind++;
	return kind;
}

static const char *kind_file(enum kind kind)
{
	static char path[1024];
	struct finf_diag diag = {""};
	struct zoo z;

	if (!kinds[kind].build)
		return golden_path("digits/digits.onnx");
	snprintf(path, sizeof(path), "%s.onnx", scratch_path(kinds[kind].name));
	if (access(path, F_OK)) {
		zoo_begin(&z, kinds[kind].name, 13, 1);
		kinds[kind].build(&z);
		ck_assert_msg(!zoo_end(&z, path, &diag), "%s", diag.text);
		zoo_free(&z);
	}
	return path;
}

static struct finf_tensor image(enum kind kind, float pixels[PIXELS])
{
	struct finf_tensor in = {.dtype = FINF_F32, .shape = kinds[kind].input, .data = pixels};
	size_t count;

	ck_assert_int_eq(finf_shape_count(&in.shape, &count), 0);
	test_fill_f32(pixels, count, 3);
	in.bytes = count * sizeof(float);
	return in;
}

static int ask(struct finf_client *client, const char *name, float scores[CLASSES],
	       struct finf_diag *diag)
{
	float pixels[PIXELS];
	struct finf_tensor in = image(kind_of(name), pixels);
	struct finf_tensor out = {.data = scores, .bytes = CLASSES * sizeof(float)};

	diag->text[0] = 0;
	memset(scores, 0, out.bytes);
	return finf_client_infer(client, name, &in, 1, &out, 1, NULL, diag);
}

/* What the host device says; worked out once. */
static const float *reference(enum kind kind)
{
	static float scores[N_KINDS][CLASSES];
	static bool known[N_KINDS];
	const struct finf_engine_opts opts = {
		.size = sizeof(opts), .device = "host", .pool_bytes = 16 << 20};
	float pixels[PIXELS];
	struct finf_tensor in = image(kind, pixels);
	struct finf_tensor out = {.data = scores[kind], .bytes = CLASSES * sizeof(float)};
	struct finf_engine *engine;

	if (known[kind])
		return scores[kind];
	ck_assert_int_eq(finf_engine_open(&opts, &engine, NULL), 0);
	ck_assert_int_eq(finf_engine_add(engine, kind_file(kind), "d", NULL), 0);
	ck_assert_int_eq(finf_engine_infer(engine, "d", &in, 1, &out, 1, NULL), 0);
	finf_engine_close(engine);
	known[kind] = true;
	return scores[kind];
}

static void good(struct finf_client *client, const char *name)
{
	const float *want = reference(kind_of(name));
	struct finf_diag diag;
	float scores[CLASSES];

	ck_assert_msg(!ask(client, name, scores, &diag), "%s: %s", name, diag.text);
	ck_assert_msg(relative_l2(scores, want, CLASSES) <= 1e-4, "%s: off by %g", name,
		      relative_l2(scores, want, CLASSES));
}

static void import(const struct test_fid *fid, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fictl_ok(fid, "import", kind_file(kind_of(names[i])), "--name", names[i], NULL);
}

/* ---- tests ----------------------------------------------------------------------- */

START_TEST(more_models_than_fit)
{
	static const char *const names[] = {"digits0", "resnet0", "digits1", "vgg0",
					    "resnet1"};
	struct finf_client *client;
	struct test_fid fid;
	const char *status;
	uint64_t seed = 5;

	fid_start(&fid, "fit", "2M", cuda);
	import(&fid, names, FINF_ARRAY_LEN(names));
	client = open_client(&fid);
	for (int i = 0; i < 40; i++) {
		const char *name = names[test_random(&seed) % FINF_ARRAY_LEN(names)];

		good(client, name);
		if (test_random(&seed) % 2)
			good(client, name); /* warm: captured, or captured again */
	}
	finf_client_close(client);
	status = fictl_ok(&fid, "status", "--json", NULL);
	ck_assert_int_gt(json_at(status, "swap.evictions"), 5);
	ck_assert_int_gt(json_at(status, "pool.moves"), 0);
	ck_assert_int_eq(json_at(status, "requests.failed"), 0);
	ck_assert_int_eq(json_at(status, "device_resets"), 0);
	ck_assert_ptr_nonnull(strstr(status, "\"cuda\""));
	fid_stop(&fid);
	no_violations();
}
END_TEST

/* What the driver is made to do, and what becomes of it. */
static const struct fault {
	const char *inject;
	int failed;  /* requests of all */
	int resets;
	const char *says;
} faults[] = {
	{"KERNEL:100:700", 1, 1, "failed on the device"}, /* illegal address */
	{"cuGraphLaunch:20:701", 1, 0, "could not be launched"}, /* too many resources */
	{"cuGraphLaunch:20:719", 1, 1, "could not be launched"}, /* launch failed */
	{"cuGraphInstantiateWithFlags:2:2", 0, 0, NULL}, /* out of memory */
};

START_TEST(fault_fails_one_request)
{
	static const char *const names[] = {"digits0", "digits1"};
	const struct fault *fault = &faults[_i];
	struct finf_client *client;
	struct test_fid fid;
	const char *pinned;
	int failed = 0;

	setenv("FAKECUDA_FAIL", fault->inject, 1);
	fid_start(&fid, "fault", "2M", cuda);
	import(&fid, names, FINF_ARRAY_LEN(names));
	fictl_ok(&fid, "pin", "digits1", NULL);
	client = open_client(&fid);
	for (int i = 0; i < 60; i++) {
		float scores[CLASSES];
		struct finf_diag diag;
		int err = ask(client, "digits0", scores, &diag);

		if (!err) {
			ck_assert(relative_l2(scores, reference(DIGITS), CLASSES) <= 1e-4);
			continue;
		}
		failed++;
		ck_assert_msg(err == -EREMOTEIO && strstr(diag.text, fault->says), "%d %s", err,
			      diag.text);
	}
	finf_client_close(client);
	ck_assert_int_eq(failed, fault->failed);
	ck_assert_int_eq(status_at(&fid, "device_resets"), fault->resets);
	ck_assert_int_eq(status_at(&fid, "requests.failed"), fault->failed);
	/* What was pinned came back with nobody asking; the reason is told. */
	pinned = fictl_ok(&fid, "models", "--json", NULL);
	ck_assert_ptr_nonnull(strstr(pinned, "\"pinned\": true"));
	ck_assert_ptr_null(strstr(pinned, "\"cold\""));
	if (fault->resets) {
		ck_assert_ptr_nonnull(strstr(fictl_ok(&fid, "events", NULL), "device fault"));
		ck_assert_ptr_nonnull(strstr(fictl_ok(&fid, "why", "digits1", NULL), "device fault"));
	}
	fid_stop(&fid);
	no_violations();
}
END_TEST

struct asker {
	const struct test_fid *fid;
	unsigned number;
	int failed;
};

#define ASKERS 4u
static const char *const crowd[] = {"digits0", "resnet0", "resnet1", "vgg0"};

static void *ask_on(void *ctx)
{
	struct asker *asker = ctx;
	struct finf_client *client;
	struct finf_diag diag;
	float scores[CLASSES];

	if (finf_client_open(asker->fid->socket, &client, &diag)) {
		asker->failed = 100;
		return NULL;
	}
	finf_client_timeout(client, WAIT_MS);
	for (unsigned i = 0; i < 12; i++) {
		const char *name = crowd[(i * (asker->number + 1)) % FINF_ARRAY_LEN(crowd)];
		enum kind kind = kind_of(name);

		asker->failed += ask(client, name, scores, &diag) ||
				 relative_l2(scores, reference(kind), CLASSES) > 1e-4;
	}
	finf_client_close(client);
	return NULL;
}

/* What fid recorded, the fault in it, leads a fresh policy to the same actions. */
static void replay(const char *path)
{
	struct finf_record_totals totals;
	struct finf_diag diag = {""};
	const void *data;
	size_t bytes;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(finf_file_map(fd, &data, &bytes), 0);
	close(fd);
	ck_assert_msg(!finf_record_replay(data, bytes, &totals, &diag), "%s", diag.text);
	ck_assert_uint_gt(totals.steps, 100);
	finf_file_unmap(data, bytes);
}

/* In the middle of swapping: who waits for a load or for a turn never hears of the fault. */
START_TEST(fault_among_many)
{
	char record[512];
	const char *const args[] = {"--device", "cuda", "--record", record, NULL};
	struct asker askers[ASKERS];
	pthread_t threads[ASKERS];
	struct test_fid fid;
	int failed = 0;

	setenv("FAKECUDA_FAIL", "KERNEL:300:700", 1);
	snprintf(record, sizeof(record), "%s", scratch_path("record"));
	fid_start(&fid, "many", "2M", args);
	import(&fid, crowd, FINF_ARRAY_LEN(crowd));
	for (enum kind kind = DIGITS; kind < N_KINDS; kind++)
		reference(kind); /* the threads only read */
	for (unsigned i = 0; i < ASKERS; i++) {
		askers[i] = (struct asker){&fid, i, 0};
		ck_assert_int_eq(pthread_create(&threads[i], NULL, ask_on, &askers[i]), 0);
	}
	for (unsigned i = 0; i < ASKERS; i++) {
		pthread_join(threads[i], NULL);
		failed += askers[i].failed;
	}
	ck_assert_int_eq(failed, 1);
	ck_assert_int_eq(status_at(&fid, "device_resets"), 1);
	fid_stop(&fid);
	replay(record);
	no_violations();
}
END_TEST

/* Everybody hears why, and fid lives on. */
START_TEST(device_that_does_not_come_back)
{
	static const char *const names[] = {"digits0", "digits1"};
	struct finf_client *client;
	struct test_fid fid;
	float scores[CLASSES];
	struct finf_diag diag;
	int err = 0;

	setenv("FAKECUDA_FAIL", "KERNEL:60:700,cuDevicePrimaryCtxRetain:2:999", 1);
	fid_start(&fid, "gone", "2M", cuda);
	import(&fid, names, FINF_ARRAY_LEN(names));
	client = open_client(&fid);
	for (int i = 0; i < 60 && !err; i++)
		err = ask(client, "digits0", scores, &diag);
	ck_assert_int_eq(err, -EREMOTEIO);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(ask(client, names[i % 2], scores, &diag), -EREMOTEIO);
		ck_assert_msg(strstr(diag.text, "could not be reset"), "%s", diag.text);
	}
	ck_assert_ptr_nonnull(strstr(fictl_ok(&fid, "status", NULL), "lost"));
	finf_client_close(client);
	fid_stop(&fid);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("cuda fid");
	TCase *tc = tcase_create("cuda fid");

	tcase_set_timeout(tc, 300);
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, more_models_than_fit);
	tcase_add_loop_test(tc, fault_fails_one_request, 0, FINF_ARRAY_LEN(faults));
	tcase_add_test(tc, fault_among_many);
	tcase_add_test(tc, device_that_does_not_come_back);
	suite_add_tcase(suite, tc);
	return suite;
}
