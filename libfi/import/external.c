/* SPDX-License-Identifier: MIT */
/*
 * import: tensors whose bytes lie in another file. The file is named by a
 * foreign model: it must lie in the model's folder or below it, reached
 * without symbolic links, and be large enough before anything is allocated.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "import/internal.h"

struct external {
	const char *location;
	uint64_t offset;
	uint64_t length; /* UINT64_MAX = not said */
};

static bool parse_number(const char *text, uint64_t *ret)
{
	uint64_t n = 0;

	if (!*text)
		return false;
	for (; *text; text++)
		if (*text < '0' || *text > '9' || __builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*text - '0'), &n))
			return false;
	*ret = n;
	return true;
}

static int parse(const Onnx__TensorProto *proto, struct external *ret)
{
	struct external e = {.length = UINT64_MAX};

	for (size_t i = 0; i < proto->n_external_data; i++) {
		const char *key = proto->external_data[i]->key;
		const char *value = proto->external_data[i]->value;

		if (!key || !value)
			return -EINVAL;
		if (!strcmp(key, "location"))
			e.location = value;
		else if (!strcmp(key, "offset") && !parse_number(value, &e.offset))
			return -EINVAL;
		else if (!strcmp(key, "length") && !parse_number(value, &e.length))
			return -EINVAL;
	}
	*ret = e;
	return e.location ? 0 : -EINVAL;
}

/* Relative, every step a name. */
static bool stays_below(const char *location)
{
	size_t len;

	if (strnlen(location, IMPORT_NAME_MAX + 1) > IMPORT_NAME_MAX)
		return false;
	for (const char *at = location;; at += len + 1) {
		len = strcspn(at, "/");
		if (!len || (len == 2 && !memcmp(at, "..", 2)))
			return false;
		if (!at[len])
			return true;
	}
}

/* One folder after the other, so that no link on the way is followed. */
static int open_below(int dir, const char *location)
{
	char name[IMPORT_NAME_MAX + 1];
	int at = dir, fd, err;

	for (;;) {
		size_t len = strcspn(location, "/");
		bool last = !location[len];

		memcpy(name, location, len);
		name[len] = 0;
		fd = openat(at, name,
			    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK |
				    (last ? 0 : O_DIRECTORY));
		err = fd < 0 ? -errno : 0;
		if (at != dir)
			close(at);
		if (err || last)
			return err ? err : fd;
		at = fd;
		location += len + 1;
	}
}

static int read_range(int fd, const struct external *e, struct finf_arena *arena,
		      struct finf_tensor *tensor)
{
	struct stat st;
	uint64_t end;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) || __builtin_add_overflow(e->offset, tensor->bytes, &end) ||
	    end > (uint64_t)st.st_size)
		return -EINVAL;
	tensor->data = finf_arena_alloc(arena, tensor->bytes);
	if (!tensor->data)
		return -ENOMEM;
	return finf_pread_full(fd, tensor->data, tensor->bytes, e->offset);
}

int import_external(const Onnx__TensorProto *proto, const char *name, int dir,
		    struct finf_arena *arena, struct finf_tensor *tensor, struct finf_diag *diag)
{
	struct external e;
	int fd, err;

	if (parse(proto, &e))
		return finf_diag_set(
			diag, -EINVAL,
			"tensor '" IMPORT_NAME_SHOWN "': its external data is not described", name);
	if (!stays_below(e.location))
		return finf_diag_set(diag, -EINVAL,
				     "tensor '" IMPORT_NAME_SHOWN
				     "': external data '%.200s' is not below the model's folder",
				     name, e.location);
	if (e.length != UINT64_MAX && e.length != tensor->bytes)
		return finf_diag_set(diag, -EINVAL,
				     "tensor '" IMPORT_NAME_SHOWN "': %" PRIu64
				     " bytes of external data, its dims say %zu",
				     name, e.length, tensor->bytes);
	if (dir < 0)
		return finf_diag_set(diag, -EOPNOTSUPP,
				     "tensor '" IMPORT_NAME_SHOWN
				     "': external data needs a model that is a file",
				     name);
	fd = open_below(dir, e.location);
	err = fd < 0 ? fd : read_range(fd, &e, arena, tensor);
	if (fd >= 0)
		close(fd);
	if (err)
		return finf_diag_set(diag, err,
				     "tensor '" IMPORT_NAME_SHOWN "': external data '%.200s': %s",
				     name, e.location,
				     err == -EINVAL ? "no file, or too short" : strerror(-err));
	return 0;
}
