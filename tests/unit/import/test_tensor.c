/* SPDX-License-Identifier: MIT */
/* import: TensorProto files, each way of storing each dtype. */
#include <errno.h>
#include <math.h>

#include "import/import.h"
#include "tests/support/support.h"
#include "tests/unit/import/onnxbuild.h"

static uint8_t *pack_tensor(const Onnx__TensorProto *t, size_t *ret_bytes)
{
	size_t bytes = onnx__tensor_proto__get_packed_size(t);
	uint8_t *data = malloc(bytes);

	ck_assert_ptr_nonnull(data);
	onnx__tensor_proto__pack(t, data);
	*ret_bytes = bytes;
	return data;
}

static const int64_t dims[] = {3};
static float f32[] = {1.5f, -2, 0};
static double f64[] = {1.5, -2, 1e300};
static int64_t i64[] = {INT64_MIN, -1, INT64_MAX};
static int32_t i32[] = {INT32_MIN, -1, INT32_MAX};
static int32_t i8[] = {-128, -1, 127}, u8[] = {0, 1, 255}, bools[] = {1, 0, 1};
static const int8_t i8_bytes[] = {-128, -1, 127};
static const uint8_t u8_bytes[] = {0, 1, 255}, bool_bytes[] = {1, 0, 1};

static const struct {
	enum finf_dtype dtype;
	void *typed;	   /* in the typed field */
	const void *bytes; /* as raw data, and what must come out */
} dtypes[] = {
	{FINF_F32, f32, f32},		{FINF_F64, f64, f64},	 {FINF_I64, i64, i64},
	{FINF_I32, i32, i32},		{FINF_I8, i8, i8_bytes}, {FINF_U8, u8, u8_bytes},
	{FINF_BOOL, bools, bool_bytes},
};

static void set_typed(Onnx__TensorProto *t, enum finf_dtype dtype, void *values, size_t n)
{
	switch (dtype) {
	case FINF_F32:
		t->float_data = values, t->n_float_data = n;
		break;
	case FINF_F64:
		t->double_data = values, t->n_double_data = n;
		break;
	case FINF_I64:
		t->int64_data = values, t->n_int64_data = n;
		break;
	default:
		t->int32_data = values, t->n_int32_data = n;
	}
}

/* Even rows typed, odd rows raw. */
START_TEST(storage)
{
	enum finf_dtype dtype = dtypes[_i / 2].dtype;
	size_t bytes, want = 3 * finf_dtype_bytes(dtype);
	struct finf_tensor got;
	struct finf_diag diag;
	struct onnx_build b;
	Onnx__TensorProto *t;
	uint8_t *data;

	finf_arena_init(&b.arena);
	t = build_tensor(&b, "t", (int32_t)dtype, 1, dims);
	if (_i % 2)
		build_raw(&b, t, dtypes[_i / 2].bytes, want);
	else
		set_typed(t, dtype, dtypes[_i / 2].typed, 3);
	data = pack_tensor(t, &bytes);
	build_fini(&b);
	ck_assert_msg(!finf_import_tensor(data, bytes, &got, &diag), "%s", diag.text);
	free(data);
	ck_assert_str_eq(got.name, "t");
	ck_assert_int_eq(got.dtype, dtype);
	ck_assert_uint_eq(got.shape.rank, 1);
	ck_assert_int_eq(got.shape.dim[0], 3);
	ck_assert_uint_eq(got.bytes, want);
	ck_assert_mem_eq(got.data, dtypes[_i / 2].bytes, want);
	finf_import_tensor_free(&got);
	ck_assert_ptr_null(got.data);
}
END_TEST

/* Numbers of 16 bits, raw and typed, arrive as they are. */
START_TEST(halves)
{
	static const int64_t eight[] = {8};
	static const struct {
		int32_t type;
		uint16_t bits[8];
	} kinds[] = {
		{ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16,
		 {0x3c00, 0xc000, 0x0001, 0x83ff, 0x0400, 0x7bff, 0xfc00, 0x8000}},
		{ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16,
		 {0x3f80, 0xc000, 0x0001, 0x807f, 0x0080, 0x7f7f, 0xff80, 0x8000}},
	};
	int32_t wide[8];
	struct finf_tensor got;
	struct finf_diag diag;
	struct onnx_build b;
	Onnx__TensorProto *t;
	uint8_t *data;
	size_t bytes;

	finf_arena_init(&b.arena);
	t = build_tensor(&b, "t", kinds[_i / 2].type, 1, eight);
	for (int i = 0; i < 8; i++)
		wide[i] = kinds[_i / 2].bits[i];
	if (_i % 2)
		build_raw(&b, t, kinds[_i / 2].bits, sizeof(kinds[0].bits));
	t->n_int32_data = _i % 2 ? 0 : 8;
	t->int32_data = wide;
	data = pack_tensor(t, &bytes);
	build_fini(&b);
	ck_assert_msg(!finf_import_tensor(data, bytes, &got, &diag), "%s", diag.text);
	free(data);
	ck_assert_int_eq((int)got.dtype, kinds[_i / 2].type);
	ck_assert_uint_eq(got.bytes, sizeof(kinds[0].bits));
	ck_assert_mem_eq(got.data, kinds[_i / 2].bits, sizeof(kinds[0].bits));
	finf_import_tensor_free(&got);
}
END_TEST

/* Empty and scalar tensors, without a name. */
START_TEST(extremes)
{
	static const int64_t none[] = {2, 0};
	struct finf_tensor got;
	struct onnx_build b;
	Onnx__TensorProto *t;
	uint8_t *data;
	size_t bytes;

	finf_arena_init(&b.arena);
	t = build_tensor(&b, "", FINF_F32, 2, none);
	t->name = NULL;
	data = pack_tensor(t, &bytes);
	ck_assert_int_eq(finf_import_tensor(data, bytes, &got, NULL), 0);
	ck_assert_uint_eq(got.bytes, 0);
	ck_assert_ptr_nonnull(got.data);
	ck_assert_str_eq(got.name, "");
	finf_import_tensor_free(&got);
	free(data);

	t = build_tensor(&b, "", FINF_I64, 0, NULL);
	set_typed(t, FINF_I64, i64, 1);
	data = pack_tensor(t, &bytes);
	ck_assert_int_eq(finf_import_tensor(data, bytes, &got, NULL), 0);
	ck_assert_uint_eq(got.shape.rank, 0);
	ck_assert_int_eq(*(int64_t *)got.data, INT64_MIN);
	finf_import_tensor_free(&got);
	free(data);
	build_fini(&b);
}
END_TEST

START_TEST(refused)
{
	static const struct {
		const char *data;
		size_t bytes;
		int err;
		const char *needle;
	} rows[] = {
		{"", 0, -EBADMSG, "empty"},
		{"\xff\xff", 2, -EBADMSG, "offset"},
		{"\x10\x01\x08\x02\x4a\x03"
		 "123",
		 9, -EINVAL, "3 bytes of raw data"},
		{"\x10\x0e\x08\x00", 4, -EOPNOTSUPP, "complex64"},
		{"\x10\x0a\x08\x02\x4a\x03"
		 "123",
		 9, -EINVAL, "3 bytes of raw data"},
		{"\x10\x10\x08\x02\x2a\x01\x01", 7, -EINVAL, "1 elements of data"},
		{"\x08\x01", 2, -EINVAL, "no element type"},
	};
	struct finf_tensor got = {.data = &got};
	struct finf_diag diag = {""};

	ck_assert_int_eq(finf_import_tensor(rows[_i].data, rows[_i].bytes, &got, &diag),
			 rows[_i].err);
	ck_assert_msg(strstr(diag.text, rows[_i].needle) != NULL, "%s", diag.text);
	ck_assert_ptr_eq(got.data, &got); /* untouched */
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("import/tensor");
	TCase *tc = tcase_create("tensor");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, storage, 0, 2 * FINF_ARRAY_LEN(dtypes));
	tcase_add_test(tc, extremes);
	tcase_add_loop_test(tc, refused, 0, 7);
	tcase_add_loop_test(tc, halves, 0, 4);
	suite_add_tcase(suite, tc);
	return suite;
}
