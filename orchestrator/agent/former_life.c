/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/former_life.h"

#include <stdbool.h>
#include <string.h>

#include "orchestrator/object/timestamp.h"

#define ID_SCHEME         "baton://"
#define UNKNOWN_EXIT_CODE 255

static struct json *bare_id(const struct json *o) {
    const char *id = json_get_str(o, "containerID");

    return json_string(strncmp(id, ID_SCHEME, strlen(ID_SCHEME)) == 0 ? id + strlen(ID_SCHEME) : id);
}

static struct json *time_of(const struct json *o, const char *member) {
    uint64_t usec = 0;

    return json_int(timestamp_parse(json_get_str(o, member), &usec) == 0 ? (int64_t) usec : 0);
}

static void put_termination(struct json **c, const struct json *terminated, int64_t run) {
    static const char *const copied[] = {"exitCode", "signal", "reason", "message"};

    for (size_t i = 0; i < sizeof(copied) / sizeof(copied[0]); i++)
        if (json_get(terminated, copied[i]))
            json_set(c, copied[i], json_ref(json_get(terminated, copied[i])));
    json_set(c, "containerID", bare_id(terminated));
    json_set(c, "startedAt", time_of(terminated, "startedAt"));
    json_set(c, "finishedAt", time_of(terminated, "finishedAt"));
    json_set(c, "run", json_int(run));
}

/* NULL when it never ran. */
static struct json *container(const struct json *status, bool init, uint64_t now) {
    const struct json *running = json_path(status, "state", "running"),
                      *terminated = json_path(status, "state", "terminated"),
                      *last = json_path(status, "lastState", "terminated");
    int64_t count = json_int_or(json_get(status, "restartCount"), 0);
    struct json *c = json_object();

    if (!running && !terminated && !last) {
        json_unref(c);
        return NULL;
    }
    json_set(&c, "name", json_string(json_get_str(status, "name")));
    json_set(&c, "init", json_bool(init));
    json_set(&c, "restartCount", json_int(count));
    json_set(&c, "state", json_string(running || terminated ? "terminated" : "waiting"));
    if (terminated) {
        put_termination(&c, terminated, count);
    } else if (running) {
        json_set(&c, "containerID", bare_id(status));
        json_set(&c, "run", json_int(count));
        json_set(&c, "exitCode", json_int(UNKNOWN_EXIT_CODE));
        json_set(&c, "reason", json_string("Unknown"));
        json_set(&c, "startedAt", time_of(running, "startedAt"));
        json_set(&c, "finishedAt", json_int((int64_t) now));
    }
    if (last) {
        struct json *before = json_object();
        put_termination(&before, last, running || terminated ? count - 1 : count);
        json_set(&c, "last", before);
    }
    return c;
}

struct json *former_life(const struct json *pod, uint64_t now) {
    static const char *const lists[] = {"initContainerStatuses", "containerStatuses"};
    struct json *all = json_array(), *doc = NULL;

    for (size_t i = 0; i < 2; i++) {
        const struct json *list = json_path(pod, "status", lists[i]);
        for (size_t k = 0; k < json_len(list); k++) {
            struct json *c = container(json_at(list, k), i == 0, now);
            if (c)
                json_append(&all, c);
        }
    }
    if (json_len(all) == 0) {
        json_unref(all);
        return NULL;
    }
    json_set(&doc, "uid", json_ref(json_path(pod, "metadata", "uid")));
    json_set(&doc, "containers", all);
    return doc;
}
