/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a container writes comes back from the journal as it was: through the supervisor's encoder, a stand-in for what
 * the journal does to a stream (systemd 252: cut at newlines, NULs and LineMax=, strip the end, drop what is empty),
 * and the agent's decoder. Random bytes of the kinds that matter, the same in every run.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "podium/runtime.h"
#include "runtime/pod/encode.h"
/* The other end belongs to a module that nothing here may link with; it is one small pure file. */
#include "orchestrator/agent/log_decode.c"

struct reader {
    struct log_decoder decoder;
    struct strbuf out;
};

/* One entry, as far as the journal keeps it. */
static void entry(struct reader *r, const char *p, size_t n, enum log_break end) {
    while (n > 0 && strchr(" \t\r\n", p[n - 1]))
        n--;
    if (n == 0)
        return;
    log_decode(&r->decoder, p, n, end, &r->out);
    if (end == LOG_BREAK_NEWLINE)
        strbuf_addc(&r->out, '\n');
    else if (end == LOG_BREAK_NUL)
        strbuf_addc(&r->out, 0);
}

static void journal(struct reader *r, const char *p, size_t n) {
    const char *end = p + n;

    while (p < end) {
        size_t left = (size_t) (end - p), max = left < POD_LOG_LINE_MAX ? left : POD_LOG_LINE_MAX;
        const char *newline = memchr(p, '\n', max), *nul = memchr(p, 0, max);
        const char *at = newline && (!nul || newline < nul) ? newline : nul;
        if (at) {
            entry(r, p, (size_t) (at - p), at == newline ? LOG_BREAK_NEWLINE : LOG_BREAK_NUL);
            p = at + 1;
        } else {
            entry(r, p, max, max == POD_LOG_LINE_MAX ? LOG_BREAK_PART : LOG_BREAK_END);
            p += max;
        }
    }
}

static uint64_t next(uint64_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    return *seed ^= *seed << 17;
}

static void round_trip(const char *p, size_t n, uint64_t *seed, size_t chunk_max) {
    _cleanup_strbuf_ struct strbuf encoded = STRBUF_INIT;
    struct pod_encoder e = {0};
    struct reader r = {.out = STRBUF_INIT};

    for (size_t at = 0; at < n;) {
        size_t k = 1 + next(seed) % chunk_max;
        k = k < n - at ? k : n - at;
        if (!pod_encode(&e, p + at, k, &encoded))
            strbuf_add(&encoded, p + at, k);
        at += k;
    }
    pod_encode_end(&e, &encoded);
    journal(&r, strbuf_str(&encoded), encoded.len);
    assert_int_equal(r.out.len, n);
    assert_memory_equal(strbuf_str(&r.out), p, n);
    strbuf_finish(&r.out);
}

static void test_random(void **state) {
    static const char *const pieces[] = {"a",    "bc",   " ",    "\t",   "\r",   "\n",         "\n",
                                         "\r\n", "\xE2", "\x81", "\xA0", "\xA1", POD_LOG_MARK, POD_LOG_MARK_CR,
                                         "\xC0", "\x80", "\x82", ""};
    uint64_t seed = 20240229;

    for (int i = 0; i < 20000; i++) {
        _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
        for (uint64_t n = next(&seed) % 24; n > 0; n--) {
            const char *piece = pieces[next(&seed) % ARRAY_LEN(pieces)];
            strbuf_add(&b, piece, *piece ? strlen(piece) : 1);
        }
        round_trip(strbuf_str(&b), b.len, &seed, 7);
    }
}

/* Around the places where the journal cuts. */
static void test_long(void **state) {
    static const char *const ends[] = {"",  " ",    "\r", "\t", POD_LOG_MARK, POD_LOG_MARK_CR,
                                       "x", "\xC0", "x ", " x", "\xE2",       "  \r"};
    uint64_t seed = 42;

    for (size_t k = 1; k <= 2; k++)
        for (size_t off = 0; off < 12; off++)
            for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
                _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
                for (size_t n = k * POD_LOG_LINE_MAX - off; n > 0; n--)
                    strbuf_addc(&b, n % 1000 == 0 ? ' ' : 'y');
                strbuf_adds(&b, ends[i]);
                strbuf_adds(&b, off % 2 ? "\nmore" : "\n\n");
                round_trip(b.data, b.len, &seed, 65536);
            }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random), cmocka_unit_test(test_long)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
