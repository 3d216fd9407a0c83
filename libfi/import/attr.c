/* SPDX-License-Identifier: MIT */
/* import: names, and AttributeProto -> finf_attr. */
#include <errno.h>
#include <string.h>

#include "import/internal.h"

/*
 * One UTF-8 sequence: its length, or 0 when malformed, overlong, a surrogate
 * or past U+10FFFF. Source: RFC 3629, section 4.
 */
static size_t utf8_len(const uint8_t *s)
{
	uint8_t low = 0x80, high = 0xbf;
	size_t len;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	len = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (s[0] == 0xe0)
		low = 0xa0;
	if (s[0] == 0xed)
		high = 0x9f;
	if (s[0] == 0xf0)
		low = 0x90;
	if (s[0] == 0xf4)
		high = 0x8f;
	if (s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

/* C0, DEL and C1: what could drive a terminal or break a line of a log. */
static bool is_control(const uint8_t *s)
{
	return s[0] < 0x20 || s[0] == 0x7f || (s[0] == 0xc2 && s[1] < 0xa0);
}

int import_name_ok(const char *what, const char *name, struct finf_diag *diag)
{
	size_t step;

	if (!name || !*name)
		return finf_diag_set(diag, -EINVAL, "%s without a name", what);
	if (strnlen(name, IMPORT_NAME_MAX + 1) > IMPORT_NAME_MAX)
		return finf_diag_set(diag, -EINVAL, "name of %s '%.40s...' is longer than %d bytes",
				     what, name, IMPORT_NAME_MAX);
	for (const uint8_t *s = (const uint8_t *)name; *s; s += step) {
		step = utf8_len(s);
		if (!step)
			return finf_diag_set(diag, -EINVAL, "name of %s is not UTF-8", what);
		if (is_control(s))
			return finf_diag_set(diag, -EINVAL,
					     "name of %s '" IMPORT_NAME_SHOWN
					     "' holds a control character",
					     what, name);
	}
	return 0;
}

#define ATTR(t) ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__##t

/* Files older than IR 2 leave the type out: the field in use tells. */
static int attr_type(const Onnx__AttributeProto *a)
{
	if (a->has_type && a->type != ATTR(UNDEFINED))
		return (int)a->type;
	if (a->has_f)
		return ATTR(FLOAT);
	if (a->has_i)
		return ATTR(INT);
	if (a->has_s)
		return ATTR(STRING);
	if (a->t)
		return ATTR(TENSOR);
	if (a->n_ints)
		return ATTR(INTS);
	return a->n_floats ? ATTR(FLOATS) : ATTR(UNDEFINED);
}

static const char *refused_type(int type)
{
	switch (type) {
	case ATTR(GRAPH):
	case ATTR(GRAPHS):
		return "a subgraph";
	case ATTR(STRINGS):
		return "a list of strings";
	case ATTR(TENSORS):
		return "a list of tensors";
	case ATTR(SPARSE_TENSOR):
	case ATTR(SPARSE_TENSORS):
		return "a sparse tensor";
	case ATTR(TYPE_PROTO):
	case ATTR(TYPE_PROTOS):
		return "a type";
	default:
		return "of unknown type";
	}
}

static int attr_tensor(const Onnx__AttributeProto *a, int dir, struct finf_arena *scratch,
		       struct finf_attr *ret, struct finf_diag *diag)
{
	struct finf_tensor *tensor = finf_arena_alloc(scratch, sizeof(*tensor));

	if (!tensor)
		return -ENOMEM;
	if (!a->t)
		return finf_diag_set(diag, -EINVAL, "attribute '%s' lacks its tensor", a->name);
	ret->t = tensor;
	return import_tensor(a->t, dir, scratch, tensor, diag);
}

static int attr_string(const Onnx__AttributeProto *a, struct finf_arena *scratch,
		       struct finf_attr *ret, struct finf_diag *diag)
{
	char *text = finf_arena_strn(scratch, (const char *)a->s.data, a->s.len);

	if (!text)
		return -ENOMEM;
	if (a->s.len > UINT32_MAX || memchr(text, 0, a->s.len))
		return finf_diag_set(diag, -EINVAL, "attribute '%s' holds a NUL", a->name);
	ret->s = text;
	ret->n = (uint32_t)a->s.len;
	return 0;
}

static int import_attr(const Onnx__AttributeProto *a, int dir, struct finf_arena *scratch,
		       struct finf_attr *ret, struct finf_diag *diag)
{
	int type = attr_type(a);

	ret->name = a->name;
	switch (type) {
	case ATTR(FLOAT):
		ret->type = FINF_ATTR_FLOAT;
		ret->f = a->f;
		return 0;
	case ATTR(INT):
		ret->type = FINF_ATTR_INT;
		ret->i = a->i;
		return 0;
	case ATTR(STRING):
		ret->type = FINF_ATTR_STRING;
		return attr_string(a, scratch, ret, diag);
	case ATTR(TENSOR):
		ret->type = FINF_ATTR_TENSOR;
		return attr_tensor(a, dir, scratch, ret, diag);
	case ATTR(INTS):
		ret->type = FINF_ATTR_INTS;
		ret->ints = a->ints;
		ret->n = (uint32_t)a->n_ints;
		return a->n_ints > UINT32_MAX ? -EINVAL : 0;
	case ATTR(FLOATS):
		ret->type = FINF_ATTR_FLOATS;
		ret->floats = a->floats;
		ret->n = (uint32_t)a->n_floats;
		return a->n_floats > UINT32_MAX ? -EINVAL : 0;
	default:
		return finf_diag_set(diag, -EOPNOTSUPP,
				     "attribute '" IMPORT_NAME_SHOWN
				     "' is %s, which is not supported",
				     a->name, refused_type(type));
	}
}

bool import_attr_refers(const Onnx__AttributeProto *a)
{
	return a->ref_attr_name && *a->ref_attr_name;
}

int import_attrs(const Onnx__NodeProto *node, int dir, struct finf_arena *scratch,
		 struct finf_attr **ret, struct finf_diag *diag)
{
	struct finf_attr *attrs;
	int err;

	if (node->n_attribute > IMPORT_ATTRS_MAX)
		return finf_diag_set(diag, -EINVAL, "%zu attributes", node->n_attribute);
	attrs = finf_arena_array(scratch, node->n_attribute, sizeof(*attrs));
	if (!attrs)
		return -ENOMEM;
	for (size_t i = 0; i < node->n_attribute; i++) {
		const Onnx__AttributeProto *a = node->attribute[i];

		err = import_name_ok("attribute", a->name, diag);
		if (err)
			return err;
		if (import_attr_refers(a))
			return finf_diag_set(diag, -EINVAL,
					     "attribute '" IMPORT_NAME_SHOWN
					     "' refers to a function's, but the node is in none",
					     a->name);
		for (size_t j = 0; j < i; j++)
			if (!strcmp(attrs[j].name, a->name))
				return finf_diag_set(diag, -EINVAL,
						     "attribute '" IMPORT_NAME_SHOWN
						     "' is given twice",
						     a->name);
		err = import_attr(a, dir, scratch, &attrs[i], diag);
		if (err)
			return err;
	}
	*ret = attrs;
	return 0;
}
