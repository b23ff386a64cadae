/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a source to the store: unpack what is missing in tmp/, sync, then move in under the lock. */
#include <fcntl.h>
#include <locale.h>
#include <string.h>
#include <sys/stat.h>

#include "orchestrator/images/contents.h"
#include "orchestrator/images/reference.h"
#include "orchestrator/images/store.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/path.h"

enum { ATTEMPTS_MAX = 3 };

struct job {
    const struct found_layer *layer;
    bool done;
};

struct import {
    struct image_store *store;
    struct image_contents contents;
    const char *path;
    const struct image_label *label; /* NULL: the source's own names */
    image_progress_fn progress;
    void *userdata;
    char tmp[17];
    int tmpfd;
    uint64_t bytes_left;
    size_t layers, layer; /* for the progress */
    const struct found_layer *current;
    uint64_t current_size, reported;
};

static void tell(struct import *import, const char *what, const char *digest, uint64_t bytes, uint64_t all) {
    struct image_progress progress = {
        .what = what,
        .digest = digest,
        .layer = digest ? import->layer : 0,
        .layers = digest ? import->layers : 0,
        .bytes = bytes,
        .bytes_all = all,
    };

    if (import->progress)
        import->progress(&progress, import->userdata);
}

/* Told per megabyte: a callback per read would cost more than the reading. */
static void layer_progress(void *userdata, uint64_t bytes) {
    struct import *import = userdata;

    if (bytes - import->reported < (1 << 20))
        return;
    import->reported = bytes;
    tell(import, "unpacking layer", import->current->diff_id, bytes, import->current_size);
}

static int write_size(struct import *import, const char *hex, uint64_t bytes, struct error *err) {
    _cleanup_free_ char *name = xasprintf("%s.size", hex);
    _cleanup_close_ int fd = openat(import->tmpfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    if (fd < 0 || dprintf(fd, "%llu\n", (unsigned long long) bytes) < 0)
        return error_set_errno(err, -errno, "cannot write %s/tmp/%s/%s", import->store->root, import->tmp, name);
    return 0;
}

static int unpack_job(void *userdata, void *value, const struct byte_stream *stream, uint64_t size, struct error *err) {
    struct import *import = userdata;
    struct job *job = value;
    const char *hex = store_hex(job->layer->diff_id);
    uint64_t bytes = 0;

    import->layer++;
    import->current = job->layer;
    import->current_size = size;
    import->reported = 0;
    tell(import, "unpacking layer", job->layer->diff_id, 0, size);
    if (mkdirat(import->tmpfd, hex, 0755) < 0)
        return error_set_errno(err, -errno, "cannot create %s/tmp/%s/%s", import->store->root, import->tmp, hex);
    _cleanup_close_ int fd = openat(import->tmpfd, hex, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fchmod(fd, 0755) < 0)
        return error_set_errno(err, -errno, "cannot open %s/tmp/%s/%s", import->store->root, import->tmp, hex);
    struct unpack_request request = {
        .dirfd = fd,
        .source = stream,
        .digest = job->layer->digest,
        .size = job->layer->size,
        .diff_id = job->layer->diff_id,
        .limits = &import->store->limits,
        .bytes_left = &import->bytes_left,
        .progress = layer_progress,
        .userdata = import,
    };
    int r = layer_unpack(&request, &bytes, err);
    if (r < 0)
        return error_prefix(err, r, "%s", import->path);
    job->done = true;
    return write_size(import, hex, bytes, err);
}

static bool layer_is_at(int dirfd, const char *diff_id) {
    return faccessat(dirfd, store_hex(diff_id), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

bool image_layer_is_here(struct image_store *store, const char *diff_id) {
    return layer_is_at(store->layersfd, diff_id);
}

static void job_free(void *p) {
    free(p);
}

/* Unpacks what neither the store nor tmp/ has. */
static int unpack_missing(struct import *import, struct image_source *source, struct error *err) {
    _cleanup_(hashmap_freep) struct hashmap *wanted = hashmap_new(job_free), *seen = hashmap_new(NULL);
    struct hashmap_iter it = {0};

    import->layer = 0;
    for (size_t i = 0; i < import->contents.n; i++) {
        const struct found_image *image = &import->contents.items[i];
        for (size_t k = 0; k < image->n_layers; k++) {
            const struct found_layer *layer = &image->layers[k];
            if (hashmap_has(seen, layer->diff_id))
                continue;
            hashmap_put(seen, layer->diff_id, import);
            if (layer_is_at(import->store->layersfd, layer->diff_id)) {
                import->layer++;
                import->layers = hashmap_len(seen);
                tell(import, "layer is there already", layer->diff_id, 0, 0);
            } else if (!layer_is_at(import->tmpfd, layer->diff_id)) {
                struct job *job = xnew0(struct job);
                job->layer = layer;
                hashmap_put(wanted, layer->file, job);
            }
        }
    }
    import->layers = hashmap_len(seen);
    if (hashmap_len(wanted) == 0)
        return 0;
    int r = image_source_walk(source, wanted, unpack_job, import, err);
    while (r >= 0 && hashmap_next(wanted, &it))
        if (!((struct job *) it.value)->done)
            r = error_set(err, -ENOENT, "%s is incomplete: layer %s is missing", import->path, it.key);
    return r;
}

/* --- commit, under the lock --- */

/* Moves a layer in unless it is there; -EAGAIN when somebody removed it since we looked. */
static int move_in(struct import *import, const char *diff_id, struct error *err) {
    const char *hex = store_hex(diff_id);
    _cleanup_free_ char *size = xasprintf("%s.size", hex), *orphan = xasprintf("%s.orphan", hex);
    int layersfd = import->store->layersfd;

    (void) unlinkat(layersfd, orphan, 0);
    if (layer_is_at(layersfd, diff_id))
        return 0;
    if (!layer_is_at(import->tmpfd, diff_id))
        return -EAGAIN;
    if (renameat(import->tmpfd, size, layersfd, size) < 0 || renameat(import->tmpfd, hex, layersfd, hex) < 0)
        return error_set_errno(err, -errno, "cannot move layer %s into %s", diff_id, import->store->root);
    return 0;
}

static void push_unique(struct json **array, const char *s) {
    for (size_t i = 0; i < json_len(*array); i++)
        if (strcmp(json_str(json_at(*array, i)), s) == 0)
            return;
    (void) json_append(array, json_string(s));
}

/* *ret: what is known of the image; NULL when it is new. */
static int known_record(struct image_store *store, const char *digest, struct json **ret, struct error *err) {
    _cleanup_(image_records_finish) struct image_records records = {0};

    int r = records_scan(store, &records, err);
    for (size_t i = 0; r >= 0 && i < records.n && !*ret; i++)
        if (strcmp(json_str(json_get(records.items[i], "digest")), digest) == 0)
            *ret = json_ref(records.items[i]);
    return r;
}

static int write_record(struct import *import, const struct found_image *image, struct error *err) {
    _cleanup_json_ struct json *known = NULL, *record = json_object();
    int r = known_record(import->store, image->digest, &known, err);
    if (r < 0)
        return r;
    struct json *names = json_is_null(json_get(known, "names")) ? json_array() : json_ref(json_get(known, "names"));
    struct json *repositories =
        json_is_null(json_get(known, "repositories")) ? json_array() : json_ref(json_get(known, "repositories"));
    struct json *layers = json_array();
    uint64_t size = 0;

    for (size_t i = 0; image->names[i]; i++) {
        _cleanup_(image_reference_finish) struct image_reference reference = {0};
        push_unique(&names, image->names[i]);
        if (image_reference_parse(image->names[i], &reference, NULL) >= 0)
            push_unique(&repositories, reference.repository);
    }
    /* topmost first; a layer that comes twice counts where it is topmost (overlayfs takes each folder once, and what
     * the lower occurrence holds is all in the upper one) */
    for (size_t i = image->n_layers; i-- > 0;) {
        size_t before = json_len(layers);
        push_unique(&layers, image->layers[i].diff_id);
        if (json_len(layers) > before)
            size += store_layer_size(import->store, store_hex(image->layers[i].diff_id));
    }
    (void) json_set(&record, "version", json_int(1));
    (void) json_set(&record, "digest", json_string(image->digest));
    (void) json_set(&record, "configDigest", json_string(image->config_digest));
    (void) json_set(&record, "names", names);
    (void) json_set(&record, "repositories", repositories);
    (void) json_set(&record, "layers", layers);
    (void) json_set(&record, "size", json_int((int64_t) size));
    (void) json_set(&record, "importedAt", json_int((int64_t) now_realtime_usec()));
    (void) json_set(&record, "config", json_ref(image->document));
    if (json_get(known, "repoDigests"))
        (void) json_set(&record, "repoDigests", json_ref(json_get(known, "repoDigests")));
    if (import->label)
        (void) record_label(&record, import->label);
    return record_write(import->store, record, err);
}

static int commit_locked(struct import *import, struct error *err) {
    for (size_t i = 0; i < import->contents.n; i++)
        for (size_t k = 0; k < import->contents.items[i].n_layers; k++) {
            int r = move_in(import, import->contents.items[i].layers[k].diff_id, err);
            if (r < 0)
                return r;
        }
    if (fsync(import->store->layersfd) < 0)
        return error_set_errno(err, -errno, "cannot sync %s/layers", import->store->root);
    for (size_t i = 0; i < import->contents.n; i++) {
        int r = write_record(import, &import->contents.items[i], err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int unpack_and_commit(struct import *import, struct image_source *source, struct error *err) {
    for (int attempt = 0;; attempt++) {
        int r = unpack_missing(import, source, err);
        if (r < 0)
            return r;
        tell(import, "writing to disk", NULL, 0, 0);
        if (syncfs(import->tmpfd) < 0)
            return error_set_errno(err, -errno, "cannot sync %s", import->store->root);
        r = store_lock(import->store, err);
        if (r < 0)
            return r;
        r = commit_locked(import, err);
        store_unlock(import->store);
        if (r >= 0)
            return 0;
        if (r != -EAGAIN) {
            (void) image_collect(import->store, NULL); /* what was moved in before the failure */
            return r;
        }
        if (attempt >= ATTEMPTS_MAX)
            return error_set(err, -EAGAIN, "layers of %s are being removed as fast as they come", import->path);
    }
}

static int import_source(struct import *import, struct image_source *source, struct error *err) {
    int r = store_lock(import->store, err);

    if (r < 0)
        return r;
    import->tmpfd = store_tmp_new(import->store, import->tmp, err);
    store_unlock(import->store);
    if (import->tmpfd < 0)
        return import->tmpfd;
    r = unpack_and_commit(import, source, err);
    (void) rm_tree_at(import->store->tmpfd, import->tmp, NULL);
    (void) close(import->tmpfd);
    return r;
}

static int import_open(struct import *import, const char *name_override, struct error *err) {
    _cleanup_(image_source_closep) struct image_source *source = NULL;

    tell(import, "reading archive", NULL, 0, 0);
    source = image_source_open(import->path, &import->store->limits, err);
    if (!source)
        return err->code;
    if (import->label)
        image_source_consume(source);
    int r = image_contents_read(source, import->path, name_override, &import->contents, err);
    return r < 0 ? r : import_source(import, source, err);
}

static int import_run(struct import *import, const char *name, struct error *err) {
    _cleanup_(error_clear) struct error local = ERROR_INIT;

    import->tmpfd = -EBADF;
    import->bytes_left = import->store->limits.image_bytes_max;
    /* libarchive turns the UTF-8 names of pax archives into the thread's character set */
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t) 0);
    locale_t before = utf8 ? uselocale(utf8) : (locale_t) 0;
    int r = import_open(import, name, err ? err : &local);
    if (utf8) {
        (void) uselocale(before);
        freelocale(utf8);
    }
    if (r < 0)
        return r;
    tell(import, "done", NULL, 0, 0);
    return 0;
}

int image_import(struct image_store *store, const char *path, const char *name_override, image_progress_fn progress,
                 void *userdata, char **ret_digest, struct error *err) {
    struct import import = {.store = store, .path = path, .progress = progress, .userdata = userdata};

    int r = import_run(&import, name_override, err);
    if (r >= 0 && ret_digest)
        *ret_digest = xstrdup(import.contents.items[0].digest);
    image_contents_finish(&import.contents);
    return r;
}

int image_import_labelled(struct image_store *store, const char *path, const struct image_label *label,
                          image_progress_fn progress, void *userdata, char **ret_digest, struct error *err) {
    struct import import = {.store = store, .path = path, .label = label, .progress = progress, .userdata = userdata};

    int r = import_run(&import, "", err);
    if (r >= 0 && ret_digest)
        *ret_digest = xstrdup(import.contents.items[0].digest);
    image_contents_finish(&import.contents);
    return r;
}

int image_import_all(struct image_store *store, const char *path, image_progress_fn progress, void *userdata,
                     char ***ret_digests, struct error *err) {
    struct import import = {.store = store, .path = path, .progress = progress, .userdata = userdata};

    int r = import_run(&import, NULL, err);
    if (r >= 0) {
        *ret_digests = xcalloc(import.contents.n + 1, sizeof(char *));
        for (size_t i = 0; i < import.contents.n; i++)
            (*ret_digests)[i] = xstrdup(import.contents.items[i].digest);
    }
    image_contents_finish(&import.contents);
    return r;
}
