/* SPDX-License-Identifier: MIT */
/* base: names, sizes, shapes, arena, map, bytes, files, messages. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "tests/support/support.h"

/* ---- text -------------------------------------------------------------------- */

static const struct {
	const char *text;
	bool ok;
	uint32_t version;
	size_t len;
} names[] = {
	{"resnet18", true, 0, 8},     {"a", true, 0, 1},	    {"A.b_c-9", true, 0, 7},
	{"resnet18:1", true, 1, 8},   {"x:4294967295", true, 4294967295u, 1},
	{"", false, 0, 0},	      {".hidden", false, 0, 0},     {"-x", false, 0, 0},
	{"a/b", false, 0, 0},	      {"..", false, 0, 0},	    {"a b", false, 0, 0},
	{"a\n", false, 0, 0},	      {"a:", false, 0, 0},	    {"a:0", false, 0, 0},
	{"a:01", false, 0, 0},	      {"a:-1", false, 0, 0},	    {"a:1x", false, 0, 0},
	{"x:4294967296", false, 0, 0}, {"\xc3\xa9", false, 0, 0},   {"a:1:2", false, 0, 0},
};

START_TEST(names_are_what_the_design_says)
{
	uint32_t version = 77;
	size_t len = 77;
	bool ok = finf_name_ok(names[_i].text, &version, &len);

	ck_assert_int_eq(ok, names[_i].ok);
	ck_assert_uint_eq(version, names[_i].ok ? names[_i].version : 77);
	ck_assert_uint_eq(len, names[_i].ok ? names[_i].len : 77);
}
END_TEST

START_TEST(a_name_has_at_most_128_characters)
{
	char name[130];

	memset(name, 'a', sizeof(name));
	name[128] = 0;
	ck_assert(finf_name_ok(name, NULL, NULL));
	name[128] = 'a';
	name[129] = 0;
	ck_assert(!finf_name_ok(name, NULL, NULL));
}
END_TEST

static const struct {
	const char *text;
	int err;
	uint64_t bytes;
} sizes[] = {
	{"0", 0, 0},		{"512", 0, 512},	 {"64K", 0, 65536},   {"1.5G", 0, 1610612736},
	{"2m", 0, 2097152},	{"45%", 0, 450},	 {"1T", 0, 1ull << 40}, {"", -EINVAL, 0},
	{"K", -EINVAL, 0},	{"-1", -EINVAL, 0},	 {"1KB", -EINVAL, 0}, {"0x10", -EINVAL, 0},
	{"nan", -EINVAL, 0},	{"1 K", -EINVAL, 0},	 {"9999999T", -ERANGE, 0},
	{"1e400", -ERANGE, 0},
};

START_TEST(sizes_are_what_people_write)
{
	uint64_t bytes = 77;

	ck_assert_int_eq(finf_size_parse(sizes[_i].text, 1000, &bytes), sizes[_i].err);
	ck_assert_uint_eq(bytes, sizes[_i].err ? 77 : sizes[_i].bytes);
}
END_TEST

START_TEST(foreign_names_cannot_drive_the_terminal)
{
	struct finf_diag diag = {{0}};

	ck_assert_int_eq(finf_diag_set(&diag, -EINVAL, "node '%s'", "a\033[2J\nb\x7f"), -EINVAL);
	ck_assert_str_eq(diag.text, "node 'a?[2J?b?'");
	finf_diag_prefix(&diag, "file\t%d", 1);
	ck_assert_str_eq(diag.text, "file?1: node 'a?[2J?b?'");
	ck_assert_int_eq(finf_diag_set(NULL, -EIO, "nobody listens"), -EIO);
}
END_TEST

START_TEST(long_messages_are_cut)
{
	struct finf_diag diag = {{0}};
	char text[2000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	finf_diag_set(&diag, -EINVAL, "%s", text);
	ck_assert_uint_eq(strlen(diag.text), sizeof(diag.text) - 1);
	finf_diag_prefix(&diag, "%s", "where");
	ck_assert_uint_eq(strlen(diag.text), sizeof(diag.text) - 1);
	ck_assert_int_eq(strncmp(diag.text, "where: xxx", 10), 0);
}
END_TEST

/* ---- shapes ---------------------------------------------------------------------- */

static const struct {
	struct finf_shape shape;
	int err;
	size_t count;
} shapes[] = {
	{{0, {0}}, 0, 1},
	{{4, {1, 3, 224, 224}}, 0, 150528},
	{{3, {5, 0, 7}}, 0, 0},
	{{2, {1ll << 62, 0}}, 0, 0},
	{{2, {-1, 3}}, -EINVAL, 0},
	{{2, {0, -1}}, -EINVAL, 0},
	{{9, {1}}, -EINVAL, 0},
	{{2, {1ll << 32, 1ll << 32}}, -EOVERFLOW, 0},
	{{1, {INT64_MAX}}, -EOVERFLOW, 0},
	{{8, {1 << 10, 1 << 10, 1 << 10, 1 << 10, 1 << 10, 1 << 10, 1 << 10, 1 << 10}}, -EOVERFLOW, 0},
};

START_TEST(counts_do_not_overflow)
{
	size_t count = 77, bytes = 77;

	ck_assert_int_eq(finf_shape_count(&shapes[_i].shape, &count), shapes[_i].err);
	ck_assert_uint_eq(count, shapes[_i].err ? 77 : shapes[_i].count);
	ck_assert_int_eq(finf_tensor_bytes(FINF_I64, &shapes[_i].shape, &bytes), shapes[_i].err);
	ck_assert_uint_eq(bytes, shapes[_i].err ? 77 : 8 * shapes[_i].count);
}
END_TEST

START_TEST(dtypes_have_sizes_and_names)
{
	struct finf_shape one = {.rank = 1, .dim = {1}};
	size_t bytes;

	ck_assert_uint_eq(finf_dtype_bytes(FINF_F32), 4);
	ck_assert_uint_eq(finf_dtype_bytes(FINF_BOOL), 1);
	ck_assert_uint_eq(finf_dtype_bytes((enum finf_dtype)99), 0);
	ck_assert_str_eq(finf_dtype_name(FINF_I64), "int64");
	ck_assert_str_eq(finf_dtype_name(FINF_DTYPE_NONE), "unknown");
	ck_assert_int_eq(finf_tensor_bytes((enum finf_dtype)99, &one, &bytes), -EINVAL);
}
END_TEST

START_TEST(shapes_as_text)
{
	struct finf_shape scalar = {0}, any = {.rank = 3, .dim = {FINF_DIM_ANY, 3, 0}};
	char text[64], small[4];

	ck_assert_str_eq(finf_shape_text(&scalar, text, sizeof(text)), "scalar");
	ck_assert_str_eq(finf_shape_text(&any, text, sizeof(text)), "?x3x0");
	ck_assert_str_eq(finf_shape_text(&any, small, sizeof(small)), "?x3");
	ck_assert(finf_shape_is_static(&scalar) && !finf_shape_is_static(&any));
	ck_assert(finf_shape_equal(&any, &any) && !finf_shape_equal(&any, &scalar));
}
END_TEST

/* ---- memory ------------------------------------------------------------------------ */

START_TEST(the_arena_gives_zeroed_aligned_memory)
{
	struct finf_arena arena;
	uint64_t seed = 1;

	finf_arena_init(&arena);
	for (int i = 0; i < 2000; i++) {
		size_t bytes = test_random(&seed) % (i % 50 ? 100 : 40000);
		uint8_t *at = finf_arena_alloc(&arena, bytes);

		ck_assert_ptr_nonnull(at);
		ck_assert_uint_eq((uintptr_t)at % 16, 0);
		for (size_t k = 0; k < bytes; k++)
			ck_assert_uint_eq(at[k], 0);
		memset(at, 0xff, bytes);
	}
	ck_assert_ptr_null(finf_arena_alloc(&arena, SIZE_MAX));
	ck_assert_ptr_null(finf_arena_array(&arena, SIZE_MAX / 4, 8));
	ck_assert_str_eq(finf_arena_printf(&arena, "%s-%d", "a", 7), "a-7");
	ck_assert_str_eq(finf_arena_strn(&arena, "abcdef", 3), "abc");
	finf_arena_fini(&arena);
	finf_arena_fini(&arena);
}
END_TEST

START_TEST(the_map_finds_what_was_put)
{
	static char keys[5000][12];
	struct finf_map map;
	uint32_t value = 77;

	finf_map_init(&map);
	ck_assert(!finf_map_find(&map, "x", &value));
	for (uint32_t i = 0; i < 5000; i++) {
		snprintf(keys[i], sizeof(keys[i]), "key%u", i);
		ck_assert_int_eq(finf_map_put(&map, keys[i], i), 0);
	}
	ck_assert_int_eq(finf_map_put(&map, "key17", 1), -EEXIST);
	for (uint32_t i = 0; i < 5000; i++) {
		ck_assert(finf_map_find(&map, keys[i], &value));
		ck_assert_uint_eq(value, i);
	}
	ck_assert(!finf_map_find(&map, "key5000", NULL));
	finf_map_fini(&map);
}
END_TEST

START_TEST(arrays_grow_and_keep_their_contents)
{
	uint32_t *numbers = NULL, cap = 0;

	for (uint32_t i = 0; i < 10000; i++) {
		ck_assert_int_eq(finf_grow(&numbers, &cap, i, sizeof(*numbers)), 0);
		numbers[i] = i;
	}
	for (uint32_t i = 0; i < 10000; i++)
		ck_assert_uint_eq(numbers[i], i);
	ck_assert_int_eq(finf_grow(&numbers, &cap, cap, SIZE_MAX / 2), -ENOMEM);
	ck_assert_uint_eq(numbers[9999], 9999);
	free(numbers);
}
END_TEST

/* ---- bytes ----------------------------------------------------------------------------- */

static void write_sample(struct finf_buf *buf)
{
	finf_buf_init(buf);
	finf_buf_u8(buf, 0x12);
	finf_buf_u32(buf, 0x12345678);
	finf_buf_u64(buf, 0x123456789abcdef0u);
	finf_buf_f32(buf, 1.5f);
	finf_buf_str(buf, "hello");
	finf_buf_printf(buf, "%d", 42);
	ck_assert_int_eq(buf->err, 0);
}

START_TEST(what_is_written_is_read)
{
	struct finf_arena arena;
	struct finf_reader r;
	struct finf_buf buf;

	write_sample(&buf);
	ck_assert_uint_eq(buf.len, 1 + 4 + 8 + 4 + 4 + 5 + 2);
	ck_assert_uint_eq(buf.data[1], 0x78); /* little-endian */
	finf_arena_init(&arena);
	finf_reader_init(&r, buf.data, buf.len);
	ck_assert_uint_eq(finf_reader_u8(&r), 0x12);
	ck_assert_uint_eq(finf_reader_u32(&r), 0x12345678);
	ck_assert_uint_eq(finf_reader_u64(&r), 0x123456789abcdef0u);
	ck_assert(finf_reader_f32(&r) == 1.5f);
	ck_assert_str_eq(finf_reader_str(&r, &arena), "hello");
	ck_assert_int_eq(memcmp(finf_reader_bytes(&r, 2), "42", 2), 0);
	ck_assert_int_eq(r.err, 0);
	ck_assert_uint_eq(r.at, r.len);
	finf_arena_fini(&arena);
	finf_buf_fini(&buf);
}
END_TEST

START_TEST(a_reader_stops_at_its_end_and_remembers)
{
	struct finf_arena arena;
	struct finf_reader r;
	struct finf_buf buf;

	write_sample(&buf);
	finf_arena_init(&arena);
	for (size_t len = 0; len < buf.len; len++) {
		uint8_t *exact = malloc(len + 1); /* so that one byte too far is seen */

		memcpy(exact, buf.data, len);
		finf_reader_init(&r, exact, len);
		finf_reader_u8(&r), finf_reader_u32(&r), finf_reader_u64(&r), finf_reader_f32(&r);
		finf_reader_str(&r, &arena);
		ck_assert_ptr_null(finf_reader_bytes(&r, 2));
		ck_assert_int_eq(r.err, -EBADMSG);
		ck_assert_uint_eq(finf_reader_u8(&r), 0);
		free(exact);
	}
	finf_arena_fini(&arena);
	finf_buf_fini(&buf);
}
END_TEST

START_TEST(hostile_lengths_are_refused)
{
	const uint8_t huge[] = {0xff, 0xff, 0xff, 0xff, 'a', 'b'};
	const uint8_t nul[] = {3, 0, 0, 0, 'a', 0, 'b'};
	struct finf_arena arena;
	struct finf_reader r;

	finf_arena_init(&arena);
	finf_reader_init(&r, huge, sizeof(huge));
	ck_assert_ptr_null(finf_reader_str(&r, &arena));
	ck_assert_int_eq(r.err, -EBADMSG);
	finf_reader_init(&r, huge, sizeof(huge));
	ck_assert_uint_eq(finf_reader_count(&r, 1), 0);
	ck_assert_int_eq(r.err, -EBADMSG);
	finf_reader_init(&r, nul, sizeof(nul));
	ck_assert_ptr_null(finf_reader_str(&r, &arena));
	ck_assert_int_eq(r.err, -EBADMSG);
	finf_reader_init(&r, nul, sizeof(nul));
	ck_assert_uint_eq(finf_reader_count(&r, 1), 3);
	finf_arena_fini(&arena);
}
END_TEST

START_TEST(the_hash_is_xxh3)
{
	/* From the reference implementation's own table: empty input, seed 0. */
	ck_assert_uint_eq(finf_hash64("", 0), 0x2d06800538d394c2u);
}
END_TEST

/* ---- files ---------------------------------------------------------------------------------- */

START_TEST(files_are_read_and_mapped_whole)
{
	char path[4096], back[5];
	const void *data = back;
	size_t bytes = 77;
	int fd;

	snprintf(path, sizeof(path), "%s", scratch_path("file"));
	fd = open(path, O_RDWR | O_CREAT, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(finf_file_map(fd, &data, &bytes), 0);
	ck_assert_ptr_null(data);
	ck_assert_uint_eq(bytes, 0);
	finf_file_unmap(data, bytes);
	ck_assert_int_eq(finf_write_full(fd, "hello", 5), 0);
	ck_assert_int_eq(finf_pwrite_full(fd, "J", 1, 0), 0);
	ck_assert_int_eq(finf_pread_full(fd, back, 5, 0), 0);
	ck_assert_int_eq(memcmp(back, "Jello", 5), 0);
	ck_assert_int_eq(finf_pread_full(fd, back, 5, 1), -EIO);
	ck_assert_int_eq(finf_file_map(fd, &data, &bytes), 0);
	ck_assert_uint_eq(bytes, 5);
	ck_assert_int_eq(memcmp(data, "Jello", 5), 0);
	finf_file_unmap(data, bytes);
	close(fd);
	ck_assert_int_eq(finf_read_full(fd, back, 1), -EBADF);
	fd = open("/", O_RDONLY);
	ck_assert_int_eq(finf_file_map(fd, &data, &bytes), -EINVAL);
	close(fd);
}
END_TEST

START_TEST(a_full_disk_is_an_error)
{
	int fd = open("/dev/full", O_WRONLY);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(finf_write_full(fd, "x", 1), -ENOSPC);
	close(fd);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("base");
	TCase *tc = tcase_create("base");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, names_are_what_the_design_says, 0, FINF_ARRAY_LEN(names));
	tcase_add_test(tc, a_name_has_at_most_128_characters);
	tcase_add_loop_test(tc, sizes_are_what_people_write, 0, FINF_ARRAY_LEN(sizes));
	tcase_add_test(tc, foreign_names_cannot_drive_the_terminal);
	tcase_add_test(tc, long_messages_are_cut);
	tcase_add_loop_test(tc, counts_do_not_overflow, 0, FINF_ARRAY_LEN(shapes));
	tcase_add_test(tc, dtypes_have_sizes_and_names);
	tcase_add_test(tc, shapes_as_text);
	tcase_add_test(tc, the_arena_gives_zeroed_aligned_memory);
	tcase_add_test(tc, the_map_finds_what_was_put);
	tcase_add_test(tc, arrays_grow_and_keep_their_contents);
	tcase_add_test(tc, what_is_written_is_read);
	tcase_add_test(tc, a_reader_stops_at_its_end_and_remembers);
	tcase_add_test(tc, hostile_lengths_are_refused);
	tcase_add_test(tc, the_hash_is_xxh3);
	tcase_add_test(tc, files_are_read_and_mapped_whole);
	tcase_add_test(tc, a_full_disk_is_an_error);
	suite_add_tcase(suite, tc);
	return suite;
}
