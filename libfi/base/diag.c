/* SPDX-License-Identifier: MIT */
/* base: diagnosis texts, the log callback, the clock, checked arithmetic. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <fusedinf/version.h>

#include "base/base.h"

static struct {
	finf_log_fn fn;
	void *ctx;
} log_sink;

/* Names come from foreign files: they must not drive the reader's terminal. */
static void clean_text(char *text)
{
	for (unsigned char *c = (unsigned char *)text; *c; c++)
		if (*c < 0x20 || *c == 0x7f)
			*c = '?';
}

int finf_diag_set(struct finf_diag *diag, int err, const char *fmt, ...)
{
	va_list args;

	if (!diag)
		return err;
	va_start(args, fmt);
	vsnprintf(diag->text, sizeof(diag->text), fmt, args);
	va_end(args);
	clean_text(diag->text);
	return err;
}

void finf_diag_prefix(struct finf_diag *diag, const char *fmt, ...)
{
	char old[sizeof(diag->text)];
	va_list args;
	size_t len;

	if (!diag)
		return;
	memcpy(old, diag->text, sizeof(old));
	va_start(args, fmt);
	vsnprintf(diag->text, sizeof(diag->text), fmt, args);
	va_end(args);
	len = strlen(diag->text);
	snprintf(diag->text + len, sizeof(diag->text) - len, ": %s", old);
	clean_text(diag->text);
}

void finf_set_log(finf_log_fn fn, void *ctx)
{
	log_sink.fn = fn;
	log_sink.ctx = ctx;
}

void finf_log(const char *fmt, ...)
{
	char line[512];
	va_list args;

	if (!log_sink.fn)
		return;
	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	clean_text(line);
	log_sink.fn(log_sink.ctx, line);
}

uint64_t finf_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

bool finf_mul_size(size_t a, size_t b, size_t *ret)
{
	size_t product;

	if (__builtin_mul_overflow(a, b, &product))
		return false;
	*ret = product;
	return true;
}

bool finf_add_size(size_t a, size_t b, size_t *ret)
{
	size_t sum;

	if (__builtin_add_overflow(a, b, &sum))
		return false;
	*ret = sum;
	return true;
}

const char *finf_version(void)
{
	return FUSEDINF_VERSION;
}
