/* SPDX-License-Identifier: MIT */
/* policy: slots of requests and commands, their lists, the index by id. */
#include <errno.h>
#include <stdlib.h>

#include "policy/priv.h"

static void list_link(struct finf_policy *p, struct finf_list *list, uint32_t slot,
		      uint32_t after)
{
	uint32_t before = after == FINF_SLOT_NONE ? list->head : p->slots[after].next;

	p->slots[slot].prev = after;
	p->slots[slot].next = before;
	*(after == FINF_SLOT_NONE ? &list->head : &p->slots[after].next) = slot;
	*(before == FINF_SLOT_NONE ? &list->tail : &p->slots[before].prev) = slot;
}

static void list_unlink(struct finf_policy *p, struct finf_list *list, uint32_t slot)
{
	uint32_t prev = p->slots[slot].prev, next = p->slots[slot].next;

	*(prev == FINF_SLOT_NONE ? &list->head : &p->slots[prev].next) = next;
	*(next == FINF_SLOT_NONE ? &list->tail : &p->slots[next].prev) = prev;
}

int finf_slots_init(struct finf_policy *p)
{
	uint32_t n = p->opts.requests_max, buckets = 16;

	while (buckets < n)
		buckets *= 2;
	p->buckets_mask = buckets - 1;
	p->slots = calloc(n, sizeof(*p->slots));
	p->buckets = malloc(buckets * sizeof(*p->buckets));
	if (!p->slots || !p->buckets)
		return -ENOMEM;
	for (uint32_t i = 0; i < buckets; i++)
		p->buckets[i] = FINF_SLOT_NONE;
	p->free = p->done = (struct finf_list){FINF_SLOT_NONE, FINF_SLOT_NONE};
	for (uint32_t i = 0; i < n; i++)
		list_link(p, &p->free, i, p->free.tail);
	return 0;
}

void finf_slots_fini(struct finf_policy *p)
{
	free(p->slots);
	free(p->buckets);
}

/* Ids count up in practice; the multiplier (2^64 / golden ratio) spreads them. */
static uint32_t *bucket(const struct finf_policy *p, uint64_t id)
{
	return &p->buckets[(id * 0x9e3779b97f4a7c15u >> 32) & p->buckets_mask];
}

uint32_t finf_slot_find(const struct finf_policy *p, uint64_t id)
{
	uint32_t slot = id ? *bucket(p, id) : FINF_SLOT_NONE;

	while (slot != FINF_SLOT_NONE && p->slots[slot].id != id)
		slot = p->slots[slot].chain;
	return slot;
}

/* The list a slot is in follows from its kind and state. */
static struct finf_list *list_of(struct finf_policy *p, const struct finf_slot *s)
{
	struct finf_policy_entry *m = &p->models[s->model];

	if (s->state == FINF_SLOT_DONE)
		return &p->done;
	if (s->state != FINF_SLOT_QUEUED)
		return NULL;
	if (s->kind == FINF_SLOT_RUN)
		return &m->queue;
	return s->kind == FINF_SLOT_LEAVE ? &m->leave : &m->cmds;
}

static void enqueue(struct finf_policy *p, uint32_t slot, bool front)
{
	struct finf_slot *s = &p->slots[slot];
	struct finf_list *list;

	s->state = FINF_SLOT_QUEUED;
	list = list_of(p, s);
	list_link(p, list, slot, front ? FINF_SLOT_NONE : list->tail);
	if (s->kind != FINF_SLOT_LEAVE)
		p->models[s->model].pub.queued++;
	if (s->deadline_ns)
		finf_heap_put(&p->deadlines, slot, s->deadline_ns);
}

static void dequeue(struct finf_policy *p, uint32_t slot)
{
	struct finf_slot *s = &p->slots[slot];

	list_unlink(p, list_of(p, s), slot);
	if (s->kind != FINF_SLOT_LEAVE)
		p->models[s->model].pub.queued--;
	finf_heap_drop(&p->deadlines, slot);
}

uint32_t finf_slot_take(struct finf_policy *p, enum finf_slot_kind kind,
			const struct finf_event *event)
{
	uint32_t slot = p->free.head, *at;
	struct finf_slot *s;

	if (slot == FINF_SLOT_NONE)
		return slot;
	s = &p->slots[slot];
	list_unlink(p, &p->free, slot);
	*s = (struct finf_slot){
		.id = event->id,
		.seq = ++p->seq,
		.model = event->model,
		.kind = kind,
	};
	if (kind == FINF_SLOT_RUN) {
		s->deadline_ns = event->a;
		s->arena_bytes = event->b;
		p->models[s->model].pub.requests++;
	}
	at = bucket(p, s->id);
	s->chain = *at;
	*at = slot;
	enqueue(p, slot, false);
	return slot;
}

/* Off every list and order: ready to be done, free, or running again. */
static void detach(struct finf_policy *p, uint32_t slot)
{
	struct finf_slot *s = &p->slots[slot];
	struct finf_policy_entry *m = &p->models[s->model];

	if (s->state == FINF_SLOT_QUEUED) {
		dequeue(p, slot);
	} else if (s->state == FINF_SLOT_DONE) {
		list_unlink(p, &p->done, slot);
	} else if (s->state == FINF_SLOT_RUNNING) {
		finf_heap_drop(&p->runs, slot);
		p->n_running--;
		m->pub.running--;
		m->muted -= s->muted;
	}
}

static void release(struct finf_policy *p, uint32_t slot)
{
	struct finf_slot *s = &p->slots[slot];
	uint32_t *at = bucket(p, s->id);

	while (*at != slot)
		at = &p->slots[*at].chain;
	*at = s->chain;
	s->state = FINF_SLOT_FREE;
	list_link(p, &p->free, slot, p->free.tail);
}

void finf_slot_drop(struct finf_policy *p, uint32_t slot)
{
	detach(p, slot);
	release(p, slot);
}

void finf_slot_finish(struct finf_policy *p, uint32_t slot, uint32_t err, enum finf_reason reason)
{
	struct finf_slot *s = &p->slots[slot];

	detach(p, slot);
	if (s->kind == FINF_SLOT_PIN && err)
		finf_model_pin(p, s->model, false);
	if (s->muted) {
		release(p, slot);
		return;
	}
	s->state = FINF_SLOT_DONE;
	s->err = err;
	s->reason = reason;
	list_link(p, &p->done, slot, p->done.tail);
}

void finf_slot_run(struct finf_policy *p, uint32_t slot)
{
	struct finf_slot *s = &p->slots[slot];

	detach(p, slot);
	s->state = FINF_SLOT_RUNNING;
	finf_heap_put(&p->runs, slot, ~s->arena_bytes);
	p->n_running++;
	p->models[s->model].pub.running++;
}

void finf_slot_unrun(struct finf_policy *p, uint32_t slot)
{
	detach(p, slot);
	enqueue(p, slot, true);
}
