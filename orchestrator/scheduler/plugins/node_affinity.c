/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nodeSelector and node affinity, required and preferred. Operators as in component-helpers' nodeaffinity. */
#include "orchestrator/scheduler/plugins/registry.h"

#include <string.h>

static bool value_in(const struct requirement *q, const struct hashed *v) {
    for (size_t i = 0; i < q->n_values; i++)
        if (hashed_equal(&q->values[i], v))
            return true;
    return false;
}

/* Whole decimal numbers only, as Go's strconv.ParseInt(s, 10, 64). */
static bool parse_int(const char *s, int64_t *ret) {
    char *end;

    if (!(*s == '-' || *s == '+' || (*s >= '0' && *s <= '9')))
        return false;
    errno = 0;
    *ret = strtoll(s, &end, 10);
    return errno == 0 && end != s && *end == 0;
}

static bool compare_matches(const struct requirement *q, const char *v) {
    int64_t have, want;

    if (q->n_values != 1 || !parse_int(v, &have) || !parse_int(q->values[0].text, &want))
        return false;
    return q->op == REQ_GT ? have > want : have < want;
}

static bool requirement_matches(const struct requirement *q, const struct node_info *node) {
    const struct hashed *v = NULL, name = q->is_field ? hashed(node->name) : (struct hashed){0};

    if (!q->is_field)
        v = node_info_label(node, &q->key);
    else if (strcmp(q->key.text, "metadata.name") == 0)
        v = &name;
    switch (q->op) {
    case REQ_IN:
        return v && value_in(q, v);
    case REQ_NOT_IN:
        return !v || !value_in(q, v);
    case REQ_EXISTS:
        return v;
    case REQ_DOES_NOT_EXIST:
        return !v;
    case REQ_GT:
    case REQ_LT:
        return v && compare_matches(q, v->text);
    case REQ_INVALID:
        return false;
    }
    return false;
}

static bool all_match(const struct selector_term *t, const struct node_info *node) {
    for (size_t i = 0; i < t->n; i++)
        if (!requirement_matches(&t->requirements[i], node))
            return false;
    return true;
}

/* An empty term matches nothing. */
static bool term_matches(const struct selector_term *t, const struct node_info *node) {
    return t->n > 0 && all_match(t, node);
}

static bool any_term_matches(const struct pod_info *pod, const struct node_info *node) {
    for (size_t i = 0; i < pod->n_required; i++)
        if (term_matches(&pod->required[i], node))
            return true;
    return !pod->has_required;
}

static bool filters(const struct pod_info *pod) {
    return pod->selector.n > 0 || pod->has_required;
}

static bool filter(const struct pod_info *pod, const struct node_info *node, struct refusals *r) {
    if (all_match(&pod->selector, node) && any_term_matches(pod, node))
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
