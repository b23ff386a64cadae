/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the compressed bytes of a layer to a folder overlayfs can use, both digests checked on the way.
 *
 * Two stages of libarchive: decompression (gzip, zstd or none, told by magic, as media types lie) and tar, with the
 * hashing of the outer and of the inner stream around the first. Private to this folder. One thread at a time per call.
 */
#ifndef PODIUM_IMAGES_UNPACK_H
#define PODIUM_IMAGES_UNPACK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "orchestrator/images/images.h"
#include "podium/base/error.h"

struct archive_entry;

/* Bytes one after another. read() hands out the next ones, valid until the next call; 0 at the end, or -errno. */
struct byte_stream {
    ssize_t (*read)(void *userdata, const void **ret, struct error *err);
    void *userdata;
};

struct unpack_request {
    int dirfd; /* an empty folder to unpack into */
    const struct byte_stream *source;
    const char *digest; /* of the source, or NULL when only diff_id is known */
    uint64_t size;      /* of the source; UINT64_MAX: unknown */
    const char *diff_id;
    const struct image_limits *limits;                /* all set */
    uint64_t *bytes_left;                             /* of image_bytes_max, over all layers of an import */
    void (*progress)(void *userdata, uint64_t bytes); /* source bytes so far; may be NULL */
    void *userdata;
};

/* -EBADMSG (digest or size differs), -EINVAL (malformed or hostile archive), -EFBIG, file errors. *ret_bytes: unpacked
 * size. What is in the folder after an error is the caller's to remove. */
int layer_unpack(const struct unpack_request *request, uint64_t *ret_bytes, struct error *err) _must_check_;

/* --- layer_tree.c: placing one entry --- */

/* A layer being written. */
struct layer_tree;
struct layer_tree *layer_tree_new(int dirfd); /* dirfd stays the caller's */
/* Sets the times of folders, last of all, as everything put into a folder changes them. */
void layer_tree_set_times(struct layer_tree *tree);
void layer_tree_free(struct layer_tree *tree);
DEFINE_CLEANUP(struct layer_tree *, layer_tree_free)
/* Makes what the entry says. For a regular file *ret_fd is open for its content and to be handed to
 * layer_tree_finish_file(); otherwise *ret_fd is -EBADF. */
int layer_tree_add(struct layer_tree *tree, struct archive_entry *entry, int *ret_fd, struct error *err) _must_check_;
/* Owner, mode, attributes and times, after the content: a write would clear set-id bits and capabilities. */
int layer_tree_finish_file(struct archive_entry *entry, int fd, struct error *err) _must_check_;

#endif
