/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sets of small files written so that a reader sees all of the old or all of the new: the ..data symlink layout of
 * Kubernetes' AtomicWriter. DIR/key is a symlink to ..data/key, DIR/..data one to DIR/..<time stamp>.<random>.
 */
#ifndef PODIUM_AGENT_PAYLOAD_H
#define PODIUM_AGENT_PAYLOAD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "podium/base/error.h"

struct payload_file {
    char *path; /* relative, "a" or "sub/a" */
    uint8_t *data;
    size_t n;
    mode_t mode;
    int64_t uid; /* -1: root */
};

struct payload {
    struct payload_file *files;
    size_t n, cap;
    uint32_t id_base; /* all owners are counted from here: the pod has a user namespace; 0: it has none */
};
void payload_finish(struct payload *p);
/* Takes data. A later file of the same path replaces an earlier one. -EINVAL for a path that is absolute, empty, or has
 * a ".." or a component starting with "..". */
int payload_add(struct payload *p, const char *path, uint8_t *take_data, size_t n, mode_t mode,
                struct error *err) _must_check_;
/* Gives a file to a user. */
void payload_set_owner(struct payload *p, const char *path, int64_t uid);
/* Makes DIR (mode 0755) hold exactly these files; does nothing when it already does. With gid >= 0 (fsGroup) everything
 * is of that group and readable to it, folders setgid: kubelet's SetVolumeOwnership for read-only volumes. */
int payload_write(const struct payload *p, const char *dir, int64_t gid, struct error *err) _must_check_;

#endif
