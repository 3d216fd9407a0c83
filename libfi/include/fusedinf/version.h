/* SPDX-License-Identifier: MIT */
#ifndef FUSEDINF_VERSION_H
#define FUSEDINF_VERSION_H

/* The only place where the version is written; checked against libfi.map. */
#define FUSEDINF_VERSION_MAJOR 0
#define FUSEDINF_VERSION_MINOR 1
#define FUSEDINF_VERSION_PATCH 0
#define FUSEDINF_VERSION "0.1.0"

#endif
