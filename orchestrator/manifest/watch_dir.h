/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The watched manifest directory: what it asks for, told anew whenever that changes.
 *
 * What it is. One inotify instance over a tree of folders. Events only say that something happened; after a moment of
 * quiet the tree is looked at as a whole (only files that changed are read) and, if the outcome differs, `changed` is
 * called with all of it. So it does not matter how a file came about: written, renamed over, linked, swapped by a
 * symbolic link (plain, or as Kubernetes does with "..data"), moved with its folder; nor whether events were lost.
 *
 * Invariants. Nothing polls: an idle directory wakes nobody. A file that is still being written keeps what it last held
 * until it is closed. A broken file keeps it too and is named in the set's problems. The directory may be missing at
 * the start, be removed, renamed, made again: its parents are watched for it, and while it is missing the set says so.
 * Ignored: names that begin with a dot, editors' backups, whatever does not end in .yaml, .yml or .json.
 *
 * Ownership. The set given to `changed`, and that of watch_dir_current(), belongs to the watcher and stays valid until
 * the next call of `changed`. The watcher may be freed from within `changed`.
 *
 * Errors: -errno of inotify_init1 and of sd-event. Threads: lives on its event loop.
 *
 *   watch_dir_new(event, "/etc/podium/manifests", on_manifests, server, &server->manifests, &err);
 */
#ifndef PODIUM_MANIFEST_WATCH_DIR_H
#define PODIUM_MANIFEST_WATCH_DIR_H

#include <systemd/sd-event.h>

#include "orchestrator/manifest/manifest_set.h"
#include "podium/base/error.h"

#define WATCH_DIR_QUIET_USEC     (50 * 1000ull)   /* no event for so long: look */
#define WATCH_DIR_DELAY_MAX_USEC (1000 * 1000ull) /* but no later than this after the first */
#define WATCH_DIR_WRITING_USEC   (2000 * 1000ull) /* a file made without being closed is taken as it is after this */

struct watch_dir;

typedef void (*watch_dir_changed_fn)(void *userdata, const struct manifest_set *set);

/* The first call of `changed` comes from the event loop, always. path must be absolute; it need not exist. */
int watch_dir_new(sd_event *event, const char *path, watch_dir_changed_fn changed, void *userdata,
                  struct watch_dir **ret, struct error *err) _must_check_;
void watch_dir_free(struct watch_dir *w);
DEFINE_CLEANUP(struct watch_dir *, watch_dir_free)
/* What `changed` was called with last; NULL before. */
const struct manifest_set *watch_dir_current(const struct watch_dir *w);

#endif
