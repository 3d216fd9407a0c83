/* SPDX-License-Identifier: MIT */
/*
 * tests/support/digits - the small trained network of tests/golden/digits in a
 * daemon, asked through the client library: [N, 1, 8, 8] in, [N, 10] out.
 */
#ifndef FI_TESTS_DIGITS_H
#define FI_TESTS_DIGITS_H

#include <fusedinf/client.h>

#include "tests/support/fid.h"

void digits_import(const struct test_fid *fid, const char *name);
/** A client that waits 30 s for an answer; the caller's. */
struct finf_client *digits_client(const struct test_fid *fid);
/** One request with an image made of @seed; @scores holds 10. Return: finf_client_infer()'s. */
int digits_ask(struct finf_client *client, const char *name, uint64_t seed, float *scores,
	       struct finf_diag *diag);
/** One request that must be answered. */
void digits_answer(struct finf_client *client, const char *name);

#endif
