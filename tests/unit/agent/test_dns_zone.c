/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The cluster's names, from Services and EndpointSlices as the control plane pushes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <systemd/sd-event.h>

#include "orchestrator/agent/dns/zone.h"
#include "podium/base/alloc.h"

static const char *const objects[] = {
    "{'kind':'Service','metadata':{'name':'web','namespace':'default'},'spec':{'type':'ClusterIP','clusterIP':"
    "'10.96.0.7','ports':[{'name':'http','protocol':'TCP','port':80},{'name':'dns','protocol':'UDP','port':53}]}}",
    "{'kind':'EndpointSlice','metadata':{'name':'web-1','namespace':'default','labels':{'kubernetes.io/service-name':"
    "'web'}},'addressType':'IPv4','ports':[{'name':'http','protocol':'TCP','port':8080}],'endpoints':[{'addresses':["
    "'10.244.1.9'],'conditions':{'ready':true}}]}",
    "{'kind':'Service','metadata':{'name':'plain','namespace':'default'},'spec':{'type':'ClusterIP','clusterIP':"
    "'10.96.0.8','ports':[{'protocol':'TCP','port':99}]}}",
    "{'kind':'Service','metadata':{'name':'db','namespace':'prod'},'spec':{'type':'ClusterIP','clusterIP':'None',"
    "'ports':[{'name':'pg','protocol':'TCP','port':5432}]}}",
    "{'kind':'EndpointSlice','metadata':{'name':'db-1','namespace':'prod','labels':{'kubernetes.io/"
    "service-name':'db'}},"
    "'addressType':'IPv4','ports':[{'name':'pg','protocol':'TCP','port':5433}],'endpoints':["
    "{'addresses':['10.244.1.1'],'hostname':'db-0','conditions':{'ready':true}},"
    "{'addresses':['10.244.2.1'],'hostname':'db-1','conditions':{'ready':true}},"
    "{'addresses':['10.244.2.2'],'conditions':{'ready':true}},"
    "{'addresses':['10.244.2.3'],'hostname':'db-3','conditions':{'ready':false}}]}",
    "{'kind':'Service','metadata':{'name':'early','namespace':'prod'},'spec':{'type':'ClusterIP','clusterIP':'None',"
    "'publishNotReadyAddresses':true}}",
    "{'kind':'EndpointSlice','metadata':{'name':'early-1','namespace':'prod','labels':{'kubernetes.io/service-name':"
    "'early'}},'addressType':'IPv4','ports':[],'endpoints':[{'addresses':['10.244.3.3'],'hostname':'first',"
    "'conditions':{'ready':false}}]}",
    "{'kind':'Service','metadata':{'name':'empty','namespace':'prod'},'spec':{'type':'ClusterIP','clusterIP':'None',"
    "'ports':[{'name':'x','protocol':'TCP','port':1}]}}",
    "{'kind':'Service','metadata':{'name':'ext','namespace':'default'},'spec':{'type':'ExternalName','externalName':"
    "'WWW.Example.com.'}}",
    "{'kind':'Service','metadata':{'name':'alias','namespace':'default'},'spec':{'type':'ExternalName','externalName':"
    "'web.default.svc.cluster.local'}}",
    "{'kind':'Service','metadata':{'name':'two','namespace':'default'},'spec':{'type':'ExternalName','externalName':"
    "'alias.default.svc.cluster.local'}}",
    "{'kind':'Service','metadata':{'name':'nowhere','namespace':'default'},'spec':{'type':'ExternalName',"
    "'externalName':'no.default.svc.cluster.local'}}",
    "{'kind':'Service','metadata':{'name':'ring','namespace':'default'},'spec':{'type':'ExternalName','externalName':"
    "'ring.default.svc.cluster.local'}}",
    "{'kind':'Service','metadata':{'name':'ip','namespace':'default'},'spec':{'type':'ExternalName','externalName':"
    "'192.0.2.1'}}",
};

struct fixture {
    sd_event *loop;
    struct cluster_zone zone;
    struct service_table *table;
};

static void apply(struct service_table *table, const char *quoted) {
    _cleanup_free_ char *text = xstrdup(quoted);
    _cleanup_json_ struct json *object = NULL;

    for (char *p = text; *p; p++)
        if (*p == '\'')
            *p = '"';
    assert_int_equal(json_parse(text, strlen(text), NULL, &object, NULL), 0);
    assert_int_equal(service_table_apply(table, object), 0);
}

static int setup(void **state) {
    struct fixture *f = xnew0(struct fixture);

    assert_true(sd_event_new(&f->loop) >= 0);
    f->table = service_table_new(f->loop);
    f->zone = (struct cluster_zone){.table = f->table, .domain = "cluster.local", .server = "10.96.0.10"};
    assert_true(zone_add_range(&f->zone, "10.96.0.0/12"));
    assert_true(zone_add_range(&f->zone, "10.244.0.0/16"));
    service_table_sync_begin(f->table);
    for (size_t i = 0; i < ARRAY_LEN(objects); i++)
        apply(f->table, objects[i]);
    service_table_sync_end(f->table);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;

    service_table_free(f->table);
    sd_event_unref(f->loop);
    free(f);
    return 0;
}

static const char *type_name(unsigned type) {
    static const struct {
        unsigned type;
        const char *name;
    } names[] = {{DNS_A, "A"},     {DNS_NS, "NS"},   {DNS_CNAME, "CNAME"}, {DNS_SOA, "SOA"},
                 {DNS_PTR, "PTR"}, {DNS_TXT, "TXT"}, {DNS_SRV, "SRV"}};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (names[i].type == type)
            return names[i].name;
    return "?";
}

/* "RCODE [name] TYPE data; …", additional records behind "+", authority behind "!". */
static char *answer_text(struct fixture *f, const char *name, unsigned type) {
    static const char *const rcodes[] = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN"};
    static const char *const marks[] = {"", "!", "+"};
    _cleanup_(dns_answer_finish) struct dns_answer a = {0};
    struct strbuf out = STRBUF_INIT;

    if (!zone_lookup(&f->zone, name, type, &a))
        return xstrdup("elsewhere");
    strbuf_adds(&out, rcodes[a.rcode]);
    for (size_t i = 0; i < a.n; i++) {
        const struct dns_record *r = &a.records[i];
        assert_int_equal(r->ttl, 5);
        strbuf_addf(&out, " %s%s%s%s", marks[r->section], r->name ? r->name : "", r->name ? " " : "",
                    type_name(r->type));
        if (r->type == DNS_A)
            strbuf_addf(&out, " %u.%u.%u.%u;", r->address[0], r->address[1], r->address[2], r->address[3]);
        else if (r->type == DNS_SRV)
            strbuf_addf(&out, " %u %u %u %s;", r->srv.priority, r->srv.weight, r->srv.port, r->target);
        else
            strbuf_addf(&out, " %s;", r->target);
    }
    if (a.onward)
        strbuf_addf(&out, " onward %s", a.onward);
    return strbuf_steal(&out);
}

#define SOA " !cluster.local SOA ns.dns.cluster.local;"

static void expect(void **state, const char *name, unsigned type, const char *wanted) {
    _cleanup_free_ char *got = answer_text(*state, name, type);

    if (strcmp(got, wanted) != 0)
        fprintf(stderr, "%s %u\n", name, type);
    assert_string_equal(got, wanted);
}

static void services_have_their_address(void **state) {
    expect(state, "web.default.svc.cluster.local", DNS_A, "NOERROR A 10.96.0.7;");
    expect(state, "web.default.svc.cluster.local", DNS_ANY, "NOERROR A 10.96.0.7;");
    expect(state, "web.default.svc.cluster.local", DNS_AAAA, "NOERROR" SOA);
    expect(state, "web.default.svc.cluster.local", DNS_TXT, "NOERROR" SOA);
    expect(state, "web.default.svc.cluster.local", 257, "NOERROR" SOA); /* CAA: a type not known here */
    expect(state, "web.prod.svc.cluster.local", DNS_A, "NXDOMAIN" SOA);
    expect(state, "web.prod.svc.cluster.local", DNS_AAAA, "NXDOMAIN" SOA);
    expect(state, "a.b.web.default.svc.cluster.local", DNS_A, "NXDOMAIN" SOA);
    expect(state, "a.b.c.d.e.f.g.cluster.local", DNS_A, "NXDOMAIN" SOA);
    expect(state, "foo.cluster.local", DNS_A, "NXDOMAIN" SOA);
    /* an endpoint of a service with an address, as CoreDNS */
    expect(state, "10-244-1-9.web.default.svc.cluster.local", DNS_A, "NOERROR A 10.244.1.9;");
}

static void headless_services_have_those_of_their_endpoints(void **state) {
    expect(state, "db.prod.svc.cluster.local", DNS_A, "NOERROR A 10.244.1.1; A 10.244.2.1; A 10.244.2.2;");
    expect(state, "db-0.db.prod.svc.cluster.local", DNS_A, "NOERROR A 10.244.1.1;");
    expect(state, "db-0.db.prod.svc.cluster.local", DNS_AAAA, "NOERROR" SOA);
    expect(state, "10-244-2-2.db.prod.svc.cluster.local", DNS_A, "NOERROR A 10.244.2.2;");
    expect(state, "10-244-1-1.db.prod.svc.cluster.local", DNS_A, "NXDOMAIN" SOA); /* it has a name */
    expect(state, "db-3.db.prod.svc.cluster.local", DNS_A, "NXDOMAIN" SOA);       /* not ready */
    expect(state, "empty.prod.svc.cluster.local", DNS_A, "NXDOMAIN" SOA);         /* none ready: the specification */
    /* published although not ready, without a port */
    expect(state, "early.prod.svc.cluster.local", DNS_A, "NOERROR A 10.244.3.3;");
    expect(state, "first.early.prod.svc.cluster.local", DNS_A, "NOERROR A 10.244.3.3;");
}

static void named_ports_have_srv_records(void **state) {
    expect(state, "_http._tcp.web.default.svc.cluster.local", DNS_SRV,
           "NOERROR SRV 0 100 80 web.default.svc.cluster.local; +web.default.svc.cluster.local A 10.96.0.7;");
    expect(state, "_http._udp.web.default.svc.cluster.local", DNS_SRV, "NXDOMAIN" SOA);
    expect(state, "_no._tcp.web.default.svc.cluster.local", DNS_SRV, "NXDOMAIN" SOA);
    expect(state, "http.tcp.web.default.svc.cluster.local", DNS_SRV, "NXDOMAIN" SOA);
    expect(state, "_dns._udp.web.default.svc.cluster.local", DNS_A, "NOERROR A 10.96.0.7;");
    expect(state, "_tcp.web.default.svc.cluster.local", DNS_SRV, "NOERROR" SOA); /* names below it exist */
    expect(state, "_sctp.web.default.svc.cluster.local", DNS_SRV, "NXDOMAIN" SOA);
    expect(state, "web.default.svc.cluster.local", DNS_SRV,
           "NOERROR SRV 0 50 80 web.default.svc.cluster.local; SRV 0 50 53 web.default.svc.cluster.local; "
           "+web.default.svc.cluster.local A 10.96.0.7;");
    expect(state, "_._tcp.plain.default.svc.cluster.local", DNS_SRV, "NXDOMAIN" SOA); /* a port without a name */
    /* headless: each endpoint, with the port it really serves on */
    expect(state, "_pg._tcp.db.prod.svc.cluster.local", DNS_SRV,
           "NOERROR SRV 0 33 5433 db-0.db.prod.svc.cluster.local; +db-0.db.prod.svc.cluster.local A 10.244.1.1; "
           "SRV 0 33 5433 db-1.db.prod.svc.cluster.local; +db-1.db.prod.svc.cluster.local A 10.244.2.1; "
           "SRV 0 33 5433 10-244-2-2.db.prod.svc.cluster.local; +10-244-2-2.db.prod.svc.cluster.local A 10.244.2.2;");
}

static void external_names_are_aliases(void **state) {
    expect(state, "ext.default.svc.cluster.local", DNS_A, "NOERROR CNAME www.example.com; onward www.example.com");
    expect(state, "ext.default.svc.cluster.local", DNS_AAAA, "NOERROR CNAME www.example.com; onward www.example.com");
    expect(state, "ext.default.svc.cluster.local", DNS_CNAME, "NOERROR CNAME www.example.com;");
    expect(state, "a.ext.default.svc.cluster.local", DNS_A, "NXDOMAIN" SOA);
    /* within the zone they are followed here */
    expect(state, "alias.default.svc.cluster.local", DNS_A,
           "NOERROR CNAME web.default.svc.cluster.local; web.default.svc.cluster.local A 10.96.0.7;");
    expect(state, "two.default.svc.cluster.local", DNS_A,
           "NOERROR CNAME alias.default.svc.cluster.local; alias.default.svc.cluster.local CNAME "
           "web.default.svc.cluster.local; web.default.svc.cluster.local A 10.96.0.7;");
    expect(state, "alias.default.svc.cluster.local", DNS_AAAA, "NOERROR CNAME web.default.svc.cluster.local;" SOA);
    expect(state, "nowhere.default.svc.cluster.local", DNS_A, "NXDOMAIN CNAME no.default.svc.cluster.local;" SOA);
    expect(state, "ring.default.svc.cluster.local", DNS_A, "SERVFAIL");
    expect(state, "ip.default.svc.cluster.local", DNS_A, "NXDOMAIN" SOA); /* an address is no name */
}

static void pods_are_found_by_address(void **state) {
    expect(state, "10-244-1-5.default.pod.cluster.local", DNS_A, "NOERROR A 10.244.1.5;");
    expect(state, "10-244-1-5.default.pod.cluster.local", DNS_AAAA, "NOERROR" SOA);
    expect(state, "10-244-1.default.pod.cluster.local", DNS_A, "NXDOMAIN" SOA);
    expect(state, "10-244-1-256.default.pod.cluster.local", DNS_A, "NXDOMAIN" SOA);
    expect(state, "web.default.pod.cluster.local", DNS_A, "NXDOMAIN" SOA);
}

static void the_zone_has_its_own_records(void **state) {
    expect(state, "dns-version.cluster.local", DNS_TXT, "NOERROR TXT 1.1.0;");
    expect(state, "dns-version.cluster.local", DNS_A, "NOERROR" SOA);
    expect(state, "cluster.local", DNS_SOA, "NOERROR cluster.local SOA ns.dns.cluster.local;");
    expect(state, "cluster.local", DNS_NS, "NOERROR NS ns.dns.cluster.local; +ns.dns.cluster.local A 10.96.0.10;");
    expect(state, "cluster.local", DNS_A, "NOERROR" SOA);
    expect(state, "ns.dns.cluster.local", DNS_A, "NOERROR A 10.96.0.10;");
    /* names that only have others below them exist */
    expect(state, "svc.cluster.local", DNS_A, "NOERROR" SOA);
    expect(state, "default.svc.cluster.local", DNS_A, "NOERROR" SOA);
    expect(state, "nobody.svc.cluster.local", DNS_A, "NXDOMAIN" SOA);
    expect(state, "pod.cluster.local", DNS_A, "NOERROR" SOA);
}

static void addresses_have_names(void **state) {
    expect(state, "7.0.96.10.in-addr.arpa", DNS_PTR, "NOERROR PTR web.default.svc.cluster.local;");
    expect(state, "7.0.96.10.in-addr.arpa", DNS_A, "NOERROR" SOA);
    expect(state, "1.1.244.10.in-addr.arpa", DNS_PTR, "NOERROR PTR db-0.db.prod.svc.cluster.local;");
    expect(state, "2.2.244.10.in-addr.arpa", DNS_PTR, "NXDOMAIN" SOA); /* it has no host name */
    expect(state, "3.2.244.10.in-addr.arpa", DNS_PTR, "NXDOMAIN" SOA); /* not ready */
    expect(state, "3.3.244.10.in-addr.arpa", DNS_PTR, "NOERROR PTR first.early.prod.svc.cluster.local;");
    expect(state, "200.0.96.10.in-addr.arpa", DNS_PTR, "NXDOMAIN" SOA);
}

static void other_names_are_asked_elsewhere(void **state) {
    expect(state, "www.example.com", DNS_A, "elsewhere");
    expect(state, "", DNS_NS, "elsewhere");
    expect(state, "local", DNS_A, "elsewhere");
    expect(state, "xcluster.local", DNS_A, "elsewhere");
    expect(state, "foo\\046cluster.local", DNS_A, "elsewhere"); /* one label, not two */
    expect(state, "1.2.0.192.in-addr.arpa", DNS_PTR, "elsewhere");
    expect(state, "10.in-addr.arpa", DNS_NS, "elsewhere");
    expect(state, "07.0.96.10.in-addr.arpa", DNS_PTR, "elsewhere");
    expect(state, "8.b.d.0.1.0.0.2.ip6.arpa", DNS_PTR, "elsewhere");
}

static void before_the_first_sync_nothing_is_claimed(void **state) {
    struct fixture *f = *state;
    struct service_table *table = service_table_new(f->loop);
    const struct service_table *full = f->zone.table;

    f->zone.table = table;
    service_table_sync_begin(table);
    apply(table, objects[0]);
    expect(state, "web.default.svc.cluster.local", DNS_A, "SERVFAIL");
    expect(state, "nobody.default.svc.cluster.local", DNS_A, "SERVFAIL");
    expect(state, "7.0.96.10.in-addr.arpa", DNS_PTR, "SERVFAIL");
    expect(state, "www.example.com", DNS_A, "elsewhere");
    service_table_sync_end(table);
    expect(state, "web.default.svc.cluster.local", DNS_A, "NOERROR A 10.96.0.7;");
    /* what changes is seen by the very next query */
    service_table_remove(table, "Service", "default", "web");
    expect(state, "web.default.svc.cluster.local", DNS_A, "NXDOMAIN" SOA);
    f->zone.table = full;
    service_table_free(table);
}

static void ranges_are_checked(void **state) {
    struct cluster_zone zone = {0};

    assert_false(zone_add_range(&zone, ""));
    assert_false(zone_add_range(&zone, "10.0.0.0"));
    assert_false(zone_add_range(&zone, "10.0.0.0/33"));
    assert_false(zone_add_range(&zone, "10.0.0.0/"));
    assert_false(zone_add_range(&zone, "10.0.0.0/8x"));
    assert_false(zone_add_range(&zone, "fd00::/8"));
    assert_true(zone_add_range(&zone, "10.1.2.3/8"));
    assert_int_equal(zone.ranges[0].network, 10u << 24);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(services_have_their_address),
        cmocka_unit_test(headless_services_have_those_of_their_endpoints),
        cmocka_unit_test(named_ports_have_srv_records),
        cmocka_unit_test(external_names_are_aliases),
        cmocka_unit_test(pods_are_found_by_address),
        cmocka_unit_test(the_zone_has_its_own_records),
        cmocka_unit_test(addresses_have_names),
        cmocka_unit_test(other_names_are_asked_elsewhere),
        cmocka_unit_test(before_the_first_sync_nothing_is_claimed),
        cmocka_unit_test(ranges_are_checked),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
