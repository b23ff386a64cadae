/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/scheduler/cycle.h"

#include <string.h>

#include "podium/base/alloc.h"

enum {
    ENOUGH_NODES_MIN = 100, /* upstream's minFeasibleNodesToFind */
    PERCENTAGE_MIN = 5,
};

void sched_scratch_finish(struct sched_scratch *s) {
    free(s->feasible);
    free(s->score);
    free(s->total);
}

static void reserve(struct sched_scratch *s, size_t n) {
    if (n <= s->cap)
        return;
    s->cap = n;
    s->feasible = xreallocarray(s->feasible, n, sizeof(*s->feasible));
    s->score = xreallocarray(s->score, n, sizeof(*s->score));
    s->total = xreallocarray(s->total, n, sizeof(*s->total));
}

size_t sched_enough_nodes(size_t n_nodes, unsigned percentage) {
    if (n_nodes < ENOUGH_NODES_MIN || percentage >= 100)
        return n_nodes;
    if (percentage == 0) {
        size_t shrink = n_nodes / 125;
        percentage = shrink < 50 ? (unsigned) (50 - shrink) : 0;
        if (percentage < PERCENTAGE_MIN)
            percentage = PERCENTAGE_MIN;
    }
    size_t n = n_nodes * percentage / 100;
    return n < ENOUGH_NODES_MIN ? ENOUGH_NODES_MIN : n;
}

/* --- filtering --- */

struct filter_set {
    const struct sched_plugin *plugin[SCHED_PLUGINS_MAX];
    unsigned bit[SCHED_PLUGINS_MAX];
    size_t n;
};

static void choose_filters(const struct pod_info *pod, struct filter_set *set) {
    size_t n;
    const struct sched_plugin *const *plugins = sched_plugins(&n);

    set->n = 0;
    for (size_t i = 0; i < n; i++) {
        if (!plugins[i]->filter || (plugins[i]->filters && !plugins[i]->filters(pod)))
            continue;
        set->plugin[set->n] = plugins[i];
        set->bit[set->n++] = 1u << i;
    }
}

static bool passes(const struct filter_set *set, const struct pod_info *pod, const struct node_info *node,
                   struct refusals *r) {
    for (size_t i = 0; i < set->n; i++) {
        if (set->plugin[i]->filter(pod, node, r))
            continue;
        r->plugins |= set->bit[i];
        return false;
    }
    return true;
}

bool sched_would_fit(const struct pod_info *pod, const struct node_info *node) {
    struct filter_set set;
    struct refusals r;

    r.n = r.others = r.plugins = 0;
    choose_filters(pod, &set);
    return passes(&set, pod, node, &r);
}

static void find_feasible(const struct sched_request *q, struct sched_scratch *s, struct sched_choice *ret) {
    size_t enough = sched_enough_nodes(q->n_nodes, q->percentage), at = q->n_nodes ? q->start % q->n_nodes : 0;
    struct filter_set set;

    choose_filters(q->pod, &set);
    for (; ret->examined < q->n_nodes && ret->feasible < enough; ret->examined++) {
        const struct node_info *node = q->nodes[at];
        if (passes(&set, q->pod, node, &s->refusals))
            s->feasible[ret->feasible++] = node;
        if (++at == q->n_nodes)
            at = 0;
    }
    ret->next_start = at;
}

/* --- scoring --- */

static void add_scores(const struct sched_plugin *plugin, const struct pod_info *pod, struct sched_scratch *s,
                       size_t n) {
    int64_t max = 0, weight = plugin->weight;

    if (plugin->normalize == SCORE_AS_IS) {
        for (size_t i = 0; i < n; i++)
            s->total[i] += weight * plugin->score(pod, s->feasible[i]);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        s->score[i] = plugin->score(pod, s->feasible[i]);
        if (s->score[i] > max)
            max = s->score[i];
    }
    if (max == 0) /* the same for all of them */
        return;
    for (size_t i = 0; i < n; i++) {
        int64_t share = s->score[i] * SCHED_SCORE_MAX / max;
        s->total[i] += weight * (plugin->normalize == SCORE_REVERSED ? SCHED_SCORE_MAX - share : share);
    }
}

static void score_feasible(const struct pod_info *pod, struct sched_scratch *s, size_t n) {
    size_t n_plugins;
    const struct sched_plugin *const *plugins = sched_plugins(&n_plugins);

    memset(s->total, 0, n * sizeof(*s->total));
    for (size_t i = 0; i < n_plugins; i++)
        if (plugins[i]->score && (!plugins[i]->scores || plugins[i]->scores(pod)))
            add_scores(plugins[i], pod, s, n);
}

/* The best; among equals the one the random number falls on. */
static const struct node_info *pick(const struct sched_scratch *s, size_t n, uint64_t random) {
    size_t equals = 1, best = 0, chosen;

    for (size_t i = 1; i < n; i++) {
        if (s->total[i] > s->total[best]) {
            best = i;
            equals = 1;
        } else if (s->total[i] == s->total[best]) {
            equals++;
        }
    }
    chosen = (size_t) (random % equals);
    for (size_t i = best;; i++)
        if (s->total[i] == s->total[best] && chosen-- == 0)
            return s->feasible[i];
}

void sched_cycle(const struct sched_request *q, struct sched_scratch *s, struct sched_choice *ret) {
    *ret = (struct sched_choice){0};
    s->refusals.n = s->refusals.others = s->refusals.plugins = 0;
    reserve(s, q->n_nodes);
    find_feasible(q, s, ret);
    if (ret->feasible == 0)
        return;
    if (ret->feasible == 1) {
        ret->node = s->feasible[0];
        return;
    }
    score_feasible(q->pod, s, ret->feasible);
    ret->node = pick(s, ret->feasible, q->random);
}
