/* SPDX-License-Identifier: MIT */
/* pack: names, dtypes and numbers as they are spelt in the file. */
#include <jansson.h>
#include <string.h>

#include "pack/internal.h"

static const struct {
	enum finf_dtype dtype;
	const char *name;
} dtypes[] = {
	{FINF_F32, "F32"}, {FINF_U8, "U8"},   {FINF_I8, "I8"},
	{FINF_I32, "I32"}, {FINF_I64, "I64"}, {FINF_BOOL, "BOOL"},
	{FINF_F64, "F64"}, {FINF_F16, "F16"}, {FINF_BF16, "BF16"},
};

const char *finf_pack_dtype_name(enum finf_dtype dtype)
{
	for (size_t i = 0; i < FINF_ARRAY_LEN(dtypes); i++)
		if (dtypes[i].dtype == dtype)
			return dtypes[i].name;
	return NULL;
}

enum finf_dtype finf_pack_dtype_find(const char *name)
{
	for (size_t i = 0; i < FINF_ARRAY_LEN(dtypes); i++)
		if (!strcmp(dtypes[i].name, name))
			return dtypes[i].dtype;
	return FINF_DTYPE_NONE;
}

/* Printable, UTF-8 (jansson's word for it), and not one of ours. */
bool finf_pack_name_ok(const char *name)
{
	size_t len = strlen(name);
	json_t *utf8;

	if (!len || len > PACK_NAME_MAX || !strcmp(name, "__metadata__") ||
	    !strncmp(name, PACK_RESERVED, strlen(PACK_RESERVED)))
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
			return false;
	utf8 = json_string(name);
	json_decref(utf8);
	return utf8;
}

bool finf_pack_target_ok(const char *target)
{
	size_t len = strspn(target, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789._:+-");

	return len && len <= PACK_TARGET_MAX && !target[len];
}

bool finf_pack_hex(const char *text, uint64_t *ret)
{
	static const char digits[] = "0123456789abcdef";
	uint64_t value = 0;

	for (int i = 0; i < 16; i++) {
		const char *digit = text[i] ? strchr(digits, text[i]) : NULL;

		if (!digit)
			return false;
		value = value << 4 | (uint64_t)(digit - digits);
	}
	*ret = value;
	return true;
}

bool finf_pack_is_tuned_name(const char *file, const char *name)
{
	size_t len = strlen(name);

	if (strncmp(file, name, len))
		return false;
	if (!file[len])
		return true;
	file += len + 1;
	return file[-1] == '@' && *file && !file[strspn(file, "0123456789")];
}
