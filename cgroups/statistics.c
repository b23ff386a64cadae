/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "cgroups/files.h"
#include "podium/base/alloc.h"

/* Single numbers; "max" is left out. */
static const struct {
    const char *file, *section, *member;
} numbers[] = {
    {"memory.current", "memory", "current"},
    {"memory.peak", "memory", "peak"},
    {"memory.max", "memory", "max"},
    {"memory.swap.current", "memory", "swap"},
    {"memory.swap.max", "memory", "swapMax"},
    {"pids.current", "pids", "current"},
    {"pids.max", "pids", "max"},
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

/* "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6" */
static struct json *read_devices(char *text) {
    struct json *list = json_array();
    char *save = NULL;

    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        struct json *o = json_object();
        char *words = NULL;
        unsigned major = 0, minor = 0;

        if (sscanf(line, "%u:%u", &major, &minor) != 2) {
            json_unref(o);
            continue;
        }
        json_set(&o, "major", json_int(major));
        json_set(&o, "minor", json_int(minor));
        (void) strtok_r(line, " ", &words);
        for (char *word = strtok_r(NULL, " ", &words); word; word = strtok_r(NULL, " ", &words)) {
            char *equals = strchr(word, '=');

            if (!equals)
                continue;
            *equals = 0;
            json_set(&o, word, json_int(strtoll(equals + 1, NULL, 10)));
        }
        json_append(&list, o);
    }
    return list;
}

/* hugetlb.2MB.current and its neighbours, for each size of page that the kernel has */
static void add_huge_pages(const struct cgroup *cg, struct json **doc) {
    static const char *const members[] = {"current", "max"};
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    int fd = openat(cg->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *e;

    while (dir && (e = readdir(dir))) {
        char size[16];
        int end = 0;
        uint64_t failed;

        if (sscanf(e->d_name, "hugetlb.%15[0-9KMGB].current%n", size, &end) != 1 || !end || e->d_name[end])
            continue;
        for (size_t i = 0; i < ARRAY_LEN(members); i++) {
            _cleanup_free_ char *file = xasprintf("hugetlb.%s.%s", size, members[i]);

            if (cgroup_read(cg, file, &text, NULL) == 0 && text.len && text.data[0] != 'm')
                json_set_path(doc, json_int(strtoll(text.data, NULL, 10)), "hugetlb", size, members[i]);
        }
        _cleanup_free_ char *events = xasprintf("hugetlb.%s.events", size);
        if (cgroup_read(cg, events, &text, NULL) == 0 && cgroup_key_value(strbuf_str(&text), "max", &failed))
            json_set_path(doc, json_int((int64_t) failed), "hugetlb", size, "failed");
    }
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
    if (cgroup_read(cg, "io.stat", &text, NULL) == 0 && text.len)
        json_set_path(&doc, read_devices(text.data), "io", "stat");
    add_huge_pages(cg, &doc);
    for (size_t i = 0; i < ARRAY_LEN(pressures); i++) {
        _cleanup_free_ char *file = xasprintf("%s.pressure", pressures[i]);

        if (cgroup_read(cg, file, &text, NULL) == 0 && text.len)
            json_set_path(&doc, read_pressure(text.data), "pressure", pressures[i]);
    }
    *ret = steal(&doc);
    return 0;
}
