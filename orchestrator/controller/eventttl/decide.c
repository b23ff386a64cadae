/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/eventttl/decide.h"

#include "orchestrator/object/timestamp.h"
#include "podium/base/cleanup.h"

static void take_later(const struct json *text, uint64_t *last) {
    uint64_t usec;
    if (json_str(text) && timestamp_parse(json_str(text), &usec) == 0 && usec > *last)
        *last = usec;
}

uint64_t event_last_usec(const struct json *event, uint64_t now) {
    uint64_t last = 0;
    take_later(json_path(event, "metadata", "creationTimestamp"), &last);
    take_later(json_get(event, "firstTimestamp"), &last);
    take_later(json_get(event, "lastTimestamp"), &last);
    take_later(json_get(event, "eventTime"), &last);
    take_later(json_path(event, "series", "lastObservedTime"), &last);
    return last == 0 || last > now ? now : last;
}

struct json *event_digest(const struct json *event, uint64_t now) {
    static const char *const kept[] = {"namespace", "name", "uid", "resourceVersion"};
    struct json *digest = json_object(), *meta = json_object();
    for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
        struct json *v = json_path(event, "metadata", kept[i]);
        if (v)
            json_set(&meta, kept[i], json_ref(v));
    }
    json_set(&digest, "metadata", meta);
    json_set(&digest, "last", json_int((int64_t) event_last_usec(event, now)));
    return digest;
}

uint64_t event_digest_last(const struct json *digest) {
    return (uint64_t) json_int_or(json_get(digest, "last"), 0);
}
