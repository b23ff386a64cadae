/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>
#include <time.h>

#include "orchestrator/cli/describe/describe.h"
#include "orchestrator/cli/print.h"
#include "orchestrator/object/timestamp.h"
#include "podium/base/clock.h"

#define LAST_APPLIED "kubectl.kubernetes.io/last-applied-configuration"

const char *describe_age(const char *since, uint64_t now_usec, char *buf) {
    uint64_t then;
    if (!since || timestamp_parse(since, &then) < 0)
        return "<unknown>";
    duration_human((int64_t) ((now_usec > then ? now_usec - then : 0) / USEC_PER_SEC), buf);
    return buf;
}

const char *describe_time(const char *rfc3339, char buf[40]) {
    uint64_t usec;
    struct tm tm;
    *buf = 0;
    if (!rfc3339 || timestamp_parse(rfc3339, &usec) < 0)
        return buf;
    time_t t = (time_t) (usec / USEC_PER_SEC);
    if (localtime_r(&t, &tm))
        (void) strftime(buf, 40, "%a, %d %b %Y %H:%M:%S %z", &tm);
    return buf;
}

void describe_map(const char *title, const struct json *map, const char *sign, struct strbuf *out) {
    _cleanup_json_ struct json *sorted = json_sorted(map);
    size_t shown = 0;
    strbuf_addf(out, "%s:", title);
    for (size_t i = 0; i < json_len(sorted); i++) {
        if (strcmp(json_key_at(sorted, i), LAST_APPLIED) == 0)
            continue;
        strbuf_addf(out, "\t%s%s%s\n", json_key_at(sorted, i), sign, json_str_or(json_value_at(sorted, i), ""));
        shown++;
    }
    if (!shown)
        strbuf_adds(out, "\t<none>\n");
}

void describe_metadata(const struct json *object, bool with_namespace, struct strbuf *out) {
    const struct json *m = json_get(object, "metadata");
    strbuf_addf(out, "Name:\t%s\n", json_str_or(json_get(m, "name"), ""));
    if (with_namespace)
        strbuf_addf(out, "Namespace:\t%s\n", json_str_or(json_get(m, "namespace"), ""));
    describe_map("Labels", json_get(m, "labels"), "=", out);
    describe_map("Annotations", json_get(m, "annotations"), ": ", out);
}

/* "2m (x5 over 10m)" */
static void event_age(const struct json *e, uint64_t now_usec, struct strbuf *out) {
    char last[TIMESTAMP_SIZE], first[TIMESTAMP_SIZE];
    const char *at = json_str(json_get(e, "lastTimestamp")),
               *series = json_str(json_path(e, "series", "lastObservedTime"));
    int64_t count = json_int_or(json_path(e, "series", "count"), json_int_or(json_get(e, "count"), 1));
    const char *begun = json_str(json_get(e, "firstTimestamp"));
    begun = begun ? begun : json_str(json_get(e, "eventTime"));
    strbuf_adds(out, describe_age(series ? series : at ? at : begun, now_usec, last));
    if (count > 1)
        strbuf_addf(out, " (x%lld over %s)", (long long) count, describe_age(begun, now_usec, first));
}

void describe_events(const struct described *d, struct strbuf *out) {
    if (!d->events)
        return;
    if (json_len(d->events) == 0) {
        strbuf_adds(out, "Events:\t<none>\n");
        return;
    }
    strbuf_adds(out, "Events:\n  Type\tReason\tAge\tFrom\tMessage\n  ----\t------\t----\t----\t-------\n");
    for (size_t i = 0; i < json_len(d->events); i++) {
        const struct json *e = json_at(d->events, i);
        const char *from = json_str_or(json_path(e, "source", "component"), "");
        strbuf_addf(out, "  %s\t%s\t", json_str_or(json_get(e, "type"), ""), json_str_or(json_get(e, "reason"), ""));
        event_age(e, d->now_usec, out);
        strbuf_addf(out, "\t%s\t", *from ? from : json_str_or(json_get(e, "reportingComponent"), ""));
        const char *text = json_str_or(json_get(e, "message"), "");
        size_t n = strlen(text);
        while (n > 0 && text[n - 1] == '\n')
            n--;
        for (size_t j = 0; j < n; j++) /* a second line would look like another event */
            strbuf_addc(out, text[j] == '\n' || text[j] == '\t' ? ' ' : text[j]);
        strbuf_addc(out, '\n');
    }
}

void describe_conditions(const struct json *conditions, bool reasons, struct strbuf *out) {
    if (json_len(conditions) == 0)
        return;
    strbuf_adds(out, reasons ? "Conditions:\n  Type\tStatus\tReason\n  ----\t------\t------\n"
                             : "Conditions:\n  Type\tStatus\n");
    for (size_t i = 0; i < json_len(conditions); i++) {
        const struct json *c = json_at(conditions, i);
        strbuf_addf(out, "  %s\t%s", json_str_or(json_get(c, "type"), ""), json_str_or(json_get(c, "status"), ""));
        if (reasons)
            strbuf_addf(out, "\t%s", json_str_or(json_get(c, "reason"), ""));
        strbuf_addc(out, '\n');
    }
}
