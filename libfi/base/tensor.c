/* SPDX-License-Identifier: MIT */
/* base: dtypes and shapes. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"

static const struct {
	enum finf_dtype dtype;
	uint8_t bytes;
	const char *name;
} dtypes[] = {
	{FINF_F32, 4, "float32"}, {FINF_U8, 1, "uint8"},    {FINF_I8, 1, "int8"},
	{FINF_I32, 4, "int32"},	  {FINF_I64, 8, "int64"},   {FINF_BOOL, 1, "bool"},
	{FINF_F64, 8, "float64"}, {FINF_F16, 2, "float16"}, {FINF_BF16, 2, "bfloat16"},
};

size_t finf_dtype_bytes(enum finf_dtype dtype)
{
	for (size_t i = 0; i < FINF_ARRAY_LEN(dtypes); i++)
		if (dtypes[i].dtype == dtype)
			return dtypes[i].bytes;
	return 0;
}

const char *finf_dtype_name(enum finf_dtype dtype)
{
	for (size_t i = 0; i < FINF_ARRAY_LEN(dtypes); i++)
		if (dtypes[i].dtype == dtype)
			return dtypes[i].name;
	return "unknown";
}

int finf_shape_count(const struct finf_shape *shape, size_t *ret)
{
	size_t n = 1;

	if (shape->rank > FINF_RANK_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < shape->rank; i++)
		if (shape->dim[i] < 0)
			return -EINVAL;
	for (uint32_t i = 0; i < shape->rank; i++)
		if (shape->dim[i] == 0)
			n = 0;
	for (uint32_t i = 0; n && i < shape->rank; i++)
		if (!finf_mul_size(n, (size_t)shape->dim[i], &n) || n > SIZE_MAX / 16)
			return -EOVERFLOW;
	*ret = n;
	return 0;
}

int finf_tensor_bytes(enum finf_dtype dtype, const struct finf_shape *shape, size_t *ret)
{
	size_t n, each = finf_dtype_bytes(dtype);
	int err;

	if (!each)
		return -EINVAL;
	err = finf_shape_count(shape, &n);
	if (err)
		return err;
	*ret = n * each; /* count <= SIZE_MAX / 16, each <= 8 */
	return 0;
}

bool finf_shape_equal(const struct finf_shape *a, const struct finf_shape *b)
{
	return a->rank == b->rank && !memcmp(a->dim, b->dim, a->rank * sizeof(a->dim[0]));
}

bool finf_shape_is_static(const struct finf_shape *shape)
{
	for (uint32_t i = 0; i < shape->rank; i++)
		if (shape->dim[i] < 0)
			return false;
	return true;
}

const char *finf_shape_text(const struct finf_shape *shape, char *buf, size_t len)
{
	size_t at = 0;

	if (!shape->rank) {
		snprintf(buf, len, "scalar");
		return buf;
	}
	buf[0] = 0;
	for (uint32_t i = 0; i < shape->rank && at < len; i++) {
		if (i)
			at += (size_t)snprintf(buf + at, len - at, "x");
		if (at >= len)
			break;
		if (shape->dim[i] < 0)
			at += (size_t)snprintf(buf + at, len - at, "?");
		else
			at += (size_t)snprintf(buf + at, len - at, "%" PRId64, shape->dim[i]);
	}
	return buf;
}
