/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/images/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <gnutls/crypto.h>
#include <string.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"

enum { SHA256_BYTES = 32 };
#define RATIO_FREE_BYTES (64ull * 1024 * 1024) /* the ratio is not looked at below this */

struct pipeline {
    const struct unpack_request *request;
    struct archive *plain; /* decompression */
    struct archive *tar;
    gnutls_hash_hd_t outer, inner;
    uint64_t outer_bytes, inner_bytes; /* passed so far */
    uint64_t entries, file_bytes;
    int failed; /* what a callback found wrong, with the text in err */
    struct error *err;
};

static void pipeline_finish(struct pipeline *p) {
    if (p->tar)
        (void) archive_read_free(p->tar);
    if (p->plain)
        (void) archive_read_free(p->plain);
    if (p->outer)
        gnutls_hash_deinit(p->outer, NULL);
    if (p->inner)
        gnutls_hash_deinit(p->inner, NULL);
}

static int archive_failure(struct pipeline *p, struct archive *a, const char *what) {
    if (p->failed < 0)
        return p->failed;
    const char *text = archive_error_string(a);
    return error_set(p->err, -EINVAL, "%s: %s", what, text ? text : "malformed archive");
}

static ssize_t read_outer(struct archive *a, void *userdata, const void **ret) {
    struct pipeline *p = userdata;
    const struct unpack_request *request = p->request;

    if (p->failed < 0)
        return -1;
    ssize_t n = request->source->read(request->source->userdata, ret, p->err);
    if (n < 0) {
        p->failed = (int) n;
        return -1;
    }
    p->outer_bytes += (uint64_t) n;
    if (p->outer_bytes > request->size) {
        p->failed = error_set(p->err, -EBADMSG, "layer %s is larger than its manifest says", request->diff_id);
        return -1;
    }
    if (n > 0)
        gnutls_hash(p->outer, *ret, (size_t) n);
    if (n > 0 && request->progress)
        request->progress(request->userdata, p->outer_bytes);
    return n;
}

static ssize_t read_inner(struct archive *a, void *userdata, const void **ret) {
    struct pipeline *p = userdata;
    size_t n = 0;
    la_int64_t offset;

    if (p->failed < 0)
        return -1;
    int rc = archive_read_data_block(p->plain, ret, &n, &offset);
    if (rc == ARCHIVE_EOF)
        return 0;
    if (rc < ARCHIVE_WARN) {
        p->failed = archive_failure(p, p->plain, "cannot decompress layer");
        return -1;
    }
    p->inner_bytes += n;
    if (p->inner_bytes > RATIO_FREE_BYTES && p->inner_bytes / p->request->limits->ratio_max > p->outer_bytes)
        p->failed = error_set(p->err, -EFBIG, "layer %s grows more than %llu times when decompressed: refused",
                              p->request->diff_id, (unsigned long long) p->request->limits->ratio_max);
    else if (p->inner_bytes > p->request->limits->archive_bytes_max)
        p->failed = error_set(p->err, -EFBIG, "layer %s is larger than %llu bytes", p->request->diff_id,
                              (unsigned long long) p->request->limits->archive_bytes_max);
    if (p->failed < 0)
        return -1;
    gnutls_hash(p->inner, *ret, n);
    return (ssize_t) n;
}

static int open_stages(struct pipeline *p) {
    struct archive_entry *entry;

    if (gnutls_hash_init(&p->outer, GNUTLS_DIG_SHA256) < 0 || gnutls_hash_init(&p->inner, GNUTLS_DIG_SHA256) < 0)
        return error_set(p->err, -ENOTSUP, "no SHA-256 in GnuTLS");
    p->plain = archive_read_new();
    p->tar = archive_read_new();
    if (!p->plain || !p->tar)
        return error_set(p->err, -ENOMEM, "out of memory");
    archive_read_support_filter_gzip(p->plain);
    archive_read_support_filter_zstd(p->plain);
    archive_read_support_format_raw(p->plain);
    archive_read_support_format_tar(p->tar);
    if (archive_read_open(p->plain, p, NULL, read_outer, NULL) != ARCHIVE_OK ||
        archive_read_next_header(p->plain, &entry) < ARCHIVE_WARN)
        return archive_failure(p, p->plain, "cannot read layer");
    if (archive_read_open(p->tar, p, NULL, read_inner, NULL) != ARCHIVE_OK)
        return archive_failure(p, p->tar, "layer is no tar archive");
    return 0;
}

static int count_bytes(struct pipeline *p, uint64_t n) {
    if (n > *p->request->bytes_left)
        return error_set(p->err, -EFBIG, "image is larger than %llu bytes when unpacked",
                         (unsigned long long) p->request->limits->image_bytes_max);
    *p->request->bytes_left -= n;
    p->file_bytes += n;
    return 0;
}

static int write_at(int fd, const void *data, size_t n, la_int64_t offset) {
    const char *at = data;

    while (n > 0) {
        ssize_t done = pwrite(fd, at, n, offset);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -errno;
        at += done;
        n -= (size_t) done;
        offset += done;
    }
    return 0;
}

static int write_content(struct pipeline *p, struct archive_entry *entry, int fd) {
    la_int64_t size = archive_entry_size(entry), end = 0;

    for (;;) {
        const void *data;
        size_t n = 0;
        la_int64_t offset;
        int rc = archive_read_data_block(p->tar, &data, &n, &offset);

        if (rc == ARCHIVE_EOF)
            break;
        if (rc < ARCHIVE_WARN)
            return archive_failure(p, p->tar, "layer archive");
        int r = count_bytes(p, n);
        if (r >= 0 && (r = write_at(fd, data, n, offset)) < 0)
            r = error_set_errno(p->err, r, "cannot write layer");
        if (r < 0)
            return r;
        end = offset + (la_int64_t) n;
    }
    if (size > end && ftruncate(fd, size) < 0) /* a hole at the end of a sparse file */
        return error_set_errno(p->err, -errno, "cannot write layer");
    return 0;
}

static int unpack_entries(struct pipeline *p, struct layer_tree *tree) {
    for (;;) {
        struct archive_entry *entry;
        _cleanup_close_ int fd = -EBADF;
        int rc = archive_read_next_header(p->tar, &entry);

        if (rc == ARCHIVE_EOF)
            return 0;
        if (rc < ARCHIVE_WARN || p->failed < 0)
            return archive_failure(p, p->tar, "layer archive");
        if (++p->entries > p->request->limits->entries_max)
            return error_set(p->err, -EFBIG, "layer has more than %llu entries",
                             (unsigned long long) p->request->limits->entries_max);
        int r = layer_tree_add(tree, entry, &fd, p->err);
        if (r >= 0 && fd >= 0)
            r = write_content(p, entry, fd);
        if (r >= 0 && fd >= 0)
            r = layer_tree_finish_file(entry, fd, p->err);
        if (r < 0)
            return r;
    }
}

/* What follows the end of the tar archive counts for the digests, too. */
static int drain(struct pipeline *p) {
    const void *data;
    ssize_t n;

    while ((n = read_inner(NULL, p, &data)) > 0)
        ;
    while (n == 0 && (n = read_outer(NULL, p, &data)) > 0)
        ;
    return p->failed;
}

static int check_digest(gnutls_hash_hd_t hash, const char *wanted, const char *what, struct error *err) {
    unsigned char digest[SHA256_BYTES];
    char text[IMAGE_DIGEST_SIZE] = "sha256:";

    gnutls_hash_output(hash, digest);
    for (size_t i = 0; i < sizeof(digest); i++)
        (void) snprintf(text + 7 + 2 * i, 3, "%02x", digest[i]);
    if (strcmp(text, wanted) == 0)
        return 0;
    return error_set(err, -EBADMSG, "%s of layer is %s, not %s as the image says: damaged or forged", what, text,
                     wanted);
}

int layer_unpack(const struct unpack_request *request, uint64_t *ret_bytes, struct error *err) {
    _cleanup_(error_clear) struct error local = ERROR_INIT;
    _cleanup_(pipeline_finish) struct pipeline p = {.request = request, .err = err ? err : &local};
    _cleanup_(layer_tree_freep) struct layer_tree *tree = layer_tree_new(request->dirfd);

    int r = open_stages(&p);
    if (r >= 0)
        r = unpack_entries(&p, tree);
    if (r >= 0)
        r = drain(&p);
    if (r < 0)
        return r;
    if (request->size != UINT64_MAX && p.outer_bytes != request->size)
        return error_set(err, -EBADMSG, "layer %s has %llu bytes, its manifest says %llu", request->diff_id,
                         (unsigned long long) p.outer_bytes, (unsigned long long) request->size);
    if (request->digest && (r = check_digest(p.outer, request->digest, "digest", err)) < 0)
        return r;
    r = check_digest(p.inner, request->diff_id, "diff_id", err);
    if (r < 0)
        return r;
    layer_tree_set_times(tree);
    *ret_bytes = p.file_bytes;
    return 0;
}
