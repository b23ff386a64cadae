/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What objects use of quotas, and that a tally kept by changes is always what counting everything anew would give. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "orchestrator/object/quota/pod_amounts.h"
#include "orchestrator/object/quota/tally.h"
#include "orchestrator/object/quota/usage.h"
#include "orchestrator/object/timestamp.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "tests/unit/object/quoted_json.h"

static const struct resource *resource(const char *plural) {
    return resource_by_plural("", "v1", plural);
}

static void assert_amounts(const struct amounts *a, const char *want) {
    _cleanup_json_ struct json *map = amounts_json(a), *wanted = quoted_json(want);
    _cleanup_free_ char *text = json_to_text(map);
    if (!json_equal(map, wanted))
        fail_msg("%s instead of %s", text, want);
}

static void test_a_pod_takes_what_its_stages_take_at_most(void **state) {
    _cleanup_json_ struct json *spec = quoted_json(
        "{'containers':[{'resources':{'requests':{'cpu':'100m','memory':'1Gi'},'limits':{'cpu':'1'}}},"
        "{'resources':{'requests':{'cpu':'100m'}}}],"
        "'initContainers':[{'resources':{'requests':{'cpu':'150m'}}},"
        "{'restartPolicy':'Always','resources':{'requests':{'cpu':'50m'}}},"
        "{'resources':{'requests':{'cpu':'300m','memory':'512Mi'}}}],'overhead':{'cpu':'10m','memory':'1Mi'}}");
    _cleanup_amounts_ struct amounts bare = {0}, full = {0}, limits = {0};
    pod_amounts(spec, POD_REQUESTS, false, &bare);
    assert_amounts(&bare, "{'cpu':'350m','memory':'1Gi'}"); /* the last init container beside the sidecar */
    pod_amounts(spec, POD_REQUESTS, true, &full);
    assert_amounts(&full, "{'cpu':'360m','memory':'1025Mi'}");
    pod_amounts(spec, POD_LIMITS, true, &limits);
    assert_amounts(&limits, "{'cpu':'1010m'}");
}

static void test_names_belong_to_kinds(void **state) {
    static const struct {
        const char *name, *key;
    } cases[] = {
        {"cpu", "pods"},
        {"limits.ephemeral-storage", "pods"},
        {"requests.example.com/gpu", "pods"},
        {"requests.hugepages-2Mi", "pods"},
        {"pods", "pods"},
        {"count/pods", "pods"},
        {"services.loadbalancers", "services"},
        {"requests.storage", "persistentvolumeclaims"},
        {"fast.ssd.storageclass.storage.k8s.io/requests.storage", "persistentvolumeclaims"},
        {"fast.storageclass.storage.k8s.io/persistentvolumeclaims", "persistentvolumeclaims"},
        {"count/horizontalpodautoscalers.autoscaling", "horizontalpodautoscalers.autoscaling"},
        {"secrets", "secrets"},
        {"example.com/gpu", NULL},
        {"requests.kubernetes.io/x", NULL},
        {"count/events", NULL},
        {"count/nodes", NULL},
        {"count/nothing.example.com", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct resource *r = quota_name_resource(cases[i].name);
        assert_string_equal(r ? r->key : "-", cases[i].key ? cases[i].key : "-");
        assert_true(!r || quota_name_is_of(cases[i].name, r));
    }
}

/* --- the tally against its definition --- */

#define OBJECTS 12
#define STEPS   4000

struct world {
    struct quota_tally *tally;
    struct json *quotas[3], *pods[OBJECTS];
    uint64_t now;
};

static struct json *random_pod(int i, uint64_t now) {
    static const char *const phases[] = {"Pending", "Running", "Running", "Succeeded", "Failed"};
    struct json *pod = quoted_json("{'metadata':{},'spec':{'containers':[{'name':'c','resources':{}}]}}");
    char when[TIMESTAMP_SIZE];
    json_set_path(&pod, json_stringf("p%d", i), "metadata", "name");
    json_set_path(&pod, json_string(phases[rand() % 5]), "status", "phase");
    if (rand() % 3)
        json_set_path(json_edit_at(json_edit(json_edit(&pod, "spec"), "containers"), 0),
                      json_stringf("%dm", rand() % 50), "resources", "requests", "cpu");
    if (rand() % 4 == 0)
        json_set_path(&pod, json_int(5), "spec", "activeDeadlineSeconds");
    if (rand() % 3 == 0) {
        timestamp_format(now + (uint64_t) (rand() % 5) * USEC_PER_SEC, when);
        json_set_path(&pod, json_string(when), "metadata", "deletionTimestamp");
        json_set_path(&pod, json_int(rand() % 5), "metadata", "deletionGracePeriodSeconds");
    }
    return pod;
}

static void assert_tally_is_right(const struct world *w) {
    for (size_t q = 0; q < quota_tally_len(w->tally); q++) {
        _cleanup_amounts_ struct amounts want = {0};
        const struct amounts *have = quota_tally_used(w->tally, q);
        for (size_t i = 0; i < OBJECTS; i++)
            if (w->pods[i] && quota_matches(quota_tally_spec(w->tally, q), resource("pods"), w->pods[i]))
                quota_usage(resource("pods"), w->pods[i], quota_pod_is_over(w->pods[i], w->now, NULL), &want);
        for (size_t i = 0; i < want.n; i++) {
            const struct quantity *is = amounts_get(have, want.items[i].name);
            assert_true((is ? is->nano : 0) == want.items[i].value.nano);
        }
        for (size_t i = 0; i < have->n; i++)
            assert_true(amounts_get(&want, have->items[i].name) || have->items[i].value.nano == 0);
    }
}

static void step(struct world *w) {
    int i = rand() % OBJECTS;
    uint64_t next;
    struct json *pod = rand() % 4 ? random_pod(i, w->now) : NULL;
    if (rand() % 5 == 0)
        w->now += (uint64_t) (rand() % 4) * USEC_PER_SEC;
    if (pod || w->pods[i])
        (void) quota_tally_change(w->tally, w->pods[i], pod, w->now);
    json_unref(w->pods[i]);
    w->pods[i] = pod;
    (void) quota_tally_expire(w->tally, w->now, &next);
    assert_true(next >= w->now);
}

static void test_the_tally_is_what_counting_anew_gives(void **state) {
    static const char *const quotas[] = {
        "{'metadata':{'name':'a'},'spec':{'hard':{'pods':'1','requests.cpu':'1'}}}",
        "{'metadata':{'name':'b'},'spec':{'hard':{'pods':'1'},'scopes':['BestEffort']}}",
        "{'metadata':{'name':'c'},'spec':{'hard':{'count/pods':'1'},'scopes':['NotTerminating']}}",
    };
    struct world w = {.tally = quota_tally_new(resource("pods")), .now = 1700000000 * USEC_PER_SEC};
    for (size_t i = 0; i < ARRAY_LEN(quotas); i++)
        w.quotas[i] = quoted_json(quotas[i]);
    assert_true(quota_tally_set_quotas(w.tally, w.quotas, 3));
    assert_false(quota_tally_set_quotas(w.tally, w.quotas, 3));
    srand(7);
    for (int i = 0; i < STEPS; i++) {
        step(&w);
        assert_tally_is_right(&w);
    }
    for (size_t i = 0; i < OBJECTS; i++)
        json_unref(w.pods[i]);
    for (size_t i = 0; i < ARRAY_LEN(quotas); i++)
        json_unref(w.quotas[i]);
    quota_tally_free(w.tally);
}

static void test_room(void **state) {
    static const struct {
        const char *old, *now;
        bool more;
    } cases[] = {
        {"{'spec':{'hard':{'pods':'1'}}}", NULL, true},
        {"{'spec':{'hard':{'pods':'1'}}}", "{'spec':{'hard':{'pods':'2'}}}", true},
        {"{'spec':{'hard':{'pods':'2'}}}", "{'spec':{'hard':{'pods':'1'}}}", false},
        {"{'spec':{'hard':{'pods':'2','cpu':'1'}}}", "{'spec':{'hard':{'pods':'1'}}}", true},
        {"{'status':{'used':{'pods':'2'}}}", "{'status':{'used':{'pods':'1'}}}", true},
        {"{'status':{'used':{'pods':'1'}}}", "{'status':{'used':{'pods':'2'}}}", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_json_ struct json *old = quoted_json(cases[i].old),
                                   *now = cases[i].now ? quoted_json(cases[i].now) : NULL;
        assert_int_equal(quota_has_more_room(old, now), cases[i].more);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_pod_takes_what_its_stages_take_at_most),
        cmocka_unit_test(test_names_belong_to_kinds),
        cmocka_unit_test(test_the_tally_is_what_counting_anew_gives),
        cmocka_unit_test(test_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
