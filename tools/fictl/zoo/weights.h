/* SPDX-License-Identifier: MIT */
/*
 * fictl/zoo/weights - seeded numbers, equal to the last bit on every machine:
 * sums are made of integers and no rounding depends on contraction.
 */
#ifndef FICTL_ZOO_WEIGHTS_H
#define FICTL_ZOO_WEIGHTS_H

#include <stddef.h>
#include <stdint.h>

/**
 * weights_filters - @n filters of @fan_in weights each, every filter with mean
 * 0 and sum of squares gain^2: the output for inputs of variance 1 has standard
 * deviation @gain whatever the mean of the inputs, so that a signal neither
 * fades nor drowns in constants on its way through many layers.
 * Source: He et al., ICCV 2015 (variance by fan-in); Qiao et al.,
 * arXiv 1903.10520 (zero mean per filter).
 */
void weights_filters(float *w, size_t n, size_t fan_in, float gain, uint64_t seed);

/** weights_normal - about N(0, spread^2). */
void weights_normal(float *w, size_t n, float spread, uint64_t seed);

/** weights_around - uniform in [0.5, 1.5) times @scale. */
void weights_around(float *w, size_t n, float scale, uint64_t seed);

#endif
