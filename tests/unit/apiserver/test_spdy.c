/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SPDY/3.1 as Go's clients write it, and as the draft allows others to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

#include "orchestrator/apiserver/spdy/session.h"
#include "podium/base/alloc.h"

enum { SYN_STREAM = 1, SYN_REPLY = 2, RST_STREAM = 3, SETTINGS = 4, PING = 6, GOAWAY = 7, WINDOW_UPDATE = 9 };

struct context {
    struct spdy_session *session;
    struct spdy_packer *client; /* packs what the client sends, unpacks what it gets */
    struct strbuf out;          /* from the server */
    struct strbuf log;
    struct spdy_stream *last;
};

static void opened(void *userdata, struct spdy_stream *s, const struct spdy_headers *h) {
    struct context *x = userdata;
    strbuf_addf(&x->log, "open %u %s;", spdy_stream_id(s), spdy_header(h, "StreamType"));
    x->last = s;
    spdy_stream_accept(s);
}

static void data(void *userdata, struct spdy_stream *s, const void *p, size_t n) {
    struct context *x = userdata;
    strbuf_addf(&x->log, "data %u %.*s;", spdy_stream_id(s), n < 20 ? (int) n : 20, (const char *) p);
}

static void ended(void *userdata, struct spdy_stream *s) {
    struct context *x = userdata;
    strbuf_addf(&x->log, "end %u;", spdy_stream_id(s));
}

static void was_reset(void *userdata, struct spdy_stream *s) {
    struct context *x = userdata;
    strbuf_addf(&x->log, "reset %u;", spdy_stream_id(s));
    spdy_stream_free(s);
}

static void output(void *userdata, const void *p, size_t n) {
    struct context *x = userdata;
    strbuf_add(&x->out, p, n);
}

static const struct spdy_ops ops = {
    .opened = opened, .data = data, .ended = ended, .reset = was_reset, .output = output};

static int setup(void **state) {
    struct context *x = xnew0(struct context);
    x->session = spdy_session_new(&ops, x);
    x->client = spdy_packer_new();
    *state = x;
    return 0;
}

static int teardown(void **state) {
    struct context *x = *state;
    spdy_session_free(x->session);
    spdy_packer_free(x->client);
    strbuf_finish(&x->out);
    strbuf_finish(&x->log);
    free(x);
    return 0;
}

/* --- the client --- */

static void u32(struct strbuf *b, uint32_t v) {
    const uint8_t bytes[] = {(uint8_t) (v >> 24), (uint8_t) (v >> 16), (uint8_t) (v >> 8), (uint8_t) v};
    strbuf_add(b, bytes, 4);
}

static uint32_t r32(const char *p) {
    const uint8_t *b = (const uint8_t *) p;
    return (uint32_t) b[0] << 24 | (uint32_t) b[1] << 16 | (uint32_t) b[2] << 8 | b[3];
}

static int control(struct context *x, uint32_t type, uint32_t flags, const struct strbuf *payload) {
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    u32(&b, 0x80030000u | type);
    u32(&b, flags << 24 | (uint32_t) payload->len);
    strbuf_add(&b, payload->data, payload->len);
    return spdy_session_feed(x->session, b.data, b.len, NULL);
}

static int numbers(struct context *x, uint32_t type, uint32_t a, uint32_t b) {
    _cleanup_strbuf_ struct strbuf p = STRBUF_INIT;
    u32(&p, a);
    if (type != PING)
        u32(&p, b);
    return control(x, type, 0, &p);
}

static int syn(struct context *x, uint32_t id, const char *type, uint32_t flags) {
    char *pairs[] = {(char *) "port", (char *) "80", (char *) "streamtype", (char *) type, NULL};
    const struct spdy_headers h = {pairs};
    _cleanup_strbuf_ struct strbuf p = STRBUF_INIT;
    u32(&p, id);
    u32(&p, 0);
    strbuf_add(&p, "\0\0", 2);
    spdy_pack(x->client, &h, &p);
    return control(x, SYN_STREAM, flags, &p);
}

static int send_data(struct context *x, uint32_t id, const char *text, bool fin) {
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    u32(&b, id);
    u32(&b, (fin ? 1u << 24 : 0) | (uint32_t) strlen(text));
    strbuf_adds(&b, text);
    return spdy_session_feed(x->session, b.data, b.len, NULL);
}

/* What the server has put out, frame by frame: "reply 1;data 1 5 fin;…" */
static char *frames(struct context *x) {
    struct strbuf b = STRBUF_INIT;
    size_t at = 0;
    while (at + 8 <= x->out.len) {
        const char *p = x->out.data + at;
        uint32_t head = r32(p), len = r32(p + 4) & 0xffffff, fin = (uint32_t) p[4] & 1;
        assert_true(at + 8 + len <= x->out.len);
        if (!(head & 0x80000000u)) {
            strbuf_addf(&b, "data %u %u%s;", head, len, fin ? " fin" : "");
        } else if ((head & 0xffff) == SYN_REPLY) {
            struct spdy_headers h;
            assert_int_equal(spdy_unpack(x->client, p + 12, len - 4, &h, NULL), 0);
            spdy_headers_finish(&h);
            strbuf_addf(&b, "reply %u;", r32(p + 8));
        } else {
            strbuf_addf(&b, "control%u %u", head & 0xffff, r32(p + 8));
            strbuf_addf(&b, len >= 8 ? " %u;" : ";", len >= 8 ? r32(p + 12) : 0);
        }
        at += 8 + len;
    }
    assert_int_equal(at, x->out.len);
    strbuf_reset(&x->out);
    return strbuf_steal(&b);
}

static void assert_frames(struct context *x, const char *expected) {
    _cleanup_free_ char *got = frames(x);
    assert_string_equal(got, expected);
}

static void assert_log(struct context *x, const char *expected) {
    assert_string_equal(strbuf_str(&x->log), expected);
    strbuf_reset(&x->log);
}

/* --- tests --- */

static void test_dictionary(void **state) {
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    struct spdy_packer *p = spdy_packer_new();
    char *pairs[] = {NULL};
    spdy_pack(p, &(struct spdy_headers){pairs}, &b);
    spdy_packer_free(p);
    assert_true(b.len > 6 && (b.data[1] & 0x20)); /* zlib: made with a preset dictionary, which is named behind */
    assert_int_equal(r32(b.data + 2), 0xe3c6a7c2);
}

static void test_stream(void **state) {
    struct context *x = *state;
    assert_int_equal(syn(x, 1, "error", 0), 0);
    assert_int_equal(syn(x, 3, "data", 0), 0);
    assert_log(x, "open 1 error;open 3 data;");
    assert_frames(x, "reply 1;reply 3;");
    assert_int_equal(send_data(x, 3, "hello", false), 0);
    assert_int_equal(send_data(x, 3, "", true), 0);
    assert_log(x, "data 3 hello;end 3;");
    assert_int_equal(send_data(x, 3, "late", false), 0); /* after its end: dropped */
    assert_log(x, "");
    spdy_stream_send(x->last, "answer", 6);
    spdy_stream_end(x->last);
    spdy_stream_send(x->last, "late", 4);
    assert_frames(x, "data 3 6;data 3 0 fin;");
}

static void test_byte_by_byte(void **state) {
    struct context *x = *state;
    char *pairs[] = {(char *) "streamtype", (char *) "data", NULL};
    _cleanup_strbuf_ struct strbuf p = STRBUF_INIT, b = STRBUF_INIT;
    u32(&p, 5);
    u32(&p, 0);
    strbuf_add(&p, "\0\0", 2);
    spdy_pack(x->client, &(struct spdy_headers){pairs}, &p);
    u32(&b, 0x80030000u | SYN_STREAM);
    u32(&b, (uint32_t) p.len);
    strbuf_add(&b, p.data, p.len);
    u32(&b, 5);
    u32(&b, 1u << 24 | 2);
    strbuf_adds(&b, "ab");
    for (size_t i = 0; i < b.len; i++)
        assert_int_equal(spdy_session_feed(x->session, b.data + i, 1, NULL), 0);
    assert_log(x, "open 5 data;data 5 a;data 5 b;end 5;");
}

static void test_wrong_ids(void **state) {
    struct context *x = *state;
    assert_int_equal(syn(x, 3, "data", 0), 0);
    assert_int_equal(syn(x, 3, "data", 0), 0); /* in use */
    assert_int_equal(syn(x, 1, "data", 0), 0); /* not greater */
    assert_int_equal(syn(x, 4, "data", 0), 0); /* a server's */
    assert_int_equal(send_data(x, 99, "x", false), 0);
    assert_log(x, "open 3 data;");
    assert_frames(x, "reply 3;control3 3 8;control3 1 1;control3 4 1;control3 99 2;");
    assert_int_equal(syn(x, 5, "data", 0), 0); /* the packed stream was followed all the time */
    assert_log(x, "open 5 data;");
}

static void test_ping_reset(void **state) {
    struct context *x = *state;
    assert_int_equal(numbers(x, PING, 7, 0), 0);
    assert_int_equal(numbers(x, PING, 2, 0), 0);
    assert_frames(x, "control6 7;");
    assert_int_equal(syn(x, 1, "data", 0), 0);
    assert_int_equal(numbers(x, RST_STREAM, 1, 5), 0);
    assert_log(x, "open 1 data;reset 1;");
    assert_int_equal(send_data(x, 1, "x", false), 0);
    assert_log(x, "");
}

static void test_go_ignores_windows(void **state) {
    struct context *x = *state;
    _cleanup_free_ char *big = xcalloc(1, 300000);
    assert_int_equal(syn(x, 1, "data", 0), 0);
    spdy_stream_send(x->last, big, 300000); /* far beyond the initial window: spdystream never opens it */
    assert_int_equal(spdy_stream_unsent(x->last), 0);
}

static void test_windows_obeyed(void **state) {
    struct context *x = *state;
    _cleanup_free_ char *big = xcalloc(1, 300000);
    _cleanup_strbuf_ struct strbuf settings = STRBUF_INIT;
    u32(&settings, 1);
    u32(&settings, 7); /* initial window */
    u32(&settings, 1000);
    assert_int_equal(control(x, SETTINGS, 0, &settings), 0);
    assert_int_equal(syn(x, 1, "data", 0), 0);
    struct spdy_stream *first = x->last;
    spdy_stream_send(first, big, 3000);
    spdy_stream_end(first);
    assert_frames(x, "reply 1;data 1 1000;");
    assert_int_equal(spdy_stream_unsent(first), 2000);
    assert_int_equal(numbers(x, WINDOW_UPDATE, 1, 1500), 0);
    assert_frames(x, "data 1 1500;");
    assert_int_equal(numbers(x, WINDOW_UPDATE, 1, 5000), 0);
    assert_frames(x, "data 1 500 fin;");
    assert_int_equal(syn(x, 3, "data", 0), 0);
    assert_int_equal(numbers(x, WINDOW_UPDATE, 3, 200000), 0);
    spdy_stream_send(x->last, big, 200000); /* stopped by the connection's 64 KiB, 3000 of which are used */
    assert_int_equal(spdy_stream_unsent(x->last), 200000 - (65536 - 3000));
    assert_int_equal(numbers(x, WINDOW_UPDATE, 0, 300000), 0);
    assert_int_equal(spdy_stream_unsent(x->last), 0);
}

static void test_gives_back(void **state) {
    struct context *x = *state;
    assert_int_equal(syn(x, 1, "data", 0), 0);
    assert_frames(x, "reply 1;");
    spdy_stream_consumed(x->last, 30000);
    assert_frames(x, "");
    spdy_stream_consumed(x->last, 10000);
    assert_frames(x, "control9 0 40000;control9 1 40000;");
}

static void test_freed_stream_still_sends(void **state) {
    struct context *x = *state;
    _cleanup_strbuf_ struct strbuf settings = STRBUF_INIT;
    u32(&settings, 1);
    u32(&settings, 7);
    u32(&settings, 4);
    assert_int_equal(control(x, SETTINGS, 0, &settings), 0);
    assert_int_equal(syn(x, 1, "data", 0), 0);
    spdy_stream_send(x->last, "12345678", 8);
    spdy_stream_end(x->last);
    spdy_stream_free(x->last);
    assert_int_equal(send_data(x, 1, "x", true), 0);
    assert_log(x, "open 1 data;");
    assert_int_equal(numbers(x, WINDOW_UPDATE, 1, 4), 0);
    assert_frames(x, "reply 1;data 1 4;data 1 4 fin;");
}

static void test_damage(void **state) {
    static const char not_version_3[] = "\x80\x02\0\x06\0\0\0\x04\0\0\0\x01";
    static const char too_long[] = "\x80\x03\0\x01\0\x7f\xff\xff";
    static const char no_zlib[] = "\x80\x03\0\x01\0\0\0\x10\0\0\0\x01\0\0\0\0\0\0garbag";
    static const struct {
        const char *p;
        size_t n;
    } cases[] = {
        {not_version_3, sizeof(not_version_3) - 1}, {too_long, sizeof(too_long) - 1}, {no_zlib, sizeof(no_zlib) - 1}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        void *other;
        (void) setup(&other);
        struct context *x = other;
        assert_true(spdy_session_feed(x->session, cases[i].p, cases[i].n, NULL) < 0);
        assert_frames(x, "control7 0 1;");
        assert_true(spdy_session_feed(x->session, "x", 1, NULL) < 0);
        (void) teardown(&other);
    }
}

static void test_many(void **state) {
    struct context *x = *state;
    for (uint32_t i = 0; i < SPDY_STREAMS_MAX; i++)
        assert_int_equal(syn(x, 2 * i + 1, "data", 0), 0);
    strbuf_reset(&x->log);
    _cleanup_free_ char *replies = frames(x);
    assert_int_equal(syn(x, 2 * SPDY_STREAMS_MAX + 1, "data", 0), 0);
    assert_log(x, "");
    assert_frames(x, "control3 2049 3;");
    spdy_stream_reset(x->last, SPDY_CANCEL);
    spdy_stream_free(x->last);
    assert_int_equal(syn(x, 2 * SPDY_STREAMS_MAX + 3, "data", 0), 0);
    assert_log(x, "open 2051 data;");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dictionary),
        cmocka_unit_test_setup_teardown(test_stream, setup, teardown),
        cmocka_unit_test_setup_teardown(test_byte_by_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_ids, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ping_reset, setup, teardown),
        cmocka_unit_test_setup_teardown(test_go_ignores_windows, setup, teardown),
        cmocka_unit_test_setup_teardown(test_windows_obeyed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gives_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_freed_stream_still_sends, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damage, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
