/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An OCI resources section as a list of file writes. The section still speaks version 1 (shares, memory+swap, quota);
 * the table below says which file of version 2 each member becomes and how its value is converted.
 */
#include <string.h>

#include "cgroups/files.h"
#include "podium/base/alloc.h"
#include "podium/base/strbuf.h"

#define SETTINGS_MAX   256
#define PERIOD_DEFAULT 100000 /* the kernel's, microseconds */

struct setting {
    char *file, *value;
};

struct settings {
    struct setting list[SETTINGS_MAX];
    size_t n;
};

static void settings_clear(struct settings *s) {
    for (size_t i = 0; i < s->n; i++) {
        free(s->list[i].file);
        free(s->list[i].value);
    }
    s->n = 0;
}

static int add(struct settings *s, const char *file, char *take_value, struct error *err) {
    if (s->n == SETTINGS_MAX) {
        free(take_value);
        return error_set(err, -E2BIG, "config: linux.resources: more than %d settings", SETTINGS_MAX);
    }
    s->list[s->n++] = (struct setting){xstrdup(file), take_value};
    return 0;
}

static char *limit_text(int64_t n) {
    return n < 0 ? xstrdup("max") : xasprintf("%lld", (long long) n);
}

static char *limit_or_none(int64_t n) {
    return limit_text(n <= 0 ? -1 : n);
}

/* 2 … 262144 onto 1 … 10000, linear, as the kubelet and the engines do. */
static char *shares_to_weight(int64_t shares) {
    if (shares < 2)
        shares = 2;
    if (shares > 262144)
        shares = 262144;
    return xasprintf("%lld", 1 + (long long) ((shares - 2) * 9999) / 262142);
}

/* 10 … 1000 onto 1 … 10000 */
static char *block_weight(int64_t weight) {
    if (weight < 10)
        weight = 10;
    if (weight > 1000)
        weight = 1000;
    return xasprintf("%lld", 1 + (long long) ((weight - 10) * 9999) / 990);
}

static char *plain(int64_t n) {
    return xasprintf("%lld", (long long) n);
}

static const struct {
    const char *section, *member, *file;
    char *(*convert)(int64_t n);
    bool zero_is_unset;
} numbers[] = {
    {"memory", "limit", "memory.max", limit_text, true},    {"memory", "reservation", "memory.low", limit_text, true},
    {"cpu", "burst", "cpu.max.burst", plain, false},        {"pids", "limit", "pids.max", limit_or_none, false},
    {"blockIO", "weight", "io.weight", block_weight, true},
};

static const struct {
    const char *section, *member;
} refused[] = {
    {"memory", "kernel"},           {"memory", "kernelTCP"},    {"memory", "swappiness"},
    {"memory", "disableOOMKiller"}, {"cpu", "realtimeRuntime"}, {"cpu", "realtimePeriod"},
    {"network", "classID"},         {"network", "priorities"},  {"blockIO", "leafWeight"},
};

static int check_refused(const struct json *resources, struct error *err) {
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        const struct json *v = json_path(resources, refused[i].section, refused[i].member);

        /* zero, negative, false and empty ask for nothing */
        if (json_int_or(v, 0) > 0 || json_bool_or(v, false) || json_len(v) > 0)
            return error_set(err, -EOPNOTSUPP,
                             "config: linux.resources.%s.%s is not supported: cgroup2 has no such setting",
                             refused[i].section, refused[i].member);
    }
    return 0;
}

static int add_numbers(const struct json *resources, struct settings *s, struct error *err) {
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        const struct json *v = json_path(resources, numbers[i].section, numbers[i].member);
        int64_t n = json_int_or(v, 0);

        if (json_is_null(v))
            continue;
        if (json_type(v) != JSON_INT && json_type(v) != JSON_DOUBLE)
            return error_set(err, -EINVAL, "config: linux.resources.%s.%s must be a number", numbers[i].section,
                             numbers[i].member);
        if (n == 0 && numbers[i].zero_is_unset)
            continue;
        int r = add(s, numbers[i].file, numbers[i].convert(n), err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* swap is memory plus swap */
static int add_swap(const struct json *resources, struct settings *s, struct error *err) {
    const struct json *memory = json_get(resources, "memory");
    int64_t limit = json_int_or(json_get(memory, "limit"), 0), swap = json_int_or(json_get(memory, "swap"), 0);

    if (swap == 0)
        return 0;
    if (swap > 0 && limit <= 0)
        return error_set(err, -EINVAL, "config: linux.resources.memory.swap needs memory.limit");
    if (swap > 0 && swap < limit)
        return error_set(err, -EINVAL,
                         "config: linux.resources.memory.swap is memory plus swap: not below memory.limit");
    return add(s, "memory.swap.max", swap < 0 ? xstrdup("max") : limit_text(swap - limit), err);
}

static int add_cpu(const struct json *resources, struct settings *s, struct error *err) {
    static const char *const sets[][2] = {{"cpus", "cpuset.cpus"}, {"mems", "cpuset.mems"}};
    static const char *const plain_numbers[] = {"shares", "idle", "quota", "period"};
    const struct json *cpu = json_get(resources, "cpu");
    int64_t quota = json_int_or(json_get(cpu, "quota"), 0), period = json_int_or(json_get(cpu, "period"), 0);
    int r = 0;

    for (size_t i = 0; i < ARRAY_LEN(plain_numbers); i++) {
        enum json_type type = json_type(json_get(cpu, plain_numbers[i]));

        if (type != JSON_NULL && type != JSON_INT && type != JSON_DOUBLE)
            return error_set(err, -EINVAL, "config: linux.resources.cpu.%s must be a number", plain_numbers[i]);
    }
    if (!json_is_null(json_get(cpu, "idle")))
        r = add(s, "cpu.idle", plain(json_int_or(json_get(cpu, "idle"), 0)), err);
    /* an idle group has no weight: the kernel refuses one */
    if (r == 0 && json_int_or(json_get(cpu, "shares"), 0) > 0 && json_int_or(json_get(cpu, "idle"), 0) <= 0)
        r = add(s, "cpu.weight", shares_to_weight(json_int_or(json_get(cpu, "shares"), 0)), err);
    if (r == 0 && (quota != 0 || period > 0)) {
        _cleanup_free_ char *text = limit_or_none(quota);

        r = add(s, "cpu.max", xasprintf("%s %lld", text, (long long) (period > 0 ? period : PERIOD_DEFAULT)), err);
    }
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(sets); i++)
        if (json_str_len(json_get(cpu, sets[i][0])) > 0)
            r = add(s, sets[i][1], xstrdup(json_str(json_get(cpu, sets[i][0]))), err);
    return r;
}

static int add_block_devices(const struct json *resources, struct settings *s, struct error *err) {
    static const struct {
        const char *member, *file, *key, *value;
    } kinds[] = {
        {"weightDevice", "io.weight", "", "weight"},
        {"throttleReadBpsDevice", "io.max", "rbps=", "rate"},
        {"throttleWriteBpsDevice", "io.max", "wbps=", "rate"},
        {"throttleReadIOPSDevice", "io.max", "riops=", "rate"},
        {"throttleWriteIOPSDevice", "io.max", "wiops=", "rate"},
    };
    int r = 0;

    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        const struct json *list = json_path(resources, "blockIO", kinds[k].member);

        for (size_t i = 0; r == 0 && i < json_len(list); i++) {
            const struct json *o = json_at(list, i);
            int64_t value = json_int_or(json_get(o, kinds[k].value), 0);
            _cleanup_free_ char *text = *kinds[k].key ? limit_or_none(value) : block_weight(value);

            r = add(s, kinds[k].file,
                    xasprintf("%lld:%lld %s%s", (long long) json_int_or(json_get(o, "major"), 0),
                              (long long) json_int_or(json_get(o, "minor"), 0), kinds[k].key, text),
                    err);
        }
    }
    return r;
}

static int add_others(const struct json *resources, struct settings *s, struct error *err) {
    const struct json *pages = json_get(resources, "hugepageLimits"), *rdma = json_get(resources, "rdma"),
                      *unified = json_get(resources, "unified");
    int r = 0;

    for (size_t i = 0; r == 0 && i < json_len(pages); i++) {
        const struct json *o = json_at(pages, i);
        _cleanup_free_ char *file = xasprintf("hugetlb.%s.max", json_str_or(json_get(o, "pageSize"), "?"));

        r = add(s, file, limit_text(json_int_or(json_get(o, "limit"), -1)), err);
    }
    for (size_t i = 0; r == 0 && i < json_len(rdma); i++) {
        const struct json *o = json_value_at(rdma, i);
        _cleanup_free_ char *handles = limit_text(json_int_or(json_get(o, "hcaHandles"), -1));
        _cleanup_free_ char *objects = limit_text(json_int_or(json_get(o, "hcaObjects"), -1));

        r = add(s, "rdma.max", xasprintf("%s hca_handle=%s hca_object=%s", json_key_at(rdma, i), handles, objects),
                err);
    }
    for (size_t i = 0; r == 0 && i < json_len(unified); i++) {
        const char *file = json_key_at(unified, i), *value = json_str(json_value_at(unified, i));

        if (!value || strchr(file, '/') || strncmp(file, "cgroup.", 7) == 0)
            return error_set(err, -EINVAL, "config: linux.resources.unified: %s is refused", file);
        r = add(s, file, xstrdup(value), err);
    }
    return r;
}

static int collect(const struct json *resources, struct settings *s, struct error *err) {
    int r;

    if ((r = check_refused(resources, err)) < 0 || (r = add_numbers(resources, s, err)) < 0 ||
        (r = add_swap(resources, s, err)) < 0 || (r = add_cpu(resources, s, err)) < 0 ||
        (r = add_block_devices(resources, s, err)) < 0)
        return r;
    return add_others(resources, s, err);
}

int cgroup_each_setting(const struct json *resources, cgroup_setting_fn fn, void *userdata, struct error *err) {
    _cleanup_(settings_clear) struct settings s = {.n = 0};
    int r = collect(resources, &s, err);

    for (size_t i = 0; r == 0 && i < s.n; i++)
        r = fn(userdata, s.list[i].file, s.list[i].value, err);
    return r;
}

unsigned cgroup_resources_controllers(const struct json *resources) {
    _cleanup_(settings_clear) struct settings s = {.n = 0};
    unsigned set = 0;

    if (collect(resources, &s, NULL) < 0)
        return 0; /* cgroup_apply() says what is wrong */
    for (size_t i = 0; i < s.n; i++)
        set |= cgroup_file_controller(s.list[i].file);
    return set;
}

/* Values that say what is so without the controller, or without the file, anyway. A kernel without swap has no file for
 * it; where the memory controller is missing, the limit that goes with it says so. */
static bool asks_nothing(const struct setting *s) {
    static const char *const zero_is_default[] = {"cpu.idle", "cpu.max.burst", "memory.swap.max"};

    if (strcmp(s->value, "max") == 0)
        return true;
    for (size_t i = 0; strcmp(s->value, "0") == 0 && i < ARRAY_LEN(zero_is_default); i++)
        if (strcmp(s->file, zero_is_default[i]) == 0)
            return true;
    return false;
}

/* The burst may not be above the quota: which of the two goes first depends on what was there before. */
static bool waits_for_quota(struct settings *s, size_t i, int r) {
    if (r != -EINVAL || strcmp(s->list[i].file, "cpu.max.burst") != 0)
        return false;
    for (size_t k = i + 1; k < s->n; k++)
        if (strcmp(s->list[k].file, "cpu.max") == 0) {
            struct setting burst = s->list[i];

            for (; i < k; i++)
                s->list[i] = s->list[i + 1];
            s->list[k] = burst;
            return true;
        }
    return false;
}

/* Where only BFQ weighs (io.weight is that of the kernel's cost model): its file, with the weight as it was given.
 * value: block_weight(), after a device if there is one. */
static int set_bfq_weight(const struct cgroup *cg, const char *value, struct error *err) {
    const char *space = strchr(value, ' '), *number = space ? space + 1 : value;
    const long weight = 10 + ((strtol(number, NULL, 10) - 1) * 990 + 9998) / 9999;
    _cleanup_free_ char *text = xasprintf("%.*s%ld", (int) (number - value), value, weight);

    return cgroup_set(cg, "io.bfq.weight", text, err);
}

int cgroup_apply(const struct cgroup *cg, const struct json *resources, char ***skipped, struct error *err) {
    _cleanup_(settings_clear) struct settings s = {.n = 0};
    int r = collect(resources, &s, err);

    for (size_t i = 0; r == 0 && i < s.n; i++) {
        _cleanup_(error_clear) struct error one = ERROR_INIT;

        r = cgroup_set(cg, s.list[i].file, s.list[i].value, &one);
        if (r == -ENODEV && strcmp(s.list[i].file, "io.weight") == 0 && set_bfq_weight(cg, s.list[i].value, NULL) == 0)
            r = 0;
        if (waits_for_quota(&s, i, r)) {
            i--; /* another setting is here now */
            r = 0;
            continue;
        }
        if (r == -ENODEV && asks_nothing(&s.list[i]))
            r = 0;
        if (r == -ENODEV && skipped) {
            strv_push_dup(skipped, error_text(&one, r));
            r = 0;
        }
        if (r < 0)
            return error_set(err, r, "%s", error_text(&one, r));
    }
    return r;
}
