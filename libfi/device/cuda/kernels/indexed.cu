/* SPDX-License-Identifier: MIT */
/* kernels: elements go where indices say - gathered, scattered, sorted. */
#include "device/cuda/kernels/kernel.cuh"

/* ---- gathering ----------------------------------------------------------------------- */

/* An index that is out of range cannot fail the run: its slice becomes ones bits, NaN in floats. */
FINF_K(gather)
{
	const long long ones = -1;

	FINF_K_EACH (i, p.n) {
		unsigned outer = i, in = split(&outer, p.inner), which = split(&outer, p.indices);
		long long at = p.wide ? ((const long long *)p.index)[which]
				      : ((const int *)p.index)[which];

		at += at < 0 ? p.extent : 0;
		if (at < 0 || at >= p.extent)
			move(p.y, i, &ones, 0, p.each, p.act);
		else
			move(p.y, i, p.x, (outer * p.extent + (unsigned)at) * p.inner.by + in,
			     p.each, p.act);
	}
}

/* Where element i is; false: nowhere. */
FINF_K_FN bool place_of(const struct finf_k_place *p, unsigned i, unsigned *ret)
{
	unsigned first = quotient(i, p->slice) * p->tuple;
	int place = walk_at(&p->at, i);

#pragma unroll
	for (unsigned t = 0; t < FINF_K_RANK; t++)
		if (t < p->tuple) {
			long long at = p->wide ? ((const long long *)p->index)[first + t]
					       : ((const int *)p->index)[first + t];

			at += at < 0 ? p->extent[t] : 0;
			if (at < 0 || at >= p->extent[t])
				return false;
			place += (int)at * p->stride[t];
		}
	*ret = (unsigned)place;
	return true;
}

FINF_K(gather_at)
{
	const long long ones = -1;

	FINF_K_EACH (i, p.n) {
		unsigned at = 0;
		bool there = place_of(&p.place, i, &at);

		move(p.y, i, there ? p.x : &ones, at, p.each, p.act);
	}
}

/* ---- scattering ------------------------------------------------------------------------- */

FINF_K(scatter_claim)
{
	FINF_K_EACH (i, p.n) {
		unsigned at;

		if (place_of(&p.place, i, &at))
			finf_k_raise(&p.owner[at], i + 1);
	}
}

#define COMBINE(a, b, how, sum, product)                                                           \
	((how) == FINF_K_SCATTER_ADD			? (sum)                                    \
	 : (how) == FINF_K_SCATTER_MUL			? (product)                                \
	 : ((how) == FINF_K_SCATTER_MAX) == ((a) > (b)) ? (a)                                      \
							: (b))

FINF_K_FN double combine_floats(double a, double b, unsigned how)
{
	return COMBINE(a, b, how, a + b, a * b);
}

/* They wrap; what is stored is cut to its dtype. */
FINF_K_FN long long combine_ints(long long a, long long b, unsigned how)
{
	return COMBINE(a, b, how, (long long)((unsigned long long)a + (unsigned long long)b),
		       (long long)((unsigned long long)a * (unsigned long long)b));
}

FINF_K_FN void combine(const struct finf_scatter_args *p, unsigned at, unsigned i)
{
	if (p->dtype == F32 || p->dtype == F64)
		store_float(p->y, p->dtype, at,
			    combine_floats(load_float(p->y, p->dtype, at),
					   load_float(p->updates, p->dtype, i), p->how));
	else
		store_int(p->y, p->dtype, at,
			  combine_ints(load_int(p->y, p->dtype, at),
				       load_int(p->updates, p->dtype, i), p->how));
}

/* All updates of one place by the thread of the last, in their order: the same bits each time. */
FINF_K(scatter)
{
	const struct finf_k_act none = {0, 0, 0};

	FINF_K_EACH (i, p.n) {
		unsigned line = i, first, at, other;

		if (!place_of(&p.place, i, &at) || (p.owner && p.owner[at] != i + 1))
			continue;
		if (p.how == FINF_K_SCATTER_PUT) {
			move(p.y, at, p.updates, i, p.each, none);
			continue;
		}
		first = split(&line, p.step);
		first += quotient(line, p.count) * p.count.by * p.step.by;
		for (unsigned k = p.owner ? first : i; k < i; k += p.step.by)
			if (place_of(&p.place, k, &other) && other == at)
				combine(&p, at, k);
		combine(&p, at, i);
	}
}

/* ---- sorting ----------------------------------------------------------------------------- */

FINF_K_FN bool greater(const void *x, unsigned dtype, unsigned i, unsigned j)
{
	if (dtype == F32 || dtype == F64) {
		double a = load_float(x, dtype, i), b = load_float(x, dtype, j);

		return a > b || (!(a == a) && b == b); /* NaN is larger than all */
	}
	return load_int(x, dtype, i) > load_int(x, dtype, j);
}

/* Does j come in front of i, another element? Of equals the first one does. */
FINF_K_FN bool in_front(const struct finf_topk_args *p, unsigned j, unsigned i)
{
	unsigned more = p->smallest ? i : j, less = p->smallest ? j : i;

	if (greater(p->x, p->dtype, more, less))
		return true;
	return j < i && !greater(p->x, p->dtype, less, more);
}

/* Each element counts those in front of it, and gives up at k: no two have the same number. */
FINF_K(topk)
{
	FINF_K_EACH (i, p.n) {
		unsigned outer = i, in = split(&outer, p.step), pos = split(&outer, p.length);
		unsigned first = outer * p.length.by * p.step.by + in, rank = 0, at;
		const struct finf_k_act none = {0, 0, 0};

		for (unsigned k = 0; k < p.length.by && rank < p.k; k++)
			rank += k != pos && in_front(&p, first + k * p.step.by, i);
		if (rank >= p.k)
			continue;
		at = (outer * p.k + rank) * p.step.by + in;
		if (p.y)
			move(p.y, at, p.x, i, p.dtype == F32 || p.dtype == I32 ? 4 : 8, none);
		if (p.index)
			p.index[at] = pos;
	}
}
