/* SPDX-License-Identifier: MIT */
/*
 * exec - a plan made runnable: kernels made once, launched many times over
 * weights in an extent and activations in an arena, without allocating.
 * Must not know: where models come from, who is evicted, sockets.
 */
#ifndef FINF_EXEC_H
#define FINF_EXEC_H

#include "device/device.h"
#include "load/load.h"
#include "plan/plan.h"

struct finf_session;

/**
 * finf_session_new - kernels for every step, two where branches run side by side. May take
 * milliseconds per step.
 * @param graph, plan  borrowed; must outlive the session; plan was checked
 * Return: 0; -EOPNOTSUPP, -ENOMEM with diag naming the node; -EBADMSG the plan
 * promises what this device's layouts do not hold.
 */
int finf_session_new(struct finf_device *dev, const struct finf_graph *graph,
		     const struct finf_plan *plan, struct finf_session **ret_session,
		     struct finf_diag *diag);
void finf_session_free(struct finf_session *session);
/** finf_session_bytes - of memory that a session holds, about: a kernel is counted as what
 * oneDNN's were measured to take. */
#define FINF_KERNEL_BYTES (25u << 10)
uint64_t finf_session_bytes(const struct finf_session *session);

/* Tests and profiles: called after each step, on the thread that ran it; never two at once. */
typedef void (*finf_step_fn)(void *ctx, uint32_t step, uint64_t start_ns, uint64_t end_ns);

struct finf_run {
	size_t size;	     /* sizeof(struct finf_run) */
	const void *weights; /* address of the extent; may differ from run to run */
	const void *grown;   /* the same of the second one, where the plan has grown_bytes */
	void *arena;	     /* plan->arena_bytes, FINF_BUFFER_ALIGN */
	struct finf_load *load; /* still streaming: steps wait for segments; NULL = resident */
	/* Per step: how many segments of the load it needs, when they do not come in the
	 * order of the extent; NULL = the plan's */
	const uint32_t *need;
	const struct finf_tensor *inputs; /* in the graph's order, host memory, dense */
	/* data with capacity in bytes; dtype, shape and bytes are filled when all went well;
	 * data NULL = not wanted. What it points to may have been written in any case. */
	struct finf_tensor *outputs;
	uint32_t n_inputs, n_outputs;
	bool alone;	      /* one step at a time, also where there are lanes */
	uint64_t deadline_ns; /* 0 = none; checked between steps */
	finf_step_fn on_step;
	void *on_step_ctx;
};

/**
 * finf_session_run - copy inputs in, launch every step, copy outputs out: each when the plan
 * says so, which is before, behind or between the steps.
 * Where the device captures, a run without @load and @on_step is launched as one
 * piece, captured when weights or arena lie elsewhere than at the last such run; its
 * deadline is checked before the launch.
 * Branches run side by side, on the device's threads, where plan->side says so
 * and the device can (finf_device_spread()). A step that fails, or the deadline,
 * ends all branches at their next step; the first failure is told.
 * Everything has finished on return, also of a run that failed. No allocation of ours. One run at a time per arena; a session may be run by several
 * threads only with different arenas and one at a time.
 * Return: 0; -EINVAL wrong tensor, or an output over an input that is copied in later (diag
 * names it); -ENOSPC an output has too little room;
 * -ETIME; -EREMOTEIO device fault; the load's error.
 */
int finf_session_run(struct finf_session *session, const struct finf_run *run,
		     struct finf_diag *diag);

#endif
