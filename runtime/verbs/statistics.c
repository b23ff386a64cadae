/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/verbs/statistics.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "podium/base/cleanup.h"
#include "podium/base/clock.h"

#define NSEC_PER_USEC 1000

static int64_t number(const struct json *o, const char *member) {
    return json_int_or(json_get(o, member), 0);
}

/* Copies the pressure of one resource, when the kernel measures it. */
static void add_pressure(struct json **to, const struct json *statistics, const char *resource) {
    const struct json *pressure = json_path(statistics, "pressure", resource);

    if (pressure)
        json_set(to, "psi", json_ref(pressure));
}

static struct json *cpu(const struct json *statistics) {
    const struct json *stat = json_path(statistics, "cpu", "stat");
    struct json *o = json_object();

    json_set_path(&o, json_int(number(stat, "usage_usec") * NSEC_PER_USEC), "usage", "total");
    json_set_path(&o, json_int(number(stat, "system_usec") * NSEC_PER_USEC), "usage", "kernel");
    json_set_path(&o, json_int(number(stat, "user_usec") * NSEC_PER_USEC), "usage", "user");
    json_set(&o, "throttling", json_object());
    if (json_get(stat, "nr_periods")) {
        json_set_path(&o, json_int(number(stat, "nr_periods")), "throttling", "periods");
        json_set_path(&o, json_int(number(stat, "nr_throttled")), "throttling", "throttledPeriods");
        json_set_path(&o, json_int(number(stat, "throttled_usec") * NSEC_PER_USEC), "throttling", "throttledTime");
    }
    add_pressure(&o, statistics, "cpu");
    return o;
}

static struct json *memory(const struct json *statistics) {
    const struct json *m = json_get(statistics, "memory"), *stat = json_get(m, "stat");
    int64_t limit = json_int_or(json_get(m, "max"), INT64_MAX), swap_limit = json_int_or(json_get(m, "swapMax"), -1);
    struct json *o = json_object();

    if (json_get(m, "current")) {
        json_set_path(&o, json_int(limit), "usage", "limit");
        json_set_path(&o, json_int(number(m, "current")), "usage", "usage");
        json_set_path(&o, json_int(number(m, "peak")), "usage", "max");
        json_set_path(&o, json_int(number(json_get(m, "events"), "max")), "usage", "failcnt");
        /* as readers know it from version 1: memory plus swap */
        if (swap_limit < 0 || __builtin_add_overflow(limit, swap_limit, &swap_limit))
            swap_limit = INT64_MAX;
        json_set_path(&o, json_int(swap_limit), "swap", "limit");
        json_set_path(&o, json_int(number(m, "current") + number(m, "swap")), "swap", "usage");
        json_set_path(&o, json_int(0), "swap", "failcnt");
    }
    if (stat) {
        json_set(&o, "cache", json_int(number(stat, "file")));
        json_set(&o, "raw", json_ref(stat));
    }
    add_pressure(&o, statistics, "memory");
    return o;
}

static struct json *block(const struct json *statistics) {
    static const struct {
        const char *counter, *list, *operation;
    } counters[] = {
        {"rbytes", "ioServiceBytesRecursive", "Read"},    {"wbytes", "ioServiceBytesRecursive", "Write"},
        {"dbytes", "ioServiceBytesRecursive", "Discard"}, {"rios", "ioServicedRecursive", "Read"},
        {"wios", "ioServicedRecursive", "Write"},         {"dios", "ioServicedRecursive", "Discard"},
    };
    const struct json *devices = json_path(statistics, "io", "stat");
    struct json *o = json_object();

    for (size_t d = 0; d < json_len(devices); d++)
        for (size_t c = 0; c < ARRAY_LEN(counters); c++) {
            const struct json *device = json_at(devices, d), *value = json_get(device, counters[c].counter);
            struct json *entry = json_object();

            if (!value) {
                json_unref(entry);
                continue;
            }
            json_set(&entry, "major", json_ref(json_get(device, "major")));
            json_set(&entry, "minor", json_ref(json_get(device, "minor")));
            json_set(&entry, "op", json_string(counters[c].operation));
            json_set(&entry, "value", json_ref(value));
            json_append(json_edit(&o, counters[c].list), entry);
        }
    add_pressure(&o, statistics, "io");
    return o;
}

static struct json *huge_pages(const struct json *statistics) {
    const struct json *sizes = json_get(statistics, "hugetlb");
    struct json *o = json_object();

    for (size_t i = 0; i < json_len(sizes); i++) {
        const struct json *of = json_value_at(sizes, i);
        struct json *entry = json_object();

        json_set(&entry, "usage", json_int(number(of, "current")));
        json_set(&entry, "failcnt", json_int(number(of, "failed")));
        json_set(&o, json_key_at(sizes, i), entry);
    }
    return o;
}

struct json *plain_event(const char *type, const char *id) {
    struct json *event = json_object();

    json_set(&event, "type", json_string(type));
    json_set(&event, "id", json_string(id));
    return event;
}

struct json *statistics_event(const char *id, const struct json *statistics) {
    struct json *event = plain_event("stats", id), *pids = json_object();
    const struct json *p = json_get(statistics, "pids");

    if (json_get(p, "current"))
        json_set(&pids, "current", json_ref(json_get(p, "current")));
    if (json_get(p, "max"))
        json_set(&pids, "limit", json_ref(json_get(p, "max")));
    json_set_path(&event, cpu(statistics), "data", "cpu");
    json_set_path(&event, memory(statistics), "data", "memory");
    json_set_path(&event, pids, "data", "pids");
    json_set_path(&event, block(statistics), "data", "blkio");
    json_set_path(&event, huge_pages(statistics), "data", "hugetlb");
    return event;
}

bool parse_interval(const char *text, uint64_t *ret_usec) {
    static const struct {
        const char *unit;
        uint64_t usec;
    } units[] = {
        {"us", 1}, {"ms", USEC_PER_MSEC}, {"s", USEC_PER_SEC}, {"m", 60 * USEC_PER_SEC}, {"h", 3600 * USEC_PER_SEC}};
    uint64_t sum = 0;

    do {
        char *end;

        if (!isdigit((unsigned char) *text))
            return false;
        double n = strtod(text, &end);
        size_t length = strspn(end, "umsh"), i = 0;
        while (i < ARRAY_LEN(units) && (strlen(units[i].unit) != length || strncmp(units[i].unit, end, length) != 0))
            i++;
        if (i == ARRAY_LEN(units) || n > 1e6)
            return false;
        sum += (uint64_t) (n * (double) units[i].usec);
        text = end + length;
    } while (*text);
    *ret_usec = sum;
    return sum > 0;
}
