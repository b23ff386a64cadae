/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/store/sealed_backend.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <pthread.h>
#include <string.h>

#include "podium/base/alloc.h"
#include "podium/base/list.h"

#define NONCE_BYTES 12
#define TAG_BYTES   16
#define MAGIC_BYTES 4

/* No JSON text begins like these. */
static const char magic[MAGIC_BYTES] = {'\x01', 'P', 'S', '2'};
static const char first_magic[MAGIC_BYTES] = {'\x01', 'P', 'S', '1'}; /* without a key id: any of ours */
#define HEAD_BYTES       (MAGIC_BYTES + SEAL_ID_BYTES + NONCE_BYTES)
#define FIRST_HEAD_BYTES (MAGIC_BYTES + NONCE_BYTES)

struct cipher_key {
    unsigned char id[SEAL_ID_BYTES];
    gnutls_aead_cipher_hd_t cipher;
};

struct sealed_backend {
    struct store_backend base, *below;
    const char *const *resources;
    pthread_mutex_t lock; /* the keys, and that no batch is half sealed with others */
    struct cipher_key keys[SEAL_KEYS_MAX];
    size_t n_keys;
    uint64_t committed; /* newest revision */
    size_t plain_rows, old_rows;
    store_row_fn row; /* of the load going on */
    void *userdata;
};

static struct sealed_backend *sealed(struct store_backend *b) {
    return container_of(b, struct sealed_backend, base);
}

static bool is_secret(const struct sealed_backend *b, const char *resource) {
    for (const char *const *r = b->resources; *r; r++)
        if (strcmp(*r, resource) == 0)
            return true;
    return false;
}

/* What a text is bound to. head: the record's, up to its nonce; n 0: the first format, which bound none. */
static void bind_to(struct strbuf *out, const char *head, size_t n, const char *resource, const char *ns,
                    const char *name, uint64_t revision) {
    strbuf_add(out, head, n);
    strbuf_add(out, resource, strlen(resource) + 1);
    strbuf_add(out, ns, strlen(ns) + 1);
    strbuf_add(out, name, strlen(name) + 1);
    strbuf_add(out, &revision, sizeof(revision));
}

/* --- keys --- */

static void drop_keys(struct cipher_key *keys, size_t n) {
    for (size_t i = 0; i < n; i++)
        gnutls_aead_cipher_deinit(keys[i].cipher);
}

static int make_keys(const struct seal_keys *from, struct cipher_key to[SEAL_KEYS_MAX], struct error *err) {
    for (size_t i = 0; i < from->n; i++) {
        const gnutls_datum_t k = {(unsigned char *) from->keys[i].bytes, SEAL_KEY_BYTES};
        int rc = gnutls_aead_cipher_init(&to[i].cipher, GNUTLS_CIPHER_AES_256_GCM, &k);
        if (rc < 0) {
            drop_keys(to, i);
            return error_set(err, -EIO, "cannot set up encryption: %s", gnutls_strerror(rc));
        }
        memcpy(to[i].id, from->keys[i].id, SEAL_ID_BYTES);
    }
    return 0;
}

int sealed_backend_switch(struct store_backend *base, const struct seal_keys *keys, uint64_t *ret_revision,
                          struct error *err) {
    struct sealed_backend *b = sealed(base);
    struct cipher_key made[SEAL_KEYS_MAX];
    int r = make_keys(keys, made, err);

    if (r < 0)
        return r;
    pthread_mutex_lock(&b->lock);
    drop_keys(b->keys, b->n_keys);
    memcpy(b->keys, made, keys->n * sizeof(*made));
    b->n_keys = keys->n;
    *ret_revision = b->committed;
    pthread_mutex_unlock(&b->lock);
    return 0;
}

/* --- writing --- */

/* A heap text of *ret_len bytes; NULL when the cipher fails. */
static char *seal(const struct sealed_backend *b, const struct store_change *ch, size_t *ret_len) {
    const struct cipher_key *k = &b->keys[0];
    size_t room = ch->text_len + TAG_BYTES;
    _cleanup_free_ char *out = xcalloc(1, HEAD_BYTES + room);
    _cleanup_strbuf_ struct strbuf bound = STRBUF_INIT;
    char *nonce = out + MAGIC_BYTES + SEAL_ID_BYTES;

    memcpy(out, magic, MAGIC_BYTES);
    memcpy(out + MAGIC_BYTES, k->id, SEAL_ID_BYTES);
    bind_to(&bound, out, MAGIC_BYTES + SEAL_ID_BYTES, ch->resource, ch->ns, ch->name, ch->revision);
    if (gnutls_rnd(GNUTLS_RND_NONCE, nonce, NONCE_BYTES) < 0 ||
        gnutls_aead_cipher_encrypt(k->cipher, nonce, NONCE_BYTES, bound.data, bound.len, TAG_BYTES, ch->text,
                                   ch->text_len, out + HEAD_BYTES, &room) < 0)
        return NULL;
    *ret_len = HEAD_BYTES + room;
    return steal(&out);
}

/* Copies the batch when there is something to seal in it. */
static int seal_batch(const struct sealed_backend *b, const struct store_change *changes, size_t n,
                      struct store_change **ret, char ***texts, struct error *err) {
    for (size_t i = 0; i < n; i++) {
        if (changes[i].remove || !is_secret(b, changes[i].resource))
            continue;
        if (!*ret) {
            *ret = xmemdup(changes, n * sizeof(*changes));
            *texts = strv_new();
        }
        char *text = seal(b, &changes[i], &(*ret)[i].text_len);
        if (!text)
            return error_set(err, -EIO, "cannot encrypt %s %s/%s", changes[i].resource, changes[i].ns, changes[i].name);
        (*ret)[i].text = text;
        strv_push(texts, text);
    }
    return 0;
}

static int sealed_commit(struct store_backend *base, const struct store_change *changes, size_t n, struct error *err) {
    struct sealed_backend *b = sealed(base);
    _cleanup_free_ struct store_change *copies = NULL;
    _cleanup_strv_ char **texts = NULL;

    pthread_mutex_lock(&b->lock);
    int r = seal_batch(b, changes, n, &copies, &texts, err);
    if (r == 0)
        r = b->below->ops->commit(b->below, copies ? copies : changes, n, err);
    if (r == 0 && n > 0)
        b->committed = changes[n - 1].revision;
    pthread_mutex_unlock(&b->lock);
    return r;
}

/* --- reading --- */

/* One try with one key. */
static bool open_with(const struct cipher_key *k, const struct store_row *row, size_t head, char *out,
                      size_t *ret_len) {
    _cleanup_strbuf_ struct strbuf bound = STRBUF_INIT;
    size_t room = *ret_len;

    bind_to(&bound, row->text, head == HEAD_BYTES ? head - NONCE_BYTES : 0, row->resource, row->ns, row->name,
            row->revision);
    if (gnutls_aead_cipher_decrypt(k->cipher, row->text + head - NONCE_BYTES, NONCE_BYTES, bound.data, bound.len,
                                   TAG_BYTES, row->text + head, row->text_len - head, out, &room) < 0)
        return false;
    *ret_len = room;
    return true;
}

static int unseal(struct sealed_backend *b, const struct store_row *row, size_t head, char **ret, size_t *ret_len,
                  struct error *err) {
    size_t room = row->text_len - head - TAG_BYTES;
    _cleanup_free_ char *out = xcalloc(1, room + 1);
    bool known = head == FIRST_HEAD_BYTES;

    for (size_t i = 0; i < b->n_keys; i++) {
        if (head == HEAD_BYTES && memcmp(row->text + MAGIC_BYTES, b->keys[i].id, SEAL_ID_BYTES) != 0)
            continue;
        known = true;
        *ret_len = room;
        if (!open_with(&b->keys[i], row, head, out, ret_len))
            continue;
        b->old_rows += i > 0 || head == FIRST_HEAD_BYTES;
        *ret = steal(&out);
        return 0;
    }
    return error_set(
        err, known ? -EBADMSG : -ENOKEY, "%s %s/%s cannot be decrypted: %s", row->resource, row->ns, row->name,
        !known               ? "the key it was sealed with is not among the store's keys"
        : head == HEAD_BYTES ? "it was damaged or changed on the disk"
                             : "the store's key is not the one it was written with, or the store is damaged");
}

/* Bytes before the sealed text; 0: a plain row. */
static size_t head_of(const struct store_row *row) {
    if (row->text_len >= HEAD_BYTES + TAG_BYTES && memcmp(row->text, magic, MAGIC_BYTES) == 0)
        return HEAD_BYTES;
    if (row->text_len >= FIRST_HEAD_BYTES + TAG_BYTES && memcmp(row->text, first_magic, MAGIC_BYTES) == 0)
        return FIRST_HEAD_BYTES;
    return 0;
}

static int on_row(void *userdata, const struct store_row *row, struct error *err) {
    struct sealed_backend *b = userdata;
    struct store_row plain = *row;
    _cleanup_free_ char *text = NULL;
    size_t head = is_secret(b, row->resource) ? head_of(row) : 0;

    if (head == 0) {
        b->plain_rows += is_secret(b, row->resource);
        return b->row(b->userdata, row, err);
    }
    int r = unseal(b, row, head, &text, &plain.text_len, err);
    if (r < 0)
        return r;
    plain.text = text;
    return b->row(b->userdata, &plain, err);
}

static int sealed_load(struct store_backend *base, store_row_fn row, void *userdata, uint64_t *ret_revision,
                       struct error *err) {
    struct sealed_backend *b = sealed(base);

    b->row = row;
    b->userdata = userdata;
    int r = b->below->ops->load(b->below, on_row, b, ret_revision, err);
    b->committed = *ret_revision;
    return r;
}

static void sealed_close(struct store_backend *base) {
    struct sealed_backend *b = sealed(base);

    b->below->ops->close(b->below);
    drop_keys(b->keys, b->n_keys);
    pthread_mutex_destroy(&b->lock);
    free(b);
}

/* --- life --- */

static const struct store_backend_ops sealed_ops = {
    .load = sealed_load, .commit = sealed_commit, .close = sealed_close};

int sealed_backend_new(struct store_backend *below, const struct seal_keys *keys, const char *const *resources,
                       struct store_backend **ret, struct error *err) {
    struct sealed_backend *b = xnew0(struct sealed_backend);

    b->base.ops = &sealed_ops;
    b->below = below;
    b->resources = resources;
    int r = make_keys(keys, b->keys, err);
    if (r < 0) {
        below->ops->close(below);
        free(b);
        return r;
    }
    b->n_keys = keys->n;
    pthread_mutex_init(&b->lock, NULL);
    *ret = &b->base;
    return 0;
}

size_t sealed_backend_stale_rows(const struct store_backend *base, size_t *ret_plain) {
    const struct sealed_backend *b =
        (const struct sealed_backend *) ((const char *) base - offsetof(struct sealed_backend, base));

    if (ret_plain)
        *ret_plain = b->plain_rows;
    return b->plain_rows + b->old_rows;
}
