/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The keys of what is sealed at rest: changed while in use, after a crash in the middle, and what is no longer readable
 * when rows or keys are touched. */
#include "tests/unit/store/sealed_fixture.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "orchestrator/store/backup.h"
#include "orchestrator/store/key_rotation.h"
#include "orchestrator/store/lmdb/lmdb_backend.h"
#include "orchestrator/store/sealed_backend.h"
#include "podium/base/fd.h"

#define SECRETS     40
#define KEY_LINE    65
#define ROTATIONS   15
#define CREATED_MAX 2000u
#define CRASHES     12

static int put_secret(struct store *s, enum store_op op, const char *name, int64_t value) {
    _cleanup_json_ struct json *doc = document("a", name, value);
    struct waiter w = WAITER_INIT;

    json_set_path(&doc, json_stringf("the-secret-words-of-%s", name), "data", "word");
    const struct store_write write = {op, "secrets", "a", name, doc, 0};
    int r = store_submit(s, &write, waiter_done, &w);
    if (r < 0)
        return r;
    waiter_wait(&w, 1);
    return w.result;
}

static void fill(struct store *s) {
    for (int i = 0; i < SECRETS; i++) {
        _cleanup_free_ char *name = xasprintf("s%02d", i);
        assert_int_equal(put_secret(s, STORE_CREATE, name, i), 0);
    }
}

static void assert_there(struct store *s, unsigned more) {
    assert_int_equal(store_count(s, "secrets"), SECRETS + more);
    for (int i = 0; i < SECRETS; i++) {
        _cleanup_free_ char *name = xasprintf("s%02d", i), *want = xasprintf("the-secret-words-of-%s", name);
        _cleanup_(store_item_unrefp) struct store_item *item = store_get(s, "secrets", "a", name);
        assert_non_null(item);
        assert_string_equal(json_str(json_path(store_item_doc(item), "data", "word")), want);
    }
}

static void assert_all_there(struct store *s) {
    assert_there(s, 0);
}

static char *key_file(const struct sealed_fixture *f) {
    struct strbuf text = STRBUF_INIT;

    assert_int_equal(file_read(f->key, 4096, &text, NULL), 0);
    return strbuf_steal(&text);
}

static void write_key_file(const struct sealed_fixture *f, const char *first, const char *second) {
    _cleanup_free_ char *text = xasprintf("%s%s", first, second);

    assert_int_equal(file_write_atomic(f->key, text, strlen(text), 0600, false, NULL), 0);
}

static void reopen(struct sealed_fixture *f) {
    store_close(steal(&f->base.store));
    fixture_open(&f->base);
}

static void test_rotation(void **state) {
    struct sealed_fixture *f = *state;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_free_ char *before = key_file(f);
    size_t n;

    fill(f->base.store);
    assert_int_equal(store_rotate_key(f->base.store, &n, &err), 0);
    assert_int_equal(n, SECRETS);
    _cleanup_free_ char *after = key_file(f);
    assert_int_equal(strlen(after), KEY_LINE); /* the old one is gone */
    assert_string_not_equal(before, after);
    assert_all_there(f->base.store);
    assert_int_equal(put_secret(f->base.store, STORE_UPDATE, "s00", 9), 0);
    reopen(f);
    assert_all_there(f->base.store);
    /* nothing is left that the old key opens */
    store_close(steal(&f->base.store));
    write_key_file(f, before, "");
    assert_int_equal(store_open_lmdb(&f->base.options, &f->base.store, NULL), -ENOKEY);
    write_key_file(f, after, "");
    fixture_open(&f->base);
    assert_int_equal(store_rotate_key(f->base.store, &n, &err), 0);
    assert_all_there(f->base.store);
}

static void test_without_a_key_file(void **state) {
    struct sealed_fixture *f = *state;
    struct fixture plain = {.options = {.no_sync = true}};
    size_t n;

    fixture_init(&plain);
    fixture_open(&plain);
    assert_int_equal(store_rotate_key(plain.store, &n, NULL), -EOPNOTSUPP);
    fixture_finish(&plain);
    assert_int_equal(store_rotate_key(f->base.store, &n, NULL), 0); /* nothing to write is fine */
    assert_int_equal(n, 0);
}

/* A key somebody put in front by hand, or a rotation that ended there: the next start does the rest. */
static void test_two_keys_become_one_at_the_next_start(void **state) {
    static const char new[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n";
    struct sealed_fixture *f = *state;
    _cleanup_free_ char *old = key_file(f);

    fill(f->base.store);
    store_close(steal(&f->base.store));
    write_key_file(f, new, old);
    fixture_open(&f->base);
    assert_all_there(f->base.store);
    _cleanup_free_ char *now = key_file(f);
    assert_string_equal(now, new);
    reopen(f);
    assert_all_there(f->base.store);
}

struct writers {
    struct store *store;
    atomic_bool end;
    atomic_uint made;
};

/* Creations: what is committed and not yet shown has no older state that would tell of it. */
static void *create_on(void *p) {
    struct writers *w = p;

    while (!atomic_load(&w->end) && atomic_load(&w->made) < CREATED_MAX) {
        _cleanup_free_ char *name = xasprintf("c%05u", atomic_fetch_add(&w->made, 1));
        assert_int_equal(put_secret(w->store, STORE_CREATE, name, 1), 0);
    }
    return NULL;
}

static void *write_on(void *p) {
    struct writers *w = p;

    for (int i = 0; !atomic_load(&w->end); i++) {
        _cleanup_free_ char *name = xasprintf("s%02d", i % SECRETS);
        int r = put_secret(w->store, STORE_UPDATE, name, i);
        assert_true(r == 0 || r == -ESTALE);
    }
    return NULL;
}

static void test_rotation_among_writers(void **state) {
    struct sealed_fixture *f = *state;
    struct writers w = {.store = f->base.store};
    pthread_t threads[4];
    size_t n;

    fill(f->base.store);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, i < 2 ? write_on : create_on, &w), 0);
    for (int i = 0; i < ROTATIONS; i++) {
        _cleanup_(error_clear) struct error err = ERROR_INIT;
        int r = store_rotate_key(f->base.store, &n, &err);
        if (r < 0)
            fail_msg("%s", error_text(&err, r));
    }
    atomic_store(&w.end, true);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    reopen(f); /* with the one key in the file: every row is its */
    assert_there(f->base.store, atomic_load(&w.made));
}

static void rotate_for_ever(struct sealed_fixture *f) {
    size_t n;

    fixture_open(&f->base);
    for (;;)
        if (store_rotate_key(f->base.store, &n, NULL) < 0)
            _exit(1);
}

static void test_killed_in_the_middle(void **state) {
    struct sealed_fixture *f = *state;

    fill(f->base.store);
    store_close(steal(&f->base.store));
    for (unsigned i = 0; i < CRASHES; i++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            rotate_for_ever(f);
        struct timespec some = {.tv_nsec = (long) (15 + i * 7) * 1000 * 1000};
        (void) nanosleep(&some, NULL);
        int status;
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        fixture_open(&f->base);
        assert_all_there(f->base.store);
        _cleanup_free_ char *keys = key_file(f);
        assert_int_equal(strlen(keys), KEY_LINE);
        store_close(steal(&f->base.store));
    }
    fixture_open(&f->base);
}

static void test_restored_secrets_are_sealed(void **state) {
    struct sealed_fixture *f = *state;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_strbuf_ struct strbuf bytes = STRBUF_INIT;
    _cleanup_free_ char *mdb = path_join(f->base.path, "data.mdb");
    FILE *file = tmpfile();
    char part[512];
    size_t n;

    fill(f->base.store);
    struct store_backup *b = store_backup_new(f->base.store, 1);
    while ((n = store_backup_read(b, part, sizeof(part))) > 0)
        assert_int_equal(fwrite(part, 1, n, file), n);
    store_backup_free(b);
    rewind(file);
    store_close(steal(&f->base.store));
    assert_int_equal(rm_tree(f->base.path, NULL), 0);
    int r = store_restore_lmdb(&f->base.options, file, &n, &err);
    fclose(file);
    if (r < 0)
        fail_msg("%s", error_text(&err, r));
    assert_int_equal(n, SECRETS);
    assert_int_equal(file_read(mdb, 1u << 30, &bytes, NULL), 0);
    assert_null(memmem(bytes.data, bytes.len, "the-secret-words", 16));
    fixture_open(&f->base);
    assert_all_there(f->base.store);
}

/* --- rows that were touched by somebody who knows the files: a back-end in memory, whose rows can be --- */

struct memory {
    struct store_backend base;
    struct {
        uint64_t revision;
        const char *name;
        char *text;
        size_t n;
    } rows[2];
};

static int memory_load(struct store_backend *b, store_row_fn row, void *userdata, uint64_t *ret_revision,
                       struct error *err) {
    struct memory *m = container_of(b, struct memory, base);

    *ret_revision = 9;
    for (size_t i = 0; i < 2; i++) {
        const struct store_row r = {m->rows[i].revision, "secrets",       "a",
                                    m->rows[i].name,     m->rows[i].text, m->rows[i].n};
        int k = row(userdata, &r, err);
        if (k < 0)
            return k;
    }
    return 0;
}

static int memory_commit(struct store_backend *b, const struct store_change *changes, size_t n, struct error *err) {
    struct memory *m = container_of(b, struct memory, base);

    for (size_t i = 0; i < n; i++) {
        size_t at = strcmp(changes[i].name, "s") == 0 ? 0 : 1;
        free(m->rows[at].text);
        m->rows[at].revision = changes[i].revision;
        m->rows[at].name = at == 0 ? "s" : "t";
        m->rows[at].text = xmemdup(changes[i].text, changes[i].text_len);
        m->rows[at].n = changes[i].text_len;
    }
    return 0;
}

static void memory_close(struct store_backend *b) {
}

static const struct store_backend_ops memory_ops = {memory_load, memory_commit, memory_close};
static const char *const resources[] = {"secrets", NULL};

static int count_plain(void *userdata, const struct store_row *row, struct error *err) {
    *(unsigned *) userdata += row->text_len == 5 && memcmp(row->text, "{\"a\"}", 5) == 0;
    return 0;
}

/* How many rows are read as they were written; or why not. */
static int read_rows(struct memory *m, const struct seal_keys *keys, struct error *err) {
    struct store_backend *b;
    uint64_t revision;
    unsigned n = 0;

    assert_int_equal(sealed_backend_new(&m->base, keys, resources, &b, NULL), 0);
    int r = b->ops->load(b, count_plain, &n, &revision, err);
    b->ops->close(b);
    return r < 0 ? r : (int) n;
}

static void commit_both(struct memory *m, const struct seal_keys *keys, uint64_t revision) {
    const struct store_change changes[] = {
        {.revision = revision, .resource = "secrets", .ns = "a", .name = "s", .text = "{\"a\"}", .text_len = 5},
        {.revision = revision + 1, .resource = "secrets", .ns = "a", .name = "t", .text = "{\"a\"}", .text_len = 5},
    };
    struct store_backend *b;

    assert_int_equal(sealed_backend_new(&m->base, keys, resources, &b, NULL), 0);
    assert_int_equal(b->ops->commit(b, changes, 2, NULL), 0);
    b->ops->close(b);
}

static void assert_refused(struct memory *m, const struct seal_keys *keys) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    assert_int_equal(read_rows(m, keys, &err), -EBADMSG);
    assert_non_null(strstr(error_text(&err, -EBADMSG), "cannot be decrypted: it was damaged or changed on the disk"));
}

static void test_touched_rows_are_refused(void **state) {
    struct memory m = {.base.ops = &memory_ops};
    struct seal_keys keys = {0}, other = {0};

    assert_int_equal(seal_keys_add(&keys, NULL), 0);
    assert_int_equal(seal_keys_add(&other, NULL), 0);
    commit_both(&m, &keys, 1);
    assert_int_equal(read_rows(&m, &keys, NULL), 2);
    assert_int_equal(read_rows(&m, &other, NULL), -ENOKEY);
    assert_memory_not_equal(m.rows[0].text + 12, m.rows[1].text + 12, 12); /* no nonce twice */
    for (size_t i = 12; i < m.rows[0].n; i++) {                            /* one bit of nonce, text or tag */
        m.rows[0].text[i] ^= 1;
        assert_refused(&m, &keys);
        m.rows[0].text[i] ^= 1;
    }
    m.rows[0].text[4] ^= 1; /* the key's id */
    assert_int_equal(read_rows(&m, &keys, NULL), -ENOKEY);
    m.rows[0].text[4] ^= 1;
    m.rows[0].n--; /* cut short */
    assert_refused(&m, &keys);
    m.rows[0].n++;
    /* one Secret's text in another's place; an old state in the place of a new one */
    char *first = m.rows[0].text;
    m.rows[0].text = m.rows[1].text;
    assert_refused(&m, &keys);
    m.rows[0].text = NULL;
    free(m.rows[1].text);
    m.rows[1].text = NULL;
    commit_both(&m, &keys, 3);
    assert_int_equal(read_rows(&m, &keys, NULL), 2);
    free(m.rows[0].text);
    m.rows[0].text = first;
    assert_refused(&m, &keys);
    free(m.rows[0].text);
    free(m.rows[1].text);
}

/* --- the first format --- */

/* A record as Podium wrote them before there were several keys. */
static char *first_format(const char *text, uint64_t revision, const char *key_hex, size_t *ret_n) {
    static const char bound_names[] = "secrets\0a\0s";
    unsigned char key[32], bound[sizeof(bound_names) + 8];
    size_t n_key = sizeof(key), room = strlen(text) + 16;
    gnutls_aead_cipher_hd_t cipher;
    const gnutls_datum_t hex = {(unsigned char *) key_hex, 64}, k = {key, sizeof(key)};
    char *out = xcalloc(1, 16 + room);

    memcpy(out, "\1PS1", sizeof("\1PS1")); /* the zero is there already */
    memcpy(bound, bound_names, sizeof(bound_names));
    memcpy(bound + sizeof(bound_names), &revision, sizeof(revision));
    assert_int_equal(gnutls_hex_decode(&hex, key, &n_key), 0);
    assert_int_equal(gnutls_aead_cipher_init(&cipher, GNUTLS_CIPHER_AES_256_GCM, &k), 0);
    assert_int_equal(
        gnutls_aead_cipher_encrypt(cipher, out + 4, 12, bound, sizeof(bound), 16, text, strlen(text), out + 16, &room),
        0);
    gnutls_aead_cipher_deinit(cipher);
    *ret_n = 16 + room;
    return out;
}

static void test_the_first_format_is_read_and_written_anew(void **state) {
    static const char text[] = "{\"metadata\":{\"name\":\"s\",\"namespace\":\"a\",\"resourceVersion\":\"7\"},"
                               "\"data\":{\"word\":\"of old\"}}";
    struct sealed_fixture *f = *state;
    struct store_options o = {.path = f->base.path, .no_sync = true};
    _cleanup_free_ char *key = key_file(f);
    struct store_backend *b;
    size_t n;
    _cleanup_free_ char *record = first_format(text, 7, key, &n);

    store_close(steal(&f->base.store));
    assert_int_equal(lmdb_backend_open(&o, &b, NULL), 0);
    const struct store_change ch = {
        .revision = 7, .resource = "secrets", .ns = "a", .name = "s", .text = record, .text_len = n};
    assert_int_equal(b->ops->commit(b, &ch, 1, NULL), 0);
    b->ops->close(b);
    fixture_open(&f->base);
    _cleanup_(store_item_unrefp) struct store_item *item = store_get(f->base.store, "secrets", "a", "s");
    assert_non_null(item);
    assert_true(store_item_revision(item) > 7);
    assert_string_equal(json_str(json_path(store_item_doc(item), "data", "word")), "of old");
    reopen(f);
}

#define T(f) cmocka_unit_test_setup_teardown(f, sealed_setup, sealed_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_rotation),
        T(test_without_a_key_file),
        T(test_two_keys_become_one_at_the_next_start),
        T(test_rotation_among_writers),
        T(test_killed_in_the_middle),
        T(test_restored_secrets_are_sealed),
        T(test_touched_rows_are_refused),
        T(test_the_first_format_is_read_and_written_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
