/* SPDX-License-Identifier: MIT */
/* policy: recompute every sum and every order from scratch and compare. For tests; O(n). */
#include <errno.h>

#include "policy/priv.h"

struct sums {
	uint64_t held, kept, pinned, arena, fetched, fast;
	uint32_t loading, evicting, running, muted, queued;
};

static int wrong(struct finf_diag *diag, const char *what, uint64_t is, uint64_t should)
{
	return finf_diag_set(diag, -EINVAL, "%s is %llu, should be %llu", what,
			     (unsigned long long)is, (unsigned long long)should);
}

static int check_heap(const struct finf_heap *heap, const char *name, struct finf_diag *diag)
{
	for (uint32_t i = 0; i < heap->len; i++) {
		uint32_t item = heap->items[i], up = heap->items[(i - !!i) / 2];

		if (heap->at[item] != i)
			return wrong(diag, name, heap->at[item], i);
		if (heap->key[item] < heap->key[up])
			return finf_diag_set(diag, -EINVAL, "%s is out of order", name);
	}
	return 0;
}

static int check_heaps(const struct finf_policy *p, struct finf_diag *diag)
{
	const struct {
		const struct finf_heap *heap;
		const char *name;
	} heaps[] = {
		{&p->ready, "ready"},	{&p->loading, "loading"}, {&p->room, "room"},
		{&p->idle, "idle"},	{&p->busy, "busy"},	  {&p->arenas, "arenas"},
		{&p->pins, "pins"},	{&p->runs, "runs"},	  {&p->deadlines, "deadlines"},
		{&p->times, "times"},	{&p->wish, "wish"},	  {&p->fast, "fast"},
	};
	int err = 0;

	for (size_t i = 0; i < FINF_ARRAY_LEN(heaps) && !err; i++)
		err = check_heap(heaps[i].heap, heaps[i].name, diag);
	return err;
}

static uint32_t list_len(const struct finf_policy *p, const struct finf_list *list)
{
	uint32_t n = 0;

	for (uint32_t s = list->head; s != FINF_SLOT_NONE; s = p->slots[s].next)
		n++;
	return n;
}

static bool list_ordered(const struct finf_policy *p, const struct finf_list *list)
{
	for (uint32_t s = list->head; s != FINF_SLOT_NONE; s = p->slots[s].next)
		if (p->slots[s].prev != FINF_SLOT_NONE &&
		    p->slots[p->slots[s].prev].seq >= p->slots[s].seq)
			return false;
	return true;
}

/* The orders a model has to be in, said once more in plain words. */
static int check_filing(const struct finf_policy *p, uint32_t model, struct finf_diag *diag)
{
	const struct finf_policy_entry *m = &p->models[model];
	enum finf_residency at = m->pub.residency;
	uint32_t requests = list_len(p, &m->queue), cmds = list_len(p, &m->cmds);
	bool rest = at == FINF_RESIDENT && !m->pub.pinned && !m->pub.running;
	bool placeless = at == FINF_COLD || at == FINF_EVICTING;
	const struct {
		const char *name;
		const struct finf_heap *heap;
		bool in;
	} rows[] = {
		{"ready", &p->ready, at == FINF_RESIDENT && requests && !m->wants_room},
		{"loading", &p->loading,
		 at == FINF_LOADING && requests && !m->cancelled && !m->whole_load},
		{"room", &p->room, (placeless && (requests + cmds || m->restore_seq)) || m->wants_room},
		{"idle", &p->idle, rest && !requests},
		{"busy", &p->busy, rest && requests},
		{"arenas", &p->arenas, at == FINF_LOADING || at == FINF_RESIDENT},
		{"pins", &p->pins, m->pub.pinned},
	};

	for (size_t i = 0; i < FINF_ARRAY_LEN(rows); i++)
		if (finf_heap_has(rows[i].heap, model) != rows[i].in)
			return finf_diag_set(diag, -EINVAL, "model %u: filed wrongly under %s",
					     model, rows[i].name);
	if (!list_ordered(p, &m->queue) || !list_ordered(p, &m->cmds))
		return finf_diag_set(diag, -EINVAL, "model %u: queue out of order", model);
	if (at == FINF_RESIDENT && cmds)
		return finf_diag_set(diag, -EINVAL, "model %u: command left waiting", model);
	if (at != FINF_EVICTING && !(at == FINF_LOADING && m->cancelled) && m->leave.head != FINF_SLOT_NONE)
		return finf_diag_set(diag, -EINVAL, "model %u: unload left waiting", model);
	if (m->restore_seq && (!m->pub.pinned || at == FINF_RESIDENT))
		return finf_diag_set(diag, -EINVAL, "model %u: restored for nobody", model);
	if (p->device != FINF_DEVICE_OK && !p->more &&
	    (at == FINF_RESIDENT || (at == FINF_LOADING && !m->cancelled)))
		return finf_diag_set(diag, -EINVAL, "model %u: not lost with its device", model);
	if (m->pub.pinned && at != FINF_RESIDENT && !cmds && !m->restore_seq)
		return finf_diag_set(diag, -EINVAL, "model %u: pinned for nobody", model);
	if (m->pub.queued != requests + cmds)
		return wrong(diag, "queued", m->pub.queued, requests + cmds);
	return 0;
}

/* A faster form is that of a resident model, and one at a time is being made. */
static int check_fast(const struct finf_policy *p, uint32_t model, struct finf_diag *diag)
{
	const struct finf_policy_entry *m = &p->models[model];
	enum finf_fast_state at = m->fast.state;
	bool there = at == FINF_FAST_GROWING || at == FINF_FAST_READY;

	if (m->pub.fast_bytes != (there ? m->fast.bytes : 0))
		return wrong(diag, "faster form", m->pub.fast_bytes, there ? m->fast.bytes : 0);
	if (there && m->pub.residency != FINF_RESIDENT)
		return finf_diag_set(diag, -EINVAL, "model %u: faster, but not there", model);
	if ((at == FINF_FAST_PRICING || at == FINF_FAST_GROWING) &&
	    (p->maker != model || p->making != (at == FINF_FAST_GROWING)))
		return finf_diag_set(diag, -EINVAL, "model %u: made by nobody", model);
	if (finf_heap_has(&p->fast, model) !=
	    (there && (!m->pub.running || at == FINF_FAST_GROWING)))
		return finf_diag_set(diag, -EINVAL, "model %u: filed wrongly under fast", model);
	return 0;
}

/* Forecasts are in the orders of prefetch, and a fetch is a load. */
static int check_forecast(const struct finf_policy *p, uint32_t model, struct finf_diag *diag)
{
	const struct finf_policy_entry *m = &p->models[model];
	bool there = m->pub.residency == FINF_LOADING || m->pub.residency == FINF_RESIDENT;
	bool wish = m->forecast == FINF_FORECAST_WISH && m->pub.residency == FINF_COLD &&
		    m->queue.head == FINF_SLOT_NONE && m->cmds.head == FINF_SLOT_NONE &&
		    !m->restore_seq;

	if (!p->opts.prefetch_bytes)
		return m->forecast ? wrong(diag, "forecast", m->forecast, 0) : 0;
	if (finf_heap_has(&p->times, model) != (m->forecast != FINF_FORECAST_NONE))
		return finf_diag_set(diag, -EINVAL, "model %u: filed wrongly under times", model);
	if (finf_heap_has(&p->wish, model) != (wish && !m->pub.running))
		return finf_diag_set(diag, -EINVAL, "model %u: filed wrongly under wish", model);
	if (m->forecast == FINF_FORECAST_HELD && !there)
		return finf_diag_set(diag, -EINVAL, "model %u: held, but not there", model);
	if (p->fetching == model && m->pub.residency != FINF_LOADING)
		return finf_diag_set(diag, -EINVAL, "model %u: fetched, but not loading", model);
	return 0;
}

static int check_models(const struct finf_policy *p, struct sums *sums, struct finf_diag *diag)
{
	for (uint32_t i = 0; i < p->opts.models_max; i++) {
		const struct finf_policy_entry *m = &p->models[i];
		bool kept = m->pub.residency == FINF_LOADING || m->pub.residency == FINF_RESIDENT;
		int err = 0;

		if (!m->pub.known)
			continue;
		sums->held += m->pub.residency != FINF_COLD ? m->pub.weight_bytes : 0;
		sums->kept += kept ? m->pub.weight_bytes : 0;
		sums->held += m->pub.fast_bytes;
		sums->kept += m->pub.fast_bytes;
		sums->fast += m->pub.fast_bytes;
		sums->pinned += m->pub.pinned ? m->pub.weight_bytes : 0;
		if (kept)
			sums->arena = FINF_MAX(sums->arena, m->pub.arena_bytes);
		if (m->pub.fast_bytes)
			sums->arena = FINF_MAX(sums->arena, m->fast.arena_bytes);
		sums->loading += m->pub.residency == FINF_LOADING;
		sums->evicting += m->pub.residency == FINF_EVICTING;
		sums->running += m->pub.running;
		sums->muted += m->muted;
		sums->queued += m->pub.queued + list_len(p, &m->leave);
		sums->fetched += m->forecast == FINF_FORECAST_HELD ? m->pub.weight_bytes : 0;
		err = check_filing(p, i, diag);
		if (!err)
			err = check_forecast(p, i, diag);
		if (!err)
			err = check_fast(p, i, diag);
		if (err)
			return err;
	}
	return 0;
}

static int check_slots(const struct finf_policy *p, const struct sums *sums,
		       struct finf_diag *diag)
{
	uint32_t n[4] = {0}, muted = 0, deadlines = 0;

	for (uint32_t i = 0; i < p->opts.requests_max; i++) {
		const struct finf_slot *s = &p->slots[i];

		n[s->state]++;
		if (s->state == FINF_SLOT_FREE)
			continue;
		muted += s->state == FINF_SLOT_RUNNING && s->muted;
		deadlines += s->state == FINF_SLOT_QUEUED && s->deadline_ns;
		if (finf_slot_find(p, s->id) != i)
			return finf_diag_set(diag, -EINVAL, "slot %u is not found by its id", i);
		if (finf_heap_has(&p->runs, i) != (s->state == FINF_SLOT_RUNNING))
			return finf_diag_set(diag, -EINVAL, "slot %u: filed wrongly", i);
	}
	if (n[FINF_SLOT_FREE] != list_len(p, &p->free))
		return wrong(diag, "free slots", list_len(p, &p->free), n[FINF_SLOT_FREE]);
	if (n[FINF_SLOT_DONE] != list_len(p, &p->done))
		return wrong(diag, "done slots", list_len(p, &p->done), n[FINF_SLOT_DONE]);
	if (n[FINF_SLOT_QUEUED] != sums->queued)
		return wrong(diag, "queued slots", n[FINF_SLOT_QUEUED], sums->queued);
	if (n[FINF_SLOT_RUNNING] != sums->running || p->n_running != sums->running)
		return wrong(diag, "running slots", p->n_running, sums->running);
	if (muted != sums->muted)
		return wrong(diag, "muted slots", sums->muted, muted);
	if (deadlines != p->deadlines.len)
		return wrong(diag, "deadlines", p->deadlines.len, deadlines);
	return 0;
}

static int check_sums(const struct finf_policy *p, const struct sums *sums,
		      struct finf_diag *diag)
{
	uint64_t arena = sums->arena;

	for (uint32_t i = 0; i < p->opts.requests_max; i++)
		if (p->slots[i].state == FINF_SLOT_RUNNING)
			arena = FINF_MAX(arena, p->slots[i].arena_bytes);
	if (finf_policy_zone(p, 0) != arena * p->opts.runs_max)
		return wrong(diag, "zone", finf_policy_zone(p, 0), arena * p->opts.runs_max);
	if (p->held != sums->held)
		return wrong(diag, "held", p->held, sums->held);
	if (p->kept != sums->kept)
		return wrong(diag, "kept", p->kept, sums->kept);
	if (p->fast_bytes != sums->fast)
		return wrong(diag, "faster forms", p->fast_bytes, sums->fast);
	if (p->pinned != sums->pinned)
		return wrong(diag, "pinned", p->pinned, sums->pinned);
	if (p->prefetch.bytes != sums->fetched || sums->fetched > p->opts.prefetch_bytes)
		return wrong(diag, "loaded ahead", p->prefetch.bytes, sums->fetched);
	if (p->n_loading != sums->loading)
		return wrong(diag, "loading", p->n_loading, sums->loading);
	if (p->n_evicting != sums->evicting)
		return wrong(diag, "evicting", p->n_evicting, sums->evicting);
	if (p->held + finf_policy_zone(p, 0) > p->opts.pool_bytes)
		return wrong(diag, "pool", p->held + finf_policy_zone(p, 0), p->opts.pool_bytes);
	if (p->n_running > p->opts.runs_max)
		return wrong(diag, "running", p->n_running, p->opts.runs_max);
	if (p->n_loading > p->opts.loads_max)
		return wrong(diag, "loads", p->n_loading, p->opts.loads_max);
	return 0;
}

int finf_policy_check(const struct finf_policy *p, struct finf_diag *diag)
{
	struct sums sums = {0};
	int err = check_heaps(p, diag);

	if (!err)
		err = check_models(p, &sums, diag);
	if (!err)
		err = check_slots(p, &sums, diag);
	return err ? err : check_sums(p, &sums, diag);
}
