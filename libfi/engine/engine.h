/* SPDX-License-Identifier: MIT */
/*
 * engine - models above all other rooms of libfi: a model from its file, its
 * plans per input shape, its place in the pool. The public in-process API
 * (<fusedinf/engine.h>) and fid are two owners of these same models.
 * Must not know: policy, sockets.
 */
#ifndef FINF_ENGINE_ROOM_H
#define FINF_ENGINE_ROOM_H

#include <stdatomic.h>

#include <fusedinf/engine.h>

#include "device/device.h"
#include "exec/exec.h"
#include "graph/graph.h"
#include "load/load.h"
#include "mem/mem.h"
#include "pack/pack.h"
#include "plan/plan.h"

/* ---- planning, shared by everybody who needs a plan --------------------- */

#define FINF_PLAN_EXACT 1u /* reference kernels only */
/* Larger forms of weights where they were measured to be faster: for a graph of one shape,
 * whose weights are made for it at every load. Takes a while: the forms are run. */
#define FINF_PLAN_FAST 2u

/**
 * finf_engine_plan - bind a graph to input shapes, ask the device, plan, check.
 * @param shapes  NULL = the model's, with 1 for each FINF_DIM_ANY
 * @param fixed   plan whose weights are what lies in the extent; NULL = free
 * @param bytes   of the pool, for weights and arena of a group; 0 = no bound (plan.h)
 * @param how     FINF_PLAN_*
 * @param ret_bound, ret_plan  yours: finf_graph_free(), finf_plan_free(). @graph must
 *                outlive the bound one, which borrows its constants.
 * Return: 0; errors of finf_graph_bind(), describing and planning; -EOPNOTSUPP also
 * when @fixed holds a constant that other input shapes would change.
 */
int finf_engine_plan(struct finf_device *dev, const struct finf_graph *graph,
		     const struct finf_shape *shapes, uint32_t threads, uint64_t bytes, unsigned how,
		     const struct finf_plan *fixed, struct finf_graph **ret_bound,
		     struct finf_plan **ret_plan, struct finf_diag *diag);

/**
 * finf_engine_tune - a portable pack -> a tuned pack for this device, beside it.
 * The portable pack is verified first. Weights are streamed; at most one blocked
 * weight and a 4 MiB chunk are in memory, and before that, for a group, what measuring takes:
 * its arena and 64 MiB.
 * @param dirfd, name  of the tuned file
 * Return: 0; errors of planning, reading and writing. Blocks for seconds.
 */
int finf_engine_tune(struct finf_device *dev, struct finf_pack *portable, uint32_t threads,
		     uint64_t bytes, int dirfd, const char *name, struct finf_diag *diag);

/* ---- a model ------------------------------------------------------------ */

/*
 * Thread rule: open, close and set_extent by the owner while nothing runs; bind
 * and run by one executing thread at a time; load by any thread that owns the extent.
 */
struct finf_model;

/**
 * finf_model_open - from a tuned pack whose target matches the device.
 * @param pack  taken over on success
 * @param bytes  of the pool: plans of a group keep to it when they can; 0 = no bound
 * Return: 0; -EKEYREJECTED the pack is for another target, or a group planned side by
 * side for a larger pool, or not so for a smaller one (retune); -EBADMSG; -ENOMEM.
 */
int finf_model_open(struct finf_device *dev, struct finf_pack *pack, uint32_t threads,
		    uint64_t bytes, struct finf_model **ret_model, struct finf_diag *diag);
/** From a portable pack, without a tuned one beside it: weights are brought into their
 * layouts at every load. The whole pack is verified here. In-process use. @pack is taken over
 * on success. FINF_PLAN_FAST does nothing for models whose shapes may vary. */
int finf_model_open_portable(struct finf_device *dev, struct finf_pack *pack, uint32_t threads,
			     uint64_t bytes, unsigned how, struct finf_model **ret_model,
			     struct finf_diag *diag);
/** From a graph in memory (constants with data): in-process use and tests.
 * @graph is taken over on success. */
int finf_model_open_graph(struct finf_device *dev, struct finf_graph *graph, uint32_t threads,
			  uint64_t bytes, unsigned how, struct finf_model **ret_model,
			  struct finf_diag *diag);
void finf_model_close(struct finf_model *model);

/**
 * finf_model_member - one member of a group, run alone over the weights in the
 * group's extent, by sessions of its own. Bound, matched and run like any model;
 * not loaded. Its default session is made by the first finf_model_bind().
 * Close it before the group. Return: 0; -EINVAL not to be run alone; -ENOMEM.
 */
int finf_model_member(struct finf_model *group, uint32_t member, struct finf_model **ret_model);

/** The unbound graph, which is the interface; and the plan of the default shapes. */
const struct finf_graph *finf_model_graph(const struct finf_model *model);
const struct finf_plan *finf_model_plan(const struct finf_model *model);
uint64_t finf_model_weight_bytes(const struct finf_model *model);
uint64_t finf_model_arena_bytes(const struct finf_model *model); /* of the default shapes */

/**
 * finf_model_load - weights into an extent at @address.
 * From a tuned pack: queued at @loader, done is called on its thread. From a graph or a
 * portable pack: packed at once, done called (load NULL) before return, *ret_load NULL.
 * @param first  a member whose segments come first, the rest at low priority; NULL = in order
 * Return: 0, and done tells the outcome; -ENOMEM, -EINVAL: done is not called.
 */
int finf_model_load(struct finf_model *model, struct finf_loader *loader, void *address,
		    const struct finf_model *first, finf_load_done_fn done, void *ctx,
		    struct finf_load **ret_load);

/**
 * finf_model_bind - the session for these input shapes; made on first use and
 * kept (the default shapes and 32 more within 32 MiB, the least recently used given up), so warm
 * requests allocate nothing.
 * @param inputs  n_inputs tensors in the graph's order; only shapes are read
 * @param ret_binding  borrowed until the next finf_model_bind() of this model
 * Return: 0; -EINVAL wrong shapes (names input and what was expected); -ENOMEM; -EOPNOTSUPP.
 */
struct finf_binding;
int finf_model_bind(struct finf_model *model, const struct finf_tensor *inputs, uint32_t n_inputs,
		    const struct finf_binding **ret_binding, struct finf_diag *diag);
/** finf_model_kept - how many other shapes than the default ones are kept, and about how many bytes
 * of memory that takes. Any thread. */
void finf_model_kept(const struct finf_model *model, uint32_t *ret_shapes, uint64_t *ret_bytes);
uint64_t finf_binding_arena_bytes(const struct finf_binding *binding);
/** Name, dtype and shape of output @k; every dimension is known. */
void finf_binding_output(const struct finf_binding *binding, uint32_t k, struct finf_port *ret);

/** finf_binding_run - see finf_session_run(). Where members can run side by side, now and then a
 * run is not what was measured to be faster, to see whether it still is (watch.h). */
int finf_binding_run(const struct finf_binding *binding, const struct finf_run *run,
		     struct finf_diag *diag);

/** finf_model_way - how the default shapes of a group run now, and what was seen of it: of the
 * latest trial, 0 = none yet. False when there is one way only. On any thread. */
struct finf_way {
	bool side_by_side;
	uint64_t side_ns, alone_ns;
	uint32_t trials, changes;
};
bool finf_model_way(const struct finf_model *model, struct finf_way *ret);

/* ---- a larger, faster form beside a tuned model ---------------------------- */

/**
 * finf_model_open_grown - a second form of a tuned model, for its default shapes: nodes whose
 * weights have larger and faster layouts are measured, with one thread, and those
 * weights are read from a second extent; all others from the model's own. Members of a group that
 * run side by side do so here too, in lanes that are decided anew.
 * @param pack  the model's tuned pack, opened once more; taken over on success
 * @param bytes  of the pool: for both extents and the arena; 0 = no bound
 * @param stop  set to end it early; NULL = never
 * Return: 0; -ENODATA nothing is to be gained; -ECANCELED; errors of planning, measuring, and
 * of making kernels. Blocks for seconds. Bound and run like any model, with run.grown set;
 * finf_model_arena_bytes() is its own.
 */
int finf_model_open_grown(struct finf_device *dev, struct finf_pack *pack, uint32_t threads,
			  uint64_t bytes, const atomic_bool *stop, struct finf_model **ret_model,
			  struct finf_diag *diag);
/** Bytes of the second extent. */
uint64_t finf_model_grown_bytes(const struct finf_model *model);
/** How many times as fast as the lean one it should be. */
double finf_model_grown_speed(const struct finf_model *model);
/**
 * finf_model_grow - make what belongs into the second extent, from the master.
 * @param put  called with each piece in order of the offset in the extent, at most
 *             FINF_GROW_PIECE_BYTES; now and then with 0 bytes. An error ends it.
 * Return: 0; what @put returned; -EBADMSG, -EIO, -ENOMEM. Only @portable is changed.
 */
#define FINF_GROW_PIECE_BYTES (1u << 20)
typedef int (*finf_grow_fn)(void *ctx, uint64_t offset, const void *bytes, uint64_t n);
int finf_model_grow(const struct finf_model *model, struct finf_pack *portable, finf_grow_fn put,
		    void *ctx, struct finf_diag *diag);

/**
 * finf_model_match - caller's tensors into the graph's order.
 * By name, or by position where the name is NULL. Checks names, dtypes, ranks
 * and fixed dimensions, and that bytes match the shape.
 * @param ret  n_inputs (n_outputs when @outputs) entries, shallow copies. Fewer outputs
 *             than the model has may be given: the others get name NULL and no data.
 * Return: 0; -EINVAL with diag: what was given, what was expected.
 */
int finf_model_match(const struct finf_model *model, bool outputs, const struct finf_tensor *given,
		     uint32_t n_given, struct finf_tensor *ret, struct finf_diag *diag);

#endif
