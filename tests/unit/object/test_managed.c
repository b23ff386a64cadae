/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who owns what after updates and applies: stories of one object each, and a random one against the definition. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "orchestrator/object/managed/field_merge.h"
#include "orchestrator/object/managed/managed.h"
#include "orchestrator/object/managed/managers.h"
#include "tests/unit/object/quoted_json.h"

struct story {
    const struct resource *resource;
    struct json *live; /* NULL: not created */
    uint64_t now_usec;
};

static struct story begin(const char *api_version, const char *kind) {
    struct story s = {.resource = resource_by_api_version(api_version, kind), .now_usec = 1700000000000000ull};
    assert_non_null(s.resource);
    return s;
}

static void end(struct story *s) {
    json_unref(s->live);
}
#define _cleanup_story_ _cleanup_(end)

/* The body with apiVersion, kind and name. */
static struct json *body_of(const struct story *s, const char *text) {
    struct json *doc = quoted_json(text);
    json_set(&doc, "apiVersion", json_string(s->resource->api_version));
    json_set(&doc, "kind", json_string(s->resource->kind));
    json_set_path(&doc, json_string("x"), "metadata", "name");
    return doc;
}

static void settle(struct story *s, struct json *take) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    if (schema_decode(type_of_kind(s->resource->api_version, s->resource->kind), &take, NULL, &err) < 0)
        fail_msg("%s", err.text);
    schema_default(s->resource->api_version, s->resource->kind, &take);
    json_unref(s->live);
    s->live = take;
    s->now_usec += 1000000;
}

static struct managed_writer writer(const struct story *s, const char *manager, const char *subresource) {
    return (struct managed_writer){
        .resource = s->resource, .subresource = subresource, .manager = manager, .now_usec = s->now_usec};
}

/* PUT of a document (decoded and defaulted first, as the server does). */
static void put_doc(struct story *s, const char *manager, const char *subresource, struct json *take) {
    struct managed_writer w = writer(s, manager, subresource);
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    if (schema_decode(type_of_kind(s->resource->api_version, s->resource->kind), &take, NULL, &err) < 0)
        fail_msg("%s", err.text);
    schema_default(s->resource->api_version, s->resource->kind, &take);
    managed_record(&w, s->live, &take);
    settle(s, take);
}

static void put(struct story *s, const char *manager, const char *text) {
    put_doc(s, manager, NULL, body_of(s, text));
}

/* 0, or the error with the conflicts' message. */
static int try_apply_doc(struct story *s, const char *manager, const char *subresource, bool force,
                         const struct json *config, char **ret_message) {
    struct managed_writer w = writer(s, manager, subresource);
    _cleanup_(managed_conflicts_finish) struct managed_conflicts conflicts = {0};
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct json *got = NULL;
    int r = managed_apply(&w, s->live, config, force, &got, &conflicts, &err);
    if (ret_message)
        *ret_message = xstrdup(r < 0 ? error_text(&err, r) : "");
    if (r == 0)
        settle(s, got);
    return r;
}

static void apply(struct story *s, const char *manager, bool force, const char *text) {
    _cleanup_json_ struct json *config = body_of(s, text);
    _cleanup_free_ char *message = NULL;
    if (try_apply_doc(s, manager, NULL, force, config, &message) < 0)
        fail_msg("%s applies %s: %s", manager, text, message);
}

static void conflicts(struct story *s, const char *manager, const char *text, const char *expected) {
    _cleanup_json_ struct json *config = body_of(s, text), *before = json_ref(s->live);
    _cleanup_free_ char *message = NULL;
    assert_int_equal(try_apply_doc(s, manager, NULL, false, config, &message), -EBUSY);
    assert_string_equal(message, expected);
    assert_ptr_equal(s->live, before);
}

/* --- looking --- */

static const struct json *entry(const struct story *s, const char *manager, const char *operation) {
    const struct json *list = json_path(s->live, "metadata", "managedFields");
    for (size_t i = 0; i < json_len(list); i++)
        if (json_get_is(json_at(list, i), "manager", manager) && json_get_is(json_at(list, i), "operation", operation))
            return json_at(list, i);
    return NULL;
}

/* expected: ' for ", ` for \"; NULL: has no entry. */
static void owns(const struct story *s, const char *manager, const char *operation, const char *expected) {
    const struct json *e = entry(s, manager, operation);
    _cleanup_strbuf_ struct strbuf want = STRBUF_INIT;
    if (!expected) {
        assert_null(e);
        return;
    }
    if (!e)
        fail_msg("%s owns nothing by %s", manager, operation);
    for (; *expected; expected++)
        strbuf_adds(&want, *expected == '\'' ? "\"" : *expected == '`' ? "\\\"" : (char[]){*expected, 0});
    _cleanup_free_ char *got = json_to_text(json_get(e, "fieldsV1"));
    assert_string_equal(got, want.data);
}

/* Top-level members of the object as they are now, without defaults' noise: the named one. */
static void is(const struct story *s, const char *member, const char *expected) {
    _cleanup_json_ struct json *want = quoted_json(expected);
    const struct json *got = json_get(s->live, member);
    if (!json_equal(got, want)) {
        _cleanup_free_ char *text = json_to_text(got);
        fail_msg("%s is %s, not %s", member, text, expected);
    }
}

#define CM "v1", "ConfigMap"

/* --- stories --- */

static void creators_and_updaters_own_what_they_write(void **state) {
    _cleanup_story_ struct story s = begin(CM);
    put(&s, "alice", "{'data':{'a':'1','b':'1'}}");
    owns(&s, "alice", "Update", "{'f:data':{'.':{},'f:a':{},'f:b':{}}}");
    put(&s, "bob", "{'data':{'a':'2','b':'1','c':'1'}}");
    owns(&s, "alice", "Update", "{'f:data':{'.':{},'f:b':{}}}");
    owns(&s, "bob", "Update", "{'f:data':{'f:a':{},'f:c':{}}}");
    put(&s, "carol", "{'data':{'a':'2','c':'1'}}"); /* removing makes nobody an owner */
    owns(&s, "alice", "Update", "{'f:data':{}}");
    owns(&s, "carol", "Update", NULL);
    put(&s, "carol", "{}");
    assert_null(json_path(s.live, "metadata", "managedFields"));
    put(&s, "carol", "{'data':{'z':'1'}}"); /* nobody is recorded where nobody was */
    assert_null(json_path(s.live, "metadata", "managedFields"));
}

/* A restored object has its entries open. */
static void open_entries_are_understood(void **state) {
    _cleanup_story_ struct story s = begin(CM);
    put(&s, "alice", "{'data':{'a':'1','b':'1'}}");
    _cleanup_free_ char *text = json_to_text(s.live);
    json_unref(s.live);
    s.live = NULL;
    assert_int_equal(json_parse(text, strlen(text), NULL, &s.live, NULL), 0);
    conflicts(&s, "bob", "{'data':{'a':'2'}}",
              "Apply failed with 1 conflict: conflict with \"alice\" using v1: .data.a");
    put(&s, "bob", "{'data':{'a':'2','b':'1'}}");
    owns(&s, "alice", "Update", "{'f:data':{'.':{},'f:b':{}}}");
    owns(&s, "bob", "Update", "{'f:data':{'f:a':{}}}");
}

static void unnamed_writers_are_unknown(void **state) {
    _cleanup_story_ struct story s = begin(CM);
    put(&s, "", "{'data':{'a':'1'}}");
    owns(&s, "unknown", "Update", "{'f:data':{'.':{},'f:a':{}}}");
}

static void what_nobody_changes_keeps_its_entry(void **state) {
    _cleanup_story_ struct story s = begin(CM);
    put(&s, "alice", "{'data':{'a':'1'}}");
    _cleanup_json_ struct json *before = json_ref(json_path(s.live, "metadata", "managedFields"));
    put(&s, "alice", "{'data':{'a':'1'}}");
    put(&s, "bob", "{'data':{'a':'1'}}");
    assert_true(json_equal(json_path(s.live, "metadata", "managedFields"), before));
    put(&s, "alice", "{'data':{'a':'2'}}");
    assert_false(json_equal(json_path(s.live, "metadata", "managedFields"), before));
    assert_true(managed_same_but_times(json_path(s.live, "metadata", "managedFields"), before));
}

static void applied_fields_come_and_go(void **state) {
    _cleanup_story_ struct story s = begin(CM);
    apply(&s, "a", false, "{'data':{'x':'1','y':'1'},'metadata':{'labels':{'l':'1'}}}");
    owns(&s, "a", "Apply", "{'f:data':{'f:x':{},'f:y':{}},'f:metadata':{'f:labels':{'f:l':{}}}}");
    apply(&s, "a", false, "{'data':{'y':'2'}}");
    is(&s, "data", "{'y':'2'}");
    assert_null(json_path(s.live, "metadata", "labels"));
    owns(&s, "a", "Apply", "{'f:data':{'f:y':{}}}");
}

static void shared_fields_stay_until_the_last_owner_goes(void **state) {
    _cleanup_story_ struct story s = begin(CM);
    apply(&s, "a", false, "{'data':{'x':'1','y':'1'}}");
    apply(&s, "b", false, "{'data':{'x':'1'}}");
    apply(&s, "a", false, "{'data':{'y':'1'}}");
    is(&s, "data", "{'x':'1','y':'1'}");
    apply(&s, "b", false, "{}");
    is(&s, "data", "{'y':'1'}");
    owns(&s, "b", "Apply", NULL);
}

static void differing_values_conflict(void **state) {
    _cleanup_story_ struct story s = begin("apps/v1", "Deployment");
    static const char web[] = "{'spec':{'replicas':1,'selector':{'matchLabels':{'a':'b'}},'template':{'spec':{"
                              "'containers':[{'name':'c','image':'1'}]}}}}";
    put(&s, "kubectl-create", web);
    conflicts(&s, "a", "{'spec':{'replicas':2}}",
              "Apply failed with 1 conflict: conflict with \"kubectl-create\" using apps/v1: .spec.replicas");
    conflicts(&s, "a", "{'spec':{'replicas':2,'template':{'spec':{'containers':[{'name':'c','image':'2'}]}}}}",
              "Apply failed with 2 conflicts: conflicts with \"kubectl-create\" using apps/v1:\n- .spec.replicas\n"
              "- .spec.template.spec.containers[name=\"c\"].image");
    apply(&s, "b", true, "{'spec':{'replicas':3}}");
    conflicts(&s, "a", "{'spec':{'replicas':2,'template':{'spec':{'containers':[{'name':'c','image':'2'}]}}}}",
              "Apply failed with 2 conflicts: conflicts with \"b\":\n- .spec.replicas\n"
              "conflicts with \"kubectl-create\" using apps/v1:\n- "
              ".spec.template.spec.containers[name=\"c\"].image");
    /* the same value is no conflict, but shared */
    apply(&s, "a", false, "{'spec':{'replicas':3}}");
    apply(&s, "b", false, "{}");
    assert_int_equal(json_int_or(json_path(s.live, "spec", "replicas"), 0), 3);
    conflicts(&s, "b", "{'spec':{'replicas':4}}", "Apply failed with 1 conflict: conflict with \"a\": .spec.replicas");
}

static void force_takes_over(void **state) {
    _cleanup_story_ struct story s = begin(CM);
    apply(&s, "a", false, "{'data':{'x':'1','y':'1'}}");
    apply(&s, "b", true, "{'data':{'x':'2'}}");
    owns(&s, "a", "Apply", "{'f:data':{'f:y':{}}}");
    owns(&s, "b", "Apply", "{'f:data':{'f:x':{}}}");
    is(&s, "data", "{'x':'2','y':'1'}");
    apply(&s, "a", false, "{'data':{'y':'1'}}"); /* x is b's now */
    is(&s, "data", "{'x':'2','y':'1'}");
}

static void an_update_takes_from_an_applier_who_takes_back(void **state) {
    _cleanup_story_ struct story s = begin(CM);
    apply(&s, "a", false, "{'data':{'x':'1','y':'1'}}");
    put(&s, "u", "{'data':{'x':'2'}}"); /* changes x, removes y */
    owns(&s, "a", "Apply", NULL);
    owns(&s, "u", "Update", "{'f:data':{'f:x':{}}}");
    conflicts(&s, "a", "{'data':{'x':'1','y':'1'}}",
              "Apply failed with 1 conflict: conflict with \"u\" using v1: .data.x");
    apply(&s, "a", true, "{'data':{'x':'1','y':'1'}}");
    is(&s, "data", "{'x':'1','y':'1'}");
    owns(&s, "u", "Update", NULL);
}

static void an_appliers_own_update_is_another_entry(void **state) {
    _cleanup_story_ struct story s = begin(CM);
    apply(&s, "a", false, "{'data':{'x':'1'}}");
    put(&s, "a", "{'data':{'x':'2'}}");
    owns(&s, "a", "Update", "{'f:data':{'f:x':{}}}");
    conflicts(&s, "a", "{'data':{'x':'1'}}", "Apply failed with 1 conflict: conflict with \"a\" using v1: .data.x");
}

static void lists_of_maps_are_owned_by_item(void **state) {
    _cleanup_story_ struct story s = begin("v1", "Service");
    apply(&s, "a", false, "{'spec':{'ports':[{'port':80},{'port':443,'name':'tls'}]}}");
    owns(&s, "a", "Apply",
         "{'f:spec':{'f:ports':{'k:{`port`:80,`protocol`:`TCP`}':{'.':{},'f:port':{}},"
         "'k:{`port`:443,`protocol`:`TCP`}':{'.':{},'f:name':{},'f:port':{}}}}}");
    apply(&s, "b", false, "{'spec':{'ports':[{'port':80,'protocol':'UDP','name':'dns'}]}}");
    assert_int_equal(json_len(json_path(s.live, "spec", "ports")), 3);
    apply(&s, "b", false, "{'spec':{'ports':[{'port':80,'name':'http'}]}}"); /* another item; a's own field in it */
    assert_int_equal(json_len(json_path(s.live, "spec", "ports")), 2);
    apply(&s, "a", false, "{'spec':{'ports':[{'port':443,'name':'tls'}]}}");
    const struct json *ports = json_path(s.live, "spec", "ports");
    assert_int_equal(json_len(ports), 2); /* b still wants port 80 */
    apply(&s, "b", false, "{}");
    ports = json_path(s.live, "spec", "ports");
    assert_int_equal(json_len(ports), 1);
    assert_int_equal(json_int_or(json_get(json_at(ports, 0), "port"), 0), 443);
}

/* Who applied an item may take it away, with what updaters changed in it; a second applier would hold it. */
static void an_item_goes_with_who_applied_it(void **state) {
    _cleanup_story_ struct story s = begin("v1", "Pod");
    apply(&s, "a", false, "{'spec':{'containers':[{'name':'c','image':'1'},{'name':'d','image':'1'}]}}");
    _cleanup_json_ struct json *doc = json_ref(s.live);
    json_set(json_edit_at(json_edit(json_edit(&doc, "spec"), "containers"), 1), "image", json_string("2"));
    put_doc(&s, "u", NULL, steal(&doc));
    apply(&s, "a", false, "{'spec':{'containers':[{'name':'c','image':'1'}]}}");
    assert_int_equal(json_len(json_path(s.live, "spec", "containers")), 1);
    owns(&s, "u", "Update", NULL);
}

static void sets_are_owned_by_value(void **state) {
    _cleanup_story_ struct story s = begin(CM);
    apply(&s, "a", false, "{'metadata':{'finalizers':['x/a','x/b']}}");
    apply(&s, "b", false, "{'metadata':{'finalizers':['x/b','x/c']}}");
    assert_int_equal(json_len(json_path(s.live, "metadata", "finalizers")), 3);
    apply(&s, "a", false, "{'metadata':{'finalizers':['x/a']}}");
    assert_int_equal(json_len(json_path(s.live, "metadata", "finalizers")), 3);
    apply(&s, "b", false, "{}");
    assert_int_equal(json_len(json_path(s.live, "metadata", "finalizers")), 1);
    owns(&s, "a", "Apply", "{'f:metadata':{'f:finalizers':{'v:`x/a`':{}}}}");
}

static void atomic_values_are_owned_whole(void **state) {
    _cleanup_story_ struct story s = begin("v1", "Pod");
    apply(&s, "a", false, "{'spec':{'nodeSelector':{'x':'1'},'containers':[{'name':'c','args':['1']}]}}");
    conflicts(&s, "b", "{'spec':{'nodeSelector':{'y':'1'}}}",
              "Apply failed with 1 conflict: conflict with \"a\": .spec.nodeSelector");
    conflicts(&s, "b", "{'spec':{'containers':[{'name':'c','args':['1','2']}]}}",
              "Apply failed with 1 conflict: conflict with \"a\": .spec.containers[name=\"c\"].args");
    apply(&s, "b", true, "{'spec':{'nodeSelector':{'y':'1'}}}");
    _cleanup_json_ struct json *want = quoted_json("{'y':'1'}");
    assert_true(json_equal(json_path(s.live, "spec", "nodeSelector"), want));
    apply(&s, "b", false, "{}");
    assert_null(json_path(s.live, "spec", "nodeSelector"));
}

static void nested_structs_go_with_their_last_field(void **state) {
    _cleanup_story_ struct story s = begin("v1", "Pod");
    apply(&s, "a", false,
          "{'spec':{'containers':[{'name':'c','image':'1','securityContext':{'runAsUser':5},'livenessProbe':{"
          "'exec':{'command':['x']}}}]}}");
    apply(&s, "a", false, "{'spec':{'containers':[{'name':'c','image':'1'}]}}");
    const struct json *c = json_at(json_path(s.live, "spec", "containers"), 0);
    assert_null(json_get(c, "securityContext"));
    assert_null(json_get(c, "livenessProbe"));
}

static void null_is_owned_and_clears(void **state) {
    _cleanup_story_ struct story s = begin("v1", "Pod");
    put(&s, "u", "{'spec':{'hostname':'h','containers':[{'name':'c'}]}}");
    conflicts(&s, "a", "{'spec':{'hostname':null}}",
              "Apply failed with 1 conflict: conflict with \"u\" using v1: .spec.hostname");
    apply(&s, "a", true, "{'spec':{'hostname':null}}");
    assert_null(json_path(s.live, "spec", "hostname"));
    owns(&s, "a", "Apply", "{'f:spec':{'f:hostname':{}}}");
}

static void the_same_amount_is_no_conflict(void **state) {
    _cleanup_story_ struct story s = begin("v1", "Pod");
    apply(&s, "a", false, "{'spec':{'containers':[{'name':'c','resources':{'limits':{'cpu':'1000m'}}}]}}");
    apply(&s, "b", false, "{'spec':{'containers':[{'name':'c','resources':{'limits':{'cpu':1}}}]}}");
    _cleanup_json_ struct json *before = json_ref(s.live);
    apply(&s, "a", false, "{'spec':{'containers':[{'name':'c','resources':{'limits':{'cpu':'1000m'}}}]}}");
    assert_true(json_equal(s.live, before));
}

static void objects_of_unknown_origin_belong_to_the_time_before(void **state) {
    _cleanup_story_ struct story s = begin(CM);
    put(&s, "u", "{'data':{'x':'1'}}");
    json_del(json_edit(&s.live, "metadata"), "managedFields");
    conflicts(&s, "a", "{'data':{'x':'2'}}",
              "Apply failed with 1 conflict: conflict with \"before-first-apply\" using v1: .data.x");
    apply(&s, "a", false, "{'data':{'x':'1','y':'1'}}");
    owns(&s, "before-first-apply", "Update", "{'f:data':{'.':{},'f:x':{}}}");
    owns(&s, "a", "Apply", "{'f:data':{'f:x':{},'f:y':{}}}");
}

static void owners_can_be_written_and_forgotten(void **state) {
    _cleanup_story_ struct story s = begin(CM);
    put(&s, "u", "{'data':{'x':'1'}}");
    put(&s, "u", "{'metadata':{'managedFields':[{}]},'data':{'x':'1'}}");
    assert_null(json_path(s.live, "metadata", "managedFields"));
    end(&s);
    s.live = NULL;
    put(&s, "u", "{'data':{'x':'1'}}");
    put(&s, "v",
        "{'metadata':{'managedFields':[{'manager':'w','operation':'Apply','apiVersion':'v1','fieldsType':'FieldsV1',"
        "'fieldsV1':{'f:data':{'f:x':{}}}}]},'data':{'x':'1'}}");
    owns(&s, "u", "Update", NULL);
    owns(&s, "w", "Apply", "{'f:data':{'f:x':{}}}");
    /* what cannot be understood is not taken */
    put(&s, "v",
        "{'metadata':{'managedFields':[{'manager':'w','operation':'Apply','apiVersion':'v1','fieldsType':'FieldsV1',"
        "'fieldsV1':{'nonsense':{}}}]},'data':{'x':'1'}}");
    owns(&s, "w", "Apply", "{'f:data':{'f:x':{}}}");
    /* and not through a subresource */
    put_doc(&s, "v", "status", body_of(&s, "{'metadata':{'managedFields':[{}]},'data':{'x':'1'}}"));
    owns(&s, "w", "Apply", "{'f:data':{'f:x':{}}}");
}

static void subresources_have_entries_and_reach_of_their_own(void **state) {
    _cleanup_story_ struct story s = begin("v1", "Pod");
    put(&s, "u", "{'spec':{'containers':[{'name':'c'}]},'status':{'phase':'Pending'}}");
    put_doc(&s, "kubelet", "status",
            body_of(&s, "{'spec':{'containers':[{'name':'c'}],'hostname':'h'},'status':{'phase':'Running'}}"));
    owns(&s, "kubelet", "Update", "{'f:status':{'f:phase':{}}}");
    assert_string_equal(json_get_str(entry(&s, "kubelet", "Update"), "subresource"), "status");
    _cleanup_json_ struct json *config = body_of(&s, "{'status':{'phase':'Failed'}}");
    _cleanup_free_ char *message = NULL;
    assert_int_equal(try_apply_doc(&s, "a", "status", false, config, &message), -EBUSY);
    assert_string_equal(message, "Apply failed with 1 conflict: conflict with \"kubelet\" with subresource \"status\" "
                                 "using v1: .status.phase");
    /* through the object itself the status is out of reach: no conflict, nothing owned */
    apply(&s, "a", false, "{'metadata':{'labels':{'l':'1'}},'status':{'phase':'Failed'}}");
    owns(&s, "a", "Apply", "{'f:metadata':{'f:labels':{'f:l':{}}}}");
}

static void the_oldest_updaters_are_put_together(void **state) {
    _cleanup_story_ struct story s = begin(CM);
    put(&s, "u00", "{'data':{'k00':'0'}}");
    for (int i = 1; i <= 12; i++) {
        char manager[8], key[8];
        snprintf(manager, sizeof(manager), "u%02d", i);
        snprintf(key, sizeof(key), "k%02d", i);
        _cleanup_json_ struct json *doc = json_ref(s.live);
        json_set(json_edit(&doc, "data"), key, json_string("1"));
        put_doc(&s, manager, NULL, steal(&doc));
    }
    apply(&s, "a", false, "{'data':{'z':'1'}}"); /* appliers do not count */
    assert_int_equal(json_len(json_path(s.live, "metadata", "managedFields")), UPDATE_MANAGERS_MAX + 1);
    owns(&s, "ancient-changes", "Update", "{'f:data':{'.':{},'f:k00':{},'f:k01':{},'f:k02':{},'f:k03':{}}}");
    owns(&s, "u04", "Update", "{'f:data':{'f:k04':{}}}");
}

static void versions_are_compared_in_their_own_terms(void **state) {
    _cleanup_story_ struct story s = begin("autoscaling/v2", "HorizontalPodAutoscaler");
    apply(&s, "two", false,
          "{'spec':{'maxReplicas':5,'scaleTargetRef':{'kind':'Deployment','name':'w'},'metrics':[{'type':'Resource',"
          "'resource':{'name':'cpu','target':{'type':'Utilization','averageUtilization':50}}}]}}");
    struct managers m;
    managers_init(&m, 0);
    struct story old = {.resource = resource_by_api_version("autoscaling/v1", "HorizontalPodAutoscaler"),
                        .live = json_ref(managers_convert(&m, s.resource, "autoscaling/v1", s.live)),
                        .now_usec = s.now_usec};
    assert_int_equal(json_int_or(json_path(old.live, "spec", "targetCPUUtilizationPercentage"), 0), 50);
    conflicts(&old, "one", "{'spec':{'maxReplicas':6}}",
              "Apply failed with 1 conflict: conflict with \"two\": .spec.maxReplicas");
    apply(&old, "one", true, "{'spec':{'targetCPUUtilizationPercentage':70}}");
    /* in v2's terms the metrics changed: an atomic list, not two's any more */
    owns(&old, "two", "Apply", "{'f:spec':{'f:maxReplicas':{},'f:scaleTargetRef':{'f:kind':{},'f:name':{}}}}");
    owns(&old, "one", "Apply", "{'f:spec':{'f:targetCPUUtilizationPercentage':{}}}");
    end(&old);
    managers_finish(&m);
}

static void kubectl_takes_over_from_client_side_apply(void **state) {
    _cleanup_story_ struct story s = begin(CM);
    put(&s, "kubectl-client-side-apply",
        "{'metadata':{'annotations':{'kubectl.kubernetes.io/last-applied-configuration':'{`apiVersion`:`v1`}'}},"
        "'data':{'x':'1','y':'1'}}");
    json_set_path(&s.live,
                  json_string("{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"x\"},\"data\":{"
                              "\"x\":\"1\",\"y\":\"0\"}}\n"),
                  "metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration");
    conflicts(&s, "other", "{'data':{'x':'2'}}",
              "Apply failed with 1 conflict: conflict with \"kubectl-client-side-apply\" using v1: .data.x");
    /* y is not what was applied last: somebody has changed it */
    conflicts(&s, "kubectl", "{'data':{'x':'2','y':'2'}}",
              "Apply failed with 1 conflict: conflict with \"kubectl-client-side-apply\" using v1: .data.y");
    apply(&s, "kubectl", false, "{'data':{'x':'2'}}");
    is(&s, "data", "{'x':'2','y':'1'}");
    assert_string_equal(
        json_str(json_path(s.live, "metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration")),
        "{\"data\":{\"x\":\"2\"},\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":"
        "\"x\"}}\n");
}

static void misfits_are_refused(void **state) {
    static const struct {
        const char *config;
        int code;
        const char *message;
    } cases[] = {
        {"{'apiVersion':'v1','kind':'Pod','metadata':{'name':'x'}}", -EINVAL, "invalid object type: /v1, Kind=Pod"},
        {"{'apiVersion':'v2','kind':'ConfigMap'}", -EINVAL, "invalid object type: /v2, Kind=ConfigMap"},
        {"{'apiVersion':'v1','kind':'ConfigMap','metadata':{'managedFields':[]}}", -EINVAL,
         "metadata.managedFields must be nil"},
        {"{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'x','namespace':'n'},'nope':1}", -EPROTO,
         "failed to create typed patch object (n/x; /v1, Kind=ConfigMap): .nope: field not declared in schema"},
        {"{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'x'},'nope':1,'data':{'a':'b'},'no':2}", -EPROTO,
         "failed to create typed patch object (/x; /v1, Kind=ConfigMap): errors:\n  .nope: field not declared in "
         "schema\n  .no: field not declared in schema"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_story_ struct story s = begin(CM);
        _cleanup_json_ struct json *config = quoted_json(cases[i].config);
        _cleanup_free_ char *message = NULL;
        assert_int_equal(try_apply_doc(&s, "a", NULL, false, config, &message), cases[i].code);
        assert_string_equal(message, cases[i].message);
    }
}

/* --- at random, against the definition --- */

static uint64_t next(uint64_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed >> 11;
}

static bool chance(uint64_t *seed, unsigned of) {
    return next(seed) % of == 0;
}

static struct json *random_value(uint64_t *seed) {
    return json_stringf("%u", (unsigned) (next(seed) % 3));
}

static struct json *random_map(uint64_t *seed) {
    struct json *m = json_object();
    for (char k[] = "a"; *k <= 'c'; ++*k)
        if (chance(seed, 2) || (*k == 'c' && json_len(m) == 0)) /* empty ones do not survive decoding */
            json_set(&m, k, random_value(seed));
    return m;
}

static struct json *random_container(uint64_t *seed, const char *name) {
    struct json *c = json_object(), *ports = json_array();
    json_set(&c, "name", json_string(name));
    if (chance(seed, 2))
        json_set(&c, "image", random_value(seed));
    if (chance(seed, 3)) {
        struct json *args = json_array();
        json_append(&args, random_value(seed));
        json_set(&c, "args", args);
    }
    for (int64_t p = 80; p <= 81; p++)
        if (chance(seed, 3)) {
            struct json **port = json_append(&ports, json_object());
            json_set(port, "containerPort", json_int(p));
            if (chance(seed, 2))
                json_set(port, "protocol", json_string("TCP"));
            if (chance(seed, 2))
                json_set(port, "name", random_value(seed));
        }
    if (json_len(ports) > 0)
        json_set(&c, "ports", json_ref(ports));
    json_unref(ports);
    if (chance(seed, 3))
        json_set_path(&c, json_int((int64_t) (next(seed) % 3)), "securityContext", "runAsUser");
    return c;
}

static struct json *random_pod(const struct story *s, uint64_t *seed) {
    struct json *doc = body_of(s, "{}"), *finalizers = json_array();
    for (char n[] = "p"; *n <= 'r'; ++*n)
        if (chance(seed, 2))
            json_append(json_edit(json_edit(&doc, "spec"), "containers"), random_container(seed, n));
    for (char n[] = "x/p"; n[2] <= 'r'; ++n[2])
        if (chance(seed, 3))
            json_insert_at(&finalizers, 0, json_string(n));
    if (json_len(finalizers) > 0)
        json_set_path(&doc, json_ref(finalizers), "metadata", "finalizers");
    json_unref(finalizers);
    json_set_path(&doc, random_map(seed), "metadata", "labels"); /* always something to own */
    if (chance(seed, 3))
        json_set_path(&doc, random_map(seed), "spec", "nodeSelector");
    if (chance(seed, 3))
        json_set_path(&doc, random_value(seed), "spec", "hostname");
    return doc;
}

struct check {
    struct fset_arena arena;
    struct shape shape;
};

static struct fset set_of_entry(struct check *c, const struct json *e) {
    struct fset s = {0};
    size_t n;
    const char *text = json_sealed_text(json_get(e, "fieldsV1"), &n);
    assert_non_null(text);
    assert_int_equal(fset_read(&c->arena, text, n, true, &s, NULL), 0);
    return s;
}

static struct fset scoped(struct check *c, const struct story *s, struct fset set) {
    struct managed_writer w = writer(s, "any", NULL);
    return managers_scope(&c->arena, &w, &set);
}

/* Everything the others own, in live. */
static struct fset others_own(struct check *c, const struct json *live, const char *but) {
    struct fset all = {0};
    const struct json *list = json_path(live, "metadata", "managedFields");
    for (size_t i = 0; i < json_len(list); i++) {
        if (json_get_is(json_at(list, i), "manager", but) && json_get_is(json_at(list, i), "operation", "Apply"))
            continue;
        struct fset one = set_of_entry(c, json_at(list, i));
        all = fset_union(&c->arena, &all, &one);
    }
    return all;
}

static void fail_on(const char *what, const struct fset *s, const struct json *a, const struct json *b) {
    _cleanup_strbuf_ struct strbuf set = STRBUF_INIT;
    if (fset_is_empty(s))
        return;
    fset_write(s, &set);
    _cleanup_free_ char *x = json_to_text(a), *y = json_to_text(b);
    fail_msg("%s: %s\n%s\n%s", what, set.data, x, y);
}

/* Without the bare parents: an emptied struct, map or list is not kept, as upstream has it, who owns it or not. */
static struct fset without_parents(struct check *c, const struct fset *set) {
    static const char *const parents[] = {"securityContext", "ports", "labels", "finalizers", "containers"};
    struct fset out = *set;
    out.n = out.cap = 0;
    out.kids = set->n ? fset_alloc(&c->arena, set->n * sizeof(*out.kids)) : NULL;
    for (uint32_t i = 0; i < set->n; i++) {
        struct fset kid = without_parents(c, &set->kids[i]);
        for (size_t k = 0; k < ARRAY_LEN(parents); k++)
            if (kid.len == strlen(parents[k]) && memcmp(kid.text, parents[k], kid.len) == 0)
                kid.member = false;
        if (!fset_is_empty(&kid))
            out.kids[out.n++] = kid;
    }
    return out;
}

/* Every owned field exists; but where a null was applied, which does not happen here. */
static void check_owned_fields_exist(struct check *c, const struct story *s) {
    const struct json *list = json_path(s->live, "metadata", "managedFields");
    /* whichever way they came: with parents and items as members */
    struct fset there = fields_of(&c->arena, c->shape, s->live),
                made = fields_created(&c->arena, type_of_kind("v1", "Pod"), s->live);
    there = fset_union(&c->arena, &there, &made);
    there = fields_with_parents(&c->arena, c->shape, &there);
    for (size_t i = 0; i < json_len(list); i++) {
        struct fset set = set_of_entry(c, json_at(list, i)), missing = fset_difference(&c->arena, &set, &there);
        missing = without_parents(c, &missing);
        fail_on("owned, but not there", &missing, json_at(list, i), s->live);
    }
}

/* Without what went together with an item nobody else claims as such: its applier may take that away. */
static struct fset without_gone_items(struct check *c, const struct fset *lost, const struct fset *removed,
                                      const struct fset *others) {
    struct fset out = *lost;
    out.n = out.cap = 0;
    out.kids = lost->n ? fset_alloc(&c->arena, lost->n * sizeof(*out.kids)) : NULL;
    for (uint32_t i = 0; i < lost->n; i++) {
        const struct fset *kid = &lost->kids[i];
        const struct fset *gone = fset_find(removed, (enum fset_kind) kid->kind, kid->text, kid->len),
                          *owned = fset_find(others, (enum fset_kind) kid->kind, kid->text, kid->len);
        if (kid->kind == FSET_KEY && gone->member && !owned->member)
            continue;
        struct fset below = without_gone_items(c, kid, gone, owned);
        if (!fset_is_empty(&below))
            out.kids[out.n++] = below;
    }
    return out;
}

static void check_applied(struct check *c, const struct story *s, const struct json *before, const struct json *config,
                          const char *manager) {
    const struct json *e = entry(s, manager, "Apply");
    struct fset wanted = scoped(c, s, fields_of(&c->arena, c->shape, config)),
                owned = e ? set_of_entry(c, e) : (struct fset){0};
    if (!fset_equal(&wanted, &owned))
        fail_on("owned is not what was applied", &wanted, config, s->live);
    /* what was applied is there, and as it was applied */
    struct field_changes lacking = fields_compare(&c->arena, c->shape, config, s->live);
    struct fset lost = scoped(c, s, fset_union(&c->arena, &lacking.modified, &lacking.removed));
    lost = fset_intersection(&c->arena, &lost, &wanted);
    fail_on("applied, but not so", &lost, config, s->live);
    if (!before)
        return;
    /* what somebody else owns is still there, unless its value was taken over */
    struct fset others = others_own(c, before, manager);
    struct field_changes changes = fields_compare(&c->arena, c->shape, before, s->live);
    struct fset robbed = fset_intersection(&c->arena, &changes.removed, &others);
    robbed = without_gone_items(c, &robbed, &changes.removed, &others);
    robbed = without_parents(c, &robbed);
    fail_on("taken from its owner", &robbed, before, s->live);
    struct fset changed = fset_intersection(&c->arena, &changes.modified, &others);
    changed = fset_difference(&c->arena, &changed, &wanted);
    fail_on("changed behind its owner's back", &changed, before, s->live);
}

static void check_abandoned(struct check *c, const struct story *s, const struct json *last, const struct json *config,
                            const char *manager) {
    struct fset had = fields_of(&c->arena, c->shape, last), has = fields_of(&c->arena, c->shape, config),
                others = others_own(c, s->live, manager), there = fields_of(&c->arena, c->shape, s->live);
    struct fset gone = scoped(c, s, fset_difference(&c->arena, &had, &has));
    others = fields_with_parents(&c->arena, c->shape, &others);
    gone = fset_difference(&c->arena, &gone, &others);
    gone = fset_intersection(&c->arena, &gone, &there);
    /* what comes back by itself is a default */
    _cleanup_json_ struct json *less = fields_remove(&c->arena, c->shape, s->live, &gone);
    schema_default("v1", "Pod", &less);
    there = fields_of(&c->arena, c->shape, less);
    gone = fset_difference(&c->arena, &gone, &there);
    fail_on("abandoned by all, but there", &gone, last, s->live);
}

static void check_idempotent(struct story *s, const struct json *config, const char *manager) {
    _cleanup_json_ struct json *before = json_ref(s->live);
    assert_int_equal(try_apply_doc(s, manager, NULL, false, config, NULL), 0);
    if (!json_equal(before, s->live)) {
        _cleanup_free_ char *x = json_to_text(before), *y = json_to_text(s->live);
        fprintf(stderr, "applied twice:\n%s\n%s\n", x, y);
        fail();
    }
}

static void one_random_story(uint64_t seed) {
    _cleanup_story_ struct story s = begin("v1", "Pod");
    struct json *last[2] = {NULL, NULL};
    for (int step = 0; step < 8; step++) {
        struct check c = {.shape = shape_of_type(type_of_kind("v1", "Pod"))};
        unsigned who = (unsigned) (next(&seed) % 2);
        const char *manager = who ? "b" : "a";
        _cleanup_json_ struct json *doc = random_pod(&s, &seed), *before = json_ref(s.live);
        if (chance(&seed, 4)) {
            put_doc(&s, manager, NULL, steal(&doc));
            json_unref(last[who]);
            last[who] = NULL; /* what the update left of the applied set is another story */
            json_unref(last[!who]);
            last[!who] = NULL;
        } else {
            int r = try_apply_doc(&s, manager, NULL, chance(&seed, 2), doc, NULL);
            if (r == -EBUSY) {
                assert_ptr_equal(s.live, before);
            } else {
                assert_int_equal(r, 0);
                check_applied(&c, &s, before, doc, manager);
                if (last[who])
                    check_abandoned(&c, &s, last[who], doc, manager);
                check_idempotent(&s, doc, manager);
                json_unref(last[who]);
                last[who] = steal(&doc);
            }
        }
        check_owned_fields_exist(&c, &s);
        fset_arena_finish(&c.arena);
    }
    json_unref(last[0]);
    json_unref(last[1]);
}

static void random_stories_obey_the_definition(void **state) {
    for (uint64_t seed = 1; seed <= 800; seed++)
        one_random_story(seed * 0x9e3779b97f4a7c15ull);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(creators_and_updaters_own_what_they_write),
        cmocka_unit_test(open_entries_are_understood),
        cmocka_unit_test(unnamed_writers_are_unknown),
        cmocka_unit_test(what_nobody_changes_keeps_its_entry),
        cmocka_unit_test(applied_fields_come_and_go),
        cmocka_unit_test(shared_fields_stay_until_the_last_owner_goes),
        cmocka_unit_test(differing_values_conflict),
        cmocka_unit_test(force_takes_over),
        cmocka_unit_test(an_update_takes_from_an_applier_who_takes_back),
        cmocka_unit_test(an_appliers_own_update_is_another_entry),
        cmocka_unit_test(lists_of_maps_are_owned_by_item),
        cmocka_unit_test(an_item_goes_with_who_applied_it),
        cmocka_unit_test(sets_are_owned_by_value),
        cmocka_unit_test(atomic_values_are_owned_whole),
        cmocka_unit_test(nested_structs_go_with_their_last_field),
        cmocka_unit_test(null_is_owned_and_clears),
        cmocka_unit_test(the_same_amount_is_no_conflict),
        cmocka_unit_test(objects_of_unknown_origin_belong_to_the_time_before),
        cmocka_unit_test(owners_can_be_written_and_forgotten),
        cmocka_unit_test(subresources_have_entries_and_reach_of_their_own),
        cmocka_unit_test(the_oldest_updaters_are_put_together),
        cmocka_unit_test(versions_are_compared_in_their_own_terms),
        cmocka_unit_test(kubectl_takes_over_from_client_side_apply),
        cmocka_unit_test(misfits_are_refused),
        cmocka_unit_test(random_stories_obey_the_definition),
    };
    return cmocka_run_group_tests_name("managed", tests, NULL, NULL);
}
