/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The unit files of manifests/systemd/, carried inside the program (generated at build time) so that `podium up` works
 * without an installation. "@BINDIR@" in a text stands for the folder of the programs. */
#ifndef PODIUM_LOCAL_UNIT_FILES_H
#define PODIUM_LOCAL_UNIT_FILES_H

#include <stddef.h>

struct unit_file {
    const char *name; /* "podium-agent.service" */
    const char *text;
};

extern const struct unit_file unit_files[];
extern const size_t unit_files_n;
extern const char bus_policy[]; /* org.podium.Node1.conf */

#endif
