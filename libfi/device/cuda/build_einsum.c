/* SPDX-License-Identifier: MIT */
/* cuda: launches of Einsum. */
#include <errno.h>
#include <limits.h>

#include "device/cuda/node.h"
#include "graph/op/einsum.h"

/* Element of a range of labels -> offset in operand @k. */
static struct finf_k_walk walk_of(const struct finf_einsum *eq, uint32_t k, uint32_t from,
				  uint32_t to)
{
	struct finf_k_box box = {0};

	for (uint32_t i = from; i < to; i++)
		finf_k_box_add(&box, eq->extent[i], eq->stride[k][i], 0);
	return finf_k_box_walk(&box, 0);
}

int finf_k_build_einsum(struct finf_k_build *b)
{
	struct finf_tensor tensors[FINF_EINSUM_OPERANDS];
	const struct finf_tensor *in[FINF_EINSUM_OPERANDS];
	unsigned n = finf_k_count(finf_k_out(b, 0));
	struct finf_einsum_args *args;
	struct finf_k_call *call;
	struct finf_einsum eq;
	int64_t count;
	int err;

	if (b->node->n_in > FINF_K_TERMS)
		return finf_diag_set(b->diag, -EOPNOTSUPP,
				     "%u operands, the CUDA device takes up to %d", b->node->n_in,
				     FINF_K_TERMS);
	finf_k_tensors(b, tensors, in, b->node->n_in);
	err = finf_einsum_init(b->node, in, &eq, b->diag);
	if (err)
		return err;
	if (finf_dims_count(eq.extent + eq.n_out, eq.n - eq.n_out, &count) || count > INT_MAX)
		return finf_diag_set(b->diag, -EOPNOTSUPP, "it sums over too many");
	call = finf_k_each_add(b, FINF_K_FUNCTION_einsum, n);
	if (!call)
		return -ENOMEM;
	b->flops = (uint64_t)n * (uint64_t)count * b->node->n_in;
	args = &call->args.einsum;
	args->n = n;
	args->terms = b->node->n_in;
	args->count = (unsigned)count;
	args->act = finf_k_act(b);
	for (uint32_t k = 0; k < b->node->n_in; k++) {
		args->out[k] = walk_of(&eq, k, 0, eq.n_out);
		args->sum[k] = walk_of(&eq, k, eq.n_out, eq.n);
		finf_k_point_in(b, call, &args->x[k], k);
	}
	finf_k_point(call, &args->y, FINF_K_OUT, 0, 0);
	return 0;
}
