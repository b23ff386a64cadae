/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A store that seals Secrets, and the path of its key file, which lies beside it. */
#ifndef TESTS_UNIT_STORE_SEALED_FIXTURE_H
#define TESTS_UNIT_STORE_SEALED_FIXTURE_H

#include <unistd.h>

#include "tests/unit/store/store_fixture.h"

struct sealed_fixture {
    struct fixture base;
    char *key;
};

static inline int sealed_setup(void **state) {
    struct sealed_fixture *f = xnew0(struct sealed_fixture);

    fixture_init(&f->base);
    f->key = xasprintf("%s.key", f->base.path);
    f->base.options.key_file = f->key;
    f->base.options.no_sync = true;
    fixture_open(&f->base);
    *state = f;
    return 0;
}

static inline int sealed_teardown(void **state) {
    struct sealed_fixture *f = *state;

    fixture_finish(&f->base);
    (void) unlink(f->key);
    free(f->key);
    free(f);
    return 0;
}

#endif
