/* SPDX-License-Identifier: MIT */
/*
 * fictl bench probe: from a connection that the kernel sees to the swap-in of its model
 * submitted, through fid-probe and a fid of our own; and the price of the USDT site with
 * somebody attached, against nobody. In a mount namespace of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuse/fuse.h"
#include "import/import.h"
#include "ipc/usdt.h"
#include "pack/pack.h"
#include "tools/fictl/bench.h"
#include "tools/fictl/zoo/zoo.h"

#define CALLS	20000 /* of one sample of the site */
#define SITES	20    /* samples */
#define WAIT_US 30000000u

struct bench_probe {
	char dir[64], mount[96], pins[128], socket[96], program[PATH_MAX], self[PATH_MAX];
	pid_t pid;
	struct bench_samples lead, attached, alone;
};

/* ---- fid-probe of our own ----------------------------------------------------------- */

static pid_t probe_spawn(const struct bench_probe *b, const char *verb)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	if (!freopen("/dev/null", "w", stdout))
		_exit(127);
	execl(b->program, "fid-probe", "--pin", b->pins, verb, strcmp(verb, "run") ? NULL : "--file",
	      b->self, "--socket", b->socket, (char *)NULL);
	_exit(127);
}

/* Why not, or NULL. */
static const char *probe_start(struct bench_probe *b)
{
	const char *base = getenv("TMPDIR");
	struct stat st;
	int status;

	snprintf(b->dir, sizeof(b->dir), "%.40s/fictl-XXXXXX", base ? base : "/tmp");
	if (!bench_program("fid-probe", b->program, sizeof(b->program)) ||
	    !bench_program("fictl", b->self, sizeof(b->self)) || access(b->program, X_OK))
		return "no fid-probe beside fictl";
	if (geteuid() || unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return "it takes root";
	if (!mkdtemp(b->dir)) {
		b->dir[0] = 0;
		return strerror(errno);
	}
	snprintf(b->mount, sizeof(b->mount), "%s/bpf", b->dir);
	snprintf(b->pins, sizeof(b->pins), "%s/fusedinf/v1", b->mount);
	snprintf(b->socket, sizeof(b->socket), "%s/probe.sock", b->dir);
	if (mkdir(b->mount, 0755) || mount("bpf", b->mount, "bpf", 0, NULL))
		return "no BPF file system can be mounted";
	if (waitpid(probe_spawn(b, "check"), &status, 0) < 0 || status)
		return "fid-probe check says no";
	b->pid = probe_spawn(b, "run");
	for (unsigned us = 0; us < WAIT_US && stat(b->socket, &st); us += 1000)
		usleep(1000);
	return stat(b->socket, &st) ? "fid-probe does not serve" : NULL;
}

static void probe_stop(struct bench_probe *b)
{
	if (b->pid > 0) {
		kill(b->pid, SIGTERM);
		waitpid(b->pid, NULL, 0);
	}
	if (!b->dir[0])
		return;
	umount2(b->mount, MNT_DETACH);
	rmdir(b->mount);
	unlink(b->socket);
	rmdir(b->dir);
}

/* ---- from a connection to a load ------------------------------------------------------ */

static int listen_here(uint16_t *ret_port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, len) || listen(fd, 128) ||
	    getsockname(fd, (struct sockaddr *)&at, &len)) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	*ret_port = ntohs(at.sin_port);
	return fd;
}

static int connect_here(uint16_t port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && !connect(fd, (struct sockaddr *)&to, sizeof(to)))
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static int command(struct bench_fid *fid, const char *request)
{
	json_t *reply = bench_ask(fid, request);
	bool fine = reply && !json_object_get(reply, "error");

	json_decref(reply);
	return fine ? 0 : -EIO;
}

/* The number fid noted for the last arrival that made it load; 0 = none yet, or not observing. */
static uint64_t last_lead(struct bench_fid *fid)
{
	json_t *reply = bench_ask(fid, "{\"command\":\"probes\"}");
	uint64_t ns = (uint64_t)json_integer_value(
		json_object_get(json_object_get(reply, "arrivals"), "last_load_after_ns"));

	json_decref(reply);
	return ns;
}

static bool resident(struct bench_fid *fid)
{
	json_t *reply = bench_ask(fid, "{\"command\":\"models\"}");
	json_t *model = json_array_get(json_object_get(reply, "models"), 0);
	const char *state = json_string_value(json_object_get(model, "residency"));
	bool yes = state && !strcmp(state, "resident");

	json_decref(reply);
	return yes;
}

/* The request that was seen coming: loads that nobody uses make fid stop trusting hints. */
static int use(struct bench_fid *fid)
{
	static float image[3 * 224 * 224], scores[1000];
	struct finf_tensor in = {.dtype = FINF_F32, .shape = {4, {1, 3, 224, 224}}, .data = image,
				 .bytes = sizeof(image)};
	struct finf_tensor out = {.data = scores, .bytes = sizeof(scores)};
	struct finf_diag diag;

	return finf_client_infer(fid->client, "m", &in, 1, &out, 1, NULL, &diag);
}

/*
 * The machine is idle when the connection comes: nobody polls until it has been served.
 * It comes at no regular time, or fid would load the model before it.
 */
static int one_lead(struct bench_fid *fid, int server, uint16_t port, struct bench_samples *samples)
{
	uint64_t before = last_lead(fid);
	int err = command(fid, "{\"command\":\"unload\",\"model\":\"m\"}"), fd;
	unsigned us = 0;

	if (err)
		return err;
	usleep(10000 + (unsigned)random() % 40000);
	fd = connect_here(port);
	if (fd < 0)
		return -ECONNREFUSED;
	usleep(20000);
	for (; us < WAIT_US && !resident(fid); us += 1000)
		usleep(1000);
	close(fd);
	fd = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		close(fd);
	if (us >= WAIT_US)
		return -ETIMEDOUT;
	err = use(fid);
	if (!err && last_lead(fid) != before) /* else a prediction was quicker than the connection */
		bench_sample(samples, (double)last_lead(fid) / 1e3);
	return err;
}

static int wait_observing(struct bench_fid *fid)
{
	for (unsigned us = 0; us < WAIT_US; us += 10000) {
		json_t *reply = bench_ask(fid, "{\"command\":\"probes\"}");
		const char *state = json_string_value(json_object_get(reply, "observing"));
		bool on = state && !strcmp(state, "on");

		json_decref(reply);
		if (on)
			return 0;
		usleep(10000);
	}
	return -ETIMEDOUT;
}

/* A small network with weights, so that there is something to load. */
static int import_model(struct bench_fid *fid, struct finf_diag *diag)
{
	char onnx[96];
	struct finf_graph *graph = NULL;
	struct finf_fuse_report report;
	int dir = open(fid->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = -1, err;

	if (dir < 0)
		return -errno;
	snprintf(onnx, sizeof(onnx), "%s/m.onnx", fid->dir);
	err = zoo_write("squeezenet1_1", 0, onnx, diag);
	if (!err)
		err = finf_import_file(onnx, &graph, diag);
	if (!err)
		err = finf_fuse_run(graph, &report, diag);
	if (!err)
		err = finf_pack_write_portable(dir, "m.fim", graph, diag);
	finf_graph_free(graph);
	if (!err) {
		fd = openat(dir, "m.fim", O_RDONLY | O_CLOEXEC);
		err = fd < 0 ? -errno : finf_client_import(fid->client, "m", fd, NULL, diag);
	}
	if (fd >= 0)
		close(fd);
	close(dir);
	return err;
}

static int leads(struct bench_fid *fid, uint64_t count, struct bench_samples *samples,
		 struct finf_diag *diag)
{
	char request[128];
	uint16_t port = 0;
	int fd = listen_here(&port), err = fd < 0 ? -errno : wait_observing(fid);

	snprintf(request, sizeof(request), "{\"command\":\"probe-add\",\"model\":\"m\",\"port\":%u}", port);
	if (!err)
		err = import_model(fid, diag);
	if (!err)
		err = command(fid, request);
	for (uint64_t i = 0; i < 2 * count && samples->n < count && !err; i++)
		err = one_lead(fid, fd, port, samples);
	if (fd >= 0)
		close(fd);
	return err;
}

/* ---- the site ---------------------------------------------------------------------------- */

static void site(struct bench_samples *samples)
{
	for (int s = 0; s < SITES; s++) {
		uint64_t start = finf_now_ns();

		for (int i = 0; i < CALLS; i++)
			finf_ipc_arrival("m");
		bench_sample(samples, (double)(finf_now_ns() - start) / CALLS);
	}
}

static int measure(struct fictl *ctl, struct bench_probe *b, uint64_t count)
{
	const char *const options[] = {"--probe", b->socket, NULL};
	struct finf_diag diag = {{0}};
	struct bench_fid fid;
	int err = bench_fid_start(ctl, "64M", options, &fid);

	if (err != EXIT_DONE)
		return err;
	err = leads(&fid, count, &b->lead, &diag);
	if (!err)
		site(&b->attached); /* fictl itself is watched: --file */
	bench_fid_stop(&fid);
	return err ? failed(ctl, err, "bench probe: %s", diag.text[0] ? diag.text : strerror(-err))
		   : EXIT_DONE;
}

static void report_all(struct fictl *ctl, struct bench_probe *b, const char *why)
{
	static const char lead[] = "connection to swap-in submitted";
	struct bench_report report;

	bench_begin(&report, ctl->json);
	bench_add(&report, &(struct bench_row){.what = "USDT site, nobody attached", .unit = "ns",
					       .ours = &b->alone, .quantile = 0.5, .goal = 5});
	if (why) {
		bench_skip(&report, lead, why);
	} else {
		bench_add(&report, &(struct bench_row){.what = "USDT site, attached and counted", .unit = "ns",
						       .ours = &b->attached, .quantile = 0.5, .goal = 300});
		bench_add(&report, &(struct bench_row){.what = "connection to swap-in submitted, p50",
						       .unit = "us", .ours = &b->lead, .quantile = 0.5,
						       .goal = 50});
		bench_add(&report, &(struct bench_row){.what = "connection to swap-in submitted, p99",
						       .unit = "us", .ours = &b->lead, .quantile = 0.99,
						       .goal = 200});
	}
	bench_end(&report);
}

int bench_probe(struct fictl *ctl, int argc, char **argv)
{
	static struct bench_probe b;
	const char *count_text = NULL, *why;
	const struct option_spec specs[] = {{"--count", false, &count_text}, {0}};
	uint64_t count = 200;
	int rc = EXIT_DONE;

	if (parse(ctl, argc, argv, specs, NULL, 0) < 0)
		return EXIT_USAGE;
	if (count_text && !parse_number(ctl, "--count", count_text, 10, BENCH_SAMPLES_MAX, &count))
		return EXIT_USAGE;
	site(&b.alone);
	why = probe_start(&b);
	if (!why)
		rc = measure(ctl, &b, count);
	probe_stop(&b);
	if (rc == EXIT_DONE)
		report_all(ctl, &b, why);
	return rc;
}
