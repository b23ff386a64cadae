/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "orchestrator/cli/describe/describe.h"
#include "orchestrator/object/selector.h"

static long long number(const struct json *object, const char *key, int64_t otherwise) {
    return (long long) json_int_or(json_get(object, key), otherwise);
}

static void add_selector(const struct json *spec, struct strbuf *out) {
    _cleanup_(selector_freep) struct selector *s = NULL;
    const struct json *given = json_get(spec, "selector");
    bool structured = json_get(given, "matchLabels") || json_get(given, "matchExpressions");
    int r = structured ? selector_from_object(given, &s, NULL) : selector_from_map(given, &s, NULL);
    _cleanup_free_ char *words = r == 0 ? selector_to_text(s) : NULL;
    strbuf_addf(out, "Selector:\t%s\n", words && *words ? words : "<none>");
}

static void add_bound(const struct json *v, struct strbuf *out) {
    if (json_is_string(v))
        strbuf_adds(out, json_str(v));
    else
        strbuf_addf(out, "%lld", (long long) json_int_or(v, 0));
}

#define REVISION "deployment.kubernetes.io/revision"

/* "name (2/2 replicas created)": the sets of the newest revision or the others. */
static void add_sets(const struct described *d, const char *title, bool newest, struct strbuf *out) {
    const char *revision = json_str_or(json_path(d->object, "metadata", "annotations", REVISION), "");
    size_t n = 0;
    strbuf_addf(out, "%s:\t", title);
    for (size_t i = 0; i < json_len(d->related); i++) {
        const struct json *rs = json_at(d->related, i);
        bool is_newest = strcmp(json_str_or(json_path(rs, "metadata", "annotations", REVISION), "-"), revision) == 0;
        if (is_newest != newest || (!newest && number(json_get(rs, "spec"), "replicas", 0) == 0))
            continue;
        strbuf_addf(out, "%s%s (%lld/%lld replicas created)", n++ ? ", " : "",
                    json_get_str(json_get(rs, "metadata"), "name"), number(json_get(rs, "status"), "replicas", 0),
                    number(json_get(rs, "spec"), "replicas", 0));
    }
    strbuf_adds(out, n ? "\n" : "<none>\n");
}

void describe_deployment(const struct described *d, struct strbuf *out) {
    const struct json *spec = json_get(d->object, "spec"), *status = json_get(d->object, "status");
    const struct json *rolling = json_path(spec, "strategy", "rollingUpdate");
    const struct json *m = json_get(d->object, "metadata");
    char time[40];
    strbuf_addf(out, "Name:\t%s\nNamespace:\t%s\nCreationTimestamp:\t%s\n", json_get_str(m, "name"),
                json_get_str(m, "namespace"), describe_time(json_get_str(m, "creationTimestamp"), time));
    describe_map("Labels", json_get(m, "labels"), "=", out);
    describe_map("Annotations", json_get(m, "annotations"), ": ", out);
    add_selector(spec, out);
    strbuf_addf(out, "Replicas:\t%lld desired | %lld updated | %lld total | %lld available | %lld unavailable\n",
                number(spec, "replicas", 1), number(status, "updatedReplicas", 0), number(status, "replicas", 0),
                number(status, "availableReplicas", 0), number(status, "unavailableReplicas", 0));
    strbuf_addf(out, "StrategyType:\t%s\n", json_get_str(json_get(spec, "strategy"), "type"));
    strbuf_addf(out, "MinReadySeconds:\t%lld\n", number(spec, "minReadySeconds", 0));
    if (rolling) {
        strbuf_adds(out, "RollingUpdateStrategy:\t");
        add_bound(json_get(rolling, "maxUnavailable"), out);
        strbuf_adds(out, " max unavailable, ");
        add_bound(json_get(rolling, "maxSurge"), out);
        strbuf_adds(out, " max surge\n");
    }
    if (json_bool_or(json_get(spec, "paused"), false))
        strbuf_adds(out, "Paused:\ttrue\n");
    describe_template(json_get(spec, "template"), out);
    describe_conditions(json_get(status, "conditions"), true, out);
    add_sets(d, "OldReplicaSets", false, out);
    add_sets(d, "NewReplicaSet", true, out);
    describe_events(d, out);
}

void describe_replicaset(const struct described *d, struct strbuf *out) {
    const struct json *spec = json_get(d->object, "spec"), *status = json_get(d->object, "status");
    const struct json *m = json_get(d->object, "metadata"), *owners = json_get(m, "ownerReferences");
    strbuf_addf(out, "Name:\t%s\nNamespace:\t%s\n", json_get_str(m, "name"), json_get_str(m, "namespace"));
    add_selector(spec, out);
    describe_map("Labels", json_get(m, "labels"), "=", out);
    describe_map("Annotations", json_get(m, "annotations"), ": ", out);
    for (size_t i = 0; i < json_len(owners); i++)
        if (json_bool_or(json_get(json_at(owners, i), "controller"), false))
            strbuf_addf(out, "Controlled By:\t%s/%s\n", json_get_str(json_at(owners, i), "kind"),
                        json_get_str(json_at(owners, i), "name"));
    strbuf_addf(out, "Replicas:\t%lld current / %lld desired\n", number(status, "replicas", 0),
                number(spec, "replicas", 1));
    strbuf_addf(out, "Pods Status:\t%lld ready, %lld available\n", number(status, "readyReplicas", 0),
                number(status, "availableReplicas", 0));
    describe_template(json_get(spec, "template"), out);
    describe_conditions(json_get(status, "conditions"), true, out);
    describe_events(d, out);
}
