/* SPDX-License-Identifier: MIT */
/* policy: residency of models, the sums that follow from it, the orders they wait in. */
#include "policy/priv.h"

bool finf_model_wanted(const struct finf_policy_entry *m)
{
	return m->queue.head != FINF_SLOT_NONE || m->cmds.head != FINF_SLOT_NONE ||
	       m->restore_seq;
}

uint64_t finf_model_seq(const struct finf_policy *p, uint32_t model)
{
	const struct finf_policy_entry *m = &p->models[model];
	uint64_t seq = UINT64_MAX;

	if (m->queue.head != FINF_SLOT_NONE)
		seq = p->slots[m->queue.head].seq;
	if (m->cmds.head != FINF_SLOT_NONE)
		seq = FINF_MIN(seq, p->slots[m->cmds.head].seq);
	if (m->restore_seq)
		seq = FINF_MIN(seq, m->restore_seq);
	return seq;
}

static void file(struct finf_heap *heap, uint32_t model, bool in, uint64_t key)
{
	if (in)
		finf_heap_put(heap, model, key);
	else
		finf_heap_drop(heap, model);
}

/* Where a model waits is a function of its state alone: after any change, ask again. */
void finf_model_refile(struct finf_policy *p, uint32_t model)
{
	struct finf_policy_entry *m = &p->models[model];
	enum finf_residency at = m->pub.residency;
	bool wanted = finf_model_wanted(m), resident = at == FINF_RESIDENT;
	bool rest = resident && !m->pub.pinned && !m->pub.running;
	bool queued = m->queue.head != FINF_SLOT_NONE;
	uint64_t seq = finf_model_seq(p, model);
	uint64_t run_seq = queued ? p->slots[m->queue.head].seq : 0;
	uint64_t key = rest ? p->evict->key(&m->pub, p->now) : 0;

	if (!wanted) {
		m->tries = 0;
		m->evict_more = m->wants_room = false;
	}
	file(&p->ready, model, queued && resident && !m->wants_room, run_seq);
	file(&p->loading, model,
	     queued && at == FINF_LOADING && !m->cancelled && !m->whole_load, run_seq);
	file(&p->room, model,
	     wanted && (at == FINF_COLD || at == FINF_EVICTING || m->wants_room), seq);
	file(&p->idle, model, rest && !wanted, key);
	file(&p->busy, model, rest && wanted, key);
	finf_fast_refile(p, model);
	finf_prefetch_refile(p, model);
}

static bool counts_held(enum finf_residency at)
{
	return at != FINF_COLD;
}

static bool counts_kept(enum finf_residency at)
{
	return at == FINF_LOADING || at == FINF_RESIDENT;
}

void finf_model_arena(struct finf_policy *p, uint32_t model)
{
	const struct finf_policy_entry *m = &p->models[model];
	uint64_t bytes = m->pub.arena_bytes;

	if (m->pub.fast_bytes)
		bytes = FINF_MAX(bytes, m->fast.arena_bytes);
	file(&p->arenas, model, counts_kept(m->pub.residency), ~bytes);
}

void finf_model_residency(struct finf_policy *p, uint32_t model, enum finf_residency to)
{
	struct finf_policy_entry *m = &p->models[model];
	enum finf_residency from = m->pub.residency;

	if (!counts_kept(to))
		finf_prefetch_lost(p, model);
	if (p->fetching == model && from == FINF_LOADING)
		p->fetching = FINF_MODEL_NONE;
	p->held -= counts_held(from) ? m->pub.weight_bytes : 0;
	p->kept -= counts_kept(from) ? m->pub.weight_bytes : 0;
	p->held += counts_held(to) ? m->pub.weight_bytes : 0;
	p->kept += counts_kept(to) ? m->pub.weight_bytes : 0;
	p->n_loading += (to == FINF_LOADING) - (from == FINF_LOADING);
	p->n_evicting += (to == FINF_EVICTING) - (from == FINF_EVICTING);
	m->pub.residency = to;
	finf_model_arena(p, model);
	m->cancelled = m->whole_load = m->wants_room = false;
	finf_model_refile(p, model);
}

void finf_model_pin(struct finf_policy *p, uint32_t model, bool pin)
{
	struct finf_policy_entry *m = &p->models[model];

	if (m->pub.pinned == pin)
		return;
	m->pub.pinned = pin;
	m->restore_seq = 0;
	if (pin)
		p->pinned += m->pub.weight_bytes;
	else
		p->pinned -= m->pub.weight_bytes;
	file(&p->pins, model, pin, ~m->pub.arena_bytes);
	finf_model_refile(p, model);
}

static void finish_list(struct finf_policy *p, struct finf_list *list, uint32_t err,
			enum finf_reason reason)
{
	while (list->head != FINF_SLOT_NONE)
		finf_slot_finish(p, list->head, err, reason);
}

void finf_model_finish_all(struct finf_policy *p, uint32_t model, uint32_t err,
			   enum finf_reason reason)
{
	finish_list(p, &p->models[model].cmds, err, reason);
	finish_list(p, &p->models[model].queue, err, reason);
	if (p->models[model].restore_seq) /* a pin that cannot be kept */
		finf_model_pin(p, model, false);
	finf_model_refile(p, model);
}

static uint64_t largest(const struct finf_heap *heap)
{
	uint32_t item = finf_heap_min(heap);

	return item == FINF_HEAP_NONE ? 0 : ~heap->key[item];
}

uint64_t finf_policy_zone(const struct finf_policy *p, uint64_t arena_bytes)
{
	uint64_t resident = largest(&p->arenas), running = largest(&p->runs);

	return p->opts.runs_max * FINF_MAX(arena_bytes, FINF_MAX(resident, running));
}

enum finf_reason finf_policy_never_fits(const struct finf_policy *p, uint32_t model,
					uint64_t arena_bytes)
{
	const struct finf_policy_model *m = &p->models[model].pub;
	uint64_t arena = FINF_MAX(arena_bytes, m->arena_bytes);
	uint64_t others = p->pinned - (m->pinned ? m->weight_bytes : 0);

	if (arena > FINF_POLICY_BYTES_MAX ||
	    m->weight_bytes + p->opts.runs_max * arena > p->opts.pool_bytes)
		return FINF_WHY_TOO_LARGE;
	arena = FINF_MAX(arena, largest(&p->pins));
	if (others + m->weight_bytes + p->opts.runs_max * arena > p->opts.pool_bytes)
		return FINF_WHY_BUSY;
	return FINF_WHY_NONE;
}
