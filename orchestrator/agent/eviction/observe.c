/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "orchestrator/agent/eviction/manager.h"
#include "podium/base/fd.h"
#include "podium/base/strbuf.h"

static int64_t number_after(const char *text, const char *key) {
    const char *at = strstr(text, key);

    return at ? strtoll(at + strlen(key), NULL, 10) : 0;
}

/* What is free, and what the kernel can drop at once: the file pages nobody looked at lately, as the working set is
 * reckoned, and caches of the kernel's own. */
static void observe_memory(struct eviction_observation *o) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    if (file_read("/proc/meminfo", 65536, &text, NULL) < 0)
        return;
    const char *t = strbuf_str(&text);
    o->capacity = number_after(t, "MemTotal:") * 1024;
    o->available =
        (number_after(t, "MemFree:") + number_after(t, "Inactive(file):") + number_after(t, "SReclaimable:")) * 1024;
    o->known = o->capacity > 0;
}

static void observe_disk(const char *path, struct eviction_observation *bytes, struct eviction_observation *inodes) {
    struct statvfs fs;

    if (statvfs(path, &fs) < 0)
        return;
    *bytes = (struct eviction_observation){fs.f_blocks > 0, (int64_t) fs.f_bavail * (int64_t) fs.f_frsize,
                                           (int64_t) fs.f_blocks * (int64_t) fs.f_frsize};
    /* some file systems (btrfs) make them as they need them */
    *inodes = (struct eviction_observation){fs.f_files > 0, (int64_t) fs.f_favail, (int64_t) fs.f_files};
}

static int64_t first_number(const char *path) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    return file_read(path, 4096, &text, NULL) < 0 ? 0 : strtoll(strbuf_str(&text), NULL, 10);
}

static void observe_pids(struct eviction_observation *o) {
    _cleanup_strbuf_ struct strbuf load = STRBUF_INIT;
    int64_t pids = first_number("/proc/sys/kernel/pid_max"), threads = first_number("/proc/sys/kernel/threads-max");

    if (file_read("/proc/loadavg", 4096, &load, NULL) < 0)
        return;
    const char *slash = strchr(strbuf_str(&load), '/'); /* "0.20 0.18 0.12 1/80 11206": running and all threads */
    o->capacity = pids < threads ? pids : threads;
    o->known = slash && o->capacity > 0;
    o->available = o->known ? o->capacity - strtoll(slash + 1, NULL, 10) : 0;
}

void eviction_observe(const char *image_dir, const char *state_dir, struct eviction_observation ret[EVICTION_SIGNALS]) {
    memset(ret, 0, EVICTION_SIGNALS * sizeof(*ret));
    observe_memory(&ret[EVICTION_MEMORY]);
    observe_disk(state_dir, &ret[EVICTION_NODEFS], &ret[EVICTION_NODEFS_INODES]);
    observe_disk(image_dir, &ret[EVICTION_IMAGEFS], &ret[EVICTION_IMAGEFS_INODES]);
    observe_pids(&ret[EVICTION_PIDS]);
}
