/* SPDX-License-Identifier: MIT */
/* fid: options, signals, and the order in which everything starts and ends. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <ini.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <fusedinf/version.h>

#include "daemon/core.h"
#include "daemon/http.h"
#include "daemon/ipc.h"
#include "daemon/listen.h"
#include "daemon/log.h"
#include "daemon/team.h"
#include "ipc/ipc.h"

/* What SIGTERM gives running and queued requests before they are cut off. */
#define DRAIN_USEC (30u * 1000000u)
#define POOL_DEFAULT "50%"
#define PREFETCH_DEFAULT "25%"
#define POOL_MIN (1u << 20)
#define HTTP_BODY_DEFAULT (64u << 20)
#define HTTP_TIMEOUT_DEFAULT 30

struct settings {
	char root[PATH_MAX], socket[PATH_MAX], probe[PATH_MAX], record[PATH_MAX];
	char pool[32], prefetch[32], fast_forms[8], pool_mode[16], device[32], threads[16], log[16];
	char http[80], http_body[32], http_timeout[16];
	bool foreground;
};

struct fid {
	struct settings set;
	struct fid_loop *loop;
	struct fid_metrics *metrics;
	struct fid_core *core;
	struct fid_observe *observe;
	struct fid_ipc *ipc;
	struct fid_http *http; /* NULL: no such door */
	sd_event_source *drain_timer;
	bool draining;
	int ready_fd; /* a parent waits here; -1 */
};

/* ---- settings: command line over configuration file over defaults ---------------- */

static const struct {
	const char *name, *argument, *help;
	size_t offset, len;
} options[] = {
#define TEXT(field) offsetof(struct settings, field), sizeof(((struct settings *)0)->field)
	{"root", "DIR", "where models are kept", TEXT(root)},
	{"socket", "PATH", "Unix socket to listen on", TEXT(socket)},
	{"pool", "BYTES", "size of the pool: K, M, G, or % of the device's memory (" POOL_DEFAULT ")",
	 TEXT(pool)},
	{"prefetch", "BYTES", "loaded ahead and not used yet, at most: bytes, % of the pool ("
		 PREFETCH_DEFAULT "), or off",
	 TEXT(prefetch)},
	{"fast-forms", "WHEN", "larger, faster forms of the weights of busy models: auto (auto) or off",
	 TEXT(fast_forms)},
	{"pool-mode", "MODE", "vmm, plain or managed on cuda; the device chooses when not given",
	 TEXT(pool_mode)},
	{"device", "NAME", "host, cuda, or cuda:N (host)", TEXT(device)},
	{"threads", "N", "threads of a run; one per core when not given", TEXT(threads)},
	{"record", "FILE", "write every event and action there, for replay", TEXT(record)},
	{"probe", "PATH", "socket of fid-probe, which sees requests come; off when not given", TEXT(probe)},
	{"http", "[ADDR:]PORT", "also serve KServe v2 and /metrics there; loopback without ADDR",
	 TEXT(http)},
	{"http-body", "BYTES", "largest body of an HTTP request (64M)", TEXT(http_body)},
	{"http-timeout", "SEC", "an HTTP client that is silent for longer is dropped (30)",
	 TEXT(http_timeout)},
	{"log", "LEVEL", "error, warning, info or debug", TEXT(log)},
#undef TEXT
};

static int set_option(struct settings *set, const char *name, const char *value)
{
	for (size_t i = 0; i < FINF_ARRAY_LEN(options); i++) {
		if (strcmp(options[i].name, name))
			continue;
		if (strlen(value) >= options[i].len)
			return -ENAMETOOLONG;
		strcpy((char *)set + options[i].offset, value);
		return 0;
	}
	return -ENOENT;
}

static int on_config(void *ctx, const char *section, const char *name, const char *value)
{
	int err = *section ? -ENOENT : set_option(ctx, name, value);

	if (err)
		fprintf(stderr, "fid: configuration: %s%s%s: %s\n", section, *section ? "." : "", name,
			err == -ENOENT ? "no such setting" : strerror(-err));
	return !err; /* inih: 0 is an error */
}

static void print_help(FILE *to)
{
	fputs("fid - the FusedInf daemon: serves more models than fit the pool\n\n"
	      "usage: fid --root DIR [options]\n\n",
	      to);
	for (size_t i = 0; i < FINF_ARRAY_LEN(options); i++)
		fprintf(to, "  --%-10s %-6s %s\n", options[i].name, options[i].argument, options[i].help);
	fputs("  --config     FILE   settings, one NAME = VALUE per line, names as above\n"
	      "  --foreground        stay attached, log to stderr\n"
	      "  --version, --help\n\nSee fid(8).\n",
	      to);
}

/* Two passes: the configuration file first, so that options override it. */
static int parse_options(int argc, char **argv, struct settings *set, int *ret_exit)
{
	struct option longs[FINF_ARRAY_LEN(options) + 5] = {0};
	size_t n = FINF_ARRAY_LEN(options);

	for (size_t i = 0; i < n; i++)
		longs[i] = (struct option){options[i].name, required_argument, NULL, 0};
	longs[n] = (struct option){"config", required_argument, NULL, 'c'};
	longs[n + 1] = (struct option){"foreground", no_argument, NULL, 'f'};
	longs[n + 2] = (struct option){"help", no_argument, NULL, 'h'};
	longs[n + 3] = (struct option){"version", no_argument, NULL, 'v'};
	*ret_exit = 2;
	for (int pass = 0; pass < 2; pass++) {
		int c, at;

		optind = 1;
		while ((c = getopt_long(argc, argv, "", longs, &at)) != -1) {
			if (c == 'h' || c == 'v') {
				if (c == 'h')
					print_help(stdout);
				else
					puts("fid " FUSEDINF_VERSION);
				*ret_exit = 0;
				return -ECANCELED;
			}
			if (c == '?')
				return -EINVAL;
			if (c == 'f')
				set->foreground = true;
			if (c == 'c' && !pass && ini_parse(optarg, on_config, set)) {
				fprintf(stderr, "fid: %s: cannot be read as configuration\n", optarg);
				return -EINVAL;
			}
			if (!c && pass && set_option(set, longs[at].name, optarg)) {
				fprintf(stderr, "fid: --%s: the value is too long\n", longs[at].name);
				return -EINVAL;
			}
		}
		if (optind < argc) {
			fprintf(stderr, "fid: unexpected argument: %s\n", argv[optind]);
			return -EINVAL;
		}
	}
	return 0;
}

static uint64_t available_bytes(void)
{
	char line[256];
	unsigned long long kb = 0;
	FILE *file = fopen("/proc/meminfo", "re");

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "MemAvailable: %llu kB", &kb) == 1)
			break;
	if (file)
		fclose(file);
	return kb * 1024;
}

static int prefetch_opt(const struct settings *set, struct fid_core_opts *opts)
{
	const char *text = set->prefetch[0] ? set->prefetch : PREFETCH_DEFAULT;

	if (!strcmp(text, "off"))
		return 0;
	if (finf_size_parse(text, opts->pool_bytes, &opts->prefetch_bytes)) {
		fprintf(stderr, "fid: --prefetch %s: off, or a size is expected, like 512M or 25%%\n",
			text);
		return -EINVAL;
	}
	opts->prefetch_bytes = FINF_MIN(opts->prefetch_bytes, opts->pool_bytes);
	return 0;
}

static int core_opts(const struct settings *set, uint64_t memory_bytes, struct fid_core_opts *ret)
{
	char *end = NULL;
	unsigned long threads = 0;
	int err;

	*ret = (struct fid_core_opts){
		.root = set->root,
		.device = set->device[0] ? set->device : "host",
		.pool_mode = set->pool_mode[0] ? set->pool_mode : NULL,
		.record = set->record[0] ? set->record : NULL,
	};
	if (!set->root[0]) {
		fputs("fid: --root DIR is needed: the folder where models are kept\n", stderr);
		return -EINVAL;
	}
	err = finf_size_parse(set->pool[0] ? set->pool : POOL_DEFAULT, memory_bytes,
			      &ret->pool_bytes);
	if (err || ret->pool_bytes < POOL_MIN) {
		fprintf(stderr, "fid: --pool %s: a size of at least 1M is expected, like 512M, 2G or 50%%\n",
			set->pool);
		return -EINVAL;
	}
	if (prefetch_opt(set, ret))
		return -EINVAL;
	ret->fast_forms = strcmp(set->fast_forms, "off");
	if (set->fast_forms[0] && ret->fast_forms && strcmp(set->fast_forms, "auto")) {
		fprintf(stderr, "fid: --fast-forms %s: auto or off is expected\n", set->fast_forms);
		return -EINVAL;
	}
	if (set->threads[0]) {
		threads = strtoul(set->threads, &end, 10);
		if (*end || !threads || threads > 1024) {
			fprintf(stderr, "fid: --threads %s: a number from 1 to 1024 is expected\n",
				set->threads);
			return -EINVAL;
		}
	}
	ret->threads = (uint32_t)threads;
	return 0;
}

static int http_opts(const struct settings *set, struct fid_http_opts *ret)
{
	char *end = NULL;
	unsigned long seconds;

	*ret = (struct fid_http_opts){
		.address = set->http, .body_bytes = HTTP_BODY_DEFAULT, .timeout_s = HTTP_TIMEOUT_DEFAULT};
	if (set->http[0] && fid_listen_address(set->http, NULL, NULL)) {
		fprintf(stderr, "fid: --http %s: PORT, ADDR:PORT or [ADDR]:PORT is expected, in numbers\n",
			set->http);
		return -EINVAL;
	}
	if (set->http_body[0] && (finf_size_parse(set->http_body, 0, &ret->body_bytes) ||
				  ret->body_bytes < 1024 || ret->body_bytes > 1u << 30)) {
		fprintf(stderr, "fid: --http-body %s: a size from 1K to 1G is expected\n", set->http_body);
		return -EINVAL;
	}
	if (!set->http_timeout[0])
		return 0;
	seconds = strtoul(set->http_timeout, &end, 10);
	if (*end || !seconds || seconds > 3600) {
		fprintf(stderr, "fid: --http-timeout %s: a number from 1 to 3600 is expected\n",
			set->http_timeout);
		return -EINVAL;
	}
	ret->timeout_s = (uint32_t)seconds;
	return 0;
}

static int set_log(const char *name)
{
	static const struct {
		const char *name;
		enum fid_log_level level;
	} levels[] = {{"error", FID_ERROR}, {"warning", FID_WARNING}, {"info", FID_INFO},
		      {"debug", FID_DEBUG}};

	for (size_t i = 0; *name && i < FINF_ARRAY_LEN(levels); i++) {
		if (strcmp(levels[i].name, name))
			continue;
		fid_log_level(levels[i].level);
		return 0;
	}
	if (*name)
		fprintf(stderr, "fid: --log %s: error, warning, info or debug is expected\n", name);
	return *name ? -EINVAL : 0;
}

/* ---- into the background ------------------------------------------------------------ */

static int make_absolute(char *path)
{
	char cwd[PATH_MAX], whole[2 * PATH_MAX];

	if (!path[0] || path[0] == '/')
		return 0;
	if (!getcwd(cwd, sizeof(cwd)))
		return -errno;
	snprintf(whole, sizeof(whole), "%s/%s", cwd, path);
	if (strlen(whole) >= PATH_MAX)
		return -ENAMETOOLONG;
	strcpy(path, whole);
	return 0;
}

/*
 * The parent leaves when the child serves, with its verdict: whoever started
 * fid may connect at once. Before any thread exists, and before any device.
 */
static int into_background(struct fid *fid)
{
	int pipefd[2];
	char verdict;
	pid_t pid;

	if (pipe2(pipefd, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid) {
		close(pipefd[1]);
		_exit(read(pipefd[0], &verdict, 1) == 1 ? 0 : 1);
	}
	close(pipefd[0]);
	setsid();
	fid->ready_fd = pipefd[1];
	return 0;
}

static void say_ready(struct fid *fid)
{
	char path[PATH_MAX + 16];
	int null_fd, log_fd;

	sd_notify(0, "READY=1");
	if (fid->ready_fd < 0)
		return;
	snprintf(path, sizeof(path), "%s/fid.log", fid->set.root);
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (null_fd >= 0) {
		dup2(null_fd, STDIN_FILENO);
		dup2(null_fd, STDOUT_FILENO);
		dup2(log_fd >= 0 ? log_fd : null_fd, STDERR_FILENO);
		close(null_fd);
	}
	if (log_fd >= 0)
		close(log_fd);
	if (write(fid->ready_fd, "1", 1) < 0)
		fid_log(FID_DEBUG, "parent has gone");
	close(fid->ready_fd);
	fid->ready_fd = -1;
}

/* ---- ending ---------------------------------------------------------------------------- */

static void drained(void *ctx)
{
	struct fid *fid = ctx;

	fid_loop_stop(fid->loop);
}

static int on_drain_timeout(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct fid *fid = ctx;

	(void)source, (void)usec;
	fid_log(FID_WARNING, "drain=timeout");
	fid_loop_stop(fid->loop);
	return 0;
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *ctx)
{
	struct fid *fid = ctx;

	(void)source;
	if (fid->draining) { /* asked twice: now */
		fid_loop_stop(fid->loop);
		return 0;
	}
	fid->draining = true;
	fid_log(FID_INFO, "signal=%u drain=started", info->ssi_signo);
	sd_notify(0, "STOPPING=1");
	fid_ipc_close(fid->ipc);
	fid_http_close(fid->http);
	sd_event_add_time_relative(fid_loop_event(fid->loop), &fid->drain_timer, CLOCK_MONOTONIC,
				   DRAIN_USEC, 0, on_drain_timeout, fid);
	fid_core_drain(fid->core, drained, fid);
	return 0;
}

static int catch_signals(struct fid *fid)
{
	sigset_t set;
	int err;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	err = sd_event_add_signal(fid_loop_event(fid->loop), NULL, SIGTERM, on_signal, fid);
	if (err >= 0)
		err = sd_event_add_signal(fid_loop_event(fid->loop), NULL, SIGINT, on_signal, fid);
	return err < 0 ? err : 0;
}

/*
 * A share of the pool's device, where that counts its own memory: asked late, since
 * a driver does not survive a fork. The core goes on with the device as it was opened;
 * what is wrong with one that could not be the core will say.
 */
static int size_pool(const struct settings *set, struct fid_core_opts *opts)
{
	struct finf_device *dev;
	uint64_t bytes;
	int err = 0;

	if (!set->device[0] || (set->pool[0] && !strchr(set->pool, '%')) ||
	    finf_device_open(set->device, &dev, NULL))
		return 0;
	if (!finf_device_free_bytes(dev, &bytes))
		err = core_opts(set, bytes, opts);
	if (err)
		finf_device_close(dev);
	else
		opts->opened = dev;
	return err;
}

/* ---- main --------------------------------------------------------------------------------- */

static int serve(struct fid *fid, struct fid_core_opts *opts, const struct fid_http_opts *http)
{
	struct finf_diag diag = {{0}};
	int err = fid_loop_new(&fid->loop);

	if (!err)
		err = catch_signals(fid);
	if (!err)
		err = fid_metrics_new(FID_MODELS_MAX, &fid->metrics);
	if (!err)
		err = size_pool(&fid->set, opts);
	opts->metrics = fid->metrics;
	if (!err)
		err = fid_core_new(opts, fid->loop, &fid->core, &diag);
	if (!err && fid->set.http[0])
		err = fid_http_new(fid->core, fid->loop, http, &fid->http, &diag);
	if (!err)
		err = fid_observe_new(fid->core, fid->loop, fid->set.probe[0] ? fid->set.probe : NULL,
				      &fid->observe);
	if (!err)
		err = fid_ipc_new(fid->core, fid->observe, fid->loop, fid->set.socket, &fid->ipc, &diag);
	if (err) {
		fid_log(FID_ERROR, "start failed: %s", diag.text[0] ? diag.text : strerror(-err));
		return err;
	}
	fid_log(FID_INFO, "serving socket=%s root=%s pool=%llu", fid->set.socket, fid->set.root,
		(unsigned long long)opts->pool_bytes);
	say_ready(fid);
	err = fid_loop_run(fid->loop);
	fid_log(FID_INFO, "stopped");
	return err;
}

static void end(struct fid *fid)
{
	if (fid->ipc)
		fid_ipc_close(fid->ipc);
	fid_observe_free(fid->observe);
	fid_core_free(fid->core); /* answers whoever still waits */
	fid_http_free(fid->http);
	fid_ipc_free(fid->ipc);
	fid_metrics_free(fid->metrics);
	sd_event_source_unref(fid->drain_timer);
	fid_loop_free(fid->loop);
}

int main(int argc, char **argv)
{
	struct fid fid = {.ready_fd = -1};
	struct fid_http_opts http;
	struct fid_core_opts opts;
	int rc, err;

	err = parse_options(argc, argv, &fid.set, &rc);
	if (err)
		return rc;
	if (set_log(fid.set.log) || core_opts(&fid.set, available_bytes(), &opts) ||
	    http_opts(&fid.set, &http))
		return 2;
	fid_team_settle(opts.threads, argv);
	if (!fid.set.socket[0] && finf_wire_socket_path(fid.set.socket, sizeof(fid.set.socket))) {
		fputs("fid: no socket path: give --socket PATH\n", stderr);
		return 2;
	}
	err = make_absolute(fid.set.root);
	if (!err)
		err = make_absolute(fid.set.socket);
	if (!err)
		err = make_absolute(fid.set.probe);
	if (!err && !fid.set.foreground)
		err = into_background(&fid);
	if (err) {
		fprintf(stderr, "fid: %s\n", strerror(-err));
		return 1;
	}
	err = serve(&fid, &opts, &http);
	end(&fid);
	return err < 0 ? 1 : 0;
}
