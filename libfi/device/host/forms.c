/* SPDX-License-Identifier: MIT */
/* host: describe - which forms a node can have here, and what each would cost. */
#include <errno.h>
#include <string.h>

#include "device/host/host.h"
#include "device/host/tiles.h"
#include "device/join.h"

/* ref, alias, two joins, attention, oneDNN in four combinations of layouts and by Winograd, columns,
 * two in tiles. */
#define FORMS_MAX 13

struct form_list {
	struct finf_form forms[FORMS_MAX];
	uint32_t n;
};

/* ---- prices ---------------------------------------------------------------------- */

/*
 * Rough on purpose: enough to keep blocked layouts through a network and never
 * to choose the reference beside oneDNN. GFLOP/s and GB/s per thread as seen on
 * AVX-512 cores (ResNet18, VGG16 and MobileNetV2 layers); other cores keep the
 * proportions.
 */
#define JIT_GFLOPS	125.0
#define JIT_PIXELS	16.0 /* so many, and a direct convolution waits half its time for weights */
#define COLUMNS_GFLOPS	100.0
#define COLUMNS_PIXELS	2.0 /* the same of its product */
#define COLUMNS_MAX	32 /* with more a direct convolution is as fast, and takes no workspace */
#define WINOGRAD_GFLOPS 220.0 /* of the multiplications that it saves, too */
#define GEMM_GFLOPS	75.0
#define IM2COL_GFLOPS	50.0 /* of a gemm whose columns have to be gathered first */
#define GEMM_COLUMNS	16.0 /* fewer leave a gemm's vectors empty: groups of few channels */
#define THREAD_GBYTES	20.0
#define MEMORY_GBYTES	60.0
#define ONEDNN_START_NS 1000.0
#define TILES_GFLOPS	20.0 /* additions in first-level caches */
#define REF_GFLOPS	0.5
#define REF_GBYTES	0.5
#define REF_START_NS	10000.0

/* How much of its speed a convolution reaches that has half of it with @half pixels. */
static double share_of_pixels(const struct finf_site *site, double half)
{
	double pixels = (double)finf_host_columns_pixels(site);

	return pixels > 0 ? pixels / (pixels + half) : 1;
}

static double gflops_of(const struct finf_site *site, const char *impl)
{
	const struct finf_value *w = finf_site_in(site, 1);
	double columns, best = GEMM_GFLOPS;

	if (site->winograd)
		return WINOGRAD_GFLOPS;
	if (!strstr(impl, "gemm"))
		return JIT_GFLOPS * share_of_pixels(site, JIT_PIXELS);
	if (!finf_site_is_conv(site))
		return GEMM_GFLOPS;
	for (uint32_t i = 2; i < w->shape.rank; i++)
		if (w->shape.dim[i] > 1)
			best = IM2COL_GFLOPS;
	columns = (double)w->shape.dim[0] / (double)finf_node_int(site->node, "group", 1);
	return best * FINF_MIN(columns / GEMM_COLUMNS, 1.0) * share_of_pixels(site, JIT_PIXELS);
}

static double elements(const struct finf_value *value)
{
	double n = 1;

	for (uint32_t i = 0; value && i < value->shape.rank; i++)
		n *= (double)value->shape.dim[i];
	return value ? n : 0;
}

/* Both products have about as many: of a value for each key, where V is one. */
static double attention_per_output(const struct finf_site *site)
{
	const struct finf_shape *k = &finf_site_in(site, 1)->shape;
	uint32_t n, last;
	const int64_t *perm = finf_node_ints(site->node, "perm_k", &n);

	return finf_axis(perm && n ? perm[n - 1] : -1, k->rank, &last) ? 4.0 * (double)k->dim[last]
								       : 1;
}

/* Floating point operations of one output element. */
static double work_per_output(const struct finf_site *site)
{
	const char *name = site->node->op->name;
	const struct finf_value *x = finf_site_in(site, 0), *w = finf_site_in(site, 1);
	const int64_t *kernel;
	double taps = 1;
	uint32_t n;

	if (finf_site_is_conv(site) && w->shape.rank && w->shape.dim[0])
		return 2 * elements(w) / (double)w->shape.dim[0];
	if (!strcmp(name, "Gemm") && x->shape.rank == 2)
		return 2.0 * (double)x->shape.dim[finf_node_int(site->node, "transA", 0) ? 0 : 1];
	if ((!strcmp(name, "MatMul") || !strcmp(name, "FusedMatMul")) && x->shape.rank)
		return 2.0 * (double)x->shape.dim[x->shape.rank - 1];
	if (!strcmp(name, "ConvTranspose") && w->shape.rank > 1 && w->shape.dim[1])
		return 2 * elements(w) / (double)w->shape.dim[1];
	if (!strcmp(name, "FusedAttention"))
		return attention_per_output(site);
	kernel = finf_node_ints(site->node, "kernel_shape", &n);
	for (uint32_t i = 0; i < n; i++)
		taps *= (double)kernel[i];
	return taps;
}

static double bytes_touched(const struct finf_site *site)
{
	double bytes = 0;

	for (uint32_t i = 0; i < site->node->n_in; i++)
		bytes += 4 * elements(finf_site_in(site, i));
	for (uint32_t i = 0; i < site->node->n_out; i++)
		bytes += 4 * elements(finf_site_out(site, i));
	return bytes;
}

static uint64_t price(const struct finf_site *site, double start_ns, double gflops, double gbytes)
{
	double flops = elements(finf_site_out(site, 0)) * work_per_output(site);
	double ns = start_ns + FINF_MAX(flops / gflops, bytes_touched(site) / gbytes);

	return ns < 1e18 ? (uint64_t)ns : (uint64_t)1e18;
}

/*
 * oneDNN 3.6 and newer runs a convolution of plain activations by channels last, with a reorder
 * before and one behind that it hides: "ncsp". Measured (3.12.1, 2 threads): mobilenet_v2 takes
 * 6.5 ms so, 3.6 ms in blocks of channels. Each reorder reads and writes.
 */
static double hidden_ns(const struct finf_site *site, const char *impl, double gbytes)
{
	double moved = elements(finf_site_in(site, 0)) + elements(finf_site_out(site, 0));

	return strstr(impl, "ncsp") ? 2 * ONEDNN_START_NS + 8 * moved / gbytes : 0;
}

static uint64_t price_onednn(const struct finf_site *site, const struct finf_build *b,
			     uint32_t threads)
{
	const char *impl = finf_dnn_pd_name(b->pd);
	double n = threads ? threads : 1, gbytes = FINF_MIN(n * THREAD_GBYTES, MEMORY_GBYTES);

	return price(site, ONEDNN_START_NS + hidden_ns(site, impl, gbytes),
		     n * gflops_of(site, impl), gbytes);
}

/* ---- ref --------------------------------------------------------------------------- */

static int plain_weight(const struct finf_site *site, uint32_t i, struct finf_weight_form *ret)
{
	const struct finf_value *value = finf_site_in(site, i);
	const struct finf_weight_form *given = finf_site_given(site, i);
	size_t bytes;
	int err = finf_tensor_bytes(value->dtype, &value->shape, &bytes);

	if (!err && given && (given->desc_bytes || given->bytes != bytes))
		err = -EOPNOTSUPP;
	if (!err)
		*ret = (struct finf_weight_form){.input = i, .bytes = bytes};
	return err;
}

/* Constants as they are, but for those that stay in the kernel. */
static int plain_weights(const struct finf_site *site, struct finf_arena *arena,
			 struct finf_form *form)
{
	const struct finf_node *node = site->node;
	int err = 0;

	form->weights = finf_arena_array(arena, node->n_in, sizeof(*form->weights));
	if (!form->weights)
		return -ENOMEM;
	for (uint32_t i = 0; i < node->n_in && !err; i++) {
		const struct finf_value *value = finf_site_in(site, i);

		if (value && value->is_const && !finf_ref_keeps(value))
			err = plain_weight(site, i, &form->weights[form->n_weights++]);
	}
	return err;
}

static int add_ref(const struct finf_site *site, struct finf_arena *arena, struct form_list *list)
{
	struct finf_form form = {
		.algo = FINF_HOST_REF,
		.name = "ref",
		.est_ns = price(site, REF_START_NS, REF_GFLOPS, REF_GBYTES),
	};
	int err = plain_weights(site, arena, &form);

	if (!err)
		list->forms[list->n++] = form;
	return err == -EOPNOTSUPP ? 0 : err; /* weights are blocked already */
}

/* ---- attention ------------------------------------------------------------------------ */

static int add_attention(const struct finf_site *site, uint32_t threads, struct finf_arena *arena,
			 struct form_list *list)
{
	struct finf_form form = {
		.algo = FINF_HOST_ATTENTION,
		.name = "attention",
		.est_ns = price(site, ONEDNN_START_NS, threads * GEMM_GFLOPS,
				FINF_MIN(threads * THREAD_GBYTES, MEMORY_GBYTES)),
	};
	int err = finf_host_attention_form(site, threads, &form);

	if (!err)
		err = plain_weights(site, arena, &form);
	if (!err)
		list->forms[list->n++] = form;
	return err == -EOPNOTSUPP ? 0 : err;
}

/* ---- alias --------------------------------------------------------------------------- */

/* Same bytes under another name or shape. A Dropout that trains does not come this far. */
static bool only_names_differ(const struct finf_site *site)
{
	static const char *const ops[] = {"Reshape",   "Flatten",  "Squeeze",
					  "Unsqueeze", "Identity", "Dropout"};
	const struct finf_value *x = finf_site_in(site, 0), *y = finf_site_out(site, 0);
	bool known = false;

	for (size_t i = 0; i < FINF_ARRAY_LEN(ops); i++)
		known |= !strcmp(site->node->op->name, ops[i]);
	return known && x && y && !x->is_const && x->dtype == y->dtype &&
	       site->node->act == FINF_ACT_NONE && !finf_site_out(site, 1);
}

static void add_alias(const struct finf_site *site, struct form_list *list)
{
	if (only_names_differ(site))
		list->forms[list->n++] = (struct finf_form){
			.algo = FINF_HOST_ALIAS,
			.flags = FINF_FORM_ALIAS,
			.name = "alias",
		};
}

/* ---- join ---------------------------------------------------------------------------- */

static void add_join(struct form_list *list, uint16_t layout)
{
	list->forms[list->n++] = (struct finf_form){
		.algo = FINF_HOST_JOIN,
		.flags = FINF_FORM_JOIN,
		.name = "join",
		.in_layout = layout,
		.out_layout = layout,
	};
}

/* In blocks of channels too, when no block is of two inputs. */
static void add_joins(const struct finf_site *site, uint16_t blocked, struct form_list *list)
{
	const struct finf_node *node = site->node;
	struct finf_dnn_md md;
	uint32_t axis;

	if (!finf_device_join_axis(site->graph, node, &axis))
		return;
	add_join(list, FINF_LAYOUT_PLAIN);
	if (axis != 1)
		return;
	for (uint32_t i = 0; i < node->n_in; i++) {
		const struct finf_value *value = finf_site_in(site, i);

		if (finf_host_layout_md(blocked, value->dtype, &value->shape, &md) ||
		    (i + 1 < node->n_in && value->shape.dim[1] % finf_host_block(blocked)))
			return;
	}
	add_join(list, blocked);
}

/* ---- oneDNN ---------------------------------------------------------------------------- */

static int add_weight(const struct finf_build *b, uint32_t k, struct finf_arena *arena,
		      struct finf_form *form)
{
	struct finf_weight_form *weight = &form->weights[form->n_weights++];

	weight->input = b->from[k].index;
	if (finf_dnn_md_bytes(&b->args[k].md, &weight->bytes))
		return -EOPNOTSUPP;
	if (!b->from[k].packed)
		return 0;
	return finf_host_desc_put(&b->args[k].md, arena, &weight->desc, &weight->desc_bytes);
}

static int build_to_form(const struct finf_site *site, const struct finf_build *b, uint32_t threads,
			 struct finf_arena *arena, struct finf_form *ret)
{
	struct finf_form form = {
		.algo = site->winograd ? FINF_HOST_WINOGRAD : FINF_HOST_ONEDNN,
		.flags = (b->inplace && site->in_layout == site->out_layout ? FINF_FORM_INPLACE
									   : 0) |
			 (b->sums ? FINF_FORM_INPLACE_LAST : 0) |
			 (site->winograd ? FINF_FORM_FAT : 0),
		.name = finf_arena_str(arena, finf_dnn_pd_name(b->pd)),
		.in_layout = site->in_layout,
		.out_layout = site->out_layout,
		.workspace_bytes = finf_build_scratch_bytes(b),
		.est_ns = price_onednn(site, b, threads),
	};
	int err = 0;

	form.weights = finf_arena_array(arena, b->n_args, sizeof(*form.weights));
	if (!form.name || !form.weights)
		return -ENOMEM;
	for (uint32_t k = 0; k < b->n_args && !err; k++)
		if (!b->from[k].out && finf_site_in(site, b->from[k].index)->is_const)
			err = add_weight(b, k, arena, &form);
	if (!err)
		*ret = form;
	return err;
}

static int add_built(const struct finf_site *site, uint32_t threads, struct finf_arena *arena,
		     struct form_list *list)
{
	struct finf_build b;
	int err = finf_build_site(site, &b);

	if (!err)
		err = build_to_form(site, &b, threads, arena, &list->forms[list->n]);
	finf_build_fini(&b);
	if (!err)
		list->n++;
	return err == -EOPNOTSUPP ? 0 : err;
}

static int add_onednn(struct finf_site *site, uint32_t threads, uint16_t blocked,
		      struct finf_arena *arena, struct form_list *list)
{
	int err = 0;

	for (unsigned i = 0; i < 4 && !err; i++) {
		site->in_layout = i & 1 ? blocked : FINF_LAYOUT_PLAIN;
		site->out_layout = i & 2 ? blocked : FINF_LAYOUT_PLAIN;
		err = add_built(site, threads, arena, list);
	}
	site->winograd = true; /* both are blocked now */
	if (!err)
		err = add_built(site, threads, arena, list);
	site->winograd = false;
	return err;
}

/* ---- columns -------------------------------------------------------------------------- */

/* Where it pays, or weights lie so already. */
static int add_columns(struct finf_site *site, uint32_t threads, struct finf_arena *arena,
		       struct form_list *list)
{
	struct finf_form form = {
		.algo = FINF_HOST_COLUMNS,
		.name = "columns",
		.in_layout = FINF_HOST_NCHW16C,
		.out_layout = FINF_HOST_NCHW16C,
	};
	int64_t pixels = finf_host_columns_pixels(site);
	double n = threads ? threads : 1, gbytes = FINF_MIN(n * THREAD_GBYTES, MEMORY_GBYTES);
	int err;

	if (!finf_site_given(site, 1) && (pixels < 1 || pixels > COLUMNS_MAX))
		return 0;
	site->in_layout = site->out_layout = FINF_HOST_NCHW16C;
	err = finf_host_columns_form(site, threads, arena, &form);
	if (err)
		return err == -EOPNOTSUPP ? 0 : err;
	form.est_ns = price(site, 3 * ONEDNN_START_NS + 2 * (double)form.workspace_bytes / gbytes,
			    n * COLUMNS_GFLOPS * share_of_pixels(site, COLUMNS_PIXELS), gbytes);
	list->forms[list->n++] = form;
	return 0;
}

/* ---- tiles ---------------------------------------------------------------------------- */

static int add_tiles(struct finf_site *site, uint32_t threads, uint16_t layout,
		     struct finf_arena *arena, struct form_list *list)
{
	struct finf_form form = {.algo = FINF_HOST_TILES,
				 .name = "tiles",
				 .in_layout = layout,
				 .out_layout = layout};
	double n = threads ? threads : 1, compute;
	uint32_t work;
	int err;

	site->in_layout = site->out_layout = layout;
	err = finf_host_tiles_form(site, threads, &form, &work);
	if (!err)
		err = plain_weights(site, arena, &form);
	if (err)
		return err == -EOPNOTSUPP ? 0 : err;
	compute = elements(finf_site_out(site, 0)) * work / (n * TILES_GFLOPS);
	form.est_ns = price(site, ONEDNN_START_NS + compute, 1e9,
			    FINF_MIN(n * THREAD_GBYTES, MEMORY_GBYTES));
	list->forms[list->n++] = form;
	return 0;
}

/* What oneDNN has, it does as fast. */
static int add_both_tiles(struct finf_site *site, uint32_t threads, uint16_t blocked,
			  struct finf_arena *arena, struct form_list *list)
{
	int err;

	for (uint32_t i = 0; i < list->n; i++)
		if (list->forms[i].algo == FINF_HOST_ONEDNN)
			return 0;
	err = add_tiles(site, threads, FINF_LAYOUT_PLAIN, arena, list);
	return err ? err : add_tiles(site, threads, blocked, arena, list);
}

/* ---- all of them -------------------------------------------------------------------------- */

static bool all_static(const struct finf_site *site)
{
	const struct finf_value *value;

	for (uint32_t i = 0; i < site->node->n_in; i++)
		if ((value = finf_site_in(site, i)) &&
		    (!value->has_shape || !finf_shape_is_static(&value->shape)))
			return false;
	for (uint32_t i = 0; i < site->node->n_out; i++)
		if ((value = finf_site_out(site, i)) &&
		    (!value->has_shape || !finf_shape_is_static(&value->shape)))
			return false;
	return true;
}

static int describe_site(struct finf_site *site, uint32_t threads, struct finf_arena *arena,
			 struct form_list *list)
{
	uint16_t blocked;
	uint32_t old;
	int err;

	if (!all_static(site))
		return finf_diag_set(site->diag, -EINVAL, "the graph is not bound to shapes");
	err = add_ref(site, arena, list);
	if (err || !site->dnn)
		return err;
	blocked = finf_dnn_block() == 16 ? FINF_HOST_NCHW16C : FINF_HOST_NCHW8C;
	add_alias(site, list);
	err = add_attention(site, threads, arena, list);
	if (err)
		return err;
	add_joins(site, blocked, list);
	old = finf_dnn_threads(threads);
	err = add_onednn(site, threads, blocked, arena, list);
	finf_dnn_threads(old);
	if (!err)
		err = add_columns(site, threads, arena, list);
	if (!err)
		err = add_both_tiles(site, threads, blocked, arena, list);
	return err;
}

int finf_host_describe(struct finf_device *dev, const struct finf_graph *graph, uint32_t node,
		       uint32_t threads, const struct finf_weight_form *fixed, uint32_t n_fixed,
		       struct finf_arena *arena, struct finf_form_list *ret, struct finf_diag *diag)
{
	struct finf_site site = {
		.dnn = ((struct finf_host *)dev)->dnn,
		.graph = graph,
		.node = &graph->nodes[node],
		.given = fixed,
		.n_given = n_fixed,
		.diag = diag,
	};
	struct form_list list = {.n = 0};
	struct finf_form *forms = NULL;
	int err = describe_site(&site, threads, arena, &list);

	if (!err && !list.n)
		err = finf_diag_set(diag, -EOPNOTSUPP, "no form has weights in the given layouts");
	if (!err && !(forms = finf_arena_dup(arena, list.forms, list.n * sizeof(list.forms[0]))))
		err = finf_diag_set(diag, -ENOMEM, "out of memory");
	if (err) {
		finf_diag_prefix(diag, "node %s, operator %s", site.node->name,
				 site.node->op->name);
		return err;
	}
	ret->forms = forms;
	ret->n = list.n;
	return 0;
}
