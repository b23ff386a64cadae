/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A node as the scheduler sees it: what it offers, what its pods take of it. */
#include "orchestrator/scheduler/model.h"

#include <string.h>

#include "orchestrator/object/quantity.h"
#include "podium/base/alloc.h"

struct node_info *node_info_new(const char *name) {
    struct node_info *n = xnew0(struct node_info);

    n->name = xstrdup(name);
    return n;
}

void node_info_free(struct node_info *n) {
    if (!n)
        return;
    for (size_t i = 0; i < n->n_extended; i++)
        free(n->extended[i].name);
    free(n->extended);
    free(n->taints);
    free(n->owners);
    free(n->ports);
    free(n->labels);
    free(n->name);
    json_unref(n->object);
    free(n);
}

/* --- what the Node object says --- */

static struct node_extended *extended_slot(struct node_info *n, const char *name) {
    for (size_t i = 0; i < n->n_extended; i++)
        if (strcmp(n->extended[i].name, name) == 0)
            return &n->extended[i];
    n->extended = xreallocarray(n->extended, n->n_extended + 1, sizeof(*n->extended));
    n->extended[n->n_extended] = (struct node_extended){xstrdup(name), 0, 0};
    return &n->extended[n->n_extended++];
}

static void read_allocatable(struct node_info *n, const struct json *status) {
    const struct json *list = json_get(status, "allocatable");

    if (json_len(list) == 0) /* upstream defaults one from the other */
        list = json_get(status, "capacity");
    for (size_t i = 0; i < n->n_extended; i++)
        n->extended[i].allocatable = 0;
    memset(n->allocatable, 0, sizeof(n->allocatable));
    n->allowed_pods = 0;
    for (size_t i = 0; i < json_len(list); i++) {
        const char *name = json_key_at(list, i);
        const struct json *amount = json_value_at(list, i);
        if (strcmp(name, "cpu") == 0)
            n->allocatable[SCHED_CPU] = quantity_json_milli(amount, 0);
        else if (strcmp(name, "memory") == 0)
            n->allocatable[SCHED_MEMORY] = quantity_json(amount, 0);
        else if (strcmp(name, "ephemeral-storage") == 0)
            n->allocatable[SCHED_STORAGE] = quantity_json(amount, 0);
        else if (strcmp(name, "pods") == 0)
            n->allowed_pods = quantity_json(amount, 0);
        else
            extended_slot(n, name)->allocatable = quantity_json(amount, 0);
    }
}

static unsigned effect_of(const char *s) {
    if (strcmp(s, "NoSchedule") == 0)
        return TAINT_NO_SCHEDULE;
    if (strcmp(s, "PreferNoSchedule") == 0)
        return TAINT_PREFER_NO_SCHEDULE;
    return strcmp(s, "NoExecute") == 0 ? TAINT_NO_EXECUTE : 0;
}

static void read_taints(struct node_info *n, const struct json *taints) {
    free(n->taints);
    n->taints = xcalloc(json_len(taints) + 1, sizeof(*n->taints));
    n->n_taints = json_len(taints);
    for (size_t i = 0; i < n->n_taints; i++) {
        const struct json *t = json_at(taints, i);
        n->taints[i] = (struct taint){
            .key = json_str_or(json_get(t, "key"), ""),
            .value = json_str_or(json_get(t, "value"), ""),
            .effect = effect_of(json_str_or(json_get(t, "effect"), "")),
        };
    }
}

static int label_compare(const void *a, const void *b) {
    uint64_t x = ((const struct node_label *) a)->key.hash, y = ((const struct node_label *) b)->key.hash;

    return (x > y) - (x < y);
}

/* The texts are copied behind the array: a filter looks at both, on thousands of nodes, and finds them side by side. */
static void read_labels(struct node_info *n, const struct json *labels) {
    size_t bytes = (json_len(labels) + 1) * sizeof(*n->labels);

    for (size_t i = 0; i < json_len(labels); i++)
        bytes += strlen(json_key_at(labels, i)) + strlen(json_str_or(json_value_at(labels, i), "")) + 2;
    free(n->labels);
    n->labels = xmalloc(bytes);
    n->n_labels = json_len(labels);
    char *text = (char *) (n->labels + n->n_labels);
    for (size_t i = 0; i < n->n_labels; i++) {
        struct node_label *l = &n->labels[i];
        char *value = stpcpy(text, json_key_at(labels, i)) + 1;
        char *end = stpcpy(value, json_str_or(json_value_at(labels, i), "")) + 1;
        *l = (struct node_label){hashed(text), hashed(value)};
        text = end;
    }
    qsort(n->labels, n->n_labels, sizeof(*n->labels), label_compare);
}

unsigned node_info_set_object(struct node_info *n, struct json *node) {
    struct json *old = n->object;
    unsigned changed = 0;

    if (!n->exists)
        changed = EVENT_NODE_ADDED;
    if (!json_equal(json_path(old, "metadata", "labels"), json_path(node, "metadata", "labels")))
        changed |= EVENT_NODE_LABELS;
    if (!json_equal(json_path(old, "spec", "taints"), json_path(node, "spec", "taints")))
        changed |= EVENT_NODE_TAINTS;
    if (!json_equal(json_path(old, "status", "allocatable"), json_path(node, "status", "allocatable")) ||
        !json_equal(json_path(old, "status", "capacity"), json_path(node, "status", "capacity")))
        changed |= EVENT_NODE_ALLOCATABLE;
    bool unschedulable = json_bool_or(json_path(node, "spec", "unschedulable"), false);
    if (n->unschedulable != unschedulable)
        changed |= EVENT_NODE_SCHEDULABLE;

    n->object = json_ref(node);
    n->exists = true;
    n->unschedulable = unschedulable;
    read_allocatable(n, json_get(node, "status"));
    read_taints(n, json_path(node, "spec", "taints"));
    read_labels(n, json_path(node, "metadata", "labels"));
    json_unref(old);
    return changed;
}

const struct hashed *node_info_label(const struct node_info *n, const struct hashed *key) {
    size_t lo = 0, hi = n->n_labels;

    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (n->labels[mid].key.hash < key->hash)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (; lo < n->n_labels && n->labels[lo].key.hash == key->hash; lo++)
        if (strcmp(n->labels[lo].key.text, key->text) == 0)
            return &n->labels[lo].value;
    return NULL;
}

/* --- what its pods take --- */

static void add_amounts(struct node_info *n, const struct pod_demand *d, int sign) {
    for (size_t r = 0; r < SCHED_RESOURCES; r++)
        n->requested[r] += sign * d->request[r];
    for (size_t r = 0; r < SCHED_STORAGE; r++)
        n->assumed[r] += sign * d->assumed[r];
    for (size_t i = 0; i < d->n_extended; i++)
        extended_slot(n, d->extended[i].name)->requested += sign * d->extended[i].amount;
    n->n_pods += sign;
}

static size_t find_owner(const struct node_info *n, uint32_t owner) {
    size_t i = 0;

    while (i < n->n_owners && n->owners[i].owner != owner)
        i++;
    return i;
}

void node_info_add_pod(struct node_info *n, const struct pod_demand *d) {
    add_amounts(n, d, 1);
    for (size_t i = 0; i < d->n_ports; i++) {
        xgrow(&n->ports, n->n_ports, &n->ports_cap);
        n->ports[n->n_ports++] = d->ports[i];
    }
    if (!d->owner)
        return;
    size_t i = find_owner(n, d->owner);
    if (i == n->n_owners) {
        xgrow(&n->owners, n->n_owners, &n->owners_cap);
        n->owners[n->n_owners++] = (struct owner_count){d->owner, 0};
    }
    n->owners[i].pods++;
}

static void remove_port(struct node_info *n, const struct host_port *p) {
    for (size_t i = 0; i < n->n_ports; i++) {
        if (host_port_equal(&n->ports[i], p)) {
            n->ports[i] = n->ports[--n->n_ports];
            return;
        }
    }
}

void node_info_remove_pod(struct node_info *n, const struct pod_demand *d) {
    add_amounts(n, d, -1);
    for (size_t i = 0; i < d->n_ports; i++)
        remove_port(n, &d->ports[i]);
    size_t i = d->owner ? find_owner(n, d->owner) : n->n_owners;
    if (i < n->n_owners && --n->owners[i].pods == 0)
        n->owners[i] = n->owners[--n->n_owners];
}

unsigned node_info_owner_pods(const struct node_info *n, uint32_t owner) {
    size_t i = find_owner(n, owner);

    return i < n->n_owners ? n->owners[i].pods : 0;
}
