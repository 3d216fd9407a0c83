/* SPDX-License-Identifier: MIT */
/* kernels: elements go elsewhere. */
#include "device/cuda/kernels/kernel.cuh"

FINF_K(transpose)
{
	FINF_K_EACH (i, p.n)
		move(p.y, i, p.x, p.from + (unsigned)walk_at(&p.at, i), p.each, p.act);
}

FINF_K(rows)
{
	FINF_K_EACH (i, p.n) {
		unsigned row = i, at = split(&row, p.length);

		move(p.y, row * p.pitch + at, p.x, i, p.each, p.act);
	}
}

/* Which cell of x is at place from; false: the constant. */
FINF_K_FN bool padded_from(int *from, int extent, unsigned mode)
{
	if (*from >= 0 && *from < extent)
		return true;
	if (mode == FINF_K_CONSTANT)
		return false;
	if (mode == FINF_K_EDGE)
		*from = *from < 0 ? 0 : extent - 1;
	else if (mode == FINF_K_WRAP)
		*from = (*from % extent + extent) % extent;
	else
		*from = *from < 0 ? -*from : 2 * (extent - 1) - *from;
	return true;
}

FINF_K(pad)
{
	const long long bits = p.bits;
	const void *cell = p.cell ? p.cell : &bits;

	FINF_K_EACH (i, p.n) {
		unsigned left = i;
		bool inside = true;
		int at = 0;

#pragma unroll
		for (int k = FINF_K_RANK - 1; k >= 0; k--)
			if ((unsigned)k < p.at.rank) {
				int from = (int)split(&left, p.at.dim[k]) - p.begin[k];

				inside &= padded_from(&from, p.extent[k], p.mode);
				at += from * p.at.stride[k];
			}
		move(p.y, i, inside ? p.x : cell, inside ? (unsigned)at : 0, p.each, p.act);
	}
}

FINF_K(trilu)
{
	const long long zero = 0, k = p.k ? *p.k : 0;

	FINF_K_EACH (i, p.n) {
		unsigned rows = i, col = split(&rows, p.cols), row = split(&rows, p.rows);
		long long right = (long long)col - row;
		bool stays = p.upper ? right >= k : right <= k;

		move(p.y, i, stays ? p.x : &zero, stays ? i : 0, p.each, p.act);
	}
}

FINF_K(fill)
{
	FINF_K_EACH (i, p.n)
#pragma unroll
		for (unsigned k = 0; k < FINF_K_WORDS; k++)
			if (k == i)
				((long long *)p.y)[i] = p.v[k];
}

FINF_K(range)
{
	FINF_K_EACH (i, p.n) {
		if (p.dtype == F32 || p.dtype == F64)
			store_float(p.y, p.dtype, i,
				    load_float(p.start, p.dtype, 0) +
					    finf_k_times(i, load_float(p.delta, p.dtype, 0)));
		else
			store_int(
				p.y, p.dtype, i,
				(long long)((unsigned long long)load_int(p.start, p.dtype, 0) +
					    i * (unsigned long long)load_int(p.delta, p.dtype, 0)));
	}
}
