/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lines as the container wrote them, from the journal's entries, wherever it cut them. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "orchestrator/agent/log_decode.h"

#define MARK    "\xE2\x81\xA0"
#define MARK_CR "\xE2\x81\xA1"

static void check(const char *in, size_t n_in, const char *out, size_t n_out) {
    for (size_t cut = 0; cut <= n_in; cut++) {
        _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
        struct log_decoder d = {0};

        strbuf_adds(&b, "stamp ");
        log_decode(&d, in, cut, LOG_BREAK_PART, &b);
        log_decode(&d, in + cut, n_in - cut, LOG_BREAK_NEWLINE, &b);
        assert_int_equal(b.len, n_out + 6);
        assert_memory_equal(b.data, "stamp ", 6);
        if (n_out > 0)
            assert_memory_equal(b.data + 6, out, n_out);
        assert_int_equal(d.n_held + d.escaped, 0);
    }
}
#define CHECK(in, out) check(in, sizeof(in) - 1, out, sizeof(out) - 1)

static void test_decode(void **state) {
    CHECK("text", "text");
    CHECK(MARK, "");
    CHECK("a  " MARK, "a  ");
    CHECK("a" MARK_CR, "a\r");
    CHECK("a" MARK MARK, "a" MARK);
    CHECK("a" MARK_CR MARK, "a" MARK_CR);
    CHECK(MARK "a", MARK "a");
    CHECK("a\xC0\x80"
          "b\xC0\x81\xC0\x82 c",
          "a\0b\xC0 c");
    CHECK("\xE2\x81\xA2", "\xE2\x81\xA2");
    CHECK("\xE2", "\xE2");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_decode)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
