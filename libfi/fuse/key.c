/* SPDX-License-Identifier: MIT */
/* fuse: what a node does, as bytes: equal bytes, and it does the same to the same inputs. */
#include "fuse/internal.h"

static void put_attr(struct finf_buf *key, const struct finf_attr *attr)
{
	finf_buf_str(key, attr->name);
	finf_buf_u32(key, attr->type);
	finf_buf_u32(key, attr->n);
	switch (attr->type) {
	case FINF_ATTR_INT:
		finf_buf_put(key, &attr->i, sizeof(attr->i));
		break;
	case FINF_ATTR_FLOAT:
		finf_buf_put(key, &attr->f, sizeof(attr->f));
		break;
	case FINF_ATTR_STRING:
		finf_buf_put(key, attr->s, attr->n);
		break;
	case FINF_ATTR_INTS:
		finf_buf_put(key, attr->ints, attr->n * sizeof(*attr->ints));
		break;
	case FINF_ATTR_FLOATS:
		finf_buf_put(key, attr->floats, attr->n * sizeof(*attr->floats));
		break;
	case FINF_ATTR_TENSOR:
		finf_buf_u32(key, attr->t->dtype);
		finf_buf_u32(key, attr->t->shape.rank);
		finf_buf_put(key, attr->t->shape.dim,
			     attr->t->shape.rank * sizeof(attr->t->shape.dim[0]));
		finf_buf_put(key, attr->t->data, attr->t->bytes);
		break;
	}
}

void finf_fuse_key(const struct finf_node *node, struct finf_buf *key)
{
	finf_buf_str(key, node->op->name);
	finf_buf_u32(key, node->opset);
	finf_buf_u32(key, node->act);
	finf_buf_f32(key, node->act_a);
	finf_buf_f32(key, node->act_b);
	finf_buf_u32(key, node->n_in);
	finf_buf_u32(key, node->n_out);
	for (uint32_t i = 0; i < node->n_out; i++)
		finf_buf_u8(key, node->out[i] != FINF_NONE);
	for (uint32_t i = 0; i < node->n_attrs; i++)
		put_attr(key, &node->attrs[i]);
}
