/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/verbs/resources.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "podium/base/cleanup.h"

enum kind { SIZE, NUMBER, TEXT, IGNORED };

/* runc's and crun's names */
static const struct {
    const char *option, *section, *member;
    enum kind kind;
} fields[] = {
    {"memory", "memory", "limit", SIZE},
    {"memory-swap", "memory", "swap", SIZE},
    {"memory-reservation", "memory", "reservation", SIZE},
    {"kernel-memory", NULL, NULL, IGNORED},
    {"kernel-memory-tcp", NULL, NULL, IGNORED},
    {"cpu-period", "cpu", "period", NUMBER},
    {"cpu-quota", "cpu", "quota", NUMBER},
    {"cpu-burst", "cpu", "burst", NUMBER},
    {"cpu-share", "cpu", "shares", NUMBER},
    {"cpu-shares", "cpu", "shares", NUMBER},
    {"cpu-rt-period", "cpu", "realtimePeriod", NUMBER},
    {"cpu-rt-runtime", "cpu", "realtimeRuntime", NUMBER},
    {"cpu-idle", "cpu", "idle", NUMBER},
    {"cpuset-cpus", "cpu", "cpus", TEXT},
    {"cpuset-mems", "cpu", "mems", TEXT},
    {"pids-limit", "pids", "limit", NUMBER},
    {"blkio-weight", "blockIO", "weight", NUMBER},
};

const char *resources_option_name(unsigned n) {
    return n < ARRAY_LEN(fields) ? fields[n].option : NULL;
}

/* "100", "64k", "1.5" is refused; "2gb" is as good as "2g" */
static bool parse_size(const char *text, int64_t *ret) {
    static const char units[] = "bkmgt";
    const char *unit = NULL;
    char *end;

    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (end == text || errno)
        return false;
    if (*end) {
        unit = strchr(units, tolower((unsigned char) *end));
        if (!unit || (end[1] && (tolower((unsigned char) end[1]) != 'b' || end[2])))
            return false;
        for (const char *u = units; u < unit; u++)
            if (__builtin_mul_overflow(n, 1024, &n))
                return false;
    }
    *ret = n;
    return true;
}

static bool parse_number(const char *text, int64_t *ret) {
    char *end;

    errno = 0;
    *ret = strtoll(text, &end, 10);
    return end != text && !*end && !errno;
}

int resources_set_option(struct json **change, unsigned n, const char *value, bool *ret_ignored, struct error *err) {
    int64_t number = 0;

    *ret_ignored = fields[n].kind == IGNORED;
    if (fields[n].kind == TEXT) {
        json_set_path(change, json_string(value), fields[n].section, fields[n].member);
        return 0;
    }
    if (fields[n].kind == NUMBER ? !parse_number(value, &number) : !parse_size(value, &number))
        return error_set(err, -EINVAL, "--%s: \"%s\" is not a %s", fields[n].option, value,
                         fields[n].kind == NUMBER ? "number" : "size");
    if (!*ret_ignored)
        json_set_path(change, json_int(number), fields[n].section, fields[n].member);
    return 0;
}

static void merge_into(struct json **to, const struct json *change) {
    for (size_t i = 0; i < json_len(change); i++) {
        const char *key = json_key_at(change, i);
        const struct json *value = json_value_at(change, i);

        if (json_is_object(value) && json_is_object(json_get(*to, key)))
            merge_into(json_edit(to, key), value);
        else if (!json_is_null(value))
            json_set(to, key, json_ref(value));
    }
}

struct json *resources_merge(const struct json *resources, const struct json *change) {
    struct json *merged = json_is_object(resources) ? json_ref(resources) : json_object();

    merge_into(&merged, change);
    return merged;
}

/* Members of one file go together. */
static void take_along(struct json **ret, const struct json *merged, const char *section, const char *a,
                       const char *b) {
    const struct json *have = json_get(*ret, section);

    if (json_is_null(json_get(have, a)) && json_is_null(json_get(have, b)))
        return;
    const char *both[] = {a, b};
    for (size_t i = 0; i < ARRAY_LEN(both); i++) {
        const struct json *v = json_path(merged, section, both[i]);

        if (!json_is_null(v))
            json_set_path(ret, json_ref(v), section, both[i]);
    }
}

int resources_to_write(struct json **merged, const struct json *change, struct json **ret, struct error *err) {
    if (!json_is_object(change))
        return error_set(err, -EINVAL, "the resources must be a JSON object, as linux.resources of config.json");
    if (json_int_or(json_path(change, "memory", "limit"), 0) < 0 && json_is_null(json_path(change, "memory", "swap")) &&
        json_int_or(json_path(*merged, "memory", "swap"), 0) > 0)
        json_set_path(merged, json_int(-1), "memory", "swap");
    *ret = json_ref(change);
    take_along(ret, *merged, "memory", "limit", "swap");
    take_along(ret, *merged, "cpu", "quota", "period");
    take_along(ret, *merged, "cpu", "shares", "idle");
    return 0;
}
