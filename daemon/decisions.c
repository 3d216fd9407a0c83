/* SPDX-License-Identifier: MIT */
/* daemon/core: the last decisions for people, and the record for replay. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "daemon/core_priv.h"
#include "daemon/log.h"

static void label(struct fid_core *core, uint32_t model, char *text, size_t len)
{
	text[0] = 0;
	if (model < FID_MODELS_MAX && core->models[model])
		fid_model_label(core->models[model], text, len);
}

/* Runs and good answers are what a server does all day: counted, not listed. */
static bool routine(const struct finf_action *action)
{
	return action->kind == FINF_DO_RUN || (action->kind == FINF_DO_REPLY && !action->a);
}

void fid_decide(struct fid_core *core, const struct finf_action *action, uint64_t now_ns)
{
	struct fid_decision *decision = &core->decisions[core->n_decisions % FID_EVENTS_KEPT];

	if (routine(action))
		return;
	decision->seq = core->n_decisions++;
	decision->ns = now_ns;
	decision->action = *action;
	label(core, action->model, decision->model, sizeof(decision->model));
	label(core, action->other, decision->other, sizeof(decision->other));
	if (core->follow)
		core->follow(core->follow_ctx, decision);
}

void fid_core_decisions(struct fid_core *core, const char *model, uint32_t n,
			void (*each)(void *ctx, const struct fid_decision *decision), void *ctx)
{
	uint64_t first = core->n_decisions > FID_EVENTS_KEPT ? core->n_decisions - FID_EVENTS_KEPT : 0;
	uint64_t at = core->n_decisions;
	size_t len = strlen(model);

	for (uint32_t found = 0; at > first && found < n; at--) {
		const struct fid_decision *d = &core->decisions[(at - 1) % FID_EVENTS_KEPT];

		found += !len || !strcmp(d->model, model) || !strcmp(d->other, model);
	}
	for (; at < core->n_decisions; at++) {
		const struct fid_decision *d = &core->decisions[at % FID_EVENTS_KEPT];

		if (!len || !strcmp(d->model, model) || !strcmp(d->other, model))
			each(ctx, d);
	}
}

void fid_core_follow(struct fid_core *core,
		     void (*each)(void *ctx, const struct fid_decision *decision), void *ctx)
{
	core->follow = each;
	core->follow_ctx = ctx;
}
