/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A pod's resolv.conf, hosts and host name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "orchestrator/agent/dns/pod_resolver.h"
#include "orchestrator/agent/pod_files.h"
#include "podium/base/alloc.h"

#define HOST                                                                                                           \
    "# from the host\nnameserver 192.0.2.1\nsearch old.example\nsearch corp.example lan.example.\noptions rotate\n"
#define DNS "{'servers':['10.96.0.10'],'domain':'cluster.local'}"
#define CLUSTER                                                                                                        \
    "nameserver 10.96.0.10\nsearch ns1.svc.cluster.local svc.cluster.local cluster.local corp.example lan.example\n"

static struct json *parse(const char *quoted) {
    _cleanup_free_ char *text = xstrdup(quoted);
    struct json *v = NULL;

    for (char *p = text; *p; p++)
        if (*p == '\'')
            *p = '"';
    assert_int_equal(json_parse(text, strlen(text), NULL, &v, NULL), 0);
    return v;
}

static struct json *pod_of(const char *spec) {
    _cleanup_free_ char *text = xasprintf("{'metadata':{'name':'p','namespace':'ns1','uid':'u'},'spec':%s}", spec);
    return parse(text);
}

static void on_event(void *userdata, const char *reason, const char *message) {
    strbuf_addf(userdata, "%s: %s\n", reason, message);
}

static void expect(const char *spec, const char *dns_text, const char *wanted, const char *wanted_events) {
    _cleanup_json_ struct json *pod = pod_of(spec), *dns = dns_text ? parse(dns_text) : NULL;
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT, events = STRBUF_INIT;
    const struct pod_resolver_input in = {
        .pod = pod, .dns = dns, .cluster_domain = "cluster.local", .host_resolv_conf = HOST};

    pod_resolver_text(&in, &out, on_event, &events);
    assert_string_equal(strbuf_str(&out), wanted);
    assert_string_equal(strbuf_str(&events), wanted_events);
}

static void policies(void **state) {
    expect("{}", DNS, CLUSTER "options ndots:5\n", "");
    expect("{'dnsPolicy':'ClusterFirst'}", DNS, CLUSTER "options ndots:5\n", "");
    expect("{'dnsPolicy':'ClusterFirst','hostNetwork':true}", DNS,
           "nameserver 192.0.2.1\nsearch corp.example lan.example\noptions rotate\n", "");
    expect("{'dnsPolicy':'ClusterFirstWithHostNet','hostNetwork':true}", DNS, CLUSTER "options ndots:5\n", "");
    expect("{'dnsPolicy':'Default'}", DNS, "nameserver 192.0.2.1\nsearch corp.example lan.example\noptions rotate\n",
           "");
    expect("{'dnsPolicy':'None','dnsConfig':{'nameservers':['192.0.2.9']}}", DNS, "nameserver 192.0.2.9\n", "");
    /* a cluster without DNS */
    expect("{'dnsPolicy':'ClusterFirst'}", NULL,
           "nameserver 192.0.2.1\nsearch corp.example lan.example\noptions rotate\n",
           "MissingClusterDNS: pod: \"p_ns1(u)\". kubelet does not have ClusterDNS IP configured and cannot create Pod "
           "using \"ClusterFirst\" policy. Falling back to \"Default\" policy.\n");
    expect("{}", "{'servers':['10.0.0.1'],'domain':'k.test'}",
           "nameserver 10.0.0.1\nsearch ns1.svc.k.test svc.k.test k.test corp.example lan.example\noptions ndots:5\n",
           "");
}

static void configs_are_merged(void **state) {
    expect("{'dnsConfig':{'nameservers':['192.0.2.9','10.96.0.10'],'searches':['my.example','svc.cluster.local'],"
           "'options':[{'name':'ndots','value':'2'},{'name':'edns0'}]}}",
           DNS,
           "nameserver 10.96.0.10\nnameserver 192.0.2.9\nsearch ns1.svc.cluster.local svc.cluster.local cluster.local "
           "corp.example lan.example my.example\noptions ndots:2 edns0\n",
           "");
}

static void limits_are_told(void **state) {
    _cleanup_strbuf_ struct strbuf spec = STRBUF_INIT, wanted = STRBUF_INIT, events = STRBUF_INIT, line = STRBUF_INIT;

    expect("{'dnsPolicy':'None','dnsConfig':{'nameservers':['1.1.1.1','2.2.2.2','3.3.3.3','4.4.4.4']}}", DNS,
           "nameserver 1.1.1.1\nnameserver 2.2.2.2\nnameserver 3.3.3.3\n",
           "DNSConfigForming: Nameserver limits were exceeded, some nameservers have been omitted, the applied "
           "nameserver line is: 1.1.1.1 2.2.2.2 3.3.3.3\n");
    /* 40 searches: 32 stay */
    strbuf_adds(&spec, "{'dnsPolicy':'None','dnsConfig':{'searches':['s0'");
    strbuf_adds(&line, "s0");
    for (int i = 1; i < 40; i++) {
        strbuf_addf(&spec, ",'s%d'", i);
        if (i < 32)
            strbuf_addf(&line, " s%d", i);
    }
    strbuf_adds(&spec, "]}}");
    strbuf_addf(&wanted, "search %s\n", strbuf_str(&line));
    strbuf_addf(&events,
                "DNSConfigForming: Search Line limits were exceeded, some search paths have been omitted, the applied "
                "search line is: %s\n",
                strbuf_str(&line));
    expect(strbuf_str(&spec), DNS, strbuf_str(&wanted), strbuf_str(&events));
}

static void long_searches_are_cut(void **state) {
    _cleanup_strbuf_ struct strbuf spec = STRBUF_INIT, out = STRBUF_INIT, events = STRBUF_INIT;

    /* one name too long for any; then names of 200 bytes: ten of them and their blanks are within 2048 */
    strbuf_addf(&spec, "{'dnsPolicy':'None','dnsConfig':{'searches':['%0254d'", 0);
    for (int i = 0; i < 12; i++)
        strbuf_addf(&spec, ",'%0200d'", i);
    strbuf_adds(&spec, "]}}");
    _cleanup_json_ struct json *pod = pod_of(strbuf_str(&spec));
    const struct pod_resolver_input in = {.pod = pod, .cluster_domain = "cluster.local", .host_resolv_conf = HOST};
    pod_resolver_text(&in, &out, on_event, &events);
    assert_int_equal(out.len, strlen("search ") + 10 * 201);
    assert_true(strncmp(strbuf_str(&events), "DNSConfigForming: Search Line", 29) == 0);
}

static void the_stub_of_resolved_is_known(void **state) {
    assert_true(resolver_is_local_stub("nameserver 127.0.0.53\noptions edns0\n"));
    assert_false(resolver_is_local_stub("nameserver 127.0.0.53\nnameserver 192.0.2.1\n"));
    assert_false(resolver_is_local_stub("nameserver 127.0.0.1\n")); /* somebody's own server: their business */
    assert_false(resolver_is_local_stub(""));
}

static void hosts_are_as_the_kubelet_writes_them(void **state) {
    _cleanup_json_ struct json *pod =
        pod_of("{'hostname':'h','subdomain':'sub','hostAliases':[{'ip':'192.0.2.7','hostnames':['a','b.example']}]}");
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
    const struct pod_context ctx = {.pod = pod, .pod_ip = "10.244.1.5"};

    pod_hosts_text(&ctx, "cluster.local", &out);
    assert_string_equal(strbuf_str(&out),
                        "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost "
                        "ip6-loopback\nfe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\n"
                        "fe00::2\tip6-allrouters\n10.244.1.5\th.sub.ns1.svc.cluster.local\th\n"
                        "\n# Entries added by HostAliases.\n192.0.2.7\ta\tb.example\n");
}

static void uts_name(const char *spec, const char *wanted) {
    _cleanup_json_ struct json *pod = pod_of(spec);
    _cleanup_free_ char *name = NULL;

    int r = pod_uts_name(pod, "cluster.local", &name, NULL);
    assert_int_equal(r, wanted ? 0 : -EINVAL);
    if (wanted)
        assert_string_equal(name, wanted);
}

static void host_names(void **state) {
    uts_name("{}", "p");
    uts_name("{'hostname':'h'}", "h");
    uts_name("{'hostname':'h','subdomain':'sub'}", "h");
    uts_name("{'hostname':'h','subdomain':'sub','setHostnameAsFQDN':true}", "h.sub.ns1.svc.cluster.local");
    uts_name("{'hostname':'h','setHostnameAsFQDN':true}", "h");
    uts_name("{'hostNetwork':true,'setHostnameAsFQDN':true}", "");
    /* longer than the kernel takes */
    uts_name("{'hostname':'a-host-name-of-some-length-for-a-pod','subdomain':'a-subdomain','setHostnameAsFQDN':true}",
             NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policies),
        cmocka_unit_test(configs_are_merged),
        cmocka_unit_test(limits_are_told),
        cmocka_unit_test(long_searches_are_cut),
        cmocka_unit_test(the_stub_of_resolved_is_known),
        cmocka_unit_test(hosts_are_as_the_kubelet_writes_them),
        cmocka_unit_test(host_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
