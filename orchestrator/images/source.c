/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/images/source.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"

enum { READ_BYTES = 256 * 1024, LINKS_MAX = 8, NAMES_MAX = 100000 };
#define DOCUMENTS_BYTES_MAX (64ull * 1024 * 1024) /* kept in memory of one archive */

/* One name of an archive. */
struct member {
    char *document; /* its bytes when it looks like JSON, else NULL */
    size_t n;
    char *link; /* the name it is a link to, else NULL */
};

struct image_source {
    char *path;
    const struct image_limits *limits;
    int dirfd;               /* of a folder; -EBADF for an archive */
    struct hashmap *members; /* of an archive: name → struct member */
    uint64_t document_bytes;
    bool consume;
};

static void member_free(void *p) {
    struct member *m = p;

    free(m->document);
    free(m->link);
    free(m);
}

void image_source_consume(struct image_source *source) {
    source->consume = true;
}

void image_source_close(struct image_source *source) {
    if (!source)
        return;
    closep(&source->dirfd);
    hashmap_free(source->members);
    free(source->path);
    free(source);
}

/* "./blobs//sha256/x" → "blobs/sha256/x"; with base, a link target relative to that member's folder. Names with ".."
 * beyond the top, which no writer makes, come out as they may: they are only keys of a table. */
static char *clean_name(const char *base, const char *name) {
    struct strbuf out = STRBUF_INIT;
    const char *slash = base && *name != '/' ? strrchr(base, '/') : NULL;
    _cleanup_free_ char *whole = slash ? xasprintf("%.*s/%s", (int) (slash - base), base, name) : xstrdup(name);

    for (const char *p = whole; *p;) {
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.') {
            char *up = out.len ? strrchr(out.data, '/') : NULL;
            out.len = up ? (size_t) (up - out.data) : 0;
            if (out.data)
                out.data[out.len] = 0;
        } else if (n > 0 && !(n == 1 && p[0] == '.')) {
            if (out.len)
                strbuf_addc(&out, '/');
            strbuf_add(&out, p, n);
        }
        p += n + (p[n] == '/');
    }
    return strbuf_steal(&out);
}

static struct archive *archive_start(const struct image_source *source, struct error *err) {
    struct archive *a = archive_read_new();

    if (!a) {
        (void) error_set(err, -ENOMEM, "out of memory");
        return NULL;
    }
    archive_read_support_filter_gzip(a);
    archive_read_support_filter_zstd(a);
    archive_read_support_filter_xz(a);
    archive_read_support_format_tar(a);
    if (archive_read_open_filename(a, source->path, READ_BYTES) == ARCHIVE_OK)
        return a;
    (void) error_set(err, -EINVAL, "%s is neither an image layout folder nor a tar archive: %s", source->path,
                     archive_error_string(a));
    (void) archive_read_free(a);
    return NULL;
}

static void archive_freep(struct archive **a) {
    if (*a)
        (void) archive_read_free(*a);
}

/* The next entry; 0 at the end. Sizes are checked here, before libarchive skips through what may be a bomb. */
static int archive_next(const struct image_source *source, struct archive *a, struct archive_entry **ret,
                        struct error *err) {
    int rc = archive_read_next_header(a, ret);

    if (rc == ARCHIVE_EOF)
        return 0;
    if (rc < ARCHIVE_WARN)
        return error_set(err, -EINVAL, "%s: %s", source->path, archive_error_string(a));
    if ((uint64_t) archive_entry_size(*ret) + (uint64_t) archive_filter_bytes(a, 0) > source->limits->archive_bytes_max)
        return error_set(err, -EFBIG, "%s: larger than %llu bytes", source->path,
                         (unsigned long long) source->limits->archive_bytes_max);
    return 1;
}

/* Keeps the content if it looks like JSON; layers smaller than a document are told apart by their first byte. */
static int keep_document(struct image_source *source, struct archive *a, struct archive_entry *entry, struct member *m,
                         struct error *err) {
    la_int64_t size = archive_entry_size(entry);

    if (size <= 0 || size > IMAGE_MANIFEST_BYTES_MAX)
        return 0;
    _cleanup_free_ char *bytes = xmalloc((size_t) size + 1);
    la_ssize_t n = archive_read_data(a, bytes, (size_t) size);
    if (n != size)
        return error_set(err, -EINVAL, "%s: %s", source->path, n < 0 ? archive_error_string(a) : "truncated");
    if (bytes[0] != '{' && bytes[0] != '[')
        return 0;
    source->document_bytes += (uint64_t) size;
    if (source->document_bytes > DOCUMENTS_BYTES_MAX)
        return error_set(err, -EFBIG, "%s: more than %llu bytes of JSON documents", source->path,
                         (unsigned long long) DOCUMENTS_BYTES_MAX);
    bytes[size] = 0;
    m->document = steal(&bytes);
    m->n = (size_t) size;
    return 0;
}

static int scan_archive(struct image_source *source, struct error *err) {
    _cleanup_(archive_freep) struct archive *a = archive_start(source, err);
    struct archive_entry *entry;
    int r;

    if (!a)
        return -EINVAL;
    source->members = hashmap_new(member_free);
    while ((r = archive_next(source, a, &entry, err)) > 0) {
        const char *raw = archive_entry_pathname(entry);
        const char *link = archive_entry_hardlink(entry);
        bool is_symlink = !link && archive_entry_filetype(entry) == AE_IFLNK;

        if (!raw || (!link && !is_symlink && archive_entry_filetype(entry) != AE_IFREG))
            continue;
        if (hashmap_len(source->members) >= NAMES_MAX)
            return error_set(err, -EFBIG, "%s: more than %d files", source->path, NAMES_MAX);
        _cleanup_free_ char *name = clean_name(NULL, raw);
        struct member *m = xnew0(struct member);
        hashmap_put(source->members, name, m);
        if (link)
            m->link = clean_name(NULL, link);
        else if (is_symlink && archive_entry_symlink(entry))
            m->link = clean_name(name, archive_entry_symlink(entry));
        else if (!is_symlink && (r = keep_document(source, a, entry, m, err)) < 0)
            return r;
    }
    return r;
}

struct image_source *image_source_open(const char *path, const struct image_limits *limits, struct error *err) {
    _cleanup_(image_source_closep) struct image_source *source = xnew0(struct image_source);
    struct stat st;

    source->path = xstrdup(path);
    source->limits = limits;
    source->dirfd = -EBADF;
    if (stat(path, &st) < 0) {
        (void) error_set_errno(err, -errno, "cannot read %s", path);
        return NULL;
    }
    if (S_ISDIR(st.st_mode)) {
        source->dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (source->dirfd < 0) {
            (void) error_set_errno(err, -errno, "cannot open %s", path);
            return NULL;
        }
        return steal(&source);
    }
    if (!S_ISREG(st.st_mode)) {
        (void) error_set(err, -EINVAL, "%s is neither a folder nor a file", path);
        return NULL;
    }
    return scan_archive(source, err) < 0 ? NULL : steal(&source);
}

/* The member a name leads to through links, with its final name; NULL when there is none. */
static struct member *follow(struct image_source *source, const char *name, const char **ret_name) {
    for (int i = 0; i < LINKS_MAX; i++) {
        struct member *m = hashmap_get(source->members, name);
        if (!m || !m->link) {
            *ret_name = name;
            return m;
        }
        name = m->link;
    }
    return NULL;
}

bool image_source_has(struct image_source *source, const char *name) {
    const char *final;

    if (source->members)
        return follow(source, name, &final) != NULL;
    _cleanup_close_ int fd = open_in_root(source->dirfd, name, O_PATH, 0);
    return fd >= 0;
}

/* A regular file of a folder source; links stay inside the folder, fifos and devices are not opened. */
static int open_file(struct image_source *source, const char *name, uint64_t *ret_size, struct error *err) {
    struct stat st;
    _cleanup_close_ int fd = open_in_root(source->dirfd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);

    if (fd < 0)
        return error_set_errno(err, fd, "cannot open %s in %s", name, source->path);
    if (fstat(fd, &st) < 0)
        return error_set_errno(err, -errno, "cannot read %s in %s", name, source->path);
    if (!S_ISREG(st.st_mode))
        return error_set(err, -EINVAL, "%s in %s is no file", name, source->path);
    *ret_size = (uint64_t) st.st_size;
    return steal_fd(&fd);
}

int image_source_read(struct image_source *source, const char *name, struct strbuf *out, struct error *err) {
    const char *final;
    uint64_t size;

    if (source->members) {
        struct member *m = follow(source, name, &final);
        if (!m)
            return error_set(err, -ENOENT, "%s has no %s: damaged or incomplete", source->path, name);
        if (!m->document)
            return error_set(err, -EINVAL, "%s: %s is no JSON document of at most %u bytes", source->path, name,
                             IMAGE_MANIFEST_BYTES_MAX);
        strbuf_add(out, m->document, m->n);
        return 0;
    }
    _cleanup_close_ int fd = open_file(source, name, &size, err);
    if (fd < 0)
        return fd;
    int r = fd_read_all(fd, IMAGE_MANIFEST_BYTES_MAX, out, err);
    return r < 0 ? error_prefix(err, r, "%s in %s", name, source->path) : 0;
}

/* --- layers --- */

struct file_reader {
    int fd;
    char *buffer;
};

static ssize_t file_read_next(void *userdata, const void **ret, struct error *err) {
    struct file_reader *reader = userdata;
    ssize_t n;

    do
        n = read(reader->fd, reader->buffer, READ_BYTES);
    while (n < 0 && errno == EINTR);
    *ret = reader->buffer;
    return n < 0 ? error_set_errno(err, -errno, "cannot read layer") : n;
}

static ssize_t archive_read_next(void *userdata, const void **ret, struct error *err) {
    struct archive *a = userdata;
    size_t n = 0;
    la_int64_t offset;
    int rc = archive_read_data_block(a, ret, &n, &offset);

    if (rc == ARCHIVE_EOF)
        return 0;
    if (rc < ARCHIVE_WARN)
        return error_set(err, -EINVAL, "cannot read layer: %s", archive_error_string(a));
    return (ssize_t) n;
}

static int walk_folder(struct image_source *source, const struct hashmap *wanted, image_source_visit visit,
                       void *userdata, struct error *err) {
    struct hashmap_iter it = {0};
    _cleanup_free_ char *buffer = xmalloc(READ_BYTES);

    while (hashmap_next(wanted, &it)) {
        uint64_t size;
        _cleanup_close_ int fd = open_file(source, it.key, &size, err);
        if (fd == -ENOENT) {
            error_clear(err);
            continue;
        }
        if (fd < 0)
            return fd;
        struct file_reader reader = {.fd = fd, .buffer = buffer};
        struct byte_stream stream = {.read = file_read_next, .userdata = &reader};
        (void) posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
        int r = visit(userdata, it.value, &stream, size, err);
        if (r < 0)
            return r;
        if (source->consume)
            (void) unlinkat(source->dirfd, it.key, 0);
    }
    return 0;
}

/* Final names of what is wanted: several wanted names may lead to one member; its content serves the first. */
static struct hashmap *resolve_wanted(struct image_source *source, const struct hashmap *wanted) {
    struct hashmap *resolved = hashmap_new(NULL);
    struct hashmap_iter it = {0};

    while (hashmap_next(wanted, &it)) {
        const char *final;
        if (follow(source, it.key, &final))
            hashmap_put(resolved, final, it.value);
    }
    return resolved;
}

static int walk_archive(struct image_source *source, const struct hashmap *wanted, image_source_visit visit,
                        void *userdata, struct error *err) {
    _cleanup_(hashmap_freep) struct hashmap *left = resolve_wanted(source, wanted);
    _cleanup_(archive_freep) struct archive *a = archive_start(source, err);
    struct archive_entry *entry;
    int r = 0;

    if (!a)
        return -EINVAL;
    while (hashmap_len(left) > 0 && (r = archive_next(source, a, &entry, err)) > 0) {
        const char *raw = archive_entry_pathname(entry);
        if (!raw || archive_entry_hardlink(entry) || archive_entry_filetype(entry) != AE_IFREG)
            continue;
        _cleanup_free_ char *name = clean_name(NULL, raw);
        void *value = hashmap_steal(left, name);
        if (!value)
            continue;
        struct byte_stream stream = {.read = archive_read_next, .userdata = a};
        r = visit(userdata, value, &stream, (uint64_t) archive_entry_size(entry), err);
        if (r < 0)
            return r;
    }
    return r < 0 ? r : 0;
}

int image_source_walk(struct image_source *source, const struct hashmap *wanted, image_source_visit visit,
                      void *userdata, struct error *err) {
    return source->members ? walk_archive(source, wanted, visit, userdata, err)
                           : walk_folder(source, wanted, visit, userdata, err);
}
