/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Image records: reading, finding, changing. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "orchestrator/images/manifest.h"
#include "orchestrator/images/reference.h"
#include "orchestrator/images/store.h"
#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"

#define RECORD_BYTES_MAX (2 * IMAGE_MANIFEST_BYTES_MAX)

enum { PREFIX_HEX_MIN = 12 };

void image_finish(struct image *image) {
    free(image->digest);
    free(image->config_digest);
    strv_free(image->names);
    strv_free(image->repositories);
    strv_free(image->repo_digests);
    json_unref(image->document);
    json_unref(image->config);
    strv_free(image->layers);
    strv_free(image->layer_dirs);
    *image = (struct image){0};
}

void image_list_finish(struct image_list *list) {
    for (size_t i = 0; i < list->n; i++)
        image_finish(&list->items[i]);
    free(list->items);
    *list = (struct image_list){0};
}

void image_records_finish(struct image_records *records) {
    for (size_t i = 0; i < records->n; i++)
        json_unref(records->items[i]);
    free(records->items);
    *records = (struct image_records){0};
}

static bool strings_only(const struct json *array) {
    for (size_t i = 0; i < json_len(array); i++)
        if (!json_str(json_at(array, i)))
            return false;
    return json_is_array(array);
}

static bool record_is_sound(const struct json *record) {
    const struct json *layers = json_get(record, "layers");

    for (size_t i = 0; i < json_len(layers); i++)
        if (!image_digest_is_valid(json_str(json_at(layers, i))))
            return false;
    return json_is_array(layers) && image_digest_is_valid(json_str(json_get(record, "digest"))) &&
           image_digest_is_valid(json_str(json_get(record, "configDigest"))) &&
           strings_only(json_get(record, "names")) && strings_only(json_get(record, "repositories")) &&
           (!json_get(record, "repoDigests") || strings_only(json_get(record, "repoDigests")));
}

/* *ret is NULL when the record is broken, or gone by now. One that cannot be read at the moment is an error: whoever
 * took it for absent would remove the image's layers. */
static int record_read(struct image_store *store, const char *name, struct json **ret, struct error *err) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    _cleanup_json_ struct json *record = NULL;

    *ret = NULL;
    int r = file_read_at(store->imagesfd, name, RECORD_BYTES_MAX, &text, err);
    if (r == -ENOENT || r == -EFBIG) {
        error_clear(err);
        return 0;
    }
    if (r < 0)
        return r;
    if (json_parse(strbuf_str(&text), text.len, NULL, &record, NULL) >= 0 && record_is_sound(record))
        *ret = steal(&record);
    return 0;
}

/* The key of the cache holds what changes whenever the file is replaced: records are only replaced by rename. */
static char *cache_key(const char *name, const struct stat *st) {
    return xasprintf("%s %llu %lld.%09ld", name, (unsigned long long) st->st_ino, (long long) st->st_ctim.tv_sec,
                     st->st_ctim.tv_nsec);
}

/* *ret as of record_read() */
static int record_cached(struct image_store *store, struct hashmap *fresh, const char *name, struct json **ret,
                         struct error *err) {
    struct stat st;

    *ret = NULL;
    if (fstatat(store->imagesfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : error_set_errno(err, -errno, "cannot read %s/images/%s", store->root, name);
    if (!S_ISREG(st.st_mode))
        return 0;
    _cleanup_free_ char *key = cache_key(name, &st);
    struct json *record = hashmap_steal(store->cache, key);
    if (!record) {
        int r = record_read(store, name, &record, err);
        if (r < 0)
            return r;
    }
    if (record) {
        hashmap_put(fresh, key, record);
        *ret = json_ref(record);
    }
    return 0;
}

static void json_release(void *p) {
    json_unref(p);
}

static int compare_records(const void *a, const void *b) {
    const struct json *x = *(struct json *const *) a, *y = *(struct json *const *) b;
    const char *p = json_str(json_at(json_get(x, "names"), 0)), *q = json_str(json_at(json_get(y, "names"), 0));

    if (!p != !q)
        return p ? -1 : 1;
    int order = p ? strcmp(p, q) : 0;
    return order ? order : strcmp(json_str(json_get(x, "digest")), json_str(json_get(y, "digest")));
}

int records_scan(struct image_store *store, struct image_records *ret, struct error *err) {
    _cleanup_(image_records_finish) struct image_records out = {0};
    size_t cap = 0;
    struct dirent *e;
    int r = 0;

    int fd = openat(store->imagesfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, -errno, "cannot read %s/images", store->root);
    _cleanup_closedir_ DIR *dir = fdopendir(fd);
    if (!dir) {
        (void) close(fd);
        return error_set(err, -ENOMEM, "out of memory");
    }
    struct hashmap *fresh = hashmap_new(json_release);
    while (r >= 0 && (errno = 0, e = readdir(dir))) {
        size_t n = strlen(e->d_name);
        if (n != LAYER_HEX + 5 || strcmp(e->d_name + LAYER_HEX, ".json") != 0)
            continue;
        struct json *record;
        r = record_cached(store, fresh, e->d_name, &record, err);
        if (r < 0 || !record)
            continue;
        xgrow(&out.items, out.n, &cap);
        out.items[out.n++] = record;
    }
    if (r >= 0 && errno)
        r = error_set_errno(err, -errno, "cannot read %s/images", store->root);
    hashmap_free(store->cache);
    store->cache = fresh;
    if (r < 0)
        return r;
    if (out.n)
        qsort(out.items, out.n, sizeof(*out.items), compare_records);
    *ret = out;
    out = (struct image_records){0};
    return 0;
}

static bool array_has(const struct json *array, const char *s) {
    for (size_t i = 0; i < json_len(array); i++)
        if (strcmp(json_str(json_at(array, i)), s) == 0)
            return true;
    return false;
}

static void array_drop(struct json **array, const char *s) {
    for (size_t i = json_len(*array); i-- > 0;)
        if (strcmp(json_str(json_at(*array, i)), s) == 0)
            json_remove_at(array, i);
}

static int record_store(struct image_store *store, const struct json *record, struct error *err) {
    _cleanup_free_ char *path =
        xasprintf("%s/images/%s.json", store->root, store_hex(json_str(json_get(record, "digest"))));
    _cleanup_free_ char *text = json_to_text(record);

    return file_write_atomic(path, text, strlen(text), 0644, true, err);
}

static bool array_add(struct json **record, const char *member, const char *s) {
    if (!s || array_has(json_get(*record, member), s))
        return false;
    (void) json_append(json_edit(record, member), json_string(s));
    return true;
}

bool record_label(struct json **record, const struct image_label *label) {
    bool changed = array_add(record, "names", label->name);

    changed |= array_add(record, "repositories", label->repository);
    changed |= array_add(record, "repoDigests", label->repo_digest);
    return changed;
}

/* The new record comes first: a crash in between leaves a name at two images, of which the lookup takes the younger. */
int record_write(struct image_store *store, struct json *record, struct error *err) {
    _cleanup_(image_records_finish) struct image_records records = {0};
    const char *digest = json_str(json_get(record, "digest"));
    const struct json *names = json_get(record, "names");

    int r = record_store(store, record, err);
    if (r >= 0)
        r = records_scan(store, &records, err);
    for (size_t i = 0; r >= 0 && i < records.n; i++) {
        if (strcmp(json_str(json_get(records.items[i], "digest")), digest) == 0)
            continue;
        bool changed = false;
        for (size_t k = 0; k < json_len(names); k++) {
            const char *name = json_str(json_at(names, k));
            if (!array_has(json_get(records.items[i], "names"), name))
                continue;
            array_drop(json_edit(&records.items[i], "names"), name);
            changed = true;
        }
        if (changed)
            r = record_store(store, records.items[i], err);
    }
    return r;
}

static bool is_hex_prefix(const char *s) {
    size_t n = strlen(s);
    return n >= PREFIX_HEX_MIN && n <= LAYER_HEX && strspn(s, "0123456789abcdef") == n;
}

static bool digest_starts(const struct json *record, const char *key, const char *prefix) {
    return strncmp(store_hex(json_str(json_get(record, key))), prefix, strlen(prefix)) == 0;
}

/* Records whose digest under the key begins so. Several with one configuration are one image to everybody. */
static int find_by_key(const struct image_records *records, const char *key, const char *prefix, struct error *err) {
    int found = -ENOENT;

    for (size_t i = 0; i < records->n; i++) {
        if (!digest_starts(records->items[i], key, prefix))
            continue;
        if (found >= 0 &&
            !json_equal(json_get(records->items[i], "configDigest"), json_get(records->items[found], "configDigest")))
            return error_set(err, -EINVAL, "several images begin with %s; give more digits", prefix);
        found = (int) i;
    }
    return found;
}

static int find_by_prefix(const struct image_records *records, const char *prefix, struct error *err) {
    int found = find_by_key(records, "digest", prefix, err);

    return found == -ENOENT ? find_by_key(records, "configDigest", prefix, err) : found;
}

static int64_t imported_at(const struct json *record) {
    return json_int_or(json_get(record, "importedAt"), 0);
}

/* name@sha256:…: the digest of the manifest, of the configuration, or of an index it was once pulled by. */
static bool matches_digest(const struct json *record, const struct image_reference *reference) {
    _cleanup_free_ char *repo_digest = xasprintf("%s@%s", reference->repository, reference->digest);

    if (array_has(json_get(record, "repoDigests"), repo_digest))
        return true;
    return (strcmp(json_str(json_get(record, "digest")), reference->digest) == 0 ||
            strcmp(json_str(json_get(record, "configDigest")), reference->digest) == 0) &&
           array_has(json_get(record, "repositories"), reference->repository);
}

static int find_by_reference(const struct image_records *records, const struct image_reference *reference) {
    _cleanup_free_ char *name = image_reference_format(reference);
    int found = -ENOENT;

    for (size_t i = 0; i < records->n; i++) {
        const struct json *record = records->items[i];
        bool match = reference->digest ? matches_digest(record, reference) : array_has(json_get(record, "names"), name);
        if (match && (found < 0 || imported_at(record) > imported_at(records->items[found])))
            found = (int) i;
    }
    return found;
}

/* Index of the record a reference means. *ret_name: the name it was found by, NULL when by digest. */
static int record_find(const struct image_records *records, const char *text, char **ret_name, struct error *err) {
    _cleanup_(image_reference_finish) struct image_reference reference = {0};
    int found = -ENOENT;

    *ret_name = NULL;
    if (text && image_digest_is_valid(text)) {
        found = find_by_prefix(records, store_hex(text), err);
    } else {
        int r = image_reference_parse(text, &reference, err);
        if (r < 0)
            return r;
        found = find_by_reference(records, &reference);
        if (found >= 0 && !reference.digest)
            *ret_name = image_reference_format(&reference);
        if (found == -ENOENT && is_hex_prefix(text))
            found = find_by_prefix(records, text, err);
    }
    if (found == -ENOENT)
        return error_set(err, -ENOENT, "image %s is not on this node; import it with: podium image import FILE", text);
    return found;
}

static char **strings_of(const struct json *array) {
    char **v = xcalloc(json_len(array) + 1, sizeof(*v));

    for (size_t i = 0; i < json_len(array); i++)
        v[i] = xstrdup(json_str(json_at(array, i)));
    return v;
}

static void image_fill(struct image_store *store, const struct json *record, struct image *ret) {
    const struct json *document = json_get(record, "config");

    *ret = (struct image){
        .digest = xstrdup(json_str(json_get(record, "digest"))),
        .config_digest = xstrdup(json_str(json_get(record, "configDigest"))),
        .names = strings_of(json_get(record, "names")),
        .repositories = strings_of(json_get(record, "repositories")),
        .repo_digests = strings_of(json_get(record, "repoDigests")),
        .document = json_ref(document),
        .config = json_is_object(json_get(document, "config")) ? json_ref(json_get(document, "config")) : json_object(),
        .layers = strings_of(json_get(record, "layers")),
        .size_bytes = (uint64_t) json_int_or(json_get(record, "size"), 0),
        .imported_usec = (uint64_t) imported_at(record),
    };
    ret->used_usec = store_last_used(store, ret->digest);
    if (ret->used_usec < ret->imported_usec)
        ret->used_usec = ret->imported_usec;
    ret->layer_dirs = xcalloc(strv_len(ret->layers) + 1, sizeof(char *));
    for (size_t i = 0; ret->layers[i]; i++)
        ret->layer_dirs[i] = xasprintf("%s/layers/%s", store->root, store_hex(ret->layers[i]));
}

int image_resolve(struct image_store *store, const char *reference, struct image *ret, struct error *err) {
    _cleanup_(image_records_finish) struct image_records records = {0};
    _cleanup_free_ char *name = NULL;

    int r = records_scan(store, &records, err);
    if (r < 0)
        return r;
    int found = record_find(&records, reference, &name, err);
    if (found < 0)
        return found;
    image_fill(store, records.items[found], ret);
    return 0;
}

int image_resolve_pinned(struct image_store *store, const char *reference, const char *owner, struct image *ret,
                         struct error *err) {
    int r = store_lock(store, err);

    if (r < 0)
        return r;
    r = image_resolve(store, reference, ret, err);
    if (r >= 0) {
        r = pins_add(store, owner, ret->layers, err);
        if (r < 0)
            image_finish(ret);
        else
            store_mark_used(store, ret->digest);
    }
    store_unlock(store);
    return r;
}

int image_add_label(struct image_store *store, const char *digest, const struct image_label *label, struct error *err) {
    _cleanup_(image_records_finish) struct image_records records = {0};
    int found = -ENOENT;

    int r = store_lock(store, err);
    if (r < 0)
        return r;
    r = records_scan(store, &records, err);
    for (size_t i = 0; r >= 0 && found < 0 && i < records.n; i++)
        if (strcmp(json_str(json_get(records.items[i], "digest")), digest) == 0)
            found = (int) i;
    if (r >= 0 && found < 0) {
        r = error_set(err, -ENOENT, "image %s is no longer on this node", digest);
    } else if (r >= 0 && record_label(&records.items[found], label)) {
        _cleanup_json_ struct json *record = json_ref(records.items[found]);
        r = record_write(store, record, err);
    }
    store_unlock(store);
    return r;
}

int image_list(struct image_store *store, struct image_list *ret, struct error *err) {
    _cleanup_(image_records_finish) struct image_records records = {0};

    int r = records_scan(store, &records, err);
    if (r < 0)
        return r;
    ret->items = xcalloc(records.n + 1, sizeof(*ret->items));
    ret->n = records.n;
    for (size_t i = 0; i < records.n; i++)
        image_fill(store, records.items[i], &ret->items[i]);
    return 0;
}

static int record_unlink(struct image_store *store, const struct json *record, struct error *err) {
    const char *hex = store_hex(json_str(json_get(record, "digest")));
    _cleanup_free_ char *file = xasprintf("%s.json", hex);

    if (unlinkat(store->imagesfd, file, 0) < 0 && errno != ENOENT)
        return error_set_errno(err, -errno, "cannot remove %s/images/%s", store->root, file);
    (void) unlinkat(store->usedfd, hex, 0);
    return 0;
}

static int remove_locked(struct image_store *store, const char *reference, struct error *err) {
    _cleanup_(image_records_finish) struct image_records records = {0};
    _cleanup_free_ char *name = NULL;

    int r = records_scan(store, &records, err);
    if (r < 0)
        return r;
    int found = record_find(&records, reference, &name, err);
    if (found < 0)
        return found;
    struct json **record = &records.items[found];
    if (name && json_len(json_get(*record, "names")) > 1) {
        array_drop(json_edit(record, "names"), name);
        return record_store(store, *record, err);
    }
    return record_unlink(store, *record, err);
}

int64_t records_remove(struct image_store *store, const char *digest, struct error *err) {
    _cleanup_(image_records_finish) struct image_records records = {0};
    struct collected collected = {0};

    int r = store_lock(store, err);
    if (r < 0)
        return r;
    r = records_scan(store, &records, err);
    for (size_t i = 0; r >= 0 && i < records.n; i++)
        if (strcmp(json_str(json_get(records.items[i], "digest")), digest) == 0)
            r = record_unlink(store, records.items[i], err);
    if (r >= 0)
        r = store_collect(store, &collected, err);
    store_unlock(store);
    int64_t bytes = (int64_t) collected.bytes;
    int done = store_collect_finish(store, &collected, r < 0 ? NULL : err);
    return r < 0 ? r : done < 0 ? done : bytes;
}

int image_remove(struct image_store *store, const char *reference, struct error *err) {
    struct collected collected = {0};

    int r = store_lock(store, err);
    if (r < 0)
        return r;
    r = remove_locked(store, reference, err);
    if (r >= 0)
        r = store_collect(store, &collected, err);
    store_unlock(store);
    int done = store_collect_finish(store, &collected, r < 0 ? NULL : err);
    return r < 0 || done < 0 ? (r < 0 ? r : done) : 0;
}
