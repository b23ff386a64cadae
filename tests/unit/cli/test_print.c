/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What people read: tables, descriptions, names, and the fingerprint of an authority. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "orchestrator/cli/describe/describe.h"
#include "orchestrator/cli/print.h"
#include "orchestrator/cli/tabs.h"
#include "orchestrator/object/timestamp.h"
#include "podium/base/alloc.h"

static struct json *parse(const char *text) {
    struct json *doc = NULL;
    assert_int_equal(json_parse(text, strlen(text), NULL, &doc, NULL), 0);
    return doc;
}

static uint64_t at(const char *time) {
    uint64_t usec;
    assert_int_equal(timestamp_parse(time, &usec), 0);
    return usec;
}

static void tabs_align_consecutive_lines_only(void **state) {
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
    tabs_align("a:\t1\nlonger:\t2\nHeading:\n  x:\t3\n", 2, &out);
    assert_string_equal(out.data, "a:       1\nlonger:  2\nHeading:\n  x:  3\n");
}

static void columns_count_characters_and_hide_controls(void **state) {
    _cleanup_columns_ struct columns c = COLUMNS_INIT;
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
    columns_line(&c);
    columns_cell(&c, "gr\xc3\xbc"
                     "n");
    columns_cell(&c, "x");
    columns_line(&c);
    columns_cell(&c, "a\033[2Jb");
    columns_cell(&c, "y");
    columns_print(&c, "", 3, &out);
    assert_string_equal(out.data, "gr\xc3\xbcn     x\na?[2Jb   y\n");
}

static const char table[] =
    "{\"columnDefinitions\":[{\"name\":\"Name\",\"priority\":0},{\"name\":\"Ready\",\"priority\":0},{\"name\":\"IP\","
    "\"priority\":1}],\"rows\":[{\"cells\":[\"a\",\"1/1\",\"10.0.0.1\"],\"object\":{\"metadata\":{\"namespace\":\"ns\","
    "\"labels\":{\"b\":\"2\",\"a\":\"1\"}}}},{\"cells\":[\"bbbbbb\",3,null],\"object\":{\"metadata\":{\"namespace\":"
    "\"ns\"}}}]}";

static void tables_leave_out_what_only_wide_shows(void **state) {
    _cleanup_json_ struct json *doc = parse(table);
    _cleanup_columns_ struct columns plain = COLUMNS_INIT, wide = COLUMNS_INIT;
    _cleanup_strbuf_ struct strbuf a = STRBUF_INIT, b = STRBUF_INIT;
    table_add(&(struct table_options){.headers = true}, json_get(doc, "columnDefinitions"), doc, &plain);
    columns_print(&plain, "", 3, &a);
    assert_string_equal(a.data, "NAME     READY\na        1/1\nbbbbbb   3\n");
    const struct table_options o = {.wide = true,
                                    .namespaces = true,
                                    .kinds = true,
                                    .labels = true,
                                    .headers = true,
                                    .resource = resource_by_name("deploy")};
    table_add(&o, json_get(doc, "columnDefinitions"), doc, &wide);
    columns_print(&wide, "", 3, &b);
    assert_string_equal(b.data, "NAMESPACE   NAME                     READY   IP         LABELS\n"
                                "ns          deployment.apps/a        1/1     10.0.0.1   a=1,b=2\n"
                                "ns          deployment.apps/bbbbbb   3       <none>     <none>\n");
}

static void formats(void **state) {
    _cleanup_json_ struct json *doc =
        parse("{\"kind\":\"Deployment\",\"apiVersion\":\"apps/v1\",\"metadata\":{\"name\":\"web\"}}");
    static const struct {
        const char *format, *result;
    } cases[] = {
        {"name", "deployment.apps/web\n"},
        {"yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n"},
        {"json", "{\n    \"apiVersion\": \"apps/v1\",\n    \"kind\": \"Deployment\",\n    \"metadata\": {\n        "
                 "\"name\": \"web\"\n    }\n}\n"},
        {"jsonpath={.kind}", "Deployment"},
        {"custom-columns=A:.metadata.name,B:.nothing", "A     B\nweb   <none>\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct output_format f;
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
        assert_int_equal(output_parse(cases[i].format, &f, NULL), 0);
        output_print(&f, doc, &out);
        assert_string_equal(out.data, cases[i].result);
        output_finish(&f);
    }
    struct output_format f;
    assert_int_equal(output_parse("xml", &f, NULL), -EINVAL);
}

static const char pod[] =
    "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"web-1\",\"namespace\":\"default\",\"labels\":{\"app\":\"web\"},"
    "\"ownerReferences\":[{\"kind\":\"ReplicaSet\",\"name\":\"web\",\"controller\":true}]},"
    "\"spec\":{\"nodeName\":\"n1\",\"containers\":[{\"name\":\"web\",\"image\":\"web:1\",\"env\":[{\"name\":"
    "\"PASSWORD\","
    "\"valueFrom\":{\"secretKeyRef\":{\"name\":\"s\",\"key\":\"k\"}}}]}]},"
    "\"status\":{\"phase\":\"Running\",\"qosClass\":\"BestEffort\",\"containerStatuses\":[{\"name\":\"web\","
    "\"restartCount\":4,"
    "\"state\":{\"waiting\":{\"reason\":\"CrashLoopBackOff\",\"message\":\"back-off 40s\"}},"
    "\"lastState\":{\"terminated\":{\"exitCode\":3,\"reason\":\"Error\"}}}]}}";

static void a_pod_says_why_it_does_not_run(void **state) {
    _cleanup_json_ struct json *doc = parse(pod);
    _cleanup_json_ struct json *events =
        parse("[{\"type\":\"Warning\",\"reason\":\"BackOff\",\"message\":\"two\\nlines\",\"count\":5,"
              "\"firstTimestamp\":\"2026-01-01T00:00:00Z\",\"lastTimestamp\":\"2026-01-01T00:08:00Z\",\"source\":{"
              "\"component\":\"agent\"}}]");
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
    describe(&(struct described){doc, events, NULL, at("2026-01-01T00:10:00Z")}, &out);
    static const char *const parts[] = {
        "Name:           web-1\n",
        "Controlled By:  ReplicaSet/web\n",
        "    State:          Waiting\n      Reason:       CrashLoopBackOff\n      Message:      back-off 40s\n",
        "    Last State:     Terminated\n      Reason:       Error\n      Exit Code:    3\n",
        "    Restart Count:  4\n",
        "PASSWORD:  <set to the key 'k' in secret 's'>",
        "  Warning  BackOff  2m (x5 over 10m)  agent  two lines\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (!strstr(out.data, parts[i]))
            fail_msg("missing:\n%s\nin:\n%s", parts[i], out.data);
}

static void a_secret_shows_sizes_only(void **state) {
    _cleanup_json_ struct json *doc = parse("{\"kind\":\"Secret\",\"metadata\":{\"name\":\"s\"},\"type\":\"Opaque\","
                                            "\"data\":{\"password\":\"aHVudGVyMg==\"}}");
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
    describe(&(struct described){doc, NULL, NULL, 0}, &out);
    assert_non_null(strstr(out.data, "password:  7 bytes\n"));
    assert_null(strstr(out.data, "hunter2"));
    assert_null(strstr(out.data, "aHVudGVyMg"));
}

static void a_node_sums_what_pods_ask_for(void **state) {
    _cleanup_json_ struct json *node = parse("{\"kind\":\"Node\",\"metadata\":{\"name\":\"n1\"},\"spec\":{\"taints\":[{"
                                             "\"key\":\"a\",\"effect\":\"NoSchedule\"}]},"
                                             "\"status\":{\"allocatable\":{\"cpu\":\"2\",\"memory\":\"1Gi\"}}}");
    _cleanup_json_ struct json *pods =
        parse("[{\"metadata\":{\"name\":\"a\",\"namespace\":\"x\"},\"spec\":{\"containers\":[{\"resources\":{"
              "\"requests\":{\"cpu\":\"250m\","
              "\"memory\":\"256Mi\"}}},{\"resources\":{\"requests\":{\"cpu\":\"250m\"}}}]}},"
              "{\"metadata\":{\"name\":\"over\"},\"status\":{\"phase\":\"Succeeded\"},\"spec\":{\"containers\":[{"
              "\"resources\":{\"requests\":{"
              "\"cpu\":\"1\"}}}]}}]");
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
    describe(&(struct described){node, NULL, pods, 0}, &out);
    assert_non_null(strstr(out.data, "(1 in total)"));
    assert_non_null(strstr(out.data, "500m (25%)"));
    assert_non_null(strstr(out.data, "256Mi (25%)"));
    assert_non_null(strstr(out.data, "a:NoSchedule"));
    assert_null(strstr(out.data, "over"));
}

int main(void) {
    (void) setenv("TZ", "UTC", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tabs_align_consecutive_lines_only),
        cmocka_unit_test(columns_count_characters_and_hide_controls),
        cmocka_unit_test(tables_leave_out_what_only_wide_shows),
        cmocka_unit_test(formats),
        cmocka_unit_test(a_pod_says_why_it_does_not_run),
        cmocka_unit_test(a_secret_shows_sizes_only),
        cmocka_unit_test(a_node_sums_what_pods_ask_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
