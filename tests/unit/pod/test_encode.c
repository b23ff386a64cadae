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

#define MARK    "\xE2\x81\xA0"
#define MARK_CR "\xE2\x81\xA1"

static void feed(struct pod_encoder *e, const char *p, size_t n, struct strbuf *b) {
    size_t before = b->len;

    if (pod_encode(e, p, n, b))
        return;
    assert_int_equal(b->len, before);
    strbuf_add(b, p, n);
}

static void check(const char *in, size_t n_in, const char *out, size_t n_out) {
    for (size_t cut = 0; cut <= n_in; cut++) {
        _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
        struct pod_encoder e = {0};

        feed(&e, in, cut, &b);
        feed(&e, in + cut, n_in - cut, &b);
        pod_encode_end(&e, &b);
        assert_int_equal(b.len, n_out);
        if (n_out > 0)
            assert_memory_equal(strbuf_str(&b), out, n_out);
    }
}
#define CHECK(in, out) check(in, sizeof(in) - 1, out, sizeof(out) - 1)

static void test_text_stays(void **state) {
    struct pod_encoder e = {0};
    struct strbuf b = STRBUF_INIT;

    CHECK("", "");
    CHECK("one\n two\n\tthree\n", "one\n two\n\tthree\n");
    CHECK("no end", "no end");
    CHECK("gr\xC3\xBC\xC3\x9F\n", "gr\xC3\xBC\xC3\x9F\n");
    assert_false(pod_encode(&e, "plain\ntext", 10, &b)); /* not even copied */
}

static void test_what_would_be_stripped(void **state) {
    CHECK("\n", MARK "\n");
    CHECK("\n\n", MARK "\n" MARK "\n");
    CHECK("a\n\nb\n", "a\n" MARK "\nb\n");
    CHECK("a  \n", "a  " MARK "\n");
    CHECK("a\t\n  \n", "a\t" MARK "\n  " MARK "\n");
    CHECK("$ ", "$ " MARK);
    CHECK("a\r\n\r\nb\rc\r\n", "a" MARK_CR "\n" MARK_CR "\nb\rc" MARK_CR "\n");
    CHECK("a\r\r\n", "a\r" MARK_CR "\n");
    CHECK("a\r", "a" MARK_CR);
}

static void test_marks_of_the_program(void **state) {
    CHECK("a" MARK "\n", "a" MARK MARK "\n");
    CHECK("a" MARK_CR "\n", "a" MARK_CR MARK "\n");
    CHECK(MARK "b\n", MARK "b\n");
    CHECK("a" MARK "\r\n", "a" MARK MARK_CR "\n");
}

static void test_bytes(void **state) {
    CHECK("a\0b\n", "a\xC0\x80"
                    "b\n");
    CHECK("\0\n\n", "\xC0\x80\n" MARK "\n");
    CHECK("\xC0\x80\n", "\xC0\x81\x80\n");
    CHECK("\xC0", "\xC0\x81");
}

static void check_long(size_t n, char last, const char *out, size_t n_out) {
    _cleanup_strbuf_ struct strbuf in = STRBUF_INIT, b = STRBUF_INIT;
    struct pod_encoder e = {0};

    for (size_t i = 0; i + 1 < n; i++)
        strbuf_addc(&in, 'a');
    strbuf_addc(&in, last);
    strbuf_adds(&in, "b\n");
    in.len -= last == 'a' ? 2 : 0; /* the line ends here */
    if (last == 'a')
        strbuf_addc(&in, '\n');
    feed(&e, in.data, 1000, &b);
    feed(&e, in.data + 1000, in.len - 1000, &b);
    assert_int_equal(b.len, n - 1 + n_out);
    assert_memory_equal(b.data + n - 1, out, n_out);
}

/* The journal cuts long lines into pieces: it loses the newline behind a full one, and spaces at the end of one. */
static void test_long_lines(void **state) {
    check_long(49152, 'a', "a" MARK "\n", 5);
    check_long(2 * 49152, 'a', "a" MARK "\n", 5);
    check_long(49153, 'a', "a\n", 2);
    check_long(49152, ' ', "\xC0\x82 b\n", 5);
    check_long(49151, ' ', " b" MARK "\n", 6);
    check_long(49148, ' ', " b\n", 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_stays),           cmocka_unit_test(test_what_would_be_stripped),
        cmocka_unit_test(test_marks_of_the_program), cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_long_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
