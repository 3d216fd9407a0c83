/* SPDX-License-Identifier: MIT */
/* device/host: the vector loops of steps, one by one with what the steps mean. */
#include <math.h>
#include <stdlib.h>

#include "device/host/tiles.h"
#include "tests/support/support.h"

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

Suite *test_suite(void)
{
	Suite *suite = suite_create("device/tiles");
	TCase *tcase = tcase_create("steps");

	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, every_step_is_what_it_means, 0, FINF_STEPS);
	tcase_add_test(tcase, powers_that_are_products);
	suite_add_tcase(suite, tcase);
	return suite;
}
