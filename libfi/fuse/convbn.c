/* SPDX-License-Identifier: MIT */
/*
 * fuse: BatchNormalization into the Conv before it. Per output channel
 *
 *	f = scale / sqrt(var + epsilon)
 *	W' = W * f,  B' = (B - mean) * f + bias
 *
 * computed in double. The old weight is left alone: another Conv may share it.
 * Source: Jacob et al., arXiv:1712.05877, equation 14, with the bias folded too.
 */
#include <errno.h>
#include <math.h>

#include "fuse/internal.h"

enum { X, W, B };
enum { SCALE = 1, BIAS, MEAN, VAR };

/* Everything the fold reads; channels elements each, bias may be NULL. */
struct fold {
	const float *weight, *bias, *bn[5];
	size_t n_weight, channels;
	double epsilon;
};

static bool fold_init(struct fold *f, const struct finf_graph *graph, const struct finf_node *conv,
		      const struct finf_node *bn)
{
	uint32_t bias = finf_fuse_input(conv, B);
	size_t n;

	*f = (struct fold){.epsilon = (double)finf_node_float(bn, "epsilon", 1e-5f)};
	f->weight = finf_fuse_floats(graph, conv->in[W], &f->n_weight);
	if (!f->weight || !f->n_weight)
		return false;
	f->channels = (size_t)graph->values[conv->in[W]].shape.dim[0];
	f->bias = finf_fuse_floats(graph, bias, &n);
	if (bias != FINF_NONE && (!f->bias || n != f->channels))
		return false;
	for (uint32_t i = SCALE; i <= VAR; i++) {
		f->bn[i] = finf_fuse_floats(graph, bn->in[i], &n);
		if (!f->bn[i] || n != f->channels)
			return false;
	}
	return true;
}

static double factor(const struct fold *f, size_t c)
{
	return (double)f->bn[SCALE][c] / sqrt((double)f->bn[VAR][c] + f->epsilon);
}

/* A factor that is not finite is left to run time, which says the same at least. */
static bool all_finite(const struct fold *f)
{
	for (size_t c = 0; c < f->channels; c++)
		if (!isfinite(factor(f, c)))
			return false;
	return true;
}

static void compute(const struct fold *f, float *weight, float *bias)
{
	size_t per_channel = f->n_weight / f->channels;
	const float *old = f->weight;

	for (size_t c = 0; c < f->channels; c++) {
		double by = factor(f, c), b = f->bias ? (double)f->bias[c] : 0;

		for (size_t i = 0; i < per_channel; i++)
			*weight++ = (float)((double)*old++ * by);
		bias[c] = (float)((b - (double)f->bn[MEAN][c]) * by + (double)f->bn[BIAS][c]);
	}
}

static int rewrite(struct finf_rewrite *rw, const struct fold *f, uint32_t conv, uint32_t bn)
{
	struct finf_graph *graph = rw->graph;
	struct finf_node *node = &graph->nodes[conv], *gone = &graph->nodes[bn];
	const char *name = graph->values[node->in[W]].name;
	struct finf_shape shape = graph->values[node->in[W]].shape;
	struct finf_shape channels = {1, {(int64_t)f->channels}};
	float *weight = finf_arena_array(&graph->arena, f->n_weight, sizeof(*weight));
	float *bias = finf_arena_array(&graph->arena, f->channels, sizeof(*bias));
	uint32_t *in = finf_arena_array(&graph->arena, 3, sizeof(*in));
	int err;

	if (!weight || !bias || !in)
		return -ENOMEM;
	compute(f, weight, bias);
	in[X] = node->in[X];
	err = finf_fuse_constant(graph, name, "bn", &shape, weight, &in[W]);
	if (!err)
		err = finf_fuse_constant(graph, name, "bn.bias", &channels, bias, &in[B]);
	if (err)
		return err;
	node->in = in;
	node->n_in = 3;
	node->act = gone->act;
	node->act_a = gone->act_a;
	node->act_b = gone->act_b;
	finf_rewrite_absorb(rw, conv, bn);
	return 0;
}

static int at(struct finf_rewrite *rw, uint32_t i)
{
	struct finf_graph *graph = rw->graph;
	const struct finf_node *bn = &graph->nodes[i];
	struct fold f;
	uint32_t conv;

	if (!finf_fuse_is(bn, "BatchNormalization"))
		return 0;
	conv = finf_rewrite_sole(rw, bn->in[0], "Conv");
	if (conv == FINF_NONE || !fold_init(&f, graph, &graph->nodes[conv], bn) || !all_finite(&f))
		return 0;
	return rewrite(rw, &f, conv, i);
}

const struct finf_fuse_pass finf_fuse_convbn = {.name = "conv+bn", .at = at};
