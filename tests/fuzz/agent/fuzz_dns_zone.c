/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any bytes as a query to the cluster's zone: read, looked up, answered. And any document as what the zone is made of.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>

#include "netns/dns/message.h"
#include "orchestrator/agent/dns/zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void apply(struct service_table *table, const char *text, size_t n) {
    _cleanup_json_ struct json *doc = NULL;

    if (json_parse(text, n, NULL, &doc, NULL) == 0)
        (void) service_table_apply(table, doc);
}

static struct service_table *make_table(sd_event *loop) {
    static const char *const documents[] = {
        "{\"kind\":\"Service\",\"metadata\":{\"name\":\"a\",\"namespace\":\"b\"},\"spec\":{\"clusterIP\":\"10.96.0.7\","
        "\"ports\":[{\"name\":\"p\",\"protocol\":\"TCP\",\"port\":80}]}}",
        "{\"kind\":\"Service\",\"metadata\":{\"name\":\"h\",\"namespace\":\"b\"},\"spec\":{\"clusterIP\":\"None\","
        "\"ports\":[{\"name\":\"p\",\"protocol\":\"TCP\",\"port\":80}]}}",
        "{\"kind\":\"Service\",\"metadata\":{\"name\":\"e\",\"namespace\":\"b\"},\"spec\":{\"type\":\"ExternalName\","
        "\"externalName\":\"a.b.svc.z\"}}",
        "{\"kind\":\"EndpointSlice\",\"metadata\":{\"name\":\"h-1\",\"namespace\":\"b\",\"labels\":{"
        "\"kubernetes.io/"
        "service-name\":\"h\"}},\"addressType\":\"IPv4\",\"ports\":[{\"name\":\"p\",\"protocol\":\"TCP\","
        "\"port\":80}],\"endpoints\":[{\"addresses\":[\"10.244.1.1\"],\"hostname\":\"x\",\"conditions\":{\"ready\":"
        "true}"
        "},{\"addresses\":[\"10.244.1.2\"],\"conditions\":{\"ready\":true}}]}"};
    struct service_table *table = service_table_new(loop);

    service_table_sync_begin(table);
    for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++)
        apply(table, documents[i], strlen(documents[i]));
    service_table_sync_end(table);
    return table;
}

static void answer(const struct service_table *table, const uint8_t *data, size_t size) {
    struct cluster_zone zone = {.table = table, .domain = "z", .server = "10.96.0.10"};
    struct dns_answer a = {0};
    struct dns_query q;
    uint8_t out[DNS_UDP_MAX];

    (void) zone_add_range(&zone, "10.0.0.0/8");
    if (dns_query_parse(data, size, &q) == DNS_NOERROR && zone_lookup(&zone, q.name, q.type, &a) &&
        dns_encode_answer(&q, &a, out, q.payload) > q.payload)
        abort();
    dns_answer_finish(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint8_t query[] = {0, 1,   1, 0,   0,   1,   0, 0,   0, 0, 0,  0, 1, 'h',
                                    1, 'b', 3, 's', 'v', 'c', 1, 'z', 0, 0, 33, 0, 1};
    sd_event *loop = NULL;

    if (sd_event_new(&loop) < 0)
        return 0;
    struct service_table *table = make_table(loop);
    if (size > 0 && data[0] == '{') {
        apply(table, (const char *) data, size);
        answer(table, query, sizeof(query));
    } else {
        answer(table, data, size);
    }
    service_table_free(table);
    sd_event_unref(loop);
    return 0;
}
