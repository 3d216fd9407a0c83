/* SPDX-License-Identifier: MIT */
/* fictl: what a model or a file of one holds: inspect, verify, plan. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/engine.h"
#include "import/import.h"
#include "pack/pack.h"
#include "tools/fictl/group.h"

/* ---- inspect and verify ------------------------------------------------------------------ */

static bool is_onnx(const char *path)
{
	size_t len = strlen(path);

	return len > 5 && !strcmp(path + len - 5, ".onnx");
}

static int open_pack(const char *path, struct finf_pack **ret_pack, struct finf_diag *diag)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err;

	if (fd < 0)
		return finf_diag_set(diag, -errno, "%s: %s", path, strerror(errno));
	err = finf_pack_open(fd, path, ret_pack, diag);
	close(fd);
	return err;
}

static json_t *ports_json(const struct finf_graph *graph, const uint32_t *values, uint32_t n)
{
	json_t *ports = json_array();

	for (uint32_t i = 0; i < n; i++) {
		const struct finf_value *value = &graph->values[values[i]];
		json_t *shape = json_array();

		for (uint32_t d = 0; d < value->shape.rank; d++)
			json_array_append_new(shape, json_integer(value->shape.dim[d]));
		json_array_append_new(ports, json_pack("{s:s, s:s, s:o}", "name", value->name, "dtype",
						       finf_dtype_name(value->dtype), "shape", shape));
	}
	return ports;
}

static json_t *members_json(const struct finf_graph *graph)
{
	json_t *members = json_array();

	for (uint32_t m = 0; m < graph->n_members; m++) {
		const struct finf_member *member = &graph->members[m];
		json_t *inputs = json_array(), *outputs = json_array();

		for (uint32_t i = 0; i < member->n_inputs; i++)
			json_array_append_new(inputs, json_string(member->inputs[i].name));
		for (uint32_t i = 0; i < member->n_outputs; i++)
			json_array_append_new(outputs, json_string(member->outputs[i].name));
		json_array_append_new(members, json_pack("{s:s, s:o, s:o}", "name", member->name,
							 "inputs", inputs, "outputs", outputs));
	}
	return members;
}

static json_t *graph_json(const struct finf_graph *graph)
{
	json_t *doc = json_object(), *ops = json_object();
	uint64_t weights = 0, bytes = 0;

	for (uint32_t i = 0; i < graph->n_nodes; i++) {
		const char *name = graph->nodes[i].op->name;

		json_object_set_new(ops, name,
				    json_integer(json_integer_value(json_object_get(ops, name)) + 1));
	}
	for (uint32_t i = 0; i < graph->n_values; i++)
		if (graph->values[i].is_const && !finf_graph_const_inline(&graph->values[i])) {
			weights++;
			bytes += graph->values[i].bytes;
		}
	json_object_set_new(doc, "graph", json_string(graph->name ? graph->name : ""));
	json_object_set_new(doc, "inputs", ports_json(graph, graph->inputs, graph->n_inputs));
	json_object_set_new(doc, "outputs", ports_json(graph, graph->outputs, graph->n_outputs));
	json_object_set_new(doc, "nodes", json_integer(graph->n_nodes));
	json_object_set_new(doc, "operators", ops);
	if (graph->n_members)
		json_object_set_new(doc, "members", members_json(graph));
	json_object_set_new(doc, "weights", json_integer((json_int_t)weights));
	json_object_set_new(doc, "parameter_bytes", json_integer((json_int_t)bytes));
	return doc;
}

static int inspect_file(const char *path, json_t **ret_doc, struct finf_diag *diag)
{
	struct finf_graph *graph;
	struct finf_pack *pack;
	int err;

	if (is_onnx(path)) {
		err = finf_import_file(path, &graph, diag);
		if (err)
			return err;
		*ret_doc = graph_json(graph);
		finf_graph_free(graph);
		return 0;
	}
	err = open_pack(path, &pack, diag);
	if (err)
		return err;
	*ret_doc = graph_json(pack->graph);
	json_object_set_new(*ret_doc, "target", json_string(pack->target));
	json_object_set_new(*ret_doc, "file_bytes", json_integer((json_int_t)pack->file_bytes));
	json_object_set_new(*ret_doc, "weight_bytes", json_integer((json_int_t)pack->weight_bytes));
	json_object_set_new(*ret_doc, "segments", json_integer(pack->n_segments));
	if (pack->plan)
		json_object_set_new(*ret_doc, "arena_bytes",
				    json_integer((json_int_t)pack->plan->arena_bytes));
	finf_pack_close(pack);
	return 0;
}

/* "1x3x224x224" of a JSON array; "?" where any number will do. */
static void print_shape(const json_t *shape)
{
	const json_t *dim;
	size_t i;

	json_array_foreach(shape, i, dim)
		if (json_integer_value(dim) < 0)
			printf("%s?", i ? "x" : "");
		else
			printf("%s%" JSON_INTEGER_FORMAT, i ? "x" : "", json_integer_value(dim));
	if (!json_array_size(shape))
		printf("scalar");
}

/* "WHAT a, b"; nothing without names. */
static void print_names(const char *what, const json_t *names)
{
	const json_t *name;
	size_t i;

	json_array_foreach(names, i, name)
		printf("%s%s%s", i ? ", " : what, i ? "" : " ", json_string_value(name));
}

/* A name, a member with its ports, or a port. */
static void print_item(const json_t *item)
{
	if (json_is_string(item)) {
		printf("  %s\n", json_string_value(item));
		return;
	}
	printf("  %s", json_text(item, "name"));
	if (json_object_get(item, "dtype")) {
		printf(" %s ", json_text(item, "dtype"));
		print_shape(json_object_get(item, "shape"));
	}
	print_names(": inputs", json_object_get(item, "inputs"));
	print_names("; outputs", json_object_get(item, "outputs"));
	putchar('\n');
}

static void print_value(const char *key, const json_t *value)
{
	const json_t *item;
	const char *name;
	size_t i;

	printf("%-18s ", key);
	if (json_is_string(value)) {
		printf("%s\n", json_string_value(value));
	} else if (json_is_integer(value)) {
		printf("%" JSON_INTEGER_FORMAT "\n", json_integer_value(value));
	} else if (json_is_boolean(value)) {
		printf("%s\n", json_is_true(value) ? "yes" : "no");
	} else if (json_is_object(value)) {
		json_object_foreach((json_t *)(uintptr_t)value, name, item)
			if (json_is_integer(item))
				printf("%s %" JSON_INTEGER_FORMAT "  ", name, json_integer_value(item));
			else if (json_is_string(item))
				printf("%s %s  ", name, json_string_value(item));
		putchar('\n');
	} else {
		putchar('\n');
		json_array_foreach(value, i, item) print_item(item);
	}
}

static int cmd_inspect(struct fictl *ctl, int argc, char **argv)
{
	const struct option_spec specs[] = {{0}};
	struct finf_diag diag = {{0}};
	const char *what, *key;
	json_t *doc, *value;
	int n = parse(ctl, argc, argv, specs, &what, 1), rc, err;

	if (n < 0)
		return EXIT_USAGE;
	if (!n)
		return usage(ctl, "which file or model?");
	if (is_file(what)) {
		err = inspect_file(what, &doc, &diag);
		if (err)
			return failed(ctl, err, "%s", diag.text[0] ? diag.text : strerror(-err));
	} else {
		rc = control(ctl, json_pack("{s:s, s:s}", "command", "inspect", "model", what), &doc);
		if (rc != EXIT_DONE)
			return rc;
	}
	if (ctl->json)
		return print_json(doc);
	json_object_foreach(doc, key, value)
		print_value(key, value);
	json_decref(doc);
	return EXIT_DONE;
}

static int cmd_verify(struct fictl *ctl, int argc, char **argv)
{
	const struct option_spec specs[] = {{0}};
	struct finf_diag diag = {{0}};
	struct finf_pack *pack;
	const char *path;
	int n = parse(ctl, argc, argv, specs, &path, 1), err;

	if (n < 0)
		return EXIT_USAGE;
	if (!n)
		return usage(ctl, "which .fim file?");
	err = open_pack(path, &pack, &diag);
	if (!err) {
		err = finf_pack_verify(pack, &diag);
		if (!err && ctl->json)
			print_json(json_pack("{s:s, s:s, s:i, s:I}", "file", path, "target", pack->target,
					     "segments", (int)pack->n_segments, "bytes",
					     (json_int_t)pack->file_bytes));
		else if (!err)
			printf("%s: good, %s pack, %" PRIu32 " segments, %s\n", path, pack->target,
			       pack->n_segments, bytes_text(pack->file_bytes));
		finf_pack_close(pack);
	}
	if (err)
		return failed(ctl, err, "%s", diag.text[0] ? diag.text : strerror(-err));
	return EXIT_DONE;
}

/* ---- plan ------------------------------------------------------------------------------------ */

static json_t *step_json(const struct finf_graph *bound, const struct finf_plan *plan,
			 const struct finf_step *step)
{
	json_t *deps = json_array();

	const struct finf_node *node = step->node == FINF_NONE ? NULL : &bound->nodes[step->node];
	const struct finf_plan_buffer *out =
		step->n_out && step->out[0].kind == FINF_OPERAND_BUFFER
			? &plan->buffers[step->out[0].index] : NULL;
	char shape[128] = "";

	for (uint32_t i = 0; i < step->n_deps; i++)
		json_array_append_new(deps, json_integer(step->deps[i]));
	if (out)
		finf_shape_text(&bound->values[out->value].shape, shape, sizeof(shape));
	return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:i, s:I, s:i, s:o}", "node",
			 node ? node->name : "(reorder)", "op", node ? node->op->name : "Reorder",
			 "form", step->form.name ? step->form.name : "", "shape", shape, "offset",
			 (json_int_t)(out ? out->offset : 0), "bytes",
			 (json_int_t)(out ? out->bytes : 0), "need_segments",
			 (int)step->need_segments, "est_ns", (json_int_t)step->form.est_ns,
			 "branch", (int)step->branch, "deps", deps);
}

static json_t *plan_json(const struct finf_graph *bound, const struct finf_plan *plan,
			 uint64_t live_bytes)
{
	json_t *steps = json_array();
	uint64_t workspace_bytes = 0;

	for (uint32_t i = 0; i < plan->n_steps; i++) {
		workspace_bytes = FINF_MAX(workspace_bytes, plan->steps[i].form.workspace_bytes);
		json_array_append_new(steps, step_json(bound, plan, &plan->steps[i]));
	}
	return json_pack("{s:b, s:I, s:I, s:i, s:b, s:i, s:I, s:I, s:I, s:I, s:i, s:i, s:i, s:i, s:I, s:o}",
			 "batched", bound->batched, "measured_alone_ns", (json_int_t)plan->side.list_ns, "measured_side_ns",
			 (json_int_t)plan->side.side_ns, "noise_pct", (int)plan->side.noise_pct,
			 "side_by_side", plan->side.n_lanes && !plan->side.off, "lanes",
			 (int)plan->side.n_lanes, "weight_bytes", (json_int_t)plan->weight_bytes, "arena_bytes",
			 (json_int_t)plan->arena_bytes, "live_bytes", (json_int_t)live_bytes, "workspace_bytes",
			 (json_int_t)workspace_bytes, "branches", (int)plan->n_branches, "segments",
			 (int)plan->n_segments, "weights", (int)plan->n_weights, "threads",
			 (int)plan->threads, "est_ns", (json_int_t)plan->est_ns, "steps", steps);
}

static void print_step(size_t i, const json_t *step)
{
	const json_t *dep;
	size_t k;

	printf("%4zu %6" PRIu64 " %-20s %-28.28s %-24s %-16s %10" PRIu64 " %10" PRIu64 " %4" PRIu64,
	       i, json_number(step, "branch"), json_text(step, "op"), json_text(step, "node"),
	       json_text(step, "form"), json_text(step, "shape"), json_number(step, "offset"),
	       json_number(step, "bytes"), json_number(step, "need_segments"));
	json_array_foreach(json_object_get(step, "deps"), k, dep)
		printf("%s%" JSON_INTEGER_FORMAT, k ? "," : "  after ", json_integer_value(dep));
	putchar('\n');
}

/* What was measured about members side by side, and what follows from it. */
static void print_side(const json_t *plan)
{
	bool on = json_is_true(json_object_get(plan, "side_by_side"));

	if (!json_number(plan, "measured_alone_ns")) {
		puts("one step at a time on all cores: side by side promised nothing");
		return;
	}
	printf("%s: side by side %s, one step at a time %s, measured now; runs were %" PRIu64
	       " %% longer than the fastest of their steps%s\n",
	       on ? "side by side on the cores" : "one step at a time on all cores",
	       ns_text(json_number(plan, "measured_side_ns")),
	       ns_text(json_number(plan, "measured_alone_ns")), json_number(plan, "noise_pct"),
	       !on && json_number(plan, "lanes") ? ": to be tried again" : "");
}

static void print_plan(const json_t *plan)
{
	const json_t *step;
	size_t i;

	if (json_number(plan, "branches") > 1)
		printf("%" PRIu64 " branches side by side; one after the other would take %s of "
		       "activations\n",
		       json_number(plan, "branches"),
		       bytes_text(json_number(plan, "arena_bytes_serial")));
	else if (json_number(plan, "arena_bytes_parallel"))
		printf("members one after the other, %s; side by side would take %s of "
		       "activations\n",
		       json_text(plan, "because"),
		       bytes_text(json_number(plan, "arena_bytes_parallel")));
	if (json_is_true(json_object_get(plan, "batched")))
		puts("batched: what members do alike is done once, for the rows of all of them");
	if (json_number(plan, "branches") > 1 && json_number(plan, "threads") > 1)
		print_side(plan);
	printf("weights %s in %" PRIu64 " segments, activations %s (at a step at most %s, workspace %s), %" PRIu64
	       " threads, about %s\n\n",
	       bytes_text(json_number(plan, "weight_bytes")), json_number(plan, "segments"),
	       bytes_text(json_number(plan, "arena_bytes")),
	       bytes_text(json_number(plan, "live_bytes")),
	       bytes_text(json_number(plan, "workspace_bytes")), json_number(plan, "threads"),
	       ns_text(json_number(plan, "est_ns")));
	printf("%4s %6s %-20s %-28s %-24s %-16s %10s %10s %4s\n", "STEP", "BRANCH", "OPERATOR",
	       "NODE", "FORM", "SHAPE", "OFFSET", "BYTES", "SEGS");
	json_array_foreach(json_object_get(plan, "steps"), i, step) print_step(i, step);
}

/* What the planner chose for a group, and what the other way would take. */
static int say_choice(struct finf_device *dev, struct finf_graph *graph,
		      const struct finf_shape *shapes, uint32_t threads,
		      const struct finf_plan *chosen, json_t *doc, struct finf_diag *diag)
{
	enum finf_schedule schedule = graph->schedule;
	bool serial = chosen->n_branches == 1;
	struct finf_graph *bound;
	struct finf_plan *other;
	int err;

	graph->schedule = serial ? FINF_SIDE_BY_SIDE : FINF_ONE_BY_ONE;
	err = finf_engine_plan(dev, graph, shapes, threads, 0, 0, NULL, &bound, &other, diag);
	graph->schedule = schedule;
	if (err)
		return err;
	if (serial)
		json_object_set_new(doc, "because",
				    json_string(schedule == FINF_ONE_BY_ONE ? "to save memory"
						: other->n_branches == 1
							? "as they share all their work"
							: "as the bytes allow no more"));
	json_object_set_new(doc, serial ? "arena_bytes_parallel" : "arena_bytes_serial",
			    json_integer((json_int_t)other->arena_bytes));
	finf_plan_free(other);
	finf_graph_free(bound);
	return 0;
}

static int plan_pack(const struct finf_pack *pack, uint64_t batch, uint32_t threads, uint64_t bytes,
		     json_t **ret_doc, struct finf_diag *diag)
{
	struct finf_graph *graph = pack->graph, *bound = NULL;
	struct finf_shape shapes[64];
	struct finf_device *dev = NULL;
	struct finf_plan *plan = NULL;
	uint64_t live_bytes;
	int err = 0;

	for (uint32_t i = 0; i < graph->n_inputs && i < FINF_ARRAY_LEN(shapes); i++) {
		shapes[i] = graph->values[graph->inputs[i]].shape;
		for (uint32_t d = 0; d < shapes[i].rank; d++)
			if (shapes[i].dim[d] == FINF_DIM_ANY)
				shapes[i].dim[d] = (int64_t)batch;
	}
	if (graph->n_inputs > FINF_ARRAY_LEN(shapes))
		err = finf_diag_set(diag, -EOPNOTSUPP, "%s has more than 64 inputs", pack->name);
	if (!err)
		err = finf_device_open("host", &dev, diag);
	if (!err)
		err = finf_engine_plan(dev, graph, shapes, threads, bytes, 0, NULL, &bound,
				       &plan, diag);
	if (!err)
		err = finf_plan_live_bytes(plan, &live_bytes);
	if (!err)
		*ret_doc = plan_json(bound, plan, live_bytes);
	if (!err && graph->n_members)
		err = say_choice(dev, graph, shapes, threads, plan, *ret_doc, diag);
	finf_plan_free(plan);
	finf_graph_free(bound);
	finf_device_close(dev);
	return err;
}

static int cmd_plan(struct fictl *ctl, int argc, char **argv)
{
	const char *what, *batch_text = NULL, *threads_text = NULL, *bytes_given = NULL;
	const struct option_spec specs[] = {{"--batch", false, &batch_text},
					    {"--threads", false, &threads_text},
					    {"--bytes", false, &bytes_given},
					    {0}};
	uint64_t bytes = 0, batch = 1,
		 threads = (uint64_t)FINF_MAX(sysconf(_SC_NPROCESSORS_ONLN), 1L);
	struct finf_diag diag = {{0}};
	struct finf_client *client = NULL;
	struct finf_pack *pack = NULL;
	json_t *doc = NULL;
	int n = parse(ctl, argc, argv, specs, &what, 1), rc, err;

	if (n < 0)
		return EXIT_USAGE;
	if (!n)
		return usage(ctl, "which file or model?");
	if (batch_text && !parse_number(ctl, "--batch", batch_text, 1, 65536, &batch))
		return EXIT_USAGE;
	if (threads_text && !parse_number(ctl, "--threads", threads_text, 1, 1024, &threads))
		return EXIT_USAGE;
	if (bytes_given && finf_size_parse(bytes_given, 0, &bytes))
		return usage(ctl, "--bytes: \"%s\" is not a size like 64M", bytes_given);
	if (!is_file(what)) {
		rc = connect_fid(ctl, &client);
		if (rc != EXIT_DONE)
			return rc;
	}
	err = pack_open(client, what, &pack, &diag);
	finf_client_close(client);
	if (!err)
		err = plan_pack(pack, batch, (uint32_t)threads, bytes, &doc, &diag);
	finf_pack_close(pack);
	if (err)
		return failed(ctl, err, "%s", diag.text[0] ? diag.text : strerror(-err));
	if (ctl->json)
		return print_json(doc);
	print_plan(doc);
	json_decref(doc);
	return EXIT_DONE;
}

const struct command commands_inspect[] = {
	{"inspect", "NAME|FILE.onnx|FILE.fim", "inputs, outputs, operators, weights of a model",
	 "A file is read here, without the daemon; a name is asked of fid.\n", cmd_inspect},
	{"verify", "FILE.fim", "check every byte of a packed model against its checksums", NULL,
	 cmd_verify},
	{"plan", "NAME|FILE.onnx|FILE.fim [--batch N] [--threads N] [--bytes SIZE]",
	 "the steps, forms and byte offsets of a run",
	 "--batch N is what every dimension that may vary is set to (1). --bytes SIZE is what\n"
	 "weights and activations of a group may take together: within it members run side by\n"
	 "side, unless the group was fused to save memory. A name is asked of fid.\n",
	 cmd_plan},
	{0},
};
