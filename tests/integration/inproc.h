/* SPDX-License-Identifier: MIT */
/* Integration tests that ask the engine in their own process. A failure ends the test. */
#ifndef FI_TESTS_INPROC_H
#define FI_TESTS_INPROC_H

#include <check.h>
#include <fusedinf/engine.h>

static inline struct finf_engine *inproc_open(uint64_t pool_bytes, bool exact)
{
	struct finf_engine_opts opts = {
		.size = sizeof(opts), .pool_bytes = pool_bytes, .threads = 2, .exact = exact};
	struct finf_engine *engine;
	struct finf_diag diag;

	ck_assert_msg(!finf_engine_open(&opts, &engine, &diag), "%s", diag.text);
	return engine;
}

static inline void inproc_add(struct finf_engine *engine, const char *path, const char *name)
{
	struct finf_diag diag;

	ck_assert_msg(!finf_engine_add(engine, path, name, &diag), "%s", diag.text);
}

#endif
