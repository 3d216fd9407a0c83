/* SPDX-License-Identifier: MIT */
/* base: names and sizes as people write them. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

#define NAME_MAX_LEN 128

static bool name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool finf_name_ok(const char *text, uint32_t *ret_version, size_t *ret_len)
{
	size_t len = 0;
	uint32_t version = 0;

	if (!name_char(text[0]))
		return false;
	while (name_char(text[len]) || (text[len] && strchr("._-", text[len])))
		len++;
	if (len > NAME_MAX_LEN)
		return false;
	if (text[len] == ':') {
		const char *digit = text + len + 1;

		if (*digit < '1' || *digit > '9')
			return false;
		for (; *digit >= '0' && *digit <= '9'; digit++)
			if (__builtin_mul_overflow(version, 10u, &version) ||
			    __builtin_add_overflow(version, (uint32_t)(*digit - '0'), &version))
				return false;
		if (*digit)
			return false;
	} else if (text[len]) {
		return false;
	}
	if (ret_version)
		*ret_version = version;
	if (ret_len)
		*ret_len = len;
	return true;
}

bool finf_target_ok(const char *text, size_t *ret_len)
{
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	char name[NAME_MAX_LEN + 12]; /* a version has ten digits */
	uint32_t version;

	if (len >= sizeof(name))
		return false;
	memcpy(name, text, len);
	name[len] = 0;
	if (!finf_name_ok(name, NULL, NULL) ||
	    (slash && (!finf_name_ok(slash + 1, &version, NULL) || version)))
		return false;
	if (ret_len)
		*ret_len = len;
	return true;
}

int finf_size_parse(const char *text, uint64_t of_bytes, uint64_t *ret_bytes)
{
	double unit = 1, value;
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	value = strtod(text, &end);
	switch (*end) {
	case 'K': case 'k': unit = 1024.0; end++; break;
	case 'M': case 'm': unit = 1024.0 * 1024; end++; break;
	case 'G': case 'g': unit = 1024.0 * 1024 * 1024; end++; break;
	case 'T': case 't': unit = 1024.0 * 1024 * 1024 * 1024; end++; break;
	case '%': unit = (double)of_bytes / 100; end++; break;
	default: break;
	}
	if (*end || strpbrk(text, "xXpPnN"))
		return -EINVAL;
	value *= unit;
	if (!isfinite(value) || value >= 9e18)
		return -ERANGE;
	*ret_bytes = (uint64_t)value;
	return 0;
}
