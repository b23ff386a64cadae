/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Our side of the bus against one that answers as the specification says, and against ones that do not. The real
 * systemd answers in tests/system/baton.bats. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroups/bus.h"
#include "podium/base/alloc.h"
#include "podium/base/path.h"

struct fixture {
    char *dir, *path;
    int listener;
    pid_t server;
};

static int setup(void **state) {
    struct fixture *f = xnew0(struct fixture);
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    f->dir = xstrdup("/tmp/test-bus-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->path = path_join(f->dir, "socket");
    (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s", f->path);
    f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->listener, (struct sockaddr *) &address, sizeof(address)), 0);
    assert_int_equal(listen(f->listener, 1), 0);
    _cleanup_free_ char *value = xasprintf("unix:path=%s,guid=0;unix:path=/none", f->path);
    assert_int_equal(setenv(geteuid() == 0 ? "DBUS_SYSTEM_BUS_ADDRESS" : "DBUS_SESSION_BUS_ADDRESS", value, 1), 0);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;

    if (f->server > 0) {
        (void) kill(f->server, SIGKILL);
        (void) waitpid(f->server, NULL, 0);
    }
    (void) close(f->listener);
    assert_int_equal(rm_tree(f->dir, NULL), 0);
    free(f->dir);
    free(f->path);
    free(f);
    return 0;
}

/* --- the other side --- */

static void must_read(int fd, void *p, size_t n) {
    for (size_t at = 0; at < n;) {
        ssize_t k = read(fd, (char *) p + at, n - at);

        if (k <= 0)
            _exit(1);
        at += (size_t) k;
    }
}

static void must_write(int fd, const void *p, size_t n) {
    if (write(fd, p, n) != (ssize_t) n)
        _exit(1);
}

static int serve_login(int listener) {
    char line[256] = "", wanted[64] = "", uid[16];
    int fd = accept(listener, NULL, NULL), n = 0;

    (void) snprintf(uid, sizeof(uid), "%u", (unsigned) geteuid());
    for (char *p = uid; *p; p++)
        n += snprintf(wanted + n, sizeof(wanted) - (size_t) n, "%02x", (unsigned char) *p);
    must_read(fd, line, 1 + strlen("AUTH EXTERNAL ") + strlen(wanted) + 2);
    if (line[0] != 0 || strncmp(line + 1, "AUTH EXTERNAL ", 14) != 0 || strncmp(line + 15, wanted, strlen(wanted)) != 0)
        _exit(1);
    must_write(fd, "OK 0123\r\n", 9);
    must_read(fd, line, 7);
    return memcmp(line, "BEGIN\r\n", 7) == 0 ? fd : (_exit(1), -1);
}

/* Reads a call, whole; its serial. */
static uint32_t serve_call(int fd, const char *method) {
    char head[16], rest[4096];
    uint32_t body, serial, fields;

    must_read(fd, head, sizeof(head));
    memcpy(&body, head + 4, 4);
    memcpy(&serial, head + 8, 4);
    memcpy(&fields, head + 12, 4);
    size_t n = (fields + 7) / 8 * 8 + body;
    if (head[1] != 1 || n > sizeof(rest))
        _exit(1);
    must_read(fd, rest, n);
    return memmem(rest, n, method, strlen(method) + 1) ? serial : (_exit(1), 0);
}

/* A message of the type (2 return, 3 error, 4 signal) whose body is one to four strings, the first maybe a number. */
static void serve_message(int fd, char type, uint32_t reply_to, const char *name, const char *signature,
                          const struct bus_body *body) {
    struct bus_body m = BUS_BODY_INIT("");

    bus_put_u8(&m, __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 'l' : 'B');
    bus_put_u8(&m, (uint8_t) type);
    bus_put_u8(&m, 0);
    bus_put_u8(&m, 1);
    bus_put_u32(&m, (uint32_t) body->data.len);
    bus_put_u32(&m, 77);
    size_t list = bus_begin_array(&m, 8);
    bus_put_struct(&m);
    bus_put_u8(&m, 5);
    bus_put_variant(&m, "u");
    bus_put_u32(&m, reply_to);
    if (name) {
        bus_put_struct(&m);
        bus_put_u8(&m, type == 3 ? 4 : 3);
        bus_put_variant(&m, "s");
        bus_put_string(&m, name);
    }
    bus_put_struct(&m);
    bus_put_u8(&m, 8);
    bus_put_variant(&m, "g");
    bus_put_variant(&m, signature);
    bus_end_array(&m, list, 8);
    bus_put_struct(&m);
    must_write(fd, m.data.data, m.data.len);
    if (body->data.len > 0)
        must_write(fd, body->data.data, body->data.len);
    strbuf_finish(&m.data);
}

static void serve_text(int fd, char type, uint32_t reply_to, const char *name, const char *text) {
    struct bus_body body = BUS_BODY_INIT("s");

    bus_put_string(&body, text);
    serve_message(fd, type, reply_to, name, type == 2 ? "o" : "s", &body);
    strbuf_finish(&body.data);
}

static void serve_job_end(int fd, const char *job, const char *result) {
    struct bus_body body = BUS_BODY_INIT("uoss");

    bus_put_u32(&body, 5);
    bus_put_string(&body, job);
    bus_put_string(&body, "x.scope");
    bus_put_string(&body, result);
    serve_message(fd, 4, 0, "JobRemoved", "uoss", &body);
    strbuf_finish(&body.data);
}

static int begin_service(struct fixture *f) {
    f->server = fork();
    if (f->server != 0)
        return -1;
    int fd = serve_login(f->listener);
    serve_text(fd, 2, serve_call(fd, "Hello"), NULL, ":1.1");
    return fd;
}

/* --- tests --- */

static void test_a_job(void **state) {
    _cleanup_(bus_finish) struct bus bus = BUS_INIT;
    struct bus_body body = BUS_BODY_INIT("ss");
    _cleanup_free_ char *result = NULL;
    struct bus_reply reply;
    int fd = begin_service(*state);

    if (fd >= 0) {
        serve_text(fd, 2, serve_call(fd, "AddMatch"), NULL, "");
        uint32_t serial = serve_call(fd, "StopUnit");
        serve_job_end(fd, "/job/1", "failed"); /* somebody else's */
        serve_job_end(fd, "/job/2", "done");   /* ours, before the answer that names it */
        serve_text(fd, 2, serial, NULL, "/job/2");
        serve_text(fd, 3, serve_call(fd, "StopUnit"), "org.x.Refused", "not now");
        must_read(fd, &serial, 1); /* until they have read it */
        _exit(0);
    }
    assert_int_equal(bus_open(&bus, NULL), 0);
    assert_false(bus.direct);
    assert_int_equal(bus_watch_jobs(&bus, NULL), 0);
    bus_put_string(&body, "x.scope");
    bus_put_string(&body, "replace");
    assert_int_equal(bus_call_systemd(&bus, "StopUnit", &body, &reply, NULL), 0);
    assert_string_equal(reply.text, "/job/2");
    assert_null(reply.error);
    assert_int_equal(bus_wait_job(&bus, reply.text, &result, NULL), 0);
    assert_string_equal(result, "done");
    bus_reply_finish(&reply);
    assert_int_equal(bus_call_systemd(&bus, "StopUnit", &body, &reply, NULL), -EREMOTEIO);
    assert_string_equal(reply.error, "org.x.Refused");
    assert_string_equal(reply.text, "not now");
    bus_reply_finish(&reply);
    strbuf_finish(&body.data);
}

/* Answers that are none: an error each, and nothing is read beyond the message. */
static void test_nonsense(void **state) {
    static const struct {
        const char *bytes;
        size_t n;
        int error;
    } bad[] = {
        {"B\2\0\1\0\0\0\0\1\0\0\0\0\0\0\0", 16, -EPROTO},                                /* the other byte order */
        {"l\2\0\2\0\0\0\0\1\0\0\0\0\0\0\0", 16, -EPROTO},                                /* another version */
        {"l\2\0\1\0\0\0\x7f\1\0\0\0\0\0\0\0", 16, -EMSGSIZE},                            /* too long */
        {"l\2\0\1\0\0\0\0\1\0\0\0\xff\xff\xff\xff", 16, -EMSGSIZE},                      /* too many fields */
        {"l\2\0\1\0\0\0\0\1\0\0\0\x08\0\0\0\5\1s\0\xff\xff\xff\xff", 24, -EPROTO},       /* a string beyond the end */
        {"l\2\0\1\0\0\0\0\1\0\0\0\x08\0\0\0\5\1x\0\0\0\0\0", 24, -EPROTO},               /* a field of a strange type */
        {"l\2\0\1\0\0\0\0\1\0\0\0\x0a\0\0\0\3\1s\0\1\0\0\0ab\0\0\0\0\0\0", 32, -EPROTO}, /* not ended */
        {"l\2\0\1\0\0\0\0\1\0\0\0\x08\0\0\0\5\xffg\0\0\0\0\0", 24, -EPROTO}, /* a signature beyond the end */
        {"l\2\0\1\4\0\0\0\1\0", 10, -ECONNRESET},                            /* cut off */
    };

    if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
        skip();
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        _cleanup_(bus_finish) struct bus bus = BUS_INIT;
        struct bus_body body = BUS_BODY_INIT("");
        struct fixture *f = *state;
        struct bus_reply reply;
        int fd = begin_service(f), status;

        if (fd >= 0) {
            (void) serve_call(fd, "Anything");
            must_write(fd, bad[i].bytes, bad[i].n);
            _exit(0);
        }
        assert_int_equal(bus_open(&bus, NULL), 0);
        assert_int_equal(bus_call_systemd(&bus, "Anything", &body, &reply, NULL), bad[i].error);
        bus_reply_finish(&reply);
        assert_int_equal(waitpid(f->server, &status, 0), f->server);
        f->server = 0;
    }
}

static void test_nobody_there(void **state) {
    _cleanup_(bus_finish) struct bus bus = BUS_INIT;
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    (void) state;
    if (access("/run/systemd/private", F_OK) == 0)
        skip();
    assert_int_equal(
        setenv(geteuid() == 0 ? "DBUS_SYSTEM_BUS_ADDRESS" : "DBUS_SESSION_BUS_ADDRESS", "unix:path=/no/such/socket", 1),
        0);
    assert_int_equal(bus_open(&bus, &err), -ENOTSUP);
    assert_non_null(strstr(err.text, "cannot reach systemd"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_job, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nonsense, setup, teardown),
        cmocka_unit_test(test_nobody_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
