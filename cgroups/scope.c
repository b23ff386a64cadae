/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Speaking to systemd about a scope, with libsystemd opened for the time of the call. */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/cgroups_scope.h"

#define DESTINATION      "org.freedesktop.systemd1"
#define OBJECT           "/org/freedesktop/systemd1"
#define MANAGER          "org.freedesktop.systemd1.Manager"
#define NO_SUCH_UNIT     "org.freedesktop.systemd1.NoSuchUnit"
#define UNIT_EXISTS      "org.freedesktop.systemd1.UnitExists"
#define PRIVATE_SOCKET   "unix:path=/run/systemd/private"
#define JOB_TIMEOUT_USEC (30 * USEC_PER_SEC)

#define FUNCTIONS(X)                                                                                                   \
    X(open_system)                                                                                                     \
    X(open_user)                                                                                                       \
    X(new)                                                                                                             \
    X(set_address)                                                                                                     \
    X(start)                                                                                                           \
    X(flush_close_unref)                                                                                               \
    X(call)                                                                                                            \
    X(match_signal)                                                                                                    \
    X(process)                                                                                                         \
    X(wait)                                                                                                            \
    X(error_free)                                                                                                      \
    X(message_new_method_call)                                                                                         \
    X(message_append)                                                                                                  \
    X(message_append_array)                                                                                            \
    X(message_open_container)                                                                                          \
    X(message_close_container)                                                                                         \
    X(message_read)                                                                                                    \
    X(message_unref)

struct systemd {
    void *library;
    sd_bus *bus;
    bool direct; /* PID 1's own socket, no bus daemon between */
    char job[128], result[64];
#define DECLARE(name) __typeof__(sd_bus_##name) *name;
    FUNCTIONS(DECLARE)
#undef DECLARE
};

static void systemd_close(struct systemd *s) {
    if (s->bus)
        (void) s->flush_close_unref(s->bus);
    if (s->library)
        (void) dlclose(s->library);
    *s = (struct systemd){0};
}

static int open_library(struct systemd *s, struct error *err) {
    bool whole = true;

    s->library = dlopen("libsystemd.so.0", RTLD_NOW | RTLD_LOCAL);
    if (!s->library)
        return error_set(err, -ENOTSUP, "the systemd cgroup manager needs libsystemd: %s", dlerror());
#define LOAD(name) whole = (s->name = (__typeof__(s->name)) dlsym(s->library, "sd_bus_" #name)) != NULL && whole;
    FUNCTIONS(LOAD)
#undef LOAD
    return whole ? 0 : error_set(err, -ENOTSUP, "this libsystemd is too old for the systemd cgroup manager");
}

static int connect_direct(struct systemd *s) {
    int r = s->new (&s->bus);

    if (r < 0 || (r = s->set_address(s->bus, PRIVATE_SOCKET)) < 0 || (r = s->start(s->bus)) < 0)
        return r;
    s->direct = true;
    return 0;
}

static int systemd_open(struct systemd *s, struct error *err) {
    int r = open_library(s, err);

    if (r < 0)
        return r;
    r = geteuid() == 0 ? s->open_system(&s->bus) : s->open_user(&s->bus);
    if (r < 0 && geteuid() == 0)
        r = connect_direct(s);
    if (r < 0)
        return error_set(err, -ENOTSUP,
                         "cannot reach systemd (%s): use --cgroup-manager=cgroupfs where it is not in charge",
                         strerror(-r));
    return 0;
}

/* JobRemoved: id, job, unit, result */
static int job_removed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
    struct systemd *s = userdata;
    const char *job, *unit, *result;
    uint32_t id;

    (void) ret_error;
    if (s->message_read(m, "uoss", &id, &job, &unit, &result) >= 0 && strcmp(job, s->job) == 0)
        (void) snprintf(s->result, sizeof(s->result), "%s", result);
    return 0;
}

static int watch_jobs(struct systemd *s, struct error *err) {
    int r =
        s->match_signal(s->bus, NULL, s->direct ? NULL : DESTINATION, OBJECT, MANAGER, "JobRemoved", job_removed, s);

    return r < 0 ? error_set_errno(err, r, "cannot watch systemd's jobs") : 0;
}

static int wait_for_job(struct systemd *s, const char *unit, struct error *err) {
    uint64_t end = now_monotonic_usec() + JOB_TIMEOUT_USEC;

    while (!s->result[0]) {
        uint64_t now = now_monotonic_usec();
        int r = s->process(s->bus, NULL);

        if (r == 0 && now < end)
            r = s->wait(s->bus, end - now);
        else if (r == 0)
            return error_set(err, -ETIMEDOUT, "systemd did not answer about %s in time", unit);
        if (r < 0)
            return error_set_errno(err, r, "lost the connection to systemd");
    }
    if (strcmp(s->result, "done") != 0)
        return error_set(err, -EIO, "systemd could not do its job for %s: %s", unit, s->result);
    return 0;
}

static int append_property(const struct systemd *s, sd_bus_message *m, const struct json *property) {
    const char *name = json_get_str(property, "name"), *type = json_get_str(property, "type");
    const struct json *value = json_get(property, "value");
    char letter = type[1] ? 0 : type[0];
    int r = s->message_open_container(m, 'r', "sv");

    if (r < 0 || (r = s->message_append(m, "s", name)) < 0 || (r = s->message_open_container(m, 'v', type)) < 0)
        return r;
    if (letter == 's') {
        r = s->message_append(m, type, json_str_or(value, ""));
    } else if (letter == 'b') {
        r = s->message_append(m, type, (int) json_bool_or(value, false));
    } else if (letter == 't' || letter == 'x') {
        r = s->message_append(m, type, json_int_or(value, 0));
    } else if (letter) {
        r = s->message_append(m, type, (int) json_int_or(value, 0));
    } else if (strcmp(type, "ay") == 0) {
        _cleanup_free_ unsigned char *bytes = xcalloc(json_len(value) + 1, 1);

        for (size_t i = 0; i < json_len(value); i++)
            bytes[i] = (unsigned char) json_int_or(json_at(value, i), 0);
        r = s->message_append_array(m, 'y', bytes, json_len(value));
    } else {
        r = s->message_open_container(m, 'a', "s");
        for (size_t i = 0; r >= 0 && i < json_len(value); i++)
            r = s->message_append(m, "s", json_str_or(json_at(value, i), ""));
        if (r >= 0)
            r = s->message_close_container(m);
    }
    if (r < 0 || (r = s->message_close_container(m)) < 0)
        return r;
    return s->message_close_container(m);
}

static int append_properties(const struct systemd *s, sd_bus_message *m, const struct json *properties) {
    int r = 0;

    for (size_t i = 0; r >= 0 && i < json_len(properties); i++)
        r = append_property(s, m, json_at(properties, i));
    return r;
}

/* Sends and unrefs the call; ret_job: the answer names a job that is to be waited for. */
static int send_call(struct systemd *s, sd_bus_message *take, const char *unit, bool has_job, struct error *err) {
    sd_bus_error bus_error = SD_BUS_ERROR_NULL;
    sd_bus_message *reply = NULL;
    const char *job = NULL;
    int r = s->call(s->bus, take, 0, &bus_error, &reply);

    (void) s->message_unref(take);
    if (r < 0 && bus_error.name && strcmp(bus_error.name, NO_SUCH_UNIT) == 0)
        r = error_set(err, -ENOENT, "systemd has no unit %s", unit);
    else if (r < 0 && bus_error.name && strcmp(bus_error.name, UNIT_EXISTS) == 0)
        r = error_set(err, -EEXIST, "systemd has a unit %s already", unit);
    else if (r < 0)
        r = error_set(err, r, "systemd refuses %s: %s", unit, bus_error.message ? bus_error.message : strerror(-r));
    else if (has_job && (r = s->message_read(reply, "o", &job)) >= 0)
        (void) snprintf(s->job, sizeof(s->job), "%s", job);
    s->error_free(&bus_error);
    if (reply)
        (void) s->message_unref(reply);
    return r < 0 ? r : 0;
}

static int new_call(struct systemd *s, const char *method, sd_bus_message **ret) {
    return s->message_new_method_call(s->bus, ret, DESTINATION, OBJECT, MANAGER, method);
}

static int cannot_build(struct systemd *s, sd_bus_message *m, int r, struct error *err) {
    if (m)
        (void) s->message_unref(m);
    return error_set_errno(err, r, "cannot make a call to systemd");
}

int cgroup_scope_start(const char *unit, const char *slice, const char *description, pid_t pid,
                       const struct json *properties, struct error *err) {
    _cleanup_(systemd_close) struct systemd s = {0};
    sd_bus_message *m = NULL;
    int r = systemd_open(&s, err);

    if (r < 0 || (r = watch_jobs(&s, err)) < 0)
        return r;
    if ((r = new_call(&s, "StartTransientUnit", &m)) < 0 || (r = s.message_append(m, "ss", unit, "fail")) < 0 ||
        (r = s.message_open_container(m, 'a', "(sv)")) < 0 ||
        (r = s.message_append(m, "(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)", "Description", "s", description, "Slice",
                              "s", slice, "Delegate", "b", 1, "DefaultDependencies", "b", 0, "PIDs", "au", 1,
                              (uint32_t) pid, "MemoryAccounting", "b", 1, "CPUAccounting", "b", 1, "IOAccounting", "b",
                              1, "TasksAccounting", "b", 1, "CollectMode", "s", "inactive-or-failed")) < 0 ||
        (r = append_properties(&s, m, properties)) < 0 || (r = s.message_close_container(m)) < 0 ||
        (r = s.message_append(m, "a(sa(sv))", 0)) < 0)
        return cannot_build(&s, m, r, err);
    r = send_call(&s, m, unit, true, err);
    return r < 0 ? r : wait_for_job(&s, unit, err);
}

int cgroup_scope_set(const char *unit, const struct json *properties, struct error *err) {
    _cleanup_(systemd_close) struct systemd s = {0};
    sd_bus_message *m = NULL;
    int r;

    if (json_len(properties) == 0)
        return 0;
    if ((r = systemd_open(&s, err)) < 0)
        return r;
    if ((r = new_call(&s, "SetUnitProperties", &m)) < 0 || (r = s.message_append(m, "sb", unit, 1)) < 0 ||
        (r = s.message_open_container(m, 'a', "(sv)")) < 0 || (r = append_properties(&s, m, properties)) < 0 ||
        (r = s.message_close_container(m)) < 0)
        return cannot_build(&s, m, r, err);
    return send_call(&s, m, unit, false, err);
}

int cgroup_scope_stop(const char *unit, struct error *err) {
    _cleanup_(systemd_close) struct systemd s = {0};
    sd_bus_message *m = NULL;
    int r = systemd_open(&s, err);

    if (r < 0 || (r = watch_jobs(&s, err)) < 0)
        return r;
    if ((r = new_call(&s, "StopUnit", &m)) < 0 || (r = s.message_append(m, "ss", unit, "replace")) < 0)
        return cannot_build(&s, m, r, err);
    r = send_call(&s, m, unit, true, err);
    if (r == -ENOENT) {
        error_clear(err);
        return 0;
    }
    return r < 0 ? r : wait_for_job(&s, unit, err);
}
