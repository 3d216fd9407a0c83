/* SPDX-License-Identifier: MIT */
/* kernels: an output depends on some elements - pools, means, rows that sum to one. */
#include "device/cuda/kernels/kernel.cuh"

/* ---- pools ------------------------------------------------------------------------------ */

FINF_K_FN float window_max(const struct finf_pool_args *p, const float *x, int row, int col)
{
	float best = -from_bits(0x7f800000u);

	for (int r = 0; r < p->taps[0]; r++)
		for (int c = 0; c < p->taps[1]; c++) {
			int at_row = row + r * p->dilation[0], at_col = col + c * p->dilation[1];
			float v;

			if (at_row < 0 || at_row >= p->in[0] || at_col < 0 || at_col >= p->in[1])
				continue;
			v = x[at_row * p->in[1] + at_col];
			best = best > v ? best : v;
		}
	return best;
}

/* Taps on the input are [*lo, *hi); returns how many the mean counts on this axis. */
FINF_K_FN int axis_taps(const struct finf_pool_args *p, int axis, int start, int *lo, int *hi)
{
	int end = start + p->taps[axis], last = p->in[axis] + p->pad_end[axis];

	end = end < last ? end : last;
	*lo = start > 0 ? start : 0;
	*hi = end < p->in[axis] ? end : p->in[axis];
	return p->with_pad ? end - start : *hi - *lo;
}

FINF_K_FN float window_mean(const struct finf_pool_args *p, const float *x, int row, int col)
{
	int r0, r1, c0, c1;
	int rows = axis_taps(p, 0, row, &r0, &r1), cols = axis_taps(p, 1, col, &c0, &c1);
	float sum = 0;

	for (int r = r0; r < r1; r++)
		for (int c = c0; c < c1; c++)
			sum += x[r * p->in[1] + c];
	return sum / ((float)rows * (float)cols);
}

FINF_K(pool)
{
	FINF_K_EACH (i, p.n) {
		unsigned plane = i;
		int col = (int)split(&plane, p.out_cols) * p.stride[1] - p.pad[1];
		int row = (int)split(&plane, p.out_rows) * p.stride[0] - p.pad[0];
		const float *x = p.x + (unsigned long long)plane * (unsigned)(p.in[0] * p.in[1]);
		float v = p.average ? window_mean(&p, x, row, col) : window_max(&p, x, row, col);

		p.y[i] = activate(v, p.act);
	}
}

/* ---- means ---------------------------------------------------------------------------------- */

FINF_K_BLOCK(mean)
{
	const float *x = p.x + walk_at(&p.outer, FINF_K_GROUP);
	float sum = 0;

	for (unsigned i = FINF_K_THREAD; i < p.count; i += FINF_K_BLOCK_N)
		sum += x[walk_at(&p.inner, i)];
	sum = block_sum(sum);
	if (!FINF_K_THREAD)
		p.y[FINF_K_GROUP] = activate(sum / (float)p.count, p.act);
}

/* ---- softmax ----------------------------------------------------------------------- */

/* The largest element is taken off first, so that no exponential overflows. */
FINF_K_BLOCK(softmax)
{
	unsigned outer = FINF_K_GROUP, in = split(&outer, p.step);
	unsigned long long from = (unsigned long long)outer * p.count * p.step.by + in;
	const float *x = p.x + from;
	float *y = p.y + from;
	float largest = -from_bits(0x7f800000u), sum = 0;

	for (unsigned i = FINF_K_THREAD; i < p.count; i += FINF_K_BLOCK_N) {
		float v = x[(unsigned long long)i * p.step.by];

		largest = largest > v ? largest : v;
	}
	largest = block_max(largest);
	for (unsigned i = FINF_K_THREAD; i < p.count; i += FINF_K_BLOCK_N)
		sum += exponential(x[(unsigned long long)i * p.step.by] - largest);
	sum = block_sum(sum);
	for (unsigned i = FINF_K_THREAD; i < p.count; i += FINF_K_BLOCK_N) {
		unsigned long long at = (unsigned long long)i * p.step.by;

		y[at] = activate(exponential(x[at] - largest) / sum, p.act);
	}
}
