/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/eviction/rank.h"

#include <stdlib.h>
#include <string.h>

#include "orchestrator/object/quantity.h"
#include "podium/base/alloc.h"
#include "podium/base/strbuf.h"

#define SYSTEM_CRITICAL_PRIORITY 2000000000 /* scheduling.SystemCriticalPriority */
#define MEMORY_PRESSURE_TAINT    "node.kubernetes.io/memory-pressure"

/* --- order --- */

static int64_t measure(enum eviction_signal signal, const struct eviction_use *u) {
    switch (signal) {
    case EVICTION_MEMORY:
        return u->memory;
    case EVICTION_NODEFS_INODES:
    case EVICTION_IMAGEFS_INODES:
        return u->inodes;
    case EVICTION_PIDS:
        return u->processes;
    case EVICTION_NODEFS:
    case EVICTION_IMAGEFS:
    case EVICTION_SIGNALS:
        break;
    }
    return u->disk;
}

/* Whether a goes before b. */
static bool before(enum eviction_signal signal, const struct eviction_candidate *a,
                   const struct eviction_candidate *b) {
    int64_t used_a = measure(signal, &a->used), used_b = measure(signal, &b->used);
    int64_t beyond_a = used_a - measure(signal, &a->requested), beyond_b = used_b - measure(signal, &b->requested);

    if (signal != EVICTION_PIDS && (beyond_a > 0) != (beyond_b > 0))
        return beyond_a > 0;
    if (a->priority != b->priority)
        return a->priority < b->priority;
    return signal == EVICTION_PIDS ? used_a > used_b : beyond_a > beyond_b;
}

/* There are some hundred at most, and equals keep their places. */
void eviction_rank(enum eviction_signal signal, struct eviction_candidate *c, size_t n) {
    for (size_t i = 1; i < n; i++) {
        struct eviction_candidate moved = c[i];
        size_t at = i;
        for (; at > 0 && before(signal, &moved, &c[at - 1]); at--)
            c[at] = c[at - 1];
        c[at] = moved;
    }
}

bool eviction_priority_is_critical(const struct json *spec) {
    return json_int_or(json_get(spec, "priority"), 0) >= SYSTEM_CRITICAL_PRIORITY;
}

bool eviction_tolerates_memory_pressure(const struct json *spec) {
    const struct json *list = json_get(spec, "tolerations");

    for (size_t i = 0; i < json_len(list); i++) {
        const struct json *t = json_at(list, i);
        const char *key = json_str_or(json_get(t, "key"), ""), *effect = json_str_or(json_get(t, "effect"), "");
        bool exists = strcmp(json_str_or(json_get(t, "operator"), "Equal"), "Exists") == 0;
        if (*effect && strcmp(effect, "NoSchedule") != 0)
            continue;
        if (*key ? strcmp(key, MEMORY_PRESSURE_TAINT) != 0 : !exists)
            continue;
        if (exists || !*json_str_or(json_get(t, "value"), ""))
            return true;
    }
    return false;
}

/* --- messages --- */

static const struct json *spec_of(const struct json *pod_spec, const char *container) {
    const struct json *list = json_get(pod_spec, "containers");

    for (size_t i = 0; i < json_len(list); i++)
        if (strcmp(json_str_or(json_get(json_at(list, i), "name"), ""), container) == 0)
            return json_at(list, i);
    return NULL;
}

/* As Quantity.String() writes it; absent: 0. */
static char *written(const struct json *quantity) {
    struct quantity q;

    return quantity_read(quantity, &q) ? quantity_text(&q) : xstrdup("0");
}

static void add_offender(struct strbuf *list, const char *text) {
    strbuf_addf(list, "%s%s", list->len ? "," : "", text);
}

char *eviction_message(enum eviction_signal signal, const struct eviction_amount *threshold,
                       const struct eviction_observation *seen, const struct json *pod_spec, const struct json *used,
                       struct json **ret_annotations) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT, names = STRBUF_INIT, amounts = STRBUF_INIT;
    const char *resource = eviction_signal_resource(signal);
    struct json *annotations = json_object();
    _cleanup_free_ char *limit = threshold->bytes >= 0
                                     ? xstrdup(threshold->quantity)
                                     : quantity_format_binary(eviction_amount_of(threshold, seen->capacity));
    _cleanup_free_ char *available = quantity_format_binary(seen->available);

    strbuf_addf(&text, "The node was low on resource: %s. Threshold quantity: %s, available: %s. ", resource, limit,
                available);
    for (size_t i = 0; i < json_len(used); i++) {
        const char *name = json_key_at(used, i);
        int64_t bytes = json_int_or(json_value_at(used, i), 0);
        const struct json *request = json_path(spec_of(pod_spec, name), "resources", "requests", resource);
        if (!spec_of(pod_spec, name) || bytes <= quantity_json(request, 0))
            continue;
        _cleanup_free_ char *usage = quantity_format_binary(bytes), *requested = written(request);
        strbuf_addf(&text, "Container %s was using %s, request is %s, has larger consumption of %s. ", name, usage,
                    requested, resource);
        add_offender(&names, name);
        add_offender(&amounts, usage);
    }
    json_set(&annotations, "offending_containers", json_string(strbuf_str(&names)));
    json_set(&annotations, "offending_containers_usage", json_string(strbuf_str(&amounts)));
    json_set(&annotations, "starved_resource", json_string(resource));
    *ret_annotations = annotations;
    return strbuf_steal(&text);
}

/* --- local ephemeral storage --- */

bool eviction_volume_is_local(const struct json *volume) {
    const struct json *source = json_get(volume, "emptyDir");

    return source && !*json_str_or(json_get(source, "medium"), "");
}

static const struct json *size_limit(const struct json *volume) {
    return eviction_volume_is_local(volume) ? json_path(volume, "emptyDir", "sizeLimit") : NULL;
}

static const struct json *storage_limit(const struct json *container) {
    return json_path(container, "resources", "limits", "ephemeral-storage");
}

bool eviction_disk_is_limited(const struct json *spec) {
    const struct json *volumes = json_get(spec, "volumes"), *containers = json_get(spec, "containers");

    for (size_t i = 0; i < json_len(volumes); i++)
        if (quantity_json(size_limit(json_at(volumes, i)), 0) > 0)
            return true;
    for (size_t i = 0; i < json_len(containers); i++)
        if (storage_limit(json_at(containers, i)))
            return true;
    return false;
}

static int64_t sum(const struct json *bytes) {
    int64_t n = 0;

    for (size_t i = 0; i < json_len(bytes); i++)
        n += json_int_or(json_value_at(bytes, i), 0);
    return n;
}

static char *volume_excess(const struct json *spec, const struct json *used) {
    const struct json *volumes = json_get(spec, "volumes");

    for (size_t i = 0; i < json_len(volumes); i++) {
        const char *name = json_str_or(json_get(json_at(volumes, i), "name"), "");
        const struct json *limit = size_limit(json_at(volumes, i));
        int64_t most = quantity_json(limit, 0);
        if (most <= 0 || json_int_or(json_get(used, name), 0) <= most)
            continue;
        _cleanup_free_ char *text = written(limit);
        return xasprintf("Usage of EmptyDir volume \"%s\" exceeds the limit \"%s\". ", name, text);
    }
    return NULL;
}

char *eviction_disk_excess(const struct json *spec, const struct json *volumes, const struct json *containers) {
    const struct json *list = json_get(spec, "containers");
    struct quantity all = quantity_of(0), one;
    bool any = false;

    char *message = volume_excess(spec, volumes);
    for (size_t i = 0; i < json_len(list); i++) {
        if (!quantity_read(storage_limit(json_at(list, i)), &one))
            continue;
        if (any)
            quantity_add(&all, &one);
        else
            all = one;
        any = true;
    }
    if (message || !any)
        return message;
    _cleanup_free_ char *text = quantity_text(&all);
    int64_t most = 0;
    if (quantity_parse(text, &most, NULL) == 0 && sum(volumes) + sum(containers) > most)
        return xasprintf("Pod ephemeral local storage usage exceeds the total limit of containers %s. ", text);
    for (size_t i = 0; i < json_len(list); i++) {
        const char *name = json_str_or(json_get(json_at(list, i), "name"), "");
        int64_t limit = quantity_json(storage_limit(json_at(list, i)), 0);
        if (limit <= 0 || json_int_or(json_get(containers, name), 0) <= limit)
            continue;
        _cleanup_free_ char *own = written(storage_limit(json_at(list, i)));
        return xasprintf("Container %s exceeded its local ephemeral storage limit \"%s\". ", name, own);
    }
    return NULL;
}
