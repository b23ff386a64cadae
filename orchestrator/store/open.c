/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stores as their users open them: back-end, encryption, index. */
#include "orchestrator/store/internal.h"

#include <string.h>

#include "orchestrator/store/lmdb/lmdb_backend.h"
#include "orchestrator/store/sealed_backend.h"
#include "podium/base/log.h"

static const char *const sealed_resources[] = {"secrets", NULL};

static int wrap(struct store_backend **b, const char *key_file, struct error *err) {
    unsigned char key[SEAL_KEY_BYTES];
    int r = seal_key_ensure(key_file, key, err);

    if (r < 0) {
        (*b)->ops->close(*b);
        return r;
    }
    r = sealed_backend_new(*b, key, sealed_resources, b, err);
    explicit_bzero(key, sizeof(key));
    return r;
}

static void ignore(void *userdata, int result, struct store_item *item) {
    if (result < 0 && result != -ESTALE && result != -ENOENT)
        log_warning("store: a secret stays unencrypted on disk: %s", strerror(-result));
}

/* Written once more, what was plain is sealed. */
static void seal_all(struct store *s) {
    for (const char *const *r = sealed_resources; *r; r++) {
        struct store_list all;
        if (store_list(s, *r, NULL, NULL, NULL, 0, 0, &all) < 0)
            continue;
        for (size_t i = 0; i < all.n; i++) {
            const struct store_write w = {
                .op = STORE_UPDATE,
                .resource = *r,
                .ns = store_item_namespace(all.items[i]),
                .name = store_item_name(all.items[i]),
                .doc = (struct json *) store_item_doc(all.items[i]),
                .expect_revision = store_item_revision(all.items[i]),
            };
            int k = store_submit(s, &w, ignore, NULL);
            if (k < 0)
                ignore(NULL, k, NULL);
        }
        store_list_finish(&all);
    }
}

int store_open_lmdb(const struct store_options *options, struct store **ret, struct error *err) {
    struct store_backend *b = NULL;

    *ret = NULL;
    int r = lmdb_backend_open(options, &b, err);
    if (r == 0 && options->key_file)
        r = wrap(&b, options->key_file, err);
    if (r == 0)
        r = store_open_backend(b, options, ret, err);
    if (r == 0 && options->key_file && sealed_backend_plain_rows(b) > 0)
        seal_all(*ret);
    return r;
}
