/* SPDX-License-Identifier: MIT */
/* join - which Concat needs no copies. Must not know: any one device. */
#ifndef FINF_DEVICE_JOIN_H
#define FINF_DEVICE_JOIN_H

#include "graph/graph.h"

/**
 * finf_device_join_axis - is this node's row-major output its inputs, one behind
 * the other, and is none of them constant? Then a device may offer FINF_FORM_JOIN.
 * @param ret_axis  that of the Concat
 */
bool finf_device_join_axis(const struct finf_graph *graph, const struct finf_node *node,
			   uint32_t *ret_axis);

#endif
