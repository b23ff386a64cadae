/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Scheduling decisions per second: cache, queue and the pure cycle, no API.
 *
 *   sched_bench [NODES=5000] [PODS=50000] [OWNERS=100]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "orchestrator/scheduler/cache.h"
#include "orchestrator/scheduler/cycle.h"
#include "orchestrator/scheduler/queue.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/random.h"
#include "tests/bench/record.h"

static struct json *parse(const char *text) {
    struct json *v;

    if (json_parse(text, strlen(text), NULL, &v, NULL) < 0)
        abort();
    return v;
}

static void add_node(struct sched_cache *c, int i) {
    _cleanup_free_ char *text = xasprintf(
        "{\"metadata\":{\"name\":\"node-%05d\",\"labels\":{\"kubernetes.io/hostname\":\"node-%05d\",\"zone\":\"z%d\"}},"
        "\"spec\":{},\"status\":{\"allocatable\":{\"cpu\":\"32\",\"memory\":\"128Gi\",\"ephemeral-storage\":\"100Gi\","
        "\"pods\":\"110\"}}}",
        i, i, i % 3);
    _cleanup_json_ struct json *doc = parse(text);

    (void) sched_cache_set_node(c, doc);
}

static struct pod_info *make_pod(int i, int owners, const char *extra) {
    _cleanup_free_ char *text = xasprintf(
        "{\"metadata\":{\"name\":\"pod-%07d\",\"namespace\":\"bench\",\"uid\":\"uid-%d\",\"ownerReferences\":[{\"uid\":"
        "\"rs-%d\",\"controller\":true}]},\"spec\":{\"containers\":[{\"name\":\"c\",\"resources\":{\"requests\":{"
        "\"cpu\":"
        "\"100m\",\"memory\":\"200Mi\"}}}]%s}}",
        i, i, i % owners, extra);
    _cleanup_json_ struct json *doc = parse(text);

    return pod_info_new(doc);
}

static void run(int n_nodes, int n_pods, int owners, const char *what, const char *extra) {
    _cleanup_(sched_cache_freep) struct sched_cache *c = sched_cache_new();
    _cleanup_(sched_queue_freep) struct sched_queue *queue = sched_queue_new();
    struct sched_scratch scratch = {0};
    struct sched_choice choice;
    struct sched_request q = {0};
    int placed = 0;

    for (int i = 0; i < n_nodes; i++)
        add_node(c, i);
    for (int i = 0; i < n_pods; i++)
        sched_queue_put(queue, make_pod(i, owners, extra), 0);
    uint64_t start = now_monotonic_usec();
    while ((q.pod = sched_queue_pop(queue, start))) {
        q.random = random_u64();
        q.nodes = sched_cache_nodes(c, &q.n_nodes);
        sched_cycle(&q, &scratch, &choice);
        q.start = choice.next_start;
        if (!choice.node) {
            sched_queue_unschedulable(queue, q.pod->key, scratch.refusals.plugins, start);
            continue;
        }
        sched_cache_assume(c, q.pod, choice.node->name);
        sched_queue_remove(queue, q.pod->key);
        placed++;
    }
    double took = (double) (now_monotonic_usec() - start) / USEC_PER_SEC;
    _cleanup_free_ char *name = xasprintf("cycle, %s, %d nodes", what, n_nodes);
    record("sched", name, n_pods / took, "1/s", NULL);
    printf("%-32s %d nodes, %d pods: %.0f pods/s, %d placed\n", what, n_nodes, n_pods, n_pods / took, placed);
    sched_scratch_finish(&scratch);
}

int main(int argc, char **argv) {
    int nodes = argc > 1 ? atoi(argv[1]) : 5000, pods = argc > 2 ? atoi(argv[2]) : 50000;
    int owners = argc > 3 ? atoi(argv[3]) : 100;

    run(nodes, pods, owners, "plain", "");
    run(nodes, pods, owners, "node selector (a third)", ",\"nodeSelector\":{\"zone\":\"z1\"}");
    run(nodes, pods / 10, owners, "refused everywhere", ",\"nodeSelector\":{\"zone\":\"none\"}");
    return 0;
}
