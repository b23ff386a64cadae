/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When a node is short of something: the kubelet's eviction settings, read and reckoned with. Pure; any thread.
 *
 * Source: pkg/kubelet/eviction/helpers.go (ParseThresholdConfig and what it calls) and the defaults of
 * KubeletConfiguration in 1.32. Signals that are about what we have no part of (containerfs, allocatableMemory) are not
 * known here.
 */
#ifndef PODIUM_AGENT_EVICTION_THRESHOLDS_H
#define PODIUM_AGENT_EVICTION_THRESHOLDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "podium/base/error.h"

enum eviction_signal {
    EVICTION_MEMORY,         /* memory.available */
    EVICTION_NODEFS,         /* nodefs.available: the disk of volumes and writable layers */
    EVICTION_NODEFS_INODES,  /* nodefs.inodesFree */
    EVICTION_IMAGEFS,        /* imagefs.available: the disk of images, often the same */
    EVICTION_IMAGEFS_INODES, /* imagefs.inodesFree */
    EVICTION_PIDS,           /* pid.available */
    EVICTION_SIGNALS,
};

struct eviction_amount {
    float percent;     /* of the capacity; used when quantity < 0 (single precision, as upstream reckons) */
    int64_t bytes;     /* or inodes, or processes; < 0: percent */
    char quantity[32]; /* as it is written in messages; "" with percent */
};

struct eviction_threshold {
    enum eviction_signal signal;
    struct eviction_amount amount;  /* met below it */
    struct eviction_amount minimum; /* once met, until this much more is there; 0 bytes: none */
    bool is_soft;
    uint64_t grace_usec; /* soft: how long it must be met before a pod goes */
};

struct eviction_config {
    struct eviction_threshold thresholds[2 * EVICTION_SIGNALS];
    size_t n;
    uint64_t transition_usec; /* how long a condition stays after the last time it was observed */
    int64_t max_pod_grace;    /* seconds a pod has that goes for a soft threshold */
};

#define EVICTION_HARD_DEFAULT                                                                                          \
    "memory.available<100Mi,nodefs.available<10%,nodefs.inodesFree<5%,imagefs.available<15%,imagefs.inodesFree<5%"
#define EVICTION_TRANSITION_DEFAULT "5m0s"

/* The values of the options of the same names; NULL: the default. */
struct eviction_settings {
    const char *hard;            /* "memory.available<100Mi,nodefs.available<10%"; "": none */
    const char *soft;            /* the same; each needs its grace period */
    const char *soft_grace;      /* "memory.available=1m30s" */
    const char *minimum_reclaim; /* "memory.available=0Mi,nodefs.available=5%" */
    const char *transition;      /* "5m0s" */
    int64_t max_pod_grace;       /* seconds; 0: what pods say, at once as upstream's default has it */
};

/* -EINVAL in upstream's words. "0%" and "100%" make a threshold void. */
int eviction_config_parse(const struct eviction_settings *settings, struct eviction_config *ret,
                          struct error *err) _must_check_;
/* The amount of such a capacity. */
int64_t eviction_amount_of(const struct eviction_amount *amount, int64_t capacity);
/* The hard threshold of a signal; NULL: there is none. */
const struct eviction_threshold *eviction_hard(const struct eviction_config *config, enum eviction_signal signal);

const char *eviction_signal_name(enum eviction_signal signal);     /* "memory.available" */
const char *eviction_signal_resource(enum eviction_signal signal); /* "memory", "ephemeral-storage", "inodes", "pids" */

#endif
