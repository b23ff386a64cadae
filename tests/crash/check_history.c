/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The judge is judged: histories that are right, and each kind of wrong one planted in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "podium/base/alloc.h"
#include "podium/base/random.h"
#include "tests/crash/history.h"

#define judge(...)                                                                                                     \
    ({                                                                                                                 \
        struct op ops_[] = {__VA_ARGS__};                                                                              \
        history_linearizable(ops_, sizeof(ops_) / sizeof(*ops_));                                                      \
    })
#define OP(k, r, v, e, from, to)                                                                                       \
    { .kind = OP_##k, .result = OP_##r, .value = v, .expected = e, .called = from, .answered = to }

static void test_one_after_another(void **state) {
    assert_true(judge(OP(GET, ABSENT, 0, 0, 1, 2), OP(CREATE, DONE, 1, 0, 3, 4), OP(GET, DONE, 1, 0, 5, 6),
                      OP(CREATE, EXISTS, 2, 0, 7, 8), OP(REPLACE, DONE, 3, 1, 9, 10),
                      OP(REPLACE, CHANGED, 4, 1, 11, 12), OP(PATCH, DONE, 5, 0, 13, 14), OP(DELETE, DONE, 0, 0, 15, 16),
                      OP(DELETE, ABSENT, 0, 0, 17, 18)));
}

static void test_at_the_same_time(void **state) {
    /* both orders of two patches may be seen, by whoever reads after both only one */
    assert_true(judge(OP(CREATE, DONE, 1, 0, 1, 2), OP(PATCH, DONE, 2, 0, 3, 10), OP(PATCH, DONE, 3, 0, 4, 9),
                      OP(GET, DONE, 3, 0, 5, 6), OP(GET, DONE, 2, 0, 11, 12)));
    assert_false(judge(OP(CREATE, DONE, 1, 0, 1, 2), OP(PATCH, DONE, 2, 0, 3, 10), OP(PATCH, DONE, 3, 0, 4, 9),
                       OP(GET, DONE, 3, 0, 11, 12), OP(GET, DONE, 2, 0, 13, 14)));
}

static void test_planted_errors(void **state) {
    /* an acknowledged write is gone */
    assert_false(judge(OP(CREATE, DONE, 1, 0, 1, 2), OP(PATCH, DONE, 2, 0, 3, 4), OP(GET, DONE, 1, 0, 5, 6)));
    /* an acknowledged creation is gone */
    assert_false(judge(OP(CREATE, DONE, 1, 0, 1, 2), OP(GET, ABSENT, 0, 0, 3, 4)));
    /* a deleted object is back */
    assert_false(judge(OP(CREATE, DONE, 1, 0, 1, 2), OP(DELETE, DONE, 0, 0, 3, 4), OP(GET, DONE, 1, 0, 5, 6)));
    /* two creations succeed */
    assert_false(judge(OP(CREATE, DONE, 1, 0, 1, 9), OP(CREATE, DONE, 2, 0, 2, 8)));
    /* two compare-and-swaps on one revision succeed */
    assert_false(judge(OP(CREATE, DONE, 1, 0, 1, 2), OP(REPLACE, DONE, 2, 1, 3, 9), OP(REPLACE, DONE, 3, 1, 4, 8)));
    /* a value nobody wrote */
    assert_false(judge(OP(CREATE, DONE, 1, 0, 1, 2), OP(GET, DONE, 7, 0, 3, 4)));
    /* time runs backwards between two readers */
    assert_false(judge(OP(CREATE, DONE, 1, 0, 1, 2), OP(PATCH, DONE, 2, 0, 3, 20), OP(GET, DONE, 2, 0, 4, 5),
                       OP(GET, DONE, 1, 0, 6, 7)));
    /* a refusal without a reason */
    assert_false(judge(OP(CREATE, DONE, 1, 0, 1, 2), OP(REPLACE, CHANGED, 2, 1, 3, 4)));
    assert_false(judge(OP(CREATE, EXISTS, 1, 0, 1, 2)));
}

static void test_unanswered(void **state) {
    /* it may have happened, late, or never */
    assert_true(judge(OP(CREATE, DONE, 1, 0, 1, 2), OP(PATCH, UNKNOWN, 2, 0, 3, 4), OP(GET, DONE, 1, 0, 5, 6),
                      OP(GET, DONE, 2, 0, 7, 8)));
    assert_true(judge(OP(CREATE, DONE, 1, 0, 1, 2), OP(PATCH, UNKNOWN, 2, 0, 3, 4), OP(GET, DONE, 1, 0, 5, 6)));
    /* but not undone, and not before it was called */
    assert_false(judge(OP(CREATE, DONE, 1, 0, 1, 2), OP(PATCH, UNKNOWN, 2, 0, 3, 4), OP(GET, DONE, 2, 0, 5, 6),
                       OP(GET, DONE, 1, 0, 7, 8)));
    assert_false(judge(OP(CREATE, DONE, 1, 0, 1, 2), OP(GET, DONE, 2, 0, 3, 4), OP(PATCH, UNKNOWN, 2, 0, 5, 6)));
}

static void test_revisions(void **state) {
    struct op right[] = {{.kind = OP_CREATE, .called = 1, .answered = 2, .revision = 5},
                         {.kind = OP_PATCH, .called = 3, .answered = 9, .revision = 7},
                         {.kind = OP_PATCH, .called = 4, .answered = 8, .revision = 6}};
    struct op wrong[] = {{.kind = OP_CREATE, .called = 1, .answered = 2, .revision = 5},
                         {.kind = OP_PATCH, .object = 1, .called = 3, .answered = 4, .revision = 5}};
    assert_null(history_revisions(right, 3));
    assert_non_null(history_revisions(wrong, 2));
}

/* Four threads on one register, played by a sequential program; then one answer is changed. */
static void test_random_histories(void **state) {
    enum { N = 300 };
    unsigned seed = (unsigned) random_u64(), caught = 0;
    print_message("seed %u\n", seed);
    for (int round = 0; round < 40; round++) {
        struct op ops[N], copy[N];
        int64_t value = 0;
        uint64_t now = 0;
        for (int i = 0; i < N; i++) {
            struct op *op = &ops[i];
            now += 10;
            *op = (struct op){
                .kind = (enum op_kind)(rand_r(&seed) % 5), .value = i + 1, .called = now, .answered = now + 5};
            op->called -= rand_r(&seed) % 2 ? 0 : (uint64_t) rand_r(&seed) % 30 % now;
            op->answered += (uint64_t) rand_r(&seed) % 30;
            op->expected = rand_r(&seed) % 3 ? value : 12345;
            if (op->kind == OP_GET) {
                op->value = value;
                op->result = value ? OP_DONE : OP_ABSENT;
            } else if (op->kind == OP_CREATE ? value != 0 : value == 0) {
                op->result = op->kind == OP_CREATE ? OP_EXISTS : OP_ABSENT;
            } else if (op->kind == OP_REPLACE && op->expected != value) {
                op->result = OP_CHANGED;
            } else {
                value = op->kind == OP_DELETE ? 0 : op->value;
            }
            if (op->kind != OP_GET && rand_r(&seed) % 20 == 0)
                op->result = OP_UNKNOWN;
        }
        memcpy(copy, ops, sizeof(ops));
        assert_true(history_linearizable(copy, N));
        memcpy(copy, ops, sizeof(ops));
        int gone = 0, reader = N / 2; /* somebody reads what is long over */
        while (copy[gone].kind == OP_GET || copy[gone].kind == OP_DELETE || copy[gone].result != OP_DONE)
            gone++;
        while (copy[reader].kind != OP_GET)
            reader++;
        copy[reader].result = OP_DONE;
        copy[reader].value = copy[gone].value;
        caught += !history_linearizable(copy, N);
    }
    assert_int_equal(caught, 40);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_after_another), cmocka_unit_test(test_at_the_same_time),
        cmocka_unit_test(test_planted_errors),    cmocka_unit_test(test_unanswered),
        cmocka_unit_test(test_revisions),         cmocka_unit_test(test_random_histories),
    };
    return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}
