/* SPDX-License-Identifier: MIT */
/* fictl bench ipc: the round trip of the empty model, one Identity of one float. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "graph/graph.h"
#include "graph/op.h"
#include "pack/pack.h"
#include "tools/fictl/bench.h"


static int empty_graph(struct finf_graph **ret_graph)
{
	const struct finf_shape one = {.rank = 1, .dim = {1}};
	struct finf_graph *graph;
	uint32_t in, out, node;
	int err = finf_graph_new("empty", &graph);

	if (err)
		return err;
	err = finf_graph_value(graph, "input", FINF_F32, &one, &in);
	if (!err)
		err = finf_graph_value(graph, "output", FINF_F32, &one, &out);
	if (!err)
		err = finf_graph_input(graph, in);
	if (!err)
		err = finf_graph_node(graph, finf_op_find("Identity"), 13, "identity", &in, 1, &out, 1,
				      NULL, 0, &node);
	if (!err)
		err = finf_graph_output(graph, out);
	if (err)
		finf_graph_free(graph);
	else
		*ret_graph = graph;
	return err;
}

int bench_empty_import(struct bench_fid *fid, struct finf_diag *diag)
{
	struct finf_graph *graph;
	int dir = open(fid->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = -1, err;

	if (dir < 0)
		return -errno;
	err = empty_graph(&graph);
	if (!err) {
		err = finf_pack_write_portable(dir, "empty.fim", graph, diag);
		finf_graph_free(graph);
	}
	if (!err) {
		fd = openat(dir, "empty.fim", O_RDONLY | O_CLOEXEC);
		err = fd < 0 ? -errno : finf_client_import(fid->client, "empty", fd, NULL, diag);
	}
	if (fd >= 0)
		close(fd);
	close(dir);
	return err;
}

int bench_empty_infer(struct bench_fid *fid, uint64_t *ret_ns, struct finf_diag *diag)
{
	float x = 1, y = 0;
	struct finf_tensor in = {.dtype = FINF_F32, .shape = {.rank = 1, .dim = {1}}, .data = &x,
				 .bytes = sizeof(x)};
	struct finf_tensor out = {.data = &y, .bytes = sizeof(y)};
	uint64_t start = finf_now_ns();
	int err = finf_client_infer(fid->client, "empty", &in, 1, &out, 1, NULL, diag);

	*ret_ns = finf_now_ns() - start;
	if (!err && y != x)
		err = finf_diag_set(diag, -EBADMSG, "the empty model answered %g, not %g", (double)y,
				    (double)x);
	return err;
}

static int measure(struct fictl *ctl, struct bench_fid *fid, uint64_t count)
{
	static struct bench_samples all;
	struct bench_report report;
	struct finf_diag diag = {{0}};
	int err = bench_empty_import(fid, &diag);

	for (uint64_t i = 0; !err && i < count + count / 10; i++) {
		uint64_t ns = 0;

		err = bench_empty_infer(fid, &ns, &diag);
		if (!err && i >= count / 10)
			bench_sample(&all, (double)ns / 1e3);
	}
	if (err)
		return failed(ctl, err, "bench ipc: %s", diag.text[0] ? diag.text : strerror(-err));
	bench_begin(&report, ctl->json);
	bench_add(&report, &(struct bench_row){.what = "round trip of the empty model, p50", .unit = "us",
					       .ours = &all, .quantile = 0.5, .goal = 50});
	bench_add(&report, &(struct bench_row){.what = "round trip of the empty model, p99", .unit = "us",
					       .ours = &all, .quantile = 0.99, .goal = 100});
	return bench_end(&report);
}

int bench_ipc(struct fictl *ctl, int argc, char **argv)
{
	const char *count_text = NULL;
	const struct option_spec specs[] = {{"--count", false, &count_text}, {0}};
	uint64_t count = 4000;
	struct bench_fid fid;
	int rc;

	if (parse(ctl, argc, argv, specs, NULL, 0) < 0)
		return EXIT_USAGE;
	if (count_text && !parse_number(ctl, "--count", count_text, 10, BENCH_SAMPLES_MAX, &count))
		return EXIT_USAGE;
	rc = bench_fid_start(ctl, "16M", NULL, &fid);
	if (rc != EXIT_DONE)
		return rc;
	rc = measure(ctl, &fid, count);
	bench_fid_stop(&fid);
	return rc;
}
