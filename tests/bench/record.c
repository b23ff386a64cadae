/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/bench/record.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "podium/base/json.h"

static void append(struct json *take) {
    const char *path = getenv("BENCH_JSON");
    FILE *f = path && *path ? fopen(path, "ae") : NULL;

    if (f) {
        _cleanup_free_ char *text = json_to_text(take);
        (void) fprintf(f, "%s\n", text);
        (void) fclose(f);
    }
    json_unref(take);
}

static struct json *figure(const char *group, const char *name, double value, const char *unit, const char *key) {
    struct json *o = json_object();

    json_set(&o, "group", json_string(group));
    json_set(&o, "name", json_string(name));
    json_set(&o, "unit", json_string(unit));
    json_set(&o, key, json_double(isfinite(value) ? value : 0));
    return o;
}

void record(const char *group, const char *name, double value, const char *unit, const char *goal) {
    struct json *o = figure(group, name, value, unit, "value");

    if (goal)
        json_set(&o, "goal", json_string(goal));
    append(o);
}

void record_peer(const char *group, const char *name, double value, const char *unit, const char *peer) {
    struct json *o = figure(group, name, value, unit, "peer_value");

    json_set(&o, "peer", json_string(peer));
    append(o);
}
