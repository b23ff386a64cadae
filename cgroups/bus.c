/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cgroups/bus.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"

#define DESTINATION    "org.freedesktop.systemd1"
#define OBJECT         "/org/freedesktop/systemd1"
#define MANAGER        "org.freedesktop.systemd1.Manager"
#define DAEMON         "org.freedesktop.DBus"
#define SYSTEM_SOCKET  "/run/dbus/system_bus_socket"
#define PRIVATE_SOCKET "/run/systemd/private"
#define WAIT_USEC      (30 * USEC_PER_SEC)

enum { CALL = 1, RETURN, ERROR, SIGNAL };
enum {
    FIELD_PATH = 1,
    FIELD_INTERFACE,
    FIELD_MEMBER,
    FIELD_ERROR,
    FIELD_REPLY_SERIAL,
    FIELD_DESTINATION,
    FIELD_SENDER,
    FIELD_SIGNATURE
};

static const char own_order = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 'l' : 'B';

/* --- writing --- */

static void align(struct strbuf *s, size_t n) {
    while (s->len % n)
        strbuf_addc(s, 0);
}

static void add_u32(struct strbuf *s, uint32_t v) {
    align(s, 4);
    strbuf_add(s, &v, sizeof(v));
}

static void add_string(struct strbuf *s, const char *text) {
    add_u32(s, (uint32_t) strlen(text));
    strbuf_add(s, text, strlen(text) + 1);
}

static void add_signature(struct strbuf *s, const char *text) {
    strbuf_addc(s, (char) strlen(text));
    strbuf_add(s, text, strlen(text) + 1);
}

void bus_put_u8(struct bus_body *b, uint8_t v) {
    strbuf_addc(&b->data, (char) v);
}

void bus_put_u32(struct bus_body *b, uint32_t v) {
    add_u32(&b->data, v);
}

void bus_put_u64(struct bus_body *b, uint64_t v) {
    align(&b->data, 8);
    strbuf_add(&b->data, &v, sizeof(v));
}

void bus_put_string(struct bus_body *b, const char *s) {
    add_string(&b->data, s);
}

void bus_put_variant(struct bus_body *b, const char *signature) {
    add_signature(&b->data, signature);
}

void bus_put_struct(struct bus_body *b) {
    align(&b->data, 8);
}

static size_t begin_array(struct strbuf *s, size_t alignment) {
    add_u32(s, 0);
    size_t begin = s->len;
    align(s, alignment);
    return begin;
}

/* The length is that of the elements, without the padding before the first. */
static void end_array(struct strbuf *s, size_t begin, size_t alignment) {
    size_t first = (begin + alignment - 1) / alignment * alignment;
    uint32_t n = (uint32_t) (s->len - first);

    memcpy(s->data + begin - sizeof(n), &n, sizeof(n));
}

size_t bus_begin_array(struct bus_body *b, size_t alignment) {
    return begin_array(&b->data, alignment);
}

void bus_end_array(struct bus_body *b, size_t begin, size_t alignment) {
    end_array(&b->data, begin, alignment);
}

static void add_field(struct strbuf *s, char code, const char *type, const char *value) {
    align(s, 8);
    strbuf_addc(s, code);
    add_signature(s, type);
    if (*type == 'g')
        add_signature(s, value);
    else
        add_string(s, value);
}

/* A bus that goes away must not end us by a signal. */
static int send_all(const struct bus *bus, const char *data, size_t n) {
    while (n > 0) {
        ssize_t k = send(bus->fd, data, n, MSG_NOSIGNAL);

        if (k < 0 && errno != EINTR)
            return -errno;
        data += k < 0 ? 0 : k;
        n -= k < 0 ? 0 : (size_t) k;
    }
    return 0;
}

struct call {
    const char *destination, *path, *interface, *method;
};

static int send_call(struct bus *bus, const struct call *c, const struct bus_body *body, struct error *err) {
    _cleanup_strbuf_ struct strbuf m = STRBUF_INIT;

    strbuf_addc(&m, own_order);
    strbuf_addc(&m, CALL);
    strbuf_addc(&m, 0);
    strbuf_addc(&m, 1); /* the protocol's version */
    add_u32(&m, (uint32_t) body->data.len);
    add_u32(&m, ++bus->serial);
    size_t fields = begin_array(&m, 8);
    add_field(&m, FIELD_PATH, "o", c->path);
    add_field(&m, FIELD_INTERFACE, "s", c->interface);
    add_field(&m, FIELD_MEMBER, "s", c->method);
    if (!bus->direct)
        add_field(&m, FIELD_DESTINATION, "s", c->destination);
    if (*body->signature)
        add_field(&m, FIELD_SIGNATURE, "g", body->signature);
    end_array(&m, fields, 8);
    align(&m, 8);
    strbuf_add(&m, strbuf_str(&body->data), body->data.len);
    int r = send_all(bus, m.data, m.len);
    return r < 0 ? error_set_errno(err, r, "cannot write to the bus") : 0;
}

/* --- reading --- */

struct reader {
    const char *data;
    size_t at, end;
    bool bad;
};

struct message {
    struct strbuf whole;
    uint8_t type;
    uint32_t reply_to;
    const char *member, *error, *signature;
    struct reader body;
};

static void message_finish(struct message *m) {
    strbuf_finish(&m->whole);
}

static const char *take(struct reader *r, size_t n, size_t alignment) {
    size_t at = (r->at + alignment - 1) / alignment * alignment;

    if (r->bad || at > r->end || n > r->end - at) {
        r->bad = true;
        return NULL;
    }
    r->at = at + n;
    return r->data + at;
}

static uint32_t take_u32(struct reader *r) {
    const char *p = take(r, 4, 4);
    uint32_t v = 0;

    if (p)
        memcpy(&v, p, sizeof(v));
    return v;
}

/* With its zero; "" when there is none. */
static const char *take_text(struct reader *r, size_t n) {
    const char *p = n < BUS_MESSAGE_MAX ? take(r, n + 1, 1) : NULL;

    if (p && strnlen(p, n + 1) == n)
        return p;
    r->bad = true;
    return "";
}

static const char *take_string(struct reader *r) {
    uint32_t n = take_u32(r);

    return take_text(r, n);
}

static const char *take_signature(struct reader *r) {
    const char *n = take(r, 1, 1);

    return take_text(r, n ? (unsigned char) *n : 0);
}

static int parse_fields(struct message *m, struct reader *r) {
    while (r->at < r->end && !r->bad) {
        const char *code = take(r, 1, 8), *type = take_signature(r), *text = "";
        uint32_t number = 0;

        if (*type == 's' || *type == 'o')
            text = take_string(r);
        else if (*type == 'g')
            text = take_signature(r);
        else if (*type == 'u')
            number = take_u32(r);
        else
            r->bad = true;
        if (r->bad || !code)
            return -EPROTO;
        if (*code == FIELD_MEMBER)
            m->member = text;
        else if (*code == FIELD_ERROR)
            m->error = text;
        else if (*code == FIELD_SIGNATURE)
            m->signature = text;
        else if (*code == FIELD_REPLY_SERIAL)
            m->reply_to = number;
    }
    return r->bad ? -EPROTO : 0;
}

static int read_exactly(struct bus *bus, uint64_t end, size_t n, struct strbuf *out) {
    while (n > 0) {
        uint64_t now = now_monotonic_usec();
        struct pollfd p = {.fd = bus->fd, .events = POLLIN};
        char buffer[4096];

        if (now >= end)
            return -ETIMEDOUT;
        int ready = poll(&p, 1, (int) ((end - now) / USEC_PER_MSEC) + 1);
        ssize_t k = ready > 0 ? read(bus->fd, buffer, n < sizeof(buffer) ? n : sizeof(buffer)) : 0;
        if ((ready < 0 || k < 0) && errno != EINTR)
            return -errno;
        if (ready > 0 && k == 0)
            return -ECONNRESET;
        if (k > 0) {
            strbuf_add(out, buffer, (size_t) k);
            n -= (size_t) k;
        }
    }
    return 0;
}

static int read_message(struct bus *bus, uint64_t end, struct message *m) {
    uint32_t body_n, fields_n;
    int r = read_exactly(bus, end, 16, &m->whole);

    if (r < 0)
        return r;
    memcpy(&body_n, m->whole.data + 4, sizeof(body_n));
    memcpy(&fields_n, m->whole.data + 12, sizeof(fields_n));
    if (m->whole.data[0] != own_order || m->whole.data[3] != 1)
        return -EPROTO;
    if (body_n > BUS_MESSAGE_MAX || fields_n > BUS_MESSAGE_MAX)
        return -EMSGSIZE;
    const size_t start = 16 + ((size_t) fields_n + 7) / 8 * 8;
    if ((r = read_exactly(bus, end, start - 16 + body_n, &m->whole)) < 0)
        return r;
    m->type = (uint8_t) m->whole.data[1];
    m->body = (struct reader){.data = m->whole.data + start, .end = body_n};
    struct reader fields = {.data = m->whole.data, .at = 16, .end = 16 + (size_t) fields_n};
    return parse_fields(m, &fields);
}

/* JobRemoved: id, job, unit, result */
static void keep_job(struct bus *bus, struct message *m) {
    if (m->type != SIGNAL || !m->member || strcmp(m->member, "JobRemoved") != 0 || !m->signature ||
        strcmp(m->signature, "uoss") != 0)
        return;
    (void) take_u32(&m->body);
    const char *job = take_string(&m->body);
    (void) take_string(&m->body);
    const char *result = take_string(&m->body);
    if (m->body.bad)
        return;
    strv_push_dup(&bus->jobs, job);
    strv_push_dup(&bus->jobs, result);
}

void bus_reply_finish(struct bus_reply *r) {
    free(r->error);
    free(r->text);
    *r = (struct bus_reply){NULL, NULL};
}

static int call(struct bus *bus, const struct call *c, const struct bus_body *body, struct bus_reply *ret,
                struct error *err) {
    const uint64_t end = now_monotonic_usec() + WAIT_USEC;
    int r = send_call(bus, c, body, err);

    *ret = (struct bus_reply){NULL, NULL};
    while (r == 0) {
        _cleanup_(message_finish) struct message m = {.whole = STRBUF_INIT};

        if ((r = read_message(bus, end, &m)) < 0)
            return error_set_errno(err, r, "no answer of systemd to %s", c->method);
        keep_job(bus, &m);
        if ((m.type != RETURN && m.type != ERROR) || m.reply_to != bus->serial)
            continue;
        if (m.signature && (*m.signature == 's' || *m.signature == 'o'))
            ret->text = xstrdup(take_string(&m.body));
        if (m.type != ERROR)
            return 0;
        ret->error = xstrdup(m.error ? m.error : "");
        return error_set(err, -EREMOTEIO, "%s", ret->text ? ret->text : ret->error);
    }
    return r;
}

int bus_call_systemd(struct bus *bus, const char *method, const struct bus_body *body, struct bus_reply *ret,
                     struct error *err) {
    const struct call c = {DESTINATION, OBJECT, MANAGER, method};

    return call(bus, &c, body, ret, err);
}

int bus_watch_jobs(struct bus *bus, struct error *err) {
    static const char rule[] =
        "type='signal',sender='" DESTINATION "',path='" OBJECT "',interface='" MANAGER "',member='JobRemoved'";
    const struct call c = {DAEMON, "/org/freedesktop/DBus", DAEMON, "AddMatch"};
    struct bus_body body = BUS_BODY_INIT("s");
    struct bus_reply reply;

    if (bus->direct)
        return 0;
    bus_put_string(&body, rule);
    int r = call(bus, &c, &body, &reply, err);
    bus_reply_finish(&reply);
    strbuf_finish(&body.data);
    return r < 0 ? error_prefix(err, r, "cannot watch systemd's jobs") : 0;
}

int bus_wait_job(struct bus *bus, const char *job, char **ret, struct error *err) {
    const uint64_t end = now_monotonic_usec() + WAIT_USEC;

    for (;;) {
        _cleanup_(message_finish) struct message m = {.whole = STRBUF_INIT};

        for (size_t i = 0; i + 1 < strv_len(bus->jobs); i += 2)
            if (strcmp(bus->jobs[i], job) == 0) {
                *ret = xstrdup(bus->jobs[i + 1]);
                return 0;
            }
        int r = read_message(bus, end, &m);
        if (r < 0)
            return error_set_errno(err, r, "systemd did not tell of the end of its job");
        keep_job(bus, &m);
    }
}

/* --- connecting --- */

/* "unix:path=/a/b,guid=…;…": the path of the first; NULL when it is of another kind. */
static char *path_of_address(const char *address) {
    static const char prefix[] = "unix:path=";
    size_t n = strlen(prefix);

    if (!address || strncmp(address, prefix, n) != 0 || strchr(address, '%'))
        return NULL;
    return xstrndup(address + n, strcspn(address + n, ",;"));
}

static char *bus_path(void) {
    const bool root = geteuid() == 0;
    const char *runtime = secure_getenv("XDG_RUNTIME_DIR");
    char *path = path_of_address(secure_getenv(root ? "DBUS_SYSTEM_BUS_ADDRESS" : "DBUS_SESSION_BUS_ADDRESS"));

    if (path)
        return path;
    if (root)
        return xstrdup(SYSTEM_SOCKET);
    return runtime ? path_join(runtime, "bus") : NULL;
}

/* The kernel tells the other side who we are: the number is only what we claim. */
static int authenticate(struct bus *bus, uint64_t end) {
    _cleanup_strbuf_ struct strbuf hello = STRBUF_INIT, line = STRBUF_INIT;
    char uid[16];
    int r;

    (void) snprintf(uid, sizeof(uid), "%u", (unsigned) geteuid());
    strbuf_addc(&hello, 0);
    strbuf_adds(&hello, "AUTH EXTERNAL ");
    for (const char *p = uid; *p; p++)
        strbuf_addf(&hello, "%02x", (unsigned char) *p);
    strbuf_adds(&hello, "\r\n");
    if ((r = send_all(bus, hello.data, hello.len)) < 0)
        return r;
    while (line.len < 2 || line.data[line.len - 1] != '\n') {
        if (line.len > 256)
            return -EPROTO;
        if ((r = read_exactly(bus, end, 1, &line)) < 0)
            return r;
    }
    if (strncmp(line.data, "OK ", 3) != 0)
        return -EACCES;
    return send_all(bus, "BEGIN\r\n", strlen("BEGIN\r\n"));
}

static int connect_to(struct bus *bus, const char *path, bool direct) {
    const struct call hello = {DAEMON, "/org/freedesktop/DBus", DAEMON, "Hello"};
    const struct bus_body nothing = BUS_BODY_INIT("");
    struct bus_reply reply = {NULL, NULL};
    int r;

    *bus = (struct bus){.fd = unix_connect(path, NULL), .direct = direct, .jobs = strv_new()};
    r = bus->fd < 0 ? bus->fd : authenticate(bus, now_monotonic_usec() + WAIT_USEC);
    if (r == 0 && !direct)
        r = call(bus, &hello, &nothing, &reply, NULL);
    bus_reply_finish(&reply);
    if (r < 0)
        bus_finish(bus);
    return r;
}

int bus_open(struct bus *ret, struct error *err) {
    _cleanup_free_ char *path = bus_path();
    int r = path ? connect_to(ret, path, false) : -ENOENT;

    if (r < 0 && geteuid() == 0)
        r = connect_to(ret, PRIVATE_SOCKET, true);
    if (r < 0)
        return error_set(err, -ENOTSUP,
                         "cannot reach systemd (%s): use --cgroup-manager=cgroupfs where it is not in charge",
                         strerror(-r));
    return 0;
}

void bus_finish(struct bus *bus) {
    closep(&bus->fd);
    strv_free(bus->jobs);
    *bus = (struct bus) BUS_INIT;
}
