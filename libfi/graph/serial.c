/* SPDX-License-Identifier: MIT */
/* graph: to bytes and back. Documentation/formats/graph.md describes them. */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "graph/member.h"
#include "graph/op.h"

#define GRAPH_MAGIC   0x52474946u /* "FIGR" */
#define GRAPH_VERSION 1		  /* a single model */
#define GROUP_VERSION 2		  /* the same, and what the members are */
#define GROUP_BATCHED 2u	  /* of the schedule's byte */

enum { VALUE_SHAPE = 1, VALUE_CONST = 2, VALUE_INLINE = 4 };

/* Elements are stored as they lie in memory. */
_Static_assert(__BYTE_ORDER == __LITTLE_ENDIAN, "the format is little-endian");

bool finf_graph_const_inline(const struct finf_value *value)
{
	if (!value->is_const)
		return false;
	if (value->bytes <= FINF_GRAPH_INLINE_BYTES)
		return true;
	return value->dtype != FINF_F32 && value->dtype != FINF_F64;
}

/* ---- writing ------------------------------------------------------------------ */

static void write_shape(struct finf_buf *buf, const struct finf_shape *shape)
{
	finf_buf_u8(buf, (uint8_t)shape->rank);
	for (uint32_t i = 0; i < shape->rank; i++)
		finf_buf_u64(buf, (uint64_t)shape->dim[i]);
}

static void write_value(struct finf_buf *buf, const struct finf_value *v)
{
	bool here = finf_graph_const_inline(v) && v->data;

	finf_buf_str(buf, v->name);
	finf_buf_u8(buf, (uint8_t)v->dtype);
	finf_buf_u8(buf, (uint8_t)((v->has_shape ? VALUE_SHAPE : 0) |
				   (v->is_const ? VALUE_CONST : 0) | (here ? VALUE_INLINE : 0)));
	if (v->has_shape)
		write_shape(buf, &v->shape);
	if (here)
		finf_buf_put(buf, v->data, v->bytes);
}

static void write_ids(struct finf_buf *buf, const uint32_t *ids, uint32_t n)
{
	finf_buf_u32(buf, n);
	for (uint32_t i = 0; i < n; i++)
		finf_buf_u32(buf, ids[i]);
}

static void write_attr(struct finf_buf *buf, const struct finf_attr *attr)
{
	finf_buf_str(buf, attr->name);
	finf_buf_u8(buf, (uint8_t)attr->type);
	switch (attr->type) {
	case FINF_ATTR_INT:
		finf_buf_u64(buf, (uint64_t)attr->i);
		break;
	case FINF_ATTR_FLOAT:
		finf_buf_f32(buf, attr->f);
		break;
	case FINF_ATTR_STRING:
		finf_buf_u32(buf, attr->n);
		finf_buf_put(buf, attr->s, attr->n);
		break;
	case FINF_ATTR_INTS:
		finf_buf_u32(buf, attr->n);
		for (uint32_t i = 0; i < attr->n; i++)
			finf_buf_u64(buf, (uint64_t)attr->ints[i]);
		break;
	case FINF_ATTR_FLOATS:
		finf_buf_u32(buf, attr->n);
		for (uint32_t i = 0; i < attr->n; i++)
			finf_buf_f32(buf, attr->floats[i]);
		break;
	case FINF_ATTR_TENSOR:
		finf_buf_u8(buf, (uint8_t)attr->t->dtype);
		write_shape(buf, &attr->t->shape);
		finf_buf_put(buf, attr->t->data, attr->t->bytes);
		break;
	}
}

static void write_node(struct finf_buf *buf, const struct finf_node *node)
{
	finf_buf_str(buf, node->name);
	finf_buf_str(buf, node->op->name);
	finf_buf_u32(buf, node->opset);
	write_ids(buf, node->in, node->n_in);
	write_ids(buf, node->out, node->n_out);
	finf_buf_u32(buf, node->n_attrs);
	for (uint32_t i = 0; i < node->n_attrs; i++)
		write_attr(buf, &node->attrs[i]);
	finf_buf_u8(buf, (uint8_t)node->act);
	finf_buf_f32(buf, node->act_a);
	finf_buf_f32(buf, node->act_b);
}

static void write_ports(struct finf_buf *buf, const struct finf_member_port *ports, uint32_t n)
{
	finf_buf_u32(buf, n);
	for (uint32_t i = 0; i < n; i++) {
		finf_buf_u32(buf, ports[i].index);
		finf_buf_str(buf, ports[i].name);
	}
}

static void write_members(struct finf_buf *buf, const struct finf_graph *graph)
{
	finf_buf_u8(buf, (uint8_t)(graph->schedule | (graph->batched ? GROUP_BATCHED : 0)));
	finf_buf_u32(buf, graph->n_members);
	for (uint32_t i = 0; i < graph->n_members; i++) {
		const struct finf_member *member = &graph->members[i];

		finf_buf_str(buf, member->name);
		write_ports(buf, member->inputs, member->n_inputs);
		write_ports(buf, member->outputs, member->n_outputs);
	}
}

void finf_graph_write(const struct finf_graph *graph, struct finf_buf *buf)
{
	finf_buf_u32(buf, GRAPH_MAGIC);
	finf_buf_u32(buf, graph->n_members ? GROUP_VERSION : GRAPH_VERSION);
	finf_buf_str(buf, graph->name);
	finf_buf_u32(buf, graph->n_values);
	for (uint32_t i = 0; i < graph->n_values; i++)
		write_value(buf, &graph->values[i]);
	write_ids(buf, graph->inputs, graph->n_inputs);
	finf_buf_u32(buf, graph->n_nodes);
	for (uint32_t i = 0; i < graph->n_nodes; i++)
		write_node(buf, &graph->nodes[i]);
	write_ids(buf, graph->outputs, graph->n_outputs);
	if (graph->n_members)
		write_members(buf, graph);
}

/* ---- reading -------------------------------------------------------------------- */

/*
 * The least bytes one element of each list takes: a count that could not fit
 * into what is left is refused before anything is allocated for it.
 */
#define VALUE_LEAST  6	/* name length, dtype, flags */
#define NODE_LEAST   33 /* two lengths, opset, three counts, activation */
#define ATTR_LEAST   9	/* name length, type, the shortest payload */
#define SCALAR_BYTES 4	/* of a count or an id */
#define PORT_LEAST   8	/* index, name length */
#define MEMBER_LEAST 12 /* name length, two counts */

struct source {
	struct finf_reader r;
	struct finf_graph *graph;
	struct finf_arena *arena;
	struct finf_arena scratch; /* attribute lists and names while nodes are built */
	struct finf_diag *diag;
};

static int damaged(struct source *s, const char *what)
{
	if (s->r.err == -ENOMEM)
		return -ENOMEM;
	return finf_diag_set(s->diag, -EBADMSG, "graph, byte %zu: %s", s->r.at, what);
}

/* What building refuses in a file is damage, but for memory. */
static int refused(struct source *s, int err, const char *what)
{
	return !err || err == -ENOMEM ? err : damaged(s, what);
}

static bool read_shape(struct finf_reader *r, struct finf_shape *shape)
{
	*shape = (struct finf_shape){.rank = finf_reader_u8(r)};
	if (shape->rank > FINF_RANK_MAX)
		return false;
	for (uint32_t i = 0; i < shape->rank; i++) {
		shape->dim[i] = (int64_t)finf_reader_u64(r);
		if (shape->dim[i] < FINF_DIM_ANY)
			return false;
	}
	return !r->err;
}

static int read_const(struct source *s, uint32_t value, bool here)
{
	struct finf_value *v = &s->graph->values[value];
	const void *data;
	size_t bytes;

	if (!v->has_shape || finf_tensor_bytes(v->dtype, &v->shape, &bytes))
		return damaged(s, "a constant without a size");
	if (!here) {
		v->is_const = true;
		v->bytes = bytes;
		return 0;
	}
	data = finf_reader_bytes(&s->r, bytes);
	if (!data)
		return damaged(s, "a constant is cut short");
	return refused(s, finf_graph_set_const(s->graph, value, data, bytes, true),
		       "a constant cannot be stored");
}

static int read_value(struct source *s)
{
	const char *name = finf_reader_str(&s->r, &s->scratch);
	enum finf_dtype dtype = (enum finf_dtype)finf_reader_u8(&s->r);
	uint8_t flags = finf_reader_u8(&s->r);
	struct finf_shape shape;
	uint32_t value;
	int err;

	if (s->r.err || flags > (VALUE_SHAPE | VALUE_CONST | VALUE_INLINE) ||
	    (dtype != FINF_DTYPE_NONE && !finf_dtype_bytes(dtype)))
		return damaged(s, "not a value");
	if (flags & VALUE_SHAPE && !read_shape(&s->r, &shape))
		return damaged(s, "not a shape");
	err = finf_graph_value(s->graph, name, dtype, flags & VALUE_SHAPE ? &shape : NULL, &value);
	if (err)
		return refused(s, err, "a value's name is taken");
	if (flags & VALUE_CONST)
		return read_const(s, value, flags & VALUE_INLINE);
	return flags & VALUE_INLINE ? damaged(s, "bytes without a constant") : 0;
}

static uint32_t *read_ids(struct source *s, uint32_t *ret_n)
{
	uint32_t n = finf_reader_count(&s->r, SCALAR_BYTES);
	uint32_t *ids = finf_arena_array(&s->scratch, n, sizeof(*ids));

	for (uint32_t i = 0; ids && i < n; i++)
		ids[i] = finf_reader_u32(&s->r);
	if (!ids)
		s->r.err = -ENOMEM;
	*ret_n = n;
	return ids;
}

static int read_attr_ints(struct source *s, struct finf_attr *attr)
{
	int64_t *ints;

	attr->n = finf_reader_count(&s->r, sizeof(*ints));
	attr->ints = ints = finf_arena_array(&s->scratch, attr->n, sizeof(*ints));
	if (!ints)
		return -ENOMEM;
	for (uint32_t i = 0; i < attr->n; i++)
		ints[i] = (int64_t)finf_reader_u64(&s->r);
	return 0;
}

static int read_attr_floats(struct source *s, struct finf_attr *attr)
{
	float *floats;

	attr->n = finf_reader_count(&s->r, sizeof(*floats));
	attr->floats = floats = finf_arena_array(&s->scratch, attr->n, sizeof(*floats));
	if (!floats)
		return -ENOMEM;
	for (uint32_t i = 0; i < attr->n; i++)
		floats[i] = finf_reader_f32(&s->r);
	return 0;
}

static int read_attr_tensor(struct source *s, struct finf_attr *attr)
{
	struct finf_tensor *t = finf_arena_alloc(&s->scratch, sizeof(*t));
	const void *data;

	if (!t)
		return -ENOMEM;
	t->dtype = (enum finf_dtype)finf_reader_u8(&s->r);
	if (!read_shape(&s->r, &t->shape) || finf_tensor_bytes(t->dtype, &t->shape, &t->bytes))
		return damaged(s, "not a tensor attribute");
	data = finf_reader_bytes(&s->r, t->bytes);
	if (!data)
		return damaged(s, "a tensor attribute is cut short");
	t->data = (void *)(uintptr_t)data; /* only until finf_graph_node() has copied it */
	attr->t = t;
	return 0;
}

static int read_attr(struct source *s, struct finf_attr *attr)
{
	int err = 0;

	attr->name = finf_reader_str(&s->r, &s->scratch);
	attr->type = (enum finf_attr_type)finf_reader_u8(&s->r);
	switch (attr->type) {
	case FINF_ATTR_INT:
		attr->i = (int64_t)finf_reader_u64(&s->r);
		break;
	case FINF_ATTR_FLOAT:
		attr->f = finf_reader_f32(&s->r);
		break;
	case FINF_ATTR_STRING:
		attr->s = finf_reader_str(&s->r, &s->scratch);
		attr->n = attr->s ? (uint32_t)strlen(attr->s) : 0;
		break;
	case FINF_ATTR_INTS:
		err = read_attr_ints(s, attr);
		break;
	case FINF_ATTR_FLOATS:
		err = read_attr_floats(s, attr);
		break;
	case FINF_ATTR_TENSOR:
		err = read_attr_tensor(s, attr);
		break;
	default:
		return damaged(s, "not an attribute");
	}
	if (!err && s->r.err)
		err = damaged(s, "an attribute is cut short");
	return err;
}

static int read_attrs(struct source *s, struct finf_attr **ret_attrs, uint32_t *ret_n)
{
	uint32_t n = finf_reader_count(&s->r, ATTR_LEAST);
	struct finf_attr *attrs = finf_arena_array(&s->scratch, n, sizeof(*attrs));
	int err = attrs ? 0 : -ENOMEM;

	for (uint32_t i = 0; !err && i < n; i++)
		err = read_attr(s, &attrs[i]);
	if (!err) {
		*ret_attrs = attrs;
		*ret_n = n;
	}
	return err;
}

static int read_act(struct source *s, uint32_t index)
{
	struct finf_node *node = &s->graph->nodes[index];
	uint8_t act = finf_reader_u8(&s->r);

	if (act >= FINF_ACTS)
		return damaged(s, "not an activation");
	node->act = (enum finf_act)act;
	node->act_a = finf_reader_f32(&s->r);
	node->act_b = finf_reader_f32(&s->r);
	return s->r.err ? damaged(s, "a node is cut short") : 0;
}

static int read_node(struct source *s)
{
	const char *name = finf_reader_str(&s->r, &s->scratch);
	const char *op_name = finf_reader_str(&s->r, &s->scratch);
	uint32_t opset = finf_reader_u32(&s->r);
	uint32_t n_in, n_out, n_attrs, index;
	uint32_t *in = read_ids(s, &n_in), *out = read_ids(s, &n_out);
	const struct finf_op *op;
	struct finf_attr *attrs;
	int err;

	if (s->r.err)
		return damaged(s, "a node is cut short");
	op = finf_op_find(op_name);
	if (!op)
		return finf_diag_set(s->diag, -EOPNOTSUPP,
				     "node %s, opset %u: operator %s is not supported", name, opset,
				     op_name);
	err = read_attrs(s, &attrs, &n_attrs);
	if (err)
		return err;
	err = finf_graph_node(s->graph, op, opset, name, in, n_in, out, n_out, attrs, n_attrs,
			      &index);
	if (err)
		return refused(s, err, "a node contradicts the graph");
	return read_act(s, index);
}

static int read_interface(struct source *s, int (*add)(struct finf_graph *, uint32_t))
{
	uint32_t n;
	uint32_t *ids = read_ids(s, &n);
	int err = 0;

	if (s->r.err)
		return damaged(s, "the interface is cut short");
	for (uint32_t i = 0; !err && i < n; i++)
		err = add(s->graph, ids[i]);
	return err ? refused(s, err, "the interface names a wrong value") : 0;
}

static int read_ports(struct source *s, struct finf_member_port **ret_ports, uint32_t *ret_n)
{
	uint32_t n = finf_reader_count(&s->r, PORT_LEAST);
	struct finf_member_port *ports = finf_arena_array(&s->scratch, n, sizeof(*ports));

	if (!ports)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		ports[i].index = finf_reader_u32(&s->r);
		ports[i].name = finf_reader_str(&s->r, &s->scratch);
	}
	*ret_ports = ports;
	*ret_n = n;
	return s->r.err ? damaged(s, "a member is cut short") : 0;
}

static int read_members(struct source *s)
{
	uint32_t how = finf_reader_u8(&s->r), schedule = how & ~GROUP_BATCHED;
	uint32_t n = finf_reader_count(&s->r, MEMBER_LEAST);
	int err = 0;

	if (s->r.err || !n || schedule > FINF_ONE_BY_ONE)
		return damaged(s, "a group without members");
	s->graph->schedule = (enum finf_schedule)schedule;
	s->graph->batched = how & GROUP_BATCHED;
	for (uint32_t i = 0; !err && i < n; i++) {
		struct finf_member member = {.name = finf_reader_str(&s->r, &s->scratch)};

		if (!member.name)
			return damaged(s, "a member is cut short");
		err = read_ports(s, &member.inputs, &member.n_inputs);
		if (!err)
			err = read_ports(s, &member.outputs, &member.n_outputs);
		if (!err)
			err = refused(s, finf_graph_add_member(s->graph, &member),
				      "a member contradicts the graph");
	}
	return err;
}

static int read_header(struct source *s, uint32_t *ret_version)
{
	uint32_t magic = finf_reader_u32(&s->r), version = finf_reader_u32(&s->r);

	if (s->r.err || magic != GRAPH_MAGIC)
		return damaged(s, "not a graph");
	if (version != GRAPH_VERSION && version != GROUP_VERSION)
		return finf_diag_set(s->diag, -EOPNOTSUPP,
				     "graph format version %u is not supported", version);
	*ret_version = version;
	s->graph->name = finf_reader_str(&s->r, s->arena);
	return s->graph->name ? 0 : damaged(s, "no name");
}

static int read_graph(struct source *s)
{
	uint32_t n, version = 0;
	int err;

	err = read_header(s, &version);
	n = finf_reader_count(&s->r, VALUE_LEAST);
	for (uint32_t i = 0; !err && i < n; i++)
		err = read_value(s);
	if (!err)
		err = read_interface(s, finf_graph_input);
	n = finf_reader_count(&s->r, NODE_LEAST);
	for (uint32_t i = 0; !err && i < n; i++)
		err = read_node(s);
	if (!err)
		err = read_interface(s, finf_graph_output);
	if (!err && version == GROUP_VERSION)
		err = read_members(s);
	if (!err && (s->r.err || s->r.at != s->r.len))
		err = damaged(s, "bytes are missing or left over");
	return err;
}

int finf_graph_read(const void *data, size_t bytes, struct finf_graph **ret_graph,
		    struct finf_diag *diag)
{
	struct source s = {.diag = diag};
	int err;

	err = finf_graph_new("", &s.graph);
	if (err)
		return err;
	s.arena = &s.graph->arena;
	finf_arena_init(&s.scratch);
	finf_reader_init(&s.r, data, bytes);
	err = read_graph(&s);
	if (!err) {
		err = finf_graph_verify(s.graph, diag);
		err = err == -EINVAL ? -EBADMSG : err;
	}
	finf_arena_fini(&s.scratch);
	if (err)
		finf_graph_free(s.graph);
	else
		*ret_graph = s.graph;
	return err;
}
