/* SPDX-License-Identifier: MIT */
/*
 * The trained network of tests/golden/digits reads the images it never saw: the
 * answers are right, and the same whether images come alone or together.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fusedinf/engine.h>

#include "base/base.h"
#include "tests/support/support.h"

#define IMAGES	 360
#define PIXELS	 64
#define CLASSES	 10
#define RIGHT_OF 357 /* of 360; PyTorch gets 358 */

/*
 * The numbers of a .npy file of a known kind. Source: NumPy format 1.0: magic,
 * version, a 16-bit header length, a header that must say what we expect.
 */
static void *read_npy(const char *name, const char *kind, const char *shape, size_t bytes)
{
	const uint8_t *file;
	size_t all, start;
	void *data = malloc(bytes);
	char *header;
	int fd = open(golden_path(name), O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(finf_file_map(fd, (const void **)&file, &all), 0);
	close(fd);
	ck_assert_uint_gt(all, 10);
	ck_assert_mem_eq(file, "\x93NUMPY\x01\x00", 8);
	start = 10u + file[8] + 256u * file[9];
	ck_assert_uint_eq(all, start + bytes);
	header = strndup((const char *)file + 10, start - 10);
	ck_assert(strstr(header, kind) && strstr(header, shape) && strstr(header, "False"));
	free(header);
	ck_assert_ptr_nonnull(data);
	memcpy(data, file + start, bytes);
	finf_file_unmap(file, all);
	return data;
}

static void infer(struct finf_engine *engine, float *images, int64_t batch, float *scores)
{
	struct finf_tensor in = {"image",
				 FINF_F32,
				 {4, {batch, 1, 8, 8}},
				 images,
				 (size_t)batch * PIXELS * sizeof(float)};
	struct finf_tensor out = {
		.name = "scores", .data = scores, .bytes = (size_t)batch * CLASSES * sizeof(float)};
	struct finf_diag diag = {""};

	ck_assert_msg(!finf_engine_infer(engine, "digits", &in, 1, &out, 1, &diag), "%s",
		      diag.text);
	ck_assert_uint_eq(out.shape.rank, 2);
	ck_assert_int_eq(out.shape.dim[0], batch);
	ck_assert_int_eq(out.shape.dim[1], CLASSES);
}

static int64_t best(const float *scores)
{
	int64_t at = 0;

	for (int64_t i = 1; i < CLASSES; i++)
		if (scores[i] > scores[at])
			at = i;
	return at;
}

START_TEST(right_answers)
{
	const struct finf_engine_opts opts = {.size = sizeof(opts), .pool_bytes = 64u << 20};
	float *images =
		read_npy("digits/images.npy", "'<f4'", "(360, 1, 8, 8)", IMAGES * PIXELS * sizeof(float));
	int64_t *labels = read_npy("digits/labels.npy", "'<i8'", "(360,)", IMAGES * sizeof(int64_t));
	float together[IMAGES * CLASSES], alone[CLASSES];
	struct finf_engine *engine;
	struct finf_diag diag = {""};
	unsigned right = 0;

	ck_assert_msg(!finf_engine_open(&opts, &engine, &diag), "%s", diag.text);
	ck_assert_msg(!finf_engine_add(engine, golden_path("digits/digits.onnx"), "digits", &diag), "%s",
		      diag.text);
	infer(engine, images, IMAGES, together);
	for (unsigned i = 0; i < IMAGES; i++)
		right += best(together + i * CLASSES) == labels[i];
	ck_assert_msg(right >= RIGHT_OF, "%u of %u right", right, IMAGES);
	for (unsigned i = 0; i < IMAGES; i += 40) {
		infer(engine, images + i * PIXELS, 1, alone);
		ck_assert(relative_l2(alone, together + i * CLASSES, CLASSES) < 1e-4);
	}
	finf_engine_close(engine);
	free(labels);
	free(images);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("digits");
	TCase *tc = tcase_create("digits");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, right_answers);
	suite_add_tcase(suite, tc);
	return suite;
}
