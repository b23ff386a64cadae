/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Images made by the tests: layers, OCI layouts, docker archives. Included by the test programs of this folder. */
#ifndef PODIUM_TESTS_IMAGE_FIXTURE_H
#define PODIUM_TESTS_IMAGE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "orchestrator/images/images.h"
#include "orchestrator/images/store.h"
#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"

#pragma GCC diagnostic ignored "-Wmissing-field-initializers" /* entries are written as short as possible */

/* type: f file, d folder, l symlink, h hard link, c character device, p fifo */
struct entry {
    char type;
    const char *name;
    const char *data; /* content or target */
    unsigned mode;    /* 0: 0644, folders 0755 */
    unsigned uid;
    const char *xattr; /* name of an attribute to carry, value "v" */
};

struct fixture {
    char *dir;
    struct image_store *store;
};

static inline int fixture_setup(void **state) {
    char template[] = "/var/tmp/podium-images-XXXXXX";
    struct fixture *f = xnew0(struct fixture);

    if (geteuid() != 0 || !mkdtemp(template))
        return -1;
    f->dir = xstrdup(template);
    _cleanup_free_ char *root = path_join(f->dir, "store");
    f->store = image_store_open(root, NULL);
    *state = f;
    return f->store ? 0 : -1;
}

static inline int fixture_teardown(void **state) {
    struct fixture *f = *state;
    image_store_close(f->store);
    int r = rm_tree(f->dir, NULL);
    free(f->dir);
    free(f);
    return r;
}

static inline la_ssize_t to_strbuf(struct archive *a, void *userdata, const void *p, size_t n) {
    strbuf_add(userdata, p, n);
    return (la_ssize_t) n;
}

static inline struct archive *tar_start(struct strbuf *out, int filter) {
    struct archive *a = archive_write_new();
    archive_write_set_format_pax_restricted(a);
    archive_write_add_filter(a, filter);
    archive_write_set_bytes_in_last_block(a, 1);
    assert_int_equal(archive_write_open(a, out, NULL, to_strbuf, NULL), ARCHIVE_OK);
    return a;
}

static inline void tar_add(struct archive *a, const struct entry *e, const void *data, size_t n) {
    struct archive_entry *entry = archive_entry_new();

    archive_entry_set_pathname(entry, e->name);
    archive_entry_set_mode(entry, e->mode ? e->mode : e->type == 'd' ? 0755 : 0644);
    archive_entry_set_filetype(entry, e->type == 'd'   ? AE_IFDIR
                                      : e->type == 'l' ? AE_IFLNK
                                      : e->type == 'c' ? AE_IFCHR
                                      : e->type == 'p' ? AE_IFIFO
                                                       : AE_IFREG);
    archive_entry_set_uid(entry, e->uid);
    archive_entry_set_gid(entry, e->uid);
    archive_entry_set_mtime(entry, 1000000000, 0);
    archive_entry_set_size(entry, e->type == 'f' ? (la_int64_t) n : 0);
    if (e->type == 'l')
        archive_entry_set_symlink(entry, e->data);
    if (e->type == 'h')
        archive_entry_set_hardlink(entry, e->data);
    if (e->type == 'c')
        archive_entry_set_rdev(entry, 0x103);
    if (e->xattr)
        archive_entry_xattr_add_entry(entry, e->xattr, "v", 1);
    assert_true(archive_write_header(a, entry) >= ARCHIVE_WARN);
    if (e->type == 'f' && n)
        assert_int_equal(archive_write_data(a, data, n), n);
    archive_entry_free(entry);
}

static inline void tar_finish(struct archive *a) {
    assert_int_equal(archive_write_close(a), ARCHIVE_OK);
    archive_write_free(a);
}

/* A layer: plain tar and the same compressed, with both digests. */
struct layer {
    struct strbuf plain, packed;
    char diff_id[IMAGE_DIGEST_SIZE], digest[IMAGE_DIGEST_SIZE];
};

static inline void layer_finish(struct layer *l) {
    strbuf_finish(&l->plain);
    strbuf_finish(&l->packed);
}

static inline void pack(const struct strbuf *plain, int filter, struct strbuf *out) {
    struct archive *a = archive_write_new();
    struct archive_entry *entry = archive_entry_new();

    archive_write_set_format_raw(a);
    archive_write_add_filter(a, filter);
    archive_write_set_bytes_in_last_block(a, 1);
    assert_int_equal(archive_write_open(a, out, NULL, to_strbuf, NULL), ARCHIVE_OK);
    archive_entry_set_filetype(entry, AE_IFREG);
    assert_int_equal(archive_write_header(a, entry), ARCHIVE_OK);
    assert_int_equal(archive_write_data(a, plain->data, plain->len), plain->len);
    archive_entry_free(entry);
    tar_finish(a);
}

static inline struct layer layer_make(const struct entry *entries, size_t n, int filter) {
    struct layer l = {0};
    struct archive *a = tar_start(&l.plain, ARCHIVE_FILTER_NONE);

    for (size_t i = 0; i < n; i++)
        tar_add(a, &entries[i], entries[i].data,
                entries[i].type == 'f' && entries[i].data ? strlen(entries[i].data) : 0);
    tar_finish(a);
    if (filter == ARCHIVE_FILTER_NONE)
        strbuf_add(&l.packed, l.plain.data, l.plain.len);
    else
        pack(&l.plain, filter, &l.packed);
    store_digest(l.plain.data, l.plain.len, l.diff_id);
    store_digest(l.packed.data, l.packed.len, l.digest);
    return l;
}
#define LAYER(filter, ...)                                                                                             \
    layer_make((const struct entry[]){__VA_ARGS__},                                                                    \
               sizeof((const struct entry[]){__VA_ARGS__}) / sizeof(struct entry), filter)
#define _cleanup_layer_ _cleanup_(layer_finish)

static inline const char *machine(void) {
    struct utsname u;
    assert_int_equal(uname(&u), 0);
    return strcmp(u.machine, "x86_64") == 0 ? "amd64" : strcmp(u.machine, "aarch64") == 0 ? "arm64" : "other";
}

static inline char *config_text(const struct layer *layers, size_t n, const char *architecture) {
    struct strbuf b = STRBUF_INIT;

    strbuf_addf(&b,
                "{\"architecture\":\"%s\",\"os\":\"linux\",\"config\":{\"Env\":[\"A=b\"],\"Cmd\":[\"serve\"],"
                "\"User\":\"33\"},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[",
                architecture);
    for (size_t i = 0; i < n; i++)
        strbuf_addf(&b, "%s\"%s\"", i ? "," : "", layers[i].diff_id);
    strbuf_adds(&b, "]}}");
    return strbuf_steal(&b);
}

static inline void write_file(const char *dir, const char *name, const void *p, size_t n) {
    _cleanup_free_ char *path = path_join(dir, name), *parent = xstrdup(path);

    *strrchr(parent, '/') = 0;
    assert_int_equal(mkdir_parents(parent, 0755, NULL), 0);
    assert_int_equal(file_write_atomic(path, p, n, 0644, false, NULL), 0);
}

static inline void write_blob(const char *dir, const void *p, size_t n, char digest[IMAGE_DIGEST_SIZE]) {
    store_digest(p, n, digest);
    _cleanup_free_ char *name = xasprintf("blobs/sha256/%s", digest + 7);
    write_file(dir, name, p, n);
}

/* Writes config, manifest and layers; fills the manifest's digest and returns its size. */
static inline size_t layout_image(const char *dir, const struct layer *layers, size_t n, const char *architecture,
                                  char digest[IMAGE_DIGEST_SIZE]) {
    _cleanup_free_ char *config = config_text(layers, n, architecture);
    struct strbuf b = STRBUF_INIT;
    char blob[IMAGE_DIGEST_SIZE];

    write_blob(dir, config, strlen(config), blob);
    strbuf_addf(&b,
                "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\","
                "\"digest\":\"%s\",\"size\":%zu},\"layers\":[",
                blob, strlen(config));
    for (size_t i = 0; i < n; i++) {
        write_blob(dir, layers[i].packed.data, layers[i].packed.len, blob);
        strbuf_addf(&b,
                    "%s{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+gzip\",\"digest\":\"%s\",\"size\":%zu}",
                    i ? "," : "", layers[i].digest, layers[i].packed.len);
    }
    strbuf_adds(&b, "]}");
    write_blob(dir, b.data, b.len, digest);
    size_t size = b.len;
    strbuf_finish(&b);
    return size;
}

static inline void layout_index(const char *dir, const char *manifests) {
    _cleanup_free_ char *index = xasprintf("{\"schemaVersion\":2,\"manifests\":[%s]}", manifests);

    write_file(dir, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}", 30);
    write_file(dir, "index.json", index, strlen(index));
}

/* A whole layout folder for one image; returns its path. name: ref.name annotation, NULL for none. */
static inline char *layout_make(const struct fixture *f, const char *folder, const char *name,
                                const struct layer *layers, size_t n) {
    char *dir = path_join(f->dir, folder), digest[IMAGE_DIGEST_SIZE];
    size_t size = layout_image(dir, layers, n, machine(), digest);
    _cleanup_free_ char *note =
        name ? xasprintf(",\"annotations\":{\"org.opencontainers.image.ref.name\":\"%s\"}", name) : xstrdup("");
    _cleanup_free_ char *item = xasprintf("{\"digest\":\"%s\",\"size\":%zu%s}", digest, size, note);

    layout_index(dir, item);
    return dir;
}

/* Names in a folder of the store, "." and ".." not counted. */
static inline size_t count_names(const struct fixture *f, const char *folder) {
    _cleanup_free_ char *path = xasprintf("%s/store/%s", f->dir, folder);
    _cleanup_closedir_ DIR *dir = opendir(path);
    size_t n = 0;

    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));)
        if (e->d_name[0] != '.' && strchr(e->d_name, '.') == NULL)
            n++;
        else if (strcmp(folder, "layers") != 0 && e->d_name[0] != '.')
            n++;
    return n;
}

static inline void assert_store_is_empty(const struct fixture *f) {
    assert_int_equal(count_names(f, "layers"), 0);
    assert_int_equal(count_names(f, "images"), 0);
    assert_int_equal(count_names(f, "tmp"), 0);
}

static inline int import_path(const struct fixture *f, const char *path, const char *name, struct error *err) {
    return image_import(f->store, path, name, NULL, NULL, NULL, err);
}

#endif
