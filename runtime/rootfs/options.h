/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options of a mount, from the words of config.json (the same words as mount(8)). */
#ifndef PODIUM_RUNTIME_ROOTFS_OPTIONS_H
#define PODIUM_RUNTIME_ROOTFS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "podium/base/cleanup.h"

struct mount_options {
    bool bind, recursive;                  /* "bind", "rbind" */
    bool copy_up;                          /* "tmpcopyup" */
    bool idmap, idmap_recursive;           /* "idmap", "ridmap" */
    uint64_t attr_set, attr_clear;         /* MOUNT_ATTR_*, for the mount itself */
    uint64_t attr_set_all, attr_clear_all; /* the same for the whole tree below ("rro", "rnosuid" …) */
    uint64_t propagation;                  /* MS_PRIVATE, …, 0: leave */
    bool propagation_recursive;
    const char **data; /* for the file system: "size=1m", "sync"; borrowed strings */
    size_t n_data;
};

/* Whether a word for the file system asks for what is so anyway: bind mounts, which cannot change it, pass over it. */
bool mount_option_is_usual(const char *word);
/* Words that are no generic option go to data; the file system judges them. Never fails. */
void mount_options_parse(char *const *words, struct mount_options *ret);
void mount_options_finish(struct mount_options *o);

#endif
