/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>
#include <systemd/sd-event.h>

#include "orchestrator/agent/services/table.h"
#include "podium/base/alloc.h"

struct fixture {
    sd_event *loop;
    struct service_table *table;
    struct strbuf told; /* "+name" new, "-name" gone, "~name" changed, "." settled */
};

static void on_changed(void *userdata, const struct service *old, const struct service *service) {
    struct fixture *f = userdata;

    strbuf_addf(&f->told, "%c%s(%zu) ",
                !old       ? '+'
                : !service ? '-'
                           : '~',
                (service ? service : old)->name, service ? service->n_backends : old->n_backends);
}

static void on_settled(void *userdata) {
    strbuf_adds(&((struct fixture *) userdata)->told, ".");
}

static int setup(void **state) {
    struct fixture *f = xnew0(struct fixture);

    assert_true(sd_event_new(&f->loop) >= 0);
    f->table = service_table_new(f->loop);
    const struct service_listener listener = {on_changed, on_settled, f};
    service_table_listen(f->table, &listener);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;

    service_table_free(f->table);
    sd_event_unref(f->loop);
    strbuf_finish(&f->told);
    free(f);
    return 0;
}

static int apply(struct fixture *f, const char *text) {
    _cleanup_json_ struct json *object = NULL;

    assert_int_equal(json_parse(text, strlen(text), NULL, &object, NULL), 0);
    return service_table_apply(f->table, object);
}

/* What listeners hear in one turn of the loop. */
static void assert_told(struct fixture *f, const char *wanted) {
    strbuf_reset(&f->told);
    while (sd_event_run(f->loop, 0) > 0)
        ;
    assert_string_equal(strbuf_str(&f->told), wanted);
}

#define SERVICE(name, spec)                                                                                            \
    "{\"kind\":\"Service\",\"metadata\":{\"namespace\":\"ns\",\"name\":\"" name "\"},\"spec\":{" spec "}}"
#define SLICE(name, service, ports, endpoints)                                                                         \
    "{\"kind\":\"EndpointSlice\",\"addressType\":\"IPv4\",\"metadata\":{\"namespace\":\"ns\",\"name\":\"" name         \
    "\",\"labels\":{\"kubernetes.io/service-name\":\"" service "\"}},\"ports\":[" ports "],\"endpoints\":[" endpoints  \
    "]}"
#define WEB_PORTS "{\"name\":\"http\",\"port\":8080},{\"name\":\"dns\",\"port\":5353,\"protocol\":\"UDP\"}"
#define WEB                                                                                                            \
    SERVICE("web", "\"type\":\"NodePort\",\"clusterIP\":\"10.96.0.7\",\"externalIPs\":[\"192.0.2.1\",\"::1\","         \
                   "\"192.0.2.1\"],\"externalTrafficPolicy\":\"Local\",\"sessionAffinity\":\"ClientIP\","              \
                   "\"ports\":[{\"name\":\"http\",\"port\":80,\"targetPort\":\"web\",\"nodePort\":30080},"             \
                   "{\"name\":\"dns\",\"port\":53,\"protocol\":\"UDP\",\"nodePort\":30053}]")

static void test_a_service_and_its_slices(void **state) {
    struct fixture *f = *state;

    assert_told(f, ".");
    assert_int_equal(apply(f, SLICE("web-1", "web", WEB_PORTS,
                                    "{\"addresses\":[\"10.244.1.9\"],\"nodeName\":\"n1\",\"targetRef\":{\"kind\":"
                                    "\"Pod\",\"name\":\"p9\"}},{\"addresses\":[\"10.244.1.10\"],\"nodeName\":\"n1\","
                                    "\"hostname\":\"h\",\"conditions\":{\"ready\":false,\"terminating\":true,"
                                    "\"serving\":true}}")),
                     0);
    assert_null(service_table_get(f->table, "ns", "web")); /* a slice alone is nothing */
    assert_told(f, "");
    assert_int_equal(apply(f, WEB), 0);
    const struct service *s = service_table_get(f->table, "ns", "web"); /* at once */
    assert_non_null(s);
    assert_told(f, "+web(2) .");
    assert_int_equal(s->type, SERVICE_NODE_PORT);
    assert_string_equal(s->cluster_ip, "10.96.0.7");
    assert_int_equal(s->n_ports, 2);
    assert_int_equal(s->ports[1].protocol, SERVICE_UDP);
    assert_int_equal(s->ports[0].node_port, 30080);
    assert_int_equal(strv_len(s->external_ips), 1);
    assert_string_equal(s->external_ips[0], "192.0.2.1");
    assert_true(s->external_local && !s->internal_local && s->client_ip_affinity);
    assert_int_equal(s->affinity_seconds, 10800);
    assert_string_equal(s->backends[0].ip, "10.244.1.9"); /* by address, not by text */
    assert_int_equal(s->backends[0].ports[0], 8080);
    assert_int_equal(s->backends[0].ports[1], 5353);
    assert_string_equal(s->backends[0].pod, "p9");
    assert_string_equal(s->backends[0].node, "n1");
    assert_true(s->backends[0].ready && s->backends[0].serving && !s->backends[0].terminating);
    assert_true(!s->backends[1].ready && s->backends[1].serving && s->backends[1].terminating);
    assert_null(s->backends[1].pod);
    assert_ptr_equal(service_table_by_address(f->table, "10.96.0.7"), s);
    const struct service_backend *backend = NULL;
    assert_ptr_equal(service_table_by_backend(f->table, "10.244.1.10", &backend), s);
    assert_string_equal(backend->hostname, "h");
    assert_null(service_table_by_backend(f->table, "10.244.1.9", &backend)); /* it has no name */
    service_table_remove(f->table, "Service", "ns", "web");
    assert_null(service_table_get(f->table, "ns", "web"));
    assert_null(service_table_by_address(f->table, "10.96.0.7"));
    assert_null(service_table_by_backend(f->table, "10.244.1.10", &backend));
    assert_told(f, "-web(2) .");
}

static void test_listeners_hear_what_changed_and_only_that(void **state) {
    struct fixture *f = *state;

    (void) apply(f, SERVICE("a", "\"clusterIP\":\"10.96.0.1\",\"ports\":[{\"port\":80}]"));
    (void) apply(f, SERVICE("b", "\"clusterIP\":\"10.96.0.2\",\"ports\":[{\"port\":80}]"));
    (void) apply(f, SLICE("a-1", "a", "{\"port\":80}", "{\"addresses\":[\"10.0.0.1\"]}"));
    (void) apply(f, SLICE("a-2", "a", "{\"port\":80}", "{\"addresses\":[\"10.0.0.2\"]}"));
    assert_told(f, "+a(2) +b(0) ."); /* many documents, each service once, one end */
    (void) apply(f, SLICE("a-2", "a", "{\"port\":80}", "{\"addresses\":[\"10.0.0.2\"]}"));
    assert_told(f, ""); /* nothing new in it */
    (void) apply(f, SLICE("a-2", "b", "{\"port\":80}", "{\"addresses\":[\"10.0.0.2\"]}"));
    assert_told(f, "~a(1) ~b(1) ."); /* the slice went over */
    (void) apply(f, SLICE("a-1", "a", "{\"port\":80}", "{\"addresses\":[\"10.0.0.3\"]}"));
    (void) apply(f, SLICE("a-1", "a", "{\"port\":80}", "{\"addresses\":[\"10.0.0.1\"]}"));
    assert_told(f, "."); /* there and back */
    service_table_remove(f->table, "EndpointSlice", "ns", "a-1");
    service_table_remove(f->table, "EndpointSlice", "ns", "unknown");
    service_table_remove(f->table, "Pod", "ns", "a");
    assert_told(f, "~a(0) .");
    (void) apply(f, SERVICE("c", "\"clusterIP\":\"None\""));
    service_table_remove(f->table, "Service", "ns", "c");
    assert_told(f, ".");
    struct strbuf *told = &f->told;
    struct fixture late = {.loop = f->loop};
    const struct service_listener listener = {on_changed, on_settled, &late};
    service_table_listen(f->table, &listener);
    strbuf_reset(told);
    assert_int_equal(sd_event_run(f->loop, 0), 1);
    assert_string_equal(strbuf_str(&late.told), "+a(0) +b(1) .");
    assert_string_equal(strbuf_str(told), ".");
    strbuf_finish(&late.told);
}

static void test_one_backend_for_each_address(void **state) {
    struct fixture *f = *state;

    (void) apply(f, SERVICE("a", "\"clusterIP\":\"10.96.0.1\",\"ports\":[{\"name\":\"x\",\"port\":1},"
                                 "{\"name\":\"y\",\"port\":2},{\"name\":\"z\",\"port\":3}]"));
    (void) apply(f, SLICE("a-1", "a", "{\"name\":\"x\",\"port\":11}",
                          "{\"addresses\":[\"10.0.0.1\"],\"conditions\":{\"ready\":false}}"));
    (void) apply(f, SLICE("a-2", "a", "{\"name\":\"y\",\"port\":22},{\"name\":\"z\",\"protocol\":\"UDP\",\"port\":3}",
                          "{\"addresses\":[\"10.0.0.1\"]},{\"addresses\":[\"::1\"]},{\"addresses\":[\"10.0.0.2\"]}"));
    const struct service *s = service_table_get(f->table, "ns", "a");
    assert_int_equal(s->n_backends, 2);
    assert_true(s->backends[0].ready);
    assert_int_equal(s->backends[0].ports[0], 11);
    assert_int_equal(s->backends[0].ports[1], 22);
    assert_int_equal(s->backends[0].ports[2], 0); /* another protocol */
    assert_int_equal(s->backends[1].ports[0], 0);
}

static void test_headless_comes_first_in_reverse(void **state) {
    struct fixture *f = *state;
    const struct service_backend *backend = NULL;

    (void) apply(f, SERVICE("a", "\"clusterIP\":\"10.96.0.1\""));
    (void) apply(f, SERVICE("b", "\"clusterIP\":\"None\""));
    (void) apply(f, SLICE("a-1", "a", "", "{\"addresses\":[\"10.0.0.1\"],\"hostname\":\"db-0\"}"));
    (void) apply(f, SLICE("b-1", "b", "", "{\"addresses\":[\"10.0.0.1\"],\"hostname\":\"db-0\"}"));
    assert_string_equal(service_table_by_backend(f->table, "10.0.0.1", &backend)->name, "b");
    service_table_remove(f->table, "EndpointSlice", "ns", "b-1");
    assert_string_equal(service_table_by_backend(f->table, "10.0.0.1", &backend)->name, "a");
    (void) apply(f, SLICE("a-1", "a", "", ""));
    assert_null(service_table_by_backend(f->table, "10.0.0.1", &backend));
}

static void test_resync_removes_what_is_not_named(void **state) {
    struct fixture *f = *state;

    assert_false(service_table_synced(f->table));
    service_table_sync_begin(f->table);
    (void) apply(f, SERVICE("a", "\"clusterIP\":\"10.96.0.1\",\"ports\":[{\"port\":80}]"));
    (void) apply(f, SERVICE("b", "\"clusterIP\":\"10.96.0.2\",\"ports\":[{\"port\":80}]"));
    (void) apply(f, SLICE("a-1", "a", "{\"port\":80}", "{\"addresses\":[\"10.0.0.1\"]}"));
    (void) apply(f, SLICE("a-2", "a", "{\"port\":80}", "{\"addresses\":[\"10.0.0.2\"]}"));
    service_table_sync_end(f->table);
    assert_true(service_table_synced(f->table));
    assert_told(f, "+a(2) +b(0) .");
    service_table_sync_begin(f->table);
    (void) apply(f, SERVICE("a", "\"clusterIP\":\"10.96.0.1\",\"ports\":[{\"port\":80}]"));
    (void) apply(f, SLICE("a-2", "a", "{\"port\":80}", "{\"addresses\":[\"10.0.0.2\"]}"));
    assert_told(f, "");
    service_table_sync_end(f->table);
    assert_told(f, "~a(1) -b(0) .");
    const struct service *s = service_table_next(f->table, NULL);
    assert_string_equal(s->name, "a");
    assert_null(service_table_next(f->table, s));
    service_table_sync_begin(f->table);
    service_table_sync_end(f->table);
    assert_told(f, "-a(1) .");
    assert_null(service_table_next(f->table, NULL));
}

static void test_kinds_and_rubbish(void **state) {
    struct fixture *f = *state;

    assert_int_equal(apply(f, "{\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\",\"namespace\":\"b\"}}"), -EINVAL);
    assert_int_equal(apply(f, "{\"kind\":\"Service\",\"metadata\":{\"name\":\"a\"},\"spec\":{}}"), -EINVAL);
    assert_int_equal(apply(f, "{\"kind\":\"EndpointSlice\",\"metadata\":{\"name\":\"a\"}}"), -EINVAL);
    (void) apply(f, SERVICE("e", "\"type\":\"ExternalName\",\"externalName\":\"example.org\",\"clusterIP\":\"\""));
    const struct service *s = service_table_get(f->table, "ns", "e");
    assert_int_equal(s->type, SERVICE_EXTERNAL_NAME);
    assert_string_equal(s->external_name, "example.org");
    (void) apply(f, SERVICE("l", "\"type\":\"LoadBalancer\",\"clusterIP\":\"10.96.0.300\",\"ports\":[{\"port\":70000},"
                                 "{\"port\":8,\"nodePort\":30000}],\"externalTrafficPolicy\":\"Local\","
                                 "\"healthCheckNodePort\":30001},\"status\":{\"loadBalancer\":{\"ingress\":[{\"ip\":"
                                 "\"192.0.2.9\"},{\"ip\":\"192.0.2.8\",\"ipMode\":\"Proxy\"}]}"));
    s = service_table_get(f->table, "ns", "l");
    assert_string_equal(s->cluster_ip, "");
    assert_int_equal(s->n_ports, 1);
    assert_int_equal(s->health_check_port, 30001);
    assert_int_equal(strv_len(s->external_ips), 1);
    (void) apply(f, SERVICE("h", "\"clusterIP\":\"None\",\"publishNotReadyAddresses\":true"));
    s = service_table_get(f->table, "ns", "h");
    assert_true(s->headless && s->publish_not_ready);
    assert_string_equal(s->cluster_ip, "");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_a_service_and_its_slices),         TEST(test_listeners_hear_what_changed_and_only_that),
        TEST(test_one_backend_for_each_address),     TEST(test_headless_comes_first_in_reverse),
        TEST(test_resync_removes_what_is_not_named), TEST(test_kinds_and_rubbish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
