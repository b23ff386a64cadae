/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The seam of the scheduler: a plugin says which nodes a pod cannot go to, and why, or which it would rather go to.
 *
 * Plugins are pure and know one pod and one node at a time: no I/O, no clock, no allocation. Names, order, weights and
 * reasons are upstream's (kubernetes/pkg/scheduler/framework/plugins), so that `kubectl describe` reads the same.
 */
#ifndef PODIUM_SCHEDULER_PLUGIN_H
#define PODIUM_SCHEDULER_PLUGIN_H

#include "orchestrator/scheduler/model.h"

/* --- why nodes were refused, counted per reason --- */
enum { REFUSALS_MAX = 64 };
/* Printed as `text`, `text a`, or `text {a: b}`. text is static; a and b point into pod or node. */
struct refusal {
    const char *text, *a, *b;
    size_t nodes;
};
struct refusals {
    struct refusal items[REFUSALS_MAX];
    size_t n;
    size_t others;    /* nodes refused for a reason that found no place */
    unsigned plugins; /* bits of the plugins (index in the registry) that refused a node */
};
/* Always returns false, for `return refuse(...)`. */
bool sched_refuse(struct refusals *r, const char *text, const char *a, const char *b);

#define SCHED_SCORE_MAX 100

enum sched_normalize {
    SCORE_AS_IS,    /* 0 … 100 already */
    SCORE_HIGHEST,  /* the highest becomes 100, the others in proportion */
    SCORE_REVERSED, /* the highest becomes 0, none becomes 100 */
};

struct sched_plugin {
    const char *name;
    unsigned events; /* enum sched_event that may end a refusal */
    /* Whether filter has anything to say about this pod on any node; NULL: always. */
    bool (*filters)(const struct pod_info *pod);
    /* May the pod go there? If not, says why by sched_refuse(), once or several times. NULL: no filter. */
    bool (*filter)(const struct pod_info *pod, const struct node_info *node, struct refusals *r);
    unsigned weight;
    enum sched_normalize normalize;
    bool (*scores)(const struct pod_info *pod); /* NULL: always */
    int64_t (*score)(const struct pod_info *pod, const struct node_info *node);
};

/* In the order they are asked. */
enum { SCHED_PLUGINS_MAX = 32 };
const struct sched_plugin *const *sched_plugins(size_t *ret_n);

#endif
