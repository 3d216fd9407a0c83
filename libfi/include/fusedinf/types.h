/* SPDX-License-Identifier: MIT */
/*
 * fusedinf/types.h - the words every public header shares: dtype, shape,
 * tensor, diagnosis and the log callback. Knows no model, device or socket.
 */
#ifndef FUSEDINF_TYPES_H
#define FUSEDINF_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FINF_API __attribute__((visibility("default")))

/* Element types. The numbers are those of ONNX TensorProto.DataType. */
enum finf_dtype {
	FINF_DTYPE_NONE = 0, /* unknown */
	FINF_F32 = 1,
	FINF_U8 = 2,
	FINF_I8 = 3,
	FINF_I32 = 6,
	FINF_I64 = 7,
	FINF_BOOL = 9,
	FINF_F16 = 10, /* of inputs and outputs; models compute in float32 */
	FINF_F64 = 11,
	FINF_BF16 = 16, /* as FINF_F16 */
};

#define FINF_RANK_MAX 8
#define FINF_DIM_ANY (-1) /* a dimension known only when inputs arrive */

/* Row-major (C order) extent of a tensor; rank 0 is a scalar of one element. */
struct finf_shape {
	uint32_t rank;
	int64_t dim[FINF_RANK_MAX];
};

/* A dense row-major tensor. Who owns @name and @data is said by each call. */
struct finf_tensor {
	const char *name;
	enum finf_dtype dtype;
	struct finf_shape shape;
	void *data;
	size_t bytes; /* capacity of @data in bytes */
};

/* Where and why something was refused: one line, no newline at the end. */
struct finf_diag {
	char text[512];
};

/**
 * finf_dtype_bytes - size of one element.
 * Context: pure. Return: bytes, or 0 for a dtype this library does not store.
 * Since: 0.1.
 */
FINF_API size_t finf_dtype_bytes(enum finf_dtype dtype);

/**
 * finf_dtype_name - "float32", "int64", ... or "unknown".
 * Context: pure. Return: a static string. Since: 0.1.
 */
FINF_API const char *finf_dtype_name(enum finf_dtype dtype);

/**
 * finf_shape_count - number of elements, with overflow checking.
 * @param shape  every dimension >= 0
 * @param ret    elements; 1 for a scalar
 * Context: pure. Return: 0; -EINVAL when a dimension is negative or the rank
 * is above FINF_RANK_MAX; -EOVERFLOW when the product exceeds SIZE_MAX / 16.
 * Since: 0.1.
 */
FINF_API int finf_shape_count(const struct finf_shape *shape, size_t *ret);

/**
 * finf_tensor_bytes - bytes that a dense tensor of this dtype and shape takes.
 * Context: pure. Return: 0 or the errors of finf_shape_count(); -EINVAL for an
 * unknown dtype. Since: 0.1.
 */
FINF_API int finf_tensor_bytes(enum finf_dtype dtype, const struct finf_shape *shape, size_t *ret);

/**
 * finf_version - version of the library that is running, "0.1.0".
 * Context: pure. Since: 0.1.
 */
FINF_API const char *finf_version(void);

/**
 * finf_set_log - receive the library's debug messages.
 * @param fn   called with one line without newline; NULL = silence (default)
 * @param ctx  handed to @fn; borrowed until the next call
 * Context: call before other threads use the library. Since: 0.1.
 */
typedef void (*finf_log_fn)(void *ctx, const char *line);
FINF_API void finf_set_log(finf_log_fn fn, void *ctx);

#ifdef __cplusplus
}
#endif
#endif
