/* SPDX-License-Identifier: MIT */
/* op/conv - Conv's own attributes, inference and kernel, for operators that are built on it. */
#ifndef FINF_GRAPH_OP_CONV_H
#define FINF_GRAPH_OP_CONV_H

#include "graph/op/compute.h"

extern const struct finf_attr_spec finf_conv_attrs[];

/** finf_conv_infer - of inputs 0 to 2; inputs behind them are not looked at but for dtype. */
int finf_conv_infer(struct finf_infer *ctx);
int finf_conv_eval(const struct finf_node *node, const struct finf_tensor *const *in,
		   struct finf_tensor *const *out);

#endif
