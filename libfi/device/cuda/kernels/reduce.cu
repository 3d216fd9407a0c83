/* SPDX-License-Identifier: MIT */
/* kernels: an output depends on a row of elements - reductions, softmax, normalisation. */
#include "device/cuda/kernels/kernel.cuh"

/* The line of p from element @first on, summed in @wide. */
#define LINE(type, wide, put)                                                                      \
	do {                                                                                       \
		const type *x = (const type *)p.x;                                                 \
		type *y = (type *)p.y;                                                             \
		wide sum = 0;                                                                      \
                                                                                                   \
		for (unsigned k = 0; k < p.length; k++) {                                          \
			unsigned at = first + (p.reverse ? p.length - 1 - k : k) * p.step.by;      \
			wide before = sum;                                                         \
                                                                                                   \
			sum += (wide)x[at];                                                        \
			y[at] = put((type)(p.exclusive ? before : sum));                           \
		}                                                                                  \
	} while (0)
#define AS_IT_IS(x)  (x)
#define ACTIVATED(x) activate(x, p.act)

FINF_K(cumsum)
{
	FINF_K_EACH (i, p.n) {
		unsigned outer = i, in = split(&outer, p.step);
		unsigned first = outer * p.length * p.step.by + in;

		if (p.dtype == F32)
			LINE(float, double, ACTIVATED);
		else if (p.dtype == I64)
			LINE(long long, unsigned long long, AS_IT_IS);
		else
			LINE(int, unsigned, AS_IT_IS);
	}
}

/* ---- reductions -------------------------------------------------------------------- */

/* What is folded of an element; @largest is taken off by LogSumExp. */
FINF_K_FN float term(float x, float largest, unsigned how)
{
	switch (how) {
	case FINF_K_REDUCE_L1:
		return absolute(x);
	case FINF_K_REDUCE_L2:
	case FINF_K_REDUCE_SUM_SQUARE:
		return x * x;
	case FINF_K_REDUCE_LOG_SUM_EXP:
		return exponential(x - largest);
	case FINF_K_REDUCE_MIN:
		return -x;
	default:
		return x;
	}
}

FINF_K_FN float result(float all, float largest, unsigned count, unsigned how)
{
	switch (how) {
	case FINF_K_REDUCE_L2:
		return finf_k_sqrt(all);
	case FINF_K_REDUCE_LOG_SUM:
		return logarithm(all);
	case FINF_K_REDUCE_LOG_SUM_EXP: /* of nothing, of nothing but -inf, or beyond all */
		return absolute(largest) == INFINITE ? largest : largest + logarithm(all);
	case FINF_K_REDUCE_MEAN:
		return all / (float)count;
	case FINF_K_REDUCE_MIN:
		return -all;
	default:
		return all;
	}
}

/* The fold is a constant where it is called, so each is compiled by itself. */
FINF_K_FN float row_fold(const struct finf_reduce_args *p, const float *x, float largest,
			 unsigned how, enum fold fold_how)
{
	float all = fold_start(fold_how);

	for (unsigned i = FINF_K_THREAD; i < p->count; i += FINF_K_BLOCK_N)
		all = fold(all, term(x[walk_at(&p->inner, i)], largest, how), fold_how);
	return block_fold(all, fold_how);
}

FINF_K_BLOCK(reduce)
{
	const float *x = p.x + walk_at(&p.outer, FINF_K_GROUP);
	float all, largest = 0;

	if (p.how == FINF_K_REDUCE_LOG_SUM_EXP)
		largest = row_fold(&p, x, 0, FINF_K_REDUCE_MAX, FOLD_LARGEST);
	if (p.how == FINF_K_REDUCE_MAX || p.how == FINF_K_REDUCE_MIN)
		all = row_fold(&p, x, 0, p.how, FOLD_LARGEST);
	else if (p.how == FINF_K_REDUCE_PROD)
		all = row_fold(&p, x, 0, p.how, FOLD_PRODUCT);
	else
		all = row_fold(&p, x, largest, p.how, FOLD_SUM);
	if (!FINF_K_THREAD)
		p.y[FINF_K_GROUP] = activate(result(all, largest, p.count, p.how), p.act);
}

/* One thread per output: rows are short, or there are many of them. */
FINF_K(best)
{
	FINF_K_EACH (i, p.n) {
		unsigned outer = i, in = split(&outer, p.step), which = 0;
		const float *x = p.x + (unsigned long long)outer * p.count * p.step.by + in;
		float best = *x;

		for (unsigned k = 1; k < p.count; k++) {
			float v = x[(unsigned long long)k * p.step.by];
			bool more = p.smallest ? v < best : v > best;

			if (more || (p.last && v == best)) {
				best = v;
				which = k;
			}
		}
		p.y[i] = which;
	}
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
	largest = block_fold(largest, FOLD_LARGEST);
	for (unsigned i = FINF_K_THREAD; i < p.count; i += FINF_K_BLOCK_N)
		sum += exponential(x[(unsigned long long)i * p.step.by] - largest);
	sum = block_sum(sum);
	if (p.logarithm) /* never of what exponential() rounded to 0 */
		largest += logarithm(sum);
	for (unsigned i = FINF_K_THREAD; i < p.count; i += FINF_K_BLOCK_N) {
		unsigned long long at = (unsigned long long)i * p.step.by;

		y[at] = activate(p.logarithm ? x[at] - largest : exponential(x[at] - largest) / sum,
				 p.act);
	}
}

/* ---- normalisation ---------------------------------------------------------------- */

/* The variance is of differences from the mean: nothing cancels. */
FINF_K_BLOCK(normalize)
{
	unsigned long long from = (unsigned long long)FINF_K_GROUP * p.count;
	unsigned row = FINF_K_GROUP, weights = split(&row, p.weight_rows) * p.row_weights;
	const float *x = p.x + from;
	float sum = 0, mean, factor;

	for (unsigned i = FINF_K_THREAD; i < p.count; i += FINF_K_BLOCK_N)
		sum += x[i];
	mean = block_sum(sum) / (float)p.count;
	sum = 0;
	for (unsigned i = FINF_K_THREAD; i < p.count; i += FINF_K_BLOCK_N)
		sum = finf_k_fma(x[i] - mean, x[i] - mean, sum);
	factor = 1 / finf_k_sqrt(block_sum(sum) / (float)p.count + p.epsilon);
	for (unsigned i = FINF_K_THREAD; i < p.count; i += FINF_K_BLOCK_N) {
		unsigned at = weights + quotient(i, p.run);

		p.y[from + i] = activate(
			finf_k_fma((x[i] - mean) * factor, p.scale[at], p.shift ? p.shift[at] : 0),
			p.act);
	}
}
