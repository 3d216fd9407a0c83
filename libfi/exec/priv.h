/* SPDX-License-Identifier: MIT */
/*
 * exec/priv - what a session is made of. Everything a run needs is resolved
 * here once: an operand is "base plus offset", so a run only adds addresses.
 */
#ifndef FINF_EXEC_PRIV_H
#define FINF_EXEC_PRIV_H

#include "exec/exec.h"

enum finf_base {
	FINF_BASE_NONE = 0,
	FINF_BASE_ARENA,
	FINF_BASE_WEIGHTS,
	FINF_BASE_GROWN, /* what a plan adds to the extent it was given */
	FINF_N_BASES
};

struct finf_slot {
	enum finf_base base;
	uint64_t offset;
};

#define FINF_NO_WORKSPACE UINT64_MAX

struct finf_launch_step {
	struct finf_kernel *kernel;	  /* owned; NULL = alias or join, nothing to launch */
	struct finf_kernel *one;	  /* owned; for one thread; NULL unless side by side */
	const char *name;		  /* of the node, for messages; in the graph */
	const struct finf_slot *in, *out; /* in the session's arena */
	uint32_t n_in, n_out;
	uint32_t need_segments;
	uint64_t workspace_offset; /* in the arena; FINF_NO_WORKSPACE */
};

/* An input or output of the graph: where it lies and what it must be. */
struct finf_port_slot {
	const char *name; /* in the graph */
	enum finf_dtype dtype;
	struct finf_shape shape;
	size_t bytes;
	uint64_t offset; /* in the arena */
	/* Of an input: the step before which it is copied in, 0 = all; of an output: the step
	 * behind which it is copied out, the number of steps = all. */
	uint32_t when;
};

/* What one thread needs to launch steps. */
struct finf_lane {
	const void **in; /* scratch of one launch, as wide as the widest step */
	void **out;
	uint32_t published; /* segments, as far as this thread knows */
};

struct finf_session {
	struct finf_arena arena; /* owned: all arrays below */
	struct finf_device *dev; /* borrowed */
	struct finf_launch_step *steps;
	struct finf_port_slot *inputs, *outputs;
	struct finf_lane lane;	/* of the thread that runs the session */
	struct finf_side *side; /* owned; NULL = steps in the order of the list */
	uint32_t n_steps, n_inputs, n_outputs;
	uint32_t *order; /* of a warm run; NULL = the list's */
	bool copies_between; /* inputs in or outputs out, of a plan without branches */
	/* graph.c: the steps as one piece; NULL until a run finds its weights resident */
	struct finf_captured *captured; /* owned */
	const void *captured_weights;	/* the addresses it was captured with */
	const void *captured_grown;
	void *captured_arena;
	bool never_capture; /* it failed once: steps are launched one by one */
};

/** finf_steps_launch - every step in order, each after the segments it needs. (run.c) */
int finf_steps_launch(struct finf_session *session, const struct finf_run *run,
		      struct finf_diag *diag);

/** finf_graph_usable - does this run go as one piece? (graph.c) */
bool finf_graph_usable(const struct finf_session *session, const struct finf_run *run);
/** finf_graph_launch - captured where need be, then launched. 0; -EOPNOTSUPP it cannot be
 * captured, nothing was launched; -EREMOTEIO. */
int finf_graph_launch(struct finf_session *session, const struct finf_run *run,
		      struct finf_diag *diag);

/** finf_step_run - one step: deadline, its segments, launch, callback. (run.c)
 * @param kernel  the step's own, or the one for one thread; NULL = alias */
int finf_step_run(struct finf_session *session, const struct finf_run *run, struct finf_lane *lane,
		  uint32_t index, struct finf_kernel *kernel, struct finf_diag *diag);

/** finf_lane_init - scratch for another thread, in the session's arena. (session.c) 0; -ENOMEM. */
int finf_lane_init(struct finf_session *session, const struct finf_plan *plan,
		   struct finf_lane *lane);

/** finf_side_new - tables for a plan whose branches run side by side. (side.c) 0; -ENOMEM. */
int finf_side_new(struct finf_session *session, const struct finf_plan *plan,
		  struct finf_side **ret_side);
void finf_side_free(struct finf_side *side);
/** finf_side_run - all steps, as plan->side says. Every thread is out of the run on return. */
int finf_side_run(struct finf_side *side, const struct finf_run *run, struct finf_diag *diag);

#endif
