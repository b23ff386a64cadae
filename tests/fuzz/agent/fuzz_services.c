/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Services and EndpointSlices, arbitrary, applied one after the other: what the node makes of each change, and whether
 * what it records of them makes the same services again. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>

#include "orchestrator/agent/services/compile.h"
#include "orchestrator/agent/services/record.h"
#include "orchestrator/agent/services/table.h"
#include "podium/base/alloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_changed(void *userdata, const struct service *old, const struct service *service) {
    static char own_address[] = "10.96.0.10";
    char *const own[] = {own_address, NULL};
    const struct compile_node node = {"n1", own};
    struct compiled before = {0}, after = {0};
    struct netns_connections *ended = NULL;
    size_t n = 0;

    service_compile(old, &node, &before);
    service_compile(service, &node, &after);
    service_ended(old, service, &node, &ended, &n);
    free(ended);
    compiled_finish(&before);
    compiled_finish(&after);
}

static void apply_all(struct service_table *table, const struct json *documents, sd_event *loop) {
    for (size_t i = 0; i < json_len(documents) && i < 32; i++) {
        const struct json *doc = json_at(documents, i);
        if (json_get(doc, "remove"))
            service_table_remove(table, json_str_or(json_get(doc, "remove"), ""),
                                 json_str_or(json_get(doc, "namespace"), ""), json_str_or(json_get(doc, "name"), ""));
        else
            (void) service_table_apply(table, doc);
        if (i % 3 == 2)
            (void) sd_event_run(loop, 0);
    }
    (void) sd_event_run(loop, 0);
}

/* Keys are made of names, which the API keeps free of slashes. */
static bool is_named_well(const struct service *s) {
    return !strchr(s->name, '/') && !strchr(s->namespace, '/');
}

static void check_records(const struct service_table *table, sd_event *loop) {
    struct service_table *again = service_table_new(loop);
    const struct service *s = NULL;
    bool well = true;

    while (well && (s = service_table_next(table, s))) {
        _cleanup_json_ struct json *list = json_array(), *second = json_array();
        well = is_named_well(s);
        if (!well)
            break;
        service_record(s, &list);
        apply_all(again, list, loop);
        const struct service *made = service_table_get(again, s->namespace, s->name);
        if (!made || made->other_proxy != s->other_proxy)
            abort();
        service_record(made, &second);
        if (!json_equal(list, second)) {
            _cleanup_free_ char *a = json_to_text(list), *b = json_to_text(second);
            fprintf(stderr, "%s\n%s\n", a, b);
            abort();
        }
    }
    service_table_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    _cleanup_json_ struct json *documents = NULL;
    const struct service_listener listener = {.changed = on_changed};
    sd_event *loop = NULL;

    if (json_parse((const char *) data, size, NULL, &documents, NULL) < 0 || json_len(documents) == 0 ||
        sd_event_new(&loop) < 0)
        return 0;
    struct service_table *table = service_table_new(loop);
    service_table_listen(table, &listener);
    service_table_sync_begin(table);
    apply_all(table, documents, loop);
    service_table_sync_end(table);
    (void) sd_event_run(loop, 0);
    check_records(table, loop);
    service_table_sync_begin(table); /* what is not named again goes */
    (void) service_table_apply(table, json_at(documents, 0));
    service_table_sync_end(table);
    (void) sd_event_run(loop, 0);
    service_table_free(table);
    sd_event_unref(loop);
    return 0;
}
