/* SPDX-License-Identifier: MIT */
/*
 * fuse: many models, one graph. Members are copied one after the other. Each
 * constant and each node is looked up among those that are there already, by
 * what it is, so equal weights are kept once and equal work is done once.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fuse/internal.h"

/* Things in a group by the hash of what they are: which of them are equal is the caller's to say.
 */
struct table {
	struct entry {
		uint64_t hash;
		uint32_t index; /* plus 1; 0 = empty */
	} * entries;
	uint32_t mask;
};

struct merger {
	struct finf_graph *graph;
	const struct finf_fuse_member *member; /* the one being copied */
	struct finf_diag *diag;
	bool share_inputs;
	struct finf_merge_report report;
	struct finf_arena scratch; /* owned: everything below */
	struct table constants, nodes;
	uint32_t *number; /* per value of the member: in the group */
};

/* ---- what is there already ---------------------------------------------------- */

/* At most half full: @n things at most are ever put in. */
static bool table_init(struct table *table, struct finf_arena *arena, size_t n)
{
	size_t cap = 16;

	while (cap < 2 * n)
		cap *= 2;
	table->entries = finf_arena_array(arena, cap, sizeof(*table->entries));
	table->mask = (uint32_t)cap - 1;
	return table->entries != NULL;
}

/* The next with this hash, or FINF_NONE; *at is 0 for the first, then left alone. */
static uint32_t table_next(const struct table *table, uint64_t hash, uint32_t *at)
{
	for (;;) {
		const struct entry *entry =
			&table->entries[((uint32_t)hash + (*at)++) & table->mask];

		if (!entry->index)
			return FINF_NONE;
		if (entry->hash == hash)
			return entry->index - 1;
	}
}

static void table_put(struct table *table, uint64_t hash, uint32_t index)
{
	uint32_t at = (uint32_t)hash & table->mask;

	while (table->entries[at].index)
		at = (at + 1) & table->mask;
	table->entries[at] = (struct entry){hash, index + 1};
}

/* ---- values --------------------------------------------------------------------- */

static int add_value(struct merger *m, const struct finf_value *from, uint32_t *ret)
{
	const char *name = finf_arena_printf(&m->scratch, "%s/%s", m->member->name, from->name);

	if (!name)
		return -ENOMEM;
	return finf_graph_value(m->graph, name, from->dtype, from->has_shape ? &from->shape : NULL,
				ret);
}

static int add_constant(struct merger *m, const struct finf_value *from, uint32_t *ret)
{
	uint64_t hash = finf_hash64(from->data, from->bytes);
	uint32_t at = 0, found;
	int err;

	m->report.constants_before++;
	m->report.bytes_before += from->bytes;
	while ((found = table_next(&m->constants, hash, &at)) != FINF_NONE) {
		const struct finf_value *there = &m->graph->values[found];

		if (there->dtype == from->dtype && there->bytes == from->bytes &&
		    finf_shape_equal(&there->shape, &from->shape) &&
		    !memcmp(there->data, from->data, from->bytes)) {
			*ret = found;
			return 0;
		}
	}
	err = add_value(m, from, &found);
	if (!err)
		err = finf_graph_set_const(m->graph, found, from->data, from->bytes, false);
	if (err)
		return err;
	table_put(&m->constants, hash, found);
	m->report.constants_after++;
	m->report.bytes_after += from->bytes;
	*ret = found;
	return 0;
}

/* The input of an earlier member that this one can share. */
static uint32_t shared_input(const struct merger *m, const struct finf_value *from)
{
	for (uint32_t i = 0; m->share_inputs && i < m->graph->n_members; i++) {
		const struct finf_member *other = &m->graph->members[i];

		for (uint32_t k = 0; k < other->n_inputs; k++) {
			uint32_t v = m->graph->inputs[other->inputs[k].index];
			const struct finf_value *there = &m->graph->values[v];
			bool only = other->n_inputs == 1 && m->member->graph->n_inputs == 1;

			if (there->dtype == from->dtype && there->has_shape == from->has_shape &&
			    (!from->has_shape || finf_shape_equal(&there->shape, &from->shape)) &&
			    (only || !strcmp(other->inputs[k].name, from->name)))
				return v;
		}
	}
	return FINF_NONE;
}

static int add_input(struct merger *m, const struct finf_value *from, uint32_t *ret)
{
	uint32_t v = shared_input(m, from);
	int err;

	if (v != FINF_NONE) {
		m->report.inputs_shared++;
		*ret = v;
		return 0;
	}
	err = add_value(m, from, &v);
	if (!err)
		err = finf_graph_input(m->graph, v);
	if (!err)
		*ret = v;
	return err;
}

/* Constants and inputs; what nodes make comes with the nodes. */
static int add_values(struct merger *m)
{
	const struct finf_graph *from = m->member->graph;

	for (uint32_t v = 0; v < from->n_values; v++) {
		const struct finf_value *value = &from->values[v];
		int err = 0;

		if (value->is_const && !value->data && value->bytes)
			return finf_diag_set(m->diag, -EINVAL, "%s: constant %s has no bytes",
					     m->member->name, value->name);
		if (value->is_const)
			err = add_constant(m, value, &m->number[v]);
		else if (value->is_input)
			err = add_input(m, value, &m->number[v]);
		if (err)
			return err;
	}
	return 0;
}

/* ---- nodes ------------------------------------------------------------------------ */

/* Everything that decides what a node computes, as bytes: equal keys, equal results. */
static void node_key(const struct finf_node *node, struct finf_buf *key)
{
	key->len = 0;
	finf_fuse_key(node, key);
	for (uint32_t i = 0; i < node->n_in; i++)
		finf_buf_u32(key, node->in[i]);
}

/* The node of the group that computes the same; FINF_NONE. */
static uint32_t same_node(struct merger *m, const struct finf_buf *key, uint64_t hash)
{
	struct finf_buf other;
	uint32_t at = 0, found;

	finf_buf_init(&other);
	while ((found = table_next(&m->nodes, hash, &at)) != FINF_NONE) {
		node_key(&m->graph->nodes[found], &other);
		if (!other.err && other.len == key->len && !memcmp(other.data, key->data, key->len))
			break;
	}
	finf_buf_fini(&other);
	return found;
}

/* The same was computed before. */
static void reuse_node(struct merger *m, const struct finf_node *from, uint32_t same)
{
	for (uint32_t k = 0; k < from->n_out; k++)
		if (from->out[k] != FINF_NONE)
			m->number[from->out[k]] = m->graph->nodes[same].out[k];
}

static int new_node(struct merger *m, const struct finf_node *from, const struct finf_node *mapped,
		    uint64_t hash)
{
	const char *name = finf_arena_printf(&m->scratch, "%s/%s", m->member->name, from->name);
	uint32_t index;
	int err = name ? 0 : -ENOMEM;

	for (uint32_t k = 0; !err && k < from->n_out; k++) {
		mapped->out[k] = FINF_NONE;
		if (from->out[k] == FINF_NONE)
			continue;
		err = add_value(m, &m->member->graph->values[from->out[k]], &mapped->out[k]);
		m->number[from->out[k]] = mapped->out[k];
	}
	if (!err)
		err = finf_graph_node(m->graph, from->op, from->opset, name, mapped->in, from->n_in,
				      mapped->out, from->n_out, from->attrs, from->n_attrs, &index);
	if (err)
		return err;
	m->graph->nodes[index].act = from->act;
	m->graph->nodes[index].act_a = from->act_a;
	m->graph->nodes[index].act_b = from->act_b;
	table_put(&m->nodes, hash, index);
	return 0;
}

static int add_node(struct merger *m, const struct finf_node *from)
{
	struct finf_node mapped = *from;
	struct finf_buf key;
	uint32_t same;
	uint64_t hash;
	int err;

	mapped.in = finf_arena_dup(&m->scratch, from->in, from->n_in * sizeof(*from->in));
	mapped.out = finf_arena_dup(&m->scratch, from->out, from->n_out * sizeof(*from->out));
	if (!mapped.in || !mapped.out)
		return -ENOMEM;
	for (uint32_t k = 0; k < from->n_in; k++)
		if (from->in[k] != FINF_NONE)
			mapped.in[k] = m->number[from->in[k]];
	finf_buf_init(&key);
	node_key(&mapped, &key);
	err = key.err;
	if (!err) {
		hash = finf_hash64(key.data, key.len);
		same = same_node(m, &key, hash);
		if (same == FINF_NONE)
			err = new_node(m, from, &mapped, hash);
		else
			reuse_node(m, from, same);
	}
	finf_buf_fini(&key);
	return err;
}

/* ---- members ------------------------------------------------------------------------ */

static uint32_t place_of(const uint32_t *values, uint32_t n, uint32_t value)
{
	uint32_t i = 0;

	while (i < n && values[i] != value)
		i++;
	return i;
}

/*
 * An output has the member's name for it. Where the value is another member's,
 * an input or a constant there once, that takes an Identity, which costs
 * nothing where it can be another name of the same bytes.
 */
static int add_output(struct merger *m, uint32_t v)
{
	const struct finf_value *from = &m->member->graph->values[v];
	const struct finf_op *identity = finf_op_find("Identity");
	const char *name = finf_arena_printf(&m->scratch, "%s/%s", m->member->name, from->name);
	uint32_t named;
	int err;

	if (!name)
		return -ENOMEM;
	if (finf_graph_find(m->graph, name, &named))
		return finf_graph_output(m->graph, named);
	err = add_value(m, from, &named);
	if (!err)
		err = finf_graph_node(m->graph, identity, identity->opset_min, name, &m->number[v],
				      1, &named, 1, NULL, 0, NULL);
	return err ? err : finf_graph_output(m->graph, named);
}

/* Its interface: inputs where they are, outputs appended. */
static int add_interface(struct merger *m)
{
	const struct finf_graph *from = m->member->graph;
	struct finf_member member = {.name = m->member->name, .n_inputs = from->n_inputs};

	member.inputs = finf_arena_array(&m->scratch, from->n_inputs, sizeof(*member.inputs));
	member.outputs = finf_arena_array(&m->scratch, from->n_outputs, sizeof(*member.outputs));
	if (!member.inputs || !member.outputs)
		return -ENOMEM;
	for (uint32_t i = 0; i < from->n_inputs; i++)
		member.inputs[i] = (struct finf_member_port){
			place_of(m->graph->inputs, m->graph->n_inputs, m->number[from->inputs[i]]),
			from->values[from->inputs[i]].name};
	for (uint32_t i = 0; i < from->n_outputs; i++) {
		int err;

		if (place_of(from->outputs, i, from->outputs[i]) < i)
			continue; /* one that is named twice is there once */
		err = add_output(m, from->outputs[i]);
		if (err)
			return err;
		member.outputs[member.n_outputs++] = (struct finf_member_port){
			m->graph->n_outputs - 1, from->values[from->outputs[i]].name};
	}
	return finf_graph_add_member(m->graph, &member);
}

static int add_member(struct merger *m)
{
	const struct finf_graph *from = m->member->graph;
	int err;

	m->number = finf_arena_array(&m->scratch, from->n_values, sizeof(*m->number));
	if (!m->number)
		return -ENOMEM;
	err = add_values(m);
	for (uint32_t i = 0; !err && i < from->n_nodes; i++)
		err = add_node(m, &from->nodes[i]);
	if (!err)
		err = add_interface(m);
	if (err)
		finf_diag_prefix(m->diag, "member %s", m->member->name);
	m->report.nodes_before += from->n_nodes;
	return err;
}

/* ---- what cannot be one --------------------------------------------------------------- */

/* Leading dimension of the first input; 0 when it may vary or there is none. */
static int64_t fixed_batch(const struct finf_graph *graph)
{
	const struct finf_value *v = graph->n_inputs ? &graph->values[graph->inputs[0]] : NULL;

	if (!v || !v->has_shape || !v->shape.rank || v->shape.dim[0] == FINF_DIM_ANY)
		return 0;
	return v->shape.dim[0];
}

static int check_members(const struct finf_fuse_member *members, uint32_t n, struct finf_diag *diag)
{
	uint32_t fixed = FINF_NONE;

	if (n < 2 || n > FINF_MEMBERS_MAX)
		return finf_diag_set(diag, -EINVAL, "a group has 2 to %d members, not %u",
				     FINF_MEMBERS_MAX, n);
	for (uint32_t i = 0; i < n; i++) {
		int64_t batch = fixed_batch(members[i].graph);
		uint32_t version;

		if (!finf_name_ok(members[i].name, &version, NULL) || version)
			return finf_diag_set(diag, -EINVAL, "'%s' is no name of a member",
					     members[i].name);
		for (uint32_t k = 0; k < i; k++)
			if (!strcmp(members[i].name, members[k].name))
				return finf_diag_set(diag, -EEXIST, "two members are named %s",
						     members[i].name);
		if (members[i].graph->n_members)
			return finf_diag_set(diag, -EINVAL,
					     "%s is a group: fuse its members instead",
					     members[i].name);
		if (batch && fixed != FINF_NONE && batch != fixed_batch(members[fixed].graph))
			return finf_diag_set(
				diag, -EINVAL,
				"mixed batch sizes: %s takes batches of %lld, %s of %lld",
				members[fixed].name, (long long)fixed_batch(members[fixed].graph),
				members[i].name, (long long)batch);
		if (batch)
			fixed = i;
	}
	return 0;
}

static int merger_init(struct merger *m, const char *name, const struct finf_fuse_member *members,
		       uint32_t n)
{
	size_t values = 0, nodes = 0;

	for (uint32_t i = 0; i < n; i++) {
		values += members[i].graph->n_values;
		nodes += members[i].graph->n_nodes;
	}
	if (values > FINF_NONE / 8 || nodes > FINF_NONE / 8)
		return -EOVERFLOW;
	if (!table_init(&m->constants, &m->scratch, values) ||
	    !table_init(&m->nodes, &m->scratch, nodes))
		return -ENOMEM;
	return finf_graph_new(name, &m->graph);
}

int finf_fuse_merge(const char *name, const struct finf_fuse_member *members, uint32_t n,
		    const struct finf_merge_opts *opts, struct finf_graph **ret_graph,
		    struct finf_merge_report *ret_report, struct finf_diag *diag)
{
	struct merger m = {.diag = diag, .share_inputs = opts && opts->share_inputs};
	int err = check_members(members, n, diag);

	if (err)
		return err;
	finf_arena_init(&m.scratch);
	err = merger_init(&m, name, members, n);
	for (uint32_t i = 0; !err && i < n; i++) {
		m.member = &members[i];
		err = add_member(&m);
	}
	if (!err) {
		m.graph->schedule = opts ? opts->schedule : FINF_SIDE_BY_SIDE;
		err = finf_graph_verify(m.graph, diag);
	}
	if (!err)
		err = finf_graph_infer(m.graph, diag);
	if (!err) {
		m.report.nodes_after = m.graph->n_nodes;
		if (ret_report)
			*ret_report = m.report;
		*ret_graph = m.graph;
	} else {
		finf_graph_free(m.graph);
	}
	finf_arena_fini(&m.scratch);
	return err;
}
