/* SPDX-License-Identifier: MIT */
/* device: rows that are masked wholly, in one node as in nodes of their own. */
#include "tests/unit/device/site.h"

#define QUERIES 5
#define KEYS	8
#define WIDTH	6

/* Row 0 sees nothing, row 1 one key, all others everything. */
static void put_mask(float mask[QUERIES][KEYS])
{
	memset(mask, 0, sizeof(float[QUERIES][KEYS]));
	for (int k = 0; k < KEYS; k++)
		mask[0][k] = mask[1][k] = -INFINITY;
	mask[1][3] = 0;
}

/* The device's own form, not the reference, of the node of @row for @in, which are activations. */
static void run_row(struct finf_device *dev, const struct node_case *row, const void *const *in,
		    uint32_t threads, float *y)
{
	struct finf_form_table table;
	const struct finf_form *form = NULL;
	struct finf_kernel *kernel;
	struct finf_diag diag = {""};
	struct guarded workspace, out;
	struct site site;

	site_init(&site, row, 0);
	ck_assert_int_eq(site_forms(&site, dev, threads, NULL, &table), 0);
	for (uint32_t k = 0; k < table.nodes[0].n; k++)
		if (table.nodes[0].forms[k].algo != FINF_HOST_REF)
			form = &table.nodes[0].forms[k];
	ck_assert_ptr_nonnull(form);
	guarded_init(&workspace, form->workspace_bytes);
	guarded_init(&out, site.out.bytes);
	ck_assert_msg(!finf_device_kernel_new(dev, site.graph, 0, form, threads, &kernel, &diag),
		      "%s", diag.text);
	ck_assert_int_eq(
		finf_device_kernel_run(
			dev, kernel,
			&(struct finf_launch){.in = in, .out = &out.at, .workspace = workspace.at}),
		0);
	memcpy(y, out.at, site.out.bytes);
	guarded_check(&workspace, row->what);
	guarded_check(&out, row->what);
	finf_device_kernel_free(dev, kernel);
	guarded_fini(&workspace);
	guarded_fini(&out);
	finf_form_table_fini(&table);
	site_fini(&site);
}

START_TEST(masked_wholly)
{
	static const struct node_case one = {
		"attention",
		"FusedAttention",
		FINF_OPSET_OWN,
		{ACT(QUERIES, 4), ACT(4, KEYS), ACT(KEYS, WIDTH), ACT(QUERIES, KEYS)},
		4,
		{{0}},
		.want = WANT_PLAIN};
	static const struct node_case scores = {"scores",
						"FusedMatMul",
						FINF_OPSET_OWN,
						{ACT(QUERIES, 4), ACT(4, KEYS), ACT(QUERIES, KEYS)},
						3,
						{{0}},
						.want = WANT_PLAIN};
	static const struct node_case softmax = {
		"softmax", "Softmax", 13, {ACT(QUERIES, KEYS)}, 1, {{0}}, .want = WANT_PLAIN};
	static const struct node_case values = {
		"values", "MatMul",	     13, {ACT(QUERIES, KEYS), ACT(KEYS, WIDTH)}, 2,
		{{0}},	  .want = WANT_PLAIN};
	float q[QUERIES][4], k[4][KEYS], v[KEYS][WIDTH], mask[QUERIES][KEYS], s[QUERIES][KEYS];
	float got[QUERIES][WIDTH], want[QUERIES][WIDTH], p[QUERIES][KEYS];
	struct finf_device *dev;
	struct finf_diag diag;

	test_fill_f32(&q[0][0], QUERIES * 4, 1);
	test_fill_f32(&k[0][0], 4 * KEYS, 2);
	test_fill_f32(&v[0][0], KEYS * WIDTH, 3);
	put_mask(mask);
	ck_assert_int_eq(finf_device_open("host", &dev, &diag), 0);
	run_row(dev, &scores, (const void *[]){q, k, mask}, 1, &s[0][0]);
	run_row(dev, &softmax, (const void *[]){s}, 1, &p[0][0]);
	run_row(dev, &values, (const void *[]){p, v}, 1, &want[0][0]);
	for (uint32_t threads = 1; threads <= 2; threads++) {
		run_row(dev, &one, (const void *[]){q, k, v, mask}, threads, &got[0][0]);
		for (int i = 0; i < WIDTH; i++)
			ck_assert_int_eq(isnan(got[0][i]) != 0, isnan(want[0][i]) != 0);
		ck_assert_mem_eq(got[1], v[3], sizeof(v[3]));
		ck_assert_double_le(relative_l2(got[2], want[2], (QUERIES - 2) * WIDTH), 1e-6);
	}
	finf_device_close(dev);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("device/attention");
	TCase *tcase = tcase_create("attention");

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, masked_wholly);
	suite_add_tcase(suite, tcase);
	return suite;
}
