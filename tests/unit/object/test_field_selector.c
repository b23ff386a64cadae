/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "orchestrator/object/selector.h"

static struct json *parse(const char *text) {
    struct json *v = NULL;
    assert_int_equal(json_parse(text, strlen(text), NULL, &v, NULL), 0);
    return v;
}

static const char pod[] = "{\"metadata\":{\"name\":\"web\",\"namespace\":\"prod\"},\"spec\":{\"nodeName\":\"n1\"},"
                          "\"status\":{\"phase\":\"Running\",\"podIPs\":[{\"ip\":\"10.0.0.1\"},{\"ip\":\"fd00::1\"}]}}";
static const char event[] = "{\"metadata\":{\"name\":\"e\"},\"involvedObject\":{\"kind\":\"Pod\",\"name\":\"web\"},"
                            "\"source\":{},\"reportingComponent\":\"agent\",\"type\":\"Warning\"}";
static const char node[] = "{\"metadata\":{\"name\":\"n1\"},\"spec\":{\"unschedulable\":true}}";
static const char job[] = "{\"metadata\":{\"name\":\"j\"},\"status\":{\"succeeded\":3}}";

static void terms_match_the_fields_of_the_kind(void **state) {
    static const struct {
        const char *object, *group, *kind, *selector;
        bool matches;
    } cases[] = {
        {pod, "", "Pod", "", true},
        {pod, "", "Pod", ",,", true},
        {pod, "", "Pod", "metadata.name=web", true},
        {pod, "", "Pod", "metadata.name==web,metadata.namespace=prod", true},
        {pod, "", "Pod", "metadata.name!=web", false},
        {pod, "", "Pod", "spec.nodeName=n1,status.phase!=Pending", true},
        {pod, "", "Pod", "spec.host=n1", true},
        {pod, "", "Pod", "spec.hostNetwork=false", true},
        {pod, "", "Pod", "spec.nodeName=", false},
        {pod, "", "Pod", "status.nominatedNodeName=", true},
        {pod, "", "Pod", "status.podIPs=fd00::1", true},
        {event, "", "Event", "involvedObject.kind=Pod,involvedObject.name=web,involvedObject.uid=", true},
        {event, "", "Event", "source=agent,type!=Normal,reportingComponent=agent", true},
        {event, "events.k8s.io", "Event", "regarding.name=web,reportingController=agent", true},
        {node, "", "Node", "spec.unschedulable=true", true},
        {job, "batch", "Job", "status.successful=3", true},
        {job, "batch", "Job", "status.successful=0", false},
        {node, "apps", "Deployment", "metadata.name=n1,metadata.namespace=", true},
        {pod, "", "Pod", "metadata.name=a\\,b\\=c\\\\d", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _cleanup_json_ struct json *object = parse(cases[i].object);
        _cleanup_(field_selector_freep) struct field_selector *s = NULL;
        _cleanup_(error_clear) struct error err = ERROR_INIT;
        if (field_selector_parse(cases[i].selector, cases[i].group, "v1", cases[i].kind, &s, &err) < 0)
            fail_msg("%s: %s", cases[i].selector, err.text);
        if (field_selector_matches(s, object) != cases[i].matches)
            fail_msg("%s", cases[i].selector);
    }
    assert_true(field_selector_matches(NULL, NULL));
}

static void unknown_fields_and_bad_syntax_say_why(void **state) {
    static const struct {
        const char *kind, *selector, *text;
    } cases[] = {
        {"Pod", "spec.foo=1", "field label not supported: spec.foo"},
        {"ConfigMap", "data.x=1",
         "\"data.x\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""},
        {"Pod", "metadata.name", "invalid selector: 'metadata.name'; can't understand 'metadata.name'"},
        {"Pod", "metadata.name=a=b", "invalid field selector: unescaped character in value: ="},
        {"Pod", "metadata.name=a\\b", "invalid field selector: invalid escape sequence: \\b"},
        {"Pod", "metadata.name=a\\", "invalid field selector: invalid escape sequence: \\"},
        {"Service", "spec.host=x", "field label not supported: spec.host"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct field_selector *s = NULL;
        _cleanup_(error_clear) struct error err = ERROR_INIT;
        assert_int_equal(field_selector_parse(cases[i].selector, "", "v1", cases[i].kind, &s, &err), -EINVAL);
        assert_string_equal(err.text, cases[i].text);
    }
}

static void equality_terms_can_be_asked_for(void **state) {
    _cleanup_(field_selector_freep) struct field_selector *s = NULL;
    assert_int_equal(field_selector_parse("metadata.name=web,spec.nodeName!=x", "", "v1", "Pod", &s, NULL), 0);
    assert_string_equal(field_selector_exact(s, "metadata.name"), "web");
    assert_null(field_selector_exact(s, "spec.nodeName"));
    assert_null(field_selector_exact(NULL, "spec.nodeName"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(terms_match_the_fields_of_the_kind),
        cmocka_unit_test(unknown_fields_and_bad_syntax_say_why),
        cmocka_unit_test(equality_terms_can_be_asked_for),
    };
    return cmocka_run_group_tests_name("field_selector", tests, NULL, NULL);
}
