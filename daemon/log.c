/* SPDX-License-Identifier: MIT */
/* daemon/log: see log.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/log.h"

static enum fid_log_level max_level = FID_INFO;

void fid_log_level(enum fid_log_level level)
{
	max_level = level;
}

void fid_log(enum fid_log_level level, const char *fmt, ...)
{
	char line[1024];
	va_list args;
	int at = 0, n;

	if (level > max_level)
		return;
	if (getenv("JOURNAL_STREAM"))
		at = snprintf(line, sizeof(line), "<%d>", (int)level);
	at += snprintf(line + at, sizeof(line) - (size_t)at, "fid: ");
	va_start(args, fmt);
	n = vsnprintf(line + at, sizeof(line) - (size_t)at - 1, fmt, args);
	va_end(args);
	if (n < 0)
		return;
	at = at + n < (int)sizeof(line) - 1 ? at + n : (int)sizeof(line) - 2;
	for (int i = 0; i < at; i++)
		if ((unsigned char)line[i] < 0x20)
			line[i] = '?'; /* names are foreign */
	line[at++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)at) < 0)
		return; /* nowhere left to say it */
}
