/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Each call fails in turn while pods get addresses and networks: no address is given twice, nothing is left of what did
 * not work, and it works when asked for again. Runs in a network namespace of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <net/if.h>
#include <sched.h>
#include <string.h>

#include "podium/base/alloc.h"
#include "podium/base/path.h"
#include "podium/netns.h"
#include "tests/unit/failing_calls.h"

#define BRIDGE "podfault0"
#define RANGE  "10.9.8.0/29"

/* libnl 3.7 frees a list that could not be read whole without what is in it. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:nl_hash_table_alloc\nleak:nl_object_alloc\nleak:nl_addr_alloc\nleak:rtnl_route_nh_alloc\n"
           "leak:nl_hash_table_add\n";
}

static bool own_namespace;

static int setup(void **state) {
    char template[] = "/tmp/podium-netns-XXXXXX";

    if (!mkdtemp(template))
        return -1;
    *state = xstrdup(template);
    return 0;
}

static int teardown(void **state) {
    int r = rm_tree(*state, NULL);

    free(*state);
    return r;
}

static int take_address(const char *dir, const char *owner, char out[NETNS_ADDRESS_SIZE], struct error *err) {
    _cleanup_(ipam_closep) struct ipam *ipam = ipam_open(dir, RANGE, err);

    return ipam ? ipam_allocate(ipam, owner, out, err) : err->code;
}

/* Two pods have an address each; a third asks, while something fails, in an agent that has just started. */
static void test_addresses(void **state) {
    char a[NETNS_ADDRESS_SIZE], b[NETNS_ADDRESS_SIZE], c[NETNS_ADDRESS_SIZE], again[NETNS_ADDRESS_SIZE];
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    FAILING_EACH(EIO) {
        assert_int_equal(rm_tree(*state, NULL), 0);
        assert_int_equal(take_address(*state, "a", a, &err), 0);
        assert_int_equal(take_address(*state, "b", b, &err), 0);
        failing_begin();
        int r = take_address(*state, "c", c, &err);
        failing_end();
        assert_held(r == 0 || r == -EIO);
        _cleanup_(ipam_closep) struct ipam *ipam = ipam_open(*state, RANGE, NULL);
        assert_non_null(ipam);
        assert_held(ipam_lookup(ipam, "a", again) == 0 && strcmp(a, again) == 0);
        assert_held(ipam_lookup(ipam, "b", again) == 0 && strcmp(b, again) == 0);
        assert_held(ipam_allocate(ipam, "c", again, NULL) == 0 && strcmp(again, a) != 0 && strcmp(again, b) != 0);
        assert_held(r < 0 || strcmp(again, c) == 0);
        assert_held(ipam_used(ipam) == 3);
        failing_begin();
        char *keep[] = {"a", NULL};
        r = ipam_retain(ipam, keep, NULL);
        failing_end();
        assert_held(r >= 0 || ipam_retain(ipam, keep, NULL) >= 0);
        assert_held(ipam_used(ipam) == 1);
    }
}

static void test_pods_network(void **state) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    char name[NETNS_LINK_NAME_SIZE];

    if (!own_namespace)
        skip();
    int pod = netns_create(&err);
    assert_true(pod >= 0);
    const struct netns_attach attach = {
        .owner = "uid", .netns_fd = pod, .bridge = BRIDGE, .address = "10.77.1.2/24", .gateway = "10.77.1.1"};
    netns_link_name("uid", name);
    assert_int_equal(netns_bridge_ensure(BRIDGE, "10.77.1.1/24", 1400, &err), 0);
    FAILING_EACH(ENOBUFS) {
        failing_begin();
        int r = netns_attach(&attach, &err);
        failing_end();
        assert_held((r == 0) == (if_nametoindex(name) != 0));
        assert_held(r == 0 || netns_attach(&attach, NULL) == 0);
        failing_begin();
        r = netns_detach(name, &err);
        failing_end();
        assert_held(r == 0 || netns_detach(name, NULL) == 0);
        assert_held(if_nametoindex(name) == 0);
    }
    failing.spared = "sendmsg"; /* libnl waits for the list it could not ask for */
    FAILING_EACH(ENOBUFS) {
        char *none[] = {NULL};
        assert_int_equal(netns_attach(&attach, &err), 0);
        failing_begin();
        int r = netns_attached_retain(BRIDGE, none, &err);
        failing_end();
        assert_held(r >= 0 || netns_attached_retain(BRIDGE, none, NULL) >= 0);
        assert_held(if_nametoindex(name) == 0);
    }
    failing.spared = NULL;
    close(pod);
}

static void test_bridge(void **state) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    if (!own_namespace)
        skip();
    FAILING_EACH(ENOBUFS) {
        assert_int_equal(netns_link_remove(BRIDGE, &err), 0);
        failing_begin();
        int r = netns_bridge_ensure(BRIDGE, "10.77.1.1/24", 1400, &err);
        failing_end();
        assert_held(r == 0 || (r < 0 && err.code == r && netns_bridge_ensure(BRIDGE, "10.77.1.1/24", 1400, NULL) == 0));
        assert_held(if_nametoindex(BRIDGE) != 0);
    }
}

static void test_routes(void **state) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    if (!own_namespace)
        skip();
    assert_int_equal(netns_bridge_ensure(BRIDGE, "10.77.1.1/24", 1400, &err), 0);
    FAILING_EACH(ENOBUFS) {
        _cleanup_free_ struct netns_route *have = NULL;
        struct netns_route wanted[] = {{.cidr = "10.244.7.0/24", .via = "10.77.1.7"}};
        size_t n = 0;
        assert_int_equal(netns_route_sync(NULL, 0, &err), 0);
        assert_int_equal(netns_route_ensure("10.244.6.0/24", "10.77.1.6", BRIDGE, &err), 0);
        failing_begin();
        int r = netns_route_sync(wanted, 1, &err);
        failing_end();
        assert_held(r >= 0 || netns_route_sync(wanted, 1, NULL) >= 0);
        assert_int_equal(netns_route_list(&have, &n, NULL), 0);
        assert_held(n == 1 && strcmp(have[0].cidr, "10.244.7.0/24") == 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_addresses, setup, teardown),
        cmocka_unit_test(test_bridge),
        cmocka_unit_test(test_pods_network),
        cmocka_unit_test(test_routes),
    };

    own_namespace = unshare(CLONE_NEWNET) == 0;
    return cmocka_run_group_tests_name("networks when calls fail", tests, NULL, NULL);
}
