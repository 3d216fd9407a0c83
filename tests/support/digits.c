/* SPDX-License-Identifier: MIT */
/* tests/support: requests to the network of handwritten digits. */
#include <check.h>

#include "tests/support/digits.h"
#include "tests/support/support.h"

void digits_import(const struct test_fid *fid, const char *name)
{
	fictl_ok(fid, "import", golden_path("digits/digits.onnx"), "--name", name, NULL);
}

struct finf_client *digits_client(const struct test_fid *fid)
{
	struct finf_client *client;
	struct finf_diag diag = {{0}};

	ck_assert_msg(!finf_client_open(fid->socket, &client, &diag), "%s", diag.text);
	finf_client_timeout(client, 30000);
	return client;
}

/* One request to a digits model with an image made of @seed. */
int digits_ask(struct finf_client *client, const char *name, uint64_t seed, float *scores,
	       struct finf_diag *diag)
{
	float image[64];
	struct finf_tensor in = {.dtype = FINF_F32,
				 .shape = {4, {1, 1, 8, 8}},
				 .data = image,
				 .bytes = sizeof(image)};
	struct finf_tensor out = {.data = scores, .bytes = 10 * sizeof(*scores)};

	test_fill_f32(image, 64, seed);
	return finf_client_infer(client, name, &in, 1, &out, 1, NULL, diag);
}

void digits_answer(struct finf_client *client, const char *name)
{
	struct finf_diag diag = {{0}};
	float scores[10];

	ck_assert_msg(!digits_ask(client, name, 1, scores, &diag), "%s", diag.text);
}
