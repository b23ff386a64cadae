/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Transient units of pods: what the agent needs of systemd, behind a table of functions with two implementations:
 * systemd over sd-bus (units_bus.c), and a fake for tests and for hosts without systemd (units_fake.c).
 *
 * Invariants. Everything is asynchronous: calls queue a job and return; results come as callbacks from the event loop,
 * never from inside a call. At most max_jobs jobs are in flight, the rest waits in order: PID 1 is single-threaded and
 * answers everybody else, too. A start or stop that is answered with "already so" is a success.
 *
 * Ownership. Requests are copied. Names in callbacks are borrowed for the call.
 *
 * Errors. Callbacks carry a negative errno and systemd's text. -EEXIST: a unit of this name is there.
 *
 * Threads. The loop's.
 *
 * Source: org.freedesktop.systemd1(5), systemd.resource-control(5).
 */
#ifndef PODIUM_SYSTEMD_UNITS_H
#define PODIUM_SYSTEMD_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "podium/base/cleanup.h"
#include "podium/base/error.h"

typedef struct sd_bus sd_bus;
typedef struct sd_event sd_event;
struct unit_manager;

#define UNIT_POD_PREFIX     "podium-pod-"
#define UNIT_POD_PATTERN    "podium-pod-*.service"
#define UNIT_JOBS_IN_FLIGHT 16
#define UNIT_SUB_SLICES     16 /* siblings of one slice cost each other time in PID 1: pods are spread */
#define UNIT_UNLIMITED      UINT64_MAX

enum unit_state { UNIT_INACTIVE, UNIT_ACTIVATING, UNIT_ACTIVE, UNIT_DEACTIVATING, UNIT_FAILED };

struct unit_request {
    const char *name, *description, *slice, *identifier;
    const char *const *exec_start;  /* argv, NULL-terminated; [0] is an absolute path */
    const char *const *environment; /* "A=b", NULL-terminated; may be NULL */
    uint64_t stop_timeout_usec;
    uint64_t memory_max, tasks_max, cpu_quota_per_sec_usec; /* UNIT_UNLIMITED: not set */
    uint64_t cpu_weight, memory_min;                        /* 0: not set */
    uint64_t limit_nofile;                                  /* 0: not set */
    int oom_score_adj; /* of its main process, -1000 … 1000; what systemd may not lower stays as it is */
};

/* What a pod's unit may use as a whole; as in unit_request. */
struct unit_limits {
    uint64_t memory_max, cpu_quota_per_sec_usec; /* UNIT_UNLIMITED: none */
    uint64_t cpu_weight;                         /* 1 … 10000 */
    uint64_t memory_min;                         /* bytes that are never taken from it */
};

struct unit_callbacks {
    /* The start job ended: 0, or why not. */
    void (*started)(void *userdata, const char *name, int result, const char *text);
    void (*stopped)(void *userdata, const char *name, int result, const char *text);
    /* The unit's ActiveState as it changes. A unit that is collected ends with `removed`. */
    void (*changed)(void *userdata, const char *name, enum unit_state state);
    void (*removed)(void *userdata, const char *name);
    /* Answer to unit_list(), or result < 0. */
    void (*listed)(void *userdata, const char *const *names, const enum unit_state *states, size_t n, int result,
                   const char *text);
};

struct unit_ops {
    int (*start)(struct unit_manager *m, const struct unit_request *request, struct error *err);
    int (*stop)(struct unit_manager *m, const char *name, struct error *err);
    int (*kill)(struct unit_manager *m, const char *name, int signal, struct error *err);
    int (*list)(struct unit_manager *m, struct error *err);
    int (*weigh)(struct unit_manager *m, const char *slice, uint64_t cpu_weight, struct error *err);
    int (*keep)(struct unit_manager *m, const char *slice, uint64_t memory_min, struct error *err);
    int (*limit)(struct unit_manager *m, const char *name, const struct unit_limits *limits, struct error *err);
    void (*free)(struct unit_manager *m);
};

/* The common head of every implementation. */
struct unit_manager {
    const struct unit_ops *ops;
    const struct unit_callbacks *callbacks;
    void *userdata;
};

/* systemd: bus is connected, attached to the loop and stays the caller's. Subscribes to the manager's signals. */
int unit_manager_new_systemd(sd_bus *bus, unsigned max_jobs, struct unit_manager **ret, struct error *err) _must_check_;
void unit_manager_free(struct unit_manager *m); /* callbacks not delivered are dropped; units stay */
DEFINE_CLEANUP(struct unit_manager *, unit_manager_free)
void unit_manager_set_callbacks(struct unit_manager *m, const struct unit_callbacks *callbacks, void *userdata);

/* Queues a start; `started` follows. */
int unit_start(struct unit_manager *m, const struct unit_request *request, struct error *err) _must_check_;
/* Queues a stop (SIGTERM to the main process, SIGKILL to all after its stop timeout); `stopped` follows. A failed unit
 * is reset, so that its name is free. */
int unit_stop(struct unit_manager *m, const char *name, struct error *err) _must_check_;
/* Sends a signal to all processes of the unit; no callback. */
int unit_kill(struct unit_manager *m, const char *name, int signal, struct error *err) _must_check_;
/* Asks for all pod units; `listed` follows. */
int unit_list(struct unit_manager *m, struct error *err) _must_check_;
/* Sets CPUWeight (1 … 10000) of a slice until the next boot, whether it is there yet or not; no callback. What is asked
 * for before a start counts before it. */
int unit_weigh(struct unit_manager *m, const char *slice, uint64_t cpu_weight, struct error *err) _must_check_;

/* Sets MemoryMin of a slice in the same way. */
int unit_keep(struct unit_manager *m, const char *slice, uint64_t memory_min, struct error *err) _must_check_;
/* Gives a unit that runs other limits until it ends; no callback. */
int unit_limit(struct unit_manager *m, const char *name, const struct unit_limits *limits,
               struct error *err) _must_check_;

/* --- names; pure (unit_name.c) --- */

/* "podium-pod-<namespace>-<name>-<first 8 of uid>.service", bytes other than [a-z0-9.-] escaped as \xNN, the name cut
 * so that the whole has at most UNIT_NAME_MAX_BYTES. The caller frees. */
char *unit_pod_name(const char *namespace, const char *name, const char *uid);
/* "podium-burstable-3.slice" for the QoS class "Burstable". The caller frees. */
char *unit_pod_slice(const char *qos_class, const char *uid);
/* "active" -> UNIT_ACTIVE …; unknown words count as inactive. */
enum unit_state unit_state_parse(const char *s);

/* --- the fake --- */

struct unit_fake_options {
    sd_event *loop;
    /* NULL: a started unit is active at once and runs nothing. Else exec_start is run as a child in a new cgroup
     * <cgroup_root>/<name>; its end ends the unit. */
    const char *cgroup_root;
    int fail_start; /* negative errno: every start fails with it */
};
int unit_manager_new_fake(const struct unit_fake_options *options, struct unit_manager **ret,
                          struct error *err) _must_check_;
/* What a test may ask and do. */
bool unit_fake_has(const struct unit_manager *m, const char *name);
void unit_fake_set_state(struct unit_manager *m, const char *name, enum unit_state state);      /* INACTIVE: removed */
uint64_t unit_fake_weight(const struct unit_manager *m, const char *slice);                     /* 0: never told */
uint64_t unit_fake_kept(const struct unit_manager *m, const char *slice);                       /* 0: never told */
bool unit_fake_limits(const struct unit_manager *m, const char *name, struct unit_limits *ret); /* false: never told */
void unit_fake_set_failure(struct unit_manager *m, int fail_start);

#endif
