/* SPDX-License-Identifier: MIT */
/*
 * engine - models above all other rooms of libfi: a model from its file, its
 * plans per input shape, its place in the pool. The public in-process API
 * (<fusedinf/engine.h>) and fid are two owners of these same models.
 * Must not know: policy, sockets.
 */
#ifndef FINF_ENGINE_ROOM_H
#define FINF_ENGINE_ROOM_H

#include <fusedinf/engine.h>

#include "device/device.h"
#include "exec/exec.h"
#include "graph/graph.h"
#include "load/load.h"
#include "mem/mem.h"
#include "pack/pack.h"
#include "plan/plan.h"

/* ---- planning, shared by everybody who needs a plan --------------------- */

/**
 * finf_engine_plan - bind a graph to input shapes, ask the device, plan, check.
 * @param shapes  NULL = the model's, with 1 for each FINF_DIM_ANY
 * @param fixed   plan whose weights are what lies in the extent; NULL = free
 * @param exact   reference kernels only
 */
int finf_engine_plan(struct finf_device *dev, const struct finf_graph *graph,
		     const struct finf_shape *shapes, uint32_t threads, bool exact,
		     const struct finf_plan *fixed, struct finf_graph **ret_bound,
		     struct finf_plan **ret_plan, struct finf_diag *diag);

/**
 * finf_engine_tune - a portable pack -> a tuned pack for this device, beside it.
 * Weights are streamed; at most one blocked weight and a 4 MiB chunk are in memory.
 * @param dirfd, name  of the tuned file
 * Return: 0; errors of planning, reading and writing. Blocks for seconds.
 */
int finf_engine_tune(struct finf_device *dev, struct finf_pack *portable, uint32_t threads,
		     int dirfd, const char *name, struct finf_diag *diag);

/* ---- a model ------------------------------------------------------------ */

/*
 * Thread rule: open, close and set_extent by the owner while nothing runs; bind
 * and run by one executing thread at a time; load by any thread that owns the extent.
 */
struct finf_model;

/**
 * finf_model_open - from a tuned pack whose target matches the device.
 * @param pack  taken over on success
 * Return: 0; -EKEYREJECTED the pack is for another target (retune); -EBADMSG; -ENOMEM.
 */
int finf_model_open(struct finf_device *dev, struct finf_pack *pack, uint32_t threads,
		    struct finf_model **ret_model, struct finf_diag *diag);
/** From a graph in memory (constants with data): in-process use and tests. @graph is taken over. */
int finf_model_open_graph(struct finf_device *dev, struct finf_graph *graph, uint32_t threads,
			  bool exact, struct finf_model **ret_model, struct finf_diag *diag);
void finf_model_close(struct finf_model *model);

const struct finf_graph *finf_model_graph(const struct finf_model *model); /* unbound: the interface */
const struct finf_plan *finf_model_plan(const struct finf_model *model);   /* of the default shapes */
uint64_t finf_model_weight_bytes(const struct finf_model *model);
uint64_t finf_model_arena_bytes(const struct finf_model *model); /* of the default shapes */

/**
 * finf_model_load - weights into an extent at @address.
 * From a pack: queued at @loader, done is called on its thread. From a graph:
 * packed at once, done called before return, *ret_load NULL.
 */
int finf_model_load(struct finf_model *model, struct finf_loader *loader, void *address,
		    finf_load_done_fn done, void *ctx, struct finf_load **ret_load);

/**
 * finf_model_bind - the session for these input shapes; made on first use and
 * kept (a few per model, oldest given up), so warm requests allocate nothing.
 * @param inputs  n_inputs tensors in the graph's order; only shapes are read
 * @param ret_arena_bytes  what a run of it needs
 * Return: 0; -EINVAL wrong shapes (names input and what was expected); -ENOMEM; -EOPNOTSUPP.
 */
struct finf_binding;
int finf_model_bind(struct finf_model *model, const struct finf_tensor *inputs, uint32_t n_inputs,
		    const struct finf_binding **ret_binding, struct finf_diag *diag);
uint64_t finf_binding_arena_bytes(const struct finf_binding *binding);
/** Shape and dtype of output @k, static. */
void finf_binding_output(const struct finf_binding *binding, uint32_t k, struct finf_port *ret);

/** finf_binding_run - see finf_session_run(). */
int finf_binding_run(const struct finf_binding *binding, const struct finf_run *run,
		     struct finf_diag *diag);

/**
 * finf_model_match - caller's tensors into the graph's order.
 * By name, or by position where the name is NULL. Checks names, dtypes, ranks
 * and fixed dimensions, and that bytes match the shape.
 * @param ret  n_inputs (n_outputs when @outputs) entries, shallow copies
 * Return: 0; -EINVAL with diag: what was given, what was expected.
 */
int finf_model_match(const struct finf_model *model, bool outputs,
		     const struct finf_tensor *given, uint32_t n_given, struct finf_tensor *ret,
		     struct finf_diag *diag);

#endif
