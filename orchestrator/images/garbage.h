/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Images nobody uses, collected when the disk fills up. Source: pkg/kubelet/images/image_gc_manager.go: above the high
 * threshold as much is freed as brings the disk under the low one; least recently used first; never what is in use,
 * pinned, or younger than the minimum age.
 *
 * In use means that a pod has pinned all the layers of the image. What an image frees is what no other image and no pod
 * holds; so images are removed one after another until enough is really gone.
 *
 * Threads and processes: removing takes as long as the disk does; not for an event loop.
 */
#ifndef PODIUM_IMAGES_GARBAGE_H
#define PODIUM_IMAGES_GARBAGE_H

#include "orchestrator/images/images.h"

struct image_disk {
    uint64_t capacity, available; /* bytes; available: to unprivileged users, as the kubelet counts */
};

struct image_gc_policy {
    unsigned high_percent, low_percent; /* of use; 100: never */
    uint64_t min_age_usec;              /* since the import, and since the last use */
};

struct image_gc_result {
    uint64_t wanted, freed; /* bytes */
    size_t images;          /* removed */
};

/* The file system of the path. The kernel's word; tests have their own function. */
int image_disk_of(const char *path, struct image_disk *ret, struct error *err) _must_check_;
/* How many bytes the policy wants freed of such a disk; 0: none. Pure. */
uint64_t image_gc_amount(const struct image_gc_policy *policy, const struct image_disk *disk);
/* Frees at least `amount` bytes (UINT64_MAX: all there is). keep: digests never taken, NULL-terminated, may be NULL.
 * now: real time. -ENOSPC, in the kubelet's words, when there is not that much; what could go is gone then. */
int image_gc(struct image_store *store, const struct image_gc_policy *policy, uint64_t amount, uint64_t now,
             char *const *keep, struct image_gc_result *ret, struct error *err) _must_check_;

#endif
