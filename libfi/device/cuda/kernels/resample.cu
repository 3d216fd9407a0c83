/* SPDX-License-Identifier: MIT */
/*
 * kernels: Resize in two steps. Which cells an output is made of, and how much
 * of each, is the same for a whole plane across an axis: the first kernel makes
 * a table of it, in double and as graph/op/resample.c has it, so that the nearest
 * cell is the same one; the second reads as many entries as there are axes.
 */
#include "device/cuda/kernels/kernel.cuh"

enum { NEAREST, LINEAR, CUBIC };
enum {
	HALF_PIXEL,
	HALF_PIXEL_SYMMETRIC,
	PYTORCH_HALF_PIXEL,
	ALIGN_CORNERS,
	ASYMMETRIC,
	TF_HALF_PIXEL_FOR_NN,
	TF_CROP_AND_RESIZE
};
enum { PREFER_FLOOR, PREFER_CEIL, ROUND_FLOOR, ROUND_CEIL };

/* Where output o lies between the input's cells. */
FINF_K_FN double source(const struct finf_k_axis *axis, unsigned coord, unsigned o)
{
	double x = o, in = axis->in, out = finf_k_times(in, axis->scale);
	double half = (x + 0.5) / axis->scale - 0.5;

	switch (coord) {
	case HALF_PIXEL:
		return half;
	case HALF_PIXEL_SYMMETRIC:
		return finf_k_times(in / 2, 1 - axis->out / out) + half;
	case PYTORCH_HALF_PIXEL:
		return axis->out > 1 ? half : 0;
	case ALIGN_CORNERS:
		return axis->out > 1 ? finf_k_times(x, in - 1) / (out - 1) : 0;
	case ASYMMETRIC:
		return x / axis->scale;
	case TF_HALF_PIXEL_FOR_NN:
		return (x + 0.5) / axis->scale;
	default: /* TF_CROP_AND_RESIZE */
		if (axis->out == 1)
			return finf_k_times(0.5 * (axis->first + axis->last), in - 1);
		return finf_k_times(axis->first, in - 1) +
		       finf_k_times(finf_k_times(x, axis->last - axis->first), in - 1) /
			       ((double)axis->out - 1);
	}
}

/* Exact: |x| is below 2^34. */
FINF_K_FN double floor_of(double x)
{
	double whole = (double)(long long)x;

	return whole > x ? whole - 1 : whole;
}

FINF_K_FN double nearest(double x, unsigned round)
{
	switch (round) {
	case PREFER_FLOOR:
		return -floor_of(0.5 - x);
	case PREFER_CEIL:
		return floor_of(x + 0.5);
	case ROUND_FLOOR:
		return floor_of(x);
	default:
		return -floor_of(-x);
	}
}

FINF_K_FN double clamped(double x, double low, double high)
{
	return !(x > low) ? low : x > high ? high : x;
}

/* Keys' cubic convolution, at distance t from a cell within 1, and from 1 to 2. */
FINF_K_FN double cubic_near(double a, double t)
{
	return ((a + 2) * t - (a + 3)) * t * t + 1;
}

FINF_K_FN double cubic_far(double a, double t)
{
	return ((a * t - 5 * a) * t + 8 * a) * t - 4 * a;
}

FINF_K_FN void cubic_weights(double a, double t, double w[4])
{
	w[0] = cubic_far(a, t + 1);
	w[1] = cubic_near(a, t);
	w[2] = cubic_near(a, 1 - t);
	w[3] = cubic_far(a, 2 - t);
}

/* Beyond the ends the end cells repeat, or count for nothing at all. */
FINF_K_FN void put_taps(const struct finf_resize_taps_args *p, const struct finf_k_axis *axis,
			struct finf_k_taps *to, double base, const double w[4])
{
	double sum = 0, last = axis->in - 1;

#pragma unroll
	for (int k = 0; k < 4; k++)
		if (!p->exclude_outside || (base + k >= 0 && base + k <= last))
			sum += w[k];
#pragma unroll
	for (int k = 0; k < 4; k++) {
		bool counts = !p->exclude_outside || (base + k >= 0 && base + k <= last);

		to->at[k] = (int)clamped(base + k, 0, last) * axis->stride;
		to->weight[k] = !p->exclude_outside ? (float)w[k]
				: counts	    ? (float)(w[k] / sum)
						    : 0;
	}
}

FINF_K(resize_taps)
{
	FINF_K_EACH (i, p.n) {
		struct finf_k_taps *to = p.taps + i;
		const struct finf_k_axis *axis = p.axis;
		double w[4] = {1, 0, 0, 0}, x, base;
		unsigned o = i;

		for (; o >= axis->out; axis++)
			o -= axis->out;
		x = clamped(source(axis, p.coord, o), -4.0 * 2147483647, 4.0 * 2147483647);
		base = floor_of(x);
		if (p.mode == NEAREST) {
			base = clamped(nearest(x, p.round), 0, axis->in - 1);
		} else if (p.mode == LINEAR) {
			w[0] = 1 - (x - base);
			w[1] = x - base;
		} else {
			cubic_weights(p.cubic, x - base, w);
			base -= 1;
		}
		put_taps(&p, axis, to, base, w);
		if (p.constant_outside && (x < 0 || x > axis->in - 1))
			to->at[0] = -1;
	}
}

/* The weighted sum over every combination of taps; bit fields of c say which. */
FINF_K_FN float blend(const struct finf_resize_args *p, const unsigned place[FINF_K_RANK], int at,
		      unsigned combinations)
{
	const float *x = (const float *)p->x;
	float sum = 0;

	for (unsigned c = 0; c < combinations; c++) {
		unsigned left = c;
		float weight = 1;
		int cell = at;

#pragma unroll
		for (int k = FINF_K_RANK - 1; k >= 0; k--)
			if (p->first[k]) {
				const struct finf_k_taps *taps = p->taps + place[k];
				unsigned which = left & ((1u << p->bits) - 1);

				weight *= taps->weight[which];
				cell += taps->at[which];
				left >>= p->bits;
			}
		sum = finf_k_fma(weight, x[cell], sum);
	}
	return sum;
}

FINF_K(resize)
{
	FINF_K_EACH (i, p.n) {
		unsigned left = i, place[FINF_K_RANK], combinations = 1;
		int at = 0, nearest_at = 0;
		bool outside = false;

#pragma unroll
		for (int k = FINF_K_RANK - 1; k >= 0; k--) {
			place[k] = 0;
			if ((unsigned)k < p.at.rank) {
				unsigned o = split(&left, p.at.dim[k]);

				if (p.first[k]) {
					place[k] = p.first[k] - 1 + o;
					combinations <<= p.bits;
					nearest_at += p.taps[place[k]].at[0];
					outside |= p.taps[place[k]].at[0] < 0;
				} else {
					at += (int)o * p.at.stride[k];
				}
			}
		}
		if (outside)
			((float *)p.y)[i] = activate(p.outside, p.act);
		else if (!p.bits)
			move(p.y, i, p.x, (unsigned)(at + nearest_at), p.each, p.act);
		else
			((float *)p.y)[i] = activate(blend(&p, place, at, combinations), p.act);
	}
}
