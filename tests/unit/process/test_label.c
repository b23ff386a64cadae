/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is told to the kernel for security labels, with pipes in the place of its files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "runtime/process/label.h"

static void assert_told(int fd, const char *text) {
    char buffer[64] = "";

    assert_int_equal(read(fd, buffer, sizeof(buffer) - 1), (ssize_t) strlen(text));
    assert_string_equal(buffer, text);
}

static void test_apply(void **state) {
    struct spec_process process = {.apparmor_profile = (char *) "web", .selinux_label = (char *) "a:b:c:s0"};
    struct label_files none = LABEL_FILES_INIT;
    int apparmor[2], selinux[2];

    (void) state;
    assert_int_equal(label_apply(&process, &none, NULL), 0);
    assert_int_equal(pipe(apparmor), 0);
    assert_int_equal(pipe(selinux), 0);
    struct label_files files = {apparmor[1], selinux[1]};
    assert_int_equal(label_apply(&process, &files, NULL), 0);
    assert_told(apparmor[0], "exec web");
    assert_told(selinux[0], "a:b:c:s0");
    /* what cannot be told is an error that names the field */
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct label_files wrong = {selinux[0], -EBADF};
    assert_int_equal(label_apply(&process, &wrong, &err), -EBADF);
    assert_non_null(strstr(error_text(&err, -1), "process.apparmorProfile: cannot apply \"exec web\""));
    for (int i = 0; i < 2; i++) {
        (void) close(apparmor[i]);
        (void) close(selinux[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_apply)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
