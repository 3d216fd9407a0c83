/* SPDX-License-Identifier: MIT */
/* base: numbers of 16 bits - every one of them, and every border between two. */
#include "base/half.h"
#include "tests/support/support.h"

/* The specification in its own words: sign, exponent, fraction. */
static double value(uint16_t bits, int fraction_bits, int bias)
{
	int exponent = (bits & 0x7fff) >> fraction_bits, top = 0x7fff >> fraction_bits;
	int fraction = bits & ((1 << fraction_bits) - 1);
	double x = exponent ? ldexp(1 << fraction_bits | fraction, exponent - bias - fraction_bits)
			    : ldexp(fraction, 1 - bias - fraction_bits);

	if (exponent == top)
		x = fraction ? NAN : INFINITY;
	return bits >> 15 ? -x : x;
}

static const struct {
	float (*widen)(uint16_t);
	uint16_t (*narrow)(float);
	int fraction_bits, bias;
	uint16_t infinity;
} kinds[] = {
	{finf_half_value, finf_half_bits, 10, 15, 0x7c00},
	{finf_brain_value, finf_brain_bits, 7, 127, 0x7f80},
};

START_TEST(every_number_is_what_it_says_and_comes_back)
{
	for (uint32_t bits = 0; bits <= 0xffff; bits++) {
		double want = value((uint16_t)bits, kinds[_i].fraction_bits, kinds[_i].bias);
		float got = kinds[_i].widen((uint16_t)bits);

		if (isnan(want)) {
			ck_assert_msg(isnan(got), "%#x", bits);
			ck_assert(isnan(kinds[_i].widen(kinds[_i].narrow(got))));
			continue;
		}
		ck_assert_msg((double)got == want && !signbit(got) == !signbit(want), "%#x", bits);
		ck_assert_uint_eq(kinds[_i].narrow(got), bits);
	}
}
END_TEST

/* Between two neighbours: just below the middle, the middle, just above it. */
START_TEST(halves_go_to_the_even_neighbour)
{
	for (uint32_t bits = 0; bits + 1 < kinds[_i].infinity; bits++) {
		double low = value((uint16_t)bits, kinds[_i].fraction_bits, kinds[_i].bias);
		double high = value((uint16_t)(bits + 1), kinds[_i].fraction_bits, kinds[_i].bias);
		long double middle = ((long double)low + (long double)high) / 2;
		long double little = ((long double)high - (long double)low) * 0x1p-40L;
		uint32_t even = bits & 1 ? bits + 1 : bits;

		for (int sign = 0; sign <= 0x8000; sign += 0x8000) {
			int by = sign ? -1 : 1;

			ck_assert_uint_eq(kinds[_i].narrow(finf_odd_float(by * middle)),
					  even | (uint32_t)sign);
			ck_assert_uint_eq(kinds[_i].narrow(finf_odd_float(by * (middle - little))),
					  bits | (uint32_t)sign);
			ck_assert_uint_eq(kinds[_i].narrow(finf_odd_float(by * (middle + little))),
					  (bits + 1) | (uint32_t)sign);
		}
	}
}
END_TEST

START_TEST(what_is_too_large_is_infinite)
{
	float most = kinds[_i].widen((uint16_t)(kinds[_i].infinity - 1));
	float unit = most - kinds[_i].widen((uint16_t)(kinds[_i].infinity - 2));

	ck_assert_uint_eq(kinds[_i].narrow(most + unit / 4), kinds[_i].infinity - 1);
	ck_assert_uint_eq(kinds[_i].narrow(most + unit / 2), kinds[_i].infinity);
	ck_assert_uint_eq(kinds[_i].narrow(-most - unit / 2), kinds[_i].infinity | 0x8000);
	ck_assert_uint_eq(kinds[_i].narrow(INFINITY), kinds[_i].infinity);
	ck_assert_uint_eq(kinds[_i].narrow(finf_odd_float(1e300L)), kinds[_i].infinity);
	ck_assert_uint_eq(kinds[_i].narrow(finf_odd_float(-1e300L)), kinds[_i].infinity | 0x8000);
	ck_assert(isnan(kinds[_i].widen(kinds[_i].narrow(-NAN))));
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("base/half");
	TCase *tc = tcase_create("half");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, every_number_is_what_it_says_and_comes_back, 0, 2);
	tcase_add_loop_test(tc, halves_go_to_the_even_neighbour, 0, 2);
	tcase_add_loop_test(tc, what_is_too_large_is_infinite, 0, 2);
	suite_add_tcase(suite, tc);
	return suite;
}
