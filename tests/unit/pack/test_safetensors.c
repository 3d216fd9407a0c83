/* SPDX-License-Identifier: MIT */
/*
 * Is a pack a valid safetensors file? Asked of a checker that shares nothing
 * with libfi/pack, written from the format's description alone, and of the
 * Python package where it is installed.
 */
#include <ctype.h>

#include "tests/unit/pack/packs.h"

/* ---- the smallest JSON reader that the format needs ------------------------------- */

struct json {
	const char *at, *end;
};

static char peek(struct json *j)
{
	while (j->at < j->end && *j->at == ' ')
		j->at++;
	ck_assert_msg(j->at < j->end, "JSON ends early");
	return *j->at;
}

static void expect(struct json *j, char c)
{
	ck_assert_msg(peek(j) == c, "'%c' expected, '%c' found", c, *j->at);
	j->at++;
}

static void string(struct json *j, char *text, size_t len)
{
	size_t n = 0;

	expect(j, '"');
	for (; *j->at != '"'; j->at++) {
		ck_assert_int_ge((unsigned char)*j->at, 0x20);
		if (*j->at == '\\')
			j->at++;
		ck_assert_uint_lt(n + 1, len);
		ck_assert(j->at + 1 < j->end);
		text[n++] = *j->at;
	}
	text[n] = 0;
	j->at++;
}

static uint64_t number(struct json *j)
{
	uint64_t value = 0;

	ck_assert(isdigit((unsigned char)peek(j)));
	for (; isdigit((unsigned char)*j->at); j->at++)
		value = value * 10 + (uint64_t)(*j->at - '0');
	return value;
}

static bool more(struct json *j, char close)
{
	if (peek(j) == ',') {
		j->at++;
		return true;
	}
	expect(j, close);
	return false;
}

/* ---- safetensors ------------------------------------------------------------------- */

static uint64_t element_bytes(const char *dtype)
{
	static const struct {
		const char *name;
		uint64_t bytes;
	} known[] = {{"F64", 8}, {"I64", 8}, {"F32", 4}, {"I32", 4}, {"I8", 1}, {"U8", 1}, {"BOOL", 1}};

	for (size_t i = 0; i < FINF_ARRAY_LEN(known); i++)
		if (!strcmp(known[i].name, dtype))
			return known[i].bytes;
	ck_abort_msg("dtype %s", dtype);
	return 0;
}

static void check_tensor(struct json *j, uint64_t *at)
{
	char key[64], dtype[16] = "";
	uint64_t elements = 1, begin = 0, end = 0;

	expect(j, '{');
	do {
		string(j, key, sizeof(key));
		expect(j, ':');
		if (!strcmp(key, "dtype")) {
			string(j, dtype, sizeof(dtype));
		} else if (!strcmp(key, "shape")) {
			expect(j, '[');
			if (peek(j) == ']') {
				j->at++;
				continue;
			}
			do
				elements *= number(j);
			while (more(j, ']'));
		} else {
			ck_assert_str_eq(key, "data_offsets");
			expect(j, '[');
			begin = number(j);
			expect(j, ',');
			end = number(j);
			expect(j, ']');
		}
	} while (more(j, '}'));
	ck_assert_uint_eq(begin, *at);
	ck_assert_uint_eq(end - begin, elements * element_bytes(dtype));
	*at = end;
}

static uint32_t check_safetensors(const uint8_t *file, size_t size)
{
	uint64_t length = 0, at = 0;
	struct json j;
	char name[2048], text[4096];
	uint32_t n = 0;

	for (int i = 7; i >= 0; i--)
		length = length << 8 | file[i];
	ck_assert_uint_le(length, size - 8);
	ck_assert_uint_le(length, 100000000); /* the reference implementation's bound */
	ck_assert_int_eq(file[8], '{');
	j = (struct json){(const char *)file + 8, (const char *)file + 8 + length};
	expect(&j, '{');
	do {
		string(&j, name, sizeof(name));
		expect(&j, ':');
		if (strcmp(name, "__metadata__")) {
			check_tensor(&j, &at);
			n++;
			continue;
		}
		expect(&j, '{');
		do {
			string(&j, name, sizeof(name));
			expect(&j, ':');
			string(&j, text, sizeof(text)); /* strings only */
		} while (more(&j, '}'));
	} while (more(&j, '}'));
	for (; j.at < j.end; j.at++)
		ck_assert_int_eq(*j.at, ' ');
	ck_assert_uint_eq(at, size - 8 - length); /* no byte that is no tensor's */
	return n;
}

START_TEST(test_is_safetensors)
{
	size_t size;
	uint8_t *file = sample_bytes(_i, &size);

	/* Graph, plan, weights, and at least the pad at the end. */
	ck_assert_uint_ge(check_safetensors(file, size), 4 + 2 + (uint32_t)_i);
	free(file);
}
END_TEST

START_TEST(test_python_reads_it)
{
	char command[8192];
	int dir = scratch_fd();

	if (system("python3 -c 'import safetensors, numpy' 2>/dev/null")) {
		skip_test("safetensors", "python3 has no safetensors and numpy");
		return;
	}
	ck_assert_int_eq(write_sample_portable(dir, "p.fim"), 0);
	ck_assert_int_eq(write_sample_tuned(dir, "t.fim"), 0);
	snprintf(command, sizeof(command),
		 "python3 -c 'from safetensors.numpy import load_file as l; d = \"%s\"; "
		 "p = l(d + \"/p.fim\"); t = l(d + \"/t.fim\"); "
		 "assert p[\"W1\"].shape == (16, 64) and t[\"W1\"].dtype == \"uint8\"'",
		 scratch_dir());
	ck_assert_int_eq(system(command), 0);
	close(dir);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("pack/safetensors");
	TCase *tc = tcase_create("safetensors");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, test_is_safetensors, 0, 2);
	tcase_add_test(tc, test_python_reads_it);
	suite_add_tcase(suite, tc);
	return suite;
}
