/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the scheduler knows of pods and nodes, in hand-typed structs: the one place where documents are too slow.
 *
 * Invariants. A pod_info never changes. A node_info is changed by the cache (cache.c) only, between cycles.
 *
 * Ownership. Both hold a reference to the document they came from; strings without a word about it point into that.
 *
 * Units. CPU in thousandths, memory and ephemeral storage in bytes.
 */
#ifndef PODIUM_SCHEDULER_MODEL_H
#define PODIUM_SCHEDULER_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "podium/base/json.h"

enum sched_resource { SCHED_CPU, SCHED_MEMORY, SCHED_STORAGE, SCHED_RESOURCES };

/* "nvidia.com/gpu", "hugepages-2Mi" …: everything that is none of the three above. */
struct extended_amount {
    char *name; /* owned */
    int64_t amount;
};

struct host_port {
    uint16_t port;
    char protocol; /* 'T'CP, 'U'DP, 'S'CTP */
    char ip[46];   /* "" is every address */
};

/* What a pod takes away from its node; lives on when the document is gone. */
struct pod_demand {
    int64_t request[SCHED_RESOURCES];
    int64_t assumed[SCHED_STORAGE]; /* CPU and memory for scoring: containers that ask for nothing count a little */
    uint32_t owner;                 /* hash of the controller's uid, for spreading; 0: none */
    struct extended_amount *extended;
    size_t n_extended;
    struct host_port *ports;
    size_t n_ports;
};

/* A string with its fnv1a hash: labels are compared millions of times a second. */
struct hashed {
    uint64_t hash;
    const char *text;
};
struct hashed hashed(const char *text); /* borrows the text */
bool hashed_equal(const struct hashed *a, const struct hashed *b);

enum requirement_op { REQ_IN, REQ_NOT_IN, REQ_EXISTS, REQ_DOES_NOT_EXIST, REQ_GT, REQ_LT, REQ_INVALID };
struct requirement {
    struct hashed key;
    enum requirement_op op;
    struct hashed *values;
    size_t n_values;
    bool is_field; /* metadata.name instead of a label */
};
/* All requirements of a term must hold; a term without any matches nothing. */
struct selector_term {
    struct requirement *requirements;
    size_t n;
    int64_t weight; /* preferred terms: 1 … 100 */
};

enum taint_effect { TAINT_NO_SCHEDULE = 1, TAINT_PREFER_NO_SCHEDULE = 2, TAINT_NO_EXECUTE = 4 };
struct taint {
    const char *key, *value;
    unsigned effect; /* one of taint_effect */
};
struct toleration {
    const char *key, *value; /* key "": every key */
    bool exists;             /* operator Exists: any value */
    unsigned effects;        /* of taint_effect */
};

struct pod_info {
    struct json *object;
    char *key; /* "ns/name", owned */
    const char *ns, *name, *uid;
    const char *node_name; /* "" when unassigned */
    const char *scheduler_name;
    int64_t priority;
    bool gated, terminal, deleting;
    struct pod_demand demand;
    struct selector_term selector; /* nodeSelector; n == 0: none */
    bool has_required;             /* required node affinity is given: one of `required` must match */
    struct selector_term *required, *preferred;
    size_t n_required, n_preferred;
    struct toleration *tolerations;
    size_t n_tolerations;
};

struct node_label {
    struct hashed key, value;
};
struct owner_count {
    uint32_t owner, pods;
};
struct node_extended {
    char *name; /* owned */
    int64_t allocatable, requested;
};

struct node_info {
    /* read for every pod */
    int64_t allocatable[SCHED_RESOURCES], requested[SCHED_RESOURCES];
    int64_t assumed[SCHED_STORAGE];
    int64_t allowed_pods, n_pods;
    size_t n_taints, n_owners, n_ports, n_extended;
    bool unschedulable;
    bool exists; /* false: pods are bound to it, the Node object is unknown */
    struct taint *taints;
    struct owner_count *owners;
    /* read for some */
    struct host_port *ports;
    struct node_extended *extended;
    struct node_label *labels; /* sorted by the key's hash; owned with their texts */
    size_t n_labels;
    char *name;   /* owned */
    size_t index; /* in the cache's array */
    size_t owners_cap, ports_cap;
    struct json *object;
};

/* --- pods (pod_info.c) --- */
struct pod_info *pod_info_new(struct json *pod); /* takes a reference of its own */
void pod_info_free(struct pod_info *p);
DEFINE_CLEANUP(struct pod_info *, pod_info_free)
void pod_demand_copy(struct pod_demand *to, const struct pod_demand *from);
void pod_demand_finish(struct pod_demand *d);
bool host_port_equal(const struct host_port *a, const struct host_port *b);
bool pod_tolerates(const struct pod_info *p, const struct taint *t);

/* --- nodes (node_info.c) --- */
struct node_info *node_info_new(const char *name); /* exists = false */
void node_info_free(struct node_info *n);
DEFINE_CLEANUP(struct node_info *, node_info_free)
/* Takes over what a Node object says; what its pods take stays. Returns which sched_event bits changed. */
unsigned node_info_set_object(struct node_info *n, struct json *node);
void node_info_add_pod(struct node_info *n, const struct pod_demand *d);
void node_info_remove_pod(struct node_info *n, const struct pod_demand *d);
const struct hashed *node_info_label(const struct node_info *n, const struct hashed *key); /* NULL when absent */
unsigned node_info_owner_pods(const struct node_info *n, uint32_t owner);

/* What happened in the cluster that may let a refused pod fit. Each plugin names those that matter to it. */
enum sched_event {
    EVENT_NODE_ADDED = 1 << 0,
    EVENT_NODE_ALLOCATABLE = 1 << 1,
    EVENT_NODE_LABELS = 1 << 2,
    EVENT_NODE_TAINTS = 1 << 3,
    EVENT_NODE_SCHEDULABLE = 1 << 4,
    EVENT_POD_GONE = 1 << 5, /* an assigned pod left its node */
};

#endif
