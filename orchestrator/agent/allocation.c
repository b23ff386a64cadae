/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/allocation.h"

#include <string.h>

#include "podium/base/cleanup.h"

static const struct json *containers_of(const struct json *pod) {
    return json_path(pod, "spec", "containers");
}

static struct json *entry(const struct json *resources, int64_t number, int64_t restart) {
    struct json *o = json_object();

    json_set(&o, "resources", resources ? json_ref(resources) : json_object());
    json_set(&o, "number", json_int(number));
    json_set(&o, "restart", json_int(restart));
    return o;
}

struct json *allocation_new(const struct json *pod) {
    struct json *allocation = json_object();

    for (size_t i = 0; i < json_len(containers_of(pod)); i++) {
        const struct json *c = json_at(containers_of(pod), i);
        json_set(&allocation, json_get_str(c, "name"), entry(json_get(c, "resources"), 0, 0));
    }
    return allocation;
}

/* Absent is empty: both ask for nothing. */
static bool same_resources(const struct json *a, const struct json *b) {
    return (json_len(a) == 0 && json_len(b) == 0) || json_equal(a, b);
}

static bool container_differs(const struct json *allocation, const struct json *container) {
    const struct json *granted = json_get(allocation, json_get_str(container, "name"));

    return granted && !same_resources(json_get(granted, "resources"), json_get(container, "resources"));
}

bool allocation_differs(const struct json *allocation, const struct json *pod) {
    for (size_t i = 0; i < json_len(containers_of(pod)); i++)
        if (container_differs(allocation, json_at(containers_of(pod), i)))
            return true;
    return false;
}

struct json *allocation_apply(const struct json *allocation, const struct json *pod) {
    struct json *doc = json_ref(pod);

    for (size_t i = 0; i < json_len(containers_of(pod)); i++) {
        const struct json *c = json_at(containers_of(pod), i);
        if (!container_differs(allocation, c))
            continue;
        struct json **slot = json_edit_at(json_edit(json_edit(&doc, "spec"), "containers"), i);
        json_set(slot, "resources", json_ref(json_path(allocation, json_get_str(c, "name"), "resources")));
    }
    return doc;
}

static bool wants_restart(const struct json *container, const char *resource) {
    const struct json *policies = json_get(container, "resizePolicy");

    for (size_t i = 0; i < json_len(policies); i++)
        if (json_get_is(json_at(policies, i), "resourceName", resource))
            return json_get_is(json_at(policies, i), "restartPolicy", "RestartContainer");
    return false;
}

static bool changes(const struct json *before, const struct json *now, const char *list, const char *resource) {
    return !json_equal(json_path(before, list, resource), json_path(now, list, resource));
}

/* A memory request is nothing a container notices. */
static bool needs_restart(const struct json *container, const struct json *before) {
    const struct json *now = json_get(container, "resources");

    return (wants_restart(container, "memory") && changes(before, now, "limits", "memory")) ||
           (wants_restart(container, "cpu") &&
            (changes(before, now, "limits", "cpu") || changes(before, now, "requests", "cpu")));
}

struct json *allocation_grant(const struct json *allocation, const struct json *pod) {
    struct json *granted = json_ref(allocation);

    for (size_t i = 0; i < json_len(containers_of(pod)); i++) {
        const struct json *c = json_at(containers_of(pod), i), *was = json_get(allocation, json_get_str(c, "name"));
        if (!container_differs(allocation, c))
            continue;
        int64_t number = json_int_or(json_get(was, "number"), 0) + 1;
        int64_t restart =
            needs_restart(c, json_get(was, "resources")) ? number : json_int_or(json_get(was, "restart"), 0);
        json_set(&granted, json_get_str(c, "name"), entry(json_get(c, "resources"), number, restart));
    }
    return granted;
}

enum resize_verdict resize_judge(const struct resize_room *room, int64_t cpu_milli, int64_t memory) {
    if (cpu_milli > room->cpu_milli || memory > room->memory)
        return RESIZE_INFEASIBLE;
    if (cpu_milli > room->cpu_milli - room->cpu_milli_used || memory > room->memory - room->memory_used)
        return RESIZE_DEFERRED;
    return RESIZE_FITS;
}

enum resize_step resize_next(const struct json *granted, const struct json *state) {
    int64_t number = json_int_or(json_get(granted, "number"), 0), has = json_int_or(json_get(state, "allocation"), 0);

    if (!json_get_is(state, "state", "running") || has >= number) /* what does not run takes it when it starts */
        return RESIZE_DONE;
    return has < json_int_or(json_get(granted, "restart"), 0) ? RESIZE_RESTART : RESIZE_APPLY;
}
