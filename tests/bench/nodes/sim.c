/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/bench/nodes/sim.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "orchestrator/link/agent_link.h"
#include "orchestrator/object/timestamp.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/hashmap.h"
#include "podium/base/log.h"

struct command {
    bool connect; /* else: vanish */
    unsigned from, to;
};

struct sim_pod {
    char *ns, *name, *qos;
    unsigned address; /* last byte of its address */
    uint64_t since;   /* real time */
    struct json *containers;
    bool seen; /* in the resync under way */
};

struct sim_node {
    struct process *process;
    struct agent_link *link;
    char name[16], address[24], range[16]; /* range: its pods' addresses up to the last dot */
    struct hashmap *pods;                  /* uid → struct sim_pod */
    unsigned next_address;
    bool synced, syncing, leaving;
};

struct process {
    sd_event *loop;
    struct reactor *reactor;
    const char *server;
    struct sim_counts *counts;
    struct sim_node **nodes;
    unsigned n_nodes;
};

static void pod_free(void *p) {
    struct sim_pod *pod = p;

    free(pod->ns);
    free(pod->name);
    free(pod->qos);
    json_unref(pod->containers);
    free(pod);
}

/* --- what a node says --- */

static struct json *parse(const struct strbuf *text) {
    struct json *v = NULL;

    if (json_parse(text->data, text->len, NULL, &v, NULL) < 0)
        abort();
    return v;
}

static void add_conditions(struct strbuf *out, const char *when, const char *const (*all)[3], size_t n) {
    strbuf_adds(out, "\"conditions\":[");
    for (size_t i = 0; i < n; i++) {
        strbuf_addf(out, "%s{\"type\":\"%s\",\"status\":\"%s\",\"lastTransitionTime\":\"%s\"", i ? "," : "", all[i][0],
                    all[i][1], when);
        if (all[i][2])
            strbuf_addf(out, ",\"reason\":\"%s\",\"message\":\"simulated\",\"lastHeartbeatTime\":\"%s\"", all[i][2],
                        when);
        else
            strbuf_adds(out, ",\"lastProbeTime\":null");
        strbuf_adds(out, "}");
    }
    strbuf_adds(out, "]");
}

/* As agent/node_status.c makes it. */
static struct json *on_node_status(void *userdata) {
    static const char *const conditions[][3] = {
        {"MemoryPressure", "False", "KubeletHasSufficientMemory"},
        {"DiskPressure", "False", "KubeletHasNoDiskPressure"},
        {"PIDPressure", "False", "KubeletHasSufficientPID"},
        {"Ready", "True", "KubeletReady"},
    };
    const struct sim_node *n = userdata;
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    char now[TIMESTAMP_SIZE];

    timestamp_format(now_realtime_usec(), now);
    strbuf_adds(&text, "{");
    for (int i = 0; i < 2; i++)
        strbuf_addf(&text,
                    "\"%s\":{\"cpu\":\"32\",\"memory\":\"%dKi\",\"ephemeral-storage\":\"102400000Ki\",\"pods\":"
                    "\"110\",\"hugepages-1Gi\":\"0\",\"hugepages-2Mi\":\"0\"},",
                    i ? "allocatable" : "capacity", 128 * 1024 * 1024 - i * 102400);
    add_conditions(&text, now, conditions, ARRAY_LEN(conditions));
    strbuf_addf(&text,
                ",\"addresses\":[{\"type\":\"InternalIP\",\"address\":\"%s\"},{\"type\":\"Hostname\",\"address\":"
                "\"%s\"}],\"nodeInfo\":{\"machineID\":\"0123456789abcdef0123456789abcdef\",\"systemUUID\":\"%s\","
                "\"bootID\":\"b4b0dc9f-3f3c-4ad8-9b0a-9ee6e9bcab9f\",\"kernelVersion\":\"6.1.0\",\"osImage\":"
                "\"Simulated\",\"containerRuntimeVersion\":\"baton://1.0\",\"kubeletVersion\":\"v1.32.0-podium\","
                "\"kubeProxyVersion\":\"v1.32.0-podium\",\"operatingSystem\":\"linux\",\"architecture\":\"amd64\"},"
                "\"images\":[],\"daemonEndpoints\":{\"kubeletEndpoint\":{\"Port\":0}}}",
                n->address, n->name, n->name);
    return parse(&text);
}

static struct json *on_node_labels(void *userdata) {
    const struct sim_node *n = userdata;
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    strbuf_addf(&text,
                "{\"kubernetes.io/hostname\":\"%s\",\"kubernetes.io/os\":\"linux\",\"kubernetes.io/arch\":\"amd64\"}",
                n->name);
    return parse(&text);
}

/* As agent/status.c makes it of a pod whose containers all run, with what Go writes although it is empty: what the
 * server would add is told again and again otherwise (node_writes.c). */
static struct json *pod_status(const struct sim_node *n, const char *uid, const struct sim_pod *pod) {
    static const char *const conditions[][3] = {
        {"PodReadyToStartContainers", "True", NULL}, {"Initialized", "True", NULL},  {"Ready", "True", NULL},
        {"ContainersReady", "True", NULL},           {"PodScheduled", "True", NULL},
    };
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    char when[TIMESTAMP_SIZE];

    timestamp_format(pod->since, when);
    strbuf_adds(&text, "{\"phase\":\"Running\",");
    add_conditions(&text, when, conditions, ARRAY_LEN(conditions));
    strbuf_addf(&text, ",\"hostIP\":\"%s\",\"hostIPs\":[{\"ip\":\"%s\"}],\"startTime\":\"%s\"", n->address, n->address,
                when);
    if (*n->range)
        strbuf_addf(&text, ",\"podIP\":\"%s.%u\",\"podIPs\":[{\"ip\":\"%s.%u\"}]", n->range, pod->address, n->range,
                    pod->address);
    strbuf_adds(&text, ",\"containerStatuses\":[");
    for (size_t i = 0; i < json_len(pod->containers); i++) {
        const struct json *c = json_at(pod->containers, i);
        strbuf_addf(&text,
                    "%s{\"name\":\"%s\",\"image\":\"%s\",\"imageID\":\"sha256:0123456789abcdef0123456789abcdef\","
                    "\"containerID\":\"baton://%s/%zu\",\"ready\":true,\"started\":true,\"restartCount\":0,\"state\":{"
                    "\"running\":{\"startedAt\":\"%s\"}},\"lastState\":{}}",
                    i ? "," : "", json_str_or(json_get(c, "name"), ""), json_str_or(json_get(c, "image"), ""), uid, i,
                    when);
    }
    strbuf_addf(&text, "],\"qosClass\":\"%s\"}", pod->qos);
    return parse(&text);
}

static void tell(struct sim_node *n, const char *uid, const struct sim_pod *pod) {
    _cleanup_json_ struct json *status = pod_status(n, uid, pod);

    agent_link_pod_status(n->link, pod->ns, pod->name, uid, status);
    atomic_fetch_add(&n->process->counts->told, 1);
}

/* --- what a node is told --- */

static void note_applied(const struct sim_node *n, const char *name) {
    char *end;

    if (strncmp(name, SIM_POD_PREFIX, strlen(SIM_POD_PREFIX)) != 0)
        return;
    unsigned long i = strtoul(name + strlen(SIM_POD_PREFIX), &end, 10);
    if (*end == 0 && i < SIM_PODS_MAX)
        atomic_store(&n->process->counts->applied[i], now_monotonic_usec());
}

static void drop(struct sim_node *n, const char *uid) {
    if (hashmap_remove(n->pods, uid))
        atomic_fetch_sub(&n->process->counts->pods, 1);
}

static int on_apply_pod(void *userdata, const struct json *pod, struct error *err) {
    struct sim_node *n = userdata;
    const struct json *meta = json_get(pod, "metadata");
    const char *uid = json_str_or(json_get(meta, "uid"), ""), *name = json_str_or(json_get(meta, "name"), "");
    const char *ns = json_str_or(json_get(meta, "namespace"), "");
    struct sim_pod *known = hashmap_get(n->pods, uid);

    if (json_get(meta, "deletionTimestamp")) {
        agent_link_pod_finished(n->link, ns, name, uid);
        atomic_fetch_add(&n->process->counts->finished, 1);
        drop(n, uid);
        return 0;
    }
    if (known) {
        known->seen = true;
        return 0;
    }
    known = xnew0(struct sim_pod);
    *known = (struct sim_pod){.ns = xstrdup(ns),
                              .name = xstrdup(name),
                              .qos = xstrdup(json_str_or(json_path(pod, "status", "qosClass"), "BestEffort")),
                              .address = 2 + n->next_address++ % 250,
                              .since = now_realtime_usec(),
                              .containers = json_ref(json_path(pod, "spec", "containers")),
                              .seen = true};
    hashmap_put(n->pods, uid, known);
    atomic_fetch_add(&n->process->counts->pods, 1);
    note_applied(n, name);
    tell(n, uid, known);
    return 0;
}

static void on_remove_pod(void *userdata, const char *uid) {
    drop(userdata, uid);
}

static void tell_all(struct sim_node *n) {
    struct hashmap_iter it = {0};

    while (hashmap_next(n->pods, &it))
        tell(n, it.key, it.value);
}

static void on_sync_begin(void *userdata) {
    struct sim_node *n = userdata;
    struct hashmap_iter it = {0};

    n->syncing = true;
    while (hashmap_next(n->pods, &it))
        ((struct sim_pod *) it.value)->seen = false;
}

static void on_sync_end(void *userdata) {
    struct sim_node *n = userdata;
    struct hashmap_iter it = {0};

    while (n->syncing && hashmap_next(n->pods, &it))
        if (!((struct sim_pod *) it.value)->seen)
            drop(n, it.key);
    n->syncing = false;
    if (!n->synced)
        atomic_fetch_add(&n->process->counts->synced, 1);
    n->synced = true;
    tell_all(n);
}

static void on_connected(void *userdata, bool connected) {
    struct sim_node *n = userdata;
    struct sim_counts *counts = n->process->counts;

    if (connected) {
        atomic_fetch_add(&counts->registered, 1);
    } else {
        atomic_fetch_sub(&counts->registered, 1);
        atomic_fetch_add(&counts->disconnects, !n->leaving);
        if (n->synced)
            atomic_fetch_sub(&counts->synced, 1);
        n->synced = false;
    }
}

/* Looked for, not parsed: of thousands of nodes here each gets the routes to all of them. */
static int on_set_network(void *userdata, const char *network, struct error *err) {
    struct sim_node *n = userdata;
    static const char key[] = "\"podCIDR\":\"";
    const char *range = strstr(network, key), *end = range ? strchr(range + strlen(key), '/') : NULL;

    atomic_fetch_add(&n->process->counts->network, 1);
    if (!end)
        return error_set(err, -EINVAL, "no pod range");
    range += strlen(key);
    while (end > range && *--end != '.')
        ;
    snprintf(n->range, sizeof(n->range), "%.*s", (int) (end - range), range);
    return 0;
}

static int on_update_peers(void *userdata, const char *changes, struct error *err) {
    const struct sim_node *n = userdata;

    atomic_fetch_add(&n->process->counts->network, 1);
    return 0;
}

static void on_object(void *userdata, const struct json *object) {
}

static void on_no_object(void *userdata, const char *kind, const char *ns, const char *name) {
}

static int on_open(void *userdata, struct link_stream *stream, const struct json *options, void **ret_userdata,
                   struct error *err) {
    return error_set(err, -EOPNOTSUPP, "this node is simulated");
}

static void on_token(void *userdata, const char *uid, const char *audience, int64_t seconds, const char *token,
                     const char *expires, const char *error) {
}

static struct json *on_list_pods(void *userdata) {
    return json_array();
}

static const struct agent_link_handler handler = {
    .connected = on_connected,
    .sync_begin = on_sync_begin,
    .sync_end = on_sync_end,
    .apply_pod = on_apply_pod,
    .remove_pod = on_remove_pod,
    .retell = (void (*)(void *)) tell_all,
    .apply_object = on_object,
    .remove_object = on_no_object,
    .set_network = on_set_network,
    .update_peers = on_update_peers,
    .node_status = on_node_status,
    .node_labels = on_node_labels,
    .open_log = on_open,
    .open_exec = on_open,
    .open_forward = on_open,
    .open_query = on_open,
    .token = on_token,
    .list_pods = on_list_pods,
};

/* --- the process --- */

static void node_connect(struct process *p, unsigned i) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct sim_node *n = xnew0(struct sim_node);
    const struct agent_link_options o = {
        .server = p->server, .node_name = n->name, .version = "simulated", .reactor = p->reactor};

    n->process = p;
    snprintf(n->name, sizeof(n->name), SIM_NODE_FORMAT, i);
    snprintf(n->address, sizeof(n->address), "100.%u.%u.%u", 64 + (i >> 16 & 63), i >> 8 & 255, i & 255);
    n->pods = hashmap_new(pod_free);
    p->nodes[i] = n;
    int r = agent_link_new(p->loop, &o, &handler, n, &n->link, &err);
    if (r < 0) {
        fprintf(stderr, "node %u: %s\n", i, error_text(&err, r));
        exit(1);
    }
}

static void node_vanish(struct process *p, unsigned i) {
    struct sim_node *n = steal(&p->nodes[i]);

    if (!n)
        return;
    n->leaving = true;
    agent_link_free(n->link);
    atomic_fetch_sub(&p->counts->pods, (unsigned) hashmap_len(n->pods));
    hashmap_free(n->pods);
    free(n);
}

static int on_command(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
    struct process *p = userdata;
    struct command c;

    ssize_t n = read(fd, &c, sizeof(c));
    if (n != sizeof(c))
        return sd_event_exit(p->loop, 0);
    if (c.to > p->n_nodes) {
        p->nodes = xreallocarray(p->nodes, c.to, sizeof(*p->nodes));
        memset(p->nodes + p->n_nodes, 0, (c.to - p->n_nodes) * sizeof(*p->nodes));
        p->n_nodes = c.to;
    }
    for (unsigned i = c.from; i < c.to; i++)
        if (!c.connect)
            node_vanish(p, i);
        else if (!p->nodes[i])
            node_connect(p, i);
    return 0;
}

static int run(struct sim_counts *counts, const char *server, int commands) {
    struct process p = {.server = server, .counts = counts};

    log_set_level(LOG_LEVEL_ERROR);
    (void) signal(SIGPIPE, SIG_IGN);
    if (sd_event_default(&p.loop) < 0 || reactor_new(p.loop, &p.reactor, NULL) < 0 ||
        sd_event_add_io(p.loop, NULL, commands, EPOLLIN, on_command, &p) < 0)
        return 1;
    int r = sd_event_loop(p.loop);
    for (unsigned i = 0; i < p.n_nodes; i++)
        node_vanish(&p, i);
    free(p.nodes);
    reactor_free(p.reactor);
    sd_event_unref(p.loop);
    return r < 0;
}

bool sim_start(struct sim *s, const char *server) {
    int ends[2];

    *s = (struct sim){
        .counts = mmap(NULL, sizeof(struct sim_counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)};
    if (s->counts == MAP_FAILED || pipe2(ends, O_CLOEXEC) < 0) {
        fprintf(stderr, "simulated nodes: %s\n", strerror(errno));
        return false;
    }
    s->pid = fork();
    if (s->pid == 0) {
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void) close(ends[1]);
        _exit(run(s->counts, server, ends[0]));
    }
    (void) close(ends[0]);
    s->pipe = ends[1];
    return s->pid > 0;
}

static void command(struct sim *s, bool connect, unsigned from, unsigned to) {
    const struct command c = {connect, from, to};

    if (write(s->pipe, &c, sizeof(c)) != sizeof(c))
        fprintf(stderr, "simulated nodes: gone\n");
}

void sim_connect(struct sim *s, unsigned from, unsigned to) {
    command(s, true, from, to);
}

void sim_vanish(struct sim *s, unsigned from, unsigned to) {
    command(s, false, from, to);
}

void sim_stop(struct sim *s) {
    if (s->pid > 0) {
        (void) close(s->pipe);
        (void) waitpid(s->pid, NULL, 0);
        (void) munmap(s->counts, sizeof(*s->counts));
    }
    *s = (struct sim){0};
}
