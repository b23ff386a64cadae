/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The JSON documents of images: OCI indexes, manifests and configurations (image-spec 1.1), Docker's schema 2 twins of
 * them, and the manifest.json of docker archives. Pure functions on bytes that come from outside: nothing is trusted,
 * sizes and counts are limited by images.h. Errors: -EINVAL, -ENOTSUP (digest algorithm), -EFBIG. Any thread.
 */
#ifndef PODIUM_IMAGES_MANIFEST_H
#define PODIUM_IMAGES_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "podium/base/error.h"
#include "podium/base/json.h"

struct image_descriptor {
    char *media_type; /* "" when absent */
    char *digest;     /* "sha256:…", valid */
    uint64_t size;
    char *os, *architecture; /* NULL when there is no platform */
    char *name;              /* annotation io.containerd.image.name, else org.opencontainers.image.ref.name, or NULL */
};

struct image_descriptors {
    struct image_descriptor *items;
    size_t n;
};

struct image_manifest {
    struct image_descriptors layers; /* bottom first */
    struct image_descriptor config;
};

struct image_docker_entry {
    char *config;       /* path in the archive */
    char **names;       /* RepoTags */
    char **layer_paths; /* bottom first */
};

struct image_docker_manifest {
    struct image_docker_entry *items;
    size_t n;
};

/* All usable with _cleanup_. */
void image_descriptors_finish(struct image_descriptors *list);
void image_manifest_finish(struct image_manifest *manifest);
void image_docker_manifest_finish(struct image_docker_manifest *manifest);

bool image_digest_is_valid(const char *digest); /* "sha256:" and 64 lower-case hex digits */
bool image_document_is_index(const char *bytes, size_t n);
int image_index_parse(const char *bytes, size_t n, struct image_descriptors *ret, struct error *err) _must_check_;
int image_manifest_parse(const char *bytes, size_t n, struct image_manifest *ret, struct error *err) _must_check_;
int image_docker_manifest_parse(const char *bytes, size_t n, struct image_docker_manifest *ret,
                                struct error *err) _must_check_;
/* The configuration: rootfs.diff_ids as a vector, bottom first, and the document, whose "config" members are checked to
 * have the types the runtime counts on. */
int image_config_parse(const char *bytes, size_t n, struct json **ret, char ***ret_diff_ids,
                       struct error *err) _must_check_;
/* The best of an index for os/architecture: the first whose platform matches; one without platform only if none does.
 * NULL if there is none. */
const struct image_descriptor *image_descriptor_choose(const struct image_descriptor *const *items, size_t n,
                                                       const char *os, const char *architecture);

#endif
