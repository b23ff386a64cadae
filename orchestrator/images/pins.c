/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pins: which layers a pod uses. One small file per pod, lines of 64 hex digits. Not synced to disk: after power loss
 * there are no pods. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "orchestrator/images/store.h"
#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"

#define PIN_FILE_BYTES_MAX (64u * IMAGE_LAYERS_MAX * (LAYER_HEX + 1))

static bool is_pin_name(const char *name) {
    size_t n = strlen(name);
    return *name != '.' && !(n > 4 && strcmp(name + n - 4, ".tmp") == 0);
}

static int check_owner(const char *owner, struct error *err) {
    if (!owner || file_name_is_unsafe(owner) || !is_pin_name(owner) || strlen(owner) > 200)
        return error_set(err, -EINVAL, "\"%s\" cannot own image pins", owner ? owner : "");
    return 0;
}

/* Puts the hex digests of one pin file into the set; an absent file has none. */
static int read_pins(struct image_store *store, const char *owner, struct hashmap *set, struct error *err) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    int r = file_read_at(store->pinsfd, owner, PIN_FILE_BYTES_MAX, &text, err);
    if (r == -ENOENT) {
        error_clear(err);
        return 0;
    }
    if (r < 0)
        return r;
    for (const char *p = strbuf_str(&text); *p;) {
        size_t n = strcspn(p, "\n");
        if (n == LAYER_HEX) {
            char hex[LAYER_HEX + 1] = "";
            memcpy(hex, p, LAYER_HEX);
            hashmap_put(set, hex, set);
        }
        p += n + (p[n] == '\n');
    }
    return 0;
}

static int owners_read(struct image_store *store, char ***ret, struct error *err) {
    int fd = openat(store->pinsfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, -errno, "cannot read %s/pins", store->root);
    _cleanup_closedir_ DIR *dir = fdopendir(fd);
    if (!dir) {
        (void) close(fd);
        return error_set(err, -ENOMEM, "out of memory");
    }
    char **owners = NULL;
    size_t n = 0, cap = 0;
    struct dirent *e;
    while ((errno = 0, e = readdir(dir))) {
        if (!is_pin_name(e->d_name))
            continue;
        xgrow(&owners, n, &cap);
        owners[n++] = xstrdup(e->d_name);
    }
    int r = errno ? error_set_errno(err, -errno, "cannot read %s/pins", store->root) : 0;
    xgrow(&owners, n, &cap);
    owners[n] = NULL;
    *ret = owners;
    return r;
}

int pins_collect(struct image_store *store, struct hashmap *set, struct error *err) {
    _cleanup_strv_ char **owners = NULL;

    int r = owners_read(store, &owners, err);
    for (size_t i = 0; r >= 0 && owners[i]; i++)
        r = read_pins(store, owners[i], set, err);
    return r;
}

int pins_add(struct image_store *store, const char *owner, char *const *layers, struct error *err) {
    _cleanup_(hashmap_freep) struct hashmap *set = hashmap_new(NULL);
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    struct hashmap_iter it = {0};

    int r = check_owner(owner, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < strv_len(layers); i++)
        if (faccessat(store->layersfd, store_hex(layers[i]), F_OK, AT_SYMLINK_NOFOLLOW) < 0)
            return error_set(err, -ENOENT, "layer %s is no longer on this node", layers[i]);
    r = read_pins(store, owner, set, err);
    if (r < 0)
        return r;
    size_t before = hashmap_len(set);
    for (size_t i = 0; i < strv_len(layers); i++)
        hashmap_put(set, store_hex(layers[i]), set);
    if (before > 0 && hashmap_len(set) == before)
        return 0;
    while (hashmap_next(set, &it))
        strbuf_addf(&text, "%s\n", it.key);
    _cleanup_free_ char *path = xasprintf("%s/pins/%s", store->root, owner);
    return file_write_atomic(path, strbuf_str(&text), text.len, 0644, false, err);
}

int image_pin(struct image_store *store, const char *owner, const struct image *image, struct error *err) {
    int r = store_lock(store, err);

    if (r < 0)
        return r;
    r = pins_add(store, owner, image->layers, err);
    store_unlock(store);
    return r;
}

/* Images a pod gives back are used until now. */
static void mark_given_back(struct image_store *store, const struct hashmap *pinned) {
    _cleanup_(image_records_finish) struct image_records records = {0};

    if (hashmap_len(pinned) == 0 || records_scan(store, &records, NULL) < 0)
        return;
    for (size_t i = 0; i < records.n; i++)
        if (record_is_pinned(records.items[i], pinned))
            store_mark_used(store, json_str(json_get(records.items[i], "digest")));
}

bool record_is_pinned(const struct json *record, const struct hashmap *pinned) {
    const struct json *layers = json_get(record, "layers");

    for (size_t i = 0; i < json_len(layers); i++)
        if (!hashmap_has(pinned, store_hex(json_str(json_at(layers, i)))))
            return false;
    return json_len(layers) > 0;
}

/* Removes the pin file; *orphaned when a layer of it waited for that. Call locked. */
static int drop_pins(struct image_store *store, const char *owner, bool *orphaned, struct error *err) {
    _cleanup_(hashmap_freep) struct hashmap *set = hashmap_new(NULL);
    struct hashmap_iter it = {0};

    int r = read_pins(store, owner, set, err);
    if (r < 0)
        return r;
    if (unlinkat(store->pinsfd, owner, 0) < 0 && errno != ENOENT)
        return error_set_errno(err, -errno, "cannot remove %s/pins/%s", store->root, owner);
    mark_given_back(store, set);
    while (hashmap_next(set, &it)) {
        _cleanup_free_ char *marker = xasprintf("%s.orphan", it.key);
        if (faccessat(store->layersfd, marker, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
            *orphaned = true;
    }
    return 0;
}

int image_unpin(struct image_store *store, const char *owner, struct error *err) {
    bool orphaned = false;

    int r = check_owner(owner, err);
    if (r >= 0)
        r = store_lock(store, err);
    if (r < 0)
        return r;
    r = drop_pins(store, owner, &orphaned, err);
    store_unlock(store);
    if (r >= 0 && orphaned)
        r = image_collect(store, err);
    return r < 0 ? r : 0;
}

static bool is_in(char *const *v, const char *s) {
    for (; v && *v; v++)
        if (strcmp(*v, s) == 0)
            return true;
    return false;
}

int image_pins_retain(struct image_store *store, char *const *owners, struct error *err) {
    _cleanup_strv_ char **present = NULL;
    bool orphaned = false;

    int r = store_lock(store, err);
    if (r < 0)
        return r;
    r = owners_read(store, &present, err);
    for (size_t i = 0; r >= 0 && present[i]; i++)
        if (!is_in(owners, present[i]))
            r = drop_pins(store, present[i], &orphaned, err);
    store_unlock(store);
    if (r >= 0 && orphaned)
        r = image_collect(store, err);
    return r < 0 ? r : 0;
}
