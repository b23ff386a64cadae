/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>

#include "orchestrator/agent/services/compile.h"
#include "podium/base/alloc.h"

enum { BACKENDS = 4 };

static uint16_t ports[BACKENDS][2];
static struct service_backend backends[BACKENDS];
static struct service_port service_ports[2];
static char *external[] = {(char *) "192.0.2.1", NULL};
static struct service service;
static struct compile_node node;

/* Four ready backends, 10.0.0.1 to .4, the first two on this node; one port. */
static int setup(void **state) {
    static char *const names[] = {(char *) "here", (char *) "here", (char *) "there", NULL};

    service_ports[0] = (struct service_port){(char *) "http", SERVICE_TCP, 80, 0};
    service_ports[1] = (struct service_port){(char *) "dns", SERVICE_UDP, 53, 0};
    for (int i = 0; i < BACKENDS; i++) {
        backends[i] = (struct service_backend){.node = names[i], .ready = true, .serving = true, .ports = ports[i]};
        (void) snprintf(backends[i].ip, sizeof(backends[i].ip), "10.0.0.%d", i + 1);
        ports[i][0] = 8080;
        ports[i][1] = 5353;
    }
    service = (struct service){.namespace = (char *) "ns",
                               .name = (char *) "web",
                               .cluster_ip = "10.96.0.7",
                               .external_ips = external + 1,
                               .ports = service_ports,
                               .n_ports = 1,
                               .backends = backends,
                               .n_backends = BACKENDS};
    node = (struct compile_node){"here", NULL};
    return 0;
}

/* "cluster 10.96.0.7:80/6 1 2 3 4; anywhere :30080/6 1 2 | 1": the last byte of each endpoint, | before the local ones
 */
static void assert_compiled(const char *wanted) {
    static const char *const sources[] = {"cluster", "anywhere", "local"};
    _cleanup_(compiled_finish) struct compiled compiled = {0};
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;

    service_compile(&service, &node, &compiled);
    for (size_t i = 0; i < compiled.frontends.n; i++) {
        const struct netns_frontend *f = &compiled.frontends.items[i];
        struct in_addr address = {.s_addr = f->address};
        strbuf_addf(&b, "%s%s %s:%u/%u", i ? "; " : "", sources[f->sources], f->address ? inet_ntoa(address) : "",
                    f->port, f->protocol);
        for (size_t e = 0; e < f->n_endpoints; e++)
            strbuf_addf(&b, " %u", ntohl(f->endpoints[e].address) & 0xff);
        if (f->sources == NETNS_SOURCES_LOCAL)
            strbuf_adds(&b, " |");
        for (size_t e = 0; e < f->n_local; e++)
            strbuf_addf(&b, " %u", ntohl(f->local[e].address) & 0xff);
        if (f->drop && f->n_endpoints == 0)
            strbuf_adds(&b, " drop");
    }
    assert_string_equal(strbuf_str(&b), wanted);
}

static void test_frontends(void **state) {
    assert_compiled("cluster 10.96.0.7:80/6 1 2 3 4");
    service.n_ports = 2;
    service.external_ips = external;
    service_ports[0].node_port = 30080;
    assert_compiled("cluster 10.96.0.7:80/6 1 2 3 4; anywhere 192.0.2.1:80/6 1 2 3 4; anywhere :30080/6 1 2 3 4; "
                    "cluster 10.96.0.7:53/17 1 2 3 4; anywhere 192.0.2.1:53/17 1 2 3 4");
    char *own[] = {(char *) "10.96.0.7", NULL};
    node.own = own; /* answered by the node itself */
    service.n_ports = 1;
    assert_compiled("anywhere 192.0.2.1:80/6 1 2 3 4; anywhere :30080/6 1 2 3 4");
}

static void test_no_frontends(void **state) {
    service.headless = true;
    service.cluster_ip[0] = 0;
    assert_compiled("");
    service.headless = false;
    service.type = SERVICE_EXTERNAL_NAME;
    assert_compiled("");
    (void) setup(state);
    service.other_proxy = true;
    assert_compiled("");
    struct compiled none;
    service_compile(NULL, &node, &none);
    assert_int_equal(none.frontends.n, 0);
    compiled_finish(&none);
}

static void test_which_endpoints(void **state) {
    backends[1].ready = false;
    ports[2][0] = 0; /* does not serve this port */
    assert_compiled("cluster 10.96.0.7:80/6 1 4");
    for (int i = 0; i < BACKENDS; i++)
        backends[i].ready = false;
    assert_compiled("cluster 10.96.0.7:80/6"); /* refused */
    backends[3].terminating = true;
    assert_compiled("cluster 10.96.0.7:80/6 4"); /* it ends, but still serves: better than nobody */
    backends[3].serving = false;
    assert_compiled("cluster 10.96.0.7:80/6");
}

static void test_policies(void **state) {
    service_ports[0].node_port = 30080;
    service.external_local = true;
    assert_compiled("cluster 10.96.0.7:80/6 1 2 3 4; local :30080/6 1 2 3 4 | 1 2");
    service.internal_local = true;
    assert_compiled("cluster 10.96.0.7:80/6 1 2; local :30080/6 1 2 3 4 | 1 2");
    backends[0].ready = backends[1].ready = false;
    assert_compiled("cluster 10.96.0.7:80/6 drop; local :30080/6 3 4 |");
    backends[1].terminating = true; /* the last one here */
    assert_compiled("cluster 10.96.0.7:80/6 2; local :30080/6 3 4 | 2");
    for (int i = 0; i < BACKENDS; i++)
        backends[i].ready = backends[i].serving = false;
    assert_compiled("cluster 10.96.0.7:80/6; local :30080/6 |"); /* nobody anywhere: refused */
}

/* "6 10.96.0.7:80 2": protocol, frontend, last byte of the endpoint (0: undirected) */
static void assert_ended(const struct service *before, const struct service *after, const char *wanted) {
    _cleanup_free_ struct netns_connections *ended = NULL;
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    size_t n = 0;

    service_ended(before, after, &node, &ended, &n);
    for (size_t i = 0; i < n; i++) {
        struct in_addr address = {.s_addr = ended[i].address};
        strbuf_addf(&b, "%s%u %s:%u %u", i ? "; " : "", ended[i].protocol, address.s_addr ? inet_ntoa(address) : "",
                    ended[i].port, ntohl(ended[i].endpoint.address) & 0xff);
    }
    assert_string_equal(strbuf_str(&b), wanted);
}

static void test_what_ends(void **state) {
    struct service after = service;
    struct service_backend left[BACKENDS];

    memcpy(left, backends, sizeof(left));
    after.backends = left;
    assert_ended(&service, &after, "");
    left[1].ready = false;
    assert_ended(&service, &after, ""); /* not ready: streams go on */
    memmove(&left[1], &left[2], 2 * sizeof(*left));
    after.n_backends = BACKENDS - 1;
    assert_ended(&service, &after, "6 10.96.0.7:80 2");
    assert_ended(&service, NULL, ""); /* the pods are there yet */
    assert_ended(NULL, &service, "");

    service_ports[0].protocol = SERVICE_UDP;
    service_ports[0].node_port = 30080;
    assert_ended(&service, &after, "17 10.96.0.7:80 2; 17 :30080 2");
    assert_ended(NULL, &after, "17 10.96.0.7:80 0; 17 :30080 0"); /* what was sent before there was anybody */
    after.n_backends = 1;
    assert_ended(&after, NULL, "17 10.96.0.7:80 1; 17 :30080 1");
    memcpy(left, backends, sizeof(left));
    left[0].ready = false;
    left[0].terminating = true;
    after.n_backends = BACKENDS;
    assert_ended(&service, &after, "17 10.96.0.7:80 1; 17 :30080 1"); /* the client cannot know: now */
}

#define TEST(fn) cmocka_unit_test_setup(fn, setup)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_frontends), TEST(test_no_frontends), TEST(test_which_endpoints),
        TEST(test_policies),  TEST(test_what_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
