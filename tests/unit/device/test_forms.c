/* SPDX-License-Identifier: MIT */
/* Every form that "host" offers for every operator gives what the reference gives. */
#include "tests/unit/device/cases.h"

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
	if (form->algo != FINF_HOST_ONEDNN)
		return 0;
	if (form->in_layout != form->out_layout)
		return WANT_MIXED;
	return form->in_layout ? WANT_BLOCKED : WANT_PLAIN;
}

/* An alias must be the same bytes; others are run, in place too where offered. */
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

/* A case and what its attributes point to. */
struct drawn {
	struct node_case row;
	int64_t kernel[2], strides[2], pads[4];
	uint64_t seed;
};

static int64_t pick(struct drawn *d, const int64_t *from, size_t n)
{
	return from[test_random(&d->seed) % n];
}

#define PICK(d, ...)                                                                               \
	pick(d, (const int64_t[]){__VA_ARGS__}, FINF_ARRAY_LEN(((const int64_t[]){__VA_ARGS__})))

static void draw_in(struct drawn *d, bool is_const, uint32_t rank, const int64_t *dim)
{
	struct case_in *in = &d->row.in[d->row.n_in++];

	*in = (struct case_in){.rank = rank, .is_const = is_const};
	memcpy(in->dim, dim, rank * sizeof(*dim));
}

static void draw_attr(struct drawn *d, struct finf_attr attr)
{
	uint32_t n = 0;

	while (d->row.attrs[n].name)
		n++;
	d->row.attrs[n] = attr;
}

static void draw_window(struct drawn *d)
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

static void draw_act(struct drawn *d)
{
	d->row.act = (enum finf_act)PICK(d, FINF_ACT_NONE, FINF_ACT_RELU, FINF_ACT_LEAKY,
					 FINF_ACT_CLIP, FINF_ACT_SIGMOID);
	d->row.act_a = d->row.act == FINF_ACT_CLIP ? -0.25f : 0.25f;
	d->row.act_b = 0.5f;
}

/* Sizes of 1 above all: any layout must be found again by its name. */
static void draw_conv(struct drawn *d)
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

static void draw_pool(struct drawn *d)
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

static void draw_arithmetic(struct drawn *d)
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

static void draw_gemm(struct drawn *d)
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

static void (*const draws[])(struct drawn *d) = {draw_conv, draw_conv, draw_pool, draw_arithmetic,
						 draw_gemm};

START_TEST(random_cases_equal_the_reference)
{
	struct finf_device *dev = open_device("host");
	struct drawn d;

	for (uint64_t round = 0; round < 50; round++) {
		struct finf_form_table table;
		struct site site;
		char text[80];

		memset(&d, 0, sizeof(d));
		d.seed = (uint64_t)_i * 1000 + round;
		d.row.what = "random";
		d.row.opset = 11;
		draws[(size_t)_i % FINF_ARRAY_LEN(draws)](&d);
		draw_act(&d);
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
