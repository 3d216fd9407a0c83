/* SPDX-License-Identifier: MIT */
/* graph: attributes - deep copies and getters. */
#include <string.h>

#include "graph/internal.h"

static const struct finf_tensor *tensor_copy(struct finf_arena *arena, const struct finf_tensor *t,
					     bool data)
{
	struct finf_tensor *copy = finf_arena_dup(arena, t, sizeof(*t));

	if (!copy)
		return NULL;
	copy->name = NULL;
	if (data) {
		copy->data = finf_arena_dup(arena, t->data, t->bytes);
		if (!copy->data)
			return NULL;
	}
	return copy;
}

static bool attr_copy(struct finf_arena *arena, const struct finf_attr *from, bool tensors,
		      struct finf_attr *to)
{
	*to = *from;
	to->name = finf_arena_str(arena, from->name);
	switch (from->type) {
	case FINF_ATTR_INT:
	case FINF_ATTR_FLOAT:
		return to->name;
	case FINF_ATTR_STRING:
		to->s = finf_arena_strn(arena, from->s, from->n);
		return to->name && to->s;
	case FINF_ATTR_INTS:
		to->ints = finf_arena_dup(arena, from->ints, from->n * sizeof(*from->ints));
		return to->name && to->ints;
	case FINF_ATTR_FLOATS:
		to->floats = finf_arena_dup(arena, from->floats, from->n * sizeof(*from->floats));
		return to->name && to->floats;
	case FINF_ATTR_TENSOR:
		to->t = tensor_copy(arena, from->t, tensors);
		return to->name && to->t;
	}
	return false;
}

struct finf_attr *finf_attrs_copy(struct finf_arena *arena, const struct finf_attr *attrs,
				  uint32_t n, bool tensors)
{
	struct finf_attr *copy = finf_arena_array(arena, n, sizeof(*copy));

	for (uint32_t i = 0; copy && i < n; i++)
		if (!attr_copy(arena, &attrs[i], tensors, &copy[i]))
			return NULL;
	return copy;
}

const struct finf_attr *finf_node_attr(const struct finf_node *node, const char *name)
{
	for (uint32_t i = 0; i < node->n_attrs; i++)
		if (!strcmp(node->attrs[i].name, name))
			return &node->attrs[i];
	return NULL;
}

static const struct finf_attr *attr_of_type(const struct finf_node *node, const char *name,
					    enum finf_attr_type type)
{
	const struct finf_attr *attr = finf_node_attr(node, name);

	return attr && attr->type == type ? attr : NULL;
}

int64_t finf_node_int(const struct finf_node *node, const char *name, int64_t fallback)
{
	const struct finf_attr *attr = attr_of_type(node, name, FINF_ATTR_INT);

	return attr ? attr->i : fallback;
}

float finf_node_float(const struct finf_node *node, const char *name, float fallback)
{
	const struct finf_attr *attr = attr_of_type(node, name, FINF_ATTR_FLOAT);

	return attr ? attr->f : fallback;
}

const char *finf_node_str(const struct finf_node *node, const char *name, const char *fallback)
{
	const struct finf_attr *attr = attr_of_type(node, name, FINF_ATTR_STRING);

	return attr ? attr->s : fallback;
}

const int64_t *finf_node_ints(const struct finf_node *node, const char *name, uint32_t *ret_n)
{
	const struct finf_attr *attr = attr_of_type(node, name, FINF_ATTR_INTS);

	*ret_n = attr ? attr->n : 0;
	return attr ? attr->ints : NULL;
}
