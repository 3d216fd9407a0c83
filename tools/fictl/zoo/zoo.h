/* SPDX-License-Identifier: MIT */
/*
 * fictl/zoo - well-known architectures as ONNX files with seeded weights, so
 * that everything can be tried at true sizes without a download.
 * Must not know: how the files are read again.
 */
#ifndef FICTL_ZOO_H
#define FICTL_ZOO_H

#include "base/base.h"

/**
 * zoo_write - write one network.
 * @param name  from zoo_name()
 * @param seed  of the weights: the same seed gives the same bytes everywhere
 * @param path  replaced when it exists; never left half written
 * Return: 0; -ENOENT no such network; -errno of writing.
 */
int zoo_write(const char *name, uint64_t seed, const char *path, struct finf_diag *diag);

/**
 * zoo_write_variant - the same with another head, as a network that was trained
 * further for another task has it: the last weights are @head's, all others equal.
 * @param head  0 = zoo_write()
 */
int zoo_write_variant(const char *name, uint64_t seed, uint64_t head, const char *path,
		      struct finf_diag *diag);

/** zoo_name - the networks by number, for listings; NULL past the end. */
const char *zoo_name(unsigned i);

#endif
