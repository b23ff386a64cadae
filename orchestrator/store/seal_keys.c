/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/store/seal_keys.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <string.h>

#include "podium/base/fd.h"

#define LINE_BYTES     (2 * SEAL_KEY_BYTES + 1)
#define FILE_BYTES_MAX 4096

static const char id_label[] = "podium store key"; /* a hash of its own, not one anybody else makes of the key */

void seal_keys_finish(struct seal_keys *k) {
    explicit_bzero(k, sizeof(*k));
}

static int make_id(struct seal_key *k) {
    unsigned char text[sizeof(id_label) + SEAL_KEY_BYTES], hash[32];

    memcpy(text, id_label, sizeof(id_label));
    memcpy(text + sizeof(id_label), k->bytes, SEAL_KEY_BYTES);
    int rc = gnutls_hash_fast(GNUTLS_DIG_SHA256, text, sizeof(text), hash);
    explicit_bzero(text, sizeof(text));
    memcpy(k->id, hash, SEAL_ID_BYTES);
    return rc < 0 ? -EIO : 0;
}

static int read_line(const char *line, size_t digits, struct seal_key *ret) {
    size_t n = SEAL_KEY_BYTES;
    const gnutls_datum_t hex = {(unsigned char *) line, (unsigned) digits};

    if (digits != 2 * SEAL_KEY_BYTES || gnutls_hex_decode(&hex, ret->bytes, &n) < 0 || n != SEAL_KEY_BYTES)
        return -EBADMSG;
    return make_id(ret);
}

static int parse(const char *text, struct seal_keys *out) {
    while (*text) {
        size_t n = strcspn(text, "\r\n");
        if (n > 0) {
            if (out->n == SEAL_KEYS_MAX)
                return -EBADMSG;
            int r = read_line(text, n, &out->keys[out->n]);
            if (r < 0)
                return r;
            out->n++;
        }
        text += n;
        text += strspn(text, "\r\n");
    }
    return out->n > 0 ? 0 : -EBADMSG;
}

int seal_keys_read(const char *path, struct seal_keys *ret, struct error *err) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    int r = file_read(path, FILE_BYTES_MAX, &text, NULL);

    *ret = (struct seal_keys){0};
    if (r < 0)
        return error_set_errno(err, r, "cannot read %s", path);
    r = parse(strbuf_str(&text), ret);
    if (text.data)
        explicit_bzero(text.data, text.len);
    if (r < 0)
        seal_keys_finish(ret);
    return r < 0
               ? error_set(err, r, "%s holds no key (lines of 64 hexadecimal digits, at most %d)", path, SEAL_KEYS_MAX)
               : 0;
}

int seal_keys_write(const char *path, const struct seal_keys *k, struct error *err) {
    char text[SEAL_KEYS_MAX * LINE_BYTES + 1];
    int r = 0;

    for (size_t i = 0; i < k->n && r == 0; i++) {
        size_t n = LINE_BYTES + 1; /* the NUL becomes the line's end */
        const gnutls_datum_t bytes = {(unsigned char *) k->keys[i].bytes, SEAL_KEY_BYTES};
        if (gnutls_hex_encode(&bytes, text + i * LINE_BYTES, &n) < 0)
            r = error_set(err, -EIO, "cannot write a key");
        text[(i + 1) * LINE_BYTES - 1] = '\n';
    }
    if (r == 0)
        r = file_write_atomic(path, text, k->n * LINE_BYTES, 0600, true, err);
    explicit_bzero(text, sizeof(text));
    return r;
}

int seal_keys_add(struct seal_keys *k, struct error *err) {
    struct seal_key new;

    if (k->n == SEAL_KEYS_MAX)
        return error_set(err, -E2BIG, "there are %d keys already", SEAL_KEYS_MAX);
    if (gnutls_rnd(GNUTLS_RND_KEY, new.bytes, SEAL_KEY_BYTES) < 0 || make_id(&new) < 0)
        return error_set(err, -EIO, "cannot make a key");
    memmove(k->keys + 1, k->keys, k->n * sizeof(*k->keys));
    k->keys[0] = new;
    k->n++;
    explicit_bzero(&new, sizeof(new));
    return 0;
}

void seal_keys_drop_old(struct seal_keys *k) {
    if (k->n > 1)
        explicit_bzero(k->keys + 1, (k->n - 1) * sizeof(*k->keys));
    k->n = 1;
}
