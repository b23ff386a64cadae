/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opening, locking and cleaning the store. */
#include "orchestrator/images/store.h"

#include <fcntl.h>
#include <gnutls/crypto.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "orchestrator/images/manifest.h"
#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"
#include "podium/base/random.h"

#define GIB (1024ull * 1024 * 1024)

static const struct image_limits default_limits = {
    .image_bytes_max = 64 * GIB,
    .archive_bytes_max = 64 * GIB,
    .entries_max = 2000000,
    .ratio_max = 2000,
};

static uint64_t or_default(uint64_t value, uint64_t otherwise) {
    return value ? value : otherwise;
}

void image_store_set_limits(struct image_store *store, const struct image_limits *limits) {
    store->limits = (struct image_limits){
        .image_bytes_max = or_default(limits->image_bytes_max, default_limits.image_bytes_max),
        .archive_bytes_max = or_default(limits->archive_bytes_max, default_limits.archive_bytes_max),
        .entries_max = or_default(limits->entries_max, default_limits.entries_max),
        .ratio_max = or_default(limits->ratio_max, default_limits.ratio_max),
    };
}

void store_digest(const void *p, size_t n, char out[IMAGE_DIGEST_SIZE]) {
    unsigned char digest[32];

    if (gnutls_hash_fast(GNUTLS_DIG_SHA256, p, n, digest) < 0)
        abort(); /* only without SHA-256, which no build of GnuTLS is */
    memcpy(out, "sha256:", 8);
    for (size_t i = 0; i < sizeof(digest); i++)
        (void) snprintf(out + 7 + 2 * i, 3, "%02x", digest[i]);
}

const char *store_hex(const char *digest) {
    return digest + strlen("sha256:");
}

int store_lock(struct image_store *store, struct error *err) {
    while (flock(store->lockfd, LOCK_EX) < 0)
        if (errno != EINTR)
            return error_set_errno(err, -errno, "cannot lock the image store %s", store->root);
    return 0;
}

void store_unlock(struct image_store *store) {
    (void) flock(store->lockfd, LOCK_UN);
}

void image_store_close(struct image_store *store) {
    if (!store)
        return;
    closep(&store->layersfd);
    closep(&store->imagesfd);
    closep(&store->pinsfd);
    closep(&store->usedfd);
    closep(&store->tmpfd);
    closep(&store->lockfd);
    hashmap_free(store->cache);
    free(store->root);
    free(store);
}

static int open_folder(const char *root, const char *name, mode_t mode, struct error *err) {
    _cleanup_free_ char *path = path_join(root, name);

    int r = mkdir_parents(path, mode, err);
    if (r < 0)
        return r;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? error_set_errno(err, -errno, "cannot open %s", path) : fd;
}

/* Calls fn for every name in the folder. */
static int each_name(int dirfd, int (*fn)(void *userdata, int dirfd, const char *name), void *userdata) {
    int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    _cleanup_closedir_ DIR *dir = fdopendir(fd);
    if (!dir) {
        (void) close(fd);
        return -ENOMEM;
    }
    struct dirent *e;
    int r = 0;
    while (r >= 0 && (e = readdir(dir)))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            r = fn(userdata, dirfd, e->d_name);
    return r < 0 ? r : 0;
}

static void collected_push(struct collected *out, const char *name, int take_fd) {
    if (out->n >= out->cap) {
        out->cap = out->cap ? out->cap * 2 : 8;
        out->names = xreallocarray(out->names, out->cap, sizeof(*out->names));
        out->fds = xreallocarray(out->fds, out->cap, sizeof(*out->fds));
    }
    out->names[out->n] = xstrdup(name);
    out->fds[out->n++] = take_fd;
}

/* Takes what no living process has locked, to be removed when the store is unlocked again: that may take long. */
static int sweep_tmp(void *userdata, int dirfd, const char *name) {
    _cleanup_close_ int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        (void) unlinkat(dirfd, name, 0);
    else if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        collected_push(userdata, name, steal_fd(&fd));
    return 0;
}

static bool has_suffix(const char *s, const char *suffix) {
    size_t n = strlen(s), m = strlen(suffix);
    return n > m && strcmp(s + n - m, suffix) == 0;
}

/* Files torn by a crash in the middle of an atomic write; all writers hold the lock. */
static int sweep_file(void *userdata, int dirfd, const char *name) {
    if (has_suffix(name, ".tmp"))
        (void) unlinkat(dirfd, name, 0);
    return 0;
}

static int open_folders(struct image_store *store, struct error *err) {
    int r = mkdir_parents(store->root, 0755, err);

    if (r < 0)
        return r;
    if ((store->layersfd = open_folder(store->root, "layers", 0711, err)) < 0)
        return store->layersfd;
    if ((store->imagesfd = open_folder(store->root, "images", 0755, err)) < 0)
        return store->imagesfd;
    if ((store->pinsfd = open_folder(store->root, "pins", 0755, err)) < 0)
        return store->pinsfd;
    if ((store->usedfd = open_folder(store->root, "used", 0755, err)) < 0)
        return store->usedfd;
    if ((store->tmpfd = open_folder(store->root, "tmp", 0700, err)) < 0)
        return store->tmpfd;
    _cleanup_free_ char *lock = path_join(store->root, "lock");
    store->lockfd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    return store->lockfd < 0 ? error_set_errno(err, -errno, "cannot open %s", lock) : 0;
}

static void record_free(void *p) {
    json_unref(p);
}

struct image_store *image_store_open(const char *root, struct error *err) {
    _cleanup_(image_store_closep) struct image_store *store = xnew0(struct image_store);

    store->layersfd = store->imagesfd = store->pinsfd = store->usedfd = store->tmpfd = store->lockfd = -EBADF;
    store->limits = default_limits;
    store->cache = hashmap_new(record_free);
    _cleanup_free_ char *absolute = realpath(root ? root : IMAGE_STORE_DEFAULT, NULL);
    store->root = absolute ? steal(&absolute) : xstrdup(root ? root : IMAGE_STORE_DEFAULT);
    if (open_folders(store, err) < 0)
        return NULL;
    if (*store->root != '/') { /* it did not exist before: layer folders must be absolute paths */
        free(store->root);
        store->root = realpath(root, NULL);
        if (!store->root) {
            (void) error_set_errno(err, -errno, "cannot resolve %s", root);
            return NULL;
        }
    }
    if (store_lock(store, err) < 0)
        return NULL;
    struct collected left = {0};
    (void) each_name(store->tmpfd, sweep_tmp, &left);
    (void) each_name(store->imagesfd, sweep_file, NULL);
    (void) each_name(store->pinsfd, sweep_file, NULL);
    store_unlock(store);
    (void) (store_collect_finish(store, &left, NULL) < 0); /* what cannot be removed stays for the next time */
    return steal(&store);
}

int store_tmp_new(struct image_store *store, char name[17], struct error *err) {
    random_name_suffix(name, 16);
    if (mkdirat(store->tmpfd, name, 0700) < 0)
        return error_set_errno(err, -errno, "cannot create a folder in %s/tmp", store->root);
    _cleanup_close_ int fd = openat(store->tmpfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, -errno, "cannot open %s/tmp/%s", store->root, name);
    if (flock(fd, LOCK_EX) < 0)
        return error_set_errno(err, -errno, "cannot lock %s/tmp/%s", store->root, name);
    return steal_fd(&fd);
}

uint64_t store_layer_size(struct image_store *store, const char *hex) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    _cleanup_free_ char *name = xasprintf("%s.size", hex);

    return file_read_at(store->layersfd, name, 64, &text, NULL) < 0 ? 0 : strtoull(strbuf_str(&text), NULL, 10);
}

/* An empty file and its time. Not worth a failure: without it an image counts as unused since its import. */
void store_mark_used(struct image_store *store, const char *digest) {
    _cleanup_close_ int fd =
        openat(store->usedfd, store_hex(digest), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);

    if (fd >= 0)
        (void) futimens(fd, NULL);
}

uint64_t store_last_used(struct image_store *store, const char *digest) {
    struct stat st;

    if (fstatat(store->usedfd, store_hex(digest), &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    return (uint64_t) st.st_mtim.tv_sec * 1000000 + (uint64_t) st.st_mtim.tv_nsec / 1000;
}

/* --- collection --- */

struct collection {
    struct image_store *store;
    struct hashmap *recorded, *pinned;
    struct collected *out;
};

static void mark_orphan(int layersfd, const char *hex, bool on) {
    _cleanup_free_ char *name = xasprintf("%s.orphan", hex);

    if (!on) {
        (void) unlinkat(layersfd, name, 0);
        return;
    }
    _cleanup_close_ int fd = openat(layersfd, name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    (void) fd; /* that the note is there is all; without it the layer is only collected one round later */
}

static int collect_layer(void *userdata, int layersfd, const char *name) {
    struct collection *c = userdata;
    char hex[LAYER_HEX + 1] = "";

    strncat(hex, name, LAYER_HEX);
    if (strlen(name) > LAYER_HEX && name[LAYER_HEX] == '.') { /* a note beside a layer that is not there */
        if (faccessat(layersfd, hex, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
            (void) unlinkat(layersfd, name, 0);
        return 0;
    }
    bool pinned = hashmap_has(c->pinned, hex), recorded = hashmap_has(c->recorded, hex);
    if (recorded || pinned) {
        mark_orphan(layersfd, hex, !recorded);
        return 0;
    }
    _cleanup_close_ int fd = openat(layersfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
        return 0;
    char tmp[17];
    random_name_suffix(tmp, 16);
    if (renameat(layersfd, name, c->store->tmpfd, tmp) < 0)
        return -errno;
    c->out->bytes += store_layer_size(c->store, hex);
    mark_orphan(layersfd, hex, false);
    _cleanup_free_ char *size = xasprintf("%s.size", hex);
    (void) unlinkat(layersfd, size, 0);
    collected_push(c->out, tmp, steal_fd(&fd));
    return 0;
}

int store_collect(struct image_store *store, struct collected *out, struct error *err) {
    _cleanup_(hashmap_freep) struct hashmap *recorded = hashmap_new(NULL), *pinned = hashmap_new(NULL);
    _cleanup_(image_records_finish) struct image_records records = {0};
    struct collection c = {.store = store, .recorded = recorded, .pinned = pinned, .out = out};

    int r = records_scan(store, &records, err);
    if (r >= 0)
        r = pins_collect(store, pinned, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < records.n; i++) {
        const struct json *layers = json_get(records.items[i], "layers");
        for (size_t k = 0; k < json_len(layers); k++)
            hashmap_put(recorded, store_hex(json_str(json_at(layers, k))), store);
    }
    r = each_name(store->layersfd, collect_layer, &c);
    return r < 0 ? error_set_errno(err, r, "cannot collect layers in %s", store->root) : 0;
}

int store_collect_finish(struct image_store *store, struct collected *collected, struct error *err) {
    int result = (int) collected->n;

    for (size_t i = 0; i < collected->n; i++) {
        int r = rm_tree_at(store->tmpfd, collected->names[i], err);
        if (r < 0)
            result = r;
        free(collected->names[i]);
        (void) close(collected->fds[i]);
    }
    free(collected->names);
    free(collected->fds);
    *collected = (struct collected){0};
    return result;
}

int image_collect(struct image_store *store, struct error *err) {
    struct collected collected = {0};

    int r = store_lock(store, err);
    if (r < 0)
        return r;
    r = store_collect(store, &collected, err);
    store_unlock(store);
    int done = store_collect_finish(store, &collected, r < 0 ? NULL : err);
    return r < 0 ? r : done;
}
