/* SPDX-License-Identifier: MIT */
/* kernels: an output depends on some elements - windows. */
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

/* Of @n positions from @start, one every @step: how many lie before @limit. */
FINF_K_FN int before(int start, int n, int step, int limit)
{
	int fit = limit <= start ? 0 : (limit - start + step - 1) / step;

	return fit < n ? fit : n;
}

/* Taps on the input are [*lo, *hi), a dilation apart; returns how many the mean counts. */
FINF_K_FN int axis_taps(const struct finf_pool_args *p, int axis, int start, int *lo, int *hi)
{
	int n = p->taps[axis], step = p->dilation[axis];
	int in_front = before(start, n, step, 0);
	int inside = before(start, n, step, p->in[axis]) - in_front;

	*lo = start + in_front * step;
	*hi = *lo + inside * step;
	return p->with_pad ? before(start, n, step, p->in[axis] + p->pad_end[axis]) : inside;
}

FINF_K_FN float window_mean(const struct finf_pool_args *p, const float *x, int row, int col)
{
	int r0, r1, c0, c1;
	int rows = axis_taps(p, 0, row, &r0, &r1), cols = axis_taps(p, 1, col, &c0, &c1);
	float sum = 0;

	for (int r = r0; r < r1; r += p->dilation[0])
		for (int c = c0; c < c1; c += p->dilation[1])
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

/* ---- neighbouring channels --------------------------------------------------------------- */

FINF_K(lrn)
{
	FINF_K_EACH (i, p.n) {
		unsigned plane = quotient(i, p.plane);
		int channel = (int)split(&plane, p.channels), channels = (int)p.channels.by;
		int from = channel < p.before ? -channel : -p.before;
		int to = channels - channel <= p.after ? channels - channel - 1 : p.after;
		float sum = 0;

		for (int k = from; k <= to; k++) {
			float v = p.x[(int)i + k * (int)p.plane.by];

			sum = finf_k_fma(v, v, sum);
		}
		sum = logarithm(finf_k_fma(p.factor, sum, p.bias));
		p.y[i] = activate(p.x[i] * exponential(-p.beta * sum), p.act);
	}
}
