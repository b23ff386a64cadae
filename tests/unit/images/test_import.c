/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Importing: sources, digests, unpacking, hostile archives. */
#include "tests/unit/images/image_fixture.h"

#include <sys/sysmacros.h>
#include <sys/xattr.h>

/* lstat of a file in the topmost layer (or the i-th from the top) of an image. */
static char *layer_file(struct fixture *f, const char *reference, size_t i, const char *name) {
    _cleanup_(image_finish) struct image image = {0};

    assert_int_equal(image_resolve(f->store, reference, &image, NULL), 0);
    assert_true(i < strv_len(image.layer_dirs));
    return path_join(image.layer_dirs[i], name);
}

static struct stat stat_of(struct fixture *f, const char *reference, size_t i, const char *name) {
    _cleanup_free_ char *path = layer_file(f, reference, i, name);
    struct stat st;

    if (lstat(path, &st) < 0)
        fail_msg("%s: %s", path, strerror(errno));
    return st;
}

static bool is_absent(struct fixture *f, const char *reference, size_t i, const char *name) {
    _cleanup_free_ char *path = layer_file(f, reference, i, name);
    struct stat st;

    return lstat(path, &st) < 0 && errno == ENOENT;
}

static bool has_content(struct fixture *f, const char *reference, size_t i, const char *name, const char *text) {
    _cleanup_free_ char *path = layer_file(f, reference, i, name);
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;

    return file_read(path, 1 << 20, &b, NULL) == 0 && strcmp(strbuf_str(&b), text) == 0;
}

static bool is_opaque(struct fixture *f, const char *reference, size_t i, const char *name) {
    _cleanup_free_ char *path = layer_file(f, reference, i, name);
    char value = 0;

    return lgetxattr(path, "trusted.overlay.opaque", &value, 1) == 1 && value == 'y';
}

static void test_layout_with_every_compression(void **state) {
    struct fixture *f = *state;
    struct layer layers[3] = {
        LAYER(ARCHIVE_FILTER_GZIP, {'d', "etc"}, {'f', "etc/passwd", "root", 0600, 7}, {'d', "bin", NULL, 01777},
              {'f', "bin/sh", "#!", 04755}, {'l', "sh", "/bin/sh"}, {'h', "bin/ash", "bin/sh"}, {'p', "fifo"}),
        LAYER(ARCHIVE_FILTER_ZSTD, {'f', "./deep/er/file", "zstd"}, {'f', "/absolute", "inside"},
              {'f', "na\xc3\xafve.txt", "utf8"}),
        LAYER(ARCHIVE_FILTER_NONE, {'f', "top", "plain"}),
    };
    _cleanup_free_ char *dir = layout_make(f, "web", "registry.example/web:1", layers, 3);
    _cleanup_(image_finish) struct image image = {0};
    _cleanup_free_ char *digest = NULL;
    mode_t before = umask(077); /* must not show in the layers */

    assert_int_equal(image_import(f->store, dir, NULL, NULL, NULL, &digest, NULL), 0);
    (void) umask(before);
    assert_int_equal(image_resolve(f->store, "registry.example/web:1", &image, NULL), 0);
    assert_string_equal(image.digest, digest);
    assert_int_equal(strv_len(image.layer_dirs), 3);
    assert_string_equal(image.layers[0], layers[2].diff_id); /* topmost first */
    assert_string_equal(image.layers[2], layers[0].diff_id);
    assert_string_equal(json_str(json_get(image.config, "User")), "33");
    assert_int_equal(image.size_bytes, 4 + 2 + 4 + 6 + 4 + 5);

    assert_true(has_content(f, digest, 0, "top", "plain"));
    assert_true(has_content(f, digest, 1, "deep/er/file", "zstd"));
    assert_true(has_content(f, digest, 1, "absolute", "inside"));
    assert_true(has_content(f, digest, 1, "na\xc3\xafve.txt", "utf8"));
    assert_int_equal(stat_of(f, digest, 1, "deep/er").st_mode, S_IFDIR | 0755);
    assert_int_equal(stat_of(f, digest, 1, ".").st_mode, S_IFDIR | 0755);
    struct stat st = stat_of(f, digest, 2, "etc/passwd");
    assert_int_equal(st.st_mode, S_IFREG | 0600);
    assert_int_equal(st.st_uid, 7);
    assert_int_equal(st.st_mtime, 1000000000);
    assert_int_equal(stat_of(f, digest, 2, "bin").st_mode, S_IFDIR | 01777);
    assert_int_equal(stat_of(f, digest, 2, "bin").st_mtime, 1000000000);
    assert_int_equal(stat_of(f, digest, 2, "bin/sh").st_mode, S_IFREG | 04755);
    assert_int_equal(stat_of(f, digest, 2, "bin/sh").st_ino, stat_of(f, digest, 2, "bin/ash").st_ino);
    assert_true(S_ISLNK(stat_of(f, digest, 2, "sh").st_mode));
    assert_true(S_ISFIFO(stat_of(f, digest, 2, "fifo").st_mode));
    assert_int_equal(count_names(f, "tmp"), 0);
    for (int i = 0; i < 3; i++)
        layer_finish(&layers[i]);
}

static void test_whiteouts(void **state) {
    struct fixture *f = *state;
    struct layer l = LAYER(ARCHIVE_FILTER_GZIP, {'d', "a"}, {'f', "a/.wh.gone", ""}, {'d', "b"}, {'f', "b/new", "n"},
                           {'f', "b/.wh..wh..opq", ""}, {'f', ".wh..wh.plnk", ""},
                           /* hidden and made anew in one layer */
                           {'f', ".wh.dir", ""}, {'d', "dir"}, {'f', "dir/x", "x"}, {'d', "late"},
                           {'f', ".wh.late", ""}, {'f', "file", "kept"}, {'f', ".wh.file", ""});
    _cleanup_free_ char *dir = layout_make(f, "w", "w:1", &l, 1);

    assert_int_equal(import_path(f, dir, NULL, NULL), 0);
    struct stat st = stat_of(f, "w:1", 0, "a/gone");
    assert_true(S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0));
    assert_true(is_absent(f, "w:1", 0, "a/.wh.gone"));
    assert_true(is_opaque(f, "w:1", 0, "b"));
    assert_false(is_opaque(f, "w:1", 0, "a"));
    assert_true(is_absent(f, "w:1", 0, "b/.wh..wh..opq"));
    assert_true(is_absent(f, "w:1", 0, ".wh..wh.plnk"));
    assert_true(is_opaque(f, "w:1", 0, "dir") && has_content(f, "w:1", 0, "dir/x", "x"));
    assert_true(is_opaque(f, "w:1", 0, "late"));
    assert_true(has_content(f, "w:1", 0, "file", "kept"));
    layer_finish(&l);
}

static void test_devices_and_attributes_are_filtered(void **state) {
    struct fixture *f = *state;
    struct layer l = LAYER(ARCHIVE_FILTER_GZIP, {'d', "dev"}, {'c', "dev/null"},
                           {'f', "evil", "x", 0, 0, "trusted.overlay.redirect"}, {'f', "fine", "x", 0, 0, "user.note"},
                           {'d', "odd", NULL, 0, 0, "user.overlay.opaque"});
    _cleanup_free_ char *dir = layout_make(f, "d", "d:1", &l, 1);
    char value[8];

    assert_int_equal(import_path(f, dir, NULL, NULL), 0);
    assert_true(is_absent(f, "d:1", 0, "dev/null"));
    _cleanup_free_ char *evil = layer_file(f, "d:1", 0, "evil"), *fine = layer_file(f, "d:1", 0, "fine");
    _cleanup_free_ char *odd = layer_file(f, "d:1", 0, "odd");
    assert_true(lgetxattr(evil, "trusted.overlay.redirect", value, sizeof(value)) < 0);
    assert_true(lgetxattr(odd, "user.overlay.opaque", value, sizeof(value)) < 0);
    ssize_t n = lgetxattr(fine, "user.note", value, sizeof(value));
    assert_true(n == 1 || errno == ENOTSUP || errno == EOPNOTSUPP); /* tmpfs had none before Linux 6.6 */
    layer_finish(&l);
}

/* Entries that try to leave the layer, or to write through links. None may touch the canary beside the store. */
static void test_hostile_layers(void **state) {
    struct fixture *f = *state;
    _cleanup_free_ char *canary = path_join(f->dir, "canary"), *into = xasprintf("%s/..", f->dir);
    struct {
        int code;
        struct layer layer;
    } cases[] = {
        {-EINVAL, LAYER(ARCHIVE_FILTER_GZIP, {'f', "../../../../canary", "x"})},
        {-EINVAL, LAYER(ARCHIVE_FILTER_GZIP, {'f', "a/../../canary", "x"})},
        {-EINVAL, LAYER(ARCHIVE_FILTER_GZIP, {'h', "a", "../../../canary"})},
        {-EINVAL, LAYER(ARCHIVE_FILTER_GZIP, {'f', ".wh...", ""})},
        {-EINVAL, LAYER(ARCHIVE_FILTER_GZIP, {'f', ".wh..", ""})},
        {-EINVAL, LAYER(ARCHIVE_FILTER_GZIP, {'f', ".wh.", ""})},
        {-EINVAL, LAYER(ARCHIVE_FILTER_GZIP, {'l', ".", "/etc"})},
        {-ENOENT, LAYER(ARCHIVE_FILTER_GZIP, {'h', "a", canary})},
        {-ELOOP, LAYER(ARCHIVE_FILTER_GZIP, {'l', "loop", "loop"}, {'f', "loop/x", "x"})},
        {-ENOTDIR, LAYER(ARCHIVE_FILTER_GZIP, {'f', "file", "x"}, {'f', "file/x", "x"})},
        {-EINVAL, LAYER(ARCHIVE_FILTER_GZIP, {'d', "d"}, {'h', "e", "d"})},
    };

    write_file(f->dir, "canary", "alive", 5);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(error_clear) struct error err = ERROR_INIT;
        _cleanup_free_ char *folder = xasprintf("hostile%zu", i);
        _cleanup_free_ char *dir = layout_make(f, folder, "hostile:1", &cases[i].layer, 1);
        int r = import_path(f, dir, NULL, &err);
        if (r != cases[i].code)
            fail_msg("case %zu: %d (%s)", i, r, error_text(&err, r));
        assert_store_is_empty(f);
        layer_finish(&cases[i].layer);
    }
    /* links are fine as such, and what goes through them stays inside */
    struct layer l = LAYER(ARCHIVE_FILTER_GZIP, {'l', "up", into}, {'d', "real"}, {'l', "abs", "/real"},
                           {'f', "abs/file", "in"}, {'l', "over", canary}, {'f', "over", "replaced"},
                           {'l', "outside", "../../../../../../real"}, {'f', "outside/file2", "in2"});
    _cleanup_free_ char *dir = layout_make(f, "links", "links:1", &l, 1);
    assert_int_equal(import_path(f, dir, NULL, NULL), 0);
    assert_true(has_content(f, "links:1", 0, "real/file", "in"));
    assert_true(has_content(f, "links:1", 0, "real/file2", "in2"));
    assert_true(has_content(f, "links:1", 0, "over", "replaced"));
    layer_finish(&l);
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    assert_int_equal(file_read(canary, 100, &text, NULL), 0);
    assert_string_equal(strbuf_str(&text), "alive");
}

static void test_entries_replace_earlier_ones(void **state) {
    struct fixture *f = *state;
    struct layer l = LAYER(ARCHIVE_FILTER_GZIP, {'f', "a", "one"}, {'f', "a", "two"}, {'d', "d"}, {'f', "d/x", "x"},
                           {'f', "d", "file now"}, {'l', "s", "a"}, {'d', "s"}, {'f', "s/in", "in"},
                           {'d', "s", NULL, 0700}, {'f', "n", "n"}, {'h', "n", "n"});
    _cleanup_free_ char *dir = layout_make(f, "r", "r:1", &l, 1);

    assert_int_equal(import_path(f, dir, NULL, NULL), 0);
    assert_true(has_content(f, "r:1", 0, "a", "two"));
    assert_true(has_content(f, "r:1", 0, "d", "file now"));
    assert_true(has_content(f, "r:1", 0, "s/in", "in"));
    assert_int_equal(stat_of(f, "r:1", 0, "s").st_mode, S_IFDIR | 0700);
    assert_true(has_content(f, "r:1", 0, "n", "n"));
    layer_finish(&l);
}

static void test_wrong_digests(void **state) {
    struct fixture *f = *state;
    struct layer l = LAYER(ARCHIVE_FILTER_GZIP, {'f', "a", "one"}),
                 other = LAYER(ARCHIVE_FILTER_GZIP, {'f', "a", "two"});
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    /* the blob is not what its name says */
    _cleanup_free_ char *dir = layout_make(f, "forged", "x:1", &l, 1);
    _cleanup_free_ char *blob = xasprintf("blobs/sha256/%s", l.digest + 7);
    write_file(dir, blob, other.packed.data, other.packed.len);
    assert_int_equal(import_path(f, dir, NULL, &err), -EBADMSG);
    assert_store_is_empty(f);
    /* cut off */
    write_file(dir, blob, l.packed.data, l.packed.len - 9);
    assert_true(import_path(f, dir, NULL, &err) < 0);
    assert_store_is_empty(f);
    /* trailing bytes */
    _cleanup_strbuf_ struct strbuf longer = STRBUF_INIT;
    strbuf_add(&longer, l.packed.data, l.packed.len);
    strbuf_adds(&longer, "more");
    write_file(dir, blob, longer.data, longer.len);
    assert_int_equal(import_path(f, dir, NULL, &err), -EBADMSG);
    /* absent */
    _cleanup_free_ char *path = path_join(dir, blob);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(import_path(f, dir, NULL, &err), -ENOENT);
    assert_non_null(strstr(error_text(&err, 0), l.digest + 7));
    /* the blob is right, the diff_id is another's */
    struct layer mixed = {.packed = l.packed};
    memcpy(mixed.digest, l.digest, sizeof(mixed.digest));
    memcpy(mixed.diff_id, other.diff_id, sizeof(mixed.diff_id));
    _cleanup_free_ char *dir2 = layout_make(f, "mixed", "x:1", &mixed, 1);
    assert_int_equal(import_path(f, dir2, NULL, &err), -EBADMSG);
    assert_store_is_empty(f);
    layer_finish(&l);
    layer_finish(&other);
}

static void test_limits(void **state) {
    struct fixture *f = *state;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct layer l = LAYER(ARCHIVE_FILTER_GZIP, {'f', "a", "0123456789"}, {'f', "b", "0123456789"});
    _cleanup_free_ char *dir = layout_make(f, "big", "x:1", &l, 1);

    image_store_set_limits(f->store, &(struct image_limits){.image_bytes_max = 19});
    assert_int_equal(import_path(f, dir, NULL, &err), -EFBIG);
    assert_store_is_empty(f);
    image_store_set_limits(f->store, &(struct image_limits){.entries_max = 1});
    assert_int_equal(import_path(f, dir, NULL, &err), -EFBIG);
    image_store_set_limits(f->store, &(struct image_limits){.archive_bytes_max = 1000});
    assert_int_equal(import_path(f, dir, NULL, &err), -EFBIG);
    image_store_set_limits(f->store, &(struct image_limits){.image_bytes_max = 20});
    assert_int_equal(import_path(f, dir, NULL, &err), 0);
    layer_finish(&l);

    /* 80 MiB of zeros in a few kilobytes of zstd */
    struct layer bomb = {0};
    struct archive *a = tar_start(&bomb.plain, ARCHIVE_FILTER_NONE);
    size_t n = 80 << 20;
    _cleanup_free_ char *zeros = xcalloc(1, n);
    tar_add(a, &(struct entry){'f', "zeros"}, zeros, n);
    tar_finish(a);
    pack(&bomb.plain, ARCHIVE_FILTER_ZSTD, &bomb.packed);
    store_digest(bomb.plain.data, bomb.plain.len, bomb.diff_id);
    store_digest(bomb.packed.data, bomb.packed.len, bomb.digest);
    _cleanup_free_ char *dir2 = layout_make(f, "bomb", "bomb:1", &bomb, 1);
    image_store_set_limits(f->store, &(struct image_limits){0});
    assert_int_equal(import_path(f, dir2, NULL, &err), -EFBIG);
    assert_non_null(strstr(error_text(&err, 0), "decompressed"));
    assert_int_equal(count_names(f, "tmp"), 0);
    layer_finish(&bomb);
}

/* The files of a folder as a tar archive. */
static void archive_folder(struct archive *a, const char *dir, const char *prefix) {
    _cleanup_free_ char *path = path_join(dir, prefix);
    _cleanup_closedir_ DIR *d = opendir(path);

    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.')
            continue;
        _cleanup_free_ char *name = *prefix ? path_join(prefix, e->d_name) : xstrdup(e->d_name);
        _cleanup_free_ char *file = path_join(dir, name);
        _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
        if (e->d_type == DT_DIR) {
            archive_folder(a, dir, name);
            continue;
        }
        assert_int_equal(file_read(file, 1 << 24, &b, NULL), 0);
        tar_add(a, &(struct entry){'f', name}, b.data, b.len);
    }
}

static void test_layout_archives(void **state) {
    struct fixture *f = *state;
    struct layer layers[2] = {LAYER(ARCHIVE_FILTER_GZIP, {'f', "a", "one"}),
                              LAYER(ARCHIVE_FILTER_NONE, {'f', "b", "two"})};
    _cleanup_free_ char *dir = layout_make(f, "web", NULL, layers, 2);
    static const int filters[] = {ARCHIVE_FILTER_NONE, ARCHIVE_FILTER_GZIP, ARCHIVE_FILTER_ZSTD};

    for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
        _cleanup_strbuf_ struct strbuf tar = STRBUF_INIT;
        _cleanup_free_ char *name = xasprintf("web%zu.tar%s", i, i ? ".gz" : ""), *path = path_join(f->dir, name);
        struct archive *a = tar_start(&tar, filters[i]);
        archive_folder(a, dir, "");
        tar_finish(a);
        write_file(f->dir, name, tar.data, tar.len);
        assert_int_equal(import_path(f, path, NULL, NULL), 0);
        _cleanup_free_ char *reference = xasprintf("web%zu", i); /* named after the file */
        assert_true(has_content(f, reference, 0, "b", "two"));
        assert_true(has_content(f, reference, 1, "a", "one"));
        assert_int_equal(image_remove(f->store, reference, NULL), 0);
        assert_store_is_empty(f);
    }
    layer_finish(&layers[0]);
    layer_finish(&layers[1]);
}

/* As `docker save` wrote them before it turned to OCI: layer folders, one a link to another. */
static void test_docker_archive(void **state) {
    struct fixture *f = *state;
    struct layer l = LAYER(ARCHIVE_FILTER_NONE, {'f', "a", "one"});
    struct layer twice[3] = {l, LAYER(ARCHIVE_FILTER_NONE, {'f', "b", "two"}), l};
    _cleanup_free_ char *config = config_text(twice, 3, machine()), *path = path_join(f->dir, "saved.tar");
    _cleanup_strbuf_ struct strbuf tar = STRBUF_INIT;
    const char *manifest = "[{\"Config\":\"c.json\",\"RepoTags\":[\"web:1\",\"reg.example/web:2\"],"
                           "\"Layers\":[\"l1/layer.tar\",\"l2/layer.tar\",\"l3/layer.tar\"]}]";
    struct archive *a = tar_start(&tar, ARCHIVE_FILTER_NONE);
    _cleanup_(image_finish) struct image image = {0};
    _cleanup_free_ char *digest = NULL;
    char id[IMAGE_DIGEST_SIZE];

    tar_add(a, &(struct entry){'l', "l3/layer.tar", "../l1/layer.tar"}, NULL, 0);
    tar_add(a, &(struct entry){'f', "l1/layer.tar"}, l.plain.data, l.plain.len);
    tar_add(a, &(struct entry){'f', "l2/layer.tar"}, twice[1].plain.data, twice[1].plain.len);
    tar_add(a, &(struct entry){'f', "c.json"}, config, strlen(config));
    tar_add(a, &(struct entry){'f', "manifest.json"}, manifest, strlen(manifest));
    tar_finish(a);
    write_file(f->dir, "saved.tar", tar.data, tar.len);
    assert_int_equal(image_import(f->store, path, NULL, NULL, NULL, &digest, NULL), 0);
    store_digest(config, strlen(config), id);
    assert_string_equal(digest, id);
    assert_int_equal(image_resolve(f->store, "reg.example/web:2", &image, NULL), 0);
    assert_int_equal(strv_len(image.names), 2);
    assert_int_equal(strv_len(image.layers), 2); /* the layer that comes twice counts once, where it is topmost */
    assert_string_equal(image.layers[0], l.diff_id);
    assert_true(has_content(f, "web:1", 1, "b", "two"));
    layer_finish(&l);
    layer_finish(&twice[1]);
}

static void test_platforms(void **state) {
    struct fixture *f = *state;
    struct layer l = LAYER(ARCHIVE_FILTER_GZIP, {'f', "a", "mine"}),
                 m = LAYER(ARCHIVE_FILTER_GZIP, {'f', "a", "theirs"});
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_free_ char *dir = path_join(f->dir, "multi"), *text = NULL, *item = NULL, *only = NULL;
    char mine[IMAGE_DIGEST_SIZE], theirs[IMAGE_DIGEST_SIZE], index[IMAGE_DIGEST_SIZE];
    size_t n = layout_image(dir, &l, 1, machine(), mine), k = layout_image(dir, &m, 1, "s390x", theirs);

    /* an index inside the layout's index */
    text = xasprintf(
        "{\"manifests\":[{\"digest\":\"%s\",\"size\":%zu,\"platform\":{\"os\":\"linux\",\"architecture\":"
        "\"s390x\"}},{\"digest\":\"%s\",\"size\":%zu,\"platform\":{\"os\":\"linux\",\"architecture\":\"%s\"}}]}",
        theirs, k, mine, n, machine());
    write_blob(dir, text, strlen(text), index);
    item = xasprintf("{\"digest\":\"%s\",\"size\":%zu}", index, strlen(text));
    layout_index(dir, item);
    assert_int_equal(import_path(f, dir, NULL, &err), 0);
    assert_true(has_content(f, "multi", 0, "a", "mine"));
    assert_int_equal(image_remove(f->store, "multi", &err), 0);
    /* only for another machine, once said in the index, once only in the configuration */
    only = xasprintf("{\"digest\":\"%s\",\"size\":%zu,\"platform\":{\"os\":\"linux\",\"architecture\":\"s390x\"}}",
                     theirs, k);
    layout_index(dir, only);
    assert_int_equal(import_path(f, dir, NULL, &err), -ENOTSUP);
    free(only);
    only = xasprintf("{\"digest\":\"%s\",\"size\":%zu}", theirs, k);
    layout_index(dir, only);
    assert_int_equal(import_path(f, dir, NULL, &err), -ENOTSUP);
    assert_non_null(strstr(error_text(&err, 0), "s390x"));
    assert_store_is_empty(f);
    layer_finish(&l);
    layer_finish(&m);
}

static void test_names(void **state) {
    struct fixture *f = *state;
    struct layer l = LAYER(ARCHIVE_FILTER_GZIP, {'f', "a", "1"});
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_free_ char *tag = layout_make(f, "shop", "1.2", &l, 1), *bad = layout_make(f, "Shop", NULL, &l, 1);
    _cleanup_(image_finish) struct image image = {0};

    assert_int_equal(import_path(f, tag, NULL, &err), 0);
    assert_int_equal(image_resolve(f->store, "shop:1.2", &image, &err), 0);
    assert_int_equal(import_path(f, bad, NULL, &err), -EINVAL);
    assert_int_equal(import_path(f, bad, "cart:x", &err), 0);
    image_finish(&image);
    assert_int_equal(image_resolve(f->store, "cart:x", &image, &err), 0);
    assert_int_equal(strv_len(image.names), 2); /* the same image got a second name */
    assert_int_equal(import_path(f, bad, "cart@sha256:12", &err), -EINVAL);
    assert_int_equal(import_path(f, bad, "CART", &err), -EINVAL);
    layer_finish(&l);
}

static void test_sources_that_are_none(void **state) {
    struct fixture *f = *state;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_free_ char *absent = path_join(f->dir, "absent"), *junk = path_join(f->dir, "junk");
    _cleanup_free_ char *empty = path_join(f->dir, "empty"), *bare = path_join(f->dir, "bare");

    assert_int_equal(import_path(f, absent, NULL, &err), -ENOENT);
    write_file(f->dir, "junk", "this is no archive at all, is it", 32);
    assert_int_equal(import_path(f, junk, NULL, &err), -EINVAL);
    write_file(f->dir, "empty", "", 0);
    assert_int_equal(import_path(f, empty, NULL, &err), -EINVAL);
    assert_int_equal(mkdir(bare, 0755), 0);
    assert_int_equal(import_path(f, bare, NULL, &err), -EINVAL);
    assert_non_null(strstr(error_text(&err, 0), "no container image"));
    layout_index(bare, "");
    assert_int_equal(import_path(f, bare, NULL, &err), -EINVAL);
    assert_int_equal(import_path(f, "/dev/null", NULL, &err), -EINVAL);
    assert_store_is_empty(f);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_layout_with_every_compression),
        TEST(test_whiteouts),
        TEST(test_devices_and_attributes_are_filtered),
        TEST(test_hostile_layers),
        TEST(test_entries_replace_earlier_ones),
        TEST(test_wrong_digests),
        TEST(test_limits),
        TEST(test_layout_archives),
        TEST(test_docker_archive),
        TEST(test_platforms),
        TEST(test_names),
        TEST(test_sources_that_are_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
