/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/store/sealed_backend.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <string.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/list.h"

#define NONCE_BYTES 12
#define TAG_BYTES   16

/* No JSON text begins like this. */
static const char magic[4] = {'\x01', 'P', 'S', '1'};
#define HEAD_BYTES (sizeof(magic) + NONCE_BYTES)

struct sealed_backend {
    struct store_backend base, *below;
    const char *const *resources;
    gnutls_aead_cipher_hd_t cipher;
    size_t plain_rows;
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

/* What a text is bound to. */
static void bind_to(struct strbuf *out, const char *resource, const char *ns, const char *name, uint64_t revision) {
    strbuf_add(out, resource, strlen(resource) + 1);
    strbuf_add(out, ns, strlen(ns) + 1);
    strbuf_add(out, name, strlen(name) + 1);
    strbuf_add(out, &revision, sizeof(revision));
}

/* --- writing --- */

/* A heap text of *ret_len bytes; NULL when the cipher fails. */
static char *seal(const struct sealed_backend *b, const struct store_change *ch, size_t *ret_len) {
    size_t room = ch->text_len + TAG_BYTES;
    _cleanup_free_ char *out = xcalloc(1, HEAD_BYTES + room);
    _cleanup_strbuf_ struct strbuf bound = STRBUF_INIT;

    bind_to(&bound, ch->resource, ch->ns, ch->name, ch->revision);
    memcpy(out, magic, sizeof(magic));
    if (gnutls_rnd(GNUTLS_RND_NONCE, out + sizeof(magic), NONCE_BYTES) < 0 ||
        gnutls_aead_cipher_encrypt(b->cipher, out + sizeof(magic), NONCE_BYTES, bound.data, bound.len, TAG_BYTES,
                                   ch->text, ch->text_len, out + HEAD_BYTES, &room) < 0)
        return NULL;
    *ret_len = HEAD_BYTES + room;
    return steal(&out);
}

static int sealed_commit(struct store_backend *base, const struct store_change *changes, size_t n, struct error *err) {
    struct sealed_backend *b = sealed(base);
    _cleanup_free_ struct store_change *copies = NULL;
    _cleanup_strv_ char **texts = NULL;

    for (size_t i = 0; i < n; i++) {
        if (changes[i].remove || !is_secret(b, changes[i].resource))
            continue;
        if (!copies) {
            copies = xmemdup(changes, n * sizeof(*changes));
            texts = strv_new();
        }
        char *text = seal(b, &changes[i], &copies[i].text_len);
        if (!text)
            return error_set(err, -EIO, "cannot encrypt %s %s/%s", changes[i].resource, changes[i].ns, changes[i].name);
        copies[i].text = text;
        strv_push(&texts, text);
    }
    return b->below->ops->commit(b->below, copies ? copies : changes, n, err);
}

/* --- reading --- */

static int unseal(struct sealed_backend *b, const struct store_row *row, char **ret, size_t *ret_len,
                  struct error *err) {
    size_t room = row->text_len - HEAD_BYTES - TAG_BYTES;
    _cleanup_free_ char *out = xcalloc(1, room + 1);
    _cleanup_strbuf_ struct strbuf bound = STRBUF_INIT;

    bind_to(&bound, row->resource, row->ns, row->name, row->revision);
    if (gnutls_aead_cipher_decrypt(b->cipher, row->text + sizeof(magic), NONCE_BYTES, bound.data, bound.len, TAG_BYTES,
                                   row->text + HEAD_BYTES, room + TAG_BYTES, out, &room) < 0)
        return error_set(err, -EBADMSG,
                         "%s %s/%s cannot be decrypted: the store's key is not the one it was written with, or the "
                         "store is damaged",
                         row->resource, row->ns, row->name);
    *ret = steal(&out);
    *ret_len = room;
    return 0;
}

static int on_row(void *userdata, const struct store_row *row, struct error *err) {
    struct sealed_backend *b = userdata;
    struct store_row plain = *row;
    _cleanup_free_ char *text = NULL;

    if (!is_secret(b, row->resource))
        return b->row(b->userdata, row, err);
    if (row->text_len < HEAD_BYTES + TAG_BYTES || memcmp(row->text, magic, sizeof(magic)) != 0) {
        b->plain_rows++;
        return b->row(b->userdata, row, err);
    }
    int r = unseal(b, row, &text, &plain.text_len, err);
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
    return b->below->ops->load(b->below, on_row, b, ret_revision, err);
}

static void sealed_close(struct store_backend *base) {
    struct sealed_backend *b = sealed(base);

    b->below->ops->close(b->below);
    gnutls_aead_cipher_deinit(b->cipher);
    free(b);
}

/* --- life --- */

static const struct store_backend_ops sealed_ops = {
    .load = sealed_load, .commit = sealed_commit, .close = sealed_close};

int sealed_backend_new(struct store_backend *below, const unsigned char key[SEAL_KEY_BYTES],
                       const char *const *resources, struct store_backend **ret, struct error *err) {
    struct sealed_backend *b = xnew0(struct sealed_backend);
    const gnutls_datum_t k = {(unsigned char *) key, SEAL_KEY_BYTES};

    b->base.ops = &sealed_ops;
    b->below = below;
    b->resources = resources;
    int rc = gnutls_aead_cipher_init(&b->cipher, GNUTLS_CIPHER_AES_256_GCM, &k);
    if (rc < 0) {
        below->ops->close(below);
        free(b);
        return error_set(err, -EIO, "cannot set up encryption: %s", gnutls_strerror(rc));
    }
    *ret = &b->base;
    return 0;
}

size_t sealed_backend_plain_rows(const struct store_backend *b) {
    return ((const struct sealed_backend *) ((const char *) b - offsetof(struct sealed_backend, base)))->plain_rows;
}

static int read_key(const struct strbuf *text, unsigned char key[SEAL_KEY_BYTES]) {
    size_t n = SEAL_KEY_BYTES, digits = strcspn(strbuf_str(text), "\r\n");
    const gnutls_datum_t hex = {(unsigned char *) strbuf_str(text), (unsigned) digits};

    return digits == 2 * SEAL_KEY_BYTES && gnutls_hex_decode(&hex, key, &n) == 0 && n == SEAL_KEY_BYTES ? 0 : -EBADMSG;
}

static int make_key(const char *path, unsigned char key[SEAL_KEY_BYTES], struct error *err) {
    char hex[2 * SEAL_KEY_BYTES + 2];
    size_t n = sizeof(hex);
    const gnutls_datum_t k = {key, SEAL_KEY_BYTES};

    if (gnutls_rnd(GNUTLS_RND_KEY, key, SEAL_KEY_BYTES) < 0 || gnutls_hex_encode(&k, hex, &n) < 0)
        return error_set(err, -EIO, "cannot make a key");
    hex[2 * SEAL_KEY_BYTES] = '\n';
    int r = file_write_atomic(path, hex, 2 * SEAL_KEY_BYTES + 1, 0600, true, err);
    explicit_bzero(hex, sizeof(hex));
    return r;
}

int seal_key_ensure(const char *path, unsigned char key[SEAL_KEY_BYTES], struct error *err) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    int r = file_read(path, 4096, &text, NULL);

    if (r == -ENOENT)
        return make_key(path, key, err);
    if (r < 0)
        return error_set_errno(err, r, "cannot read %s", path);
    r = read_key(&text, key);
    explicit_bzero(text.data, text.len);
    return r < 0 ? error_set(err, r, "%s holds no key (64 hexadecimal digits)", path) : 0;
}
