/* SPDX-License-Identifier: MIT */
/*
 * engine/fat: the larger forms of weights that pay. They are measured with one thread, so that
 * no team is woken beside the one that serves. How oneDNN lays such weights out and what room it
 * wants may depend on how many threads are to read them: then what one thread gained over its own
 * layout is taken for the other, and lanes, where both read the same weights, do without.
 */
#include <errno.h>
#include <string.h>

#include "engine/priv.h"

/* Less than this is not worth bytes that may be four times as many. */
#define GAIN_MIN_PCT 5

static struct finf_form *find(const struct finf_form_list *list, const struct finf_form *like,
			      uint32_t flags)
{
	struct finf_form *best = NULL;

	for (uint32_t k = 0; k < list->n; k++) {
		struct finf_form *form = &list->forms[k];

		if ((form->flags & FINF_FORM_FAT) == flags && form->in_layout == like->in_layout &&
		    form->out_layout == like->out_layout && (!best || form->est_ns < best->est_ns))
			best = form;
	}
	return best;
}

static void drop(struct finf_form_list *list, uint32_t k)
{
	list->forms[k] = list->forms[--list->n];
}

/* Of what one thread takes for the lean form, so much; 1 where there is no saying. */
static double ratio(const struct finf_form_list *one, const struct finf_form *fat)
{
	const struct finf_form *fat_one = find(one, fat, FINF_FORM_FAT);
	const struct finf_form *lean_one = find(one, fat, 0);

	if (!fat_one || !lean_one)
		return 1;
	return (double)fat_one->est_ns / (double)FINF_MAX(lean_one->est_ns, 1u);
}

/* Prices as measured; what gains too little goes. */
static void keep_worthy(struct finf_form_list *list, const struct finf_form_list *one)
{
	for (uint32_t k = list->n; k-- > 0;) {
		struct finf_form *form = &list->forms[k];
		const struct finf_form *lean = find(list, form, 0);
		double part;

		if (!(form->flags & FINF_FORM_FAT))
			continue;
		part = lean ? ratio(one, form) : 0; /* without a lean one it has to be */
		if (lean)
			form->est_ns = (uint64_t)((double)lean->est_ns * part) + 1;
		if (part * 100 > 100 - GAIN_MIN_PCT)
			drop(list, k);
	}
}

static bool has_fat(const struct finf_form_table *table)
{
	for (uint32_t i = 0; i < table->n_nodes; i++)
		for (uint32_t k = 0; k < table->nodes[i].n; k++)
			if (table->nodes[i].forms[k].flags & FINF_FORM_FAT)
				return true;
	return false;
}

int finf_fat_forms(struct finf_device *dev, const struct finf_graph *bound, uint32_t threads,
		   const atomic_bool *stop, struct finf_form_table *ret,
		   struct finf_form_table *ret_one, struct finf_diag *diag)
{
	int err = finf_device_forms(dev, bound, threads, NULL, ret, diag);

	if (err)
		return err;
	err = has_fat(ret) ? finf_device_forms(dev, bound, 1, NULL, ret_one, diag) : -ENODATA;
	if (err) {
		finf_form_table_fini(ret);
		return err;
	}
	err = finf_engine_measure(dev, bound, 1, stop, ret_one, diag);
	if (err) {
		finf_form_table_fini(ret_one);
		finf_form_table_fini(ret);
		return err;
	}
	for (uint32_t i = 0; i < ret->n_nodes; i++)
		keep_worthy(&ret->nodes[i], &ret_one->nodes[i]);
	return 0;
}

static bool same_weights(const struct finf_form *a, const struct finf_form *b)
{
	if (a->n_weights != b->n_weights)
		return false;
	for (uint32_t i = 0; i < a->n_weights; i++) {
		const struct finf_weight_form *x = &a->weights[i], *y = &b->weights[i];

		if (x->input != y->input || x->bytes != y->bytes ||
		    x->desc_bytes != y->desc_bytes ||
		    (x->desc_bytes && memcmp(x->desc, y->desc, x->desc_bytes)))
			return false;
	}
	return true;
}

void finf_fat_share(struct finf_form_table *table, const struct finf_form_table *one)
{
	for (uint32_t i = 0; i < table->n_nodes; i++) {
		struct finf_form_list *list = &table->nodes[i];

		for (uint32_t k = list->n; k-- > 0;) {
			struct finf_form *form = &list->forms[k];
			const struct finf_form *other;

			if (!(form->flags & FINF_FORM_FAT))
				continue;
			other = find(&one->nodes[i], form, FINF_FORM_FAT);
			if (other && same_weights(form, other))
				form->workspace_bytes = FINF_MAX(form->workspace_bytes,
								 other->workspace_bytes);
			else
				drop(list, k);
		}
	}
}
