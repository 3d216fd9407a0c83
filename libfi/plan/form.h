/* SPDX-License-Identifier: MIT */
/*
 * plan/form - what a device offers for a node: algorithm, layouts, bytes and
 * price. Filled by a device's describe(), read by the planner. Plain data.
 * Must not know: which device filled it.
 */
#ifndef FINF_PLAN_FORM_H
#define FINF_PLAN_FORM_H

#include "graph/graph.h"

/* Layout of an activation. 0 is row-major; other numbers belong to the device. */
#define FINF_LAYOUT_PLAIN 0

/* A constant input as the form wants to find it in the extent. */
struct finf_weight_form {
	uint32_t input;	     /* which input of the node */
	uint64_t bytes;	     /* in this layout */
	uint32_t desc_bytes; /* 0 = plain row-major */
	const void *desc;    /* device's own description of the layout, byte-comparable; in the table's arena */
};

#define FINF_FORM_ALIAS (1u << 0)   /* output 0 is input 0: no kernel, same bytes */
#define FINF_FORM_INPLACE (1u << 1) /* output 0 may lie on input 0 when that dies here */
/* Weights take more bytes than the constants do, and suit these shapes only: not for packs. */
#define FINF_FORM_FAT (1u << 2)
/* Output 0 is all inputs, one behind the other, in this layout: no kernel when they lie so. */
#define FINF_FORM_JOIN (1u << 3)
/* Output 0 may lie on the last input when that dies here; no other input may lie there. */
#define FINF_FORM_INPLACE_LAST (1u << 4)

struct finf_form {
	uint32_t algo; /* device's number */
	uint32_t flags;
	const char *name;   /* for people: "jit:avx512_core", "ref" */
	uint16_t in_layout; /* of every activation (non-constant) input */
	uint16_t out_layout;
	uint32_t n_weights; /* one per constant input that the kernel reads; others get a NULL pointer */
	struct finf_weight_form *weights;
	uint64_t workspace_bytes;
	uint64_t est_ns;
};

/** finf_form_over - the input, of @n_in, that output 0 may lie on; FINF_NONE: none. */
static inline uint32_t finf_form_over(const struct finf_form *form, uint32_t n_in)
{
	if (n_in && form->flags & FINF_FORM_INPLACE_LAST)
		return n_in - 1;
	return n_in && form->flags & FINF_FORM_INPLACE ? 0 : FINF_NONE;
}

/* Candidate forms per node of one bound graph, and activation layout sizes. */
struct finf_form_table {
	struct finf_arena arena; /* owned: everything below points into it */
	uint32_t n_nodes;
	struct finf_form_list {
		struct finf_form *forms; /* cheapest need not be first */
		uint32_t n;
	} *nodes;
	/* Price and bytes of carrying a value from one layout to another. */
	const void *ctx;
	int (*layout_bytes)(const void *ctx, uint16_t layout, enum finf_dtype dtype,
			    const struct finf_shape *shape, uint64_t *ret_bytes);
	uint64_t (*reorder_ns)(const void *ctx, uint16_t from, uint16_t to, uint64_t bytes);
};

#endif
