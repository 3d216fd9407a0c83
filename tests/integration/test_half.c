/* SPDX-License-Identifier: MIT */
/*
 * A model with 16 bits at its edges, from .npy file to .npy file: inside of
 * fictl, and through a daemon and the client library.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/support/fid.h"
#include "tests/support/support.h"
#include "tests/unit/import/onnxbuild.h"

#define COUNT 8

static const struct kind {
	const char *name, *descr;
	enum finf_dtype dtype;
	uint16_t in[COUNT], out[COUNT]; /* y = relu(x) */
} kinds[] = {
	{"float16",
	 "<f2",
	 FINF_F16,
	 {0x3c00, 0xc000, 0x7bff, 0x0001, 0x83ff, 0x7c00, 0xfc00, 0x3555},
	 {0x3c00, 0, 0x7bff, 0x0001, 0, 0x7c00, 0, 0x3555}},
	{"bfloat16",
	 "<V2",
	 FINF_BF16,
	 {0x3f80, 0xc000, 0x7f7f, 0x0080, 0x8080, 0x7f80, 0xff80, 0x3eab},
	 {0x3f80, 0, 0x7f7f, 0x0080, 0, 0x7f80, 0, 0x3eab}},
};

static void put_file(const char *path, const void *data, size_t bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(finf_write_full(fd, data, bytes), 0);
	close(fd);
}

static void put_model(const char *path, const struct kind *kind)
{
	struct onnx_build b;
	uint8_t *data;
	size_t bytes;

	build_init(&b, 13);
	build_input(&b, "x", (int32_t)kind->dtype, 1, (const int64_t[]){-1});
	build_node(&b, "Relu", "act", "x", "y");
	BUILD_PUSH(&b, b.graph.n_output, b.graph.output,
		   build_info(&b, "y", (int32_t)kind->dtype, 1, (const int64_t[]){-1}));
	data = build_pack(&b, &bytes);
	build_fini(&b);
	put_file(path, data, bytes);
	free(data);
}

static size_t npy(uint8_t *to, const char *descr, const uint16_t *bits)
{
	int len = sprintf((char *)to + 10,
			  "{'descr': '%s', 'fortran_order': False, 'shape': (%d,), }\n", descr,
			  COUNT);

	memcpy(to, "\x93NUMPY\x01", 8);
	to[8] = (uint8_t)len;
	to[9] = 0;
	memcpy(to + 10 + len, bits, COUNT * sizeof(*bits));
	return 10 + (size_t)len + COUNT * sizeof(*bits);
}

static void check_npy(const char *path, const struct kind *kind)
{
	const void *mapped;
	size_t bytes, data = COUNT * sizeof(kind->out[0]);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(finf_file_map(fd, &mapped, &bytes), 0);
	close(fd);
	ck_assert_uint_gt(bytes, data);
	ck_assert_ptr_nonnull(memmem(mapped, bytes, kind->descr, strlen(kind->descr)));
	ck_assert_mem_eq((const uint8_t *)mapped + bytes - data, kind->out, data);
	finf_file_unmap(mapped, bytes);
	unlink(path);
}

START_TEST(from_file_to_file)
{
	const struct kind *kind = &kinds[_i];
	char model[600], in[600], out[600];
	struct test_fid fid;
	uint8_t file[256];

	snprintf(model, sizeof(model), "%s", scratch_path("half.onnx"));
	snprintf(in, sizeof(in), "%s", scratch_path("x.npy"));
	snprintf(out, sizeof(out), "%s", scratch_path("y.npy"));
	put_model(model, kind);
	put_file(in, file, npy(file, kind->descr, kind->in));
	ck_assert_ptr_nonnull(strstr(
		fictl_ok(NULL, "run", model, "--inputs", in, "--outputs", out, NULL), kind->name));
	check_npy(out, kind);
	/* Without a file they are made up, and both devices answer alike. */
	fictl_ok(NULL, "run", model, "--against", "ref", NULL);

	fid_start(&fid, "half", "16M", NULL);
	fictl_ok(&fid, "import", model, "--name", "half", NULL);
	fictl_ok(&fid, "infer", "half", "--inputs", in, "--outputs", out, NULL);
	check_npy(out, kind);
	put_file(in, file, npy(file, "<f8", kind->in));
	fictl_fails(&fid, 1, "x.npy", "infer", "half", "--inputs", in, NULL);
	put_file(in, file, npy(file, _i ? "<f2" : "<V2", kind->in));
	fictl_fails(&fid, 1, kind->name, "infer", "half", "--inputs", in, NULL);
	fid_stop(&fid);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("half");
	TCase *tc = tcase_create("half");

	tcase_set_timeout(tc, 300);
	tcase_add_loop_test(tc, from_file_to_file, 0, FINF_ARRAY_LEN(kinds));
	suite_add_tcase(suite, tc);
	return suite;
}
