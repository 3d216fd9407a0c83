/* SPDX-License-Identifier: MIT */
/*
 * plan - a bound graph and its forms -> steps in order, byte offsets of every
 * activation in one arena, of every weight in one extent, and the segments in
 * which the extent is streamed. Pure: no device, no clock, no I/O.
 * Must not know: what an algorithm number or a layout number means.
 *
 *   arena   [ input | conv1 | relu1 | workspace of conv1 ]   offsets, lifetimes overlap never
 *   branches  0: s0 - s2 - s3    1: s1 ------- s4 (waits for s3)  the list is one valid order
 *   extent  [ seg 0: W1 b1 W2 | seg 1: W3 ... | seg n ]        execution order, 4 KiB segments
 */
#ifndef FINF_PLAN_H
#define FINF_PLAN_H

#include "plan/form.h"

#define FINF_WEIGHT_ALIGN 256
#define FINF_SEGMENT_ALIGN 4096
#define FINF_BUFFER_ALIGN 64

enum finf_operand_kind { FINF_OPERAND_NONE = 0, FINF_OPERAND_BUFFER, FINF_OPERAND_WEIGHT };

struct finf_operand {
	uint32_t kind;
	uint32_t index; /* into buffers or weights */
};

/* One launch: a node in a form, or a reorder of one buffer into another. A step in a
 * FINF_FORM_JOIN form launches nothing: its inputs were written where its output has them. */
struct finf_step {
	uint32_t node; /* FINF_NONE = reorder from in[0] to out[0] */
	struct finf_form form; /* weights point into the plan's arena */
	uint32_t n_in, n_out;
	struct finf_operand *in, *out; /* parallel to the node's inputs and outputs */
	uint32_t need_segments; /* the first this-many segments must be published */
	uint64_t workspace_offset; /* in the arena: form.workspace_bytes for this step alone */
	/* It waits for the step before it in its branch, and for these earlier steps of
	 * other branches. Steps that wait for each other in no way may run side by side. */
	uint32_t branch, n_deps;
	uint32_t *deps;
};

/* Steps of a branch run one after the other, in the order of the list. */
#define FINF_BRANCHES_MAX 64

/* How many buffers written by themselves may be joined in one, through other joins or not. */
#define FINF_JOIN_PARTS_MAX 256

struct finf_plan_buffer {
	uint32_t value;	 /* of the bound graph */
	uint16_t layout;
	uint16_t pad;
	uint32_t alias_of; /* earlier buffer whose bytes these are, or FINF_NONE */
	uint64_t offset, bytes; /* in the arena */
	/* Live from..to, both included. The caller writes an input before its first step, and takes
	 * an output behind its last: n_steps = behind all. With branches that is 0 and n_steps. */
	uint32_t first_step, last_step;
};

struct finf_plan_weight {
	const char *name; /* of the constant in the graph: how packs find it */
	enum finf_dtype dtype;
	struct finf_shape shape; /* logical, as in the graph */
	struct finf_weight_form form;
	uint64_t offset; /* in the extent, FINF_WEIGHT_ALIGN */
};

struct finf_plan_segment {
	uint64_t offset, bytes; /* in the extent; offset on FINF_SEGMENT_ALIGN, bytes a multiple */
};

/* What a step takes alone, with the plan's threads and with one. Measured. */
struct finf_step_cost {
	uint64_t all_ns, one_ns;
};

/* Steps of a branch in a row, by their number in it, from 0: @from and up to @until, without it. */
struct finf_plan_piece {
	uint32_t branch, from, until;
};

/* What one thread does, one piece after the other. */
struct finf_plan_lane {
	struct finf_plan_piece *pieces;
	uint32_t n;
};

/*
 * How the branches share the host's cores. First the head of each branch, step by step on all
 * threads; then all that is left, side by side, each lane on a thread of its own. A step waits
 * for the one before it in its branch and for its dependencies, wherever they run.
 *   heads on all threads | lane 0: A2 A3 A4 | B3 B4 B5
 *   A0 A1                | lane 1: B0 B1 B2 | C0 C1 C2 C3
 */
struct finf_plan_side {
	uint32_t n_lanes;	      /* 0 = one step at a time, on all threads */
	bool off;		      /* begin without them: they were not measured to be faster */
	uint32_t *head;		      /* per branch: how many steps; NULL without lanes */
	struct finf_plan_lane *lanes; /* together all steps that are in no head */
	struct finf_step_cost *costs; /* per step; NULL = not measured */
	/* Whole runs, in turn: medians; 0 = not run. Runs took so much longer than their steps'
	 * fastest together: how busy the machine was. */
	uint64_t list_ns, side_ns;
	uint32_t noise_pct;
};

struct finf_plan {
	struct finf_arena arena; /* owned */
	struct finf_step *steps;
	uint32_t n_steps;
	struct finf_plan_buffer *buffers;
	uint32_t n_buffers;
	struct finf_plan_weight *weights; /* by offset */
	uint32_t n_weights;
	struct finf_plan_segment *segments; /* back to back, cover the extent */
	uint32_t n_segments;
	uint32_t *inputs, *outputs; /* buffers (plain layout), in the graph's order */
	uint32_t n_inputs, n_outputs;
	uint64_t weight_bytes;	  /* of the extent, multiple of FINF_SEGMENT_ALIGN */
	uint64_t grown_bytes;	  /* so many at its end lie elsewhere, in a second extent */
	uint64_t arena_bytes;	  /* buffers and workspaces */
	uint32_t n_branches;	  /* at least one */
	/* Of members side by side, where there were not the bytes for it; else 0. */
	uint64_t side_arena_bytes;
	struct finf_plan_side side;
	uint64_t est_ns;
	uint32_t threads;
};

struct finf_plan_opts {
	size_t size; /* sizeof(struct finf_plan_opts) */
	uint32_t threads;
	uint64_t segment_bytes; /* aim, 0 = 8 MiB; segments are half to twice that, the last maybe less */
	/* Weights must be found in these layouts and places (the packed model's);
	 * NULL = free choice. Forms that want another layout are not considered. */
	const struct finf_plan *fixed;
	bool grow; /* FINF_FORM_FAT may want what is not there: that comes behind, as grown_bytes */
	/* A group's members side by side, or one after the other: see finf_plan_new(). */
	enum finf_schedule schedule;
	uint64_t bytes; /* for extent and arena together; 0 = as many as it takes */
	/* In one branch an input may come when it is first read, an output go when it is last used. */
	bool copy_between;
};

/**
 * finf_plan_new - plan a bound graph.
 * @param graph  from finf_graph_bind(): every shape static
 * @param forms  at least one form per node
 * Members of a group become branches that may run side by side, when that
 * is asked for and weights and arena then stay within opts->bytes; else one
 * branch in the graph's order, member after member. ret_plan->n_branches says
 * what was chosen, and arena_bytes what it takes, exactly.
 * Constants that are graph outputs, or feed nothing, are copied by a reorder
 * step so that every output is a plain buffer.
 * Return: 0; -EOPNOTSUPP naming the node that has no usable form; -EOVERFLOW;
 * -ENOMEM. Free with finf_plan_free().
 * Source of the arena packing: greedy by size, Pisarchyk & Lee, arXiv 2001.03288.
 */
int finf_plan_new(const struct finf_graph *graph, const struct finf_form_table *forms,
		  const struct finf_plan_opts *opts, struct finf_plan **ret_plan,
		  struct finf_diag *diag);
void finf_plan_free(struct finf_plan *plan);

/**
 * finf_plan_check - prove the plan: no two live buffers overlap, everything
 * lies inside arena and extent, alignments hold, each step's operands exist
 * and its segments cover its weights, order respects dependencies; two steps
 * that may run side by side share no bytes of which one is written.
 * Independent of how finf_plan_new() works. Return: 0; -EINVAL with the proof's failure.
 */
int finf_plan_check(const struct finf_graph *graph, const struct finf_plan *plan,
		    struct finf_diag *diag);

/**
 * finf_plan_live_bytes - the most bytes that live at one step of a proven plan. In one branch no
 * arena can be smaller; side by side it may have to be larger.
 * Return: 0; -ENOMEM.
 */
int finf_plan_live_bytes(const struct finf_plan *plan, uint64_t *ret);

/**
 * finf_plan_extent - lay weights out one after the other and cut the extent
 * into segments: between weights where that keeps a segment within half and
 * twice the aim, through a weight only where it is too large for that.
 * @param bytes    of each weight, in execution order
 * @param aim      bytes of a segment, 0 = 8 MiB
 * @param arena    where segments are put
 * @param offsets  n of them, written
 * Return: 0; -EOVERFLOW for an extent above FINF_EXTENT_MAX; -ENOMEM.
 */
#define FINF_EXTENT_MAX ((uint64_t)4 << 40)
int finf_plan_extent(const uint64_t *bytes, uint32_t n, uint64_t aim, struct finf_arena *arena,
		     uint64_t *offsets, struct finf_plan_segment **ret_segments,
		     uint32_t *ret_n_segments, uint64_t *ret_bytes);

/**
 * finf_plan_side - decide plan->side from its costs: lanes, if they are predicted to be over
 * FINF_SIDE_GAIN_PCT before the list; else none.
 * @param ret  predictions; bound_ns is what no schedule can beat: the longest path, or all
 *             work with one thread spread evenly over plan->threads
 * Return: 0; -ENODATA without costs; -ENOMEM.
 */
#define FINF_SIDE_GAIN_PCT 1
struct finf_side_times {
	uint64_t list_ns, side_ns, bound_ns;
};
int finf_plan_side(struct finf_plan *plan, struct finf_side_times *ret);
/**
 * finf_plan_guess - plan->side.costs without running anything: from those of a plan of the same
 * nodes for other input shapes, or with other forms, by how prices of the forms differ. (cost.c)
 * @param graph, known_graph  what each plan was made of: nodes are the same when what they make
 *                            has the same name
 * Return: 0; -ENODATA the known plan was not measured; -ENOMEM.
 */
int finf_plan_guess(const struct finf_graph *graph, struct finf_plan *plan,
		    const struct finf_graph *known_graph, const struct finf_plan *known_plan);
/** Is a step that runs alone faster with one thread than with all? Clearly, or not at all. */
bool finf_step_prefers_one(const struct finf_step_cost *cost);

/** finf_plan_write, finf_plan_read - Documentation/formats/plan.md; read checks bounds, then
 * the caller runs finf_plan_check(). Return: 0; -EBADMSG; -ENOMEM. */
void finf_plan_write(const struct finf_plan *plan, struct finf_buf *buf);
int finf_plan_read(const void *data, size_t bytes, struct finf_plan **ret_plan,
		   struct finf_diag *diag);

#endif
