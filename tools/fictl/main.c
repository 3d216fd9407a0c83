/* SPDX-License-Identifier: MIT */
/* fictl: the command table, global options, and usage. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fusedinf/version.h>

#include "tools/fictl/fictl.h"

static const struct command *const tables[] = {
	commands_run,	commands_model, commands_fuse,	 commands_look,	  commands_inspect, commands_probe,
	commands_app,	commands_doctor, commands_replay, commands_bench, commands_zoo,
};

static const struct command *find_command(const char *name)
{
	for (size_t t = 0; t < FINF_ARRAY_LEN(tables); t++)
		for (const struct command *c = tables[t]; c->name; c++)
			if (!strcmp(c->name, name))
				return c;
	return NULL;
}

static void print_overview(FILE *to)
{
	fputs("fictl - run models, and talk to the FusedInf daemon\n\n"
	      "usage: fictl [--socket PATH] [--json] COMMAND [ARGUMENTS]\n\n",
	      to);
	for (size_t t = 0; t < FINF_ARRAY_LEN(tables); t++)
		for (const struct command *c = tables[t]; c->name; c++)
			fprintf(to, "  %-9s %s\n", c->name, c->summary);
	fputs("\n  help COMMAND   arguments and options of one command\n"
	      "\nExit codes: 0 done, 1 failed, 2 wrong usage, 3 no daemon, 77 not possible here.\n"
	      "The socket is --socket, else $FUSEDINF_SOCKET, else /run/fusedinf/fid.sock for root\n"
	      "and $XDG_RUNTIME_DIR/fusedinf/fid.sock for others. See fictl(1).\n",
	      to);
}

static int print_help(const struct command *command)
{
	printf("usage: fictl %s %s\n\n%s.\n", command->name, command->usage, command->summary);
	if (command->help)
		printf("\n%s", command->help);
	return EXIT_DONE;
}

/* One line, whatever the arguments that it repeats hold. */
static void format_line(char *text, size_t len, const char *fmt, va_list args)
{
	vsnprintf(text, len, fmt, args);
	for (unsigned char *c = (unsigned char *)text; *c; c++)
		if (*c < ' ' || *c == 0x7f)
			*c = '?';
}

int usage(struct fictl *ctl, const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	format_line(text, sizeof(text), fmt, args);
	va_end(args);
	fprintf(stderr, "fictl: %s", text);
	if (ctl->command)
		fprintf(stderr, "\nusage: fictl %s %s\n", ctl->command->name, ctl->command->usage);
	else
		fputs("\ntry: fictl --help\n", stderr);
	return EXIT_USAGE;
}

int failed(struct fictl *ctl, int err, const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	format_line(text, sizeof(text), fmt, args);
	va_end(args);
	fprintf(stderr, "fictl: %s\n", text);
	if (ctl->json)
		print_json(json_pack("{s:s, s:i}", "error", text, "errno", -err));
	return EXIT_FAILED;
}

static const struct option_spec *find_option(const struct option_spec *specs, const char *name,
					     size_t len)
{
	for (; specs->name; specs++)
		if (strlen(specs->name) == len && !memcmp(specs->name, name, len))
			return specs;
	return NULL;
}

int parse(struct fictl *ctl, int argc, char **argv, const struct option_spec *specs,
	  const char **ret_args, int max_args)
{
	int n = 0;

	for (int i = 1; i < argc; i++) {
		const char *arg = argv[i], *equals = strchr(arg, '=');
		const struct option_spec *spec;
		size_t len;

		/* -o is what everybody types for an output file. */
		if (strcmp(arg, "-o") && strcmp(arg, "-f") && strncmp(arg, "--", 2)) {
			if (n == max_args) {
				usage(ctl, "unexpected argument: %s", arg);
				return -1;
			}
			ret_args[n++] = arg;
			continue;
		}
		len = arg[1] == '-' && equals ? (size_t)(equals - arg) : strlen(arg);
		spec = find_option(specs, arg, len);
		if (!spec) {
			usage(ctl, "unknown option: %s", arg);
			return -1;
		}
		if (spec->flag) {
			*spec->value = "";
		} else if (arg[1] == '-' && equals) {
			*spec->value = equals + 1;
		} else if (i + 1 < argc) {
			*spec->value = argv[++i];
		} else {
			usage(ctl, "%s needs a value", arg);
			return -1;
		}
	}
	return n;
}

bool parse_number(struct fictl *ctl, const char *what, const char *text, uint64_t min,
		  uint64_t max, uint64_t *ret)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || *end || text[0] < '0' || text[0] > '9' || value < min || value > max) {
		usage(ctl, "%s: \"%s\" is not a number from %llu to %llu", what, text,
		      (unsigned long long)min, (unsigned long long)max);
		return false;
	}
	*ret = value;
	return true;
}

static bool wants_help(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--"); i++)
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return true;
	return false;
}

static int run_command(struct fictl *ctl, int argc, char **argv)
{
	const char *name = argv[0];

	if (!strcmp(name, "help")) {
		if (argc < 2) {
			print_overview(stdout);
			return EXIT_DONE;
		}
		name = argv[1];
	}
	ctl->command = find_command(name);
	if (!ctl->command)
		return usage(ctl, "no such command: %s", name);
	if (!strcmp(argv[0], "help") || wants_help(argc, argv))
		return print_help(ctl->command);
	return ctl->command->run(ctl, argc, argv);
}

/*
 * A team of OpenMP that spins for milliseconds after its work takes the core from
 * branches that run side by side; fid starts itself over with the same setting.
 */
static void limit_spinning(char **argv)
{
	/* Bound threads: the new process would be left with the one CPU of this one. */
	if (getenv("GOMP_SPINCOUNT") || getenv("OMP_WAIT_POLICY") || getenv("OMP_PROC_BIND"))
		return;
	if (!setenv("GOMP_SPINCOUNT", "20000", 1))
		execv("/proc/self/exe", argv); /* or go on: slower, and right */
}

int main(int argc, char **argv)
{
	struct fictl ctl = {0};
	int at = 1, rc;

	limit_spinning(argv);
	for (; at < argc && argv[at][0] == '-'; at++) {
		if (!strcmp(argv[at], "--json")) {
			ctl.json = true;
		} else if (!strcmp(argv[at], "--socket") && at + 1 < argc) {
			ctl.socket = argv[++at];
		} else if (!strncmp(argv[at], "--socket=", 9)) {
			ctl.socket = argv[at] + 9;
		} else if (!strcmp(argv[at], "--version")) {
			puts("fictl " FUSEDINF_VERSION);
			return EXIT_DONE;
		} else if (!strcmp(argv[at], "--help") || !strcmp(argv[at], "-h")) {
			print_overview(stdout);
			return EXIT_DONE;
		} else {
			return usage(&ctl, "unknown option or missing value: %s", argv[at]);
		}
	}
	if (at == argc) {
		print_overview(stderr);
		return EXIT_USAGE;
	}
	/* --json may also stand behind the command, where hands put it. */
	for (int i = at + 1, to = at + 1, n = argc, ours = 1; i < n; i++) {
		ours &= strcmp(argv[i], "--") != 0; /* what follows is another program's */
		if (ours && !strcmp(argv[i], "--json")) {
			ctl.json = true;
			argc--;
		} else {
			argv[to++] = argv[i];
		}
	}
	rc = run_command(&ctl, argc - at, argv + at);
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "fictl: cannot write the output\n");
		rc = rc ? rc : EXIT_FAILED;
	}
	return rc;
}
