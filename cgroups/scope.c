/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Speaking to systemd about a scope. */
#include <string.h>

#include "cgroups/bus.h"
#include "podium/base/alloc.h"
#include "podium/cgroups_scope.h"

#define NO_SUCH_UNIT "org.freedesktop.systemd1.NoSuchUnit"
#define UNIT_EXISTS  "org.freedesktop.systemd1.UnitExists"

static void put_value(struct bus_body *b, const char *type, const struct json *value) {
    const bool bytes = strcmp(type, "ay") == 0;

    if (*type == 's') {
        bus_put_string(b, json_str_or(value, ""));
    } else if (*type == 'b') {
        bus_put_u32(b, json_bool_or(value, false));
    } else if (*type == 't' || *type == 'x') {
        bus_put_u64(b, (uint64_t) json_int_or(value, 0));
    } else if (*type != 'a') {
        bus_put_u32(b, (uint32_t) json_int_or(value, 0));
    } else {
        size_t begin = bus_begin_array(b, bytes ? 1 : 4);

        for (size_t i = 0; i < json_len(value); i++)
            if (bytes)
                bus_put_u8(b, (uint8_t) json_int_or(json_at(value, i), 0));
            else
                bus_put_string(b, json_str_or(json_at(value, i), ""));
        bus_end_array(b, begin, bytes ? 1 : 4);
    }
}

/* (sv) without its value */
static void put_property(struct bus_body *b, const char *name, const char *type) {
    bus_put_struct(b);
    bus_put_string(b, name);
    bus_put_variant(b, type);
}

static void put_properties(struct bus_body *b, const struct json *properties) {
    for (size_t i = 0; i < json_len(properties); i++) {
        const struct json *p = json_at(properties, i);
        const char *type = json_get_str(p, "type");

        put_property(b, json_get_str(p, "name"), type);
        put_value(b, type, json_get(p, "value"));
    }
}

static void put_text(struct bus_body *b, const char *name, const char *value) {
    put_property(b, name, "s");
    bus_put_string(b, value);
}

static void put_switch(struct bus_body *b, const char *name, bool value) {
    put_property(b, name, "b");
    bus_put_u32(b, value);
}

/* *ret_job (may be NULL): the job that the answer names. */
static int ask(struct bus *bus, const char *method, const struct bus_body *body, const char *unit, char **ret_job,
               struct error *err) {
    struct bus_reply reply;
    int r = bus_call_systemd(bus, method, body, &reply, err);

    if (r == -EREMOTEIO && strcmp(reply.error, NO_SUCH_UNIT) == 0)
        r = error_set(err, -ENOENT, "systemd has no unit %s", unit);
    else if (r == -EREMOTEIO && strcmp(reply.error, UNIT_EXISTS) == 0)
        r = error_set(err, -EEXIST, "systemd has a unit %s already", unit);
    else if (r == -EREMOTEIO)
        r = error_prefix(err, r, "systemd refuses %s", unit);
    else if (r == 0 && ret_job && !reply.text)
        r = error_set(err, -EPROTO, "systemd's answer to %s names no job", method);
    if (r == 0 && ret_job)
        *ret_job = steal(&reply.text);
    bus_reply_finish(&reply);
    return r;
}

/* The same, and waits until it has been done. */
static int ask_for_job(struct bus *bus, const char *method, const struct bus_body *body, const char *unit,
                       struct error *err) {
    _cleanup_free_ char *job = NULL, *result = NULL;
    int r = bus_watch_jobs(bus, err);

    if (r < 0 || (r = ask(bus, method, body, unit, &job, err)) < 0 || (r = bus_wait_job(bus, job, &result, err)) < 0)
        return r;
    if (strcmp(result, "done") != 0)
        return error_set(err, -EIO, "systemd could not do its job for %s: %s", unit, result);
    return 0;
}

int cgroup_scope_start(const char *unit, const char *slice, const char *description, pid_t pid,
                       const struct json *properties, struct error *err) {
    static const char *const accounting[] = {"MemoryAccounting", "CPUAccounting", "IOAccounting", "TasksAccounting"};
    _cleanup_(bus_finish) struct bus bus = BUS_INIT;
    struct bus_body b = BUS_BODY_INIT("ssa(sv)a(sa(sv))");
    int r = bus_open(&bus, err);

    if (r < 0)
        return r;
    bus_put_string(&b, unit);
    bus_put_string(&b, "fail");
    size_t list = bus_begin_array(&b, 8);
    put_text(&b, "Description", description);
    put_text(&b, "Slice", slice);
    put_switch(&b, "Delegate", true);
    put_switch(&b, "DefaultDependencies", false);
    put_property(&b, "PIDs", "au");
    size_t pids = bus_begin_array(&b, 4);
    bus_put_u32(&b, (uint32_t) pid);
    bus_end_array(&b, pids, 4);
    for (size_t i = 0; i < ARRAY_LEN(accounting); i++)
        put_switch(&b, accounting[i], true);
    put_text(&b, "CollectMode", "inactive-or-failed");
    put_properties(&b, properties);
    bus_end_array(&b, list, 8);
    bus_end_array(&b, bus_begin_array(&b, 8), 8); /* no auxiliary units */
    r = ask_for_job(&bus, "StartTransientUnit", &b, unit, err);
    strbuf_finish(&b.data);
    return r;
}

int cgroup_scope_set(const char *unit, const struct json *properties, struct error *err) {
    _cleanup_(bus_finish) struct bus bus = BUS_INIT;
    struct bus_body b = BUS_BODY_INIT("sba(sv)");
    int r;

    if (json_len(properties) == 0)
        return 0;
    if ((r = bus_open(&bus, err)) < 0)
        return r;
    bus_put_string(&b, unit);
    bus_put_u32(&b, true); /* not for the next boot */
    size_t list = bus_begin_array(&b, 8);
    put_properties(&b, properties);
    bus_end_array(&b, list, 8);
    r = ask(&bus, "SetUnitProperties", &b, unit, NULL, err);
    strbuf_finish(&b.data);
    return r;
}

int cgroup_scope_stop(const char *unit, struct error *err) {
    _cleanup_(bus_finish) struct bus bus = BUS_INIT;
    struct bus_body b = BUS_BODY_INIT("ss");
    int r = bus_open(&bus, err);

    if (r < 0)
        return r;
    bus_put_string(&b, unit);
    bus_put_string(&b, "replace");
    r = ask_for_job(&bus, "StopUnit", &b, unit, err);
    strbuf_finish(&b.data);
    if (r == -ENOENT) {
        error_clear(err);
        return 0;
    }
    return r;
}
