/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which users a pod with a user namespace gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "orchestrator/agent/id_range.h"

struct world {
    uint32_t taken[4];
    bool all;
    unsigned asked;
};

static bool is_taken(void *userdata, uint32_t base) {
    struct world *w = userdata;

    w->asked++;
    for (size_t i = 0; i < 4; i++)
        if (w->taken[i] == base)
            return true;
    return w->all;
}

static void test_search(void **state) {
    struct world nobody = {.asked = 0}, full = {.all = true};
    const uint32_t n = (ID_RANGE_LAST - ID_RANGE_FIRST) / ID_RANGE_SIZE + 1;
    struct world some = {.taken = {ID_RANGE_FIRST, ID_RANGE_FIRST + ID_RANGE_SIZE, ID_RANGE_LAST}};

    assert_int_equal(id_range_search(0, is_taken, &nobody), ID_RANGE_FIRST);
    assert_int_equal(id_range_search(5, is_taken, &nobody), ID_RANGE_FIRST + 5 * ID_RANGE_SIZE);
    assert_int_equal(id_range_search(n - 1, is_taken, &nobody), ID_RANGE_LAST);
    assert_int_equal(id_range_search(n, is_taken, &nobody), ID_RANGE_FIRST);
    /* past the end it goes on at the beginning */
    assert_int_equal(id_range_search(n - 1, is_taken, &some), ID_RANGE_FIRST + 2 * ID_RANGE_SIZE);
    assert_int_equal(id_range_search(UINT64_MAX, is_taken, &nobody) % ID_RANGE_SIZE, 0);
    assert_int_equal(id_range_search(77, is_taken, &full), 0);
    assert_int_equal(full.asked, n);
}

static void test_subordinate(void **state) {
    static const struct {
        const char *text;
        uint32_t base;
        bool met;
    } cases[] = {
        {"", ID_RANGE_FIRST, false},
        {"a:100000:65536\n", ID_RANGE_FIRST, false},
        {"a:524288:65536\n", ID_RANGE_FIRST, true},
        {"a:100000:65536\nb:524287:1\nc:589824:10\n", ID_RANGE_FIRST, false},
        {"a:100000:65536\nb:524287:2\n", ID_RANGE_FIRST, true},
        {"b:589823:1\n", ID_RANGE_FIRST, true},
        {"b:100000:4000000000", ID_RANGE_LAST, true},
        {"nonsense\n:\na:b:c\n524288\n", ID_RANGE_FIRST, false},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(id_range_is_subordinate(cases[i].text, cases[i].base), cases[i].met);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_search), cmocka_unit_test(test_subordinate)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
