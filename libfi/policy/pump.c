/* SPDX-License-Identifier: MIT */
/*
 * policy: what is due now. Each verb below does at most one thing and says
 * whether it did; the pump repeats them, most urgent first, until none does.
 *
 * Room goes to the models that need it strictly by the age of their oldest
 * request: only the first, the head, may cause evictions, so nobody refills
 * what was freed for it. Requests of resident models run meanwhile, older ones
 * always, younger ones PASS_MAX times when the head can only be served by
 * taking the models that those requests need.
 */
#include <errno.h>

#include "policy/priv.h"

void finf_policy_emit(struct finf_policy *p, const struct finf_action *action)
{
	p->actions[p->n_actions++] = *action;
}

/* ---- replies ------------------------------------------------------------ */

static bool expire_one(struct finf_policy *p)
{
	uint32_t slot = finf_heap_min(&p->deadlines), model;

	if (slot == FINF_HEAP_NONE || p->slots[slot].deadline_ns > p->now)
		return false;
	model = p->slots[slot].model;
	finf_slot_finish(p, slot, ETIME, FINF_WHY_DEADLINE);
	finf_model_refile(p, model);
	return true;
}

static bool reply_one(struct finf_policy *p)
{
	uint32_t slot = p->done.head;
	const struct finf_slot *s;

	if (slot == FINF_SLOT_NONE)
		return false;
	s = &p->slots[slot];
	finf_policy_emit(p, &(struct finf_action){
		.kind = FINF_DO_REPLY,
		.model = s->model,
		.id = s->id,
		.a = s->err,
		.reason = s->reason,
		.other = FINF_MODEL_NONE,
	});
	finf_slot_drop(p, slot);
	return true;
}

/* ---- a lost device: nothing is there any more ----------------------------- */

/* Models that hold bytes, resident or loading, are those in `arenas`. Loads that were
 * given up stay there until they report, few at a time: the search is short. */
static bool lose_one(struct finf_policy *p)
{
	if (p->device == FINF_DEVICE_OK)
		return false;
	for (uint32_t i = p->arenas.len; i-- > 0;) {
		uint32_t model = p->arenas.items[i];
		struct finf_policy_entry *m = &p->models[model];

		if (m->pub.fast_bytes) {
			finf_fast_shrink(p, model, FINF_WHY_DEVICE, FINF_MODEL_NONE);
			return true;
		}
		if (m->pub.residency == FINF_RESIDENT) {
			m->restore_seq = m->pub.pinned ? ++p->seq : 0;
			finf_policy_evict(p, model, FINF_WHY_DEVICE, FINF_MODEL_NONE);
			return true;
		}
		if (!m->cancelled) {
			finf_prefetch_cancel(p, model, FINF_WHY_DEVICE, FINF_MODEL_NONE);
			return true;
		}
	}
	return false;
}

/* ---- compaction: everything else rests ---------------------------------- */

/* All the way: a hole of the size of the weights would not do where the zone
 * has to grow too, and what it would have spared is moved again next time. */

static bool compact(struct finf_policy *p)
{
	const struct finf_policy_entry *m = &p->models[p->compact_for];

	if (p->compact != FINF_COMPACT_WANTED)
		return false;
	if (!finf_model_wanted(m)) {
		p->compact = FINF_COMPACT_NO;
		return true;
	}
	if (finf_fast_unmake(p, FINF_WHY_FRAGMENTED, p->compact_for))
		return true;
	if (p->n_running || p->n_loading || p->n_evicting)
		return false;
	p->compact = FINF_COMPACT_RUNNING;
	finf_policy_emit(p, &(struct finf_action){
		.kind = FINF_DO_COMPACT,
		.model = p->compact_for,
		.reason = FINF_WHY_FRAGMENTED,
		.other = FINF_MODEL_NONE,
	});
	return true;
}

/* ---- room for the head --------------------------------------------------- */

bool finf_policy_fits(const struct finf_policy *p, uint64_t used, uint64_t weights,
		      uint64_t arena)
{
	return used + weights + finf_policy_zone(p, arena) <= p->opts.pool_bytes;
}

/* Would the head have its room if the pool carried @used bytes of weights? */
static bool head_fits(const struct finf_policy *p, uint32_t head, uint64_t used)
{
	const struct finf_policy_entry *m = &p->models[head];

	if (m->wants_room)
		return finf_policy_fits(p, used, 0, p->slots[m->queue.head].arena_bytes);
	return finf_policy_fits(p, used, m->pub.weight_bytes, m->pub.arena_bytes);
}

/* The model to make room for now; FINF_HEAP_NONE when there is none or it waits for its turn. */
static uint32_t head_to_serve(const struct finf_policy *p)
{
	uint32_t head = finf_heap_min(&p->room);
	const struct finf_policy_entry *m;

	if (p->compact || head == FINF_HEAP_NONE)
		return FINF_HEAP_NONE;
	m = &p->models[head];
	if (m->pub.residency == FINF_EVICTING)
		return FINF_HEAP_NONE;
	/* Room for a run is worth nothing before it can start. */
	if (m->wants_room && p->n_running >= p->opts.runs_max)
		return FINF_HEAP_NONE;
	/* A run whose load failed has yet to report; never two loads at once. */
	if (m->pub.residency == FINF_COLD &&
	    (m->pub.running || p->n_loading >= p->opts.loads_max))
		return FINF_HEAP_NONE;
	/* Compaction did not help: try again only when the next victim is gone. */
	if (m->tries > 1 && p->n_evicting)
		return FINF_HEAP_NONE;
	return head;
}

static bool needs_victim(const struct finf_policy *p, uint32_t head)
{
	return p->models[head].evict_more || !head_fits(p, head, p->kept);
}

/* The head, when neither faster forms nor models at rest without requests can give it its room. */
static uint32_t blocked_head(const struct finf_policy *p)
{
	uint32_t head = head_to_serve(p);

	if (head == FINF_HEAP_NONE || p->idle.len || p->fast.len || !needs_victim(p, head))
		return FINF_HEAP_NONE;
	return head;
}

bool finf_policy_head_blocked(const struct finf_policy *p)
{
	uint32_t head = finf_heap_min(&p->room);

	if (head == FINF_HEAP_NONE || p->models[head].pub.residency == FINF_EVICTING)
		return false;
	if (p->models[head].pub.residency == FINF_COLD && p->n_loading >= p->opts.loads_max)
		return true;
	return !p->idle.len && !p->fast.len && needs_victim(p, head);
}

void finf_policy_evict(struct finf_policy *p, uint32_t model, enum finf_reason reason,
		       uint32_t other)
{
	struct finf_policy_entry *m = &p->models[model];

	if (m->pub.fast_bytes)
		finf_fast_shrink(p, model, reason, other);
	m->pub.evictions++;
	finf_model_residency(p, model, FINF_EVICTING);
	finf_policy_emit(p, &(struct finf_action){
		.kind = FINF_DO_EVICT,
		.model = model,
		.a = m->pub.weight_bytes,
		.reason = reason,
		.other = other,
	});
}

static enum finf_reason take_reason(const struct finf_policy_entry *head)
{
	if (head->evict_more)
		return FINF_WHY_FRAGMENTED;
	return head->wants_room ? FINF_WHY_ROOM_ARENA : FINF_WHY_ROOM_WEIGHTS;
}

static void evict_for(struct finf_policy *p, uint32_t victim, uint32_t head)
{
	struct finf_policy_entry *m = &p->models[head];
	enum finf_reason reason = take_reason(m);

	m->evict_more = false;
	finf_policy_evict(p, victim, reason, head);
}

/* Faster forms go before any model does. */
static bool shrink_for(struct finf_policy *p, uint32_t head)
{
	struct finf_policy_entry *m = &p->models[head];

	if (!finf_fast_give(p, take_reason(m), head))
		return false;
	m->evict_more = false;
	return true;
}

void finf_policy_load(struct finf_policy *p, uint32_t model, enum finf_reason reason,
		      uint32_t other)
{
	struct finf_policy_entry *m = &p->models[model];

	m->load_step = p->step;
	m->began_ns = p->now;
	finf_model_residency(p, model, FINF_LOADING);
	finf_policy_emit(p, &(struct finf_action){
		.kind = FINF_DO_LOAD,
		.model = model,
		.a = finf_policy_zone(p, 0),
		.b = m->pub.weight_bytes,
		.reason = reason,
		.other = other,
	});
}

static void load_head(struct finf_policy *p, uint32_t head)
{
	const struct finf_policy_entry *m = &p->models[head];
	enum finf_reason reason = m->queue.head != FINF_SLOT_NONE  ? FINF_WHY_REQUEST
				  : m->cmds.head != FINF_SLOT_NONE ? FINF_WHY_OPERATOR
								   : FINF_WHY_DEVICE;

	finf_policy_load(p, head, reason, FINF_MODEL_NONE);
}

/* The age of the request that room is being made for in vain; UINT64_MAX = none. */
static uint64_t blocked_seq(const struct finf_policy *p)
{
	uint32_t head = blocked_head(p);

	return head == FINF_HEAP_NONE ? UINT64_MAX : p->room.key[head];
}

static bool may_pass(const struct finf_policy *p, uint64_t seq)
{
	uint64_t head = blocked_seq(p);

	return seq < head || p->passed_seq != head || p->passed < FINF_POLICY_PASS_MAX;
}

static void count_passing(struct finf_policy *p, uint64_t seq)
{
	uint64_t head = blocked_seq(p);

	if (seq < head)
		return;
	p->passed = p->passed_seq == head ? p->passed + 1 : 1;
	p->passed_seq = head;
}

static void run(struct finf_policy *p, uint32_t model)
{
	struct finf_policy_entry *m = &p->models[model];
	uint32_t slot = m->queue.head;

	count_passing(p, p->slots[slot].seq);
	finf_slot_run(p, slot);
	m->pub.last_used_ns = p->now;
	finf_model_refile(p, model);
	finf_policy_emit(p, &(struct finf_action){
		.kind = FINF_DO_RUN,
		.id = p->slots[slot].id,
		.model = model,
		.a = finf_policy_zone(p, 0),
		.reason = FINF_WHY_REQUEST,
		.other = FINF_MODEL_NONE,
	});
}

static bool serve_head(struct finf_policy *p)
{
	uint32_t head = head_to_serve(p), victim = finf_heap_min(&p->idle);

	if (head == FINF_HEAP_NONE)
		return false;
	if (needs_victim(p, head)) {
		if (shrink_for(p, head))
			return true;
		if (victim == FINF_HEAP_NONE)
			return false;
		evict_for(p, victim, head);
		return true;
	}
	if (!head_fits(p, head, p->held))
		return false; /* EVICTED will bring the rest */
	if (p->models[head].wants_room) {
		p->models[head].wants_room = false;
		finf_model_refile(p, head);
		run(p, head); /* now, before the next head takes the room */
	} else {
		load_head(p, head);
	}
	return true;
}

/* ---- runs ---------------------------------------------------------------- */

static bool zone_fits(const struct finf_policy *p, uint32_t model)
{
	return finf_policy_fits(p, p->held, 0, p->slots[p->models[model].queue.head].arena_bytes);
}

/* A run of a loading model holds its executing slot until the load is done, so
 * it comes last; and only from a later TICK, when a NO_PLACE would have come. */
static bool run_loading(struct finf_policy *p)
{
	uint32_t model = finf_heap_min(&p->loading);

	if (model == FINF_HEAP_NONE || !may_pass(p, p->loading.key[model]) ||
	    !zone_fits(p, model))
		return false;
	if (!p->ticking || p->models[model].load_step == p->step) {
		p->more = true;
		return false;
	}
	run(p, model);
	return true;
}

static bool start_run(struct finf_policy *p)
{
	uint32_t model = finf_heap_min(&p->ready);

	if (p->compact || p->n_running >= p->opts.runs_max)
		return false;
	if (model == FINF_HEAP_NONE || !may_pass(p, p->ready.key[model]))
		return run_loading(p);
	if (zone_fits(p, model)) {
		run(p, model);
	} else {
		p->models[model].wants_room = true;
		finf_model_refile(p, model);
	}
	return true;
}

/* ---- last resort ---------------------------------------------------------- */

/* Least valuable of the models that have younger requests; the head may be among them. */
static uint32_t busy_victim(struct finf_policy *p, uint32_t head)
{
	bool in = finf_heap_has(&p->busy, head);
	uint64_t key = p->busy.key[head];
	uint32_t victim;

	finf_heap_drop(&p->busy, head);
	victim = finf_heap_min(&p->busy);
	if (in)
		finf_heap_put(&p->busy, head, key);
	return victim;
}

/* Not even models with requests can give the head its room: pins came in between. */
static void give_up(struct finf_policy *p, uint32_t head)
{
	struct finf_policy_entry *m = &p->models[head];
	enum finf_reason reason = m->evict_more ? FINF_WHY_FRAGMENTED : FINF_WHY_BUSY;

	if (m->wants_room)
		finf_slot_finish(p, m->queue.head, ENOBUFS, reason);
	else
		finf_model_finish_all(p, head, ENOBUFS, reason);
	m->evict_more = m->wants_room = false;
	m->tries = 0;
	finf_model_refile(p, head);
}

/* Nothing is under way that could free room, and nothing older can run. */
static bool force_head(struct finf_policy *p)
{
	uint32_t head = blocked_head(p), victim;

	if (head == FINF_HEAP_NONE || p->n_running || p->n_loading || p->n_evicting)
		return false;
	victim = busy_victim(p, head);
	if (victim != FINF_HEAP_NONE)
		evict_for(p, victim, head);
	else
		give_up(p, head);
	return true;
}

/* What asks something of the device. */
static bool use_device(struct finf_policy *p)
{
	return p->device == FINF_DEVICE_OK &&
	       (finf_prefetch_overtake(p) || compact(p) || serve_head(p) || start_run(p) ||
		force_head(p) || finf_prefetch_one(p) || finf_fast_forbid(p) || finf_fast_one(p));
}

void finf_policy_pump(struct finf_policy *p)
{
	p->more = false;
	while (p->n_actions < FINF_POLICY_ACTIONS_MAX)
		if (!expire_one(p) && !reply_one(p) && !lose_one(p) && !finf_prefetch_time(p) &&
		    !use_device(p))
			return;
	p->more = true;
}
