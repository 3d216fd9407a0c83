/* SPDX-License-Identifier: MIT */
/* base: whole reads and writes, read-only mappings. */
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"

/* A count of bytes moved, 0 at end of file, or -errno; EINTR is not an answer. */
static ssize_t checked(ssize_t n)
{
	return n < 0 ? -errno : n;
}

int finf_read_full(int fd, void *data, size_t bytes)
{
	uint8_t *at = data;

	while (bytes) {
		ssize_t n = checked(read(fd, at, bytes));

		if (n == -EINTR)
			continue;
		if (n <= 0)
			return n ? (int)n : -EIO;
		at += n;
		bytes -= (size_t)n;
	}
	return 0;
}

int finf_pread_full(int fd, void *data, size_t bytes, uint64_t offset)
{
	uint8_t *at = data;

	while (bytes) {
		ssize_t n = checked(pread(fd, at, bytes, (off_t)offset));

		if (n == -EINTR)
			continue;
		if (n <= 0)
			return n ? (int)n : -EIO;
		at += n;
		offset += (uint64_t)n;
		bytes -= (size_t)n;
	}
	return 0;
}

int finf_write_full(int fd, const void *data, size_t bytes)
{
	const uint8_t *at = data;

	while (bytes) {
		ssize_t n = checked(write(fd, at, bytes));

		if (n == -EINTR)
			continue;
		if (n <= 0)
			return n ? (int)n : -EIO;
		at += n;
		bytes -= (size_t)n;
	}
	return 0;
}

int finf_pwrite_full(int fd, const void *data, size_t bytes, uint64_t offset)
{
	const uint8_t *at = data;

	while (bytes) {
		ssize_t n = checked(pwrite(fd, at, bytes, (off_t)offset));

		if (n == -EINTR)
			continue;
		if (n <= 0)
			return n ? (int)n : -EIO;
		at += n;
		offset += (uint64_t)n;
		bytes -= (size_t)n;
	}
	return 0;
}

int finf_file_map(int fd, const void **ret_data, size_t *ret_bytes)
{
	struct stat st;
	void *data = NULL;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size) {
		data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (data == MAP_FAILED)
			return -errno;
	}
	*ret_data = data;
	*ret_bytes = (size_t)st.st_size;
	return 0;
}

void finf_file_unmap(const void *data, size_t bytes)
{
	if (data)
		munmap((void *)(uintptr_t)data, bytes);
}
