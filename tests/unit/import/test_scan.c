/* SPDX-License-Identifier: MIT */
/* import: the wire-level scan against malformed bytes, row by row. */
#include <errno.h>

#include "import/import.h"
#include "tests/support/support.h"
#include "tests/unit/import/onnxbuild.h"

/* Bytes of a row: a string literal, embedded NULs included. */
#define B(text) text, sizeof(text) - 1

static const struct {
	const char *what, *data;
	size_t bytes;
	int err;
	const char *needle;
} rows[] = {
	{"empty", B(""), -EBADMSG, "empty"},
	{"ir_version only", B("\x08\x07"), 0, ""},
	{"number cut off", B("\x08"), -EBADMSG, "offset 1: ends inside a number"},
	{"number cut off later", B("\x08\xff\xff"), -EBADMSG, "ends inside a number"},
	{"largest number", B("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), 0, ""},
	{"65 bit number", B("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), -EBADMSG, "64 bits"},
	{"11 byte number", B("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), -EBADMSG,
	 "64 bits"},
	{"field number 0", B("\x02\x00"), -EBADMSG, "field number 0"},
	{"field number too large", B("\x80\x80\x80\x80\x10\x00"), -EBADMSG,
	 "field number 536870912"},
	{"group start", B("\xa3\x06\xa4\x06"), -EBADMSG, "wire type 3"},
	{"group end", B("\xa4\x06"), -EBADMSG, "wire type 4"},
	{"wire type 6", B("\xa6\x06"), -EBADMSG, "wire type 6"},
	{"wire type 7", B("\xa7\x06"), -EBADMSG, "wire type 7"},
	{"unknown fields pass",
	 B("\xa0\x06\x01\xa2\x06\x02zz\xa5\x06"
	   "1234\xa1\x06"
	   "12345678"),
	 0, ""},
	{"unknown fixed32 cut off",
	 B("\xa5\x06"
	   "123"),
	 -EBADMSG, "says 4 bytes, 3 are left"},
	{"unknown fixed64 cut off",
	 B("\xa1\x06"
	   "1234567"),
	 -EBADMSG, "says 8 bytes, 7 are left"},
	{"length beyond the file",
	 B("\x12\x05"
	   "abcd"),
	 -EBADMSG, "says 5 bytes, 4 are left"},
	{"length of 2^64-1", B("\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01z"), -EBADMSG,
	 "18446744073709551615 bytes, 1 are left"},
	{"length without bytes", B("\x12"), -EBADMSG, "ends inside a number"},
	{"number beyond its message", B("\x3a\x02\x2a\x80\x01"), -EBADMSG, "ends inside a number"},
	{"child beyond its parent", B("\x3a\x02\x2a\x03\x08\x01\x08"), -EBADMSG,
	 "initializer of GraphProto says 3 bytes, 0 are left"},
	{"string with NUL",
	 B("\x12\x03"
	   "a\0b"),
	 -EBADMSG, "NUL inside 'producer_name'"},
	{"message as number", B("\x38\x01"), -EBADMSG, "graph of ModelProto has wire type 0"},
	{"number as bytes", B("\x0a\x01\x07"), -EBADMSG,
	 "ir_version of ModelProto has wire type 2"},
	{"graph twice", B("\x3a\x00\x3a\x00"), -EBADMSG, "second 'graph' of ModelProto"},
	{"packed numbers", B("\x3a\x06\x2a\x04\x3a\x02\x05\x06"), 0, ""},
	{"packed number cut off", B("\x3a\x06\x2a\x04\x3a\x02\x05\x86"), -EBADMSG,
	 "ends inside a number"},
	{"packed floats",
	 B("\x3a\x08\x2a\x06\x22\x04"
	   "1234"),
	 0, ""},
	{"packed floats cut off",
	 B("\x3a\x07\x2a\x05\x22\x03"
	   "123"),
	 -EBADMSG, "ends inside a number"},
};

START_TEST(row)
{
	struct finf_diag diag = {""};
	int err = finf_import_scan(rows[_i].data, rows[_i].bytes, &diag);

	ck_assert_msg(err == rows[_i].err, "%s: %d, %s", rows[_i].what, err, diag.text);
	ck_assert_msg(strstr(diag.text, rows[_i].needle) != NULL, "%s: '%s' lacks '%s'",
		      rows[_i].what, diag.text, rows[_i].needle);
}
END_TEST

/*
 * @levels messages inside each other, the model being the first: graph, node,
 * attribute, then graph again. Written from the inside outwards.
 */
static uint8_t *nested(unsigned levels, size_t *ret_bytes)
{
	static const uint8_t tags[] = {0x3a, 0x0a, 0x2a, 0x32};
	size_t cap = (size_t)levels * 6, at = cap;
	uint8_t *data = malloc(cap + 1);

	ck_assert_ptr_nonnull(data);
	for (unsigned level = levels - 1; level >= 1; level--) {
		uint8_t head[6];
		size_t len = cap - at, n = 0;

		/* level 1 is the graph of the model; below it node, attribute, graph repeat */
		head[n++] = level == 1 ? tags[0] : tags[1 + (level - 2) % 3];
		for (; len > 0x7f; len >>= 7)
			head[n++] = (uint8_t)(len | 0x80);
		head[n++] = (uint8_t)len;
		at -= n;
		memcpy(data + at, head, n);
	}
	*ret_bytes = cap - at;
	memmove(data, data + at, cap - at);
	return data;
}

static const struct {
	unsigned levels;
	int err;
} depths[] = {{2, 0}, {63, 0}, {64, 0}, {65, -EBADMSG}, {3000, -EBADMSG}, {200000, -EBADMSG}};

START_TEST(depth)
{
	struct finf_diag diag = {""};
	struct finf_graph *graph = NULL;
	size_t bytes;
	uint8_t *data = nested(depths[_i].levels, &bytes);

	ck_assert_int_eq(finf_import_scan(data, bytes, &diag), depths[_i].err);
	if (depths[_i].err)
		ck_assert_ptr_nonnull(strstr(diag.text, "nested more than 64 levels"));
	ck_assert_int_lt(finf_import_onnx(data, bytes, &graph, &diag), 0);
	ck_assert_ptr_null(graph);
	free(data);
}
END_TEST

/* Two bytes each in the file, a hundred and more unpacked: refused before memory is gone. */
START_TEST(amplification)
{
	size_t n = 8u << 20, head = 0;
	uint8_t *data = malloc(2 * n + 8);
	struct finf_diag diag = {""};

	ck_assert_ptr_nonnull(data);
	data[head++] = 0x3a;
	for (size_t len = 2 * n; len; len >>= 7)
		data[head++] = (uint8_t)((len & 0x7f) | (len > 0x7f ? 0x80 : 0));
	for (size_t i = 0; i < n; i++)
		memcpy(data + head + 2 * i, "\x0a\x00", 2); /* node {} */
	ck_assert_int_eq(finf_import_scan(data, head + 2 * n, &diag), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(diag.text, "more fields than"));
	free(data);
}
END_TEST

/* Every cut of a sound file is refused or is a shorter sound message; never read past it. */
START_TEST(truncated)
{
	struct onnx_build b;
	size_t bytes;
	uint8_t *data;

	build_sample(&b);
	data = build_pack(&b, &bytes);
	ck_assert_int_eq(finf_import_scan(data, bytes, NULL), 0);
	for (size_t cut = 0; cut < bytes; cut++) {
		uint8_t *exact = malloc(cut ? cut : 1); /* so that ASan sees one byte too many */
		int err;

		ck_assert_ptr_nonnull(exact);
		memcpy(exact, data, cut);
		err = finf_import_scan(exact, cut, NULL);
		ck_assert(err == 0 || err == -EBADMSG);
		free(exact);
	}
	free(data);
	build_fini(&b);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("import/scan");
	TCase *tc = tcase_create("scan");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, row, 0, FINF_ARRAY_LEN(rows));
	tcase_add_loop_test(tc, depth, 0, FINF_ARRAY_LEN(depths));
	tcase_add_test(tc, amplification);
	tcase_add_test(tc, truncated);
	suite_add_tcase(suite, tc);
	return suite;
}
