/* SPDX-License-Identifier: MIT */
/*
 * op/move - what the operators that move bytes share: lists of integers from
 * an attribute or an input, marked axes, extents, and walks over a box.
 * Must not know: any single operator, or what elements mean.
 */
#ifndef FINF_GRAPH_OP_MOVE_H
#define FINF_GRAPH_OP_MOVE_H

#include "graph/op.h"

/* Integers that older opsets give as attribute and newer ones as int64 input. */
struct finf_list {
	bool given;	/* attribute or input is there */
	bool has_count; /* n is known */
	bool known;	/* v is known too */
	uint32_t n;
	int64_t v[2 * FINF_RANK_MAX];
};

/**
 * finf_infer_list - from attribute @attr (NULL = none), else from input @input.
 * Return: 0; -EINVAL when the input is not a list of int64; -EOPNOTSUPP for
 * more elements than any shape could need.
 */
int finf_infer_list(const struct finf_infer *ctx, const char *attr, uint32_t input,
		    struct finf_list *ret);
/** finf_infer_narrow_list - the same where the specification allows int32 too. */
int finf_infer_narrow_list(const struct finf_infer *ctx, const char *attr, uint32_t input,
			   struct finf_list *ret);

/** finf_eval_list - the same in a kernel, where everything is known. Return: 0; -EINVAL. */
int finf_eval_list(const struct finf_node *node, const struct finf_tensor *const *in,
		   const char *attr, uint32_t input, struct finf_list *ret);

/** finf_int_at - element of an int64 or int32 tensor. */
static inline int64_t finf_int_at(const struct finf_tensor *t, size_t i)
{
	return t->dtype == FINF_I64 ? ((const int64_t *)t->data)[i] : ((const int32_t *)t->data)[i];
}

/** finf_infer_since - refuses input @input in opsets older than @opset. */
int finf_infer_since(const struct finf_infer *ctx, uint32_t input, uint32_t opset);

/** finf_infer_has - is input @i there (its rank may be unknown)? */
static inline bool finf_infer_has(const struct finf_infer *ctx, uint32_t i)
{
	return i < ctx->node->n_in && ctx->in[i];
}

/**
 * finf_infer_renamed - output 0 has the bytes of input 0 under @shape.
 * @shape  NULL = rank not known
 */
void finf_infer_renamed(struct finf_infer *ctx, const struct finf_shape *shape);

/** finf_eval_renamed - the kernel of operators that only rename bytes. */
int finf_eval_renamed(const struct finf_node *node, const struct finf_tensor *const *in,
		      struct finf_tensor *const *out);

/** finf_mark_axes - true for each listed axis; -EINVAL out of range or twice, with diag. */
int finf_mark_axes(const int64_t *axes, uint32_t n, uint32_t rank, bool marked[FINF_RANK_MAX],
		   struct finf_diag *diag);

/** finf_dims_count - product; FINF_DIM_ANY when one is. Return: 0, -EOVERFLOW. */
int finf_dims_count(const int64_t *dim, uint32_t n, int64_t *ret);

/*
 * A walk visits every index of a box in row-major order and keeps an offset
 * that follows by strides, both in elements.
 */
struct finf_walk {
	uint32_t rank;
	int64_t dim[FINF_RANK_MAX], stride[FINF_RANK_MAX], at[FINF_RANK_MAX];
	int64_t offset;
};

/** finf_strides - of a dense row-major tensor. */
void finf_strides(const struct finf_shape *shape, int64_t stride[FINF_RANK_MAX]);

/** finf_broadcast_strides - of @from for a walk over @to; 0 where it is repeated. */
void finf_broadcast_strides(const struct finf_shape *from, const struct finf_shape *to,
			    int64_t stride[FINF_RANK_MAX]);

/** finf_walk_over - over @to, with the offset in @from, which broadcasts to it. */
void finf_walk_over(struct finf_walk *walk, const struct finf_shape *from,
		    const struct finf_shape *to);

/** finf_walk_next - to the next index; back to the first after the last. */
static inline void finf_walk_next(struct finf_walk *walk)
{
	for (uint32_t i = walk->rank; i-- > 0;) {
		walk->offset += walk->stride[i];
		if (++walk->at[i] < walk->dim[i])
			return;
		walk->offset -= walk->dim[i] * walk->stride[i];
		walk->at[i] = 0;
	}
}

/** finf_walk_seek - from the first index to number @index. */
void finf_walk_seek(struct finf_walk *walk, size_t index);

/** finf_walk_move - elements @span of @to, from those of @from that @walk, at its first, visits. */
void finf_walk_move(struct finf_walk *walk, const struct finf_tensor *from, struct finf_tensor *to,
		    struct finf_span span);

/**
 * finf_slice_walk - the elements of input 0 that a Slice node takes, in the order of @out.
 * @in  all inputs with shapes, and all but the first with data
 * Return: 0; -EINVAL where @out is not what comes out.
 */
int finf_slice_walk(const struct finf_node *node, const struct finf_tensor *const *in,
		    const struct finf_shape *out, struct finf_walk *ret);

/** finf_move - one element of 1, 2, 4 or 8 bytes. */
static inline void finf_move(void *to, int64_t to_at, const void *from, int64_t from_at,
			     size_t each)
{
	switch (each) {
	case 1:
		((uint8_t *)to)[to_at] = ((const uint8_t *)from)[from_at];
		break;
	case 2:
		((uint16_t *)to)[to_at] = ((const uint16_t *)from)[from_at];
		break;
	case 4:
		((uint32_t *)to)[to_at] = ((const uint32_t *)from)[from_at];
		break;
	default:
		((uint64_t *)to)[to_at] = ((const uint64_t *)from)[from_at];
	}
}

#endif
