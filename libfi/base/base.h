/* SPDX-License-Identifier: MIT */
/*
 * base - errors, diagnostics, clocks, checked arithmetic, arena, byte buffers,
 * string map and file helpers that every room uses.
 * Must not know: graphs, devices, files of ours, or any other room.
 */
#ifndef FINF_BASE_H
#define FINF_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <fusedinf/types.h>

#define FINF_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define FINF_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define FINF_MIN(a, b) ((a) < (b) ? (a) : (b))
#define FINF_MAX(a, b) ((a) > (b) ? (a) : (b))

/* ---- diagnosis and log ------------------------------------------------ */

/**
 * finf_diag_set - say what was refused, where and why; returns @err.
 * @param diag  may be NULL; the text is cut at its capacity, control
 *              characters of foreign names are replaced by '?'
 * @param err   negative errno, handed back so that a parser can write
 *              `return finf_diag_set(diag, -EINVAL, "...")`
 */
int finf_diag_set(struct finf_diag *diag, int err, const char *fmt, ...) FINF_PRINTF(3, 4);

/** finf_diag_prefix - put "where: " before the text that is there. */
void finf_diag_prefix(struct finf_diag *diag, const char *fmt, ...) FINF_PRINTF(2, 3);

/** finf_log - one debug line to the callback of finf_set_log(). Thread-safe. */
void finf_log(const char *fmt, ...) FINF_PRINTF(1, 2);

/* ---- time ------------------------------------------------------------- */

uint64_t finf_now_ns(void); /* CLOCK_MONOTONIC */

/* ---- arithmetic ------------------------------------------------------- */

static inline uint64_t finf_align_up(uint64_t value, uint64_t align)
{
	return (value + align - 1) / align * align;
}

/** finf_mul_size, finf_add_size - false (and *ret untouched) on overflow. */
bool finf_mul_size(size_t a, size_t b, size_t *ret);
bool finf_add_size(size_t a, size_t b, size_t *ret);

/* ---- dtypes and shapes ----------------------------------------------------------- */

/* Numbers of 16 bits: at the edges of a model only. */
static inline bool finf_dtype_is_half(enum finf_dtype dtype)
{
	return dtype == FINF_F16 || dtype == FINF_BF16;
}

static inline bool finf_dtype_is_float(enum finf_dtype dtype)
{
	return dtype == FINF_F32 || dtype == FINF_F64 || finf_dtype_is_half(dtype);
}

bool finf_shape_equal(const struct finf_shape *a, const struct finf_shape *b);
bool finf_shape_is_static(const struct finf_shape *shape); /* no FINF_DIM_ANY */
/** finf_shape_text - "1x3x224x224", '?' for any; "scalar" for rank 0. Returns @buf. */
const char *finf_shape_text(const struct finf_shape *shape, char *buf, size_t len);

/**
 * finf_name_ok - is this a model name, "NAME" or "NAME:VERSION"?
 * NAME is [A-Za-z0-9][A-Za-z0-9._-]{0,127}, VERSION a decimal >= 1 without sign or zeros in front.
 * @param ret_version  0 when absent; may be NULL
 * @param ret_len      length of NAME; may be NULL
 */
bool finf_name_ok(const char *text, uint32_t *ret_version, size_t *ret_len);

/**
 * finf_target_ok - may a request be for this: a model's name, or "NAME[:VERSION]/MEMBER"?
 * @param ret_len  length of what finf_name_ok() takes; may be NULL
 */
bool finf_target_ok(const char *text, size_t *ret_len);

/**
 * finf_size_parse - "512", "64K", "1.5G", "45%" -> bytes.
 * @param of_bytes  what % refers to
 * Return: 0, -EINVAL when malformed, -ERANGE when it does not fit.
 */
int finf_size_parse(const char *text, uint64_t of_bytes, uint64_t *ret_bytes);

/* ---- arena: many small allocations, one free -------------------------- */

struct finf_arena {
	struct finf_arena_block *head; /* owned */
	size_t total_bytes;
};

void finf_arena_init(struct finf_arena *arena);
void finf_arena_fini(struct finf_arena *arena);
size_t finf_arena_bytes(const struct finf_arena *arena); /* of memory that it holds */
/** All return NULL when out of memory; memory is zeroed and 16-byte aligned. */
void *finf_arena_alloc(struct finf_arena *arena, size_t bytes);
void *finf_arena_array(struct finf_arena *arena, size_t n, size_t each_bytes);
void *finf_arena_dup(struct finf_arena *arena, const void *data, size_t bytes);
char *finf_arena_str(struct finf_arena *arena, const char *text);
char *finf_arena_strn(struct finf_arena *arena, const char *text, size_t len);
char *finf_arena_printf(struct finf_arena *arena, const char *fmt, ...) FINF_PRINTF(2, 3);

/* ---- growable arrays -------------------------------------------------- */

/**
 * finf_grow - room for one more element in a heap array.
 * @param array  address of the array pointer (owned by the caller, free())
 * @param cap    its capacity in elements, doubled as needed
 * @param len    elements in use
 * Return: 0 or -ENOMEM (array unchanged).
 */
int finf_grow(void *array, uint32_t *cap, uint32_t len, size_t each_bytes);

/* ---- string -> number map --------------------------------------------- */

struct finf_map {
	struct finf_map_slot *slots; /* owned */
	uint32_t cap, len;
};

void finf_map_init(struct finf_map *map);
void finf_map_fini(struct finf_map *map);
/** @key is borrowed until fini. Return: 0, -EEXIST (unchanged), -ENOMEM. */
int finf_map_put(struct finf_map *map, const char *key, uint32_t value);
bool finf_map_find(const struct finf_map *map, const char *key, uint32_t *ret);

/* ---- bytes: little-endian writer and bounded reader -------------------- */

struct finf_buf {
	uint8_t *data; /* owned */
	size_t len, cap;
	int err; /* first error, sticky: check once at the end */
};

void finf_buf_init(struct finf_buf *buf);
void finf_buf_fini(struct finf_buf *buf);
void finf_buf_put(struct finf_buf *buf, const void *data, size_t bytes);
void finf_buf_u8(struct finf_buf *buf, uint8_t v);
void finf_buf_u32(struct finf_buf *buf, uint32_t v);
void finf_buf_u64(struct finf_buf *buf, uint64_t v);
void finf_buf_f32(struct finf_buf *buf, float v);
void finf_buf_str(struct finf_buf *buf, const char *text); /* u32 length, bytes, no NUL */
void finf_buf_printf(struct finf_buf *buf, const char *fmt, ...) FINF_PRINTF(2, 3);

struct finf_reader {
	const uint8_t *data; /* borrowed */
	size_t len, at;
	int err; /* sticky -EBADMSG once something did not fit */
};

void finf_reader_init(struct finf_reader *r, const void *data, size_t len);
uint8_t finf_reader_u8(struct finf_reader *r);
uint32_t finf_reader_u32(struct finf_reader *r);
uint64_t finf_reader_u64(struct finf_reader *r);
float finf_reader_f32(struct finf_reader *r);
const void *finf_reader_bytes(struct finf_reader *r, size_t bytes); /* borrowed, NULL on error */
/** A string copied into @arena; NULL on error; embedded NUL is an error. */
char *finf_reader_str(struct finf_reader *r, struct finf_arena *arena);
/** A count for elements of at least @each_bytes: refuses more than can be left. */
uint32_t finf_reader_count(struct finf_reader *r, size_t each_bytes);

uint64_t finf_hash64(const void *data, size_t bytes); /* XXH3, seed 0 */

/* ---- files ------------------------------------------------------------ */

/** Whole transfers, EINTR retried. Return: 0, -EIO on early end, -errno. */
int finf_read_full(int fd, void *data, size_t bytes);
int finf_pread_full(int fd, void *data, size_t bytes, uint64_t offset);
int finf_write_full(int fd, const void *data, size_t bytes);
int finf_pwrite_full(int fd, const void *data, size_t bytes, uint64_t offset);

/**
 * finf_file_map - read-only mapping of a whole regular file.
 * @param ret_data  unmap with finf_file_unmap(); NULL and 0 for an empty file
 * Return: 0, -EINVAL not a regular file, -errno.
 */
int finf_file_map(int fd, const void **ret_data, size_t *ret_bytes);
void finf_file_unmap(const void *data, size_t bytes);

#endif
