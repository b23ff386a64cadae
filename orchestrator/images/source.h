/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where an import reads from: a folder (OCI layout) or a tar archive (OCI layout or docker archive, possibly compressed
 * as a whole), looked at as a set of named files. Private to this folder.
 *
 * An archive is never spooled to disk: opening reads its headers once and keeps the JSON documents in memory; layers
 * are streamed in a second pass, in the order they have in the archive.
 */
#ifndef PODIUM_IMAGES_SOURCE_H
#define PODIUM_IMAGES_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "orchestrator/images/unpack.h"
#include "podium/base/error.h"
#include "podium/base/hashmap.h"
#include "podium/base/strbuf.h"

struct image_source;

/* -ENOENT, -EINVAL (neither folder nor tar archive), -EFBIG (beyond archive_bytes_max, or too many documents). */
struct image_source *image_source_open(const char *path, const struct image_limits *limits,
                                       struct error *err) _must_check_;
/* The source is the caller's own folder: a layer's file is removed once it was visited, so that it neither takes room
 * nor is written to the disk with what came out of it. */
void image_source_consume(struct image_source *source);
void image_source_close(struct image_source *source);
DEFINE_CLEANUP(struct image_source *, image_source_close)
bool image_source_has(struct image_source *source, const char *name);
/* A document of at most IMAGE_MANIFEST_BYTES_MAX bytes; -ENOENT when there is none of the name. */
int image_source_read(struct image_source *source, const char *name, struct strbuf *out,
                      struct error *err) _must_check_;
/* Streams the files named by the keys of `wanted`; visit() gets the value belonging to the key and the file's size. Its
 * negative return ends the walk. Files that are not there are not visited. An archive's links are followed by name. */
typedef int (*image_source_visit)(void *userdata, void *value, const struct byte_stream *stream, uint64_t size,
                                  struct error *err);
int image_source_walk(struct image_source *source, const struct hashmap *wanted, image_source_visit visit,
                      void *userdata, struct error *err) _must_check_;

#endif
