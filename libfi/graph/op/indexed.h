/* SPDX-License-Identifier: MIT */
/*
 * op/indexed - what the Gather and Scatter operators share: indices that may
 * count from the end, and what happens to an element that is there already.
 */
#ifndef FINF_GRAPH_OP_INDEXED_H
#define FINF_GRAPH_OP_INDEXED_H

#include "graph/op/move.h"

/** finf_infer_indices - input @i is int64, or int32 when @narrow. Return: 0; -EINVAL. */
int finf_infer_indices(const struct finf_infer *ctx, uint32_t i, bool narrow);

/** finf_index_at - index @i, counted from the end when negative; false when it is outside. */
bool finf_index_at(const struct finf_tensor *index, size_t i, int64_t extent, int64_t *ret);

/** finf_index_tuple - offset of @n indices from @first on, in steps of @stride; false outside. */
bool finf_index_tuple(const struct finf_tensor *index, size_t first, uint32_t n, const int64_t *dim,
		      const int64_t *stride, int64_t *ret);

enum finf_scatter {
	FINF_SCATTER_NONE,
	FINF_SCATTER_ADD,
	FINF_SCATTER_MUL,
	FINF_SCATTER_MAX,
	FINF_SCATTER_MIN
};

/** finf_scatter_mode - attribute reduction, for an opset and dtype that has it. */
int finf_scatter_mode(const struct finf_node *node, enum finf_dtype dtype, enum finf_scatter *ret,
		      struct finf_diag *diag);

/** finf_scatter_put - element @from_at of @from into element @to_at of @to. */
void finf_scatter_put(enum finf_scatter mode, struct finf_tensor *to, int64_t to_at,
		      const struct finf_tensor *from, int64_t from_at);

/** finf_scatter_infer - data of any dtype, updates of the same; shape of the data. */
int finf_scatter_infer(struct finf_infer *ctx, bool narrow);

/** finf_scatter_elements - Scatter and ScatterElements. */
int finf_scatter_elements_infer(struct finf_infer *ctx);
int finf_scatter_elements_eval(const struct finf_node *node, const struct finf_tensor *const *in,
			       struct finf_tensor *const *out);

#endif
