/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What goes to the journal in place of what it would not keep: whatever the cuts between two reads. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "podium/base/strbuf.h"
#include "runtime/pod/encode.h"

static void check(const char *in, size_t n_in, const char *out, size_t n_out) {
    for (size_t cut = 0; cut <= n_in; cut++) {
        _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
        struct pod_encoder e = {0};

        if (!pod_encode(&e, in, cut, &b)) {
            assert_int_equal(b.len, 0);
            strbuf_add(&b, in, cut);
        }
        size_t before = b.len;
        if (!pod_encode(&e, in + cut, n_in - cut, &b)) {
            assert_int_equal(b.len, before);
            strbuf_add(&b, in + cut, n_in - cut);
        }
        assert_int_equal(b.len, n_out);
        if (n_out > 0)
            assert_memory_equal(strbuf_str(&b), out, n_out);
    }
}
#define CHECK(in, out) check(in, sizeof(in) - 1, out, sizeof(out) - 1)

static void test_text_stays(void **state) {
    CHECK("", "");
    CHECK("one\ntwo  \n  three\n", "one\ntwo  \n  three\n");
    CHECK("no end", "no end");
    CHECK("tabs\t\n\t\n\r\n", "tabs\t\n\t\n\r\n");
    CHECK("gr\xC3\xBC\xC3\x9F\n", "gr\xC3\xBC\xC3\x9F\n");
}

static void test_blank_lines(void **state) {
    CHECK("\n", " \n");
    CHECK("\n\n\n", " \n \n \n");
    CHECK("a\n\nb\n", "a\n \nb\n");
    CHECK("a\n  \nb\n", "a\n   \nb\n");
    CHECK(" \n a\n", "  \n a\n");
    CHECK("   ", "   "); /* its end has not come */
}

static void test_bytes(void **state) {
    CHECK("a\0b\n", "a\xC0\x80"
                    "b\n");
    CHECK("\0\n\n", "\xC0\x80\n \n");
    CHECK("\xC0\x80\n", "\xC0\x81\x80\n");
    CHECK("\xC0", "\xC0\x81");
}

/* The journal loses the newline of a line as long as the pieces it cuts lines into. */
static void test_line_max(void **state) {
    _cleanup_strbuf_ struct strbuf in = STRBUF_INIT, out = STRBUF_INIT;
    struct pod_encoder e = {0};

    for (int i = 0; i < 2 * 49152 - 1; i++)
        strbuf_addc(&in, 'a');
    assert_false(pod_encode(&e, in.data, in.len, &out));
    assert_true(pod_encode(&e, "b\nc\n", 4, &out));
    assert_int_equal(out.len, 6);
    assert_memory_equal(out.data, "b\xC0\x82\nc\n", 6);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_stays),
        cmocka_unit_test(test_blank_lines),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_line_max),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
