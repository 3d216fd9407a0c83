/* SPDX-License-Identifier: MIT */
/*
 * op/quantize - scale and zero point of QuantizeLinear and DequantizeLinear:
 * one for the tensor, or one for every index along an axis.
 */
#ifndef FINF_GRAPH_OP_QUANTIZE_H
#define FINF_GRAPH_OP_QUANTIZE_H

#include "graph/op/compute.h"

enum { FINF_QUANT_X, FINF_QUANT_SCALE, FINF_QUANT_ZERO };

/** finf_quant_infer - scale and zero point fit the input; output 0 has its shape. */
int finf_quant_infer(struct finf_infer *ctx);

/** finf_quant_step - the parameter of element i is i / step % count. Return: 0; -EINVAL. */
int finf_quant_step(const struct finf_node *node, const struct finf_tensor *const *in,
		    size_t *ret_step, size_t *ret_count);

/** finf_quant_load - element @i of an int8, uint8 or int32 tensor. */
static inline int64_t finf_quant_load(const struct finf_tensor *t, size_t i)
{
	switch (t->dtype) {
	case FINF_I8:
		return ((const int8_t *)t->data)[i];
	case FINF_U8:
		return ((const uint8_t *)t->data)[i];
	default:
		return ((const int32_t *)t->data)[i];
	}
}

/** finf_quant_zero - the zero point of parameter @i; 0 when left out. */
static inline int64_t finf_quant_zero(const struct finf_node *node,
				      const struct finf_tensor *const *in, size_t i)
{
	bool given = node->n_in > FINF_QUANT_ZERO && in[FINF_QUANT_ZERO];

	return given ? finf_quant_load(in[FINF_QUANT_ZERO], i) : 0;
}

#endif
