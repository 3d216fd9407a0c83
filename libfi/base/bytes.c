/* SPDX-License-Identifier: MIT */
/* base: little-endian byte writer and bounded reader, hashing. */
#include <endian.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/base.h"

void finf_buf_init(struct finf_buf *buf)
{
	*buf = (struct finf_buf){0};
}

void finf_buf_fini(struct finf_buf *buf)
{
	free(buf->data);
	finf_buf_init(buf);
}

static uint8_t *buf_room(struct finf_buf *buf, size_t bytes)
{
	size_t want, cap;
	uint8_t *grown;

	if (buf->err)
		return NULL;
	if (!finf_add_size(buf->len, bytes, &want) || want > SIZE_MAX / 4) {
		buf->err = -ENOMEM;
		return NULL;
	}
	if (want > buf->cap) {
		cap = FINF_MAX(want, FINF_MAX(buf->cap * 2, (size_t)256));
		grown = realloc(buf->data, cap);
		if (!grown) {
			buf->err = -ENOMEM;
			return NULL;
		}
		buf->data = grown;
		buf->cap = cap;
	}
	buf->len = want;
	return buf->data + want - bytes;
}

void finf_buf_put(struct finf_buf *buf, const void *data, size_t bytes)
{
	uint8_t *at = buf_room(buf, bytes);

	if (at && bytes)
		memcpy(at, data, bytes);
}

void finf_buf_u8(struct finf_buf *buf, uint8_t v)
{
	finf_buf_put(buf, &v, sizeof(v));
}

void finf_buf_u32(struct finf_buf *buf, uint32_t v)
{
	v = htole32(v);
	finf_buf_put(buf, &v, sizeof(v));
}

void finf_buf_u64(struct finf_buf *buf, uint64_t v)
{
	v = htole64(v);
	finf_buf_put(buf, &v, sizeof(v));
}

void finf_buf_f32(struct finf_buf *buf, float v)
{
	uint32_t bits;

	memcpy(&bits, &v, sizeof(bits));
	finf_buf_u32(buf, bits);
}

void finf_buf_str(struct finf_buf *buf, const char *text)
{
	size_t len = strlen(text);

	if (len > UINT32_MAX) {
		buf->err = buf->err ? buf->err : -EOVERFLOW;
		return;
	}
	finf_buf_u32(buf, (uint32_t)len);
	finf_buf_put(buf, text, len);
}

void finf_buf_printf(struct finf_buf *buf, const char *fmt, ...)
{
	va_list args;
	int len;
	char *at;

	va_start(args, fmt);
	len = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	at = len < 0 ? NULL : (char *)buf_room(buf, (size_t)len + 1);
	if (!at)
		return;
	va_start(args, fmt);
	vsnprintf(at, (size_t)len + 1, fmt, args);
	va_end(args);
	buf->len--; /* the NUL is there but not counted */
}

void finf_reader_init(struct finf_reader *r, const void *data, size_t len)
{
	*r = (struct finf_reader){.data = data, .len = len};
}

const void *finf_reader_bytes(struct finf_reader *r, size_t bytes)
{
	const uint8_t *at = r->data + r->at;

	if (r->err)
		return NULL;
	if (bytes > r->len - r->at) {
		r->err = -EBADMSG;
		return NULL;
	}
	r->at += bytes;
	return at;
}

uint8_t finf_reader_u8(struct finf_reader *r)
{
	const uint8_t *at = finf_reader_bytes(r, 1);

	return at ? *at : 0;
}

uint32_t finf_reader_u32(struct finf_reader *r)
{
	const void *at = finf_reader_bytes(r, sizeof(uint32_t));
	uint32_t v = 0;

	if (at)
		memcpy(&v, at, sizeof(v));
	return le32toh(v);
}

uint64_t finf_reader_u64(struct finf_reader *r)
{
	const void *at = finf_reader_bytes(r, sizeof(uint64_t));
	uint64_t v = 0;

	if (at)
		memcpy(&v, at, sizeof(v));
	return le64toh(v);
}

float finf_reader_f32(struct finf_reader *r)
{
	uint32_t bits = finf_reader_u32(r);
	float v;

	memcpy(&v, &bits, sizeof(v));
	return v;
}

char *finf_reader_str(struct finf_reader *r, struct finf_arena *arena)
{
	uint32_t len = finf_reader_u32(r);
	const char *at = finf_reader_bytes(r, len);
	char *text;

	if (!at)
		return NULL;
	if (memchr(at, 0, len)) {
		r->err = -EBADMSG;
		return NULL;
	}
	text = finf_arena_strn(arena, at, len);
	if (!text)
		r->err = -ENOMEM;
	return text;
}

uint32_t finf_reader_count(struct finf_reader *r, size_t each_bytes)
{
	uint32_t n = finf_reader_u32(r);

	if (r->err)
		return 0;
	if (n > (r->len - r->at) / FINF_MAX(each_bytes, (size_t)1)) {
		r->err = -EBADMSG;
		return 0;
	}
	return n;
}

uint64_t finf_hash64(const void *data, size_t bytes)
{
	return XXH3_64bits(data, bytes);
}
