/* SPDX-License-Identifier: MIT */
/* Every form that "host" offers for every operator gives what the reference gives. */
#include "tests/unit/device/cases.h"
#include "tests/unit/device/draw.h"

static struct finf_device *open_device(const char *name)
{
	struct finf_device *dev;
	struct finf_diag diag = {""};

	ck_assert_msg(!finf_device_open(name, &dev, &diag), "%s", diag.text);
	return dev;
}

static uint32_t kind_of(const struct finf_form *form)
{
	if (form->algo == FINF_HOST_ALIAS)
		return WANT_ALIAS;
	if (form->flags & FINF_FORM_JOIN)
		return form->in_layout ? WANT_JOIN_BLOCKED : WANT_JOIN;
	if (form->algo != FINF_HOST_ONEDNN)
		return 0;
	if (form->in_layout != form->out_layout)
		return WANT_MIXED;
	return form->in_layout ? WANT_BLOCKED : WANT_PLAIN;
}

/* An alias must be the same bytes, a join its inputs' bytes; others are run, in place too
 * where offered. */
static void run_form(struct site *site, struct finf_device *dev, const struct finf_form *form,
		     uint32_t threads, const char *what)
{
	char text[200];

	snprintf(text, sizeof(text), "%s, %s %u->%u", what, form->name, form->in_layout,
		 form->out_layout);
	if (form->flags & FINF_FORM_ALIAS) {
		ck_assert_uint_eq(site->in[0].bytes, site->out.bytes);
		ck_assert_mem_eq(site->in[0].data, site->out.data, site->out.bytes);
		return;
	}
	if (form->flags & FINF_FORM_JOIN) {
		site_join(site, dev, form, text);
		return;
	}
	site_run(site, dev, form, threads, false, text);
	if (form->flags & FINF_FORM_INPLACE)
		site_run(site, dev, form, threads, true, text);
}

START_TEST(every_form_equals_the_reference)
{
	const struct node_case *row = &cases[_i];
	struct finf_device *dev = open_device("host");

	for (uint32_t threads = 1; threads <= 2; threads++) {
		struct finf_form_table table;
		struct site site;
		uint32_t seen = 0;
		uint64_t ref_ns = 0, best_ns = UINT64_MAX;

		site_init(&site, row, 0);
		ck_assert_int_eq(site_forms(&site, dev, threads, NULL, &table), 0);
		for (uint32_t k = 0; k < table.nodes[0].n; k++) {
			const struct finf_form *form = &table.nodes[0].forms[k];

			seen |= kind_of(form);
			if (form->algo == FINF_HOST_REF)
				ref_ns = form->est_ns;
			else
				best_ns = FINF_MIN(best_ns, form->est_ns);
			run_form(&site, dev, form, threads, row->what);
		}
		ck_assert_msg(ref_ns > 0, "%s: no reference form", row->what);
		ck_assert_msg(best_ns == UINT64_MAX || best_ns < ref_ns,
			      "%s: the reference is thought fastest", row->what);
		if (row->want == WANT_REF_ONLY)
			ck_assert_msg(!seen, "%s: forms %x", row->what, seen);
		else
			ck_assert_msg((seen & row->want) == row->want, "%s: forms %x, not %x",
				      row->what, seen, row->want);
		if (!(row->want & WANT_JOIN_BLOCKED))
			ck_assert_msg(!(seen & WANT_JOIN_BLOCKED), "%s: joined in blocks",
				      row->what);
		if (row->want == (WANT_PLAIN | WANT_BLOCKED))
			ck_assert_msg(!(seen & WANT_JOIN), "%s: joined", row->what);
		finf_form_table_fini(&table);
		site_fini(&site);
	}
	finf_device_close(dev);
}
END_TEST

START_TEST(ref_device_offers_the_reference_only)
{
	const struct node_case *row = &cases[_i];
	struct finf_device *dev = open_device("ref");
	struct finf_form_table table;
	struct site site;

	site_init(&site, row, 0);
	ck_assert_int_eq(site_forms(&site, dev, 1, NULL, &table), 0);
	ck_assert_uint_eq(table.nodes[0].n, 1);
	ck_assert_uint_eq(table.nodes[0].forms[0].algo, FINF_HOST_REF);
	site_run(&site, dev, &table.nodes[0].forms[0], 1, false, row->what);
	finf_form_table_fini(&table);
	site_fini(&site);
	finf_device_close(dev);
}
END_TEST

/* ---- cases drawn at random --------------------------------------------------- */

START_TEST(random_cases_equal_the_reference)
{
	struct finf_device *dev = open_device("host");
	struct drawn d;

	for (uint64_t round = 0; round < 50; round++) {
		struct finf_form_table table;
		struct site site;
		char text[80];

		draw_case(&d, (uint64_t)_i, round);
		snprintf(text, sizeof(text), "%s of draw %d, round %d", d.row.op, _i, (int)round);
		site_init(&site, &d.row, 0);
		ck_assert_int_eq(site_forms(&site, dev, 1, NULL, &table), 0);
		for (uint32_t k = 0; k < table.nodes[0].n; k++)
			run_form(&site, dev, &table.nodes[0].forms[k], 1, text);
		finf_form_table_fini(&table);
		site_fini(&site);
	}
	finf_device_close(dev);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("device/forms");
	TCase *tc = tcase_create("forms");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, every_form_equals_the_reference, 0, FINF_ARRAY_LEN(cases));
	tcase_add_loop_test(tc, ref_device_offers_the_reference_only, 0, FINF_ARRAY_LEN(cases));
	tcase_add_loop_test(tc, random_cases_equal_the_reference, 0, 2 * FINF_ARRAY_LEN(draws));
	suite_add_tcase(suite, tc);
	return suite;
}
