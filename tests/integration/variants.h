/* SPDX-License-Identifier: MIT */
/*
 * tests/integration/variants - variants of the trained network of tests/golden/digits:
 * the same backbone, heads of their own.
 */
#ifndef FI_TESTS_VARIANTS_H
#define FI_TESTS_VARIANTS_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fusedinf/engine.h>

#include "base/base.h"
#include "tests/support/support.h"

#define VARIANTS       4
#define PIXELS	       64
#define CLASSES	       10
#define VARIANTS_BATCH 3 /* at most */
/* 12.weight: a float for each class and each of 256 features */
#define HEAD	    "12.weight"
#define HEAD_FLOATS ((size_t)CLASSES * 256)

/* The floats of the head: name, then the field raw_data (9, wire type 2) and its length. */
static inline float *head_of(uint8_t *file, size_t bytes)
{
	uint8_t *at = memmem(file, bytes, HEAD "J", sizeof(HEAD));

	ck_assert_ptr_nonnull(at);
	at += sizeof(HEAD);
	while (*at++ & 0x80)
		;
	ck_assert_uint_le(HEAD_FLOATS * sizeof(float), (size_t)(file + bytes - at));
	return (float *)(void *)at;
}

/* Number @k of the variants: the same backbone, a head of its own. */
static inline const char *variant(unsigned k)
{
	static char paths[VARIANTS][1024];
	char name[32];
	const uint8_t *mapped;
	uint8_t *file;
	size_t bytes;
	float *head, x;
	int fd;

	fd = open(golden_path("digits/digits.onnx"), O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(finf_file_map(fd, (const void **)&mapped, &bytes), 0);
	close(fd);
	file = malloc(bytes);
	ck_assert_ptr_nonnull(file);
	memcpy(file, mapped, bytes);
	finf_file_unmap(mapped, bytes);
	head = head_of(file, bytes);
	for (size_t i = 0; i < HEAD_FLOATS; i++) {
		memcpy(&x, head + i, sizeof(x));
		x *= 1 + (float)((i + k) % (k + 1));
		memcpy(head + i, &x, sizeof(x));
	}
	snprintf(name, sizeof(name), "v%u.onnx", k);
	snprintf(paths[k], sizeof(paths[k]), "%s", scratch_path(name));
	fd = open(paths[k], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(finf_write_full(fd, file, bytes), 0);
	close(fd);
	free(file);
	return paths[k];
}

/* Of each variant, for each of its images. */
struct variants_scores {
	float scores[VARIANTS][VARIANTS_BATCH * CLASSES];
};

/* Variants from @first on, @n of them, by one request; each has images of its own. */
static inline void variants_infer(struct finf_engine *engine, const char *name, unsigned first,
				  unsigned n, int64_t batch, struct variants_scores *ret)
{
	struct finf_tensor in[VARIANTS] = {{NULL}}, out[VARIANTS] = {{NULL}};
	static float images[VARIANTS][VARIANTS_BATCH * PIXELS];
	struct finf_diag diag;

	for (unsigned i = 0; i < n; i++) {
		float *x = images[first + i];

		test_fill_f32(x, VARIANTS_BATCH * PIXELS, first + i + 1);
		in[i] = (struct finf_tensor){
			.dtype = FINF_F32,
			.shape = {4, {batch, 1, 8, 8}},
			.data = x,
			.bytes = (size_t)batch * PIXELS * sizeof(float),
		};
		out[i].data = ret->scores[first + i];
		out[i].bytes = sizeof(ret->scores[0]);
	}
	ck_assert_msg(!finf_engine_infer(engine, name, in, n, out, n, &diag), "%s: %s", name,
		      diag.text);
}

#endif
