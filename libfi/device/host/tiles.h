/* SPDX-License-Identifier: MIT */
/*
 * device/host/tiles - elementwise programs (graph/program.h) run tile by tile: each thread
 * takes a range of the output and carries the whole program out over pieces of it that
 * stay in its first-level cache, so what lies between the steps never reaches memory.
 * Must not know: oneDNN's primitives.
 */
#ifndef FINF_HOST_TILES_H
#define FINF_HOST_TILES_H

#include "device/host/host.h"
#include "graph/program.h"

/* to[i] from x[i], y[i] and z[i], all of which are there; @to may be any of them. */
typedef void (*finf_host_step_fn)(float *to, const float *x, const float *y, const float *z,
				  size_t n);

/** finf_host_step - the loop of a step; @number: its operand y where that is one number. */
finf_host_step_fn finf_host_step(enum finf_step_kind kind, const float *number);

/**
 * finf_host_tiles_form - an elementwise node in the site's layouts, in this way.
 * @form  workspace_bytes and flags are set; the caller sets all else
 * @ret_work  what an element takes, in steps as long as an addition
 * Return: 0; -EOPNOTSUPP when it cannot be.
 */
int finf_host_tiles_form(const struct finf_site *site, uint32_t threads, struct finf_form *form,
			 uint32_t *ret_work);
/** finf_host_tiles_new - the kernel of such a form. 0; -EOPNOTSUPP; -EBADMSG; -ENOMEM. */
int finf_host_tiles_new(const struct finf_site *site, const struct finf_form *form,
			uint32_t threads, struct finf_kernel **ret_kernel);

#endif
