/* SPDX-License-Identifier: MIT */
/* engine/tune: a portable pack -> a tuned one, weight by weight. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/priv.h"

struct tuner {
	struct finf_device *dev;
	const struct finf_plan *plan;
	struct finf_weight_source source;
	void *blocked;	/* owned: the one blocked weight being written */
	uint32_t which; /* its number; FINF_NONE = none */
};

static int block(struct tuner *tuner, uint32_t weight, struct finf_diag *diag)
{
	const struct finf_plan_weight *w = &tuner->plan->weights[weight];

	free(tuner->blocked);
	tuner->which = FINF_NONE;
	tuner->blocked = aligned_alloc(4096, finf_align_up(w->form.bytes, 4096));
	if (!tuner->blocked)
		return finf_diag_set(diag, -ENOMEM, "no memory for constant '%s'", w->name);
	tuner->which = weight;
	return finf_weight_pack(tuner->dev, &tuner->source, w, tuner->blocked, diag);
}

/* The writer asks chunk by chunk, in order: a blocked weight is made at its first chunk. */
static int read_chunk(void *ctx, uint32_t weight, uint64_t offset, void *to, uint64_t bytes,
		      struct finf_diag *diag)
{
	struct tuner *tuner = ctx;
	const struct finf_plan_weight *w = &tuner->plan->weights[weight];
	int err;

	if (!w->form.desc_bytes)
		return finf_weight_read(&tuner->source, w, offset, to, bytes, diag);
	if (tuner->which != weight) {
		err = block(tuner, weight, diag);
		if (err)
			return err;
	}
	memcpy(to, (char *)tuner->blocked + offset, bytes);
	return 0;
}

int finf_engine_tune(struct finf_device *dev, struct finf_pack *portable, uint32_t threads,
		     uint64_t bytes, int dirfd, const char *name, struct finf_diag *diag)
{
	struct tuner tuner = {.dev = dev, .which = FINF_NONE};
	struct finf_pack_source source = {&tuner, read_chunk};
	struct finf_graph *bound = NULL;
	struct finf_plan *plan = NULL;
	char target[128];
	int err = finf_device_target(dev, threads, target, sizeof(target));

	if (err)
		return finf_diag_set(diag, err, "the device does not tell its target");
	/* Weights are read piece by piece below, where no checksum would catch a wrong bit. */
	err = finf_pack_verify(portable, diag);
	if (err)
		return err;
	err = finf_engine_plan(dev, portable->graph, NULL, threads, bytes, 0, NULL, &bound,
			       &plan, diag);
	if (err)
		return err;
	portable->graph->batched = bound->batched; /* the pack says what was planned */
	tuner.plan = plan;
	tuner.source = (struct finf_weight_source){bound, portable};
	err = finf_pack_write_tuned(dirfd, name, portable->graph, plan, target,
				    portable->header_hash, &source, diag);
	free(tuner.blocked);
	finf_plan_free(plan);
	finf_graph_free(bound);
	return err;
}
