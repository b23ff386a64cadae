/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names and properties of a scope: text and numbers only. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cgroups/files.h"
#include "podium/base/alloc.h"
#include "podium/cgroups_scope.h"

#define UNIT_NAME_BYTES_MAX 255
#define CPUS_MAX            8192
#define USEC_PER_SEC        1000000
#define PERCENT_USEC        10000 /* systemd counts processor time in whole percents */
#define ANNOTATION_PREFIX   "org.systemd.property."

static bool is_unit_name(const char *name) {
    size_t n = strlen(name);

    for (const char *p = name; *p; p++)
        if (!isalnum((unsigned char) *p) && !strchr(":_.\\-@", *p))
            return false;
    return n > 0 && n <= UNIT_NAME_BYTES_MAX;
}

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);

    return n >= m && strcmp(text + n - m, end) == 0;
}

int cgroup_scope_names(const char *cgroups_path, const char *id, char **ret_slice, char **ret_unit, struct error *err) {
    _cleanup_free_ char *text = cgroups_path && *cgroups_path ? xstrdup(cgroups_path) : xasprintf(":baton:%s", id);
    char *prefix = strchr(text, ':'), *name = prefix ? strchr(prefix + 1, ':') : NULL;

    if (!name || strchr(name + 1, ':') || !name[1])
        return error_set(
            err, -EINVAL,
            "config: linux.cgroupsPath: expected \"slice:prefix:name\" for the systemd manager, got \"%s\"", text);
    *prefix++ = 0;
    *name++ = 0;
    _cleanup_free_ char *slice = xstrdup(*text ? text : "system.slice");
    _cleanup_free_ char *unit = *prefix ? xasprintf("%s-%s.scope", prefix, name) : xasprintf("%s.scope", name);
    if (ends_with(name, ".slice"))
        return error_set(err, -EINVAL, "config: linux.cgroupsPath: %s is a slice, which holds no processes", name);
    if (!ends_with(slice, ".slice") || !is_unit_name(slice) || !is_unit_name(unit))
        return error_set(err, -EINVAL,
                         "config: linux.cgroupsPath: \"%s\" and \"%s\" are no names of a slice and a scope", slice,
                         unit);
    *ret_slice = steal(&slice);
    *ret_unit = steal(&unit);
    return 0;
}

static void add(struct json **list, const char *name, const char *type, struct json *take_value) {
    struct json *o = json_object();

    json_set(&o, "name", json_string(name));
    json_set(&o, "type", json_string(type));
    json_set(&o, "value", take_value);
    json_append(list, o);
}

/* "0-2,5" as the bytes of a mask, the lowest first; NULL when it is none. */
static struct json *cpu_mask(const char *text) {
    _cleanup_free_ unsigned char *bits = xcalloc(CPUS_MAX / 8, 1);
    struct json *bytes = NULL;
    size_t used = 0;

    for (char *end; *text; text = end + (*end == ',')) {
        unsigned long first = strtoul(text, &end, 10), last = first;

        if (end == text)
            return NULL;
        if (*end == '-') {
            const char *at = end + 1;

            last = strtoul(at, &end, 10);
            if (end == at)
                return NULL;
        }
        if (last < first || last >= CPUS_MAX || (*end && *end != ','))
            return NULL;
        for (unsigned long n = first; n <= last; n++)
            bits[n / 8] |= (unsigned char) (1u << n % 8);
        used = used > last / 8 + 1 ? used : last / 8 + 1;
    }
    bytes = json_array();
    for (size_t i = 0; i < used; i++)
        json_append(&bytes, json_int(bits[i]));
    return bytes;
}

/* "50000 100000": microseconds of processor time in a period */
static void add_quota(struct json **list, const char *value) {
    const char *space = strchr(value, ' ');
    int64_t quota = strtoll(value, NULL, 10), period = space ? strtoll(space, NULL, 10) : 100000, each_second = -1;

    if (strncmp(value, "max", 3) != 0 && period > 0) {
        each_second = (int64_t) ((double) quota * USEC_PER_SEC / (double) period);
        each_second = (each_second + PERCENT_USEC - 1) / PERCENT_USEC * PERCENT_USEC;
    }
    add(list, "CPUQuotaPerSecUSec", "t", json_int(each_second));
    add(list, "CPUQuotaPeriodUSec", "t", json_int(period));
}

static int add_setting(void *userdata, const char *file, const char *value, struct error *err) {
    static const struct {
        const char *file, *property;
    } numbers[] = {
        {"memory.max", "MemoryMax"},
        {"memory.high", "MemoryHigh"},
        {"memory.low", "MemoryLow"},
        {"memory.min", "MemoryMin"},
        {"memory.swap.max", "MemorySwapMax"},
        {"cpu.weight", "CPUWeight"},
        {"pids.max", "TasksMax"},
        {"io.weight", "IOWeight"},
    };
    struct json **list = userdata;

    (void) err;
    if (strcmp(file, "cpu.max") == 0) {
        add_quota(list, value);
    } else if (strcmp(file, "cpuset.cpus") == 0 || strcmp(file, "cpuset.mems") == 0) {
        struct json *mask = cpu_mask(value);

        if (mask) /* else the kernel says what is wrong when it is written */
            add(list, file[7] == 'c' ? "AllowedCPUs" : "AllowedMemoryNodes", "ay", mask);
    }
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        if (strcmp(numbers[i].file, file) == 0 && (isdigit((unsigned char) *value) || strcmp(value, "max") == 0))
            add(list, numbers[i].property, "t", json_int(*value == 'm' ? -1 : strtoll(value, NULL, 10)));
    return 0;
}

/* 'text' or "text" at *at, which moves behind it; NULL when it is none. */
static struct json *quoted(const char **at) {
    char quote = **at;
    const char *end = quote == '\'' || quote == '"' ? strchr(*at + 1, quote) : NULL;

    if (!end || memchr(*at, '\\', (size_t) (end - *at)))
        return NULL;
    struct json *text = json_string_len(*at + 1, (size_t) (end - *at - 1));
    *at = end + 1;
    return text;
}

/* ['a', 'b'] */
static struct json *string_list(const char *at) {
    struct json *list = json_array(), *item;

    at += 1 + strspn(at + 1, " ");
    while ((item = quoted(&at))) {
        json_append(&list, item);
        at += strspn(at, " ");
        if (*at != ',')
            break;
        at += 1 + strspn(at + 1, " ");
    }
    if (strcmp(at, "]") == 0)
        return list;
    json_unref(list);
    return NULL;
}

/* GVariant's text, as far as unit properties are written in it: strings, lists of them, bools and numbers. */
static bool parse_value(const char *text, const char **ret_type, struct json **ret) {
    static const struct {
        const char *prefix, *type;
    } numbers[] = {{"uint64 ", "t"}, {"int64 ", "x"}, {"uint32 ", "u"}, {"int32 ", "i"}, {"", "i"}};
    const char *at = text;
    char *end;

    *ret_type = *text == '[' ? "as" : "s";
    *ret = *text == '[' ? string_list(text) : quoted(&at);
    if (*ret)
        return *text == '[' || !*at || (json_unref(*ret), false);
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) {
        *ret_type = "b";
        *ret = json_bool(*text == 't');
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        size_t n = strlen(numbers[i].prefix);

        if (strncmp(text, numbers[i].prefix, n) != 0)
            continue;
        long long number = strtoll(text + n, &end, 10);
        if (end == text + n || *end || (number < 0 && strchr("tu", *numbers[i].type)))
            return false;
        *ret_type = numbers[i].type;
        *ret = json_int(number);
        return true;
    }
    return false;
}

static int add_annotations(const struct json *annotations, struct json **list, struct error *err) {
    size_t prefix = strlen(ANNOTATION_PREFIX);

    for (size_t i = 0; i < json_len(annotations); i++) {
        const char *key = json_key_at(annotations, i), *text = json_str(json_value_at(annotations, i)), *type;
        struct json *value;

        if (strncmp(key, ANNOTATION_PREFIX, prefix) != 0)
            continue;
        if (!key[prefix] || !text || !parse_value(text, &type, &value))
            return error_set(err, -EINVAL, "config: annotations.%s: \"%s\" is no value of a unit property", key,
                             text ? text : "");
        add(list, key + prefix, type, value);
    }
    return 0;
}

int cgroup_scope_properties(const struct json *resources, const struct json *annotations, struct json **ret,
                            struct error *err) {
    _cleanup_json_ struct json *list = json_array();
    int r = cgroup_each_setting(resources, add_setting, &list, err);

    if (r < 0 || (r = add_annotations(annotations, &list, err)) < 0)
        return r;
    *ret = steal(&list);
    return 0;
}
