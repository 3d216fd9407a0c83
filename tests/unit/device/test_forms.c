/* SPDX-License-Identifier: MIT */
/* Every form that "host" offers for every operator gives what the reference gives. */
#include "tests/unit/device/cases.h"
#include "tests/unit/device/draw.h"

/* Operators that only the host has forms for. */
static const struct node_case host_cases[] = {
	/* Few pixels: kernels, steps, padding, batches, activations, residuals; and too many. */
	{"conv of few pixels", "Conv", 11, {ACT(1, 64, 4, 4), WEIGHT(64, 64, 3, 3), WEIGHT(64)}, 3,
	 {ATTR_INTS("pads", 1, 1, 1, 1)}, .act = FINF_ACT_RELU, .want = WANT_BLOCKED | WANT_COLUMNS},
	{"conv of four pixels", "Conv", 11, {ACT(1, 128, 2, 2), WEIGHT(192, 128, 3, 3)}, 2,
	 {ATTR_INTS("pads", 1, 1, 1, 1)}, .want = WANT_BLOCKED | WANT_COLUMNS},
	{"conv of few pixels, uneven", "Conv", 11,
	 {ACT(3, 48, 9, 6), WEIGHT(32, 48, 3, 2), WEIGHT(32)}, 3,
	 {ATTR_INTS("pads", 0, 1, 2, 0), ATTR_INTS("strides", 4, 2), ATTR_INTS("dilations", 2, 1)},
	 .act = FINF_ACT_SIGMOID, .want = WANT_COLUMNS},
	{"conv of few pixels, 16 channels", "Conv", 11, {ACT(2, 16, 3, 5), WEIGHT(16, 16, 5, 5)}, 2,
	 {ATTR_INTS("pads", 2, 2, 2, 2)}, .act = FINF_ACT_HARD_SWISH, .want = WANT_COLUMNS},
	{"conv of few pixels and residual", "FusedConv", FINF_OPSET_OWN,
	 {ACT(2, 64, 4, 4), WEIGHT(64, 64, 3, 3), WEIGHT(64), ACT(2, 64, 4, 4)}, 4,
	 {ATTR_INTS("pads", 1, 1, 1, 1)}, .act = FINF_ACT_RELU, .want = WANT_COLUMNS},
	{"conv of few pixels and residual alone", "FusedConv", FINF_OPSET_OWN,
	 {ACT(1, 32, 8, 8), WEIGHT(64, 32, 3, 3), LEFT_OUT, ACT(1, 64, 4, 4)}, 4,
	 {ATTR_INTS("pads", 1, 1, 1, 1), ATTR_INTS("strides", 2, 2)}, .want = WANT_COLUMNS},
	{"conv of few pixels, five blocks of channels", "Conv", 11,
	 {ACT(1, 64, 4, 4), WEIGHT(80, 64, 3, 3)}, 2, {ATTR_INTS("pads", 1, 1, 1, 1)},
	 .want = WANT_BLOCKED},
	{"deconv", "ConvTranspose", 11, {ACT(1, 16, 5, 6), WEIGHT(16, 8, 3, 3), WEIGHT(8)}, 3,
	 {ATTR_INTS("strides", 2, 2), ATTR_INTS("pads", 1, 1, 1, 1),
	  ATTR_INTS("output_padding", 1, 0)}, .act = FINF_ACT_RELU, .want = WANT_PLAIN},
	{"deconv of two", "ConvTranspose", 11, {ACT(2, 6, 4, 4), WEIGHT(6, 5, 2, 2)}, 2,
	 {ATTR_INTS("strides", 2, 2)}, .act = FINF_ACT_GELU, .want = WANT_PLAIN},
	{"deconv dilated", "ConvTranspose", 11, {ACT(1, 3, 5, 5), WEIGHT(3, 4, 3, 2)}, 2,
	 {ATTR_INTS("dilations", 2, 1)}, .want = WANT_PLAIN},
	{"deconv groups", "ConvTranspose", 11, {ACT(1, 8, 5, 5), WEIGHT(8, 3, 3, 3), WEIGHT(6)}, 3,
	 {ATTR_INT("group", 2)}, .want = WANT_PLAIN},
	{"deconv 1-D", "ConvTranspose", 11, {ACT(1, 8, 5), WEIGHT(8, 3, 4)}, 2,
	 {ATTR_INTS("strides", 2)}, .want = WANT_PLAIN},
	{"deconv 3-D", "ConvTranspose", 11, {ACT(1, 4, 3, 4, 2), WEIGHT(4, 3, 2, 2, 2)}, 2,
	 {ATTR_INTS("strides", 2, 2, 2)}, .want = WANT_PLAIN},
	{"nearest twice", "Resize", 13,
	 {ACT(1, 32, 3, 4), LEFT_OUT, {.rank = 1, .dim = {4}, .is_const = true,
				       .values = {1, 1, 2, 2}, .n_values = 4}}, 3,
	 {ATTR_STR("mode", "nearest"), ATTR_STR("nearest_mode", "floor"),
	  ATTR_STR("coordinate_transformation_mode", "asymmetric")},
	 .want = WANT_PLAIN | WANT_BLOCKED},
	{"nearest thrice", "Resize", 13,
	 {ACT(2, 5, 3, 4), LEFT_OUT, LEFT_OUT, INTS_IN(2, 5, 9, 12)}, 4,
	 {ATTR_STR("mode", "nearest")}, .act = FINF_ACT_RELU, .want = WANT_PLAIN},
	{"nearest fewer", "Resize", 13, {ACT(1, 5, 6, 4), LEFT_OUT, LEFT_OUT, INTS_IN(1, 5, 3, 2)},
	 4, {ATTR_STR("mode", "nearest")}, .want = WANT_REF_ONLY},
	{"linear", "Resize", 13, {ACT(1, 32, 3, 4), LEFT_OUT, LEFT_OUT, INTS_IN(1, 32, 7, 9)}, 4,
	 {ATTR_STR("mode", "linear")}, .want = WANT_PLAIN | WANT_BLOCKED},
	{"linear fewer", "Resize", 13, {ACT(1, 3, 8, 9), LEFT_OUT, LEFT_OUT, INTS_IN(1, 3, 5, 3)},
	 4, {ATTR_STR("mode", "linear"),
	     ATTR_STR("coordinate_transformation_mode", "pytorch_half_pixel")},
	 .want = WANT_PLAIN},
	{"linear corners", "Resize", 13,
	 {ACT(1, 3, 4, 4), LEFT_OUT, LEFT_OUT, INTS_IN(1, 3, 8, 8)}, 4,
	 {ATTR_STR("mode", "linear"), ATTR_STR("coordinate_transformation_mode", "align_corners")},
	 .want = WANT_REF_ONLY},
	{"linear along channels", "Resize", 13,
	 {ACT(1, 3, 4, 4), LEFT_OUT, LEFT_OUT, INTS_IN(1, 6, 4, 4)}, 4, {ATTR_STR("mode", "linear")},
	 .want = WANT_REF_ONLY},
	{"upsample", "Upsample", 9,
	 {ACT(1, 16, 3, 4), {.rank = 1, .dim = {4}, .is_const = true, .values = {1, 1, 2, 2},
			     .n_values = 4}}, 2, {ATTR_STR("mode", "nearest")},
	 .want = WANT_PLAIN | WANT_BLOCKED},
	{"slice", "Slice", 13, {ACT(4, 5, 6), INTS_IN(1, -5), INTS_IN(3, 100), INTS_IN(0, -1)}, 4,
	 {{0}}, .want = WANT_PLAIN},
	{"slice every second", "Slice", 13,
	 {ACT(1, 3, 6, 8), INTS_IN(1, 0), INTS_IN(6, 8), INTS_IN(2, 3), INTS_IN(2, 2)}, 5, {{0}},
	 .act = FINF_ACT_RELU, .want = WANT_PLAIN},
	{"slice by attributes", "Slice", 9, {ACT(4, 6)}, 1,
	 {ATTR_INTS("starts", 1, 2), ATTR_INTS("ends", 3, 6)}, .want = WANT_PLAIN},
	{"slice backwards", "Slice", 13,
	 {ACT(4, 6), INTS_IN(-1), INTS_IN(-100), INTS_IN(1), INTS_IN(-1)}, 5, {{0}},
	 .want = WANT_REF_ONLY},
	{"depth to space", "DepthToSpace", 13, {ACT(2, 12, 3, 5)}, 1, {ATTR_INT("blocksize", 2)},
	 .want = WANT_PLAIN},
	{"depth to space, CRD", "DepthToSpace", 13, {ACT(2, 18, 3, 5)}, 1,
	 {ATTR_INT("blocksize", 3), ATTR_STR("mode", "CRD")}, .want = WANT_PLAIN},
	{"space to depth", "SpaceToDepth", 13, {ACT(2, 3, 4, 6)}, 1, {ATTR_INT("blocksize", 2)},
	 .act = FINF_ACT_RELU, .want = WANT_PLAIN},
	{"prelu", "PRelu", 16, {ACT(2, 32, 4, 5), WEIGHT(32, 1, 1)}, 2, {{0}},
	 .want = WANT_PLAIN | WANT_BLOCKED},
	{"prelu odd", "PRelu", 16, {ACT(2, 5, 4, 5), WEIGHT(5, 1, 1)}, 2, {{0}},
	 .act = FINF_ACT_RELU, .want = WANT_PLAIN},
	{"prelu, one slope", "PRelu", 7, {ACT(2, 3), WEIGHT(1)}, 2, {{0}}, .want = WANT_ANY},
	{"lrn", "LRN", 13, {ACT(2, 32, 4, 5)}, 1,
	 {ATTR_INT("size", 5), ATTR_FLOAT("alpha", 0.5f), ATTR_FLOAT("beta", 0.75f),
	  ATTR_FLOAT("bias", 2)}, .want = WANT_ANY},
	{"lrn even", "LRN", 13, {ACT(2, 32, 4, 5)}, 1, {ATTR_INT("size", 4)},
	 .want = WANT_REF_ONLY},
	{"instance norm", "InstanceNormalization", 7, {ACT(1, 32, 4, 5), WEIGHT(32), WEIGHT(32)}, 3,
	 {ATTR_FLOAT("epsilon", 1e-3f)}, .act = FINF_ACT_RELU, .want = WANT_PLAIN | WANT_BLOCKED},
	{"instance norm odd", "InstanceNormalization", 7, {ACT(1, 5, 40), WEIGHT(5), WEIGHT(5)}, 3,
	 {{0}}, .want = WANT_PLAIN},
	{"instance norm of two", "InstanceNormalization", 7,
	 {ACT(2, 32, 4, 5), WEIGHT(32), WEIGHT(32)}, 3, {{0}}, .want = WANT_REF_ONLY},
};

static const struct node_case *row_at(int i)
{
	return i < (int)FINF_ARRAY_LEN(cases) ? &cases[i]
					       : &host_cases[i - (int)FINF_ARRAY_LEN(cases)];
}

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
	if (form->algo == FINF_HOST_ATTENTION)
		return WANT_PLAIN;
	if (form->algo == FINF_HOST_COLUMNS)
		return WANT_COLUMNS;
	if (form->algo != FINF_HOST_ONEDNN && form->algo != FINF_HOST_TILES)
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
	if (finf_form_over(form, site->n_in) != FINF_NONE)
		site_run(site, dev, form, threads, true, text);
}

START_TEST(every_form_equals_the_reference)
{
	const struct node_case *row = row_at(_i);
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
		if (finf_dnn_block() != 16)
			seen |= row->want & WANT_COLUMNS;
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
	const struct node_case *row = row_at(_i);
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
	tcase_add_loop_test(tc, every_form_equals_the_reference, 0,
			    FINF_ARRAY_LEN(cases) + FINF_ARRAY_LEN(host_cases));
	tcase_add_loop_test(tc, ref_device_offers_the_reference_only, 0,
			    FINF_ARRAY_LEN(cases) + FINF_ARRAY_LEN(host_cases));
	tcase_add_loop_test(tc, random_cases_equal_the_reference, 0, 2 * FINF_ARRAY_LEN(draws));
	suite_add_tcase(suite, tc);
	return suite;
}
