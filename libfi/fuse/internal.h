/* SPDX-License-Identifier: MIT */
/* fuse/internal - what the passes share and nobody else sees. */
#ifndef FINF_FUSE_INTERNAL_H
#define FINF_FUSE_INTERNAL_H

#include "fuse/fuse.h"

/* Working memory of one pass. */
struct finf_rewrite {
	struct finf_graph *graph;
	uint32_t *uses; /* owned; per value: node inputs that read it, plus 1 per graph output */
	bool *keep;	/* owned; per node: preset true */
	uint32_t changes;
};

/** finf_rewrite_begin - count uses. Return: 0 (finish with finf_rewrite_end()), -ENOMEM. */
int finf_rewrite_begin(struct finf_rewrite *rw, struct finf_graph *graph);

/**
 * finf_rewrite_end - drop the nodes no longer kept, renumber, free.
 * @err  what the pass has come to; nothing is dropped after an error
 * Return: @err, or -ENOMEM.
 */
int finf_rewrite_end(struct finf_rewrite *rw, int err, uint32_t *ret_changes);

/**
 * finf_rewrite_absorb - node @into takes over output 0 of node @gone, which
 * read nothing but output 0 of @into and constants; @gone is dropped.
 */
void finf_rewrite_absorb(struct finf_rewrite *rw, uint32_t into, uint32_t gone);

/**
 * finf_rewrite_sole_producer - the node whose output 0 is @value, when exactly
 * one input reads that value and nothing else does; else FINF_NONE.
 */
uint32_t finf_rewrite_sole_producer(const struct finf_rewrite *rw, uint32_t value);

/**
 * finf_rewrite_sole - the same, when that node is of operator @op without an
 * activation.
 */
uint32_t finf_rewrite_sole(const struct finf_rewrite *rw, uint32_t value, const char *op);

/** finf_rewrite_drop - a node whose only output nobody reads any more. */
void finf_rewrite_drop(struct finf_rewrite *rw, uint32_t node);

/** finf_fuse_floats - elements of a float32 constant whose bytes are here; else NULL. */
const float *finf_fuse_floats(const struct finf_graph *graph, uint32_t value, size_t *ret_n);

/**
 * finf_fuse_scalar - the only element of a float32 constant.
 * @like  a value: combined with it, the constant adds no dimension
 */
bool finf_fuse_scalar(const struct finf_graph *graph, uint32_t value, uint32_t like, float *ret);

/** finf_fuse_bounds - of a Clip, attributes or inputs; false when one is not a constant. */
bool finf_fuse_bounds(const struct finf_graph *graph, const struct finf_node *clip, float *ret_low,
		      float *ret_high);

/** finf_fuse_input - input @i of a node, FINF_NONE when left out. */
static inline uint32_t finf_fuse_input(const struct finf_node *node, uint32_t i)
{
	return i < node->n_in ? node->in[i] : FINF_NONE;
}

/** finf_fuse_is - is this node of operator @name? */
bool finf_fuse_is(const struct finf_node *node, const char *name);

/**
 * finf_fuse_constant - a new float32 constant named "@base.@suffix", or the
 * next free "@base.@suffix.N".
 * @data  in the graph's arena
 */
int finf_fuse_constant(struct finf_graph *graph, const char *base, const char *suffix,
		       const struct finf_shape *shape, const float *data, uint32_t *ret_value);

/** finf_fuse_key - append what a node does, all but its inputs: equal bytes, equal work. (key.c) */
void finf_fuse_key(const struct finf_node *node, struct finf_buf *key);

/*
 * Does a node treat the rows of its inputs one by one, a row being what lies at one index of
 * dimension 0? Then what it makes of inputs laid one behind the other is what it makes of
 * each, one behind the other. Shapes are static. (rows.c)
 */
enum finf_rows {
	FINF_ROWS_MIXED = 0, /* no, or nobody knows */
	FINF_ROWS_EACH,	     /* yes */
	FINF_ROWS_SAMPLE,    /* yes, and with a matrix of weights it is worth to begin with */
	FINF_ROWS_RENAMED,   /* yes: same bytes, another shape */
};
enum finf_rows finf_fuse_rows(const struct finf_graph *graph, const struct finf_node *node);

extern const struct finf_fuse_pass finf_fuse_dead;
extern const struct finf_fuse_pass finf_fuse_constants;
extern const struct finf_fuse_pass finf_fuse_identity;
extern const struct finf_fuse_pass finf_fuse_convbn;
extern const struct finf_fuse_pass finf_fuse_convscale;
extern const struct finf_fuse_pass finf_fuse_layernorm;
extern const struct finf_fuse_pass finf_fuse_gelu;
extern const struct finf_fuse_pass finf_fuse_hardswish;
extern const struct finf_fuse_pass finf_fuse_bias;
extern const struct finf_fuse_pass finf_fuse_matmul;
extern const struct finf_fuse_pass finf_fuse_attention;
extern const struct finf_fuse_pass finf_fuse_residual;
extern const struct finf_fuse_pass finf_fuse_activation;
extern const struct finf_fuse_pass finf_fuse_chain;

#endif
