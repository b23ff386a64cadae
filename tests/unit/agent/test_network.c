/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a node keeps of the network's peers as they come and go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "orchestrator/agent/model.h"
#include "podium/base/alloc.h"

static struct json *parse(const char *text) {
    struct json *v = NULL;

    assert_int_equal(json_parse(text, strlen(text), NULL, &v, NULL), 0);
    return v;
}

static void expect(const char *network, const char *changes, const char *wanted) {
    _cleanup_json_ struct json *n = parse(network), *c = parse(changes);
    _cleanup_json_ struct json *changed = network_peers_changed(n, c);
    _cleanup_free_ char *text = json_to_text(changed), *before = json_to_text(n);

    assert_string_equal(text, wanted);
    assert_string_equal(before, network);
}

static void peers_come_move_and_go(void **state) {
    expect("{\"podCIDR\":\"10.1.1.0/24\"}", "{\"10.1.2.0/24\":\"192.0.2.2\"}",
           "{\"podCIDR\":\"10.1.1.0/24\",\"peers\":[{\"podCIDR\":\"10.1.2.0/24\",\"address\":\"192.0.2.2\"}]}");
    expect("{\"podCIDR\":\"10.1.1.0/24\",\"peers\":[{\"name\":\"a\",\"podCIDR\":\"10.1.2.0/24\",\"address\":"
           "\"192.0.2.2\"},{\"name\":\"b\",\"podCIDR\":\"10.1.3.0/24\",\"address\":\"192.0.2.3\"}]}",
           "{\"10.1.2.0/24\":\"192.0.2.9\",\"10.1.3.0/24\":null,\"10.1.9.0/24\":null}",
           "{\"podCIDR\":\"10.1.1.0/24\",\"peers\":[{\"podCIDR\":\"10.1.2.0/24\",\"address\":\"192.0.2.9\"}]}");
}

static void a_node_is_no_peer_of_its_own(void **state) {
    expect("{\"podCIDR\":\"10.1.1.0/24\",\"peers\":[]}", "{\"10.1.1.0/24\":\"192.0.2.1\"}",
           "{\"podCIDR\":\"10.1.1.0/24\",\"peers\":[]}");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peers_come_move_and_go),
        cmocka_unit_test(a_node_is_no_peer_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
