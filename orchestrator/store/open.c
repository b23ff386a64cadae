/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stores as their users open them: back-end, encryption, index. */
#include "orchestrator/store/internal.h"

#include <string.h>

#include "orchestrator/store/lmdb/lmdb_backend.h"
#include "orchestrator/store/sealing.h"
#include "podium/base/log.h"

const char *const store_sealed_resources[] = {"secrets", NULL};

/* *ret_fresh: the key is new and not written yet. */
static int find_keys(const char *path, struct seal_keys *ret, bool *ret_fresh, struct error *err) {
    int r = seal_keys_read(path, ret, err);

    *ret_fresh = r == -ENOENT;
    if (r != -ENOENT)
        return r;
    error_clear(err);
    return seal_keys_add(ret, err);
}

static int open_sealed(struct store_backend *below, const struct store_options *options, const struct seal_keys *keys,
                       bool fresh, struct store **ret, struct error *err) {
    struct store_backend *b;
    int r = sealed_backend_new(below, keys, store_sealed_resources, &b, err);

    if (r == 0)
        r = store_open_backend(b, options, ret, err);
    if (r == -ENOKEY && fresh) /* and none is made: a key that opens nothing would only hide what is missing */
        return error_set(err, r,
                         "%s is missing, and there are Secrets sealed with the key in it: put it back from a backup of "
                         "the server's keys",
                         options->key_file);
    if (r < 0)
        return r;
    if (fresh)
        r = seal_keys_write(options->key_file, keys, err);
    if (r < 0) {
        store_close(*ret);
        *ret = NULL;
        return r;
    }
    _cleanup_(error_clear) struct error why = ERROR_INIT;
    r = sealing_start(*ret, b, options->key_file, keys, store_sealed_resources, &why);
    if (r < 0)
        log_warning("store: not all Secrets are sealed with the newest key yet: %s", error_text(&why, r));
    return 0;
}

int store_open_lmdb(const struct store_options *options, struct store **ret, struct error *err) {
    struct store_backend *b = NULL;
    struct seal_keys keys = {0};
    bool fresh = false;

    *ret = NULL;
    int r = lmdb_backend_open(options, &b, err);
    if (r < 0)
        return r;
    if (!options->key_file)
        return store_open_backend(b, options, ret, err);
    r = find_keys(options->key_file, &keys, &fresh, err);
    if (r < 0)
        b->ops->close(b);
    else
        r = open_sealed(b, options, &keys, fresh, ret, err);
    seal_keys_finish(&keys);
    return r;
}
