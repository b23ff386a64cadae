/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "cgroups/files.h"
#include "podium/base/alloc.h"

/* Single numbers; "max" is left out. */
static const struct {
    const char *file, *section, *member;
} numbers[] = {
    {"memory.current", "memory", "current"},   {"memory.peak", "memory", "peak"},   {"memory.max", "memory", "max"},
    {"memory.swap.current", "memory", "swap"}, {"pids.current", "pids", "current"}, {"pids.max", "pids", "max"},
};

static const struct {
    const char *file, *section, *member;
} tables[] = {
    {"memory.stat", "memory", "stat"},
    {"memory.events", "memory", "events"},
    {"cpu.stat", "cpu", "stat"},
};

static const char *const pressures[] = {"cpu", "memory", "io"};

/* "key number" lines */
static struct json *read_table(char *text) {
    struct json *o = json_object();
    char *save = NULL;

    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *space = strchr(line, ' ');

        if (!space)
            continue;
        *space = 0;
        json_set(&o, line, json_int(strtoll(space + 1, NULL, 10)));
    }
    return o;
}

/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=0" */
static struct json *read_pressure(char *text) {
    struct json *o = json_object();
    char *save = NULL;

    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *words = NULL;
        const char *kind = strtok_r(line, " ", &words);
        struct json *values = json_object();

        for (char *word = strtok_r(NULL, " ", &words); word; word = strtok_r(NULL, " ", &words)) {
            char *equals = strchr(word, '=');

            if (!equals)
                continue;
            *equals = 0;
            json_set(&values, word,
                     strcmp(word, "total") == 0 ? json_int(strtoll(equals + 1, NULL, 10))
                                                : json_double(strtod(equals + 1, NULL)));
        }
        if (kind)
            json_set(&o, kind, values);
        else
            json_unref(values);
    }
    return o;
}

int cgroup_statistics(const struct cgroup *cg, struct json **ret, struct error *err) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    _cleanup_json_ struct json *doc = json_object();

    (void) err; /* what cannot be read is absent: a group that is going away has nothing to tell */
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        if (cgroup_read(cg, numbers[i].file, &text, NULL) == 0 && text.len && text.data[0] != 'm')
            json_set_path(&doc, json_int(strtoll(text.data, NULL, 10)), numbers[i].section, numbers[i].member);
    for (size_t i = 0; i < ARRAY_LEN(tables); i++)
        if (cgroup_read(cg, tables[i].file, &text, NULL) == 0 && text.len)
            json_set_path(&doc, read_table(text.data), tables[i].section, tables[i].member);
    for (size_t i = 0; i < ARRAY_LEN(pressures); i++) {
        _cleanup_free_ char *file = xasprintf("%s.pressure", pressures[i]);

        if (cgroup_read(cg, file, &text, NULL) == 0 && text.len)
            json_set_path(&doc, read_pressure(text.data), "pressure", pressures[i]);
    }
    *ret = steal(&doc);
    return 0;
}
