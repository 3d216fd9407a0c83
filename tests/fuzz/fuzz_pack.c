/* SPDX-License-Identifier: MIT */
/*
 * fuzz: bytes -> a pack opened, verified and read. Each input runs as it is,
 * and once more with its checksums made right, as whoever writes a hostile
 * file would: otherwise nothing behind the checksums would ever be reached.
 */
#include <endian.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pack/pack.h"
#include "tests/fuzz/sample.h"

#define HEADER_KEY "\"fi.header_xxh3\":\""
#define META_KEY "\"fi.meta_xxh3\":\""

/* The 16 digits after a key of the header; NULL when it is not there whole. */
static inline char *hash_field(char *json, size_t bytes, const char *key)
{
	char *field = memmem(json, bytes, key, strlen(key));

	if (!field || (size_t)(json + bytes - field) < strlen(key) + 16)
		return NULL;
	return field + strlen(key);
}

static inline void put_hash(char *field, uint64_t hash)
{
	char digits[17];

	snprintf(digits, sizeof(digits), "%016llx", (unsigned long long)hash);
	memcpy(field, digits, 16);
}

/**
 * fix_checksums - of graph and plan, then of the header.
 * @param front_bytes  that graph and plan take, in whole pages
 */
static inline void fix_checksums(uint8_t *file, size_t size, size_t front_bytes)
{
	uint64_t length;
	char *json = (char *)file + 8, *field;

	if (size < 8)
		return;
	memcpy(&length, file, 8);
	length = le64toh(length);
	if (length > size - 8)
		return;
	field = hash_field(json, length, META_KEY);
	if (field && size - 8 - length >= front_bytes)
		put_hash(field, finf_hash64(json + length, front_bytes));
	field = hash_field(json, length, HEADER_KEY);
	if (!field)
		return;
	memset(field, '0', 16);
	put_hash(field, finf_hash64(json, length));
}

static inline int file_of(const void *data, size_t size)
{
	int fd = memfd_create("pack", MFD_CLOEXEC);

	FUZZ_ASSERT(fd >= 0 && !finf_pwrite_full(fd, data, size, 0));
	return fd;
}

static inline void try_pack(const uint8_t *data, size_t size)
{
	int fd = file_of(data, size);
	struct finf_diag diag = {""};
	struct finf_pack *pack;
	uint8_t byte;

	if (finf_pack_open(fd, "fuzz", &pack, &diag)) {
		FUZZ_ASSERT(diag.text[0]);
	} else {
		finf_pack_verify(pack, &diag);
		for (uint32_t i = 0; i < pack->n_weights; i++)
			if (pack->weights[i].bytes)
				FUZZ_ASSERT(!finf_pack_read_weight(pack, pack->weights[i].name,
								   pack->weights[i].bytes - 1, &byte, 1));
		finf_pack_close(pack);
	}
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t whole = finf_align_up(size, FINF_SEGMENT_ALIGN);
	uint8_t *fixed = calloc(1, whole + 1);

	FUZZ_ASSERT(fixed);
	try_pack(data, size);
	memcpy(fixed, data, size);
	fix_checksums(fixed, whole, FINF_SEGMENT_ALIGN);
	try_pack(fixed, whole);
	free(fixed);
	return 0;
}
