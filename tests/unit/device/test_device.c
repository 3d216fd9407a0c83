/* SPDX-License-Identifier: MIT */
/* The registry, the pool, copies, layouts and reorders. */
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/unit/device/site.h"

static const char *const names[] = {"host", "ref"};

static struct finf_device *open_device(const char *name)
{
	struct finf_device *dev;
	struct finf_diag diag = {""};

	ck_assert_msg(!finf_device_open(name, &dev, &diag), "%s", diag.text);
	return dev;
}

/* ---- registry ----------------------------------------------------------------- */

START_TEST(registered_tables_are_complete)
{
	static const char *const all[] = {"host", "ref", "cuda"};

	for (uint32_t i = 0; i < FINF_ARRAY_LEN(all); i++) {
		ck_assert_ptr_nonnull(finf_device_at(i));
		ck_assert_str_eq(finf_device_at(i)->name, all[i]);
		ck_assert_int_eq(finf_device_check(finf_device_at(i)), 0);
	}
	ck_assert_ptr_null(finf_device_at(FINF_ARRAY_LEN(all)));
}
END_TEST

/* One hole after the other in a complete table. */
START_TEST(incomplete_tables_are_refused)
{
	static const size_t required[] = {
		offsetof(struct finf_device_ops, name),
		offsetof(struct finf_device_ops, probe),
		offsetof(struct finf_device_ops, open),
		offsetof(struct finf_device_ops, close),
		offsetof(struct finf_device_ops, target),
		offsetof(struct finf_device_ops, pool_new),
		offsetof(struct finf_device_ops, pool_free),
		offsetof(struct finf_device_ops, read),
		offsetof(struct finf_device_ops, write),
		offsetof(struct finf_device_ops, move),
		offsetof(struct finf_device_ops, describe),
		offsetof(struct finf_device_ops, layout_bytes),
		offsetof(struct finf_device_ops, reorder_ns),
		offsetof(struct finf_device_ops, pack_weight),
		offsetof(struct finf_device_ops, kernel_new),
		offsetof(struct finf_device_ops, reorder_new),
		offsetof(struct finf_device_ops, kernel_run),
		offsetof(struct finf_device_ops, kernel_free),
	};
	static const size_t together[] = {
		offsetof(struct finf_device_ops, upload_new),
		offsetof(struct finf_device_ops, upload_wait),
		offsetof(struct finf_device_ops, capture_begin),
		offsetof(struct finf_device_ops, captured_free),
		offsetof(struct finf_device_ops, capture_branch),
		offsetof(struct finf_device_ops, capture_await),
		offsetof(struct finf_device_ops, faulted),
		offsetof(struct finf_device_ops, reset),
	};
	struct finf_device_ops ops = *finf_device_at(0);

	ops.abi++;
	ck_assert_int_eq(finf_device_check(&ops), -EINVAL);
	for (size_t i = 0; i < FINF_ARRAY_LEN(required); i++) {
		ops = *finf_device_at(0);
		memset((char *)&ops + required[i], 0, sizeof(void *));
		ck_assert_msg(finf_device_check(&ops) == -EINVAL, "member %zu may be missing", i);
	}
	ops = *finf_device_at(0);
	ops.describe_self = NULL;
	ck_assert_int_eq(finf_device_check(&ops), 0);
	for (size_t i = 0; i < FINF_ARRAY_LEN(together); i++) {
		ops = *finf_device_at(0);
		*(uintptr_t *)((char *)&ops + together[i]) = 1;
		ck_assert_msg(finf_device_check(&ops) == -EINVAL, "member %zu alone", i);
	}
}
END_TEST

START_TEST(unknown_device)
{
	struct finf_device *dev = NULL;
	struct finf_diag diag = {""};

	static const struct {
		const char *name;
		int err;
	} rows[] = {
		{"abacus", -ENODEV},  {"abacus:0", -ENODEV}, {"host:1", -ENODEV},
		{"host:", -EINVAL},   {"host:x", -EINVAL},   {"host:0x", -EINVAL},
		{"host:-1", -EINVAL}, {"a name longer than any", -EINVAL},
	};

	for (size_t i = 0; i < FINF_ARRAY_LEN(rows); i++) {
		diag.text[0] = 0;
		ck_assert_int_eq(finf_device_open(rows[i].name, &dev, &diag), rows[i].err);
		ck_assert_ptr_null(dev);
		ck_assert(diag.text[0]);
	}
	finf_device_close(open_device("host:0"));
	finf_device_close(NULL);
}
END_TEST

START_TEST(target_names_what_layouts_depend_on)
{
	struct finf_device *dev = open_device("host");
	char one[128], two[128], again[128], small[8];

	ck_assert_int_eq(finf_device_target(dev, 1, one, sizeof(one)), 0);
	ck_assert_int_eq(finf_device_target(dev, 2, two, sizeof(two)), 0);
	ck_assert_int_eq(finf_device_target(dev, 1, again, sizeof(again)), 0);
	ck_assert_str_ne(one, two);
	ck_assert_str_eq(one, again);
	ck_assert_ptr_nonnull(strstr(one, finf_dnn_isa()));
	ck_assert_uint_eq(strspn(one, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._:+-"),
			  strlen(one));
	ck_assert_int_eq(finf_device_target(dev, 1, small, sizeof(small)), -ENOSPC);
	finf_device_close(dev);
}
END_TEST

START_TEST(devices_describe_themselves)
{
	static const char *const keys[] = {
		"device=", "onednn=", "isa=", "threads=", "huge_pages_free="};
	struct finf_device *dev = open_device("host");
	char text[1024];

	ck_assert_int_eq(finf_device_describe_self(dev, text, sizeof(text)), 0);
	for (size_t i = 0; i < FINF_ARRAY_LEN(keys); i++)
		ck_assert_msg(strstr(text, keys[i]), "%s is missing in %s", keys[i], text);
	ck_assert_int_eq(finf_device_describe_self(dev, text, 10), -ENOSPC);
	finf_device_close(dev);
}
END_TEST

/* ---- pool ---------------------------------------------------------------------- */

static void check_pool(const struct finf_pool_memory *pool, uint64_t bytes)
{
	size_t pages = (bytes + 4095) / 4096;
	unsigned char *resident = calloc(pages, 1);
	uint8_t *base = pool->base;

	ck_assert_uint_eq(pool->bytes, bytes);
	ck_assert(pool->host_visible);
	ck_assert_str_eq(pool->mode, "host");
	ck_assert_uint_eq((uintptr_t)base % (2 << 20), 0);
	ck_assert_int_eq(mincore(base, bytes, resident), 0);
	for (size_t i = 0; i < pages; i++)
		ck_assert_msg(resident[i] & 1, "page %zu was not touched", i);
	for (size_t i = 0; i < bytes; i += 4096)
		ck_assert_uint_eq(base[i], 0);
	base[0] = 1;
	base[bytes - 1] = 2;
	free(resident);
}

START_TEST(pool_by_mode)
{
	static const char *const modes[] = {NULL, "auto", "host"};
	static const uint64_t sizes[] = {1, 4096, (3 << 20) + 5, 64 << 20};
	struct finf_device *dev = open_device("host");

	for (size_t m = 0; m < FINF_ARRAY_LEN(modes); m++)
		for (size_t s = 0; s < FINF_ARRAY_LEN(sizes); s++) {
			struct finf_pool_memory pool;
			struct finf_diag diag = {""};

			ck_assert_msg(!finf_device_pool_new(dev, sizes[s], modes[m], &pool, &diag),
				      "%s", diag.text);
			check_pool(&pool, sizes[s]);
			finf_device_pool_free(dev, &pool);
			ck_assert_ptr_null(pool.base);
			finf_device_pool_free(dev, &pool);
		}
	finf_device_close(dev);
}
END_TEST

START_TEST(pool_by_pages)
{
	static const char *const pages[] = {"huge", "thp", "4k"};
	struct finf_device *dev = open_device("host");

	for (int kind = FINF_PAGES_HUGE; kind <= FINF_PAGES_4K; kind++) {
		struct finf_pool_memory pool;
		int err = finf_host_pool_map((enum finf_host_pages)kind, 8 << 20, &pool);

		if (err) { /* none reserved, or switched off: then these only */
			ck_assert_int_eq(err, -ENOBUFS);
			ck_assert_int_ne(kind, FINF_PAGES_4K);
			continue;
		}
		check_pool(&pool, 8 << 20);
		ck_assert(!strcmp(pool.pages, pages[kind]) ||
			  (kind == FINF_PAGES_THP && !strcmp(pool.pages, "4k")));
		finf_device_pool_free(dev, &pool);
	}
	finf_device_close(dev);
}
END_TEST

START_TEST(pool_refusals)
{
	static const struct {
		uint64_t bytes;
		const char *mode;
		int err;
		const char *says;
	} rows[] = {
		{0, NULL, -EINVAL, "0 bytes"},
		{4096, "vmm", -EINVAL, "vmm"},
		{1ull << 50, NULL, -ENOBUFS, "available"},
		{UINT64_MAX, NULL, -ENOBUFS, "available"},
	};
	struct finf_device *dev = open_device("host");

	for (size_t i = 0; i < FINF_ARRAY_LEN(rows); i++) {
		struct finf_pool_memory pool = {.base = &pool};
		struct finf_diag diag = {""};

		ck_assert_int_eq(
			finf_device_pool_new(dev, rows[i].bytes, rows[i].mode, &pool, &diag),
			rows[i].err);
		ck_assert_msg(strstr(diag.text, rows[i].says), "%s", diag.text);
		ck_assert_ptr_eq(pool.base, &pool); /* untouched */
	}
	finf_device_close(dev);
}
END_TEST

START_TEST(copies)
{
	struct finf_device *dev = open_device("host");
	struct finf_pool_memory pool;
	char text[] = "0123456789", back[sizeof(text)];
	char *base;

	ck_assert_int_eq(finf_device_pool_new(dev, 1 << 20, NULL, &pool, NULL), 0);
	base = pool.base;
	ck_assert_int_eq(finf_device_write(dev, base, text, sizeof(text)), 0);
	ck_assert_int_eq(finf_device_move(dev, base + 3, base, sizeof(text)), 0); /* overlapping */
	ck_assert_int_eq(finf_device_read(dev, back, base + 3, sizeof(text)), 0);
	ck_assert_str_eq(back, text);
	ck_assert_int_eq(finf_device_move(dev, base + 1, base + 3, sizeof(text)), 0);
	ck_assert_int_eq(finf_device_read(dev, back, base + 1, sizeof(text)), 0);
	ck_assert_str_eq(back, text);
	finf_device_pool_free(dev, &pool);
	finf_device_close(dev);
}
END_TEST

/* ---- layouts --------------------------------------------------------------------- */

START_TEST(layout_sizes)
{
	static const struct {
		uint16_t layout;
		enum finf_dtype dtype;
		struct finf_shape shape;
		int err;
		uint64_t bytes;
	} rows[] = {
		{0, FINF_F32, {4, {1, 3, 5, 7}}, 0, 420},
		{0, FINF_I64, {2, {3, 5}}, 0, 120},
		{0, FINF_F32, {0}, 0, 4},
		{1, FINF_F32, {4, {2, 3, 5, 7}}, 0, 2 * 8 * 35 * 4},
		{2, FINF_F32, {4, {2, 3, 5, 7}}, 0, 2 * 16 * 35 * 4},
		{2, FINF_F32, {4, {1, 32, 2, 2}}, 0, 32 * 4 * 4},
		{2, FINF_F32, {3, {1, 30, 2}}, 0, 32 * 2 * 4},
		{1, FINF_F32, {5, {2, 3, 2, 5, 7}}, 0, 2 * 8 * 70 * 4},
		{2, FINF_F32, {2, {1, 32}}, -EINVAL, 0},
		{2, FINF_F32, {6, {1, 32, 2, 2, 2, 2}}, -EINVAL, 0},
		{2, FINF_I64, {4, {1, 32, 2, 2}}, -EINVAL, 0},
		{3, FINF_F32, {4, {1, 32, 2, 2}}, -EINVAL, 0},
		{2, FINF_F32, {4, {1, -1, 2, 2}}, -EINVAL, 0},
		{2, FINF_F32, {4, {1, INT64_MAX, 2, 2}}, -EINVAL, 0},
		{2, FINF_F32, {4, {INT32_MAX, INT32_MAX, INT32_MAX, 2}}, -EOVERFLOW, 0},
	};
	struct finf_device *dev = open_device("host");

	for (size_t i = 0; i < FINF_ARRAY_LEN(rows); i++) {
		uint64_t bytes = 0;

		ck_assert_msg(finf_device_layout_bytes(dev, rows[i].layout, rows[i].dtype,
						       &rows[i].shape, &bytes) == rows[i].err,
			      "row %zu", i);
		ck_assert_uint_eq(bytes, rows[i].bytes);
	}
	finf_device_close(dev);
}
END_TEST

/* There and back, through either block, with and without padding. */
START_TEST(reorders_round_trip)
{
	static const struct finf_shape shapes[] = {
		{4, {1, 3, 5, 7}}, {4, {2, 16, 3, 3}}, {4, {1, 40, 1, 1}}, {4, {3, 17, 4, 2}}};
	struct finf_device *dev = open_device("host");

	for (size_t s = 0; s < FINF_ARRAY_LEN(shapes); s++)
		for (uint16_t layout = 0; layout <= FINF_HOST_NCHW16C; layout++) {
			struct finf_tensor t;
			struct guarded blocked;
			float *back;

			make_tensor(&t, FINF_F32, &shapes[s]);
			test_fill_f32(t.data, t.bytes / 4, s);
			activation_init(&blocked, dev, layout, &t);
			check_padding(&t.shape, layout, blocked.at, "reorder");
			back = calloc(1, t.bytes);
			convert(dev, &t, layout, FINF_LAYOUT_PLAIN, blocked.at, back);
			ck_assert_mem_eq(back, t.data, t.bytes);
			guarded_check(&blocked, "reorder");
			guarded_fini(&blocked);
			free(back);
			free(t.data);
		}
	finf_device_close(dev);
}
END_TEST

START_TEST(reorder_refusals)
{
	const struct finf_shape matrix = {2, {3, 4}}, planes = {4, {1, 3, 2, 2}};
	struct finf_device *dev = open_device(names[_i]);
	struct finf_kernel *kernel = NULL;
	struct finf_diag diag = {""};

	ck_assert_int_ne(finf_device_reorder_new(dev, FINF_F32, &matrix, 0, 2, 1, &kernel, &diag),
			 0);
	ck_assert_int_ne(finf_device_reorder_new(dev, FINF_F32, &planes, 0, 7, 1, &kernel, &diag),
			 0);
	ck_assert_int_ne(finf_device_reorder_new(dev, FINF_I64, &planes, 0, 2, 1, &kernel, &diag),
			 0);
	ck_assert_int_ne(finf_device_reorder_new(dev, FINF_F32, &planes, 7, 7, 1, &kernel, &diag),
			 0);
	ck_assert_ptr_null(kernel);
	ck_assert_str_ne(diag.text, "");
	ck_assert_int_eq(finf_device_reorder_new(dev, FINF_I64, &matrix, 0, 0, 1, &kernel, &diag),
			 0);
	finf_device_kernel_free(dev, kernel);
	finf_device_kernel_free(dev, NULL);
	finf_device_close(dev);
}
END_TEST

/* ---- weights and graphs that do not fit ------------------------------------------- */

START_TEST(plain_weights_keep_their_size)
{
	float data[6] = {1, 2, 3, 4, 5, 6}, to[6] = {0};
	struct finf_tensor plain = {"w", FINF_F32, {2, {2, 3}}, data, sizeof(data)};
	struct finf_weight_form form = {.bytes = sizeof(data)};
	struct finf_device *dev = open_device(names[_i]);

	ck_assert_int_eq(finf_device_pack_weight(dev, &form, &plain, to), 0);
	ck_assert_mem_eq(to, data, sizeof(data));
	form.bytes--;
	ck_assert_int_eq(finf_device_pack_weight(dev, &form, &plain, to), -EBADMSG);
	form.bytes++;
	plain.bytes--;
	ck_assert_int_eq(finf_device_pack_weight(dev, &form, &plain, to), -EINVAL);
	finf_device_close(dev);
}
END_TEST

/* All at once: each waits for the others. */
struct spread {
	atomic_uint in, seen;
	uint32_t n;
};

static void spread_fn(void *ctx, uint32_t k)
{
	struct spread *s = ctx;

	atomic_fetch_or(&s->seen, 1u << k);
	atomic_fetch_add(&s->in, 1);
	while (atomic_load(&s->in) < s->n)
		sched_yield();
}

START_TEST(spread_over_threads)
{
	struct finf_device *dev = open_device(names[_i]);

	ck_assert(finf_device_spreads(dev));
	for (uint32_t n = 1; n <= 4; n++) {
		struct spread s = {.n = n};

		ck_assert_int_eq(finf_device_spread(dev, n, spread_fn, &s), 0);
		ck_assert_uint_eq(atomic_load(&s.in), n);
		ck_assert_uint_eq(atomic_load(&s.seen), (1u << n) - 1);
	}
	finf_device_close(dev);
}
END_TEST

START_TEST(unbound_graph_is_refused)
{
	static const struct node_case row = {"relu", "Relu",	      13, {ACT(2, 3)}, 1,
					     {{0}},  .want = WANT_ANY};
	struct finf_device *dev = open_device(names[_i]);
	struct finf_form_table table;
	struct finf_diag diag = {""};
	struct site site;

	site_init(&site, &row, 0);
	site.graph->values[site.graph->nodes[0].in[0]].shape.dim[0] = FINF_DIM_ANY;
	ck_assert_int_eq(finf_device_forms(dev, site.graph, 1, NULL, &table, &diag), -EINVAL);
	ck_assert_ptr_nonnull(strstr(diag.text, "node relu, operator Relu"));
	site_fini(&site);
	finf_device_close(dev);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("device");
	TCase *tc = tcase_create("device");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, registered_tables_are_complete);
	tcase_add_test(tc, incomplete_tables_are_refused);
	tcase_add_test(tc, unknown_device);
	tcase_add_test(tc, target_names_what_layouts_depend_on);
	tcase_add_test(tc, devices_describe_themselves);
	tcase_add_test(tc, pool_by_mode);
	tcase_add_test(tc, pool_by_pages);
	tcase_add_test(tc, pool_refusals);
	tcase_add_test(tc, copies);
	tcase_add_test(tc, layout_sizes);
	tcase_add_test(tc, reorders_round_trip);
	tcase_add_loop_test(tc, reorder_refusals, 0, FINF_ARRAY_LEN(names));
	tcase_add_loop_test(tc, plain_weights_keep_their_size, 0, FINF_ARRAY_LEN(names));
	tcase_add_loop_test(tc, spread_over_threads, 0, FINF_ARRAY_LEN(names));
	tcase_add_loop_test(tc, unbound_graph_is_refused, 0, FINF_ARRAY_LEN(names));
	suite_add_tcase(suite, tc);
	return suite;
}
