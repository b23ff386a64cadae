/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Removing the entry just returned does not make an iteration miss others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "podium/base/hashmap.h"

static void everything_can_be_removed_while_walking(void **state) {
    for (unsigned n = 1; n < 300; n++) {
        _cleanup_(hashmap_freep) struct hashmap *map = hashmap_new(NULL);
        char key[16];
        for (unsigned i = 0; i < n; i++) {
            snprintf(key, sizeof(key), "k%u", i);
            hashmap_put(map, key, map);
        }
        struct hashmap_iter it = {0};
        while (hashmap_next(map, &it))
            hashmap_remove(map, it.key);
        assert_int_equal(hashmap_len(map), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(everything_can_be_removed_while_walking)};
    return cmocka_run_group_tests_name("hashmap_remove", tests, NULL, NULL);
}
