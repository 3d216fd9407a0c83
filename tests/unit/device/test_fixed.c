/* SPDX-License-Identifier: MIT */
/* Weights in a pack already: other batches take them as they are; hostile ones are refused. */
#include <errno.h>
#include <malloc.h>

#include "tests/unit/device/site.h"

/* One case in as few lines as it takes. */
/* clang-format off */
static const struct node_case cases[] = {
	{"conv 3x3", "Conv", 11, {ACT(1, 32, 10, 10), WEIGHT(48, 32, 3, 3), WEIGHT(48)}, 3,
	 {ATTR_INTS("pads", 1, 1, 1, 1)}, .act = FINF_ACT_RELU},
	{"conv first layer", "Conv", 11, {ACT(1, 3, 16, 16), WEIGHT(32, 3, 3, 3), WEIGHT(32)}, 3,
	 {ATTR_INTS("strides", 2, 2)}, .want = WANT_ANY},
	{"conv depthwise", "Conv", 11, {ACT(1, 40, 9, 9), WEIGHT(40, 1, 3, 3), WEIGHT(40)}, 3,
	 {ATTR_INT("group", 40)}, .want = WANT_ANY},
	{"conv groups", "Conv", 11, {ACT(1, 32, 6, 6), WEIGHT(64, 16, 1, 1)}, 2,
	 {ATTR_INT("group", 2)}, .want = WANT_ANY},
	{"conv odd channels", "Conv", 11, {ACT(1, 19, 6, 6), WEIGHT(21, 19, 3, 3)}, 2, {{0}},
	 .want = WANT_ANY},
	/* as a product; of batch 3 it has more pixels than a turn, and a last turn of fewer */
	{"conv of few pixels", "Conv", 11, {ACT(1, 32, 5, 5), WEIGHT(64, 32, 3, 3), WEIGHT(64)}, 3,
	 {ATTR_INTS("pads", 1, 1, 1, 1)}, .act = FINF_ACT_RELU},
	{"gemm", "Gemm", 11, {ACT(1, 70), WEIGHT(50, 70), WEIGHT(50)}, 3, {ATTR_INT("transB", 1)},
	 .want = WANT_ANY},
};

static const struct node_case few_pixels = {
	"conv of five pixels", "Conv", 11, {ACT(1, 16, 1, 5), WEIGHT(64, 16, 3, 3)}, 2,
	{ATTR_INTS("pads", 1, 1, 1, 1)}, .act = FINF_ACT_RELU};
/* clang-format on */

static struct finf_device *dev;

static void setup(void)
{
	struct finf_diag diag = {""};

	ck_assert_msg(!finf_device_open("host", &dev, &diag), "%s", diag.text);
}

static void teardown(void)
{
	finf_device_close(dev);
}

static bool same_weights(const struct finf_form *a, const struct finf_form *b)
{
	if (a->n_weights != b->n_weights)
		return false;
	for (uint32_t k = 0; k < a->n_weights; k++)
		if (a->weights[k].input != b->weights[k].input ||
		    a->weights[k].bytes != b->weights[k].bytes ||
		    a->weights[k].desc_bytes != b->weights[k].desc_bytes ||
		    (a->weights[k].desc_bytes &&
		     memcmp(a->weights[k].desc, b->weights[k].desc, a->weights[k].desc_bytes) != 0))
			return false;
	return true;
}

/* Weights of every lean form of batch 1 must serve batch 1 again, and batch 3 on one thread. */
START_TEST(weights_serve_other_batches)
{
	const struct node_case *row = &cases[_i];
	struct finf_form_table free_table;
	struct site one;

	site_init(&one, row, 0);
	ck_assert_int_eq(site_forms(&one, dev, 2, NULL, &free_table), 0);
	for (uint32_t k = 0; k < free_table.nodes[0].n; k++) {
		const struct finf_form *form = &free_table.nodes[0].forms[k];
		struct finf_fixed_weights fixed = {form->weights, form->n_weights};

		if (form->flags & FINF_FORM_FAT)
			continue;
		for (int64_t batch = 1; batch <= 3; batch += 2) {
			struct finf_form_table table;
			struct site site;

			site_init(&site, row, batch);
			ck_assert_int_eq(site_forms(&site, dev, 1, &fixed, &table), 0);
			for (uint32_t j = 0; j < table.nodes[0].n; j++) {
				ck_assert_msg(same_weights(form, &table.nodes[0].forms[j]),
					      "%s: another layout than the fixed one", row->what);
				site_run(&site, dev, &table.nodes[0].forms[j], 1, false, row->what);
			}
			finf_form_table_fini(&table);
			site_fini(&site);
		}
	}
	finf_form_table_fini(&free_table);
	site_fini(&one);
}
END_TEST

/* A pack may hold weights of a product; then there must be one for whatever number of pixels is left. */
START_TEST(products_serve_every_batch)
{
	struct finf_form_table free_table;
	struct finf_fixed_weights fixed = {NULL, 0};
	struct site one;

	site_init(&one, &few_pixels, 0);
	ck_assert_int_eq(site_forms(&one, dev, 2, NULL, &free_table), 0);
	for (uint32_t k = 0; k < free_table.nodes[0].n; k++)
		if (free_table.nodes[0].forms[k].algo == FINF_HOST_COLUMNS)
			fixed = (struct finf_fixed_weights){free_table.nodes[0].forms[k].weights, 1};
	ck_assert_int_eq(fixed.n, finf_dnn_block() == 16);
	for (int64_t batch = 1; fixed.n && batch <= 64; batch++) {
		struct finf_form_table table;
		struct site site;

		site_init(&site, &few_pixels, batch);
		for (uint32_t threads = 1; threads <= 2; threads++) {
			ck_assert_int_eq(site_forms(&site, dev, threads, &fixed, &table), 0);
			finf_form_table_fini(&table);
		}
		site_fini(&site);
	}
	finf_form_table_fini(&free_table);
	site_fini(&one);
}
END_TEST

static const struct finf_form *form_with(const struct finf_form_table *table, uint32_t desc_bytes)
{
	for (uint32_t k = 0; k < table->nodes[0].n; k++)
		if (table->nodes[0].forms[k].weights[0].desc_bytes == desc_bytes)
			return &table->nodes[0].forms[k];
	return NULL;
}

/* Cases with bias and blocked weights: of rank 4, with groups of rank 5, and those of a product. */
static const struct {
	int row;
	uint32_t algo;
} blocked_cases[] = {{0, FINF_HOST_ONEDNN}, {2, FINF_HOST_ONEDNN}, {5, FINF_HOST_COLUMNS}};

/* NULL: no such form on this processor. */
static const struct finf_form *blocked_form(const struct finf_form_table *table, uint32_t algo)
{
	const uint32_t bytes = offsetof(struct finf_host_weight_desc, winograd);

	for (uint32_t k = 0; k < table->nodes[0].n; k++)
		if (table->nodes[0].forms[k].algo == algo &&
		    table->nodes[0].forms[k].weights[0].desc_bytes == bytes)
			return &table->nodes[0].forms[k];
	ck_assert(algo == FINF_HOST_COLUMNS && finf_dnn_block() != 16);
	return NULL;
}

/* Whatever stands in a description: a layout of this weight, or an error. */
static void try_description(struct site *site, const struct finf_form *good, const void *desc,
			    uint32_t desc_bytes)
{
	struct finf_weight_form weights[2] = {good->weights[0], good->weights[1]};
	struct finf_fixed_weights fixed = {weights, 2};
	struct finf_form form = *good;
	struct finf_form_table table;
	struct finf_kernel *kernel;
	struct finf_diag diag = {""};
	struct guarded packed;
	int err;

	weights[0].desc = desc;
	weights[0].desc_bytes = desc_bytes;
	form.weights = weights;
	err = site_forms(site, dev, 1, &fixed, &table);
	ck_assert_msg(err == 0 || err == -EBADMSG || err == -EOPNOTSUPP, "describe: %d", err);
	if (!err)
		finf_form_table_fini(&table);
	err = finf_device_kernel_new(dev, site->graph, 0, &form, 1, &kernel, &diag);
	ck_assert_msg(err == 0 || err == -EBADMSG || err == -EOPNOTSUPP, "kernel: %d", err);
	if (!err)
		finf_device_kernel_free(dev, kernel);
	guarded_init(&packed, weights[0].bytes);
	err = finf_device_pack_weight(dev, &weights[0], &site->in[1], packed.at);
	ck_assert_msg(err == 0 || err == -EBADMSG || err == -EOPNOTSUPP, "pack: %d", err);
	guarded_check(&packed, "pack");
	guarded_fini(&packed);
}

START_TEST(hostile_descriptions_are_refused)
{
	static const uint8_t changes[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
	struct finf_form_table table;
	const struct finf_form *good;
	uint8_t desc[128];
	uint64_t seed = 99;
	struct site site;

	site_init(&site, &cases[blocked_cases[_i].row], 0);
	ck_assert_int_eq(site_forms(&site, dev, 1, NULL, &table), 0);
	good = blocked_form(&table, blocked_cases[_i].algo);
	for (size_t at = 0; good && at < good->weights[0].desc_bytes; at++)
		for (size_t c = 0; c < sizeof(changes); c++) {
			memcpy(desc, good->weights[0].desc, good->weights[0].desc_bytes);
			desc[at] = changes[c];
			try_description(&site, good, desc, good->weights[0].desc_bytes);
		}
	for (uint32_t len = 1; good && len < sizeof(desc); len++) {
		for (uint32_t i = 0; i < len; i++)
			desc[i] = (uint8_t)test_random(&seed);
		try_description(&site, good, desc, len);
	}
	finf_form_table_fini(&table);
	site_fini(&site);
}
END_TEST

/* Every layout number, with the shape of the weight and with groups split off. */
START_TEST(every_layout_number_is_taken_or_refused)
{
	struct finf_form_table table;
	const struct finf_form *good;
	const uint32_t bytes = offsetof(struct finf_host_weight_desc, winograd);
	struct finf_host_weight_desc desc = {0};
	uint32_t taken = 0;
	struct site site;

	site_init(&site, &cases[blocked_cases[_i].row], 0);
	ck_assert_int_eq(site_forms(&site, dev, 1, NULL, &table), 0);
	good = blocked_form(&table, blocked_cases[_i].algo);
	if (good)
		memcpy(&desc, good->weights[0].desc, bytes);
	for (uint32_t tag = 0; good && tag < 1200; tag++) {
		struct finf_dnn_md md;

		desc.tag = tag;
		try_description(&site, good, &desc, bytes);
		taken += !finf_host_desc_get(&desc, bytes, &site.in[1].shape, &md, NULL);
	}
	ck_assert_int_eq(taken > 0, good != NULL);
	ck_assert_uint_lt(taken, 1000);
	finf_form_table_fini(&table);
	site_fini(&site);
}
END_TEST

/* Each number of transformed weights is one that their maker would write, or refused. */
START_TEST(hostile_transforms_are_refused)
{
	static const uint32_t changes[] = {0, 1, 2, 3, 6, 7, 16, 0x7fffffff, 0x80000000, 0xffffffff};
	struct finf_host_weight_desc desc;
	struct finf_form_table table;
	const struct finf_form *good;
	struct site site;

	site_init(&site, &cases[0], 0);
	ck_assert_int_eq(site_forms(&site, dev, 1, NULL, &table), 0);
	good = form_with(&table, sizeof(desc));
	if (!good)
		skip_test("winograd", "this oneDNN or CPU has none");
	for (size_t at = 0; good && at < sizeof(desc); at += sizeof(uint32_t))
		for (size_t c = 0; c < FINF_ARRAY_LEN(changes); c++) {
			memcpy(&desc, good->weights[0].desc, sizeof(desc));
			memcpy((char *)&desc + at, &changes[c], sizeof(changes[c]));
			try_description(&site, good, &desc, sizeof(desc));
		}
	finf_form_table_fini(&table);
	site_fini(&site);
}
END_TEST

/* A plan from a file promises too little: refused before anything is written. */
START_TEST(forms_that_lie_are_refused)
{
	const struct node_case *row = &cases[_i ? 5 : 0];
	struct finf_form_table table;
	struct finf_form form;
	struct finf_weight_form weights[2];
	struct finf_kernel *kernel;
	struct finf_diag diag;
	struct site site;

	site_init(&site, row, 0);
	ck_assert_int_eq(site_forms(&site, dev, 2, NULL, &table), 0);
	for (uint32_t k = 0; k < table.nodes[0].n; k++) {
		const struct finf_form *good = &table.nodes[0].forms[k];

		memcpy(weights, good->weights, sizeof(weights));
		form = *good;
		form.weights = weights;
		ck_assert_int_eq(
			finf_device_kernel_new(dev, site.graph, 0, &form, 2, &kernel, &diag), 0);
		finf_device_kernel_free(dev, kernel);
		weights[0].bytes--;
		ck_assert_int_eq(
			finf_device_kernel_new(dev, site.graph, 0, &form, 2, &kernel, &diag),
			-EBADMSG);
		ck_assert_ptr_nonnull(strstr(diag.text, row->what));
		ck_assert_ptr_nonnull(strstr(diag.text, ", operator Conv"));
		weights[0].bytes++;
		form.n_weights = 1;
		ck_assert_int_eq(
			finf_device_kernel_new(dev, site.graph, 0, &form, 2, &kernel, &diag),
			-EBADMSG);
		form.n_weights = 2;
		if (form.workspace_bytes) {
			form.workspace_bytes--;
			ck_assert_int_eq(finf_device_kernel_new(dev, site.graph, 0, &form, 2,
								&kernel, &diag),
					 -EBADMSG);
		}
		form = *good;
		form.algo = 77;
		ck_assert_int_eq(
			finf_device_kernel_new(dev, site.graph, 0, &form, 2, &kernel, &diag),
			-EBADMSG);
		form = *good;
		form.in_layout = 9;
		ck_assert_int_ne(
			finf_device_kernel_new(dev, site.graph, 0, &form, 2, &kernel, &diag), 0);
		ck_assert_int_eq(
			finf_device_kernel_new(dev, site.graph, 0, good, 0, &kernel, &diag),
			-EINVAL);
	}
	finf_form_table_fini(&table);
	site_fini(&site);
}
END_TEST

/* Blocked weights leave no form on the device that knows the reference only. */
START_TEST(reference_refuses_blocked_weights)
{
	struct finf_form_table table, none;
	struct finf_fixed_weights fixed;
	struct finf_device *ref;
	struct finf_diag diag;
	struct site site;

	ck_assert_int_eq(finf_device_open("ref", &ref, &diag), 0);
	site_init(&site, &cases[0], 0);
	ck_assert_int_eq(site_forms(&site, dev, 1, NULL, &table), 0);
	fixed.forms = blocked_form(&table, FINF_HOST_ONEDNN)->weights;
	fixed.n = 2;
	ck_assert_int_eq(site_forms(&site, ref, 1, &fixed, &none), -EOPNOTSUPP);
	finf_form_table_fini(&table);
	site_fini(&site);
	finf_device_close(ref);
}
END_TEST

/* Every form of a case, ready to run. */
struct ready {
	struct finf_kernel *kernel;
	struct guarded in[CASE_IN], out, workspace;
	const void *addresses[CASE_IN];
	void *results[1];
	struct finf_launch launch;
};

static void ready_init(struct ready *r, struct site *site, const struct finf_form *form)
{
	struct finf_tensor shape_only = site->out;
	struct finf_diag diag = {""};

	memset(r, 0, sizeof(*r));
	ck_assert_int_eq(finf_device_kernel_new(dev, site->graph, 0, form, 2, &r->kernel, &diag),
			 0);
	for (uint32_t i = 0; i < site->n_in; i++)
		if (operand_init(site, dev, form, i, &r->in[i]))
			r->addresses[i] = r->in[i].at;
	shape_only.data = NULL;
	activation_init(&r->out, dev, form->out_layout, &shape_only);
	guarded_init(&r->workspace, form->workspace_bytes);
	r->results[0] = r->out.at;
	r->launch = (struct finf_launch){r->addresses, r->results, r->workspace.at};
}

static void ready_fini(struct ready *r)
{
	for (uint32_t i = 0; i < CASE_IN; i++)
		guarded_fini(&r->in[i]);
	guarded_fini(&r->out);
	guarded_fini(&r->workspace);
	finf_device_kernel_free(dev, r->kernel);
}

START_TEST(runs_leave_the_heap_alone)
{
	struct finf_form_table table;
	struct site site;

	site_init(&site, &cases[_i], 0);
	ck_assert_int_eq(site_forms(&site, dev, 2, NULL, &table), 0);
	for (uint32_t k = 0; k < table.nodes[0].n; k++) {
		size_t before, after;
		struct ready r;

		ready_init(&r, &site, &table.nodes[0].forms[k]);
		for (int i = 0; i < 50; i++) /* OpenMP makes its team */
			ck_assert_int_eq(finf_device_kernel_run(dev, r.kernel, &r.launch), 0);
		before = mallinfo2().uordblks + mallinfo2().hblkhd;
		for (int i = 0; i < 200; i++)
			ck_assert_int_eq(finf_device_kernel_run(dev, r.kernel, &r.launch), 0);
		after = mallinfo2().uordblks + mallinfo2().hblkhd;
		ck_assert_uint_eq(before, after);
		ready_fini(&r);
	}
	finf_form_table_fini(&table);
	site_fini(&site);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("device/fixed");
	TCase *tc = tcase_create("fixed");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, weights_serve_other_batches, 0, FINF_ARRAY_LEN(cases));
	tcase_add_loop_test(tc, hostile_descriptions_are_refused, 0, FINF_ARRAY_LEN(blocked_cases));
	tcase_add_test(tc, hostile_transforms_are_refused);
	tcase_add_loop_test(tc, every_layout_number_is_taken_or_refused, 0,
			    FINF_ARRAY_LEN(blocked_cases));
	tcase_add_test(tc, products_serve_every_batch);
	tcase_add_loop_test(tc, forms_that_lie_are_refused, 0, 2);
	tcase_add_test(tc, reference_refuses_blocked_weights);
	tcase_add_loop_test(tc, runs_leave_the_heap_alone, 0, FINF_ARRAY_LEN(cases));
	suite_add_tcase(suite, tc);
	return suite;
}
