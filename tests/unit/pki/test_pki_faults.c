/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Each call on files fails in turn while keys and certificates are made: an authority that is there is never replaced,
 * a key never gets another's certificate, and what did not work works when asked for again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/stat.h>

#include "orchestrator/pki/pki.h"
#include "tests/unit/failing_calls.h"
#include "tests/unit/pki/pki_folder.h"

static const struct pki_request request = {.common_name = "system:node:n1", .client = true};

/* Nothing is readable by others, no half-written file stays. */
static void assert_clean(const char *path) {
    DIR *dir = opendir(path);

    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        struct stat st;
        if (e->d_name[0] == '.')
            continue;
        assert_int_equal(fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW), 0);
        assert_held(strstr(e->d_name, ".crt") || (st.st_mode & 077) == 0 || strstr(e->d_name, ".pub"));
        assert_held(!strstr(e->d_name, ".tmp"));
    }
    closedir(dir);
}

static void test_an_authority(void **state) {
    FAILING_EACH(ENOSPC) {
        char hash[PKI_SHA256_HEX_SIZE], again[PKI_SHA256_HEX_SIZE];
        _cleanup_(error_clear) struct error err = ERROR_INIT;
        assert_int_equal(rm_tree(*state, NULL), 0);
        failing_begin();
        int r = pki_ca_ensure(*state, "cluster", &err);
        failing_end();
        assert_held(r == 1 || (r < 0 && err.code == r));
        bool known = pki_ca_hash(*state, hash, NULL) >= 0;
        assert_held(known || r < 0);
        assert_held(pki_ca_ensure(*state, "cluster", NULL) >= 0);
        assert_held(pki_ca_hash(*state, again, NULL) == 0);
        assert_held(!known || strcmp(hash, again) == 0);
        assert_clean(*state);
        /* and once it is there, whatever fails */
        failing_begin();
        r = pki_ca_ensure(*state, "cluster", NULL);
        failing_end();
        assert_held(r <= 0);
        assert_held(pki_ca_hash(*state, hash, NULL) == 0 && strcmp(hash, again) == 0);
        assert_held(pki_ca_ensure(*state, "cluster", NULL) == 0);
    }
}

static void test_a_pair(void **state) {
    _cleanup_free_ char *ca = path_join(*state, "ca"), *dir = path_join(*state, "leaf");

    assert_int_equal(pki_ca_ensure(ca, "cluster", NULL), 1);
    FAILING_EACH(EIO) {
        _cleanup_(error_clear) struct error err = ERROR_INIT;
        assert_int_equal(rm_tree(dir, NULL), 0);
        failing_begin();
        int r = pki_ensure(ca, dir, "n1", &request, &err);
        failing_end();
        assert_held(r == 1 || (r < 0 && err.code == r));
        /* 0: the pair was whole, and good; 1: it is made anew */
        int again = pki_ensure(ca, dir, "n1", &request, NULL);
        assert_held(again == 0 || (again == 1 && r < 0));
        assert_held(pki_ensure(ca, dir, "n1", &request, NULL) == 0);
        assert_clean(dir);
    }
}

static void test_a_signing_key(void **state) {
    _cleanup_free_ char *path = path_join(*state, "sa.key"), *public_path = path_join(*state, "sa.key.pub");

    FAILING_EACH(EMFILE) {
        (void) unlink(path);
        (void) unlink(public_path);
        failing_begin();
        int r = pki_signing_key_ensure(path, NULL);
        failing_end();
        assert_held(r == 1 || (r < 0 && pki_signing_key_ensure(path, NULL) >= 0));
        _cleanup_free_ char *first = read_text(*state, "sa.key");
        assert_held(access(public_path, F_OK) == 0);
        assert_clean(*state);
        failing_begin();
        r = pki_signing_key_ensure(path, NULL);
        failing_end();
        /* another key would make every token of the cluster worthless */
        _cleanup_free_ char *second = read_text(*state, "sa.key");
        assert_held(strcmp(first, second) == 0);
        assert_held(r == 0 || (r < 0 && pki_signing_key_ensure(path, NULL) == 0));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_an_authority, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_pair, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_signing_key, setup, teardown),
    };

    return cmocka_run_group_tests_name("keys when calls fail", tests, NULL, NULL);
}
