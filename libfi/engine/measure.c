/* SPDX-License-Identifier: MIT */
/*
 * engine/measure: which algorithm is faster here. A node that could have its weights in a
 * larger form is run both ways, in its own shapes; the larger form's price becomes the lean
 * one's times what was measured, so that prices of all forms stay comparable.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/priv.h"

#define RUNS 4 /* the first warms up */

/* Memory of one node's operands; zeros are as good as any numbers here. */
struct bench {
	struct finf_device *dev;
	const struct finf_graph *graph;
	uint32_t node, threads;
	void **in, **out, *workspace; /* owned, each element too */
	bool over; /* but output 0, which is an input */
};

static void *zeros(uint64_t bytes)
{
	uint64_t room = finf_align_up(FINF_MAX(bytes, 1), 4096);
	void *memory = aligned_alloc(4096, room);

	if (memory)
		memset(memory, 0, room);
	return memory;
}

static void bench_free(struct bench *b)
{
	const struct finf_node *node = &b->graph->nodes[b->node];

	for (uint32_t i = 0; b->in && i < node->n_in; i++)
		free(b->in[i]);
	for (uint32_t i = 0; b->out && i < node->n_out; i++)
		if (i || !b->over)
			free(b->out[i]);
	free(b->in);
	free(b->out);
	free(b->workspace);
}

static int activation(const struct bench *b, uint32_t value, uint16_t layout, void **ret)
{
	const struct finf_value *v;
	uint64_t bytes;
	int err;

	if (value == FINF_NONE || b->graph->values[value].is_const)
		return 0;
	v = &b->graph->values[value];
	err = finf_device_layout_bytes(b->dev, layout, v->dtype, &v->shape, &bytes);
	if (err)
		return err;
	*ret = zeros(bytes);
	return *ret ? 0 : -ENOMEM;
}

static int bench_fill(struct bench *b, const struct finf_form *form)
{
	const struct finf_node *node = &b->graph->nodes[b->node];
	int err = 0;

	b->over = form->flags & FINF_FORM_INPLACE_LAST;
	b->in = calloc(node->n_in + 1, sizeof(*b->in));
	b->out = calloc(node->n_out + 1, sizeof(*b->out));
	b->workspace = zeros(form->workspace_bytes);
	if (!b->in || !b->out || !b->workspace)
		return -ENOMEM;
	for (uint32_t i = 0; i < node->n_in && !err; i++)
		err = activation(b, node->in[i], form->in_layout, &b->in[i]);
	for (uint32_t i = 0; i < node->n_out && !err; i++)
		if (i || !b->over)
			err = activation(b, node->out[i], form->out_layout, &b->out[i]);
	if (b->over)
		b->out[0] = b->in[node->n_in - 1];
	for (uint32_t k = 0; k < form->n_weights && !err; k++) {
		b->in[form->weights[k].input] = zeros(form->weights[k].bytes);
		err = b->in[form->weights[k].input] ? 0 : -ENOMEM;
	}
	return err;
}

/* Of one thread only its own time counts: then it matters little who else runs meanwhile. */
static uint64_t clock_ns(const struct bench *b)
{
	struct timespec ts;

	if (b->threads > 1 || !finf_device_spreads(b->dev))
		return finf_now_ns();
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* The fastest of some runs. */
static int time_kernel(struct bench *b, struct finf_kernel *kernel, uint64_t *ret_ns)
{
	const struct finf_launch launch = {
		.in = (const void *const *)b->in, .out = b->out, .workspace = b->workspace};
	uint64_t best = UINT64_MAX;
	int err = 0;

	for (int i = 0; i < RUNS && !err; i++) {
		uint64_t start = clock_ns(b);

		err = finf_device_kernel_run(b->dev, kernel, &launch);
		if (!err)
			err = finf_device_sync(b->dev);
		if (i)
			best = FINF_MIN(best, clock_ns(b) - start);
	}
	*ret_ns = FINF_MAX(best, 1);
	return err;
}

static int time_form(struct finf_device *dev, const struct finf_graph *graph, uint32_t node,
		     const struct finf_form *form, uint32_t threads, uint64_t *ret_ns,
		     struct finf_diag *diag)
{
	struct bench b = {.dev = dev, .graph = graph, .node = node, .threads = threads};
	struct finf_kernel *kernel = NULL;
	int err = finf_device_kernel_new(dev, graph, node, form, threads, &kernel, diag);

	if (!err)
		err = bench_fill(&b, form);
	if (!err)
		err = time_kernel(&b, kernel, ret_ns);
	finf_device_kernel_free(dev, kernel);
	bench_free(&b);
	return err;
}

/* The cheapest lean form with the same activations: what the other is measured against. */
static struct finf_form *lean_form(const struct finf_form_list *list, const struct finf_form *fat)
{
	struct finf_form *best = NULL;

	for (uint32_t k = 0; k < list->n; k++) {
		struct finf_form *form = &list->forms[k];

		if (!(form->flags & FINF_FORM_FAT) && form->in_layout == fat->in_layout &&
		    form->out_layout == fat->out_layout && (!best || form->est_ns < best->est_ns))
			best = form;
	}
	return best;
}

static bool same_value(const struct finf_graph *graph, uint32_t a, uint32_t b)
{
	if (a == FINF_NONE || b == FINF_NONE)
		return a == b;
	return graph->values[a].is_const == graph->values[b].is_const &&
	       finf_shape_equal(&graph->values[a].shape, &graph->values[b].shape);
}

/* Same operator on same shapes: a measurement of one holds for the other. */
static bool same_work(const struct finf_graph *graph, uint32_t x, uint32_t y)
{
	const struct finf_node *a = &graph->nodes[x], *b = &graph->nodes[y];

	if (a->op != b->op || a->act != b->act || a->n_in != b->n_in || a->n_out != b->n_out)
		return false;
	for (uint32_t i = 0; i < a->n_in; i++)
		if (!same_value(graph, a->in[i], b->in[i]))
			return false;
	for (uint32_t i = 0; i < a->n_out; i++)
		if (!same_value(graph, a->out[i], b->out[i]))
			return false;
	return true;
}

static struct finf_form *fat_form(const struct finf_form_list *list)
{
	for (uint32_t k = 0; k < list->n; k++)
		if (list->forms[k].flags & FINF_FORM_FAT)
			return &list->forms[k];
	return NULL;
}

/* What was measured at an earlier node of the same work; 0 = nothing. */
static double known_ratio(const struct finf_graph *graph, const double *ratios, uint32_t node)
{
	for (uint32_t i = 0; i < node; i++)
		if (ratios[i] > 0 && same_work(graph, i, node))
			return ratios[i];
	return 0;
}

static int measure_node(struct finf_device *dev, const struct finf_graph *graph, uint32_t node,
			uint32_t threads, const struct finf_form *fat,
			const struct finf_form *lean, double *ret_ratio, struct finf_diag *diag)
{
	uint64_t fat_ns, lean_ns;
	int err = time_form(dev, graph, node, fat, threads, &fat_ns, diag);

	if (!err)
		err = time_form(dev, graph, node, lean, threads, &lean_ns, diag);
	if (err)
		return err;
	*ret_ratio = (double)fat_ns / (double)lean_ns;
	return 0;
}

int finf_engine_measure(struct finf_device *dev, const struct finf_graph *bound, uint32_t threads,
			const atomic_bool *stop, struct finf_form_table *table,
			struct finf_diag *diag)
{
	double *ratios = calloc(bound->n_nodes + 1, sizeof(*ratios));
	int err = ratios ? 0 : finf_diag_set(diag, -ENOMEM, "no memory to measure in");

	for (uint32_t i = 0; i < bound->n_nodes && !err; i++) {
		struct finf_form *fat = fat_form(&table->nodes[i]);
		struct finf_form *lean = fat ? lean_form(&table->nodes[i], fat) : NULL;

		if (!lean)
			continue;
		if (stop && atomic_load(stop)) {
			err = -ECANCELED;
			break;
		}
		ratios[i] = known_ratio(bound, ratios, i);
		if (ratios[i] <= 0)
			err = measure_node(dev, bound, i, threads, fat, lean, &ratios[i], diag);
		if (!err)
			fat->est_ns = (uint64_t)((double)lean->est_ns * ratios[i]) + 1;
	}
	free(ratios);
	return err;
}
