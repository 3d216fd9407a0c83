/* SPDX-License-Identifier: MIT */
/* What the pack tests share: the sample written as packs, files as bytes. */
#ifndef FI_TESTS_PACKS_H
#define FI_TESTS_PACKS_H

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz_pack.c"
#include "tests/support/support.h"

/* Bytes of a tuned weight in these tests: a function of where they are. */
static inline uint8_t tuned_byte(uint32_t weight, uint64_t at)
{
	return (uint8_t)(weight * 31 + at * 7 + (at >> 8) * 13);
}

static inline int tuned_read(void *ctx, uint32_t weight, uint64_t offset, void *to, uint64_t bytes,
			     struct finf_diag *diag)
{
	(void)ctx, (void)diag;
	for (uint64_t i = 0; i < bytes; i++)
		((uint8_t *)to)[i] = tuned_byte(weight, offset + i);
	return 0;
}

static const struct finf_pack_source tuned_source = {.read = tuned_read};

static inline int write_sample_portable(int dirfd, const char *name)
{
	struct finf_graph *graph = sample_graph();
	struct finf_diag diag = {""};
	int err = finf_pack_write_portable(dirfd, name, graph, &diag);

	if (err)
		fprintf(stderr, "%s\n", diag.text);
	finf_graph_free(graph);
	return err;
}

static inline int write_sample_tuned(int dirfd, const char *name)
{
	struct finf_graph *graph = sample_graph();
	struct finf_plan *plan = sample_plan(graph);
	struct finf_diag diag = {""};
	int err = finf_pack_write_tuned(dirfd, name, graph, plan, SAMPLE_TARGET, 0x123456789abcdef0,
					&tuned_source, &diag);

	if (err)
		fprintf(stderr, "%s\n", diag.text);
	finf_plan_free(plan);
	finf_graph_free(graph);
	return err;
}

static inline int scratch_fd(void)
{
	int fd = open(scratch_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	return fd;
}

/* A whole file in memory of exactly its size. */
static inline uint8_t *load_file(int dirfd, const char *name, size_t *ret_size)
{
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
	struct stat st;
	uint8_t *data;

	ck_assert_msg(fd >= 0, "%s: %s", name, strerror(errno));
	ck_assert_int_eq(fstat(fd, &st), 0);
	data = malloc((size_t)st.st_size + 1);
	ck_assert_int_eq(finf_pread_full(fd, data, (size_t)st.st_size, 0), 0);
	close(fd);
	*ret_size = (size_t)st.st_size;
	return data;
}

/* The sample as the bytes of a pack. */
static inline uint8_t *sample_bytes(bool tuned, size_t *ret_size)
{
	int dir = scratch_fd();
	uint8_t *data;

	ck_assert_int_eq(tuned ? write_sample_tuned(dir, "sample.fim")
			       : write_sample_portable(dir, "sample.fim"), 0);
	data = load_file(dir, "sample.fim", ret_size);
	close(dir);
	return data;
}

static inline int open_bytes(const void *data, size_t size, struct finf_pack **ret_pack,
			     struct finf_diag *diag)
{
	int fd = file_of(data, size), err = finf_pack_open(fd, "some.fim", ret_pack, diag);

	close(fd);
	return err;
}

static inline uint32_t count_files(int dirfd)
{
	DIR *dir = fdopendir(openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct dirent *entry;
	uint32_t n = 0;

	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir)))
		n += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
	closedir(dir);
	return n;
}

#endif
