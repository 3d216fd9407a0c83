/* SPDX-License-Identifier: MIT */
/*
 * fuzz: bytes -> finf_import_onnx() -> finf_graph_bind() with small shapes. What
 * is imported is a whole graph: every output known, every node verified.
 */
#include <errno.h>

#include "graph/op.h"
#include "import/import.h"
#include "tests/fuzz/fuzz.h"

#define OPEN_DIM 2

static void bind(const struct finf_graph *graph)
{
	struct finf_shape *shapes = calloc(graph->n_inputs + 1u, sizeof(*shapes));
	struct finf_graph *bound;

	FUZZ_ASSERT(shapes);
	for (uint32_t i = 0; i < graph->n_inputs; i++) {
		shapes[i] = graph->values[graph->inputs[i]].shape;
		for (uint32_t k = 0; k < shapes[i].rank; k++)
			if (shapes[i].dim[k] == FINF_DIM_ANY)
				shapes[i].dim[k] = OPEN_DIM;
	}
	if (!finf_graph_bind(graph, shapes, &bound, NULL)) {
		FUZZ_ASSERT(!finf_graph_verify(bound, NULL));
		finf_graph_free(bound);
	}
	free(shapes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct finf_graph *graph;
	struct finf_diag diag = {""};
	int err = finf_import_onnx(data, size, &graph, &diag);

	if (err) {
		FUZZ_ASSERT(err < 0 && diag.text[0]);
		return 0;
	}
	FUZZ_ASSERT(graph->n_outputs && !finf_graph_verify(graph, NULL));
	bind(graph);
	finf_graph_free(graph);
	return 0;
}
