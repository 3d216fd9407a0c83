/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/device/draw - nodes drawn at random from a seed, with many
 * dimensions of 1 and sizes around those of blocks.
 */
#ifndef FI_TESTS_DEVICE_DRAW_H
#define FI_TESTS_DEVICE_DRAW_H

#include "tests/unit/device/site.h"

/* A case and what its attributes point to. */
struct drawn {
	struct node_case row;
	int64_t kernel[2], strides[2], pads[4];
	uint64_t seed;
};

static inline int64_t pick(struct drawn *d, const int64_t *from, size_t n)
{
	return from[test_random(&d->seed) % n];
}

#define PICK(d, ...)                                                                               \
	pick(d, (const int64_t[]){__VA_ARGS__}, FINF_ARRAY_LEN(((const int64_t[]){__VA_ARGS__})))

static inline void draw_in(struct drawn *d, bool is_const, uint32_t rank, const int64_t *dim)
{
	struct case_in *in = &d->row.in[d->row.n_in++];

	*in = (struct case_in){.rank = rank, .is_const = is_const};
	memcpy(in->dim, dim, rank * sizeof(*dim));
}

static inline void draw_attr(struct drawn *d, struct finf_attr attr)
{
	uint32_t n = 0;

	while (d->row.attrs[n].name)
		n++;
	d->row.attrs[n] = attr;
}

static inline void draw_window(struct drawn *d)
{
	for (int i = 0; i < 2; i++) {
		d->kernel[i] = PICK(d, 1, 1, 2, 3);
		d->strides[i] = PICK(d, 1, 1, 2);
		d->pads[i] = PICK(d, 0, d->kernel[i] / 2);
		d->pads[i + 2] = PICK(d, 0, d->kernel[i] / 2);
	}
	draw_attr(d, (struct finf_attr){"strides", FINF_ATTR_INTS, 2, .ints = d->strides});
	draw_attr(d, (struct finf_attr){"pads", FINF_ATTR_INTS, 4, .ints = d->pads});
}

static inline void draw_act(struct drawn *d)
{
	d->row.act = (enum finf_act)PICK(
		d, FINF_ACT_NONE, FINF_ACT_NONE, FINF_ACT_RELU, FINF_ACT_LEAKY, FINF_ACT_CLIP,
		FINF_ACT_SIGMOID, FINF_ACT_ELU, FINF_ACT_GELU, FINF_ACT_GELU_TANH,
		FINF_ACT_HARD_SWISH, FINF_ACT_MISH, FINF_ACT_SWISH, FINF_ACT_TANH);
	d->row.act_a = d->row.act == FINF_ACT_CLIP ? -0.25f : 0.25f;
	d->row.act_b = 0.5f;
}

/* Sizes of 1 above all: any layout must be found again by its name. */
static inline void draw_conv(struct drawn *d)
{
	int64_t g = PICK(d, 1, 1, 1, 2, 3, 8, 16, 24, 32), ic = PICK(d, 1, 2, 3, 8, 16, 17);
	int64_t oc = PICK(d, 1, 2, 3, 8, 16, 17);

	draw_window(d);
	draw_in(d, false, 4,
		(int64_t[]){PICK(d, 1, 1, 2), g * ic, PICK(d, 3, 5, 8), PICK(d, 3, 5, 8)});
	draw_in(d, true, 4, (int64_t[]){g * oc, ic, d->kernel[0], d->kernel[1]});
	if (PICK(d, 0, 1))
		draw_in(d, true, 1, (int64_t[]){g * oc});
	draw_attr(d, (struct finf_attr)ATTR_INT("group", g));
	d->row.op = "Conv";
}

/* A convolution and what is added to each of its outputs. */
static inline void draw_residual(struct drawn *d)
{
	struct case_in *x = &d->row.in[0], *w = &d->row.in[1];
	int64_t dim[4];

	draw_conv(d);
	dim[0] = x->dim[0];
	dim[1] = w->dim[0];
	for (int i = 0; i < 2; i++)
		dim[i + 2] = (x->dim[i + 2] + d->pads[i] + d->pads[i + 2] - d->kernel[i]) /
				     d->strides[i] +
			     1;
	if (d->row.n_in == 2)
		d->row.in[d->row.n_in++] = (struct case_in)LEFT_OUT;
	draw_in(d, false, 4, dim);
	d->row.op = "FusedConv";
	d->row.opset = FINF_OPSET_OWN;
}

static inline void draw_pool(struct drawn *d)
{
	draw_window(d);
	draw_in(d, false, 4,
		(int64_t[]){PICK(d, 1, 2), PICK(d, 1, 3, 16, 17, 40), PICK(d, 3, 5, 8),
			    PICK(d, 3, 5, 8)});
	draw_attr(d, (struct finf_attr){"kernel_shape", FINF_ATTR_INTS, 2, .ints = d->kernel});
	draw_attr(d, (struct finf_attr)ATTR_INT("ceil_mode", PICK(d, 0, 1)));
	d->row.op = PICK(d, 0, 1) ? "MaxPool" : "AveragePool";
	if (d->row.op[0] == 'A')
		draw_attr(d, (struct finf_attr)ATTR_INT("count_include_pad", PICK(d, 0, 1)));
}

static inline void draw_arithmetic(struct drawn *d)
{
	static const char *const ops[] = {"Add", "Sub", "Mul", "Div"};
	int64_t dim[2][4];

	for (int i = 0; i < 4; i++) {
		dim[0][i] = i == 1 ? PICK(d, 1, 3, 16, 17, 32) : PICK(d, 1, 2, 5);
		dim[1][i] = PICK(d, 1, dim[0][i], dim[0][i]);
	}
	for (int i = 0; i < 2; i++) {
		uint32_t drop = (uint32_t)PICK(d, 0, 0, 0, i ? 1 : 0, i ? 3 : 0);

		draw_in(d, i && PICK(d, 0, 1), 4 - drop, dim[i] + drop);
	}
	d->row.in[1].fill = FILL_POSITIVE;
	d->row.op = ops[PICK(d, 0, 1, 2, 3)];
}

static inline void draw_gemm(struct drawn *d)
{
	int64_t m = PICK(d, 1, 2, 5, 17), n = PICK(d, 1, 10, 16, 33), k = PICK(d, 1, 3, 20, 64);
	bool ta = PICK(d, 0, 0, 1), tb = PICK(d, 0, 1);

	draw_in(d, false, 2, (int64_t[]){ta ? k : m, ta ? m : k});
	draw_in(d, true, 2, (int64_t[]){tb ? n : k, tb ? k : n});
	if (PICK(d, 0, 1))
		draw_in(d, PICK(d, 0, 1), 2, (int64_t[]){PICK(d, 1, m), PICK(d, 1, n)});
	draw_attr(d, (struct finf_attr)ATTR_INT("transA", ta));
	draw_attr(d, (struct finf_attr)ATTR_INT("transB", tb));
	draw_attr(d, (struct finf_attr)ATTR_FLOAT("alpha", (float)PICK(d, 1, 1, 2)));
	d->row.op = "Gemm";
}

static void (*const draws[])(struct drawn *d) = {draw_conv,	  draw_conv, draw_pool,
						 draw_arithmetic, draw_gemm, draw_residual};

/* Number @i decides the operator, it and @round what it is given. */
static inline void draw_case(struct drawn *d, uint64_t i, uint64_t round)
{
	memset(d, 0, sizeof(*d));
	d->seed = i * 1000 + round;
	d->row.what = "random";
	d->row.opset = 11;
	draws[i % FINF_ARRAY_LEN(draws)](d);
	draw_act(d);
}

#endif
