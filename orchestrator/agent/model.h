/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The agent's state, shared by its parts: agent.c (life, queue), inputs.c and refresh.c (what the control plane says),
 * pod.c, pod_units.c (what systemd says), act.c and prepare.c (actions), takeup.c (after a restart), records.c (on
 * disk), static_pods.c, network.c, node_status.c, logs.c, exec.c, forward.c, and those of the sub-folders. Nobody
 * outside this folder includes it.
 */
#ifndef PODIUM_AGENT_MODEL_H
#define PODIUM_AGENT_MODEL_H

#include <stdint.h>
#include <systemd/sd-event.h>

#include "orchestrator/agent/agent.h"
#include "orchestrator/agent/channel.h"
#include "orchestrator/agent/context.h"
#include "orchestrator/agent/node_api.h"
#include "orchestrator/agent/plan.h"
#include "orchestrator/agent/records.h"
#include "orchestrator/agent/static_pods.h"
#include "orchestrator/agent/tokens.h"
#include "orchestrator/images/images.h"
#include "orchestrator/systemd/units.h"
#include "podium/base/hashmap.h"
#include "podium/base/list.h"
#include "podium/netns.h"

struct agent_pod {
    struct agent *agent;
    char *uid, *namespace, *name, *unit;
    char *run_dir, *state_dir;
    struct list work; /* in agent->work when something changed */

    struct json *asked;      /* the document as it came; desired is that with the resources that were granted */
    struct json *allocation; /* allocation.h; NULL for static pods */
    struct json *desired;    /* NULL: taken up from disk, not named by the control plane yet */
    bool wanted, named;      /* named: in the sync going on */
    bool deleting, host_network;
    uint32_t id_base; /* of its user namespace (id_range.h); 0: none, or not chosen yet */
    int64_t grace;    /* of the deletion, or of the spec */

    enum unit_state unit_state;
    bool unit_exists, start_pending, stop_pending;
    uint64_t weight; /* its part of what the slices above it weigh (slice_weights.h); 0: none */
    uint64_t kept;   /* its part of the memory that is kept in them; 0: none */
    char *weighed_slice;

    struct channel *channel;
    int netns_fd;
    bool connected;     /* the state has come */
    struct json *state; /* the supervisor's, also the final one from disk */
    bool fresh_state;   /* this agent started the pod: tell events of all that happens */

    struct pod_problem problem; /* why it could not be started as a whole; reason NULL: none */
    struct json *held;          /* container name → {reason, message}: those that cannot be started (containers.h) */
    bool images_awaited;        /* so do some for their images (images_waiting has the words) */
    bool stale_env;             /* an object that environments are made from changed */
    char *refused_reason, *refused_message;
    bool rejected;     /* refused before anything of it was begun */
    bool disrupted;    /* refused for the node's sake */
    bool admitted;     /* the node had room for it when it came (eviction/manager.h) */
    bool ended_before; /* when it was first named it had: what the API holds of it stays */
    struct json *disk; /* what it holds there, measured last (disk_usage.h); NULL: never */
    unsigned attempts, held_attempts;
    size_t ephemeral_told; /* so many of the ephemeral containers the supervisor was told about */
    uint64_t retry_at, connect_at, stop_deadline, network_at, expires_at; /* monotonic; 0: due, or not set */
    bool stop_told, final, released, finished;
    sd_event_source *timer;
    int resize;               /* enum resize_verdict of what it asks for */
    struct json *resize_told; /* container → what its supervisor was told last; resize.c */
    uint64_t resize_at;       /* monotonic: tell it again; 0: no need */
    struct unit_limits limits;
    bool limits_told, limits_known; /* limits were told to systemd; by this agent alone */

    struct hashmap *images;      /* container name → its image's way here (images/pod_images.c); NULL: none */
    struct json *images_waiting; /* container name → {reason, message} */
    char ip[NETNS_ADDRESS_SIZE];
    uint64_t start_time;     /* real time */
    uint64_t age, age_known; /* how old it was, and (monotonic; 0: nobody asked yet) when */
    struct json *image_ids;
    struct json *status;       /* told last */
    bool status_silent;        /* nobody was told `status` since callbacks changed */
    struct pod_tokens *tokens; /* tokens.c */
    uint64_t tokens_at;        /* monotonic: look at the tokens again; 0: no need */
    bool token_wait;           /* the start waits for a token asked for: retry_at is only for lost answers */
    struct json *probe_docs;   /* probe_documents() of its containers */
    struct pod_probes *probes; /* NULL: there are none */
    struct json *health;       /* probes.h */
    struct json *last_words;   /* last_words.h */
    struct list last_words_read;
    bool is_static; /* from a file of this node (static_pods.h) */
    bool mirror_asked;
    struct list execs; /* struct agent_exec waiting for its answer (exec.c) */
};

struct agent {
    sd_event *loop;
    char *node_name, *run_dir, *state_dir, *baton, *bridge, *cluster_domain, *image_dir;
    char node_address[NETNS_ADDRESS_SIZE];
    enum agent_controllers controllers;
    unsigned controllers_missing; /* enum cgroup_controller */
    bool no_network;
    int max_pods;
    unsigned pod_pids_limit; /* 0: none */
    bool memory_qos;
    char *unsafe_sysctls;      /* sysctls.h; NULL: none */
    int64_t cpu_milli, memory; /* capacity */
    uint64_t capability_bounds;
    struct unit_manager *units;
    struct image_store *images;
    char *podium; /* the program of image workers; NULL: this one */
    struct image_pulls *pulls;
    struct image_folder *image_folder;
    struct image_collector *collector;

    struct hashmap *pods;                /* uid → struct agent_pod */
    struct hashmap *by_unit;             /* unit name → struct agent_pod, borrowed */
    struct hashmap *slice_weights;       /* slice → what its pods weigh (slice_weights.c) */
    struct hashmap *objects;             /* object_key() → struct json */
    struct service_table *service_table; /* services/table.h */
    struct hashmap *stale;               /* keys of objects not named in the sync going on; NULL outside a sync */
    bool units_known, synced;

    struct disposal *disposal;
    struct disk_usage *disk_usage;
    struct eviction *eviction;
    struct list work;
    sd_event_source *defer, *inotify, *retake, *rest, *clock;
    bool node_dirty;

    struct json *network; /* as agent_set_network() got it */
    struct agent_records *records;
    struct hashmap *mirrors; /* uid → mirror pod (static_pods.c) */
    bool mirrors_dirty;
    struct ipam *ipam;
    struct service_health *service_health; /* services/health.h; the same */
    struct datapath *datapath;             /* services/datapath.h; NULL without a network */
    struct node_dns *dns;                  /* dns/node_dns.h; NULL without a network */

    const struct agent_callbacks *callbacks;
    void *userdata;
    unsigned next_exec;
    struct http_pool *http; /* of probes and hooks; NULL before the first */
    struct list logs;       /* struct agent_log: readers to be told when a run ends */
};

/* --- agent.c --- */
void agent_pod_mark(struct agent_pod *pod); /* something changed: look at it soon */
void agent_mark_all(struct agent *agent);
void agent_node_changed(struct agent *agent);

/* --- pod.c --- */
/* A pod with its places; desired may be NULL. */
struct agent_pod *agent_pod_new(struct agent *agent, const char *uid, const char *namespace, const char *name);
void agent_pod_drop(struct agent_pod *pod); /* out of the tables, freed */
void agent_pod_free(void *pod);             /* of agent->pods only; others: agent_pod_drop() */
/* Never again on this node; the pod's phase becomes Failed. The first reason stays. */
void agent_pod_refuse(struct agent_pod *pod, const char *reason, const char *message);
/* The same for a pod that is not admitted: worded as the kubelet does. */
void agent_pod_reject(struct agent_pod *pod, const char *reason, const char *message);
/* It has to leave the node: the same, with so many seconds (or fewer, if it says so) to end. annotations: of the event,
 * may be NULL. disrupted: not for what it did itself. */
void agent_pod_evict(struct agent_pod *pod, int64_t grace, const char *message, const struct json *annotations,
                     bool disrupted);
/* Tells an event about the pod, or, container not NULL, about that container of it. type: "Normal" or "Warning". */
void agent_event(struct agent_pod *pod, const char *container, const char *type, const char *reason, const char *fmt,
                 ...) _printf_(5, 6);
/* What the pod's documents are made from; all of it borrowed. */
void agent_pod_context(const struct agent_pod *pod, struct pod_context *ret);

/* --- pod_units.c --- */
void agent_follow_units(struct agent *agent); /* from now on what units do marks pods */
/* The pod's unit has ended, or has never been: reads the final state; to be started again where that is wanted. */
void agent_pod_unit_gone(struct agent_pod *pod);

/* --- inputs.c --- */
/* Gives back what is held for pods that are no longer known: folders, image pins, addresses, links. */
void agent_retain(struct agent *agent);

/* --- refresh.c --- */
/* Writes the content of a running pod's volumes again where it changed. */
void agent_pod_refresh_volumes(struct agent_pod *pod);
/* A ConfigMap or Secret came, changed or went; kind NULL: any of them. */
void agent_objects_changed(struct agent *agent, const char *kind, const char *namespace, const char *name);
/* Whether a downward API volume of the newer document shows something that differs. */
bool agent_shown_metadata_differs(const struct json *a, const struct json *b);

/* --- act.c --- */
void act(struct agent_pod *pod, enum plan_action action);
void act_tell_status(struct agent_pod *pod);
/* The supervisor's state file, into pod->state when it is of this pod. */
void act_read_state(struct agent_pod *pod);

/* --- prepare.c --- */
/* Everything on disk for the pod's unit: volumes, files, pod.json. -EAGAIN with pod->problem, or, when no container can
 * be started, with what containers_build() left. */
int prepare_pod(struct agent_pod *pod) _must_check_;
/* A running pod's pod.json once more: containers that were held back or added, environments; *ret_changed: there is
 * something for the supervisor. -EAGAIN with pod->problem. */
int prepare_again(struct agent_pod *pod, bool *ret_changed) _must_check_;
bool reload_due(const struct agent_pod *pod);

/* --- takeup.c --- */
/* Makes pods of the run folders left by an earlier agent and asks systemd which units there are. */
int takeup_begin(struct agent *agent, struct error *err) _must_check_;

/* --- network.c --- */
/* The network with what agent_update_peers() says of its peers; new. Pure. */
struct json *network_peers_changed(const struct json *network, const struct json *changes);
int agent_network_address(struct agent_pod *pod, struct error *err) _must_check_; /* allocates pod->ip */
int agent_network_attach(struct agent_pod *pod, struct error *err) _must_check_;
void agent_network_release(struct agent_pod *pod);
bool agent_network_known(const struct agent_pod *pod);
void agent_network_restore(void *agent); /* datapath_restore */

/* --- node_status.c --- */
void node_capacity(struct agent *agent);
bool agent_keeps_memory(const struct agent *agent);      /* MemoryQoS, and the controller is there */
int64_t node_memory_for_pods(const struct agent *agent); /* allocatable, bytes */

/* --- logs.c --- */
void agent_logs_pod_changed(const struct agent_pod *pod); /* a run that is followed may have ended */

/* --- exec.c --- */
void agent_exec_started(struct agent_pod *pod, const char *id, int take_console_fd);
void agent_exec_ended(struct agent_pod *pod, const char *id, int exit_code, const char *error);
void agent_exec_abandon(struct agent_pod *pod, const char *why);
void agent_exec_kill(struct agent_exec *exec, int signal); /* the program, when its pod still can be told */

#endif
