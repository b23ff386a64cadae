/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is not taken for an authority, a certificate or a request, and that nothing is written for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <gnutls/x509.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "orchestrator/pki/pki.h"
#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"
#include "tests/unit/pki/pki_folder.h"

static bool is_there(const char *dir, const char *name) {
    _cleanup_free_ char *path = path_join(dir, name);

    return access(path, F_OK) == 0;
}

static struct pki_request client(void) {
    return (struct pki_request){.common_name = "c", .client = true};
}

/* Neither ensuring it nor issuing from it helps, and what is there stays as it is. */
static void assert_no_authority(const char *dir, int code, const char *why) {
    _cleanup_(error_clear) struct error err = ERROR_INIT, second = ERROR_INIT;
    _cleanup_free_ char *before = read_text(dir, "ca.crt"), *cert = NULL;
    _cleanup_pki_key_ char *key = NULL;
    struct pki_request request = client();

    assert_int_equal(pki_ca_ensure(dir, "other", &err), code);
    assert_non_null(strstr(error_text(&err, code), why));
    assert_int_equal(pki_issue(dir, &request, &cert, &key, &second), code);
    assert_null(cert);
    _cleanup_free_ char *after = read_text(dir, "ca.crt");
    assert_string_equal(before, after);
}

/* A certificate of a node, with its key, must not become an authority by being put into its place. */
static void test_a_leaf_is_no_authority(void **state) {
    const char *dir = *state;
    _cleanup_free_ char *ca = path_join(dir, "ca"), *cert = NULL;
    _cleanup_pki_key_ char *key = NULL;
    struct pki_request request = client();

    assert_int_equal(pki_ca_ensure(ca, "test", NULL), 1);
    assert_int_equal(pki_issue(ca, &request, &cert, &key, NULL), 0);
    write_text(ca, "ca.crt", cert);
    write_text(ca, "ca.key", key);
    assert_no_authority(ca, -EINVAL, "is not the certificate of an authority");
}

/* The same authority with the same key, whose time is over. */
static void expire(const char *dir) {
    _cleanup_free_ char *key_pem = read_text(dir, "ca.key"), *crt_pem = read_text(dir, "ca.crt");
    const gnutls_datum_t key_data = {(unsigned char *) key_pem, (unsigned) strlen(key_pem)},
                         crt_data = {(unsigned char *) crt_pem, (unsigned) strlen(crt_pem)};
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t crt;
    gnutls_datum_t out = {0};

    assert_int_equal(gnutls_x509_privkey_init(&key), 0);
    assert_int_equal(gnutls_x509_privkey_import(key, &key_data, GNUTLS_X509_FMT_PEM), 0);
    assert_int_equal(gnutls_x509_crt_init(&crt), 0);
    assert_int_equal(gnutls_x509_crt_import(crt, &crt_data, GNUTLS_X509_FMT_PEM), 0);
    assert_int_equal(gnutls_x509_crt_set_expiration_time(crt, time(NULL) - 1), 0);
    assert_int_equal(gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0), 0);
    assert_int_equal(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &out), 0);
    _cleanup_free_ char *text = xstrndup((char *) out.data, out.size);
    write_text(dir, "ca.crt", text);
    gnutls_free(out.data);
    gnutls_x509_crt_deinit(crt);
    gnutls_x509_privkey_deinit(key);
}

static void test_an_authority_whose_time_is_over(void **state) {
    assert_int_equal(pki_ca_ensure(*state, "test", NULL), 1);
    expire(*state);
    assert_no_authority(*state, -EKEYEXPIRED, "has expired");
}

static void test_names_stay_in_their_folder(void **state) {
    static const char *const bad[] = {"../escaped", "a/b", "..", ""};
    const char *dir = *state;
    _cleanup_free_ char *ca = path_join(dir, "ca"), *to = path_join(dir, "to"), *cert = NULL, *other_cert = NULL;
    _cleanup_pki_key_ char *key = NULL, *other = NULL;
    struct pki_request request = client();

    assert_int_equal(pki_ca_ensure(ca, "test", NULL), 1);
    assert_int_equal(mkdir_parents(to, 0755, NULL), 0);
    assert_int_equal(pki_issue(ca, &request, &cert, &key, NULL), 0);
    assert_int_equal(pki_issue(ca, &request, &other_cert, &other, NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(pki_install(to, bad[i], cert, key, NULL), -EINVAL);
    assert_int_equal(pki_install(to, "c", cert, other, NULL), -EBADMSG);
    assert_int_equal(pki_install(to, "c", "no certificate", key, NULL), -EINVAL);
    assert_int_equal(pki_install(to, "c", cert, "no key", NULL), -EINVAL);
    assert_int_equal(rmdir(to), 0); /* nothing is in it */
    assert_false(is_there(dir, "escaped.crt"));
}

static void test_requests_that_are_none(void **state) {
    const char *dir = *state;
    struct pki_request request = client();
    _cleanup_free_ char *csr = NULL, *cert = NULL, *large = xcalloc(1, PKI_PEM_BYTES_MAX + 2);
    _cleanup_pki_key_ char *key = NULL;
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    assert_int_equal(pki_ca_ensure(dir, "test", NULL), 1);
    memset(large, 'A', PKI_PEM_BYTES_MAX + 1);
    assert_int_equal(pki_csr_sign(dir, large, &request, &cert, &err), -EINVAL);
    assert_non_null(strstr(error_text(&err, -EINVAL), "larger than"));
    assert_int_equal(pki_csr_sign(dir, "", &request, &cert, NULL), -EINVAL);
    assert_int_equal(pki_csr_new("c", &csr, &key, NULL), 0);
    /* another key than the one it is signed with: any bit of the last line but one belongs to key or signature */
    char *end = strstr(csr, "\n-----END"), *line = memrchr(csr, '\n', (size_t) (end - csr));
    line[1] = line[1] == 'A' ? 'B' : 'A';
    assert_int_equal(pki_csr_sign(dir, csr, &request, &cert, NULL), -EINVAL);
    assert_null(cert);
}

static void test_a_folder_that_is_a_file(void **state) {
    _cleanup_free_ char *file = path_join(*state, "file");

    write_text(*state, "file", "text");
    assert_int_equal(pki_ca_ensure(file, "test", NULL), -ENOTDIR);
    _cleanup_free_ char *text = read_text(*state, "file");
    assert_string_equal(text, "text");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_a_leaf_is_no_authority), T(test_an_authority_whose_time_is_over), T(test_names_stay_in_their_folder),
        T(test_requests_that_are_none), T(test_a_folder_that_is_a_file),
    };
    return cmocka_run_group_tests_name("pki refusals", tests, NULL, NULL);
}
