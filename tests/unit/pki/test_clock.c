/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Certificates when somebody sets the clock: what is over, or not good yet, is renewed; the authority stays good. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <time.h>

#include "orchestrator/pki/gnutls_object.h"
#include "orchestrator/pki/pki.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"

#define HOUR 3600
#define YEAR (365 * 24 * HOUR)

static int64_t set_by; /* seconds */

uint64_t now_realtime_usec(void) {
    return ((uint64_t) time(NULL) + (uint64_t) set_by) * USEC_PER_SEC;
}

static const struct pki_request request = {.common_name = "podium-server", .server = true};

/* Whether the certificate is good at the clock's time, by itself and by its authority. */
static bool is_good(const char *dir, const char *name) {
    _cleanup_free_ char *path = xasprintf("%s/%s.crt", dir, name);
    _cleanup_strbuf_ struct strbuf pem = STRBUF_INIT;
    _cleanup_crt_ gnutls_x509_crt_t crt = NULL;
    int64_t now = (int64_t) (now_realtime_usec() / USEC_PER_SEC);

    assert_int_equal(file_read(path, 1 << 20, &pem, NULL), 0);
    assert_int_equal(pki_crt_parse(strbuf_str(&pem), false, &crt, NULL), 0);
    return gnutls_x509_crt_get_activation_time(crt) <= now && gnutls_x509_crt_get_expiration_time(crt) > now;
}

static void test_clock_is_set(void **state) {
    static const int64_t jumps[] = {0, YEAR, -HOUR, YEAR + HOUR, -6 * YEAR, 3 * YEAR, 0};
    char dir[] = "/tmp/podium-pki-XXXXXX";

    assert_non_null(mkdtemp(dir));
    _cleanup_free_ char *cert = path_join(dir, "server.crt");
    for (size_t i = 0; i < ARRAY_LEN(jumps); i++) {
        set_by = jumps[i];
        if (i > 0)
            assert_int_equal(pki_renew_in_sec(cert), 0); /* due at once, in both directions */
        if (i == 0)
            assert_int_equal(pki_ca_ensure(dir, "podium-ca", NULL), 1);
        assert_int_equal(pki_ensure(dir, dir, "server", &request, NULL), 1);
        assert_true(is_good(dir, "server"));
        assert_true(is_good(dir, "ca"));
        assert_in_range(pki_renew_in_sec(cert), PKI_LEAF_LIFETIME_SEC / 2, PKI_LEAF_LIFETIME_SEC);
        assert_int_equal(pki_ensure(dir, dir, "server", &request, NULL), 0);
    }
    assert_int_equal(rm_tree(dir, NULL), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_clock_is_set)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
