/* SPDX-License-Identifier: MIT */
/*
 * tests/support/interp - runs a graph with the reference kernels, one node
 * after the other: the oracle for passes, plans and devices.
 */
#ifndef FI_TESTS_INTERP_H
#define FI_TESTS_INTERP_H

#include "graph/graph.h"

/**
 * interp_run - evaluate every node of @graph in order.
 * @graph    sorted, inferred, every shape static, constants with their bytes
 * @inputs   graph->n_inputs dense tensors in the graph's order; borrowed
 * @outputs  graph->n_outputs, filled: name borrowed from @graph, data yours:
 *           interp_free(). Untouched on error.
 * Return: 0; -EINVAL when a shape is not static, a constant has no bytes or an
 * input does not have the graph's dtype and shape; -ENOMEM; what eval() returned.
 */
int interp_run(const struct finf_graph *graph, const struct finf_tensor *inputs,
	       struct finf_tensor *outputs);

/** interp_free - the data of @n tensors that interp_run() filled. */
void interp_free(struct finf_tensor *outputs, uint32_t n);

#endif
