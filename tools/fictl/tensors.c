/* SPDX-License-Identifier: MIT */
/*
 * fictl: tensors in files. .npy and .npz follow numpy.lib.format (NEP 1);
 * a folder holds input_K.pb, ONNX TensorProtos, as in the ONNX backend tests.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

#include "base/half.h"
#include "import/import.h"
#include "tools/fictl/fictl.h"

#define NPY_MAGIC "\x93NUMPY"
#define MEMBER_MAX (8ull << 30)

static const struct {
	enum finf_dtype dtype;
	const char *descr;
} npy_dtypes[] = {
	{FINF_F32, "<f4"}, {FINF_F64, "<f8"}, {FINF_I64, "<i8"}, {FINF_I32, "<i4"},
	{FINF_I8, "|i1"},  {FINF_U8, "|u1"},  {FINF_BOOL, "|b1"}, {FINF_F16, "<f2"},
	{FINF_BF16, "<V2"}, /* as ml_dtypes writes it: NumPy has no bfloat16 */
};

void tensors_free(struct tensor_file *file)
{
	for (uint32_t i = 0; i < file->n; i++) {
		free((void *)(uintptr_t)file->tensors[i].name);
		free(file->tensors[i].data);
	}
	free(file->tensors);
	*file = (struct tensor_file){0};
}

static struct finf_tensor *add_tensor(struct tensor_file *file)
{
	struct finf_tensor *grown =
		realloc(file->tensors, (file->n + 1) * sizeof(*file->tensors));

	if (!grown)
		return NULL;
	file->tensors = grown;
	grown[file->n] = (struct finf_tensor){0};
	return &grown[file->n++];
}

/* ---- the .npy header: a Python literal with three known keys --------------- */

static const char *after_key(const char *header, const char *key)
{
	char quoted[32];
	const char *at;

	snprintf(quoted, sizeof(quoted), "'%s':", key);
	at = strstr(header, quoted);
	if (!at)
		return NULL;
	at += strlen(quoted);
	return at + strspn(at, " ");
}

static int parse_shape(const char *at, struct finf_shape *shape)
{
	if (!at || *at++ != '(')
		return -EINVAL;
	for (shape->rank = 0; at += strspn(at, " ,"), *at != ')'; shape->rank++) {
		char *end;

		if (shape->rank == FINF_RANK_MAX || *at < '0' || *at > '9')
			return -EINVAL;
		errno = 0;
		shape->dim[shape->rank] = strtoll(at, &end, 10);
		if (errno)
			return -EINVAL;
		at = end;
	}
	return 0;
}

static int parse_header(const char *header, struct finf_tensor *tensor)
{
	const char *descr = after_key(header, "descr"), *order = after_key(header, "fortran_order");

	if (!descr || !order || strncmp(order, "False", 5))
		return -EINVAL;
	for (size_t i = 0; i < FINF_ARRAY_LEN(npy_dtypes); i++)
		if (!strncmp(descr + 1, npy_dtypes[i].descr, 3))
			tensor->dtype = npy_dtypes[i].dtype;
	if (!tensor->dtype)
		return -EINVAL;
	return parse_shape(after_key(header, "shape"), &tensor->shape);
}

static int parse_npy(const uint8_t *data, size_t bytes, struct finf_tensor *tensor,
		     struct finf_diag *diag)
{
	size_t header_at = 10, header_len, want;
	char *header;
	int err;

	if (bytes < 12 || memcmp(data, NPY_MAGIC, 6) || data[6] < 1 || data[6] > 3)
		return finf_diag_set(diag, -EBADMSG, "not a .npy file");
	header_len = data[8] | (size_t)data[9] << 8;
	if (data[6] > 1) {
		header_at = 12;
		header_len |= (size_t)data[10] << 16 | (size_t)data[11] << 24;
	}
	if (header_len > bytes - header_at)
		return finf_diag_set(diag, -EBADMSG, "the .npy header is longer than the file");
	header = strndup((const char *)data + header_at, header_len);
	if (!header)
		return -ENOMEM;
	err = parse_header(header, tensor);
	free(header);
	if (err)
		return finf_diag_set(diag, -EBADMSG, "the .npy header asks for a dtype, order or shape "
						     "that is not taken here (row-major float32, "
						     "float64, float16, int64, int32, int8, uint8, bool, "
						     "bfloat16 as V2)");
	err = finf_tensor_bytes(tensor->dtype, &tensor->shape, &want);
	if (err || want != bytes - header_at - header_len)
		return finf_diag_set(diag, -EBADMSG, "the .npy data has %zu bytes, its shape needs %zu",
				     bytes - header_at - header_len, err ? (size_t)0 : want);
	tensor->data = malloc(FINF_MAX(want, (size_t)1));
	if (!tensor->data)
		return -ENOMEM;
	memcpy(tensor->data, data + header_at + header_len, want);
	tensor->bytes = want;
	return 0;
}

/* ---- reading ------------------------------------------------------------------ */

static int map_path(const char *path, const void **ret_data, size_t *ret_bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	err = finf_file_map(fd, ret_data, ret_bytes);
	close(fd);
	return err;
}

static int read_npy(const char *path, struct tensor_file *file, struct finf_diag *diag)
{
	struct finf_tensor *tensor = add_tensor(file);
	const void *data;
	size_t bytes;
	int err;

	if (!tensor)
		return -ENOMEM;
	err = map_path(path, &data, &bytes);
	if (err)
		return finf_diag_set(diag, err, "%s", strerror(-err));
	err = parse_npy(data, bytes, tensor, diag);
	finf_file_unmap(data, bytes);
	return err;
}

static int read_member(zip_t *zip, zip_uint64_t index, struct tensor_file *file,
		       struct finf_diag *diag)
{
	struct finf_tensor *tensor;
	zip_file_t *member;
	zip_stat_t st;
	uint8_t *data;
	size_t len;
	int err = -EBADMSG;

	if (zip_stat_index(zip, index, 0, &st) || st.size > MEMBER_MAX)
		return finf_diag_set(diag, err, "member %" PRIu64 " is damaged or too large",
				     (uint64_t)index);
	len = strlen(st.name);
	if (len < 5 || strcmp(st.name + len - 4, ".npy"))
		return finf_diag_set(diag, err, "member %s is not a .npy array", st.name);
	tensor = add_tensor(file);
	data = malloc(FINF_MAX(st.size, (zip_uint64_t)1));
	if (!tensor || !data) {
		free(data);
		return -ENOMEM;
	}
	tensor->name = strndup(st.name, len - 4);
	member = zip_fopen_index(zip, index, 0);
	if (member && zip_fread(member, data, st.size) == (zip_int64_t)st.size)
		err = parse_npy(data, st.size, tensor, diag);
	else
		finf_diag_set(diag, err, "member %s cannot be read", st.name);
	if (member)
		zip_fclose(member);
	free(data);
	return err;
}

static int read_npz(const char *path, struct tensor_file *file, struct finf_diag *diag)
{
	int code, err = 0;
	zip_t *zip = zip_open(path, ZIP_RDONLY, &code);

	if (!zip)
		return finf_diag_set(diag, code == ZIP_ER_NOENT ? -ENOENT : -EBADMSG,
				     code == ZIP_ER_NOENT ? "no such file" : "not a .npz file");
	for (zip_int64_t i = 0; !err && i < zip_get_num_entries(zip, 0); i++)
		err = read_member(zip, (zip_uint64_t)i, file, diag);
	zip_discard(zip);
	return err;
}

static int read_folder(const char *path, struct tensor_file *file, struct finf_diag *diag)
{
	for (uint32_t k = 0;; k++) {
		struct finf_tensor *tensor;
		char name[PATH_MAX];
		const void *data;
		size_t bytes;
		int err;

		snprintf(name, sizeof(name), "%s/input_%" PRIu32 ".pb", path, k);
		err = map_path(name, &data, &bytes);
		if (err == -ENOENT && k)
			return 0;
		if (err)
			return finf_diag_set(diag, err, "input_%" PRIu32 ".pb: %s", k, strerror(-err));
		tensor = add_tensor(file);
		err = tensor ? finf_import_tensor(data, bytes, tensor, diag) : -ENOMEM;
		finf_file_unmap(data, bytes);
		if (err)
			return err;
	}
}

int tensors_read(const char *path, struct tensor_file *ret, struct finf_diag *diag)
{
	size_t len = strlen(path);
	struct stat st;
	int err;

	*ret = (struct tensor_file){0};
	if (stat(path, &st) < 0)
		return finf_diag_set(diag, -errno, "%s: %s", path, strerror(errno));
	if (S_ISDIR(st.st_mode))
		err = read_folder(path, ret, diag);
	else if (len > 4 && !strcmp(path + len - 4, ".npy"))
		err = read_npy(path, ret, diag);
	else
		err = read_npz(path, ret, diag);
	if (err) {
		tensors_free(ret);
		finf_diag_prefix(diag, "%s", path);
	}
	return err;
}

/* ---- writing --------------------------------------------------------------------- */

/* Magic, version 1.0, and a header padded so that data starts on 64 bytes. */
static int npy_bytes(const struct finf_tensor *tensor, struct finf_buf *buf)
{
	struct finf_buf header;
	const char *descr = NULL;
	size_t pad;

	for (size_t i = 0; i < FINF_ARRAY_LEN(npy_dtypes); i++)
		if (npy_dtypes[i].dtype == tensor->dtype)
			descr = npy_dtypes[i].descr;
	if (!descr)
		return -EOPNOTSUPP;
	finf_buf_init(&header);
	finf_buf_printf(&header, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
	for (uint32_t i = 0; i < tensor->shape.rank; i++)
		finf_buf_printf(&header, "%" PRId64 ",%s", tensor->shape.dim[i],
				i + 1 < tensor->shape.rank ? " " : "");
	finf_buf_printf(&header, "), }");
	pad = (size_t)finf_align_up(10 + header.len + 1, 64) - 10 - header.len - 1;
	finf_buf_printf(&header, "%*s\n", (int)pad, "");
	finf_buf_put(buf, NPY_MAGIC "\x01", 8); /* the terminating NUL is the minor version */
	finf_buf_u8(buf, (uint8_t)header.len);
	finf_buf_u8(buf, (uint8_t)(header.len >> 8));
	finf_buf_put(buf, header.data, header.len);
	finf_buf_put(buf, tensor->data, tensor->bytes);
	if (header.err)
		buf->err = header.err;
	finf_buf_fini(&header);
	return buf->err;
}

static int write_npy(const char *path, const struct finf_tensor *tensor)
{
	struct finf_buf buf;
	int fd, err;

	finf_buf_init(&buf);
	err = npy_bytes(tensor, &buf);
	fd = err ? -1 : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (!err && fd < 0)
		err = -errno;
	if (!err)
		err = finf_write_full(fd, buf.data, buf.len);
	if (fd >= 0 && close(fd) < 0 && !err)
		err = -errno;
	finf_buf_fini(&buf);
	return err;
}

static int add_member(zip_t *zip, const struct finf_tensor *tensor)
{
	char name[600];
	zip_source_t *source;
	struct finf_buf buf;
	int err;

	finf_buf_init(&buf);
	err = npy_bytes(tensor, &buf);
	if (err) {
		finf_buf_fini(&buf);
		return err;
	}
	snprintf(name, sizeof(name), "%.500s.npy", tensor->name);
	source = zip_source_buffer(zip, buf.data, buf.len, 1); /* takes the bytes */
	if (!source) {
		finf_buf_fini(&buf);
		return -ENOMEM;
	}
	if (zip_file_add(zip, name, source, ZIP_FL_OVERWRITE | ZIP_FL_ENC_UTF_8) < 0) {
		zip_source_free(source);
		return -EIO;
	}
	return 0;
}

static int write_npz(const char *path, const struct finf_tensor *tensors, uint32_t n)
{
	int code, err = 0;
	zip_t *zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, &code);

	if (!zip)
		return errno ? -errno : -EIO;
	for (uint32_t i = 0; !err && i < n; i++)
		err = add_member(zip, &tensors[i]);
	if (err) {
		zip_discard(zip);
		return err;
	}
	if (zip_close(zip) < 0) {
		zip_discard(zip);
		return errno ? -errno : -EIO;
	}
	return 0;
}

int tensors_write(const char *path, const struct finf_tensor *tensors, uint32_t n,
		  struct finf_diag *diag)
{
	size_t len = strlen(path);
	bool npy = len > 4 && !strcmp(path + len - 4, ".npy");
	int err;

	if (npy && n != 1)
		return finf_diag_set(diag, -EINVAL, "%s: a .npy file holds one tensor, there are %" PRIu32
				     " (use .npz)", path, n);
	err = npy ? write_npy(path, tensors) : write_npz(path, tensors, n);
	return err ? finf_diag_set(diag, err, "%s: %s", path, strerror(-err)) : 0;
}

/* ---- made up -------------------------------------------------------------- */

/* splitmix64 (Steele, Lea, Flood 2014): the same made-up input everywhere. */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static void store_float(struct finf_tensor *tensor, size_t at, float x)
{
	if (tensor->dtype == FINF_F16)
		((uint16_t *)tensor->data)[at] = finf_half_bits(x);
	else if (tensor->dtype == FINF_BF16)
		((uint16_t *)tensor->data)[at] = finf_brain_bits(x);
	else
		((float *)tensor->data)[at] = x;
}

/* Uniform in [-1, 1) for float32 and less; zeros for everything else. */
static int make_up(const struct finf_port *port, uint64_t batch, uint64_t *seed,
		   struct finf_tensor *tensor)
{
	tensor->name = strdup(port->name);
	tensor->dtype = port->dtype;
	tensor->shape = port->shape;
	for (uint32_t d = 0; d < tensor->shape.rank; d++)
		if (tensor->shape.dim[d] == FINF_DIM_ANY)
			tensor->shape.dim[d] = (int64_t)batch;
	if (finf_tensor_bytes(tensor->dtype, &tensor->shape, &tensor->bytes))
		return -EINVAL;
	tensor->data = calloc(1, FINF_MAX(tensor->bytes, (size_t)1));
	if (!tensor->name || !tensor->data)
		return -ENOMEM;
	if (tensor->dtype == FINF_F32 || finf_dtype_is_half(tensor->dtype))
		for (size_t k = 0; k < tensor->bytes / finf_dtype_bytes(tensor->dtype); k++)
			store_float(tensor, k,
				    (float)(next_random(seed) >> 40) / (float)(1 << 23) - 1.0f);
	return 0;
}

int tensors_make_up(const struct finf_port *ports, uint32_t n, uint64_t batch,
		    struct tensor_file *ret)
{
	struct tensor_file made = {.tensors = calloc(FINF_MAX(n, 1u), sizeof(*made.tensors)),
				   .n = n};
	uint64_t seed = 0;
	int err = made.tensors ? 0 : -ENOMEM;

	for (uint32_t i = 0; !err && i < n; i++)
		err = make_up(&ports[i], batch, &seed, &made.tensors[i]);
	if (err)
		tensors_free(&made);
	else
		*ret = made;
	return err;
}
