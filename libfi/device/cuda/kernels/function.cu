/* SPDX-License-Identifier: MIT */
/* kernels: functions that take more than a few instructions. */
#include "device/cuda/kernels/kernel.cuh"

FINF_K_FN float map(float x, const struct finf_map_args *p)
{
	float line;

	switch (p->function) {
	case FINF_K_ABS:
		return absolute(x);
	case FINF_K_CEIL:
		return -round_down(-x);
	case FINF_K_ELU:
		return x < 0 ? p->alpha * exponential_less_1(x) : x;
	case FINF_K_ERF:
		return error_function(x);
	case FINF_K_EXP:
		return exponential(x);
	case FINF_K_FLOOR:
		return round_down(x);
	case FINF_K_GELU:
		return gelu(x);
	case FINF_K_GELU_TANH:
		return gelu_by_tangent(x);
	case FINF_K_HARD_SIGMOID:
		line = p->alpha * x + p->beta;
		return line < 0 ? 0 : line > 1 ? 1 : line;
	case FINF_K_HARD_SWISH:
		return hard_swish(x);
	case FINF_K_LOG:
		return logarithm(x);
	case FINF_K_MISH:
		return mish(x);
	case FINF_K_NEG:
		return -x;
	case FINF_K_RECIPROCAL:
		return 1 / x;
	case FINF_K_SOFTPLUS:
		return softplus(x);
	case FINF_K_SOFTSIGN:
		return x / (1 + absolute(x));
	case FINF_K_SQRT:
		return finf_k_sqrt(x);
	default: /* FINF_K_TANH */
		return tangent(x);
	}
}

FINF_K(map)
{
	FINF_K_EACH (i, p.n)
		p.y[i] = activate(map(p.x[i], &p), p.act);
}

FINF_K(power)
{
	FINF_K_EACH (i, p.n) {
		unsigned at = (unsigned)walk_at(&p.at_b, i);
		double b = p.dtype == F32 || p.dtype == F64 ? load_float(p.b, p.dtype, at)
							    : (double)load_int(p.b, p.dtype, at);

		p.y[i] = activate(power(p.a[walk_at(&p.at_a, i)], b), p.act);
	}
}
