/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Each test runs in a child with its own network (and mount) namespaces: nothing of the host's network is touched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "podium/base/alloc.h"
#include "podium/base/error.h"
#include "podium/netns.h"

#define BRIDGE "podtest0"

/* Assertions inside the child: cmocka's longjmp must not leave it. */
#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #condition, error_text(&err, -errno));              \
            _exit(1);                                                                                                  \
        }                                                                                                              \
    } while (0)

static void in_own_namespace(void (*body)(void)) {
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0)
            _exit(77);
        alarm(60);
        body();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip();
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static struct sockaddr_in address_of(const char *text, int port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t) port)};

    inet_pton(AF_INET, text, &a.sin_addr);
    return a;
}

/* Sends a datagram from one namespace to a socket bound in another; returns true when it came, with its source. */
static bool reaches(int from_fd, int to_fd, const char *to, char source[NETNS_ADDRESS_SIZE]) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_close_ int server = netns_socket(to_fd, AF_INET, SOCK_DGRAM, 0, &err);
    _cleanup_close_ int client = netns_socket(from_fd, AF_INET, SOCK_DGRAM, 0, &err);
    struct sockaddr_in here = address_of("0.0.0.0", 4711), there = address_of(to, 4711), peer;
    socklen_t n = sizeof(peer);
    char data[8];

    CHECK(server >= 0 && client >= 0);
    CHECK(bind(server, (struct sockaddr *) &here, sizeof(here)) == 0);
    if (sendto(client, "hello", 5, 0, (struct sockaddr *) &there, sizeof(there)) != 5)
        return false;
    struct pollfd p = {.fd = server, .events = POLLIN};
    if (poll(&p, 1, 2000) != 1)
        return false;
    CHECK(recvfrom(server, data, sizeof(data), 0, (struct sockaddr *) &peer, &n) == 5);
    if (source)
        inet_ntop(AF_INET, &peer.sin_addr, source, NETNS_ADDRESS_SIZE);
    return true;
}

static int link_exists(void *name, struct error *err) {
    return if_nametoindex(name) != 0;
}

static bool has_link(int netns, const char *name) {
    struct error err = ERROR_INIT;
    int r = netns < 0 ? link_exists((void *) name, &err) : netns_run(netns, link_exists, (void *) name, &err);

    CHECK(r >= 0);
    return r;
}

/* The port's attribute in a sysfs of this namespace. */
static bool is_hairpin(const char *port) {
    struct error err = ERROR_INIT;
    _cleanup_free_ char *path = xasprintf("/sys/class/net/%s/brport/hairpin_mode", port);
    char value = 0;

    CHECK(mount("sysfs", "/sys", "sysfs", 0, NULL) == 0);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0 && read(fd, &value, 1) == 1);
    close(fd);
    return value == '1';
}

static int attach_pod(int pod, const char *owner, const char *address, struct error *err) {
    struct netns_attach attach = {
        .owner = owner, .netns_fd = pod, .bridge = BRIDGE, .address = address, .gateway = "10.77.1.1"};

    return netns_attach(&attach, err);
}

static void pods_reach_each_other(void) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    int own = netns_current(&err), a = netns_create(&err), b = netns_create(&err);
    char source[NETNS_ADDRESS_SIZE], name[NETNS_LINK_NAME_SIZE];

    CHECK(own >= 0 && a >= 0 && b >= 0);
    CHECK(netns_bridge_ensure(BRIDGE, "10.77.1.1/24", 1400, &err) == 0);
    CHECK(netns_bridge_ensure(BRIDGE, "10.77.1.1/24", 1400, &err) == 0);
    CHECK(attach_pod(a, "uid-a", "10.77.1.2/24", &err) == 0);
    CHECK(attach_pod(b, "uid-b", "10.77.1.3/24", &err) == 0);
    CHECK(reaches(a, b, "10.77.1.3", source) && strcmp(source, "10.77.1.2") == 0);
    CHECK(reaches(b, a, "10.77.1.2", NULL));
    CHECK(reaches(a, own, "10.77.1.1", source) && strcmp(source, "10.77.1.2") == 0);
    CHECK(reaches(own, b, "10.77.1.3", source) && strcmp(source, "10.77.1.1") == 0);
    CHECK(reaches(a, a, "127.0.0.1", NULL));
    netns_link_name("uid-a", name);
    CHECK(strlen(name) == 15 && has_link(-1, name) && has_link(a, "eth0"));
    CHECK(is_hairpin(name));

    /* again: the old pair is replaced, also with another namespace */
    CHECK(attach_pod(a, "uid-a", "10.77.1.2/24", &err) == 0);
    CHECK(reaches(b, a, "10.77.1.2", NULL));

    CHECK(netns_detach(name, &err) == 0);
    CHECK(netns_detach(name, &err) == 0);
    CHECK(!has_link(-1, name) && !has_link(a, "eth0"));

    char *keep[] = {"uid-b", NULL};
    CHECK(attach_pod(a, "uid-a", "10.77.1.2/24", &err) == 0);
    CHECK(netns_attached_retain(BRIDGE, keep, &err) == 1);
    CHECK(!has_link(-1, name) && has_link(b, "eth0"));
    CHECK(netns_link_remove(BRIDGE, &err) == 0);
    CHECK(netns_link_remove(BRIDGE, &err) == 0);
}

static void test_pods_reach_each_other(void **state) {
    in_own_namespace(pods_reach_each_other);
}

static void bridge_address_changes(void) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    int own = netns_current(&err), a = netns_create(&err);

    CHECK(netns_bridge_ensure(BRIDGE, "10.66.1.1/24", 0, &err) == 0);
    CHECK(netns_bridge_ensure(BRIDGE, "10.77.1.1/24", 0, &err) == 0);
    CHECK(attach_pod(a, "uid-a", "10.77.1.2/24", &err) == 0);
    CHECK(reaches(a, own, "10.77.1.1", NULL));
    char source[NETNS_ADDRESS_SIZE];
    CHECK(netns_source_address("10.77.1.2", source, &err) == 0 && strcmp(source, "10.77.1.1") == 0);
    CHECK(netns_source_address(NULL, source, &err) == -ENETUNREACH);
    CHECK(netns_source_address("10.66.1.2", source, &err) == -ENETUNREACH); /* the old address is gone */
    /* an address of the node itself stays, and does not become the source towards pods */
    CHECK(netns_host_address_ensure(BRIDGE, "10.96.0.10", &err) == 0);
    CHECK(netns_host_address_ensure(BRIDGE, "10.96.0.10", &err) == 0);
    CHECK(netns_bridge_ensure(BRIDGE, "10.77.1.1/24", 0, &err) == 0);
    CHECK(reaches(a, own, "10.96.0.10", source) && strcmp(source, "10.77.1.2") == 0);
    CHECK(netns_source_address("10.77.1.2", source, &err) == 0 && strcmp(source, "10.77.1.1") == 0);
    CHECK(netns_host_address_remove(BRIDGE, "10.96.0.10", &err) == 0);
    CHECK(netns_host_address_remove(BRIDGE, "10.96.0.10", &err) == 0);
    CHECK(netns_source_address("10.96.0.10", source, &err) == -ENETUNREACH);
    CHECK(netns_host_address_ensure("nobridge", "10.96.0.10", &err) == -ENODEV);
    CHECK(netns_host_address_remove("nobridge", "10.96.0.10", &err) == 0);
    CHECK(netns_bridge_ensure("lo", "10.77.1.1/24", 0, &err) == -EEXIST);
    CHECK(netns_bridge_ensure("a-name-that-is-too-long", "10.77.1.1/24", 0, &err) == -EINVAL);
    CHECK(netns_bridge_ensure(BRIDGE, "10.77.1.1", 0, &err) == -EINVAL);
    CHECK(netns_bridge_ensure(BRIDGE, "10.77/16", 0, &err) == -EINVAL);
}

static void test_bridge_address_changes(void **state) {
    in_own_namespace(bridge_address_changes);
}

static void failure_leaves_nothing(void) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    int a = netns_create(&err);
    char name[NETNS_LINK_NAME_SIZE];

    netns_link_name("uid-a", name);
    CHECK(attach_pod(a, "uid-a", "10.77.1.2/24", &err) == -ENODEV);
    CHECK(strstr(error_text(&err, 0), BRIDGE) != NULL);
    CHECK(netns_bridge_ensure(BRIDGE, "10.77.1.1/24", 0, &err) == 0);
    CHECK(attach_pod(a, "uid-a", "10.77.1.2", &err) == -EINVAL);
    CHECK(attach_pod(a, "", "10.77.1.2/24", &err) == -EINVAL);
    /* the gateway cannot be reached from the address: found out after the pair was made */
    CHECK(attach_pod(a, "uid-a", "10.99.1.2/24", &err) < 0);
    CHECK(!has_link(-1, name) && !has_link(a, "eth0"));
    CHECK(attach_pod(STDERR_FILENO, "uid-a", "10.77.1.2/24", &err) < 0); /* no namespace at all */
    CHECK(!has_link(-1, name));
    CHECK(attach_pod(a, "uid-a", "10.77.1.2/24", &err) == 0); /* and still works */
    /* the name inside is taken by another pod's link */
    CHECK(attach_pod(a, "uid-b", "10.77.1.3/24", &err) == -EEXIST);
    netns_link_name("uid-b", name);
    CHECK(!has_link(-1, name) && has_link(a, "eth0"));
}

static void test_failure_leaves_nothing(void **state) {
    in_own_namespace(failure_leaves_nothing);
}

/* The namespace goes with its last descriptor, and the links with it. */
static void namespace_ends_with_its_descriptor(void) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    int a = netns_create(&err);
    char name[NETNS_LINK_NAME_SIZE];
    struct stat own, other;

    CHECK(stat("/proc/self/ns/net", &own) == 0 && fstat(a, &other) == 0 && own.st_ino != other.st_ino);
    CHECK(netns_bridge_ensure(BRIDGE, "10.77.1.1/24", 0, &err) == 0);
    CHECK(attach_pod(a, "uid-a", "10.77.1.2/24", &err) == 0);
    netns_link_name("uid-a", name);
    close(a);
    for (int i = 0; has_link(-1, name); i++) { /* the kernel cleans up in the background */
        CHECK(i < 500);
        usleep(10000);
    }
    CHECK(stat("/proc/self/ns/net", &other) == 0 && own.st_ino == other.st_ino);
}

static void test_namespace_ends_with_its_descriptor(void **state) {
    in_own_namespace(namespace_ends_with_its_descriptor);
}

static int outside_setup(void *userdata, struct error *err) {
    return netns_bridge_ensure("outside", "203.0.113.1/24", 0, err);
}

/* A node (this namespace) with a pod, and an outside world joined to the node by a second bridge. */
static void masquerading(void) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    int own = netns_current(&err), pod = netns_create(&err), outside = netns_create(&err);
    char *cluster[] = {"10.77.0.0/16", "10.96.0.0/16", NULL};
    struct netns_firewall firewall = {.bridge = BRIDGE, .pod_cidr = "10.77.1.0/24", .cluster_cidrs = cluster};
    char source[NETNS_ADDRESS_SIZE];

    CHECK(netns_bridge_ensure(BRIDGE, "10.77.1.1/24", 0, &err) == 0);
    CHECK(netns_bridge_ensure("uplink", "198.51.100.1/24", 0, &err) == 0);
    CHECK(attach_pod(pod, "uid-a", "10.77.1.2/24", &err) == 0);
    struct netns_attach uplink = {.owner = "outside",
                                  .netns_fd = outside,
                                  .bridge = "uplink",
                                  .address = "198.51.100.9/24",
                                  .gateway = "198.51.100.1"};
    CHECK(netns_attach(&uplink, &err) == 0);
    CHECK(netns_run(outside, outside_setup, NULL, &err) == 0);
    CHECK(netns_forwarding_enable(&err) == 0);
    CHECK(netns_forwarding_enable(&err) == 0);

    CHECK(reaches(pod, outside, "198.51.100.9", source) && strcmp(source, "10.77.1.2") == 0); /* routed as it is */
    CHECK(netns_firewall_ensure(&firewall, &err) == 0);
    CHECK(netns_firewall_ensure(&firewall, &err) == 0);
    CHECK(reaches(pod, outside, "198.51.100.9", source) && strcmp(source, "198.51.100.1") == 0);
    CHECK(reaches(pod, own, "10.77.1.1", source) && strcmp(source, "10.77.1.2") == 0);
    /* what belongs to the cluster keeps its source: pods of other nodes see the pod's own address */
    char *wider[] = {"198.51.100.0/24", NULL};
    firewall.cluster_cidrs = wider;
    CHECK(netns_firewall_ensure(&firewall, &err) == 0);
    CHECK(reaches(pod, outside, "198.51.100.9", source) && strcmp(source, "10.77.1.2") == 0);
    /* a bad range changes nothing */
    char *broken[] = {"10.0.0.0/16 } ; flush ruleset", NULL};
    firewall.cluster_cidrs = broken;
    CHECK(netns_firewall_ensure(&firewall, &err) == -EINVAL);
    firewall.cluster_cidrs = cluster;
    firewall.bridge = "x\" accept; flush ruleset";
    CHECK(netns_firewall_ensure(&firewall, &err) == -EINVAL);
    CHECK(netns_firewall_remove(&err) == 0);
    CHECK(netns_firewall_remove(&err) == 0);
    CHECK(reaches(pod, outside, "198.51.100.9", source) && strcmp(source, "10.77.1.2") == 0);
}

static void test_masquerading(void **state) {
    in_own_namespace(masquerading);
}

static void forwarding_refused(void) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    CHECK(mount("/proc/sys", "/proc/sys", NULL, MS_BIND, NULL) == 0);
    CHECK(mount("none", "/proc/sys", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) == 0);
    CHECK(netns_forwarding_enable(&err) == -EROFS);
    CHECK(strstr(error_text(&err, 0), "net.ipv4.ip_forward=1") != NULL);
}

static void test_forwarding_refused(void **state) {
    in_own_namespace(forwarding_refused);
}

static void routes(void) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct netns_route *list = NULL;
    size_t n = 0;

    CHECK(netns_bridge_ensure(BRIDGE, "10.77.1.1/24", 0, &err) == 0);
    CHECK(netns_route_ensure("10.77.2.0/24", "10.77.1.20", NULL, &err) == 0);
    CHECK(netns_route_ensure("10.77.2.0/24", "10.77.1.21", NULL, &err) == 0); /* the node got another address */
    CHECK(netns_route_ensure("10.77.3.0/24", NULL, BRIDGE, &err) == 0);
    CHECK(netns_route_list(&list, &n, &err) == 0 && n == 2); /* not the kernel's own route to the bridge */
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].cidr, "10.77.2.0/24") == 0)
            CHECK(strcmp(list[i].via, "10.77.1.21") == 0 && strcmp(list[i].dev, BRIDGE) == 0);
    free(list);
    struct netns_route wanted[] = {{.cidr = "10.77.2.0/24", .via = "10.77.1.22"},
                                   {.cidr = "10.77.4.0/24", .via = "10.77.1.23"},
                                   {.cidr = "10.77.5.0/24", .via = "192.0.2.1"}};
    CHECK(netns_route_sync(wanted, 2, &err) == 0);
    CHECK(netns_route_sync(wanted, 2, &err) == 0);
    CHECK(netns_route_list(&list, &n, &err) == 0 && n == 2);
    free(list);
    CHECK(netns_route_sync(wanted, 3, &err) < 0); /* one gateway is out of reach; the others stay */
    CHECK(netns_route_list(&list, &n, &err) == 0 && n == 2);
    free(list);
    CHECK(netns_route_remove("10.77.4.0/24", &err) == 0);
    CHECK(netns_route_remove("10.77.4.0/24", &err) == 0);
    CHECK(netns_route_remove("10.77.1.0/24", &err) == 0); /* the kernel's own: not ours to remove */
    char source[NETNS_ADDRESS_SIZE];
    CHECK(netns_source_address("10.77.1.9", source, &err) == 0);
    CHECK(netns_route_ensure("10.77.2.1/24", "10.77.1.20", NULL, &err) == -EINVAL);
    CHECK(netns_route_ensure("10.77.2.0/24", NULL, NULL, &err) == -EINVAL);
    CHECK(netns_route_ensure("10.77.2.0/24", NULL, "nothere", &err) == -ENODEV);
    CHECK(netns_route_sync(NULL, 0, &err) == 0);
    CHECK(netns_route_list(&list, &n, &err) == 0 && n == 0);
    free(list);
}

static void test_routes(void **state) {
    in_own_namespace(routes);
}

static void test_link_names_differ(void **state) {
    char a[NETNS_LINK_NAME_SIZE], b[NETNS_LINK_NAME_SIZE];

    netns_link_name("8a4e3f5c-0d50-4d5b-9c8e-111111111111", a);
    netns_link_name("8a4e3f5c-0d50-4d5b-9c8e-111111111112", b);
    assert_string_not_equal(a, b);
    assert_int_equal(strlen(a), 15);
    netns_link_name("8a4e3f5c-0d50-4d5b-9c8e-111111111111", b);
    assert_string_equal(a, b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pods_reach_each_other),
        cmocka_unit_test(test_bridge_address_changes),
        cmocka_unit_test(test_failure_leaves_nothing),
        cmocka_unit_test(test_namespace_ends_with_its_descriptor),
        cmocka_unit_test(test_masquerading),
        cmocka_unit_test(test_forwarding_refused),
        cmocka_unit_test(test_routes),
        cmocka_unit_test(test_link_names_differ),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
