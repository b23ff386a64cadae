/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a node tells of itself, in kubelets' forms, out of figures that are made up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "orchestrator/agent/queries/reports.h"
#include "podium/base/clock.h"

#define MIB (1024ull * 1024ull)

static void test_statistics(void **state) {
    static const char text[] =
        "{\"memory\":{\"current\":1000,\"max\":5000,\"stat\":{\"anon\":300,\"inactive_file\":400,"
        "\"pgfault\":7,\"pgmajfault\":2}},\"cpu\":{\"stat\":{\"usage_usec\":42}},"
        "\"pids\":{\"current\":3}}";
    _cleanup_json_ struct json *doc = NULL, *nothing = json_object();
    struct usage u;

    assert_int_equal(json_parse(text, strlen(text), NULL, &doc, NULL), 0);
    usage_of_statistics(doc, &u);
    assert_true(u.has_cpu && u.has_memory && u.has_processes);
    assert_int_equal(u.cpu_usec, 42);
    assert_int_equal(u.memory, 1000);
    assert_int_equal(u.working_set, 600);
    assert_int_equal(u.rss, 300);
    assert_int_equal(u.memory_limit, 5000);
    assert_int_equal(u.faults, 7);
    assert_int_equal(u.major_faults, 2);
    assert_int_equal(u.processes, 3);
    usage_of_statistics(nothing, &u); /* no controllers at all */
    assert_false(u.has_cpu || u.has_memory || u.has_processes);
}

static void test_interfaces(void **state) {
    struct network_usage u;

    network_usage_parse("Inter-|   Receive                                                |  Transmit\n"
                        " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop\n"
                        "    lo:    9 1 0 0 0 0 0 0 9 1 0 0 0 0 0 0\n"
                        "  eth0: 1234 5 6 0 0 0 0 0 789 4 3 0 0 0 0 0\n"
                        "eth1:1 1 1 1 1 1 1 1 2 2 2 2 2 2 2 2",
                        &u);
    assert_int_equal(u.n, 2);
    assert_string_equal(u.interfaces[0].name, "eth0");
    assert_int_equal(u.interfaces[0].rx_bytes, 1234);
    assert_int_equal(u.interfaces[0].rx_errors, 6);
    assert_int_equal(u.interfaces[0].tx_bytes, 789);
    assert_int_equal(u.interfaces[0].tx_errors, 3);
    assert_string_equal(u.interfaces[1].name, "eth1");
    assert_int_equal(u.interfaces[1].tx_bytes, 2);
    free(u.interfaces);
}

/* A pod with a running container and one that has ended, and a pod whose unit has. */
struct sample {
    struct container_usage containers[2];
    struct interface_usage eth0;
    struct pod_usage pods[2];
    struct node_usage node;
};

static void sample_init(struct sample *s) {
    memset(s, 0, sizeof(*s));
    s->containers[0] = (struct container_usage){.name = "web",
                                                .running = true,
                                                .started = 86400 * USEC_PER_SEC,
                                                .restarts = 2,
                                                .usage = {.has_cpu = true,
                                                          .has_memory = true,
                                                          .cpu_usec = 1500000,
                                                          .memory = 30 * MIB,
                                                          .working_set = 20 * MIB,
                                                          .memory_limit = 64 * MIB}};
    s->containers[1] = (struct container_usage){.name = "init"};
    s->eth0 = (struct interface_usage){.name = "eth0", .rx_bytes = 11, .tx_bytes = 22};
    s->pods[0] =
        (struct pod_usage){.ns = "shop",
                           .name = "a",
                           .uid = "u1",
                           .running = true,
                           .started = 86399 * USEC_PER_SEC,
                           .usage = {.has_cpu = true, .cpu_usec = 2000000, .has_processes = true, .processes = 4},
                           .network = {&s->eth0, 1},
                           .containers = s->containers,
                           .n_containers = 2};
    s->pods[1] = (struct pod_usage){.ns = "shop", .name = "ended", .uid = "u2"};
    s->node =
        (struct node_usage){.name = "n1",
                            .now = 86500 * USEC_PER_SEC,
                            .booted = 1 * USEC_PER_SEC,
                            .usage = {.has_cpu = true, .cpu_usec = 9000000},
                            .disk = {.known = true, .capacity = 100, .available = 40, .inodes = 10, .inodes_free = 9},
                            .pods = s->pods,
                            .n_pods = 2};
}

static void test_summary(void **state) {
    struct sample s;

    sample_init(&s);
    _cleanup_json_ struct json *o = summary_make(&s.node);
    const struct json *node = json_get(o, "node"), *pods = json_get(o, "pods"), *a = json_at(pods, 0);
    assert_true(json_get_is(node, "nodeName", "n1"));
    assert_true(json_get_is(node, "startTime", "1970-01-01T00:00:01Z"));
    assert_int_equal(json_int_or(json_path(node, "cpu", "usageCoreNanoSeconds"), 0), 9000000000);
    assert_null(json_get(node, "memory")); /* unknown is not zero */
    assert_int_equal(json_int_or(json_path(node, "fs", "usedBytes"), 0), 60);
    assert_int_equal(json_int_or(json_path(node, "runtime", "imageFs", "inodesUsed"), 0), 1);
    assert_int_equal(json_len(pods), 1);
    assert_true(json_get_is(json_get(a, "podRef"), "namespace", "shop"));
    assert_true(json_get_is(json_get(a, "podRef"), "uid", "u1"));
    assert_int_equal(json_int_or(json_path(a, "process_stats", "process_count"), 0), 4);
    assert_int_equal(json_int_or(json_path(a, "network", "txBytes"), 0), 22);
    assert_int_equal(json_len(json_path(a, "network", "interfaces")), 1);
    const struct json *web = json_at(json_get(a, "containers"), 0);
    assert_int_equal(json_len(json_get(a, "containers")), 1);
    assert_true(json_get_is(web, "startTime", "1970-01-02T00:00:00Z"));
    assert_int_equal(json_int_or(json_path(web, "memory", "workingSetBytes"), 0), 20 * MIB);
    assert_int_equal(json_int_or(json_path(web, "memory", "availableBytes"), 0), 44 * MIB);
}

static void test_resource_metrics(void **state) {
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    struct sample s;

    sample_init(&s);
    metrics_write_resources(&s.node, &b);
    const char *t = strbuf_str(&b);
    assert_non_null(strstr(t, "# TYPE container_cpu_usage_seconds_total counter\n"
                              "container_cpu_usage_seconds_total{container=\"web\",namespace=\"shop\",pod=\"a\"} 1.5 "
                              "86500000\n"));
    assert_non_null(strstr(t, "\npod_cpu_usage_seconds_total{namespace=\"shop\",pod=\"a\"} 2 86500000\n"));
    assert_non_null(strstr(t, "\nnode_cpu_usage_seconds_total 9 86500000\n"));
    assert_non_null(strstr(t, "\ncontainer_memory_working_set_bytes{container=\"web\",namespace=\"shop\",pod=\"a\"} "
                              "20971520 86500000\n"));
    assert_null(strstr(t, "\nnode_memory_working_set_bytes "));
    assert_non_null(
        strstr(t, "\ncontainer_start_time_seconds{container=\"web\",namespace=\"shop\",pod=\"a\"} 86400\n"));
    assert_non_null(strstr(t, "\nscrape_error 0\n"));
    assert_null(strstr(t, "container=\"init\""));
}

static void test_container_metrics(void **state) {
    static const char text[] = "{\"pressure\":{\"memory\":{\"some\":{\"total\":1500000},\"full\":{\"total\":250000}}}}";
    _cleanup_json_ struct json *statistics = NULL;
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    struct usage pressed;
    struct sample s;

    assert_int_equal(json_parse(text, strlen(text), NULL, &statistics, NULL), 0);
    usage_of_statistics(statistics, &pressed);
    sample_init(&s);
    s.node.pods[0].containers[0].usage.memory_pressure = pressed.memory_pressure;
    s.node.usage.memory_pressure = pressed.memory_pressure;
    metrics_write_containers(&s.node, &b);
    const char *t = strbuf_str(&b);
    assert_non_null(strstr(t, "# TYPE container_pressure_memory_waiting_seconds_total counter\n"
                              "container_pressure_memory_waiting_seconds_total{container=\"web\",namespace=\"shop\","
                              "pod=\"a\"} 1.5 86500000\n"
                              "container_pressure_memory_waiting_seconds_total{container=\"\",namespace=\"\",pod=\"\"} "
                              "1.5 86500000\n"));
    assert_non_null(strstr(t, "\ncontainer_pressure_memory_stalled_seconds_total{container=\"web\",namespace=\"shop\","
                              "pod=\"a\"} 0.25 86500000\n"));
    assert_null(strstr(t, "\ncontainer_pressure_io_waiting_seconds_total{")); /* nobody told */
}

static void test_agent_metrics(void **state) {
    const struct agent_counts counts = {.pulls = 5, .failed_pulls = 1, .cpu_usec = 250000, .open_files = 33};
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    struct sample s;

    sample_init(&s);
    metrics_write_agent(&s.node, &counts, &b);
    const char *t = strbuf_str(&b);
    assert_non_null(strstr(t, "\nkubelet_node_name{node=\"n1\"} 1\n"));
    assert_non_null(strstr(t, "\nkubelet_running_pods 1\n"));
    assert_non_null(strstr(t, "\nkubelet_running_containers{container_state=\"running\"} 1\n"));
    assert_non_null(strstr(t, "\nkubelet_running_containers{container_state=\"exited\"} 1\n"));
    assert_non_null(strstr(t, "\npodium_container_restarts_total{container=\"web\",namespace=\"shop\",pod=\"a\"} 2\n"));
    assert_non_null(strstr(t, "\nkubelet_runtime_operations_total{operation_type=\"pull_image\"} 5\n"));
    assert_non_null(strstr(t, "\nkubelet_runtime_operations_errors_total{operation_type=\"pull_image\"} 1\n"));
    assert_non_null(strstr(t, "\nprocess_cpu_seconds_total 0.25\n"));
    assert_non_null(strstr(t, "\nprocess_open_fds 33\n"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statistics),        cmocka_unit_test(test_interfaces),
        cmocka_unit_test(test_summary),           cmocka_unit_test(test_resource_metrics),
        cmocka_unit_test(test_container_metrics), cmocka_unit_test(test_agent_metrics),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
