/* SPDX-License-Identifier: MIT */
/* fuzz: bytes -> finf_plan_read() -> the proof; what is read is written back the same. */
#include "tests/fuzz/sample.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct finf_graph *graph;
	struct finf_plan *plan;
	struct finf_diag diag;
	struct finf_buf buf;

	if (finf_plan_read(data, size, &plan, &diag))
		return 0;
	finf_buf_init(&buf);
	finf_plan_write(plan, &buf);
	FUZZ_ASSERT(!buf.err && buf.len == size && !memcmp(buf.data, data, size));
	finf_buf_fini(&buf);
	graph = sample_graph();
	finf_plan_check(graph, plan, &diag);
	finf_graph_free(graph);
	finf_plan_free(plan);
	return 0;
}
