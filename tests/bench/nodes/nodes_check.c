/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fifty simulated nodes and five hundred pods, as a test: what a server with many nodes owes them. Each step needs what
 * those before it left. usage: nodes_check PODIUM FOLDER; says what it finds, ends with 0 when all of it holds.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "podium/base/alloc.h"
#include "podium/base/hashmap.h"
#include "podium/base/json.h"
#include "tests/bench/nodes/cluster.h"

#define NODES    50u
#define PODS     500u
#define PATIENCE 60.0
#define REPLICAS 100u
#define GONE     5u /* nodes that vanish */

static bool nodes_register(struct cluster *c) {
    sim_connect(&c->sim, 0, NODES);
    return cluster_await("nodes that are synced", &c->sim.counts->synced, NODES, PATIENCE) &&
           cluster_await("nodes that are ready", &c->ready, NODES, PATIENCE) &&
           cluster_count(c, "/api/v1/nodes") == NODES;
}

static bool pods_run(struct cluster *c) {
    struct pod_maker maker = {.cluster = c};
    struct load l = {.connections = 16, .number = PODS, .request = make_pod, .userdata = &maker};
    struct load_result r;

    bool ok = load_run(&c->server.target, &l, &r);
    strbuf_finish(&maker.body);
    return ok && cluster_await_exactly("pods that are Running", &c->running, PODS, PATIENCE) &&
           cluster_await_exactly("pods on nodes", &c->sim.counts->pods, PODS, PATIENCE);
}

/* Each pod has a node and an address of its own; no node has more than twice its share. */
static bool pods_are_spread(struct cluster *c) {
    _cleanup_strbuf_ struct strbuf body = STRBUF_INIT;
    _cleanup_json_ struct json *list = NULL;
    _cleanup_(hashmap_freep) struct hashmap *addresses = hashmap_new(NULL);
    unsigned of_node[NODES] = {0}, node;

    if (cluster_call(c, "GET", CLUSTER_PODS, NULL, &body) != 200 ||
        json_parse(body.data, body.len, NULL, &list, NULL) < 0 || json_len(json_get(list, "items")) != PODS)
        return fprintf(stderr, "the pods cannot be listed\n"), false;
    for (size_t i = 0; i < PODS; i++) {
        const struct json *pod = json_at(json_get(list, "items"), i);
        const char *ip = json_str_or(json_path(pod, "status", "podIP"), "");
        if (sscanf(json_str_or(json_path(pod, "spec", "nodeName"), ""), SIM_NODE_FORMAT, &node) != 1 || node >= NODES ||
            !*ip || hashmap_has(addresses, ip))
            return fprintf(stderr, "a pod has no node or no address of its own (%s)\n", ip), false;
        hashmap_put(addresses, ip, NULL);
        if (++of_node[node] > 2 * PODS / NODES)
            return fprintf(stderr, "node %u has more than %u pods\n", node, 2 * PODS / NODES), false;
    }
    return true;
}

static bool nodes_come_back_to_a_new_server(struct cluster *c) {
    return cluster_restart_server(c) &&
           cluster_await_exactly("nodes that are synced again", &c->sim.counts->synced, NODES, PATIENCE) &&
           cluster_await_exactly("pods that still run", &c->running, PODS, PATIENCE) &&
           cluster_await_exactly("pods on nodes", &c->sim.counts->pods, PODS, PATIENCE) &&
           cluster_await_exactly("nodes that are ready", &c->ready, NODES, PATIENCE);
}

static bool nothing_is_left_of_deleted_pods(struct cluster *c) {
    unsigned left = 1;

    if (cluster_call(c, "DELETE", CLUSTER_PODS "?gracePeriodSeconds=1", NULL, NULL) != 200 ||
        !cluster_await_exactly("pods on nodes", &c->sim.counts->pods, 0, PATIENCE))
        return false;
    for (int i = 0; i < 1000 && left; i++) {
        left = (unsigned) cluster_count(c, CLUSTER_PODS);
        (void) usleep(left ? 10000 : 0);
    }
    return left == 0 || (fprintf(stderr, "%u pods are left\n", left), false);
}

/* Five nodes vanish; their pods run elsewhere, and the nodes are said to be lost. */
static bool lost_pods_are_replaced(struct cluster *c) {
    _cleanup_free_ char *body = xasprintf(
        "{\"apiVersion\":\"apps/v1\",\"kind\":\"ReplicaSet\",\"metadata\":{\"name\":\"rs\"},\"spec\":{\"replicas\":%u,"
        "\"selector\":{\"matchLabels\":{\"app\":\"rs\"}},\"template\":{\"metadata\":{\"labels\":{\"app\":\"rs\"}},"
        "\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"web\"}]}}}}",
        REPLICAS);
    unsigned before = atomic_load(&c->running);

    if (cluster_call(c, "POST", "/apis/apps/v1/namespaces/" CLUSTER_NAMESPACE "/replicasets", body, NULL) != 201 ||
        !cluster_await("pods that are Running", &c->running, before + REPLICAS, PATIENCE) ||
        !cluster_await_exactly("pods on nodes", &c->sim.counts->pods, REPLICAS, PATIENCE))
        return false;
    sim_vanish(&c->sim, NODES - GONE, NODES);
    return cluster_await_exactly("nodes that are ready", &c->ready, NODES - GONE, PATIENCE) &&
           cluster_await_exactly("pods on the nodes that are left", &c->sim.counts->pods, REPLICAS, PATIENCE);
}

int main(int argc, char **argv) {
    static const char *const options[] = {"--cluster-cidr",
                                          "10.0.0.0/16",
                                          "--service-cidr",
                                          "172.20.0.0/16",
                                          "--node-heartbeat",
                                          "1",
                                          "--node-grace",
                                          "5",
                                          "--eviction",
                                          "1",
                                          "--log-level",
                                          "warning",
                                          NULL};
    static const struct {
        const char *name;
        bool (*run)(struct cluster *c);
    } steps[] = {
        {"nodes register", nodes_register},
        {"pods run", pods_run},
        {"pods are spread", pods_are_spread},
        {"nodes come back to a new server", nodes_come_back_to_a_new_server},
        {"nothing is left of deleted pods", nothing_is_left_of_deleted_pods},
        {"lost pods are replaced", lost_pods_are_replaced},
    };
    struct cluster c;

    if (argc < 3)
        return fputs("usage: nodes_check PODIUM FOLDER\n", stderr), 2;
    (void) signal(SIGPIPE, SIG_IGN);
    bool ok = cluster_start(&c, argv[1], argv[2], options);
    for (size_t i = 0; ok && i < ARRAY_LEN(steps); i++) {
        ok = steps[i].run(&c);
        printf("%s: %s\n", steps[i].name, ok ? "yes" : "no");
        (void) fflush(stdout);
    }
    cluster_stop(&c);
    return ok ? 0 : 1;
}
