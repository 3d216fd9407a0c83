/* SPDX-License-Identifier: MIT */
/*
 * fictl/bench - rows of measurements (Documentation/internals/fictl.md): ours
 * and a named baseline of the same run, median and spread over n samples.
 */
#ifndef FICTL_BENCH_H
#define FICTL_BENCH_H

#include "tools/fictl/fictl.h"

#define BENCH_SAMPLES_MAX 4096

struct bench_samples {
	double x[BENCH_SAMPLES_MAX];
	size_t n;
};

struct bench_row {
	const char *what, *unit;
	const struct bench_samples *ours;
	double quantile;      /* of ours that is the row's value: 0.5 = median */
	const char *baseline; /* NULL: none, and the ratio is goal / value */
	const struct bench_samples *theirs;
	double goal; /* of the ratio; without a baseline: of the value */
	bool rate;   /* larger is better; else smaller is */
};

struct bench_report {
	json_t *rows; /* owned */
	bool json;
};

void bench_begin(struct bench_report *report, bool json);
void bench_add(struct bench_report *report, const struct bench_row *row);
/** A row that could not be measured here, by name. */
void bench_skip(struct bench_report *report, const char *what, const char *reason);
int bench_end(struct bench_report *report); /* an exit code */

void bench_sample(struct bench_samples *samples, double x);
double bench_quantile(const struct bench_samples *samples, double q);

/* A daemon of our own in a scratch folder, for the benchmarks that need one. */
struct bench_fid {
	char dir[64], socket[96];
	pid_t pid;
	struct finf_client *client;
};
/** @options  more words for fid, NULL at the end; NULL = none */
int bench_fid_start(struct fictl *ctl, const char *pool, const char *const *options,
		    struct bench_fid *ret);
void bench_fid_stop(struct bench_fid *fid);
/** bench_program - where a program lies that comes with fictl. False when that is unknown. */
bool bench_program(const char *name, char *path, size_t len);

/** bench_empty_import - the empty model, one Identity of one float, as "empty". 0 or -errno. */
int bench_empty_import(struct bench_fid *fid, struct finf_diag *diag);
/** bench_empty_infer - one round trip through the Unix socket. 0 or -errno. */
int bench_empty_infer(struct bench_fid *fid, uint64_t *ret_ns, struct finf_diag *diag);
/** bench_ask - a control command's answer; NULL when it failed. Yours: json_decref(). */
json_t *bench_ask(struct bench_fid *fid, const char *request);

int bench_ipc(struct fictl *ctl, int argc, char **argv);
int bench_fused(struct fictl *ctl, int argc, char **argv);
int bench_http(struct fictl *ctl, int argc, char **argv);
int bench_preload(struct fictl *ctl, int argc, char **argv);
int bench_probe(struct fictl *ctl, int argc, char **argv);
int bench_swap(struct fictl *ctl, int argc, char **argv);

#endif
