/* SPDX-License-Identifier: MIT */
/*
 * fuse: the same work for many members, once. Members that have a backbone in common do the
 * same with the same weights, each on its own input.
 *
 *     a/x - conv W - relu - conv V - a's head         a/x \                          / Slice - a's head
 *                                              ->          Concat - conv W - ... - <
 *     b/x - conv W - relu - conv V - b's head         b/x /                          \ Slice - b's head
 *
 * First nodes are matched, into sets. Sets are kept in one order, in which every member has
 * them: a new one is put where that stays true, or is not made. So nothing can wait for itself
 * in the end. Then each set becomes one node.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fuse/internal.h"

/* Nodes that become one, by member. */
struct set {
	uint32_t n, at; /* place among the sets */
	uint32_t *nodes;
	uint32_t *out; /* per output of theirs: the value for all of them */
};

/* Places among the sets where a new one could be: from @low to @high. */
struct gap {
	uint32_t low, high;
};

/* Values one behind the other. */
struct joined {
	const struct joined *next; /* another that begins with the same value */
	uint32_t n, value;
	const uint32_t *parts;
};

struct batcher {
	struct finf_graph *graph;
	struct finf_arena scratch; /* owned: everything below */
	uint32_t n_nodes;	    /* as many as there were in the beginning */
	uint32_t *member;	    /* per node: the only one that needs it; FINF_NONE */
	uint32_t *next;		    /* per node of one member: its next; FINF_NONE */
	uint32_t first[FINF_MEMBERS_MAX];
	enum finf_rows *rows;	    /* per node */
	uint64_t *hash;		    /* per node: of its key; 0 when rows are mixed */
	struct gap *gaps;	    /* per node of one member */
	struct set **set_of;	    /* per node; NULL = stays as it is */
	struct set **sets;	    /* in an order in which every member has them */
	uint32_t n_sets;
	const struct joined **joined; /* per value: those that begin with it */
	struct finf_batch_report report;
};

/* ---- which nodes are alike -------------------------------------------------------- */

static void put_shape(struct finf_buf *key, const struct finf_value *v)
{
	finf_buf_u32(key, v->dtype);
	finf_buf_u32(key, v->shape.rank);
	finf_buf_put(key, v->shape.dim, v->shape.rank * sizeof(v->shape.dim[0]));
}

/*
 * What it does, with which constants, on inputs of which shapes. Large constants are there once
 * and so known by number; small ones may have been computed, for each member anew.
 */
static void put_key(const struct batcher *b, uint32_t index, struct finf_buf *key)
{
	const struct finf_node *node = &b->graph->nodes[index];
	uint32_t n_in = b->rows[index] == FINF_ROWS_RENAMED ? 1 : node->n_in;

	finf_fuse_key(node, key);
	put_shape(key, &b->graph->values[node->out[0]]);
	for (uint32_t i = 0; i < n_in; i++) {
		const struct finf_value *v;

		finf_buf_u8(key, node->in[i] != FINF_NONE);
		if (node->in[i] == FINF_NONE)
			continue;
		v = &b->graph->values[node->in[i]];
		put_shape(key, v);
		finf_buf_u8(key, v->is_const);
		if (v->is_const && v->data && finf_graph_const_inline(v))
			finf_buf_put(key, v->data, v->bytes);
		else if (v->is_const)
			finf_buf_u32(key, node->in[i]);
	}
}

static int hash_nodes(struct batcher *b)
{
	struct finf_buf key;
	int err;

	finf_buf_init(&key);
	for (uint32_t i = 0; i < b->n_nodes; i++) {
		b->rows[i] = finf_fuse_rows(b->graph, &b->graph->nodes[i]);
		if (b->rows[i] == FINF_ROWS_MIXED)
			continue;
		key.len = 0;
		put_key(b, i, &key);
		b->hash[i] = finf_hash64(key.data, key.len);
	}
	err = key.err;
	finf_buf_fini(&key);
	return err;
}

static bool same_key(const struct batcher *b, uint32_t i, uint32_t k)
{
	struct finf_buf left, right;
	bool same;

	finf_buf_init(&left);
	finf_buf_init(&right);
	put_key(b, i, &left);
	put_key(b, k, &right);
	same = !left.err && !right.err && left.len == right.len &&
	       !memcmp(left.data, right.data, left.len);
	finf_buf_fini(&left);
	finf_buf_fini(&right);
	return same;
}

/* Of which set, as which output, this value is; NULL = of none. */
static const struct set *source(const struct batcher *b, uint32_t value, uint32_t *ret_output)
{
	const struct finf_value *v = &b->graph->values[value];
	const struct finf_node *node;

	if (v->producer == FINF_NONE || v->producer >= b->n_nodes)
		return NULL;
	node = &b->graph->nodes[v->producer];
	for (*ret_output = 0; node->out[*ret_output] != value;)
		(*ret_output)++;
	return b->set_of[v->producer];
}

/* Does it begin what is batched: with a matrix of weights? */
static bool begins(const struct batcher *b, uint32_t index)
{
	const struct finf_node *node = &b->graph->nodes[index];

	for (uint32_t i = 0; b->rows[index] == FINF_ROWS_SAMPLE && i < node->n_in; i++)
		if (node->in[i] != FINF_NONE && b->graph->values[node->in[i]].is_const &&
		    b->graph->values[node->in[i]].shape.rank >= 2)
			return true;
	return false;
}

/* Do both read the same output of the same set? What else they read is laid together. */
static bool goes_on(const struct batcher *b, uint32_t i, uint32_t k)
{
	const struct finf_node *x = &b->graph->nodes[i], *y = &b->graph->nodes[k];

	for (uint32_t at = 0; at < x->n_in; at++) {
		const struct set *from;
		uint32_t left, right;

		if (x->in[at] == FINF_NONE || b->graph->values[x->in[at]].is_const)
			continue;
		from = source(b, x->in[at], &left);
		if (from && from == source(b, y->in[at], &right) && left == right)
			return true;
	}
	return false;
}

/* ---- sets --------------------------------------------------------------------------- */

/* Between which sets each node lies in its member. Nodes that serve several lie before all. */
static void find_gaps(struct batcher *b)
{
	uint32_t low[FINF_MEMBERS_MAX] = {0}, high[FINF_MEMBERS_MAX];

	for (uint32_t at = 0; at < b->n_sets; at++)
		b->sets[at]->at = at;
	for (uint32_t m = 0; m < FINF_MEMBERS_MAX; m++)
		high[m] = b->n_sets;
	for (uint32_t i = 0; i < b->n_nodes; i++) {
		uint32_t m = b->member[i];

		if (m == FINF_NONE)
			continue;
		if (b->set_of[i])
			low[m] = b->set_of[i]->at + 1;
		b->gaps[i].low = low[m];
	}
	for (uint32_t i = b->n_nodes; i-- > 0;) {
		uint32_t m = b->member[i];

		if (m == FINF_NONE)
			continue;
		if (b->set_of[i])
			high[m] = b->set_of[i]->at;
		b->gaps[i].high = high[m];
	}
}

/* The first node of @member that is like @node and can be in a set with it in this gap. */
static uint32_t first_alike(const struct batcher *b, uint32_t node, uint32_t member,
			    struct gap gap)
{
	for (uint32_t i = b->first[member]; i != FINF_NONE; i = b->next[i])
		if (!b->set_of[i] && b->hash[i] == b->hash[node] &&
		    b->gaps[i].low <= gap.high && b->gaps[i].high >= gap.low &&
		    same_key(b, node, i) && (begins(b, node) || goes_on(b, node, i)))
			return i;
	return FINF_NONE;
}

static int add_set(struct batcher *b, const uint32_t *nodes, uint32_t n, uint32_t at)
{
	struct set *set = finf_arena_alloc(&b->scratch, sizeof(*set));

	if (!set)
		return -ENOMEM;
	set->n = n;
	set->nodes = finf_arena_dup(&b->scratch, nodes, n * sizeof(*nodes));
	set->out = finf_arena_array(&b->scratch, b->graph->nodes[nodes[0]].n_out,
				    sizeof(*set->out));
	if (!set->nodes || !set->out)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		b->set_of[nodes[i]] = set;
		b->report.members |= 1ull << b->member[nodes[i]];
	}
	memmove(&b->sets[at + 1], &b->sets[at], (b->n_sets - at) * sizeof(*b->sets));
	b->sets[at] = set;
	b->n_sets++;
	b->report.nodes += n;
	b->report.batched++;
	find_gaps(b);
	return 0;
}

/* One node, and of each later member the first that goes with it. */
static int match(struct batcher *b, uint32_t node)
{
	uint32_t nodes[FINF_MEMBERS_MAX] = {node}, n = 1;
	struct gap gap = b->gaps[node];

	for (uint32_t m = b->member[node] + 1; m < b->graph->n_members; m++) {
		uint32_t found = first_alike(b, node, m, gap);

		if (found == FINF_NONE)
			continue;
		gap.low = FINF_MAX(gap.low, b->gaps[found].low);
		gap.high = FINF_MIN(gap.high, b->gaps[found].high);
		nodes[n++] = found;
	}
	return n > 1 ? add_set(b, nodes, n, gap.low) : 0;
}

static int match_all(struct batcher *b)
{
	int err = 0;

	find_gaps(b);
	for (uint32_t m = 0; m < b->graph->n_members; m++)
		for (uint32_t i = b->first[m]; !err && i != FINF_NONE; i = b->next[i])
			if (b->rows[i] != FINF_ROWS_MIXED && !b->set_of[i])
				err = match(b, i);
	return err;
}

/* ---- what they become ------------------------------------------------------------------ */

static int new_value(struct batcher *b, const char *base, enum finf_dtype dtype,
		     const struct finf_shape *shape, uint32_t *ret)
{
	const char *name = finf_arena_printf(&b->scratch, "%s.batch", base);

	for (unsigned n = 2; name && finf_graph_find(b->graph, name, ret); n++)
		name = finf_arena_printf(&b->scratch, "%s.batch.%u", base, n);
	return name ? finf_graph_value(b->graph, name, dtype, shape, ret) : -ENOMEM;
}

static int join(struct batcher *b, const uint32_t *parts, uint32_t n, uint32_t *ret)
{
	const struct finf_op *concat = finf_op_find("Concat");
	const struct finf_attr axis = {.name = "axis", .type = FINF_ATTR_INT, .i = 0};
	const struct finf_value *first = &b->graph->values[parts[0]];
	struct joined *joined = finf_arena_alloc(&b->scratch, sizeof(*joined));
	int err;

	if (!joined)
		return -ENOMEM;
	*joined = (struct joined){.next = b->joined[parts[0]], .n = n};
	joined->parts = finf_arena_dup(&b->scratch, parts, n * sizeof(*parts));
	if (!joined->parts)
		return -ENOMEM;
	err = new_value(b, first->name, first->dtype, NULL, &joined->value);
	if (!err)
		err = finf_graph_node(b->graph, concat, concat->opset_min,
				      b->graph->values[joined->value].name, parts, n,
				      &joined->value, 1, &axis, 1, NULL);
	if (err)
		return err;
	b->joined[parts[0]] = joined;
	*ret = joined->value;
	return 0;
}

/* Input @k of all nodes of a set: what another set made for the same members, or a Concat. */
static int input_for_all(struct batcher *b, const struct set *set, uint32_t k, uint32_t *ret)
{
	uint32_t parts[FINF_MEMBERS_MAX], output, other;
	const struct set *from;
	bool whole;

	for (uint32_t i = 0; i < set->n; i++)
		parts[i] = b->graph->nodes[set->nodes[i]].in[k];
	from = source(b, parts[0], &output);
	whole = from && from->n == set->n;
	for (uint32_t i = 1; whole && i < set->n; i++)
		whole = source(b, parts[i], &other) == from && other == output;
	if (whole) {
		*ret = from->out[output];
		return 0;
	}
	for (const struct joined *j = b->joined[parts[0]]; j; j = j->next)
		if (j->n == set->n && !memcmp(j->parts, parts, set->n * sizeof(*parts))) {
			*ret = j->value;
			return 0;
		}
	return join(b, parts, set->n, ret);
}

/* The same bytes for all, under the shape of one with more rows. */
static int shape_for_all(struct batcher *b, const struct set *set, uint32_t *ret)
{
	uint32_t out = b->graph->nodes[set->nodes[0]].out[0];
	struct finf_shape shape = b->graph->values[out].shape, list = {1, {shape.rank}};
	int err = new_value(b, b->graph->values[out].name, FINF_I64, &list, ret);

	shape.dim[0] *= set->n;
	return err ? err
		   : finf_graph_set_const(b->graph, *ret, shape.dim,
					  shape.rank * sizeof(shape.dim[0]), true);
}

static int outputs_for_all(struct batcher *b, const struct set *set)
{
	/* Adding values moves them; the node's list of outputs stays where it is. */
	const struct finf_node node = b->graph->nodes[set->nodes[0]];
	int err = 0;

	for (uint32_t k = 0; !err && k < node.n_out; k++) {
		const struct finf_value *v;

		set->out[k] = FINF_NONE;
		if (node.out[k] == FINF_NONE)
			continue;
		v = &b->graph->values[node.out[k]];
		err = new_value(b, v->name, v->dtype, NULL, &set->out[k]);
	}
	return err;
}

static int node_for_all(struct batcher *b, const struct set *set)
{
	const struct finf_node node = b->graph->nodes[set->nodes[0]];
	bool renamed = b->rows[set->nodes[0]] == FINF_ROWS_RENAMED;
	const struct finf_op *op = renamed ? finf_op_find("Reshape") : node.op;
	uint32_t n_in = renamed ? 2 : node.n_in, at;
	uint32_t *in = finf_arena_array(&b->scratch, n_in, sizeof(*in));
	int err = in ? outputs_for_all(b, set) : -ENOMEM;

	for (uint32_t k = 0; !err && k < n_in; k++) {
		if (renamed && k)
			err = shape_for_all(b, set, &in[k]);
		else if (node.in[k] == FINF_NONE || b->graph->values[node.in[k]].is_const)
			in[k] = node.in[k];
		else
			err = input_for_all(b, set, k, &in[k]);
	}
	if (!err)
		err = finf_graph_node(b->graph, op, renamed ? op->opset_min : node.opset,
				      b->graph->values[set->out[0]].name, in, n_in, set->out,
				      node.n_out, renamed ? NULL : node.attrs,
				      renamed ? 0 : node.n_attrs, &at);
	if (err)
		return err;
	b->graph->nodes[at].act = node.act;
	b->graph->nodes[at].act_a = node.act_a;
	b->graph->nodes[at].act_b = node.act_b;
	return 0;
}

/* Row @i of output @k is what the i-th node made. */
static int part_of(struct batcher *b, const struct set *set, uint32_t i, uint32_t k)
{
	const struct finf_op *slice = finf_op_find("Slice");
	uint32_t *out = &b->graph->nodes[set->nodes[i]].out[k], value = *out;
	int64_t rows = b->graph->values[value].shape.dim[0], axis = 0;
	int64_t start = rows * i, end = start + rows;
	const struct finf_attr attrs[] = {
		{.name = "axes", .type = FINF_ATTR_INTS, .n = 1, .ints = &axis},
		{.name = "ends", .type = FINF_ATTR_INTS, .n = 1, .ints = &end},
		{.name = "starts", .type = FINF_ATTR_INTS, .n = 1, .ints = &start},
	};

	*out = FINF_NONE;
	b->graph->values[value].producer = FINF_NONE;
	return finf_graph_node(b->graph, slice, slice->opset_min, b->graph->values[value].name,
			       &set->out[k], 1, &value, 1, attrs, FINF_ARRAY_LEN(attrs), NULL);
}

/* Parts that nobody asks for are pruned with the nodes that made them before. */
static int cut(struct batcher *b, const struct set *set)
{
	int err = 0;

	for (uint32_t i = 0; i < set->n; i++)
		for (uint32_t k = 0; !err && k < b->graph->nodes[set->nodes[i]].n_out; k++)
			if (set->out[k] != FINF_NONE)
				err = part_of(b, set, i, k);
	return err;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static int find_members(struct batcher *b)
{
	uint64_t *serves = finf_arena_array(&b->scratch, b->n_nodes + 1, sizeof(*serves));
	int err = serves ? finf_graph_serves(b->graph, serves) : -ENOMEM;

	if (err)
		return err;
	memset(b->first, 0xff, sizeof(b->first));
	for (uint32_t i = b->n_nodes; i-- > 0;) {
		b->member[i] = FINF_NONE;
		if (__builtin_popcountll(serves[i]) != 1)
			continue;
		b->member[i] = (uint32_t)__builtin_ctzll(serves[i]);
		b->next[i] = b->first[b->member[i]];
		b->first[b->member[i]] = i;
	}
	return 0;
}

static int init(struct batcher *b)
{
	struct finf_arena *arena = &b->scratch;

	b->n_nodes = b->graph->n_nodes;
	b->member = finf_arena_array(arena, b->n_nodes + 1, sizeof(*b->member));
	b->next = finf_arena_array(arena, b->n_nodes + 1, sizeof(*b->next));
	b->rows = finf_arena_array(arena, b->n_nodes + 1, sizeof(*b->rows));
	b->hash = finf_arena_array(arena, b->n_nodes + 1, sizeof(*b->hash));
	b->gaps = finf_arena_array(arena, b->n_nodes + 1, sizeof(*b->gaps));
	b->set_of = finf_arena_array(arena, b->n_nodes + 1, sizeof(*b->set_of));
	b->sets = finf_arena_array(arena, b->n_nodes + 1, sizeof(*b->sets));
	b->joined = finf_arena_array(arena, b->graph->n_values + 1, sizeof(*b->joined));
	if (!b->member || !b->next || !b->rows || !b->hash || !b->gaps || !b->set_of || !b->sets ||
	    !b->joined)
		return -ENOMEM;
	return find_members(b);
}

static int rewrite(struct batcher *b, struct finf_diag *diag)
{
	int err = 0;

	for (uint32_t i = 0; !err && i < b->n_sets; i++)
		err = node_for_all(b, b->sets[i]);
	for (uint32_t i = 0; !err && i < b->n_sets; i++)
		err = cut(b, b->sets[i]);
	if (!err)
		err = finf_graph_prune(b->graph, NULL);
	if (!err)
		err = finf_graph_sort(b->graph, diag);
	if (!err)
		err = finf_graph_verify(b->graph, diag);
	return err ? err : finf_graph_infer(b->graph, diag);
}

int finf_fuse_batch(struct finf_graph *graph, struct finf_batch_report *ret_report,
		    struct finf_diag *diag)
{
	struct batcher b = {.graph = graph};
	int err = 0;

	finf_arena_init(&b.scratch);
	if (graph->n_members) {
		err = init(&b);
		if (!err)
			err = hash_nodes(&b);
		if (!err)
			err = match_all(&b);
	}
	if (!err && b.n_sets)
		err = rewrite(&b, diag);
	finf_arena_fini(&b.scratch);
	if (!err && ret_report)
		*ret_report = b.report;
	return err;
}
