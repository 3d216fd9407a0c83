/* SPDX-License-Identifier: MIT */
/*
 * engine/priv - what the files of this room share: where plain weights come
 * from, and what a model is made of.
 */
#ifndef FINF_ENGINE_PRIV_H
#define FINF_ENGINE_PRIV_H

#include "engine/engine.h"
#include "engine/watch.h"

#define FINF_ENGINE_CHUNK_BYTES (4u << 20)

/**
 * finf_graph_bind() with shapes NULL = the model's, 1 for each FINF_DIM_ANY; then
 * finf_fuse_batch() when @batched. ret_bound->batched tells whether anything was. (plan.c)
 */
int finf_engine_bind(const struct finf_graph *graph, const struct finf_shape *shapes, bool batched,
		     struct finf_graph **ret_bound, struct finf_diag *diag);

/** The device's prices of fat forms, as measured now. (measure.c) With one thread its processor
 * time counts. @stop is looked at between nodes; NULL = never.
 * Return: 0; -ECANCELED; errors of making and running kernels. */
int finf_engine_measure(struct finf_device *dev, const struct finf_graph *bound, uint32_t threads,
			const atomic_bool *stop, struct finf_form_table *table,
			struct finf_diag *diag);

/**
 * finf_fat_forms - forms of a bound graph, larger ones only where they were measured, with one
 * thread, to be clearly faster. (fat.c)
 * @param ret_one  those of one thread
 * Return: 0; -ENODATA there are no larger forms at all; errors of finf_engine_measure().
 */
int finf_fat_forms(struct finf_device *dev, const struct finf_graph *bound, uint32_t threads,
		   const atomic_bool *stop, struct finf_form_table *ret,
		   struct finf_form_table *ret_one, struct finf_diag *diag);
/** finf_fat_share - only larger forms that all threads and one can run over the same weights. */
void finf_fat_share(struct finf_form_table *table, const struct finf_form_table *one);

/**
 * finf_engine_side - does it pay here to run the branches of this plan side by side? The plan
 * is run, alone and beside itself, over memory of its own: its arena, and at most 64 MiB for
 * weights. Costs and the answer are put into plan->side. Takes some tens of runs. (side.c)
 * Return: 0, also when there is nothing to ask; -ENOMEM. A plan that cannot be
 * measured keeps the order of its list.
 */
int finf_engine_side(struct finf_device *dev, const struct finf_graph *bound,
		     struct finf_plan *plan, struct finf_diag *diag);

/**
 * finf_engine_side_like - the same without running anything, for who is waited for: by what the
 * steps of the default shapes cost. Lanes that come of it are off until runs have shown that
 * they are faster (watch.h). (side.c)
 * @param known_bound, known  the default shapes'
 * Return: 0, also when there is nothing to ask or to go by; -ENOMEM.
 */
int finf_engine_side_like(struct finf_device *dev, const struct finf_graph *bound,
			  struct finf_plan *plan, const struct finf_graph *known_bound,
			  const struct finf_plan *known, struct finf_diag *diag);

/* ---- weights.c: plain constants by name, and their blocked forms ------------ */

struct finf_weight_source {
	const struct finf_graph *graph; /* bound: constants that have bytes in memory */
	struct finf_pack *pack;		/* portable: the others; NULL = none are missing */
};

/** Part of a plain constant. Return: 0; -ENOENT with diag; errors of reading. */
int finf_weight_read(const struct finf_weight_source *source, const struct finf_plan_weight *weight,
		     uint64_t offset, void *to, uint64_t bytes, struct finf_diag *diag);

/** The whole weight as its form wants it: weight->form.bytes at @to. */
int finf_weight_pack(struct finf_device *dev, const struct finf_weight_source *source,
		     const struct finf_plan_weight *weight, void *to, struct finf_diag *diag);

/** Every weight of a plan to its place in an extent on the device. */
int finf_weights_place(struct finf_device *dev, const struct finf_weight_source *source,
		       const struct finf_plan *plan, void *extent, struct finf_diag *diag);

/* ---- model.c, bind.c ---------------------------------------------------------- */

/* The default shapes, for good, and so many more, but not beyond these bytes for those:
 * enough for the batch sizes of a server, and one is always kept. */
#define FINF_MODEL_BINDINGS 33
#define FINF_BINDINGS_BYTES (32u << 20)

struct finf_binding {
	struct finf_graph *bound;     /* owned */
	const struct finf_plan *plan; /* owned unless it is the pack's */
	struct finf_session *session; /* owned */
	uint32_t *need;		      /* owned; per step, of a load in another order */
	struct finf_watch *watch;     /* owned; with lanes, else NULL; second way: without them */
	const struct finf_model *model; /* whose it is */
	uint64_t used;		      /* the model's clock at the last bind */
	uint64_t bytes;		      /* of memory, about */
};

struct finf_model {
	struct finf_device *dev;  /* borrowed */
	struct finf_graph *graph; /* unbound; owned unless it is the pack's */
	struct finf_pack *pack;	  /* owned; NULL = from a graph in memory, or a member */
	struct finf_model *group; /* borrowed; whose extent a member runs in; NULL = its own */
	/* Of the load under way, or the last: when each segment of the extent comes; NULL =
	 * in order. Written by load, while nothing runs. */
	uint32_t *rank; /* owned; room for it, NULL without segments */
	bool ranked;
	bool tuned;		  /* the pack's segments are the extent as it is */
	unsigned how; /* FINF_PLAN_* */
	uint32_t threads;
	uint64_t bytes; /* of the pool, 0 = no bound */
	double speed;	/* of a larger form: see finf_model_grown_speed() */
	uint64_t clock;
	struct finf_binding *bindings[FINF_MODEL_BINDINGS]; /* owned; [0] = default shapes */
	/* Of all but the default shapes. Written by who binds, read by anybody. */
	atomic_uint n_more;
	atomic_ullong more_bytes;
};

/** Is the tuned pack made for this device? 0; -EKEYREJECTED. */
int finf_model_check_target(struct finf_device *dev, const struct finf_pack *pack,
			    uint32_t threads, struct finf_diag *diag);
/** The graph of a model from a tuned pack bound to its default shapes, the pack's plan proven. */
int finf_model_bound(const struct finf_model *model, struct finf_graph **ret_bound,
		     struct finf_diag *diag);

/**
 * finf_binding_new - a session for a bound graph and its plan.
 * Both are taken over on success; a plan that is the pack's stays the pack's.
 */
int finf_binding_new(const struct finf_model *model, struct finf_graph *bound,
		     const struct finf_plan *plan, struct finf_binding **ret_binding,
		     struct finf_diag *diag);
void finf_binding_free(const struct finf_model *model, struct finf_binding *binding);

#endif
