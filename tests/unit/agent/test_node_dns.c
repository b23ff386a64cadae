/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The node's DNS in the agent: where it listens, and what it remembers. In a child with a network namespace of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "orchestrator/agent/dns/node_dns.h"
#include "orchestrator/agent/services/table.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/path.h"

#define BRIDGE "dnstest0"

static void check_failed(int line, const char *what) {
    fprintf(stderr, "%s:%d: %s\n", __FILE__, line, what);
    _exit(1);
}
#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            check_failed(__LINE__, #condition);                                                                        \
    } while (0)

static struct json *parse(const char *quoted) {
    _cleanup_free_ char *text = xstrdup(quoted);
    struct json *v = NULL;

    for (char *p = text; *p; p++)
        if (*p == '\'')
            *p = '"';
    CHECK(json_parse(text, strlen(text), NULL, &v, NULL) == 0);
    return v;
}

static void set(struct node_dns *dns, const char *network) {
    _cleanup_json_ struct json *doc = parse(network);
    node_dns_set(dns, doc);
}

/* The rcode for dns-version.DOMAIN (a label) TXT asked at the address; -1: nobody answers. */
static int ask(sd_event *loop, const char *address, const char *domain) {
    static const uint8_t head[] = {0,  1,   1,   0,   0,   1,   0,   0,   0,   0,   0,   0,
                                   11, 'd', 'n', 's', '-', 'v', 'e', 'r', 's', 'i', 'o', 'n'};
    static const uint8_t tail[] = {0, 0, 16, 0, 1};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(53)};
    uint8_t message[512];
    size_t n = sizeof(head);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), result = -1;

    memcpy(message, head, n);
    message[n++] = (uint8_t) strlen(domain);
    for (const char *c = domain; *c; c++)
        message[n++] = (uint8_t) *c;
    memcpy(message + n, tail, sizeof(tail));
    n += sizeof(tail);
    CHECK(fd >= 0 && inet_pton(AF_INET, address, &to.sin_addr) == 1);
    if (connect(fd, (struct sockaddr *) &to, sizeof(to)) == 0 && send(fd, message, n, 0) == (ssize_t) n) {
        uint64_t end = now_monotonic_usec() + 500 * USEC_PER_MSEC;
        while (now_monotonic_usec() < end) {
            struct pollfd p = {.fd = fd, .events = POLLIN};
            CHECK(sd_event_run(loop, 5 * USEC_PER_MSEC) >= 0);
            if (poll(&p, 1, 0) != 1)
                continue;
            if (recv(fd, message, sizeof(message), 0) >= 12)
                result = message[3] & 15;
            break;
        }
    }
    close(fd);
    return result;
}

static void body(const char *dir) {
    sd_event *loop = NULL;
    int own = netns_current(NULL);

    CHECK(own >= 0 && netns_loopback_up(own, NULL) == 0 && sd_event_new(&loop) >= 0);
    close(own);
    CHECK(netns_bridge_ensure(BRIDGE, "10.77.1.1/24", 0, NULL) == 0);
    struct service_table *table = service_table_new(loop);
    struct node_dns *dns = node_dns_new(loop, table, BRIDGE, dir, "cluster");
    CHECK(ask(loop, "10.77.1.1", "cluster") == -1); /* nothing is told yet */

    set(dns, "{'podCIDR':'10.77.1.0/24','dns':{'servers':['fd00::1','10.96.0.10']}}");
    CHECK(ask(loop, "10.96.0.10", "cluster") == 2); /* before the first sync: SERVFAIL */
    service_table_sync_begin(table);
    service_table_sync_end(table);
    CHECK(ask(loop, "10.96.0.10", "cluster") == 0);
    /* the same once more, as when a node joins; the bridge made anew in between */
    CHECK(netns_link_remove(BRIDGE, NULL) == 0 && netns_bridge_ensure(BRIDGE, "10.77.1.1/24", 0, NULL) == 0);
    CHECK(ask(loop, "10.96.0.10", "cluster") == -1);
    set(dns, "{'podCIDR':'10.77.1.0/24','dns':{'servers':['fd00::1','10.96.0.10']},'peers':[]}");
    CHECK(ask(loop, "10.96.0.10", "cluster") == 0);
    /* another domain, another address: the old one is gone */
    set(dns, "{'podCIDR':'10.77.1.0/24','dns':{'servers':['10.96.0.11'],'domain':'Test.'}}");
    CHECK(ask(loop, "10.96.0.11", "test") == 0 && ask(loop, "10.96.0.10", "test") == -1);

    /* the next agent knows it without being told */
    node_dns_free(dns);
    CHECK(ask(loop, "10.96.0.11", "test") == -1);
    dns = node_dns_new(loop, table, BRIDGE, dir, "cluster");
    CHECK(ask(loop, "10.96.0.11", "test") == 0);
    /* no DNS any more, and none remembered */
    set(dns, "{'podCIDR':'10.77.1.0/24'}");
    CHECK(ask(loop, "10.96.0.11", "test") == -1);
    node_dns_free(dns);
    dns = node_dns_new(loop, table, BRIDGE, dir, "cluster");
    CHECK(ask(loop, "10.96.0.11", "test") == -1);
    /* documents that make no sense */
    set(dns, "{'dns':{'servers':'10.96.0.11','domain':7}}");
    set(dns, "{'dns':[],'serviceCIDR':{}}");
    set(dns, "[]");
    node_dns_free(dns);
    service_table_free(table);
    sd_event_unref(loop);
}

static void the_service_follows_the_document(void **state) {
    char dir[] = "/tmp/node-dns-test.XXXXXX";
    int status;

    assert_non_null(mkdtemp(dir));
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (unshare(CLONE_NEWNET) < 0)
            _exit(77);
        alarm(60);
        body(dir);
        exit(0); /* exit(): a leak checker has its say */
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(rm_tree(dir, NULL), 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip();
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_service_follows_the_document)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
