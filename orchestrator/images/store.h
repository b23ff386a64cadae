/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The inside of the image store, shared by the files of this folder only. See images.h for the layout and the rules. */
#ifndef PODIUM_IMAGES_STORE_H
#define PODIUM_IMAGES_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "orchestrator/images/images.h"
#include "podium/base/hashmap.h"
#include "podium/base/json.h"

struct image_store {
    char *root;
    int layersfd, imagesfd, pinsfd, usedfd, tmpfd, lockfd;
    struct image_limits limits;
    struct hashmap *cache; /* file name in images/ → parsed record, as of its inode and change time */
};

/* One record, as in images/<hex>.json: digest, configDigest, names, repositories, repoDigests (optional), layers
 * (topmost first), size, importedAt, config. The json is borrowed from the store's cache until the next scan. */
struct image_records {
    struct json **items;
    size_t n;
};

enum { LAYER_HEX = 64 };

/* --- store.c --- */
int store_lock(struct image_store *store, struct error *err) _must_check_; /* waits; exclusive */
void store_unlock(struct image_store *store);
/* A locked folder in tmp/ of a new name; its descriptor keeps sweepers away. Call with the store locked. */
int store_tmp_new(struct image_store *store, char name[17], struct error *err) _must_check_;
/* Moves unused layers into tmp/ and marks those only pins keep. Call locked; then, unlocked, store_collect_finish(). */
struct collected {
    char **names; /* in tmp/ */
    int *fds;     /* holding their locks */
    size_t n, cap;
    uint64_t bytes; /* what they take */
};
int store_collect(struct image_store *store, struct collected *out, struct error *err) _must_check_;
int store_collect_finish(struct image_store *store, struct collected *collected, struct error *err) _must_check_;
uint64_t store_layer_size(struct image_store *store, const char *hex); /* 0 when unknown */
/* Notes that the image is used now, and when that was last; 0: never. */
void store_mark_used(struct image_store *store, const char *digest);
uint64_t store_last_used(struct image_store *store, const char *digest);
/* "sha256:…" of bytes. */
void store_digest(const void *p, size_t n, char out[IMAGE_DIGEST_SIZE]);
/* The 64 digits of a valid digest. */
const char *store_hex(const char *digest);

/* --- record.c --- */
void image_records_finish(struct image_records *records);
/* Reads all records; broken ones (which only meddling can make) are skipped. Those that cannot be read at the moment
 * (descriptors, memory, the disk) make it fail: layers of images that are not in the list are collected. */
int records_scan(struct image_store *store, struct image_records *ret, struct error *err) _must_check_;
/* Writes the record and takes its names off all others. Call locked. */
int record_write(struct image_store *store, struct json *record, struct error *err) _must_check_;

/* Adds what the label says to a record; whether that changed it. */
bool record_label(struct json **record, const struct image_label *label);
/* Removes images by digest, all names at once, and what layers nobody else uses. The images have no pins the caller
 * cares for. Returns bytes freed. */
int64_t records_remove(struct image_store *store, const char *digest, struct error *err);

/* --- pins.c --- */
/* Adds every pinned layer's hex to the set. */
int pins_collect(struct image_store *store, struct hashmap *set, struct error *err) _must_check_;
/* Whether all its layers are in the set of pinned ones: some pod may be running from it. */
bool record_is_pinned(const struct json *record, const struct hashmap *pinned);
/* Adds layers ("sha256:…", NULL-terminated) to the owner's pins. Call locked. */
int pins_add(struct image_store *store, const char *owner, char *const *layers, struct error *err) _must_check_;

#endif
