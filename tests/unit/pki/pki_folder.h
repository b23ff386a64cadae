/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A folder for keys and certificates, one for each test. Include it after cmocka.h. */
#ifndef PODIUM_TESTS_PKI_FOLDER_H
#define PODIUM_TESTS_PKI_FOLDER_H

#include <stdlib.h>
#include <string.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"

static inline int setup(void **state) {
    char template[] = "/tmp/podium-pki-XXXXXX";

    if (!mkdtemp(template))
        return -1;
    *state = xstrdup(template);
    return 0;
}

static inline int teardown(void **state) {
    int r = rm_tree(*state, NULL);

    free(*state);
    return r;
}

static inline char *read_text(const char *dir, const char *name) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    _cleanup_free_ char *path = path_join(dir, name);

    assert_int_equal(file_read(path, 1 << 20, &text, NULL), 0);
    return strbuf_steal(&text);
}

static inline void write_text(const char *dir, const char *name, const char *text) {
    _cleanup_free_ char *path = path_join(dir, name);

    assert_int_equal(file_write_atomic(path, text, strlen(text), 0600, false, NULL), 0);
}

#endif
