/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What happens next in a pod: pure functions on a model of its containers. No I/O, no clock: `now` comes in.
 *
 * Order: init containers one after another (a sidecar must be started before the next), then all containers. Restarts
 * follow the policy with back-off (podium/runtime.h). When all containers ended for good, or an init container failed
 * for good, the pod completes: sidecars end, then it is finished. Ephemeral containers are started whenever they come,
 * once, and hold nothing up. A container that is held (podium/runtime.h) is not started; an init container then holds
 * those after it, another one only when it is about to come. The first starts wait for the postStart hooks of those
 * before. Source of the behaviour: the kubelet's computePodActions
 * and the sidecar enhancement (KEP-753).
 *
 * Ownership: the model owns its strings; messages in terminations are heap strings.
 */
#ifndef PODIUM_POD_LIFECYCLE_H
#define PODIUM_POD_LIFECYCLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "runtime/pod/config.h"

#define POD_CONTAINER_ID_SIZE 65

enum pod_state { POD_WAITING, POD_RUNNING, POD_TERMINATED };

struct pod_termination {
    char id[POD_CONTAINER_ID_SIZE];
    int run; /* the restart count of the run; -1: not known */
    int exit_code, signal;
    const char *reason;               /* static */
    char *message;                    /* may be NULL */
    uint64_t started_at, finished_at; /* real time */
};

struct pod_container {
    const struct pod_container_config *config;
    enum pod_state state;
    char id[POD_CONTAINER_ID_SIZE]; /* of the run that is or was; "" before the first */
    pid_t pid;                      /* running only */
    bool hooked;                    /* running, and its postStart hook is done */
    bool probed;                    /* running, and its startup probe succeeded */
    bool started;                   /* both, as far as it has them */
    bool restart_asked;             /* it is being ended in order to be restarted, whatever its exit code */
    uint64_t started_at;            /* real time */
    uint64_t started_mono;          /* monotonic */
    struct pod_termination ended;   /* state terminated */
    struct pod_termination last;    /* the run before */
    bool has_last;
    bool restart_pending; /* terminated, and to be started again at retry_at */
    uint64_t retry_at;    /* monotonic */
    uint64_t retry_at_real;
    uint64_t backoff; /* usec to wait before the restart after the next */
    int restart_count;
    int64_t allocation; /* number of the resources that the run has */
};

struct pod_model {
    const struct pod_config *config;
    struct pod_container *containers;
    size_t n;
    bool network_ready;
    bool initialized; /* all init containers did their part */
    bool stopping;
};

void pod_model_init(struct pod_model *model, const struct pod_config *config);
void pod_model_finish(struct pod_model *model);

/* Whether a container that ended with this code is started again. */
bool pod_restarts(enum pod_restart policy, const struct pod_container *c, int exit_code);
/* How often the container was restarted when it is started now. */
int pod_container_next_run(const struct pod_container *c);
/* A run begins: state running, restart count and last termination move on. */
void pod_container_began(struct pod_container *c, const char *id, pid_t pid, uint64_t now, uint64_t now_real);
/* A step of the container's start is done. */
void pod_container_hooked(struct pod_container *c);
void pod_container_probed(struct pod_container *c);
/* A run ended; takes message. Decides on restart and back-off (none when the pod is stopping). */
void pod_container_ended(struct pod_model *m, struct pod_container *c, int exit_code, int signal, const char *reason,
                         char *take_message, uint64_t now, uint64_t now_real);

struct pod_next {
    struct pod_container *start; /* start this one now, then ask again; NULL: none */
    bool initialized;            /* the new value for the model */
    bool complete;               /* nothing will be started any more: end sidecars still running */
    bool finished;               /* nothing runs and nothing will */
    uint64_t wake_at;            /* monotonic; 0: no timer needed */
};
void pod_next(const struct pod_model *m, uint64_t now, struct pod_next *ret);

/* While stopping: the container to be told to end now, NULL if none: everything but sidecars at once, then sidecars one
 * by one in reverse order. told[i]: already told. */
struct pod_container *pod_next_to_end(const struct pod_model *m, const bool *told);

#endif
