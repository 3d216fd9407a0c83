/* SPDX-License-Identifier: MIT */
/*
 * import: model-local functions. A call is replaced by the body of its function
 * before anything is built: names that are local to the body get ones that are
 * new to the model, references to attributes get what the call says. What comes
 * out is one flat list of nodes. Source: ONNX IR specification, "Functions".
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "import/internal.h"

#define CALLS_DEPTH_MAX 64

/*
 * A few functions that call each other twice are a bomb: what bodies come to is
 * bounded, by the bytes of their attributes and this much for every node.
 */
#define NODE_BYTES   ((size_t)1024)
#define BODIES_BYTES ((size_t)256 << 20)

struct function {
	const Onnx__FunctionProto *proto;
	uint32_t opset; /* of the ONNX domain in the body; 0 = none */
	bool active;	/* its body is being expanded */
};

struct expansion {
	struct import_nodes *nodes;
	uint32_t opset;		    /* of the model */
	struct finf_arena *arena;   /* takes names and copies of nodes */
	struct function *functions; /* in the order of the model */
	struct finf_map by_key;
	struct finf_map taken; /* names of values: the model's and those made up here */
	size_t bytes;	       /* expanded so far, see BODIES_BYTES */
	struct finf_diag *diag;
};

/* A value in a body: an input of the function, or an output of one of its nodes. */
struct local {
	const char *name;
	char *actual; /* its name in the model; "" = left out; NULL = not decided yet */
};

/* What the names in a body stand for during one call. */
struct scope {
	const Onnx__NodeProto *call;
	const Onnx__FunctionProto *function;
	const char *prefix; /* of names made up here: an output of the call, so it is unique */
	struct finf_map by_name;
	struct local *locals;
	uint32_t n;
};

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

/* Put "function 'f', called by 'x'" in front of the reason; returns @err. */
static int at_call(struct expansion *x, const Onnx__NodeProto *call, int err)
{
	if (err == -ENOMEM)
		return finf_diag_set(x->diag, err, "out of memory");
	finf_diag_prefix(x->diag, "function '%.100s', called by '%.100s'", call->op_type,
			 import_node_label(call));
	return err;
}

static int charge(struct expansion *x, size_t bytes)
{
	if (bytes > BODIES_BYTES - x->bytes)
		return finf_diag_set(x->diag, -EOPNOTSUPP,
				     "the functions of this model expand to more than %zu MiB",
				     BODIES_BYTES >> 20);
	x->bytes += bytes;
	return 0;
}

/* ---- the functions of a model ---------------------------------------------- */

/* Names hold no control characters, so the parts cannot run into each other. */
static char *make_key(struct finf_arena *arena, const char *domain, const char *name,
		      const char *overload)
{
	return finf_arena_printf(arena, "%s\n%s\n%s", import_is_onnx_domain(domain) ? "" : domain,
				 or_empty(name), or_empty(overload));
}

static int check_function(struct expansion *x, const Onnx__FunctionProto *f)
{
	int err = import_name_ok("function", f->name, x->diag);

	if (!err && f->domain && *f->domain)
		err = import_name_ok("domain of a function", f->domain, x->diag);
	if (!err && f->overload && *f->overload)
		err = import_name_ok("overload of a function", f->overload, x->diag);
	if (err)
		return err;
	if (import_is_onnx_domain(f->domain) && finf_op_find(f->name))
		return finf_diag_set(x->diag, -EINVAL,
				     "function '" IMPORT_NAME_SHOWN "' has the name of an operator",
				     f->name);
	if (f->n_attribute + f->n_attribute_proto > IMPORT_ATTRS_MAX)
		return finf_diag_set(x->diag, -EINVAL,
				     "function '" IMPORT_NAME_SHOWN "' has %zu attributes", f->name,
				     f->n_attribute + f->n_attribute_proto);
	return 0;
}

static int add_function(struct expansion *x, uint32_t index, const Onnx__FunctionProto *proto)
{
	struct function *f = &x->functions[index];
	char *key;
	int err = check_function(x, proto);

	if (err)
		return err;
	f->proto = proto;
	err = import_opset(proto->opset_import, proto->n_opset_import, &f->opset, x->diag);
	if (err) {
		finf_diag_prefix(x->diag, "function '" IMPORT_NAME_SHOWN "'", proto->name);
		return err;
	}
	key = make_key(x->arena, proto->domain, proto->name, proto->overload);
	err = key ? finf_map_put(&x->by_key, key, index) : -ENOMEM;
	if (err == -EEXIST)
		return finf_diag_set(x->diag, -EINVAL,
				     "function '" IMPORT_NAME_SHOWN "' is there twice",
				     proto->name);
	return err;
}

static struct function *find_function(struct expansion *x, const Onnx__NodeProto *node,
				      int *ret_err)
{
	char *key = make_key(x->arena, node->domain, node->op_type, node->overload);
	uint32_t index;

	*ret_err = key ? 0 : -ENOMEM;
	return key && finf_map_find(&x->by_key, key, &index) ? &x->functions[index] : NULL;
}

/* ---- names ------------------------------------------------------------------- */

/* Doubles among the model's own names are refused when its values are built. */
static int take(struct expansion *x, const char *name)
{
	int err = name && *name ? finf_map_put(&x->taken, name, 0) : 0;

	return err == -EEXIST ? 0 : err;
}

static int take_names(struct expansion *x, const Onnx__GraphProto *graph)
{
	int err = 0;

	for (size_t i = 0; !err && i < graph->n_initializer; i++)
		err = take(x, graph->initializer[i]->name);
	for (size_t i = 0; !err && i < graph->n_input; i++)
		err = take(x, graph->input[i]->name);
	for (size_t i = 0; !err && i < graph->n_node; i++)
		for (size_t k = 0; !err && k < graph->node[i]->n_output; k++)
			err = take(x, graph->node[i]->output[k]);
	return err;
}

/* "PREFIX/NAME" */
static int join_name(struct expansion *x, const struct scope *s, const char *name, char **ret)
{
	int err = charge(x, strlen(s->prefix) + strlen(name));

	if (err)
		return err;
	*ret = finf_arena_printf(x->arena, "%s/%s", s->prefix, name);
	return *ret ? 0 : -ENOMEM;
}

/* The same with a number behind it where a value of the model has that name. */
static int make_name(struct expansion *x, const struct scope *s, const char *name, char **ret)
{
	char *base, *made;
	int err = join_name(x, s, name, &base);

	if (!err)
		err = finf_map_put(&x->taken, made = base, 0);
	for (unsigned k = 2; err == -EEXIST; k++) {
		made = finf_arena_printf(x->arena, "%s.%u", base, k);
		err = made ? finf_map_put(&x->taken, made, 0) : -ENOMEM;
	}
	if (!err)
		*ret = made;
	return err;
}

static int add_local(struct expansion *x, struct scope *s, const char *name, char *actual)
{
	int err = finf_map_put(&s->by_name, name, s->n);

	if (err == -EEXIST)
		return finf_diag_set(x->diag, -EINVAL,
				     "'" IMPORT_NAME_SHOWN "' is defined twice in it", name);
	if (!err)
		s->locals[s->n++] = (struct local){.name = name, .actual = actual};
	return err;
}

static int add_locals(struct expansion *x, struct scope *s)
{
	static char left_out[] = "";
	const Onnx__FunctionProto *f = s->function;
	size_t most = f->n_input;
	int err;

	for (size_t i = 0; i < f->n_node; i++)
		most += f->node[i]->n_output;
	err = charge(x, most * sizeof(*s->locals));
	if (err)
		return err;
	s->locals = finf_arena_array(x->arena, most, sizeof(*s->locals));
	if (!s->locals)
		return -ENOMEM;
	for (size_t i = 0; !err && i < f->n_input; i++)
		err = add_local(x, s, f->input[i],
				i < s->call->n_input ? s->call->input[i] : left_out);
	for (size_t i = 0; !err && i < f->n_node; i++)
		for (size_t k = 0; !err && k < f->node[i]->n_output; k++)
			if (*f->node[i]->output[k])
				err = add_local(x, s, f->node[i]->output[k], NULL);
	return err;
}

/* An output that has a name already, an input for one, is handed on by Identity. */
static int hand_on(struct expansion *x, char *from, char *to)
{
	Onnx__NodeProto *node = finf_arena_alloc(x->arena, sizeof(*node));
	char **names = finf_arena_array(x->arena, 2, sizeof(*names));

	if (!node || !names)
		return -ENOMEM;
	if (!*from)
		return finf_diag_set(
			x->diag, -EINVAL,
			"output '" IMPORT_NAME_SHOWN "' is an input that the call leaves out", to);
	onnx__node_proto__init(node);
	node->op_type = finf_arena_str(x->arena, "Identity");
	names[0] = from;
	names[1] = to;
	node->n_input = node->n_output = 1;
	node->input = &names[0];
	node->output = &names[1];
	return node->op_type ? import_nodes_add(x->nodes, node, x->opset) : -ENOMEM;
}

static int bind_outputs(struct expansion *x, struct scope *s)
{
	const Onnx__FunctionProto *f = s->function;
	int err = 0;

	for (size_t i = 0; !err && i < s->call->n_output; i++) {
		char *to = s->call->output[i];
		uint32_t at;

		if (!finf_map_find(&s->by_name, f->output[i], &at))
			return finf_diag_set(x->diag, -EINVAL,
					     "nothing in it produces its output '" IMPORT_NAME_SHOWN
					     "'",
					     f->output[i]);
		if (!*to)
			continue;
		if (s->locals[at].actual)
			err = hand_on(x, s->locals[at].actual, to);
		else
			s->locals[at].actual = to;
	}
	return err;
}

/* Every name of the body gets one in the model. */
static int bind_names(struct expansion *x, struct scope *s)
{
	const Onnx__NodeProto *call = s->call;
	const Onnx__FunctionProto *f = s->function;
	int err;

	if (call->n_input > f->n_input || call->n_output > f->n_output)
		return finf_diag_set(x->diag, -EINVAL,
				     "%zu inputs and %zu outputs, but it has %zu and %zu",
				     call->n_input, call->n_output, f->n_input, f->n_output);
	for (size_t i = 0; !s->prefix && i < call->n_output; i++)
		if (*call->output[i])
			s->prefix = call->output[i];
	if (!s->prefix)
		return finf_diag_set(x->diag, -EINVAL, "no output of the call is used");
	err = add_locals(x, s);
	if (!err)
		err = bind_outputs(x, s);
	for (uint32_t i = 0; !err && i < s->n; i++)
		if (!s->locals[i].actual)
			err = make_name(x, s, s->locals[i].name, &s->locals[i].actual);
	return err;
}

/* The names of a node in the body as the model knows them. */
static int rename(struct expansion *x, const struct scope *s, size_t n, char **names, char ***ret)
{
	char **out = finf_arena_array(x->arena, n, sizeof(*out));
	uint32_t at;

	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		if (*names[i] && !finf_map_find(&s->by_name, names[i], &at))
			return finf_diag_set(x->diag, -EINVAL,
					     "'" IMPORT_NAME_SHOWN
					     "' is no input and no output of a node in it",
					     names[i]);
		out[i] = *names[i] ? s->locals[at].actual : names[i];
	}
	*ret = out;
	return 0;
}

/* ---- attributes -------------------------------------------------------------- */

static const Onnx__AttributeProto *find_attribute(Onnx__AttributeProto *const *list, size_t n,
						  const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(or_empty(list[i]->name), name))
			return list[i];
	return NULL;
}

static bool has_attribute(const Onnx__FunctionProto *f, const char *name)
{
	for (size_t i = 0; i < f->n_attribute; i++)
		if (!strcmp(f->attribute[i], name))
			return true;
	return find_attribute(f->attribute_proto, f->n_attribute_proto, name) != NULL;
}

/* What a call says must be asked for; only inside of functions may it refer to more. */
static int check_attributes(struct expansion *x, const struct scope *s)
{
	const Onnx__NodeProto *call = s->call;

	if (call->n_attribute > IMPORT_ATTRS_MAX)
		return finf_diag_set(x->diag, -EINVAL, "%zu attributes", call->n_attribute);
	for (size_t i = 0; i < call->n_attribute; i++) {
		const char *name = or_empty(call->attribute[i]->name);

		if (!has_attribute(s->function, name))
			return finf_diag_set(x->diag, -EINVAL,
					     "it has no attribute '" IMPORT_NAME_SHOWN "'", name);
		if (import_attr_refers(call->attribute[i]))
			return finf_diag_set(x->diag, -EINVAL,
					     "attribute '" IMPORT_NAME_SHOWN
					     "' refers to a function's, but the call is in none",
					     name);
	}
	return 0;
}

/*
 * An attribute of a node in the body: its own, or what it refers to. *ret is
 * NULL when the call leaves that out and there is no default: then the node has
 * none either.
 */
static int bind_attribute(struct expansion *x, const struct scope *s, Onnx__AttributeProto *own,
			  Onnx__AttributeProto **ret)
{
	const Onnx__FunctionProto *f = s->function;
	const char *name = own->ref_attr_name;
	const Onnx__AttributeProto *found;
	Onnx__AttributeProto *copy;

	*ret = import_attr_refers(own) ? NULL : own;
	if (*ret)
		return 0;
	if (!has_attribute(f, name))
		return finf_diag_set(x->diag, -EINVAL,
				     "attribute '" IMPORT_NAME_SHOWN
				     "' refers to '%.100s', which it does not have",
				     or_empty(own->name), name);
	found = find_attribute(s->call->attribute, s->call->n_attribute, name);
	if (!found)
		found = find_attribute(f->attribute_proto, f->n_attribute_proto, name);
	if (!found)
		return 0;
	if (own->has_type && found->has_type && own->type != found->type)
		return finf_diag_set(x->diag, -EINVAL,
				     "attribute '" IMPORT_NAME_SHOWN "' is of another type than '"
				     "%.100s', to which it refers",
				     or_empty(own->name), name);
	copy = finf_arena_dup(x->arena, found, sizeof(*found));
	if (!copy)
		return -ENOMEM;
	copy->name = own->name;
	copy->ref_attr_name = NULL;
	*ret = copy;
	return 0;
}

static int bind_attributes(struct expansion *x, const struct scope *s, Onnx__NodeProto *node)
{
	Onnx__AttributeProto **all, *bound;
	size_t n = 0, bytes = NODE_BYTES;

	if (node->n_attribute > IMPORT_ATTRS_MAX)
		return finf_diag_set(x->diag, -EINVAL, "%zu attributes", node->n_attribute);
	all = finf_arena_array(x->arena, node->n_attribute, sizeof(*all));
	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i < node->n_attribute; i++) {
		int err = bind_attribute(x, s, node->attribute[i], &bound);

		if (err)
			return err;
		if (!bound)
			continue;
		bytes += onnx__attribute_proto__get_packed_size(bound);
		all[n++] = bound;
	}
	node->attribute = all;
	node->n_attribute = n;
	return charge(x, bytes);
}

/* ---- calls --------------------------------------------------------------------- */

static int expand(struct expansion *x, Onnx__NodeProto *node, uint32_t opset, unsigned depth);

/* A node of the body as the model would have it. */
static int instantiate(struct expansion *x, const struct scope *s, const Onnx__NodeProto *from,
		       Onnx__NodeProto **ret)
{
	Onnx__NodeProto *node = finf_arena_dup(x->arena, from, sizeof(*from));
	int err = node ? bind_attributes(x, s, node) : -ENOMEM;

	if (!err)
		err = charge(x, (from->n_input + from->n_output) * sizeof(char *));
	if (!err)
		err = rename(x, s, from->n_input, from->input, &node->input);
	if (!err)
		err = rename(x, s, from->n_output, from->output, &node->output);
	if (!err && from->name && *from->name)
		err = join_name(x, s, from->name, &node->name);
	*ret = node;
	return err;
}

static int expand_body(struct expansion *x, struct scope *s, const struct function *f,
		       unsigned depth)
{
	Onnx__NodeProto *node;
	int err;

	err = bind_names(x, s);
	if (!err)
		err = check_attributes(x, s);
	if (err)
		return at_call(x, s->call, err);
	for (size_t i = 0; i < f->proto->n_node; i++) {
		err = instantiate(x, s, f->proto->node[i], &node);
		if (err)
			return at_call(x, s->call, err);
		err = expand(x, node, f->opset, depth);
		if (err)
			return err; /* names its place */
	}
	return 0;
}

static int expand_call(struct expansion *x, const Onnx__NodeProto *call, struct function *f,
		       unsigned depth)
{
	struct scope s = {.call = call, .function = f->proto};
	int err;

	if (f->active)
		return at_call(x, call,
			       finf_diag_set(x->diag, -ELOOP, "it calls itself, maybe by others"));
	if (depth > CALLS_DEPTH_MAX)
		return at_call(x, call,
			       finf_diag_set(x->diag, -EOPNOTSUPP,
					     "calls are nested more than %d deep",
					     CALLS_DEPTH_MAX));
	finf_map_init(&s.by_name);
	f->active = true;
	err = expand_body(x, &s, f, depth);
	f->active = false;
	finf_map_fini(&s.by_name);
	return err;
}

/* A call becomes a body, any other node is kept. */
static int expand(struct expansion *x, Onnx__NodeProto *node, uint32_t opset, unsigned depth)
{
	struct function *f;
	int err;

	f = find_function(x, node, &err);
	if (err)
		return err;
	return f ? expand_call(x, node, f, depth + 1) : import_nodes_add(x->nodes, node, opset);
}

static int expand_model(struct expansion *x, const Onnx__ModelProto *model)
{
	int err = take_names(x, model->graph);

	x->functions = finf_arena_array(x->arena, model->n_functions, sizeof(*x->functions));
	if (!x->functions)
		return -ENOMEM;
	for (size_t i = 0; !err && i < model->n_functions; i++)
		err = add_function(x, (uint32_t)i, model->functions[i]);
	for (size_t i = 0; !err && i < model->graph->n_node; i++)
		err = expand(x, model->graph->node[i], x->opset, 0);
	return err;
}

int import_nodes_add(struct import_nodes *nodes, const Onnx__NodeProto *node, uint32_t opset)
{
	int err = finf_grow(&nodes->at, &nodes->cap, nodes->n, sizeof(*nodes->at));

	if (!err)
		nodes->at[nodes->n++] = (struct import_node){.proto = node, .opset = opset};
	return err;
}

int import_expand(const Onnx__ModelProto *model, uint32_t opset, struct finf_arena *arena,
		  struct import_nodes *ret, struct finf_diag *diag)
{
	struct expansion x = {.nodes = ret, .opset = opset, .arena = arena, .diag = diag};
	int err = 0;

	if (!model->n_functions) {
		for (size_t i = 0; !err && i < model->graph->n_node; i++)
			err = import_nodes_add(ret, model->graph->node[i], opset);
		return err;
	}
	finf_map_init(&x.by_key);
	finf_map_init(&x.taken);
	err = expand_model(&x, model);
	finf_map_fini(&x.by_key);
	finf_map_fini(&x.taken);
	return err;
}
