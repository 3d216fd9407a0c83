/* SPDX-License-Identifier: MIT */
/* kernels: programs of elementwise steps, each element carried through all of them. */
#include "device/cuda/kernels/kernel.cuh"

/* The kinds of graph/program.h, by the same list. */
enum {
#define FINF_STEP(name, n_in, expression) STEP_##name,
#include "graph/step.def"
#undef FINF_STEP
};

FINF_K_FN float clipped(float x, float low, float high)
{
	x = x < low ? low : x;
	return x > high ? high : x;
}

/* What it takes is not worth to be in the loop more than once. */
FINF_K_FAR float step_of(unsigned kind, float x, float y, float z)
{
	switch (kind) {
	case STEP_ABS:
		return absolute(x);
	case STEP_ADD:
		return x + y;
	case STEP_AND:
		return x != 0 && y != 0;
	case STEP_CEIL:
		return -round_down(-x);
	case STEP_CLIP:
		return clipped(x, y, z);
	case STEP_COS:
		return sine(x, 1);
	case STEP_DIV:
		return x / y;
	case STEP_ELU:
		return x < 0 ? y * exponential_less_1(x) : x;
	case STEP_EQUAL:
		return x == y;
	case STEP_ERF:
		return error_function(x);
	case STEP_EXP:
		return exponential(x);
	case STEP_FLOOR:
		return round_down(x);
	case STEP_FROM:
		return x >= y;
	case STEP_GELU:
		return gelu(x);
	case STEP_GELU_TANH:
		return gelu_by_tangent(x);
	case STEP_GREATER:
		return x > y;
	case STEP_HARD_SIGMOID:
		return clipped(y * x + z, 0, 1);
	case STEP_HARD_SWISH:
		return hard_swish(x);
	case STEP_LESS:
		return x < y;
	case STEP_LOG:
		return logarithm(x);
	case STEP_MAX:
		return x > y || !(x == x) ? x : y;
	case STEP_MIN:
		return x < y || !(x == x) ? x : y;
	case STEP_MISH:
		return mish(x);
	case STEP_MUL:
		return x * y;
	case STEP_NEG:
		return -x;
	case STEP_NOT:
		return x == 0;
	case STEP_OR:
		return x != 0 || y != 0;
	case STEP_POW:
		return power(x, (double)y);
	case STEP_PRELU:
		return x < 0 ? x * y : x;
	case STEP_RECIPROCAL:
		return 1 / x;
	case STEP_RELU:
		return x < 0 ? 0 : x;
	case STEP_SIGMOID:
		return sigmoid(x);
	case STEP_SIN:
		return sine(x, 0);
	case STEP_SOFTPLUS:
		return softplus(x);
	case STEP_SOFTSIGN:
		return x / (1 + absolute(x));
	case STEP_SQRT:
		return finf_k_sqrt(x);
	case STEP_SUB:
		return x - y;
	case STEP_SWISH:
		return x * sigmoid(x);
	case STEP_TANH:
		return tangent(x);
	case STEP_UP_TO:
		return x <= y;
	case STEP_WHERE:
		return x != 0 ? y : z;
	default: /* STEP_XOR */
		return (x != 0) != (y != 0);
	}
}

FINF_K(chain)
{
	FINF_K_EACH (i, p.n) {
		float v[FINF_K_CHAIN_INPUTS + FINF_K_CHAIN_STEPS + FINF_K_CHAIN_NUMBERS], y = 0;

		for (unsigned k = 0; k < p.n_in; k++) {
			int at = walk_at(&p.at[k], i);

			v[k] = p.truth >> k & 1 ? ((const unsigned char *)p.x[k])[at] != 0
						: ((const float *)p.x[k])[at];
		}
		for (unsigned k = 0; k < p.n_numbers; k++)
			v[FINF_K_CHAIN_INPUTS + FINF_K_CHAIN_STEPS + k] = p.numbers[k];
		for (unsigned s = 0; s < p.n_steps; s++) {
			struct finf_k_step step = p.steps[s];

			y = step_of(step.kind, v[step.in[0]], v[step.in[1]], v[step.in[2]]);
			v[FINF_K_CHAIN_INPUTS + s] = y;
		}
		p.y[i] = activate(y, p.act);
	}
}
