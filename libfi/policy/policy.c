/* SPDX-License-Identifier: MIT */
/* policy: making and freeing the state, one step, and what others may read of it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/priv.h"

static int check_opts(const struct finf_policy_opts *opts, struct finf_diag *diag)
{
	if (!opts || opts->size < sizeof(*opts))
		return finf_diag_set(diag, -EINVAL, "policy: options of another version");
	if (!opts->models_max || opts->models_max > INT32_MAX || !opts->requests_max ||
	    opts->requests_max > INT32_MAX)
		return finf_diag_set(diag, -EINVAL, "policy: capacities must be 1 to 2^31-1");
	if (!opts->runs_max || opts->runs_max > FINF_POLICY_RUNS_MAX || !opts->loads_max)
		return finf_diag_set(diag, -EINVAL, "policy: runs_max is 1 to %u, loads_max >= 1",
				     FINF_POLICY_RUNS_MAX);
	if (opts->pool_bytes > FINF_POLICY_BYTES_MAX)
		return finf_diag_set(diag, -EINVAL, "policy: pool beyond 2^56 bytes");
	if (opts->prefetch_bytes > FINF_POLICY_BYTES_MAX)
		return finf_diag_set(diag, -EINVAL, "policy: prefetch beyond 2^56 bytes");
	return 0;
}

static const struct finf_evict_ops *find_evict(const char *name)
{
	const struct finf_evict_ops *ops;

	for (uint32_t i = 0; (ops = finf_evict_at(i)); i++)
		if (!name || !strcmp(ops->name, name))
			return ops;
	return NULL;
}

static int init(struct finf_policy *p)
{
	struct finf_heap *of_models[] = {&p->ready, &p->loading, &p->room,  &p->idle,
					 &p->busy,  &p->arenas,	 &p->pins,  &p->fast};
	int err = 0;

	p->models = calloc(p->opts.models_max, sizeof(*p->models));
	if (!p->models)
		return -ENOMEM;
	for (size_t i = 0; i < FINF_ARRAY_LEN(of_models) && !err; i++)
		err = finf_heap_init(of_models[i], p->opts.models_max);
	if (!err)
		err = finf_heap_init(&p->runs, p->opts.requests_max);
	if (!err)
		err = finf_heap_init(&p->deadlines, p->opts.requests_max);
	if (!err)
		err = finf_slots_init(p);
	return err ? err : finf_prefetch_init(p);
}

int finf_policy_new(const struct finf_policy_opts *opts, struct finf_policy **ret_policy,
		    struct finf_diag *diag)
{
	struct finf_policy *p;
	int err = check_opts(opts, diag);

	if (err)
		return err;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->opts = *opts;
	p->earner = p->maker = FINF_MODEL_NONE;
	p->evict = find_evict(opts->evict);
	if (!p->evict)
		err = finf_diag_set(diag, -EINVAL, "policy: no eviction row \"%s\"", opts->evict);
	else
		err = init(p);
	if (err) {
		finf_policy_free(p);
		return err;
	}
	*ret_policy = p;
	return 0;
}

void finf_policy_free(struct finf_policy *p)
{
	if (!p)
		return;
	finf_prefetch_fini(p);
	finf_slots_fini(p);
	finf_heap_fini(&p->deadlines);
	finf_heap_fini(&p->runs);
	finf_heap_fini(&p->fast);
	finf_heap_fini(&p->pins);
	finf_heap_fini(&p->arenas);
	finf_heap_fini(&p->busy);
	finf_heap_fini(&p->idle);
	finf_heap_fini(&p->room);
	finf_heap_fini(&p->loading);
	finf_heap_fini(&p->ready);
	free(p->models);
	free(p);
}

int finf_policy_step(struct finf_policy *p, const struct finf_event *event, uint64_t now_ns,
		     struct finf_action *actions)
{
	uint64_t before = p->now;
	int err;

	if (now_ns < before)
		return -EINVAL;
	p->now = now_ns;
	p->actions = actions;
	p->n_actions = 0;
	err = finf_policy_handle(p, event);
	if (err) {
		p->now = before;
		return err;
	}
	p->step++;
	p->ticking = event->kind == FINF_EV_TICK;
	finf_policy_pump(p);
	return p->n_actions;
}

uint64_t finf_policy_deadline(const struct finf_policy *p)
{
	uint32_t slot = finf_heap_min(&p->deadlines), model = finf_heap_min(&p->times);
	uint64_t due = UINT64_MAX;

	if (p->more)
		return 0;
	if (slot != FINF_HEAP_NONE)
		due = p->deadlines.key[slot];
	if (model != FINF_HEAP_NONE)
		due = FINF_MIN(due, p->times.key[model]);
	return due;
}

void finf_policy_model(const struct finf_policy *p, uint32_t model, struct finf_policy_model *ret)
{
	if (model >= p->opts.models_max) {
		*ret = (struct finf_policy_model){0};
		return;
	}
	*ret = p->models[model].pub;
	if (ret->residency == FINF_RESIDENT && ret->running)
		ret->residency = FINF_RUNNING;
}

void finf_policy_bytes(const struct finf_policy *p, uint64_t *ret_weights, uint64_t *ret_arena)
{
	*ret_weights = p->held;
	*ret_arena = finf_policy_zone(p, 0);
}
