/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/images/garbage.h"

#include <string.h>
#include <sys/statvfs.h>

#include "orchestrator/images/store.h"
#include "podium/base/alloc.h"

struct candidate {
    const char *digest;
    uint64_t used, imported;
};

int image_disk_of(const char *path, struct image_disk *ret, struct error *err) {
    struct statvfs fs;

    if (statvfs(path, &fs) < 0)
        return error_set_errno(err, -errno, "cannot look at the file system of %s", path);
    *ret = (struct image_disk){.capacity = (uint64_t) fs.f_blocks * fs.f_frsize,
                               .available = (uint64_t) fs.f_bavail * fs.f_frsize};
    if (ret->capacity == 0)
        return error_set(err, -EINVAL, "invalid capacity 0 on image filesystem");
    if (ret->available > ret->capacity)
        ret->available = ret->capacity;
    return 0;
}

uint64_t image_gc_amount(const struct image_gc_policy *policy, const struct image_disk *disk) {
    if (policy->high_percent >= 100 || disk->capacity == 0)
        return 0;
    unsigned used = 100 - (unsigned) (disk->available * 100 / disk->capacity);
    if (used < policy->high_percent)
        return 0;
    uint64_t wanted = disk->capacity / 100 * (100 - policy->low_percent);
    return wanted > disk->available ? wanted - disk->available : 0;
}

/* Least recently used first, then oldest first. */
static int compare(const void *a, const void *b) {
    const struct candidate *x = a, *y = b;

    if (x->used != y->used)
        return x->used < y->used ? -1 : 1;
    return x->imported < y->imported ? -1 : x->imported > y->imported;
}

static bool is_in(char *const *v, const char *s) {
    for (; v && *v; v++)
        if (strcmp(*v, s) == 0)
            return true;
    return false;
}

static bool is_pinned(const struct image *image, const struct hashmap *pinned) {
    for (char **layer = image->layers; *layer; layer++)
        if (!hashmap_has(pinned, store_hex(*layer)))
            return false;
    return image->layers[0] != NULL;
}

/* Candidates of the list, in the order to take them; returns how many. */
static size_t choose(const struct image_list *list, const struct hashmap *pinned, char *const *keep,
                     uint64_t min_age_usec, uint64_t now, struct candidate *out) {
    size_t n = 0;

    for (size_t i = 0; i < list->n; i++) {
        const struct image *image = &list->items[i];
        if (is_pinned(image, pinned) || is_in(keep, image->digest))
            continue;
        /* a clock that jumped back must not make images immortal: what is of the future is old */
        if (image->used_usec <= now && now - image->used_usec < min_age_usec)
            continue;
        out[n++] = (struct candidate){image->digest, image->used_usec, image->imported_usec};
    }
    if (n)
        qsort(out, n, sizeof(*out), compare);
    return n;
}

int image_gc(struct image_store *store, const struct image_gc_policy *policy, uint64_t amount, uint64_t now,
             char *const *keep, struct image_gc_result *ret, struct error *err) {
    _cleanup_(image_list_finish) struct image_list list = {0};
    _cleanup_(hashmap_freep) struct hashmap *pinned = hashmap_new(NULL);

    *ret = (struct image_gc_result){.wanted = amount};
    int r = store_lock(store, err); /* a pod pins before its image can be chosen, or comes too late and pulls again */
    if (r < 0)
        return r;
    r = pins_collect(store, pinned, err);
    if (r >= 0)
        r = image_list(store, &list, err);
    store_unlock(store);
    if (r < 0)
        return r;
    _cleanup_free_ struct candidate *candidates = xcalloc(list.n + 1, sizeof(*candidates));
    size_t n = choose(&list, pinned, keep, policy->min_age_usec, now, candidates);
    for (size_t i = 0; i < n && ret->freed < amount; i++) {
        int64_t bytes = records_remove(store, candidates[i].digest, err);
        if (bytes < 0)
            return (int) bytes;
        ret->freed += (uint64_t) bytes;
        ret->images++;
    }
    if (ret->freed >= amount || amount == UINT64_MAX)
        return 0;
    return error_set(err, -ENOSPC,
                     "Failed to garbage collect required amount of images. Attempted to free %llu bytes, but only "
                     "found %llu bytes eligible to free.",
                     (unsigned long long) amount, (unsigned long long) ret->freed);
}
