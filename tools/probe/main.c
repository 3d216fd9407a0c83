/* SPDX-License-Identifier: MIT */
/* fid-probe: its command line. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "ipc/usdt.h"
#include "tools/probe/probe.h"

static const char usage_text[] =
	"usage: fid-probe [--pin DIR] COMMAND\n"
	"  check                      what works here, found by loading and attaching\n"
	"  run [OPTIONS]              load, attach, pin; then answer requests\n"
	"      --file FILE            count client calls of this program or library\n"
	"      --model NAME           count arrivals of this model\n"
	"      --tcp NAME=PORT        and connections to this port as its arrivals\n"
	"      --fd N                 requests come from this inherited socket\n"
	"      --socket PATH          requests come to this socket, from us, root, or --uid USER\n"
	"      --once                 leave everything pinned and end\n"
	"  list [NAME...]             pinned counters; names are told from hashes\n"
	"  rm                         stop counting, remove what is pinned\n";

struct options {
	const char *dir, *socket;
	int fd;
	uid_t uid;
	bool once;
};

static int usage(void)
{
	fputs(usage_text, stderr);
	return 2;
}

static int failed(const char *what, int err, const struct finf_diag *diag)
{
	fprintf(stderr, "fid-probe: %s%s%s\n", what ? what : "", what ? ": " : "",
		diag->text[0] ? diag->text : strerror(-err));
	return err == -ENODEV || err == -EPERM || err == -EACCES ? 77 : 1;
}

static int add_file(struct probe *probe, const char *path, struct finf_diag *diag)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err;

	if (fd < 0)
		return finf_diag_set(diag, -errno, "%s", strerror(errno));
	err = probe_attach_file(probe, fd, "request", NULL, diag);
	close(fd);
	return err;
}

static int add_model(struct probe *probe, const char *name, struct finf_diag *diag)
{
	if (!finf_name_ok(name, NULL, NULL))
		return finf_diag_set(diag, -EINVAL, "not a model name");
	return probe_model_add(probe, finf_ipc_name_hash(name));
}

static int add_tcp(struct probe *probe, char *text, struct finf_diag *diag)
{
	char *equals = strchr(text, '='), *end = NULL;
	unsigned long port = equals ? strtoul(equals + 1, &end, 10) : 0;
	int err;

	if (!port || port > UINT16_MAX || *end)
		return finf_diag_set(diag, -EINVAL, "not NAME=PORT");
	*equals = 0;
	err = add_model(probe, text, diag);
	if (!err)
		err = probe_port_add(probe, finf_ipc_name_hash(text), (uint16_t)port, -1);
	return err;
}

enum { OPT_FILE = 256, OPT_MODEL, OPT_TCP, OPT_FD, OPT_SOCKET, OPT_UID, OPT_ONCE };

static const struct option run_options[] = {
	{"file", 1, NULL, OPT_FILE},	 {"model", 1, NULL, OPT_MODEL},
	{"tcp", 1, NULL, OPT_TCP},	 {"fd", 1, NULL, OPT_FD},
	{"socket", 1, NULL, OPT_SOCKET}, {"uid", 1, NULL, OPT_UID},
	{"once", 0, NULL, OPT_ONCE},	 {NULL, 0, NULL, 0},
};

/* A number from 0 to INT_MAX; -1 when it is none. */
static int number(const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	return *text && !*end && n >= 0 && n <= INT32_MAX ? (int)n : -1;
}

/* A user by number or by name; -1 when there is no such. */
static int user(const char *text)
{
	int uid = number(text);
	const struct passwd *entry = uid < 0 ? getpwnam(text) : NULL;

	return entry && entry->pw_uid <= INT32_MAX ? (int)entry->pw_uid : uid;
}

/* The options that say how to run; the others are carried out once all is loaded. */
static bool parse_run(int argc, char **argv, struct options *ret)
{
	int option, uid = (int)geteuid();

	ret->fd = -1;
	optind = 1;
	while ((option = getopt_long(argc, argv, "+", run_options, NULL)) != -1) {
		if (option == OPT_FD && (ret->fd = number(optarg)) < 0)
			return false;
		if (option == OPT_UID && (uid = user(optarg)) < 0)
			return false;
		if (option == OPT_SOCKET)
			ret->socket = optarg;
		if (option == OPT_ONCE)
			ret->once = true;
		if (option == '?')
			return false;
	}
	ret->uid = (uid_t)uid;
	return optind == argc && ret->once + (ret->fd >= 0) + !!ret->socket == 1;
}

static int add_given(struct probe *probe, int argc, char **argv)
{
	struct finf_diag diag = {0};
	int option, err = 0;

	optind = 1;
	while ((option = getopt_long(argc, argv, "+", run_options, NULL)) != -1) {
		if (option == OPT_FILE)
			err = add_file(probe, optarg, &diag);
		if (option == OPT_MODEL)
			err = add_model(probe, optarg, &diag);
		if (option == OPT_TCP)
			err = add_tcp(probe, optarg, &diag);
		if (err)
			return failed(optarg, err, &diag);
	}
	return 0;
}

static int cmd_run(const char *dir, int argc, char **argv)
{
	struct options options = {.dir = dir};
	struct finf_diag diag = {0};
	struct probe probe;
	int err, status;

	if (!parse_run(argc, argv, &options))
		return usage();
	err = probe_load(&probe, dir, &diag);
	if (err)
		return failed(NULL, err, &diag);
	err = probe_attach_tcp(&probe, NULL, &diag);
	status = err ? failed(NULL, err, &diag) : add_given(&probe, argc, argv);
	if (!status && !options.once) {
		if (options.socket)
			err = probe_listen(&probe, options.socket, options.uid, &diag);
		else
			err = probe_serve(&probe, options.fd);
		status = err ? failed(NULL, err, &diag) : 0;
	}
	probe_unload(&probe);
	return status;
}

int main(int argc, char **argv)
{
	const char *dir = FI_PIN_DIR, *command;

	argv++, argc--;
	if (argc >= 2 && !strcmp(argv[0], "--pin")) {
		dir = argv[1];
		argv += 2, argc -= 2;
	}
	command = argc ? argv[0] : "";
	if (*dir != '/')
		return usage();
	if (!strcmp(command, "run"))
		return cmd_run(dir, argc, argv);
	if (!strcmp(command, "list"))
		return probe_list(dir, argv + 1, argc - 1);
	if (!strcmp(command, "check") && argc == 1)
		return probe_check(dir);
	if (!strcmp(command, "rm") && argc == 1)
		return probe_rm(dir);
	return usage();
}
