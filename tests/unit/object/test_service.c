/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Services, Endpoints and EndpointSlices: what is refused and in which words, what is filled in, what a change of type
 * does to the rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "orchestrator/object/schema.h"
#include "orchestrator/object/strategy.h"
#include "orchestrator/object/validation.h"
#include "podium/base/alloc.h"
#include "tests/unit/object/quoted_json.h"

/* Decoded and defaulted, as a request's body. */
static struct json *load(const char *kind, const char *rest) {
    bool slice = strcmp(kind, "EndpointSlice") == 0;
    _cleanup_free_ char *text = xasprintf("{'apiVersion':'%s','kind':'%s','metadata':{'name':'s','namespace':'n'},%s}",
                                          slice ? "discovery.k8s.io/v1" : "v1", kind, rest);
    struct json *doc = quoted_json(text);
    const struct resource *r = resource_by_api_version(json_str(json_get(doc, "apiVersion")), kind);
    assert_int_equal(schema_decode(type_by_name(r->type), &doc, NULL, NULL), 0);
    schema_default(r->api_version, r->kind, &doc);
    return doc;
}

static const struct resource *resource_of(const struct json *doc) {
    return resource_by_api_version(json_str(json_get(doc, "apiVersion")), json_str(json_get(doc, "kind")));
}

static void expect(const struct field_errors *errors, const char *expected) {
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
    for (size_t i = 0; i < errors->n; i++)
        strbuf_addf(&out, "%s%s: %s", i ? "\n" : "", errors->items[i].field, errors->items[i].message);
    assert_string_equal(strbuf_str(&out), expected);
}

static void expect_create(const char *kind, const char *rest, const char *expected) {
    _cleanup_json_ struct json *doc = load(kind, rest);
    _cleanup_field_errors_ struct field_errors errors = FIELD_ERRORS_INIT;
    strategy_prepare_create(resource_of(doc), &doc);
    validate_create(resource_of(doc), doc, &errors);
    expect(&errors, expected);
}

#define LOOPBACK  "may not be in the loopback range (127.0.0.0/8, ::1/128)"
#define LINK      "may not be in the link-local range (169.254.0.0/16, fe80::/10)"
#define MULTICAST "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
#define ANY       "may not be unspecified (0.0.0.0)"

static void test_addresses_special_to_a_host_are_refused(void **state) {
    expect_create("Service",
                  "'spec':{'ports':[{'port':80}],'externalIPs':['127.0.0.1','169.254.1.1','224.0.0.1','0.0.0.0','::1',"
                  "'fe80::1','192.0.2.1','2001:db8::1']}",
                  "spec.externalIPs[0]: Invalid value: \"127.0.0.1\": " LOOPBACK "\n"
                  "spec.externalIPs[1]: Invalid value: \"169.254.1.1\": " LINK "\n"
                  "spec.externalIPs[2]: Invalid value: \"224.0.0.1\": " MULTICAST "\n"
                  "spec.externalIPs[3]: Invalid value: \"0.0.0.0\": " ANY "\n"
                  "spec.externalIPs[4]: Invalid value: \"::1\": " LOOPBACK "\n"
                  "spec.externalIPs[5]: Invalid value: \"fe80::1\": " LINK);
    expect_create("Endpoints", "'subsets':[{'addresses':[{'ip':'127.0.0.1'},{'ip':'192.0.2.1'}]}]",
                  "subsets[0].addresses[0].ip: Invalid value: \"127.0.0.1\": " LOOPBACK);
    expect_create("EndpointSlice", "'addressType':'IPv4','endpoints':[{'addresses':['169.254.0.1']}]",
                  "endpoints[0].addresses[0]: Invalid value: \"169.254.0.1\": " LINK);
    expect_create("EndpointSlice", "'addressType':'IPv4','endpoints':[{'addresses':['2001:db8::1']}]",
                  "endpoints[0].addresses[0]: Invalid value: \"2001:db8::1\": must be a valid IPv4 address");
    expect_create("EndpointSlice", "'addressType':'FQDN','endpoints':[{'addresses':['example.org']}]", "");
}

static void test_values_outside_the_lists_are_refused(void **state) {
    expect_create("Service", "'spec':{'ports':[{'port':80}],'trafficDistribution':'Near'}",
                  "spec.trafficDistribution: Unsupported value: \"Near\": supported values: \"PreferClose\"");
    expect_create("Service", "'spec':{'ports':[{'port':80}],'trafficDistribution':'PreferClose'}", "");
    expect_create("Service", "'spec':{'type':'LoadBalancer','ports':[{'port':10250}]}",
                  "spec.ports[0].port: Invalid value: 10250: may not expose port 10250 externally since it is used by "
                  "kubelet");
    expect_create("Service", "'spec':{'ports':[{'port':10250}]}", "");
}

static const char *families(const char *spec) {
    static char text[64];
    _cleanup_free_ char *rest = xasprintf("'spec':%s", spec);
    _cleanup_json_ struct json *doc = load("Service", rest);
    strategy_prepare_create(resource_of(doc), &doc);
    const struct json *list = json_path(doc, "spec", "ipFamilies");
    (void) snprintf(text, sizeof(text), "%s %s %s", json_str_or(json_path(doc, "spec", "ipFamilyPolicy"), "-"),
                    json_str_or(json_at(list, 0), "-"), json_str_or(json_at(list, 1), "-"));
    return text;
}

static void test_families(void **state) {
    assert_string_equal(families("{'ports':[{'port':80}]}"), "SingleStack IPv4 -");
    assert_string_equal(families("{'clusterIP':'None','selector':{'a':'b'}}"), "SingleStack IPv4 -");
    /* its endpoints are made by others, of whatever family */
    assert_string_equal(families("{'clusterIP':'None'}"), "RequireDualStack IPv4 IPv6");
    assert_string_equal(families("{'clusterIP':'None','ipFamilyPolicy':'SingleStack'}"), "SingleStack IPv4 -");
    assert_string_equal(families("{'type':'ExternalName','externalName':'x.org'}"), "- - -");
}

/* --- updates --- */

#define OLD                                                                                                            \
    "'spec':{'type':'LoadBalancer','clusterIP':'10.0.0.5','clusterIPs':['10.0.0.5'],'ipFamilies':['IPv4'],"            \
    "'ipFamilyPolicy':'SingleStack','externalTrafficPolicy':'Local','healthCheckNodePort':30009,'loadBalancerClass':"  \
    "'x.org/a','ports':[{'port':80,'nodePort':30001}]},'status':{'loadBalancer':{'ingress':[{'ip':'192.0.2.1'}]}}"

/* OLD updated to this; the result, with what is wrong in `errors`. */
static struct json *update(const char *rest, struct field_errors *errors) {
    _cleanup_json_ struct json *old = load("Service", OLD);
    struct json *doc = load("Service", rest);
    json_set(json_edit(&doc, "metadata"), "resourceVersion", json_string("1"));
    json_set(json_edit(&old, "metadata"), "resourceVersion", json_string("1"));
    strategy_prepare_update(resource_of(doc), NULL, &doc, old);
    validate_update(resource_of(doc), NULL, doc, old, errors);
    return doc;
}

static void test_leaving_the_balancer_takes_its_things_along(void **state) {
    _cleanup_field_errors_ struct field_errors errors = FIELD_ERRORS_INIT;
    /* a client that read the object and changed the type only */
    _cleanup_json_ struct json *doc =
        update("'spec':{'type':'ClusterIP','clusterIP':'10.0.0.5','clusterIPs':['10.0.0.5'],'externalTrafficPolicy':"
               "'Local','healthCheckNodePort':30009,'loadBalancerClass':'x.org/a','allocateLoadBalancerNodePorts':true,"
               "'ports':[{'port':80,'nodePort':30001}]}",
               &errors);
    expect(&errors, "");
    static const char *const gone[] = {"externalTrafficPolicy", "healthCheckNodePort", "loadBalancerClass",
                                       "allocateLoadBalancerNodePorts"};
    for (size_t i = 0; i < ARRAY_LEN(gone); i++)
        assert_null(json_path(doc, "spec", gone[i]));
    assert_null(json_get(json_at(json_path(doc, "spec", "ports"), 0), "nodePort"));
    assert_int_equal(json_len(json_path(doc, "status", "loadBalancer")), 0);
    assert_string_equal(json_str(json_path(doc, "spec", "clusterIP")), "10.0.0.5");
}

static void test_what_was_given_does_not_change(void **state) {
    static const struct {
        const char *spec, *error;
    } cases[] = {
        {"'externalTrafficPolicy':'Local','loadBalancerClass':'x.org/a','healthCheckNodePort':30010",
         "spec.healthCheckNodePort: Forbidden: field is immutable"},
        {"'externalTrafficPolicy':'Local','loadBalancerClass':'x.org/b'",
         "spec.loadBalancerClass: Invalid value: \"x.org/b\": may not change once set"},
        {"'externalTrafficPolicy':'Local','loadBalancerClass':'x.org/a','clusterIP':'10.0.0.6'",
         "spec.clusterIPs[0]: Invalid value: [\"10.0.0.6\"]: may not change once set"},
        {"'externalTrafficPolicy':'Local','loadBalancerClass':'x.org/a'", ""},
        {"'externalTrafficPolicy':'Cluster','loadBalancerClass':'x.org/a'", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_field_errors_ struct field_errors errors = FIELD_ERRORS_INIT;
        _cleanup_free_ char *rest = xasprintf("'spec':{'type':'LoadBalancer','ports':[{'port':80}],%s}", cases[i].spec);
        _cleanup_json_ struct json *doc = update(rest, &errors);
        expect(&errors, cases[i].error);
        assert_int_equal(json_int_or(json_get(json_at(json_path(doc, "spec", "ports"), 0), "nodePort"), 0), 30001);
    }
}

static void test_only_balancers_have_ingress(void **state) {
    _cleanup_json_ struct json *old = load("Service", "'spec':{'ports':[{'port':80}],'clusterIP':'10.0.0.5'}");
    _cleanup_json_ struct json *doc = json_ref(old);
    _cleanup_field_errors_ struct field_errors errors = FIELD_ERRORS_INIT;
    json_set(json_edit(&old, "metadata"), "resourceVersion", json_string("1"));
    json_set(json_edit(&doc, "metadata"), "resourceVersion", json_string("1"));
    json_set_path(&doc, quoted_json("[{'ip':'192.0.2.1'}]"), "status", "loadBalancer", "ingress");
    validate_update(resource_of(doc), "status", doc, old, &errors);
    expect(&errors, "status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_special_to_a_host_are_refused),
        cmocka_unit_test(test_values_outside_the_lists_are_refused),
        cmocka_unit_test(test_families),
        cmocka_unit_test(test_leaving_the_balancer_takes_its_things_along),
        cmocka_unit_test(test_what_was_given_does_not_change),
        cmocka_unit_test(test_only_balancers_have_ingress),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
