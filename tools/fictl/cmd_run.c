/* SPDX-License-Identifier: MIT */
/* fictl: run (in this process) and infer (through fid). */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <fusedinf/engine.h>

#include "base/half.h"
#include "tools/fictl/group.h"

#define PORTS_MAX 64
#define TOP 5

struct run_opts {
	const char *sources[FINF_MEMBERS_MAX]; /* run: several are fused */
	uint32_t n_sources;
	bool share_inputs;
	const char *model, *inputs, *outputs, *device, *against;
	uint64_t threads, repeat, batch, pool_bytes;
	bool exact, latency;
};

/* ---- inputs ---------------------------------------------------------------------- */

static int get_inputs(const struct run_opts *opts, const struct finf_port *ports, uint32_t n,
		      struct tensor_file *ret, struct finf_diag *diag)
{
	int err;

	if (opts->inputs)
		return tensors_read(opts->inputs, ret, diag);
	err = tensors_make_up(ports, n, opts->batch, ret);
	if (err)
		finf_diag_set(diag, err, "cannot make inputs: %s", strerror(-err));
	return err;
}

/* ---- outputs ------------------------------------------------------------------------ */

static void print_top(const float *row, size_t n)
{
	size_t best[TOP];
	size_t found = 0;

	for (size_t i = 0; i < n; i++) {
		size_t at = found;

		while (at && row[i] > row[best[at - 1]])
			at--;
		if (at == TOP)
			continue;
		found += found < TOP;
		memmove(best + at + 1, best + at, (found - at - 1) * sizeof(best[0]));
		best[at] = i;
	}
	for (size_t i = 0; i < found; i++)
		printf("%s%zu: %.5g", i ? "  " : "  top ", best[i], (double)row[best[i]]);
	putchar('\n');
}

static void print_range(const float *x, size_t n)
{
	double sum = 0, low = INFINITY, high = -INFINITY;

	for (size_t i = 0; i < n; i++) {
		sum += (double)x[i];
		low = fmin(low, (double)x[i]);
		high = fmax(high, (double)x[i]);
	}
	printf("  min %.5g  mean %.5g  max %.5g\n", low, sum / (double)n, high);
}

/* The numbers of a float tensor of at most 32 bits; NULL for others. free(). */
static float *as_floats(const struct finf_tensor *t)
{
	size_t n = t->bytes / FINF_MAX(finf_dtype_bytes(t->dtype), (size_t)1);
	const uint16_t *bits = t->data;
	float *x = NULL;

	if (t->dtype == FINF_F32 || finf_dtype_is_half(t->dtype))
		x = malloc(FINF_MAX(n, (size_t)1) * sizeof(*x));
	for (size_t i = 0; x && i < n; i++)
		x[i] = t->dtype == FINF_F32   ? ((const float *)t->data)[i]
		       : t->dtype == FINF_F16 ? finf_half_value(bits[i])
					      : finf_brain_value(bits[i]);
	return x;
}

static void print_outputs(const struct finf_tensor *outputs, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct finf_tensor *out = &outputs[i];
		float *x = as_floats(out);
		size_t count;
		char shape[128];

		finf_shape_text(&out->shape, shape, sizeof(shape));
		printf("%s %s %s\n", out->name, finf_dtype_name(out->dtype), shape);
		if (!x || finf_shape_count(&out->shape, &count) || !count)
			count = 0;
		else if (out->shape.rank == 2 && out->shape.dim[0] <= 8)
			for (int64_t r = 0; r < out->shape.dim[0]; r++)
				print_top(x + r * out->shape.dim[1], (size_t)out->shape.dim[1]);
		else
			print_range(x, count);
		free(x);
	}
}

static json_t *outputs_json(const struct finf_tensor *outputs, uint32_t n)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < n; i++) {
		json_t *shape = json_array();

		for (uint32_t d = 0; d < outputs[i].shape.rank; d++)
			json_array_append_new(shape, json_integer(outputs[i].shape.dim[d]));
		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:o}", "name", outputs[i].name, "dtype",
						finf_dtype_name(outputs[i].dtype), "shape", shape));
	}
	return list;
}

static void free_outputs(struct finf_tensor *outputs, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		free(outputs[i].data);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* ---- options ------------------------------------------------------------------------- */

static int parse_opts(struct fictl *ctl, int argc, char **argv, bool local, struct run_opts *opts)
{
	const char *threads = NULL, *repeat = NULL, *exact = NULL, *batch = NULL, *share = NULL;
	const char *optimize = NULL, *pool = NULL;
	const struct option_spec all[] = {{"--inputs", false, &opts->inputs},
					  {"--outputs", false, &opts->outputs},
					  {"--repeat", false, &repeat},
					  {"--batch", false, &batch},
					  {local ? "--threads" : "", false, &threads},
					  {local ? "--device" : "", false, &opts->device},
					  {local ? "--against" : "", false, &opts->against},
					  {local ? "--exact" : "", true, &exact},
					  {local ? "--pool" : "", false, &pool},
					  {local ? "--optimize" : "", false, &optimize},
					  {local ? "--share-input" : "", true, &share},
					  {0}};
	int n;

	*opts = (struct run_opts){.repeat = 1, .batch = 1};
	n = parse(ctl, argc, argv, all, opts->sources, local ? FINF_MEMBERS_MAX : 1);
	if (n < 0)
		return EXIT_USAGE;
	if (!n)
		return usage(ctl, local ? "which model file?" : "which model?");
	opts->model = opts->sources[0];
	opts->n_sources = (uint32_t)n;
	opts->share_inputs = share != NULL;
	if (threads && !parse_number(ctl, "--threads", threads, 1, 1024, &opts->threads))
		return EXIT_USAGE;
	if (repeat && !parse_number(ctl, "--repeat", repeat, 1, 1000000, &opts->repeat))
		return EXIT_USAGE;
	if (batch && !parse_number(ctl, "--batch", batch, 1, 65536, &opts->batch))
		return EXIT_USAGE;
	if (optimize && strcmp(optimize, "memory") && strcmp(optimize, "latency"))
		return usage(ctl, "--optimize takes memory or latency");
	if (pool && !parse_number(ctl, "--pool", pool, 4096, (uint64_t)1 << 50, &opts->pool_bytes))
		return EXIT_USAGE;
	opts->exact = exact != NULL;
	opts->latency = optimize && !strcmp(optimize, "latency");
	return EXIT_DONE;
}

/* ---- one way to run, two places ----------------------------------------------------------- */

/* Both doors look the same from here: where the model runs is in ctx. */
struct door {
	int (*infer)(struct door *door, const struct finf_tensor *in, uint32_t n_in,
		     struct finf_tensor *out, uint32_t n_out, struct finf_diag *diag);
	struct finf_engine *engine;
	struct finf_client *client;
	const char *model;
	struct finf_client_times times; /* of the first request through fid */
	bool first;
};

static int infer_engine(struct door *door, const struct finf_tensor *in, uint32_t n_in,
			struct finf_tensor *out, uint32_t n_out, struct finf_diag *diag)
{
	return finf_engine_infer(door->engine, "model", in, n_in, out, n_out, diag);
}

static int infer_client(struct door *door, const struct finf_tensor *in, uint32_t n_in,
			struct finf_tensor *out, uint32_t n_out, struct finf_diag *diag)
{
	struct finf_client_times times;
	int err = finf_client_infer(door->client, door->model, in, n_in, out, n_out, &times, diag);

	if (!err && !door->first) {
		door->times = times;
		door->first = true;
	}
	return err;
}

static void report(struct fictl *ctl, const struct run_opts *opts, const struct door *door,
		   const struct finf_tensor *outputs, uint32_t n_out, uint64_t *ns)
{
	uint64_t first = ns[0];
	size_t n = (size_t)opts->repeat;
	json_t *doc;

	qsort(ns, n, sizeof(*ns), by_value);
	if (!ctl->json) {
		print_outputs(outputs, n_out);
		printf("first %s", ns_text(first));
		if (door->client && door->times.cold)
			printf(" (cold: load %s)", ns_text(door->times.load_ns));
		if (n > 1)
			printf(", median of %zu %s (p10 %s, p90 %s)", n, ns_text(ns[n / 2]),
			       ns_text(ns[n / 10]), ns_text(ns[n - 1 - n / 10]));
		putchar('\n');
		return;
	}
	doc = json_pack("{s:s, s:o, s:I, s:I, s:I, s:I, s:I}", "model", opts->model, "outputs",
			outputs_json(outputs, n_out), "first_ns", (json_int_t)first, "median_ns",
			(json_int_t)ns[n / 2], "p10_ns", (json_int_t)ns[n / 10], "p90_ns",
			(json_int_t)ns[n - 1 - n / 10], "n", (json_int_t)n);
	if (door->client)
		json_object_set_new(doc, "times",
				    json_pack("{s:b, s:I, s:I, s:I}", "cold", door->times.cold, "queue_ns",
					      (json_int_t)door->times.queue_ns, "load_ns",
					      (json_int_t)door->times.load_ns, "run_ns",
					      (json_int_t)door->times.run_ns));
	print_json(doc);
}

static int run_through(struct fictl *ctl, const struct run_opts *opts, struct door *door,
		       const struct tensor_file *inputs, uint32_t n_out)
{
	struct finf_tensor outputs[PORTS_MAX] = {0};
	uint64_t *ns = calloc(opts->repeat, sizeof(*ns));
	struct finf_diag diag = {{0}};
	int err = ns ? 0 : -ENOMEM;

	for (uint64_t i = 0; !err && i < opts->repeat; i++) {
		uint64_t start = finf_now_ns();

		err = door->infer(door, inputs->tensors, inputs->n, outputs, n_out, &diag);
		if (!err)
			ns[i] = finf_now_ns() - start;
	}
	if (!err && opts->outputs)
		err = tensors_write(opts->outputs, outputs, n_out, &diag);
	if (err)
		failed(ctl, err, "%s: %s", opts->model, diag.text[0] ? diag.text : strerror(-err));
	else
		report(ctl, opts, door, outputs, n_out, ns);
	free_outputs(outputs, n_out);
	free(ns);
	return err ? EXIT_FAILED : EXIT_DONE;
}

/* ---- run -------------------------------------------------------------------------------------- */

/* Several files are fused first; the pack's name is needed only until it is open. */
static int add_model(struct finf_engine *engine, const struct run_opts *opts,
		     struct finf_diag *diag)
{
	struct finf_merge_opts merge = {.size = sizeof(merge), .share_inputs = opts->share_inputs};
	char dir[PATH_MAX], path[PATH_MAX + sizeof(PACK_FILE) + 1];
	struct group *group;
	int err;

	if (opts->n_sources == 1)
		return finf_engine_add(engine, opts->model, "model", diag);
	group = malloc(sizeof(*group));
	if (!group)
		return -ENOMEM;
	err = group_open(group, NULL, "group", opts->sources, opts->n_sources, &merge, diag);
	if (!err)
		err = pack_graph_in(group->graph, dir, diag);
	group_close(group);
	free(group);
	if (err)
		return err;
	snprintf(path, sizeof(path), "%s/" PACK_FILE, dir);
	err = finf_engine_add(engine, path, "model", diag);
	pack_drop(dir);
	return err;
}

static int run_engine(struct fictl *ctl, const struct run_opts *opts, struct finf_engine *engine)
{
	struct door door = {.infer = infer_engine, .engine = engine};
	struct finf_port in[PORTS_MAX], out[PORTS_MAX];
	uint32_t n_in = PORTS_MAX, n_out = PORTS_MAX;
	struct finf_diag diag = {{0}};
	struct tensor_file inputs;
	int err = add_model(engine, opts, &diag), rc;

	if (!err)
		err = finf_engine_ports(engine, "model", in, &n_in, out, &n_out);
	if (!err && (n_in > PORTS_MAX || n_out > PORTS_MAX))
		err = finf_diag_set(&diag, -EOPNOTSUPP, "more than %d inputs or outputs", PORTS_MAX);
	if (!err)
		err = get_inputs(opts, in, n_in, &inputs, &diag);
	if (err)
		return failed(ctl, err, "%s", diag.text[0] ? diag.text : strerror(-err));
	rc = run_through(ctl, opts, &door, &inputs, n_out);
	tensors_free(&inputs);
	return rc;
}

/* ---- run --against: the same inputs on two devices ------------------------------------------------ */

#define AGAINST_MAX 1e-4 /* relative L2 that is still the same answer */

static int answers_on(const struct run_opts *opts, const char *device, struct finf_tensor *ret,
		      uint32_t *ret_n, struct finf_diag *diag)
{
	struct finf_engine_opts engine_opts = {.size = sizeof(engine_opts), .device = device,
					       .threads = (uint32_t)opts->threads};
	struct finf_port in[PORTS_MAX], out[PORTS_MAX];
	uint32_t n_in = PORTS_MAX, n_out = PORTS_MAX;
	struct tensor_file inputs = {0};
	struct finf_engine *engine;
	int err = finf_engine_open(&engine_opts, &engine, diag);

	if (err)
		return err;
	err = finf_engine_add(engine, opts->model, "model", diag);
	if (!err)
		err = finf_engine_ports(engine, "model", in, &n_in, out, &n_out);
	if (!err && (n_in > PORTS_MAX || n_out > PORTS_MAX))
		err = finf_diag_set(diag, -EOPNOTSUPP, "more than %d inputs or outputs", PORTS_MAX);
	if (!err)
		err = get_inputs(opts, in, n_in, &inputs, diag);
	if (!err) {
		err = finf_engine_infer(engine, "model", inputs.tensors, inputs.n, ret, n_out, diag);
		tensors_free(&inputs);
		*ret_n = n_out;
	}
	finf_engine_close(engine);
	return err;
}

/* ||a - b|| / ||b||; infinite when they differ in more than numbers, or hold what is none. */
static double difference(const struct finf_tensor *a, const struct finf_tensor *b)
{
	size_t n = a->bytes / FINF_MAX(finf_dtype_bytes(a->dtype), (size_t)1);
	double off = 0, norm = 0;
	float *x, *y;

	if (a->dtype != b->dtype || a->bytes != b->bytes)
		return INFINITY;
	x = as_floats(a);
	y = as_floats(b);
	if (!x || !y)
		off = memcmp(a->data, b->data, a->bytes) ? INFINITY : 0;
	for (size_t i = 0; x && y && i < n; i++) {
		off += ((double)x[i] - y[i]) * ((double)x[i] - y[i]);
		norm += (double)y[i] * y[i];
	}
	free(x);
	free(y);
	if (!isfinite(off) || !isfinite(norm))
		return INFINITY;
	return off > 0 ? sqrt(off / norm) : 0;
}

static int run_against(struct fictl *ctl, const struct run_opts *opts)
{
	struct finf_tensor a[PORTS_MAX] = {0}, b[PORTS_MAX] = {0};
	const char *device = opts->device ? opts->device : "host";
	struct finf_diag diag = {{0}};
	uint32_t n_a = 0, n_b = 0;
	double worst = 0;
	int err = answers_on(opts, device, a, &n_a, &diag), rc = EXIT_DONE;

	if (!err)
		err = answers_on(opts, opts->against, b, &n_b, &diag);
	for (uint32_t i = 0; !err && i < n_a; i++)
		worst = fmax(worst, n_a == n_b ? difference(&a[i], &b[i]) : INFINITY);
	if (err)
		rc = failed(ctl, err, "%s", diag.text[0] ? diag.text : strerror(-err));
	else if (!(worst <= AGAINST_MAX))
		rc = failed(ctl, -EBADMSG, "%s on %s against %s: relative L2 %.3g, more than %g",
			    opts->model, device, opts->against, worst, AGAINST_MAX);
	else if (ctl->json)
		rc = print_json(json_pack("{s:s, s:s, s:s, s:f}", "model", opts->model, "device", device,
					  "against", opts->against, "relative_l2", worst));
	else
		printf("%s on %s against %s: relative L2 %.3g\n", opts->model, device, opts->against,
		       worst);
	free_outputs(a, PORTS_MAX);
	free_outputs(b, PORTS_MAX);
	return err == -ENODEV ? EXIT_CANNOT : rc;
}

static int cmd_run(struct fictl *ctl, int argc, char **argv)
{
	struct finf_engine_opts engine_opts = {.size = sizeof(engine_opts)};
	struct finf_engine *engine;
	struct finf_diag diag = {{0}};
	struct run_opts opts;
	int rc = parse_opts(ctl, argc, argv, true, &opts), err;

	if (rc != EXIT_DONE)
		return rc;
	if (opts.against)
		return run_against(ctl, &opts);
	engine_opts.device = opts.device;
	engine_opts.threads = (uint32_t)opts.threads;
	engine_opts.exact = opts.exact;
	engine_opts.pool_bytes = opts.pool_bytes;
	engine_opts.optimize = opts.latency ? FINF_OPTIMIZE_LATENCY : FINF_OPTIMIZE_MEMORY;
	err = finf_engine_open(&engine_opts, &engine, &diag);
	if (err == -ENODEV) {
		failed(ctl, err, "%s", diag.text);
		return EXIT_CANNOT;
	}
	if (err)
		return failed(ctl, err, "%s", diag.text[0] ? diag.text : strerror(-err));
	rc = run_engine(ctl, &opts, engine);
	finf_engine_close(engine);
	return rc;
}

/* ---- infer --------------------------------------------------------------------------------------- */

static enum finf_dtype dtype_by_name(const char *name)
{
	for (int i = 1; i < 32; i++)
		if (finf_dtype_bytes((enum finf_dtype)i) &&
		    !strcmp(finf_dtype_name((enum finf_dtype)i), name))
			return (enum finf_dtype)i;
	return FINF_DTYPE_NONE;
}

/* Strings are borrowed from @list. */
static uint32_t ports_of(const json_t *list, struct finf_port *ports)
{
	const json_t *port, *dim;
	size_t i, d;

	json_array_foreach(list, i, port) {
		if (i == PORTS_MAX)
			break;
		ports[i] = (struct finf_port){.name = json_text(port, "name"),
					      .dtype = dtype_by_name(json_text(port, "dtype"))};
		json_array_foreach(json_object_get(port, "shape"), d, dim)
			if (d < FINF_RANK_MAX)
				ports[i].shape.dim[ports[i].shape.rank++] = json_integer_value(dim);
	}
	return (uint32_t)FINF_MIN(json_array_size(list), (size_t)PORTS_MAX);
}

static int infer_ports(struct fictl *ctl, const struct run_opts *opts, const json_t *about)
{
	struct door door = {.infer = infer_client, .model = opts->model};
	struct finf_port in[PORTS_MAX], out[PORTS_MAX];
	uint32_t n_in = ports_of(json_object_get(about, "inputs"), in);
	uint32_t n_out = ports_of(json_object_get(about, "outputs"), out);
	struct finf_diag diag = {{0}};
	struct tensor_file inputs;
	int rc, err;

	err = get_inputs(opts, in, n_in, &inputs, &diag);
	if (err)
		return failed(ctl, err, "%s", diag.text[0] ? diag.text : strerror(-err));
	rc = connect_fid(ctl, &door.client);
	if (rc == EXIT_DONE) {
		rc = run_through(ctl, opts, &door, &inputs, n_out);
		finf_client_close(door.client);
	}
	tensors_free(&inputs);
	return rc;
}

static int cmd_infer(struct fictl *ctl, int argc, char **argv)
{
	struct run_opts opts;
	json_t *about;
	int rc = parse_opts(ctl, argc, argv, false, &opts);

	if (rc != EXIT_DONE)
		return rc;
	rc = control(ctl, json_pack("{s:s, s:s}", "command", "inspect", "model", opts.model), &about);
	if (rc != EXIT_DONE)
		return rc;
	rc = infer_ports(ctl, &opts, about);
	json_decref(about);
	return rc;
}

#define FILES_HELP                                                                                 \
	"FILE is an .npz with tensor names as keys, an .npy when there is one tensor, or (inputs)\n" \
	"a folder with input_K.pb. Without --inputs, floats are made up (seeded, -1 to 1) and\n"    \
	"dimensions that may vary are set to --batch (1).\n"

const struct command commands_run[] = {
	{"run",
	 "MODEL.onnx|MODEL.fim... [--inputs FILE] [--outputs FILE] [--threads N] [--device host|cuda[:N]]\n"
	 "                 [--repeat N] [--batch N] [--exact] [--optimize memory|latency]\n"
	 "                 [--share-input] [--against DEVICE] [--pool BYTES]",
	 "run a model in this process, no daemon",
	 FILES_HELP
	 "--exact uses the plain reference kernels: slow, and what all others must equal.\n"
	 "--optimize latency lets weights grow (Winograd's transform) where that was measured to be\n"
	 "faster on this machine; memory, the default, never does.\n"
	 "--against runs it once on each device and fails when the relative L2 is above 1e-4.\n"
	 "Several files are fused and run\n"
	 "as one; MEMBER=FILE names one, --share-input makes one input of those that are alike.\n",
	 cmd_run},
	{"infer",
	 "NAME[:VERSION][/MEMBER] [--inputs FILE] [--outputs FILE] [--repeat N] [--batch N]",
	 "one request to fid, which loads the model when it must",
	 FILES_HELP "Of a group all members run, or with /MEMBER one of them alone.\n", cmd_infer},
	{0},
};
