/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Accept headers: which clause wins, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "orchestrator/apiserver/http/negotiate.h"
#include "podium/base/alloc.h"

#define JSON     "application/json"
#define PROTOBUF "application/vnd.kubernetes.protobuf"
#define TABLE    ";as=Table;v=v1;g=meta.k8s.io"
#define PARTIAL  ";as=PartialObjectMetadata;g=meta.k8s.io;v=v1"

static const struct {
    const char *accept;
    unsigned offers;
    const char *media; /* NULL: 406 */
    enum accept_as as;
} rows[] = {
    {NULL, 0, JSON, AS_ITSELF},
    {"", 0, JSON, AS_ITSELF},
    {"*/*", 0, JSON, AS_ITSELF},
    {"application/*", 0, JSON, AS_ITSELF},
    {"Application/JSON; charset=utf-8", 0, JSON, AS_ITSELF},
    {"application/yaml", 0, "application/yaml", AS_ITSELF},
    {"text/html", 0, NULL, AS_ITSELF},
    {"text/html, */*;q=0.1", 0, JSON, AS_ITSELF},
    /* as written, when nothing says otherwise */
    {PROTOBUF "," JSON, 0, PROTOBUF, AS_ITSELF},
    {JSON "," PROTOBUF, 0, JSON, AS_ITSELF},
    {PROTOBUF ", */*", 0, PROTOBUF, AS_ITSELF},
    /* what is named goes before wildcards of the same weight */
    {"*/*," PROTOBUF, 0, PROTOBUF, AS_ITSELF},
    {"application/*,application/yaml", 0, "application/yaml", AS_ITSELF},
    /* weights */
    {JSON ";q=0.5," PROTOBUF ";q=0.9", 0, PROTOBUF, AS_ITSELF},
    {JSON ";q=0.9," PROTOBUF ";q=0.5", 0, JSON, AS_ITSELF},
    {JSON " ; q=0.2 , application/yaml;q=0.8", 0, "application/yaml", AS_ITSELF},
    {JSON ";q=0", 0, NULL, AS_ITSELF},
    {JSON ";q=0, */*;q=0.1", 0, JSON, AS_ITSELF},
    {JSON ";q=much", 0, NULL, AS_ITSELF},
    /* views, where there are any */
    {JSON TABLE "," JSON, OFFER_VIEWS, JSON, AS_TABLE},
    {JSON TABLE "," JSON, 0, JSON, AS_ITSELF},
    {JSON TABLE, 0, NULL, AS_ITSELF},
    {PROTOBUF TABLE, OFFER_VIEWS, NULL, AS_ITSELF},
    {PROTOBUF TABLE "," JSON TABLE, OFFER_VIEWS, JSON, AS_TABLE},
    {"application/yaml" TABLE, OFFER_VIEWS, "application/yaml", AS_TABLE},
    {PROTOBUF PARTIAL "," JSON PARTIAL "," JSON, OFFER_VIEWS, PROTOBUF, AS_PARTIAL},
    {JSON ";as=PartialObjectMetadataList;g=meta.k8s.io;v=v1beta1", OFFER_VIEWS, JSON, AS_PARTIAL_LIST},
    {JSON ";as=Table;v=v2;g=meta.k8s.io", OFFER_VIEWS, NULL, AS_ITSELF},
    {JSON ";as=Table;v=v1;g=example.org", OFFER_VIEWS, NULL, AS_ITSELF},
    {JSON ";as=Chair;v=v1;g=meta.k8s.io", OFFER_VIEWS, NULL, AS_ITSELF},
    /* streams */
    {PROTOBUF ";stream=watch", OFFER_STREAM, PROTOBUF, AS_ITSELF},
    {JSON ";stream=other", OFFER_STREAM, NULL, AS_ITSELF},
    {"application/yaml", OFFER_STREAM, NULL, AS_ITSELF},
    {"application/yaml," PROTOBUF, OFFER_STREAM, PROTOBUF, AS_ITSELF},
    /* discovery */
    {JSON ";g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList," JSON, OFFER_DISCOVERY, JSON, AS_DISCOVERY},
    {JSON ";g=apidiscovery.k8s.io;v=v3;as=APIGroupDiscoveryList," JSON, OFFER_DISCOVERY, JSON, AS_ITSELF},
    {JSON ";g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", OFFER_VIEWS, NULL, AS_ITSELF},
};

static void test_rows(void **state) {
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct accepted a;
        bool ok = accept_parse(rows[i].accept, rows[i].offers, &a);
        if (ok != (rows[i].media != NULL) ||
            (ok && (strcmp(accepted_media_type(&a), rows[i].media) != 0 || a.as != rows[i].as)))
            fail_msg("%s: %s %d", rows[i].accept ? rows[i].accept : "nothing", ok ? accepted_media_type(&a) : "406",
                     (int) a.as);
    }
}

static void test_versions(void **state) {
    struct accepted a;
    assert_true(accept_parse(JSON ";as=Table;v=v1beta1;g=meta.k8s.io", OFFER_VIEWS, &a));
    assert_string_equal(accepted_meta_version(&a), "meta.k8s.io/v1beta1");
    assert_true(accept_parse(JSON ";v=v2beta1;g=apidiscovery.k8s.io;as=APIGroupDiscoveryList", OFFER_DISCOVERY, &a));
    assert_string_equal(a.discovery_version, "v2beta1");
}

static void test_encodings(void **state) {
    assert_true(accept_gzip("gzip"));
    assert_true(accept_gzip("deflate, GZIP;q=0.5"));
    assert_false(accept_gzip("deflate"));
    assert_false(accept_gzip("xgzip, gzipped"));
    assert_false(accept_gzip(NULL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_encodings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
