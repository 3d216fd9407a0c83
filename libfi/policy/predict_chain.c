/* SPDX-License-Identifier: MIT */
/*
 * policy: a Markov chain over models. B follows A when it is asked for within
 * WINDOW_NS and among the BACK models after A: so a stranger in between does not
 * hide the pair. Each model keeps its SUCCESSORS most frequent followers; the
 * rarest makes way as in Misra and Gries, "Finding repeated elements" (1982).
 */
#include <errno.h>
#include <stdlib.h>

#include "policy/predict.h"

#define SUCCESSORS FINF_PREDICTIONS_MAX
#define BACK 3u
#define WINDOW_NS 30000000000ull
#define SLACK_NS 100000000ull
#define VISITS_MAX 32u
#define SURE_MIN 2u

struct successor {
	uint32_t model, count;
	uint64_t gap_ns; /* mean time from A to B */
	uint64_t visit;	 /* of A, in which it was counted: once each */
};

struct link {
	struct successor next[SUCCESSORS];
	uint64_t visit, last_ns;
	uint32_t visits; /* ended ones, decayed like the counts */
};

struct chain {
	struct link *links;   /* owned */
	uint32_t recent[BACK]; /* latest first */
};

static void chain_free(void *state)
{
	struct chain *c = state;

	if (c)
		free(c->links);
	free(c);
}

static int chain_new(uint32_t models_max, void **ret_state)
{
	struct chain *c = calloc(1, sizeof(*c));

	if (c)
		c->links = calloc(models_max, sizeof(*c->links));
	if (!c || !c->links) {
		chain_free(c);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < BACK; i++)
		c->recent[i] = FINF_MODEL_NONE;
	*ret_state = c;
	return 0;
}

static void chain_forget(void *state, uint32_t model)
{
	struct chain *c = state;

	c->links[model] = (struct link){0};
	for (uint32_t i = 0; i < BACK; i++)
		if (c->recent[i] == model)
			c->recent[i] = FINF_MODEL_NONE;
}

/* The place of @model among the followers, or of the rarest when it has none. */
static struct successor *find(struct link *a, uint32_t model)
{
	struct successor *rarest = &a->next[0];

	for (uint32_t i = 0; i < SUCCESSORS; i++) {
		if (a->next[i].count && a->next[i].model == model)
			return &a->next[i];
		if (a->next[i].count < rarest->count)
			rarest = &a->next[i];
	}
	return rarest;
}

static void follows(struct link *a, uint32_t model, uint64_t now_ns)
{
	struct successor *s = find(a, model);
	uint64_t gap_ns = now_ns - a->last_ns;

	if (gap_ns > WINDOW_NS)
		return;
	if (s->count && s->model != model) {
		s->count--;
		return;
	}
	if (!s->count)
		*s = (struct successor){.model = model, .gap_ns = gap_ns};
	if (s->visit == a->visit)
		return;
	s->visit = a->visit;
	s->count++;
	s->gap_ns = (3 * s->gap_ns + gap_ns) / 4;
}

/* A visit has ended; halve the counts now and then, so that old habits fade. */
static void count_visit(struct link *a)
{
	if (++a->visits < VISITS_MAX)
		return;
	a->visits /= 2;
	for (uint32_t i = 0; i < SUCCESSORS; i++)
		a->next[i].count /= 2;
}

static void remember(struct chain *c, uint32_t model)
{
	uint32_t at = 0;

	while (at < BACK - 1 && c->recent[at] != model)
		at++;
	for (; at; at--)
		c->recent[at] = c->recent[at - 1];
	c->recent[0] = model;
}

static uint32_t chain_saw(void *state, uint32_t model, uint64_t now_ns,
			  struct finf_prediction ret[FINF_PREDICTIONS_MAX])
{
	struct chain *c = state;
	struct link *a = &c->links[model];
	uint32_t n = 0;

	for (uint32_t i = 0; i < BACK; i++)
		if (c->recent[i] != FINF_MODEL_NONE && c->recent[i] != model)
			follows(&c->links[c->recent[i]], model, now_ns);
	/* Again and again the same model is one visit. */
	if (c->recent[0] != model) {
		if (a->visit++)
			count_visit(a);
		remember(c, model);
	}
	a->last_ns = now_ns;
	for (uint32_t i = 0; i < SUCCESSORS; i++) {
		const struct successor *s = &a->next[i];

		if (s->count < SURE_MIN || s->visit == a->visit)
			continue;
		ret[n++] = (struct finf_prediction){
			.model = s->model,
			.other = model,
			.reason = FINF_WHY_CHAIN,
			.confidence_pct = FINF_MIN(s->count * 100 / FINF_MAX(a->visits, 1u), 100u),
			.from_ns = now_ns,
			.until_ns = now_ns + 4 * s->gap_ns + SLACK_NS,
		};
	}
	return n;
}

const struct finf_predict_ops finf_predict_chain = {
	.name = "chain",
	.new = chain_new,
	.free = chain_free,
	.forget = chain_forget,
	.saw = chain_saw,
};
