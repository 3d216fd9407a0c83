/* SPDX-License-Identifier: MIT */
/*
 * op/moments - mean and spread of a run of floats, for the normalisations.
 */
#ifndef FINF_GRAPH_OP_MOMENTS_H
#define FINF_GRAPH_OP_MOMENTS_H

#include <math.h>

#include "graph/op/compute.h"

struct finf_moments {
	double mean, inverse; /* 1 / sqrt(variance + epsilon) */
};

static inline struct finf_moments finf_moments(const float *x, size_t n, float epsilon)
{
	double mean = 0, variance = 0;

	for (size_t i = 0; i < n; i++)
		mean += (double)x[i];
	mean /= (double)n;
	for (size_t i = 0; i < n; i++)
		variance += ((double)x[i] - mean) * ((double)x[i] - mean);
	return (struct finf_moments){mean, 1 / sqrt(variance / (double)n + (double)epsilon)};
}

/** finf_infer_channels - inputs 1 and 2 are vectors of @n. Return: 0; -EINVAL. */
int finf_infer_channels(const struct finf_infer *ctx, int64_t n);

#endif
