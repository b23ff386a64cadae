/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The files of manifests/bootstrap/, carried inside the program (generated at build time), by name. */
#ifndef PODIUM_APISERVER_BOOTSTRAP_FILES_H
#define PODIUM_APISERVER_BOOTSTRAP_FILES_H

#include <stddef.h>

struct bootstrap_file {
    const char *name; /* "10-user-roles.yaml" */
    const char *text;
};

extern const struct bootstrap_file bootstrap_files[];
extern const size_t bootstrap_files_n;

#endif
