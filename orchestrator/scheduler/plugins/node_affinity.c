/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nodeSelector and node affinity, required and preferred. Operators as in component-helpers' nodeaffinity. */
#include "orchestrator/scheduler/plugins/registry.h"

#include <string.h>

static bool value_in(const struct json *values, const char *v) {
    for (size_t i = 0; i < json_len(values); i++)
        if (strcmp(json_str_or(json_at(values, i), ""), v) == 0)
            return true;
    return false;
}

/* Whole decimal numbers only, as Go's strconv.ParseInt(s, 10, 64). */
static bool parse_int(const char *s, int64_t *ret) {
    char *end;

    if (!s || !(*s == '-' || *s == '+' || (*s >= '0' && *s <= '9')))
        return false;
    errno = 0;
    *ret = strtoll(s, &end, 10);
    return errno == 0 && end != s && *end == 0;
}

static bool compare_matches(const struct requirement *q, const char *v) {
    int64_t have, want;

    if (json_len(q->values) != 1 || !parse_int(v, &have) || !parse_int(json_str(json_at(q->values, 0)), &want))
        return false;
    return q->op == REQ_GT ? have > want : have < want;
}

static bool requirement_matches(const struct requirement *q, const struct node_info *node) {
    const char *v;

    if (q->is_field)
        v = strcmp(q->key, "metadata.name") == 0 ? node->name : NULL;
    else
        v = node_info_label(node, q->key);
    switch (q->op) {
    case REQ_IN:
        return v && value_in(q->values, v);
    case REQ_NOT_IN:
        return !v || !value_in(q->values, v);
    case REQ_EXISTS:
        return v;
    case REQ_DOES_NOT_EXIST:
        return !v;
    case REQ_GT:
    case REQ_LT:
        return v && compare_matches(q, v);
    case REQ_INVALID:
        return false;
    }
    return false;
}

static bool term_matches(const struct selector_term *t, const struct node_info *node) {
    for (size_t i = 0; i < t->n; i++)
        if (!requirement_matches(&t->requirements[i], node))
            return false;
    return t->n > 0;
}

static bool any_term_matches(const struct pod_info *pod, const struct node_info *node) {
    for (size_t i = 0; i < pod->n_required; i++)
        if (term_matches(&pod->required[i], node))
            return true;
    return !pod->has_required;
}

static bool selector_map_matches(const struct json *map, const struct node_info *node) {
    for (size_t i = 0; i < json_len(map); i++) {
        const char *v = node_info_label(node, json_key_at(map, i));
        if (!v || strcmp(v, json_str_or(json_value_at(map, i), "")) != 0)
            return false;
    }
    return true;
}

static bool filters(const struct pod_info *pod) {
    return pod->node_selector || pod->has_required;
}

static bool filter(const struct pod_info *pod, const struct node_info *node, struct refusals *r) {
    if (selector_map_matches(pod->node_selector, node) && any_term_matches(pod, node))
        return true;
    return sched_refuse(r, "node(s) didn't match Pod's node affinity/selector", NULL, NULL);
}

static bool scores(const struct pod_info *pod) {
    return pod->n_preferred > 0;
}

static int64_t score(const struct pod_info *pod, const struct node_info *node) {
    int64_t sum = 0;

    for (size_t i = 0; i < pod->n_preferred; i++)
        if (term_matches(&pod->preferred[i], node))
            sum += pod->preferred[i].weight;
    return sum;
}

const struct sched_plugin plugin_node_affinity = {
    .name = "NodeAffinity",
    .events = EVENT_NODE_ADDED | EVENT_NODE_LABELS,
    .filters = filters,
    .filter = filter,
    .weight = 2,
    .normalize = SCORE_HIGHEST,
    .scores = scores,
    .score = score,
};
