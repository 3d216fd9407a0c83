/* SPDX-License-Identifier: MIT */
/*
 * policy: what each event changes. A handler refuses with the state untouched,
 * or changes it and answers at most once itself; all that follows is pumped.
 */
#include <errno.h>

#include "policy/priv.h"

/* The model of a report of the caller; NULL when there is none in this residency. */
static struct finf_policy_entry *entry_in(struct finf_policy *p, const struct finf_event *event,
					  enum finf_residency residency)
{
	struct finf_policy_entry *m;

	if (event->model >= p->opts.models_max)
		return NULL;
	m = &p->models[event->model];
	return m->pub.known && m->pub.residency == residency ? m : NULL;
}

/* The model a client means; NULL when there is none, or no more. */
static struct finf_policy_entry *entry_of(struct finf_policy *p, const struct finf_event *event)
{
	struct finf_policy_entry *m;

	if (event->model >= p->opts.models_max)
		return NULL;
	m = &p->models[event->model];
	return m->pub.known && !m->leaving ? m : NULL;
}

/* The running slot that a report is about; FINF_SLOT_NONE when there is none. */
static uint32_t running_slot(const struct finf_policy *p, const struct finf_event *event)
{
	uint32_t slot = finf_slot_find(p, event->id);

	if (slot == FINF_SLOT_NONE || p->slots[slot].state != FINF_SLOT_RUNNING ||
	    p->slots[slot].model != event->model)
		return FINF_SLOT_NONE;
	return slot;
}

static bool id_is_new(const struct finf_policy *p, uint64_t id)
{
	return id && finf_slot_find(p, id) == FINF_SLOT_NONE;
}

/* Answer an event that never became a slot. */
static int reply(struct finf_policy *p, const struct finf_event *event, uint32_t err,
		 enum finf_reason reason)
{
	finf_policy_emit(p, &(struct finf_action){
		.kind = FINF_DO_REPLY,
		.model = event->model,
		.id = event->id,
		.a = err,
		.reason = reason,
		.other = FINF_MODEL_NONE,
	});
	return 0;
}

static int take(struct finf_policy *p, const struct finf_event *event, enum finf_slot_kind kind)
{
	if (finf_slot_take(p, kind, event) == FINF_SLOT_NONE)
		return reply(p, event, EAGAIN, FINF_WHY_QUEUE_FULL);
	finf_model_refile(p, event->model);
	return 0;
}

static int on_add(struct finf_policy *p, const struct finf_event *event)
{
	const struct finf_list none = {FINF_SLOT_NONE, FINF_SLOT_NONE};
	struct finf_policy_entry *m;

	if (event->model >= p->opts.models_max)
		return -EINVAL;
	m = &p->models[event->model];
	if (m->pub.known || event->a > FINF_POLICY_BYTES_MAX || event->b > FINF_POLICY_BYTES_MAX)
		return -EINVAL;
	*m = (struct finf_policy_entry){
		.pub = {.known = true, .weight_bytes = event->a, .arena_bytes = event->b},
		.queue = none,
		.cmds = none,
		.leave = none,
	};
	finf_prefetch_forget(p, event->model);
	return 0;
}

static bool in_use(const struct finf_policy *p, const struct finf_policy_entry *m)
{
	uint32_t model = (uint32_t)(m - p->models);

	return finf_model_wanted(m) || m->pub.running || m->pub.pinned ||
	       (m->pub.residency == FINF_LOADING && !finf_prefetch_only(p, model)) ||
	       (m->pub.residency == FINF_RESIDENT && p->compact == FINF_COMPACT_RUNNING);
}

/* Unload what nobody uses; a load ahead is given up first. */
static void let_go(struct finf_policy *p, uint32_t model)
{
	if (p->models[model].pub.residency == FINF_RESIDENT)
		finf_policy_evict(p, model, FINF_WHY_OPERATOR, FINF_MODEL_NONE);
	else if (p->models[model].pub.residency == FINF_LOADING)
		finf_prefetch_cancel(p, model, FINF_WHY_OPERATOR, FINF_MODEL_NONE);
}

/* It is cold: those who waited for that are answered. */
static void left(struct finf_policy *p, uint32_t model)
{
	struct finf_policy_entry *m = &p->models[model];

	while (m->leave.head != FINF_SLOT_NONE)
		finf_slot_finish(p, m->leave.head, 0, FINF_WHY_DONE);
	if (m->leaving) {
		m->pub.known = m->leaving = false;
		finf_prefetch_forget(p, model);
	}
}

static int on_remove(struct finf_policy *p, const struct finf_event *event)
{
	struct finf_policy_entry *m = entry_of(p, event);
	uint64_t id = event->id;

	if (id ? !id_is_new(p, id) : !m)
		return -EINVAL;
	if (!m)
		return reply(p, event, ENOENT, FINF_WHY_NONE);
	if (in_use(p, m))
		return id ? reply(p, event, EBUSY, FINF_WHY_BUSY) : -EBUSY;
	if (m->pub.residency == FINF_COLD) {
		m->pub.known = false;
		finf_prefetch_forget(p, event->model);
		return id ? reply(p, event, 0, FINF_WHY_DONE) : 0;
	}
	if (id && finf_slot_take(p, FINF_SLOT_LEAVE, event) == FINF_SLOT_NONE)
		return reply(p, event, EAGAIN, FINF_WHY_QUEUE_FULL);
	m->leaving = true;
	let_go(p, event->model);
	return 0;
}

/* Requests and commands that need room share their refusals. 0 = go on, 1 = answered. */
static int admit(struct finf_policy *p, const struct finf_event *event, uint64_t arena_bytes)
{
	enum finf_reason never;

	if (!id_is_new(p, event->id))
		return -EINVAL;
	if (!entry_of(p, event))
		return reply(p, event, ENOENT, FINF_WHY_NONE), 1;
	if (p->draining)
		return reply(p, event, ESHUTDOWN, FINF_WHY_DRAINING), 1;
	if (p->device == FINF_DEVICE_GONE)
		return reply(p, event, EREMOTEIO, FINF_WHY_DEVICE), 1;
	never = finf_policy_never_fits(p, event->model, arena_bytes);
	if (never)
		return reply(p, event, ENOBUFS, never), 1;
	return 0;
}

static int on_request(struct finf_policy *p, const struct finf_event *event)
{
	int rc = admit(p, event, event->b);

	if (rc)
		return FINF_MIN(rc, 0);
	if (event->a && event->a <= p->now)
		return reply(p, event, ETIME, FINF_WHY_DEADLINE);
	finf_prefetch_request(p, event->model);
	return take(p, event, FINF_SLOT_RUN);
}

static int on_arrival(struct finf_policy *p, const struct finf_event *event)
{
	if (event->model >= p->opts.models_max || event->a >= FINF_ARRIVAL_SOURCES)
		return -EINVAL;
	if (entry_of(p, event)) /* else it went meanwhile */
		finf_prefetch_arrival(p, event->model, (uint32_t)event->a);
	return 0;
}

static int on_optimize(struct finf_policy *p, const struct finf_event *event)
{
	if (event->model >= p->opts.models_max || event->a > 1)
		return -EINVAL;
	if (entry_of(p, event)) /* else it went meanwhile */
		finf_fast_allow(p, event->model, event->a);
	return 0;
}

static int on_load(struct finf_policy *p, const struct finf_event *event)
{
	int rc = admit(p, event, 0);

	if (rc)
		return FINF_MIN(rc, 0);
	if (p->models[event->model].pub.residency == FINF_RESIDENT)
		return reply(p, event, 0, FINF_WHY_DONE);
	return take(p, event, FINF_SLOT_LOAD);
}

static int unpin(struct finf_policy *p, const struct finf_event *event)
{
	if (!id_is_new(p, event->id))
		return -EINVAL;
	if (!entry_of(p, event))
		return reply(p, event, ENOENT, FINF_WHY_NONE);
	finf_model_pin(p, event->model, false);
	return reply(p, event, 0, FINF_WHY_DONE);
}

/* The pin counts from now on, so that later ones can't promise the same bytes. */
static int on_pin(struct finf_policy *p, const struct finf_event *event)
{
	int rc = event->a ? admit(p, event, 0) : unpin(p, event);

	if (rc || !event->a)
		return FINF_MIN(rc, 0);
	if (p->models[event->model].pub.residency != FINF_RESIDENT) {
		if (p->free.head == FINF_SLOT_NONE)
			return reply(p, event, EAGAIN, FINF_WHY_QUEUE_FULL);
		finf_slot_take(p, FINF_SLOT_PIN, event);
	} else {
		reply(p, event, 0, FINF_WHY_DONE);
	}
	finf_model_pin(p, event->model, true);
	finf_model_refile(p, event->model);
	return 0;
}

static int on_unload(struct finf_policy *p, const struct finf_event *event)
{
	struct finf_policy_entry *m = entry_of(p, event);

	if (!id_is_new(p, event->id))
		return -EINVAL;
	if (!m)
		return reply(p, event, ENOENT, FINF_WHY_NONE);
	if (in_use(p, m))
		return reply(p, event, EBUSY, FINF_WHY_BUSY);
	if (m->pub.residency == FINF_COLD)
		return reply(p, event, 0, FINF_WHY_DONE);
	if (finf_slot_take(p, FINF_SLOT_LEAVE, event) == FINF_SLOT_NONE)
		return reply(p, event, EAGAIN, FINF_WHY_QUEUE_FULL);
	let_go(p, event->model);
	return 0;
}

/* A load that only the departed wanted is given up. */
static void cancel_load(struct finf_policy *p, uint32_t model)
{
	struct finf_policy_entry *m = &p->models[model];

	if (m->pub.residency != FINF_LOADING || m->cancelled || finf_model_wanted(m) ||
	    m->pub.running > m->muted)
		return;
	finf_prefetch_cancel(p, model, FINF_WHY_CANCELLED, FINF_MODEL_NONE);
}

/* Requests vanish; what is under way goes on in silence: a run, an eviction,
 * and a pin, which is a decision about the model and not a lease. */
static int on_cancel(struct finf_policy *p, const struct finf_event *event)
{
	uint32_t slot = finf_slot_find(p, event->id);
	struct finf_slot *s;

	if (slot == FINF_SLOT_NONE)
		return 0; /* its REPLY was faster */
	s = &p->slots[slot];
	if (s->state == FINF_SLOT_DONE) {
		finf_slot_drop(p, slot);
		return 0;
	}
	if (s->state == FINF_SLOT_RUNNING && !s->muted)
		p->models[s->model].muted++;
	if (s->state == FINF_SLOT_RUNNING || s->kind == FINF_SLOT_PIN ||
	    s->kind == FINF_SLOT_LEAVE)
		s->muted = true;
	else
		finf_slot_drop(p, slot);
	finf_model_refile(p, s->model);
	cancel_load(p, s->model);
	return 0;
}

static int on_loaded(struct finf_policy *p, const struct finf_event *event)
{
	struct finf_policy_entry *m = entry_in(p, event, FINF_LOADING);
	bool go;

	if (!m)
		return -EINVAL;
	/* Unloading gave up this load, too late: who came after that waits for another. */
	go = m->leave.head != FINF_SLOT_NONE || m->leaving;
	m->pub.loads++;
	finf_prefetch_loaded(p, event->model);
	m->pub.last_used_ns = p->now;
	m->tries = 0;
	m->restore_seq = 0;
	while (!go && m->cmds.head != FINF_SLOT_NONE)
		finf_slot_finish(p, m->cmds.head, 0, FINF_WHY_DONE);
	finf_model_residency(p, event->model, FINF_RESIDENT);
	if (go)
		let_go(p, event->model);
	return 0;
}

static int on_load_failed(struct finf_policy *p, const struct finf_event *event)
{
	struct finf_policy_entry *m = entry_in(p, event, FINF_LOADING);
	bool cancelled;

	if (!m || !event->a || event->a > INT32_MAX)
		return -EINVAL;
	cancelled = m->cancelled;
	if (!cancelled)
		finf_prefetch_failed(p, event->model, true);
	finf_model_residency(p, event->model, FINF_COLD);
	/* Who came after the CANCEL_LOAD wants another try. */
	if (!cancelled)
		finf_model_finish_all(p, event->model, (uint32_t)event->a, FINF_WHY_LOAD_FAILED);
	left(p, event->model);
	return 0;
}

/* The first time compact, later evict one more and try again. */
static void want_place(struct finf_policy *p, uint32_t model)
{
	struct finf_policy_entry *m = &p->models[model];

	if (m->tries++) {
		m->evict_more = true;
	} else if (p->compact == FINF_COMPACT_NO) {
		p->compact = FINF_COMPACT_WANTED;
		p->compact_for = model;
	}
}

static int no_place_for_run(struct finf_policy *p, const struct finf_event *event)
{
	uint32_t slot = running_slot(p, event);
	struct finf_policy_entry *m;

	if (slot == FINF_SLOT_NONE)
		return -EINVAL;
	m = &p->models[event->model];
	if (p->slots[slot].muted) {
		finf_slot_drop(p, slot);
	} else {
		finf_slot_unrun(p, slot);
		m->whole_load = m->pub.residency == FINF_LOADING;
		m->wants_room = m->pub.residency == FINF_RESIDENT;
		if (m->wants_room)
			want_place(p, event->model);
	}
	finf_model_refile(p, event->model);
	return 0;
}

static int on_no_place(struct finf_policy *p, const struct finf_event *event)
{
	struct finf_policy_entry *m = entry_in(p, event, FINF_LOADING);

	if (event->id)
		return no_place_for_run(p, event);
	if (!m || m->pub.running)
		return -EINVAL;
	finf_prefetch_failed(p, event->model, false);
	finf_model_residency(p, event->model, FINF_COLD);
	if (finf_model_wanted(m))
		want_place(p, event->model);
	left(p, event->model);
	return 0;
}

static int on_compacted(struct finf_policy *p, const struct finf_event *event)
{
	(void)event; /* failed or not, the next try will show */
	if (p->compact != FINF_COMPACT_RUNNING)
		return -EINVAL;
	p->compact = FINF_COMPACT_NO;
	return 0;
}

static int on_ran(struct finf_policy *p, const struct finf_event *event)
{
	uint32_t slot = running_slot(p, event);
	struct finf_policy_entry *m;
	enum finf_reason reason = FINF_WHY_DONE;

	if (slot == FINF_SLOT_NONE || event->a > INT32_MAX)
		return -EINVAL;
	m = &p->models[event->model];
	if (event->a && p->device != FINF_DEVICE_OK)
		reason = FINF_WHY_DEVICE;
	else if (event->a && m->pub.residency == FINF_COLD)
		reason = FINF_WHY_LOAD_FAILED;
	m->pub.last_used_ns = p->now;
	m->tries = 0;
	finf_slot_finish(p, slot, (uint32_t)event->a, reason);
	if (!event->a)
		finf_fast_ran(p, event->model);
	finf_model_refile(p, event->model);
	return 0;
}

static int on_evicted(struct finf_policy *p, const struct finf_event *event)
{
	struct finf_policy_entry *m = entry_in(p, event, FINF_EVICTING);

	if (!m)
		return -EINVAL;
	finf_model_residency(p, event->model, FINF_COLD);
	left(p, event->model);
	return 0;
}

static int on_tick(struct finf_policy *p, const struct finf_event *event)
{
	(void)p, (void)event;
	return 0;
}

static int on_drain(struct finf_policy *p, const struct finf_event *event)
{
	(void)event;
	p->draining = true;
	return 0;
}

static int on_device_lost(struct finf_policy *p, const struct finf_event *event)
{
	(void)event;
	if (p->device != FINF_DEVICE_OK)
		return -EINVAL;
	p->device = FINF_DEVICE_LOST;
	if (p->compact == FINF_COMPACT_WANTED)
		p->compact = FINF_COMPACT_NO; /* what is fragmented is gone */
	return 0;
}

/* The last try failed: whoever waits hears it, and no pin can be kept. */
static void device_gone(struct finf_policy *p)
{
	p->device = FINF_DEVICE_GONE;
	for (uint32_t i = 0; i < p->opts.models_max; i++) {
		if (!p->models[i].pub.known)
			continue;
		finf_model_finish_all(p, i, EREMOTEIO, FINF_WHY_DEVICE);
		finf_model_pin(p, i, false);
	}
}

static int on_device_back(struct finf_policy *p, const struct finf_event *event)
{
	if (p->device != FINF_DEVICE_LOST || p->more || p->n_running || p->n_loading ||
	    p->n_evicting || p->compact == FINF_COMPACT_RUNNING || event->a > INT32_MAX)
		return -EINVAL;
	if (event->a)
		device_gone(p);
	else
		p->device = FINF_DEVICE_OK;
	return 0;
}

static int (*const handlers[])(struct finf_policy *, const struct finf_event *) = {
	[FINF_EV_ADD] = on_add,
	[FINF_EV_REMOVE] = on_remove,
	[FINF_EV_REQUEST] = on_request,
	[FINF_EV_CANCEL] = on_cancel,
	[FINF_EV_LOAD] = on_load,
	[FINF_EV_UNLOAD] = on_unload,
	[FINF_EV_PIN] = on_pin,
	[FINF_EV_LOADED] = on_loaded,
	[FINF_EV_LOAD_FAILED] = on_load_failed,
	[FINF_EV_NO_PLACE] = on_no_place,
	[FINF_EV_COMPACTED] = on_compacted,
	[FINF_EV_RAN] = on_ran,
	[FINF_EV_EVICTED] = on_evicted,
	[FINF_EV_TICK] = on_tick,
	[FINF_EV_DRAIN] = on_drain,
	[FINF_EV_ARRIVAL] = on_arrival,
	[FINF_EV_DEVICE_LOST] = on_device_lost,
	[FINF_EV_DEVICE_BACK] = on_device_back,
	[FINF_EV_OPTIMIZE] = on_optimize,
	[FINF_EV_PRICED] = finf_fast_priced,
	[FINF_EV_GROWN] = finf_fast_grown,
	[FINF_EV_SLOWER] = finf_fast_slower,
};

int finf_policy_handle(struct finf_policy *p, const struct finf_event *event)
{
	if (event->kind >= FINF_ARRAY_LEN(handlers) || !handlers[event->kind])
		return -EINVAL;
	return handlers[event->kind](p, event);
}
