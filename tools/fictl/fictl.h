/* SPDX-License-Identifier: MIT */
/*
 * fictl - one subcommand per function `static int cmd_<name>`, listed in the
 * table of main.c; what they share: the daemon, tensor files, output.
 * Must not know: anything of the daemon but its protocol.
 */
#ifndef FICTL_H
#define FICTL_H

#include <stdio.h>

#include <jansson.h>

#include <fusedinf/client.h>
#include <fusedinf/engine.h>
#include <fusedinf/types.h>

#include "base/base.h"

/* Exit codes: fictl(1). */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_NO_DAEMON = 3, EXIT_CANNOT = 77 };

struct fictl {
	const char *socket; /* NULL = default */
	bool json;
	const struct command *command; /* the one that runs, for its usage */
};

struct command {
	const char *name;
	const char *usage;   /* arguments, as in the synopsis */
	const char *summary; /* one line */
	const char *help;    /* more lines for `fictl help NAME`, or NULL */
	int (*run)(struct fictl *ctl, int argc, char **argv); /* argv[0] is the name */
};

/* One table per file; a NULL name ends each. */
extern const struct command commands_model[], commands_look[], commands_inspect[], commands_run[],
	commands_bench[], commands_zoo[], commands_fuse[], commands_doctor[], commands_probe[], commands_app[],
	commands_replay[];

/* ---- main.c -------------------------------------------------------------- */

/** usage - wrong arguments: the reason and the synopsis on stderr. Return: EXIT_USAGE. */
int usage(struct fictl *ctl, const char *fmt, ...) FINF_PRINTF(2, 3);
/** failed - the message on stderr (and as {"error"} with --json). Return: EXIT_FAILED. */
int failed(struct fictl *ctl, int err, const char *fmt, ...) FINF_PRINTF(3, 4);

/*
 * Options of a subcommand: `--name VALUE` or `--name=VALUE`, flags without
 * value; what is left over are arguments, in order.
 */
struct option_spec {
	const char *name; /* NULL ends the list */
	bool flag;
	const char **value; /* set to the text, or to "" for a flag */
};
/** parse - *ret_argv: the arguments, n of them; -1 after a usage message. */
int parse(struct fictl *ctl, int argc, char **argv, const struct option_spec *specs,
	  const char **ret_args, int max_args);
/** A decimal number within bounds, or a usage message and false. */
bool parse_number(struct fictl *ctl, const char *what, const char *text, uint64_t min,
		  uint64_t max, uint64_t *ret);

/* ---- cmd_app.c ------------------------------------------------------------ */

/** preload_library - libfi-preload.so beside fictl or where it was installed; PATH_MAX bytes. */
bool preload_library(char *path);

/* ---- daemon.c ------------------------------------------------------------- */

/** connect_fid - EXIT_DONE, or EXIT_NO_DAEMON after a message. */
int connect_fid(struct fictl *ctl, struct finf_client **ret_client);
/**
 * control - one command, its reply parsed.
 * @param request  taken (json_decref'd)
 * Return: an exit code; *ret_reply only with EXIT_DONE.
 */
int control(struct fictl *ctl, json_t *request, json_t **ret_reply);
/** print_json - the document and a newline on stdout; taken. Return: EXIT_DONE. */
int print_json(json_t *doc);
/** Fields of a reply; 0 or "" when absent. */
uint64_t json_number(const json_t *object, const char *key);
const char *json_text(const json_t *object, const char *key);
/** "46.8 MB" (powers of ten, as drives and links count), in a ring of buffers. */
const char *bytes_text(uint64_t bytes);
const char *ns_text(uint64_t ns);

/* ---- tensors.c: .npy, .npz, folders of input_K.pb ------------------------- */

struct tensor_file {
	struct finf_tensor *tensors; /* owned, names and data too */
	uint32_t n;
};
/** Return: 0; -errno with diag naming file and reason. */
int tensors_read(const char *path, struct tensor_file *ret, struct finf_diag *diag);
/** .npy takes exactly one tensor; anything else is written as .npz. */
int tensors_write(const char *path, const struct finf_tensor *tensors, uint32_t n,
		  struct finf_diag *diag);
/** tensors_make_up - inputs for these ports, the same everywhere; @batch where they may vary. */
int tensors_make_up(const struct finf_port *ports, uint32_t n, uint64_t batch,
		    struct tensor_file *ret);
void tensors_free(struct tensor_file *file);

#endif
