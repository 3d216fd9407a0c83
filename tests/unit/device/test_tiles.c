/* SPDX-License-Identifier: MIT */
/*
 * device/host: the vector loops of steps, one by one with what the steps mean, and
 * programs drawn at random.
 */
#include <math.h>
#include <stdlib.h>

#include "device/host/tiles.h"
#include "tests/unit/device/site.h"

#define N 3001

/* All that is special first, then numbers of all sizes. */
static float value(uint32_t i)
{
	static const float special[] = {0,    -0.0f,  1,	   -1,	   0.5f,      2,      3,
					-3,   1e-30f, -1e-30f, 88.7f,  -88.7f,    1e-42f, 104,
					-104, 1e30f,  -1e30f,  3e38f,  -3e38f,    -87.5f, 20,
					-20,  0.346f, -0.347f, 0.999f, INFINITY, -INFINITY, NAN};
	uint32_t k = i - (uint32_t)FINF_ARRAY_LEN(special);

	if (i < FINF_ARRAY_LEN(special))
		return special[i];
	return (float)((k % 2 ? -1 : 1) * exp2((double)(k % 1500) / 60 - 18));
}

/* Four units in the last place; where the result is a difference, of what it is made of. */
static bool close_to(double got, double want, double scale)
{
	if (isnan(want) || isinf(want))
		return isnan(want) ? isnan(got) : got == want;
	return fabs(got - want) <= 5e-7 * fmax(fabs(want), scale) + 1e-36;
}

/* Beside these sizes a result is noise: what x is multiplied with comes of a difference. */
static double scale_of(enum finf_step_kind kind, double x)
{
	return kind == FINF_STEP_GELU || kind == FINF_STEP_GELU_TANH ||
			       kind == FINF_STEP_HARD_SWISH
		       ? fmin(fabs(x), 10)
		       : 0;
}

START_TEST(every_step_is_what_it_means)
{
	enum finf_step_kind kind = (enum finf_step_kind)_i;
	float x[N], y[N], z[N], got[N];

	for (uint32_t i = 0; i < N; i++) {
		x[i] = value(i);
		y[i] = value((i * 7 + i / 28) % N);
		z[i] = value((i * 11 + 5) % N);
	}
	finf_host_step(kind, NULL)(got, x, y, z, N);
	for (uint32_t i = 0; i < N; i++) {
		float want = (float)finf_step_eval(kind, (double)x[i], (double)y[i], (double)z[i]);

		ck_assert_msg(close_to((double)got[i], (double)want, scale_of(kind, (double)x[i])),
			      "step %d of %g, %g, %g: %g, not %g", _i, (double)x[i], (double)y[i],
			      (double)z[i], (double)got[i], (double)want);
	}
}
END_TEST

START_TEST(powers_that_are_products)
{
	static const float powers[] = {2, 3, 2.5f};
	float x[N], y[N], got[N];

	for (uint32_t k = 0; k < FINF_ARRAY_LEN(powers); k++) {
		for (uint32_t i = 0; i < N; i++) {
			x[i] = value(i);
			y[i] = powers[k];
		}
		finf_host_step(FINF_STEP_POW, &powers[k])(got, x, y, y, N);
		for (uint32_t i = 0; i < N; i++) {
			float want = (float)pow((double)x[i], (double)y[i]);

			ck_assert_msg(close_to((double)got[i], (double)want, 0),
				      "%g to the power of %g: %g", (double)x[i], (double)y[i],
				      (double)got[i]);
		}
	}
}
END_TEST

/* ---- programs ----------------------------------------------------------------------- */

static int64_t draw(uint64_t *seed, int64_t n)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return (int64_t)((*seed >> 33) % (uint64_t)n);
}

/* Steps whose results are the same to the bit, whoever computes them. */
static void draw_program(uint64_t *seed, int64_t n_in, uint32_t n_steps, int64_t *ints)
{
	static const enum finf_step_kind kinds[] = {
		FINF_STEP_ABS, FINF_STEP_ADD,  FINF_STEP_CLIP, FINF_STEP_LESS, FINF_STEP_MAX,
		FINF_STEP_MIN, FINF_STEP_RELU, FINF_STEP_SUB,  FINF_STEP_NEG,  FINF_STEP_WHERE,
	};

	for (uint32_t s = 0; s < n_steps; s++, ints += 4) {
		ints[0] = kinds[draw(seed, (int64_t)FINF_ARRAY_LEN(kinds))];
		ints[1] = ints[2] = ints[3] = 0;
		for (uint32_t k = 0; k < finf_step_operands((enum finf_step_kind)ints[0]); k++) {
			int64_t which = draw(seed, n_in + s + 3);

			ints[1 + k] = which < n_in	 ? which
				      : which < n_in + s ? which - n_in + FINF_PROGRAM_INPUTS
							 : n_in + s - which - 1;
		}
	}
}

/* Slots are taken, given back and taken again: nothing may lie where it is still read. */
START_TEST(drawn_programs_equal_the_reference)
{
	static const float numbers[] = {0.25f, -0.5f, 2};
	uint64_t seed = (uint64_t)_i + 1;
	int64_t ints[4 * FINF_PROGRAM_STEPS];
	uint32_t n_steps = 1 + (uint32_t)draw(&seed, FINF_PROGRAM_STEPS);
	struct node_case row = {
		.what = "drawn",
		.op = "FusedElementwise",
		.opset = FINF_OPSET_OWN,
		.in = {ACT(3, 16, 5, 7), WEIGHT(16, 1, 1), ACT(3, 1, 5, 7), ACT(3, 16, 1, 1)},
		.n_in = 4,
		.attrs = {{.name = "program", .type = FINF_ATTR_INTS, .n = 4 * n_steps, .ints = ints},
			  {.name = "numbers", .type = FINF_ATTR_FLOATS, .n = 3, .floats = numbers}},
	};
	struct finf_device *dev;
	struct finf_form_table table;
	struct site site;

	draw_program(&seed, row.n_in, n_steps, ints);
	ck_assert_int_eq(finf_device_open("host", &dev, NULL), 0);
	site_init(&site, &row, 0);
	ck_assert_int_eq(site_forms(&site, dev, 2, NULL, &table), 0);
	ck_assert_uint_eq(table.nodes[0].n, 3); /* the reference, plain, blocked */
	for (uint32_t k = 0; k < table.nodes[0].n; k++) {
		const struct finf_form *form = &table.nodes[0].forms[k];

		site_run(&site, dev, form, 2, false, form->name);
		if (form->flags & FINF_FORM_INPLACE)
			site_run(&site, dev, form, 2, true, form->name);
	}
	finf_form_table_fini(&table);
	site_fini(&site);
	finf_device_close(dev);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("device/tiles");
	TCase *tcase = tcase_create("steps");

	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, every_step_is_what_it_means, 0, FINF_STEPS);
	tcase_add_test(tcase, powers_that_are_products);
	tcase_add_loop_test(tcase, drawn_programs_equal_the_reference, 0, 60);
	suite_add_tcase(suite, tcase);
	return suite;
}
