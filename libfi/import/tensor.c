/* SPDX-License-Identifier: MIT */
/* import: TensorProto -> dense tensor; its bytes are borrowed wherever they can be. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"
#include "import/internal.h"

/* raw_data is little-endian and so is everything we borrow it for. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "big-endian machines are not supported");

/* ONNX element types by number (TensorProto.DataType), for messages. */
static const char *const onnx_types[] = {
	"undefined", "float32", "uint8",     "int8",	   "uint16",   "int16",
	"int32",     "int64",	"string",    "bool",	   "float16",  "float64",
	"uint32",    "uint64",	"complex64", "complex128", "bfloat16",
};

int import_dtype(int32_t type, const char *what, const char *name, enum finf_dtype *ret,
		 struct finf_diag *diag)
{
	if (!type)
		return finf_diag_set(diag, -EINVAL,
				     "%s '" IMPORT_NAME_SHOWN "' has no element type", what, name);
	if (type < 0 || !finf_dtype_bytes((enum finf_dtype)type)) {
		const char *called = type > 0 && (size_t)type < FINF_ARRAY_LEN(onnx_types)
					     ? onnx_types[type]
					     : "unknown";

		return finf_diag_set(diag, -EOPNOTSUPP,
				     "%s '" IMPORT_NAME_SHOWN "' has element type %s (%" PRId32
				     "), which is not supported",
				     what, name, called, type);
	}
	*ret = (enum finf_dtype)type;
	return 0;
}

static int tensor_shape(const Onnx__TensorProto *proto, const char *name, struct finf_shape *ret,
			struct finf_diag *diag)
{
	struct finf_shape shape = {.rank = (uint32_t)proto->n_dims};
	size_t count;

	if (proto->n_dims > FINF_RANK_MAX)
		return finf_diag_set(diag, -EOPNOTSUPP,
				     "tensor '" IMPORT_NAME_SHOWN "' has rank %zu, more than %d",
				     name, proto->n_dims, FINF_RANK_MAX);
	for (uint32_t i = 0; i < shape.rank; i++) {
		shape.dim[i] = proto->dims[i];
		if (shape.dim[i] < 0)
			return finf_diag_set(diag, -EINVAL,
					     "tensor '" IMPORT_NAME_SHOWN
					     "' has negative dimension %" PRId64,
					     name, shape.dim[i]);
	}
	if (finf_shape_count(&shape, &count))
		return finf_diag_set(diag, -EINVAL,
				     "tensor '" IMPORT_NAME_SHOWN "' has too many elements", name);
	*ret = shape;
	return 0;
}

/* Elements of the typed field that ONNX prescribes for a dtype. */
struct typed {
	const void *data;
	size_t count, each_bytes;
};

static struct typed typed_field(const Onnx__TensorProto *proto, enum finf_dtype dtype)
{
	switch (dtype) {
	case FINF_F32:
		return (struct typed){proto->float_data, proto->n_float_data, sizeof(float)};
	case FINF_F64:
		return (struct typed){proto->double_data, proto->n_double_data, sizeof(double)};
	case FINF_I64:
		return (struct typed){proto->int64_data, proto->n_int64_data, sizeof(int64_t)};
	default: /* int32, uint8, int8, bool */
		return (struct typed){proto->int32_data, proto->n_int32_data, sizeof(int32_t)};
	}
}

/* One-byte dtypes travel as int32: every element must fit. */
static int narrow(const struct typed *from, const char *name, struct finf_arena *arena,
		  struct finf_tensor *tensor, struct finf_diag *diag)
{
	int32_t low = tensor->dtype == FINF_I8 ? INT8_MIN : 0;
	int32_t high = tensor->dtype == FINF_I8	  ? INT8_MAX
		       : tensor->dtype == FINF_U8 ? UINT8_MAX
						  : 1;
	const int32_t *wide = from->data;
	uint8_t *bytes = finf_arena_alloc(arena, from->count);

	if (!bytes)
		return finf_diag_set(diag, -ENOMEM, "out of memory");
	for (size_t i = 0; i < from->count; i++) {
		if (wide[i] < low || wide[i] > high)
			return finf_diag_set(diag, -EINVAL,
					     "tensor '" IMPORT_NAME_SHOWN "': %" PRId32
					     " is not a value of %s",
					     name, wide[i], finf_dtype_name(tensor->dtype));
		bytes[i] = (uint8_t)wide[i];
	}
	tensor->data = bytes;
	return 0;
}

static int from_typed(const Onnx__TensorProto *proto, const char *name, struct finf_arena *arena,
		      struct finf_tensor *tensor, struct finf_diag *diag)
{
	struct typed from = typed_field(proto, tensor->dtype);
	size_t want = tensor->bytes / finf_dtype_bytes(tensor->dtype);

	if (from.count != want)
		return finf_diag_set(diag, -EINVAL,
				     "tensor '" IMPORT_NAME_SHOWN
				     "' has %zu elements of %s data, its dims say %zu",
				     name, from.count, finf_dtype_name(tensor->dtype), want);
	if (from.count && from.each_bytes != finf_dtype_bytes(tensor->dtype))
		return narrow(&from, name, arena, tensor, diag);
	tensor->data = (void *)(uintptr_t)from.data;
	return 0;
}

static int from_raw(const Onnx__TensorProto *proto, const char *name, struct finf_tensor *tensor,
		    struct finf_diag *diag)
{
	if (proto->raw_data.len != tensor->bytes)
		return finf_diag_set(diag, -EINVAL,
				     "tensor '" IMPORT_NAME_SHOWN
				     "' has %zu bytes of raw data, its dims say %zu",
				     name, proto->raw_data.len, tensor->bytes);
	tensor->data = proto->raw_data.data;
	return 0;
}

static bool is_external(const Onnx__TensorProto *proto)
{
	return proto->n_external_data ||
	       (proto->has_data_location &&
		proto->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL);
}

static int check_storage(const Onnx__TensorProto *proto, const char *name, struct finf_diag *diag)
{
	bool typed = proto->n_float_data || proto->n_int32_data || proto->n_int64_data ||
		     proto->n_double_data || proto->n_uint64_data || proto->n_string_data;

	if (proto->segment)
		return finf_diag_set(diag, -EOPNOTSUPP,
				     "tensor '" IMPORT_NAME_SHOWN
				     "' is one segment of a larger one, which is not supported",
				     name);
	if (proto->has_raw_data && proto->raw_data.len && typed)
		return finf_diag_set(diag, -EINVAL,
				     "tensor '" IMPORT_NAME_SHOWN "' has raw and typed data", name);
	return 0;
}

/* ---- float16 and bfloat16 ------------------------------------------------------ */

/* In the typed fields they lie as int32, of which the lower half counts. */
static int half_bits(const Onnx__TensorProto *proto, const char *name, struct finf_arena *arena,
		     struct finf_tensor *tensor, struct finf_diag *diag)
{
	size_t n = tensor->bytes / sizeof(uint16_t);
	uint16_t *bits;

	if (proto->n_int32_data != n)
		return finf_diag_set(diag, -EINVAL,
				     "tensor '" IMPORT_NAME_SHOWN
				     "' has %zu elements of data, its dims say %zu",
				     name, proto->n_int32_data, n);
	tensor->data = bits = finf_arena_alloc(arena, tensor->bytes);
	if (!bits)
		return finf_diag_set(diag, -ENOMEM, "out of memory");
	for (size_t i = 0; i < n; i++)
		bits[i] = (uint16_t)proto->int32_data[i];
	return 0;
}

int import_widen(struct finf_arena *arena, struct finf_tensor *tensor, struct finf_diag *diag)
{
	size_t n = tensor->bytes / sizeof(uint16_t);
	const uint8_t *from = tensor->data; /* may lie at any address */
	float *to;

	if (!finf_dtype_is_half(tensor->dtype))
		return 0;
	to = finf_arena_array(arena, n, sizeof(*to));
	if (!to)
		return finf_diag_set(diag, -ENOMEM, "out of memory");
	for (size_t i = 0; i < n; i++, from += 2) {
		uint16_t bits = (uint16_t)(from[0] | from[1] << 8);

		to[i] = tensor->dtype == FINF_F16 ? finf_half_value(bits) : finf_brain_value(bits);
	}
	tensor->dtype = FINF_F32;
	tensor->data = to;
	tensor->bytes = n * sizeof(*to);
	return 0;
}

/* ---- any tensor ------------------------------------------------------------------ */

int import_tensor(const Onnx__TensorProto *proto, int dir, struct finf_arena *arena,
		  struct finf_tensor *ret, struct finf_diag *diag)
{
	static uint64_t nothing; /* what an empty tensor points to */
	const char *name = proto->name ? proto->name : "";
	struct finf_tensor tensor = {.name = name};
	int err;

	err = import_dtype(proto->data_type, "tensor", name, &tensor.dtype, diag);
	if (!err)
		err = check_storage(proto, name, diag);
	if (!err)
		err = tensor_shape(proto, name, &tensor.shape, diag);
	if (err)
		return err;
	err = finf_tensor_bytes(tensor.dtype, &tensor.shape, &tensor.bytes);
	if (err)
		return err;
	if (is_external(proto))
		err = import_external(proto, name, dir, arena, &tensor, diag);
	else if (proto->has_raw_data && proto->raw_data.len)
		err = from_raw(proto, name, &tensor, diag);
	else if (finf_dtype_is_half(tensor.dtype))
		err = half_bits(proto, name, arena, &tensor, diag);
	else
		err = from_typed(proto, name, arena, &tensor, diag);
	if (err)
		return err;
	if (!tensor.bytes)
		tensor.data = &nothing;
	*ret = tensor;
	return 0;
}

/* A deep copy on the heap: what finf_import_tensor() hands out. */
static int tensor_copy(const struct finf_tensor *from, struct finf_tensor *ret)
{
	struct finf_tensor copy = *from;

	copy.data = malloc(FINF_MAX(from->bytes, (size_t)1));
	copy.name = strdup(from->name);
	if (!copy.data || !copy.name) {
		finf_import_tensor_free(&copy);
		return -ENOMEM;
	}
	memcpy(copy.data, from->data, from->bytes);
	*ret = copy;
	return 0;
}

int finf_import_tensor(const void *data, size_t bytes, struct finf_tensor *ret,
		       struct finf_diag *diag)
{
	ProtobufCMessage *message;
	struct finf_tensor tensor;
	struct finf_arena arena;
	int err;

	err = import_unpack(&onnx__tensor_proto__descriptor, data, bytes, &message, diag);
	if (err)
		return err;
	finf_arena_init(&arena);
	err = import_tensor((const Onnx__TensorProto *)message, -1, &arena, &tensor, diag);
	if (!err)
		err = tensor_copy(&tensor, ret);
	finf_arena_fini(&arena);
	protobuf_c_message_free_unpacked(message, NULL);
	return err;
}

void finf_import_tensor_free(struct finf_tensor *tensor)
{
	free((void *)(uintptr_t)tensor->name);
	free(tensor->data);
	tensor->name = NULL;
	tensor->data = NULL;
}
