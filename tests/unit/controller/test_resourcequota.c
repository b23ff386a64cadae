/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Status of quotas follows what they count: at once, by events, and without what does not count any more. */
#include "tests/unit/controller/cluster.h"

#include "orchestrator/controller/resourcequota/controller.h"
#include "orchestrator/controller/resourcequota/decide.h"
#include "orchestrator/object/timestamp.h"

static void quota(struct cluster *c, const char *name, const char *spec) {
    _cleanup_free_ char *text =
        xasprintf("{'apiVersion':'v1','kind':'ResourceQuota','metadata':{'name':'%s'},'spec':%s}", name, spec);
    json_unref(fake_create(c->fake, text));
}

static void pod(struct cluster *c, const char *name, const char *cpu) {
    _cleanup_free_ char *text = xasprintf("{'apiVersion':'v1','kind':'Pod','metadata':{'name':'%s'},'spec':{"
                                          "'containers':[{'name':'c','resources':{'requests':{'cpu':'%s'}}}]}}",
                                          name, cpu);
    json_unref(fake_create(c->fake, text));
}

static const char *part(struct cluster *c, const char *name, const char *map, const char *key) {
    const struct json *q = fake_get(c->fake, fake_resource("resourcequotas"), "default", name);
    return json_str_or(json_path(q, "status", map, key), "-");
}

static void settle(struct cluster *c) {
    fake_run_for(c->loop, 40 * USEC_PER_MSEC);
}

static void test_usage_follows_pods(void **state) {
    struct cluster *c = *state;
    pod(c, "a", "100m");
    cluster_start(c, &resource_quota_controller);
    quota(c, "q", "{'hard':{'pods':'5','requests.cpu':'2','limits.memory':'1Gi'}}");
    settle(c);
    assert_string_equal(part(c, "q", "hard", "requests.cpu"), "2");
    assert_string_equal(part(c, "q", "used", "requests.cpu"), "100m");
    assert_string_equal(part(c, "q", "used", "pods"), "1");
    assert_string_equal(part(c, "q", "used", "limits.memory"), "0");
    pod(c, "b", "1");
    settle(c);
    assert_string_equal(part(c, "q", "used", "requests.cpu"), "1100m");
    fake_merge(c->fake, fake_resource("pods"), "default", "b", "{'status':{'phase':'Succeeded'}}");
    settle(c);
    assert_string_equal(part(c, "q", "used", "pods"), "1");
    fake_remove(c->fake, fake_resource("pods"), "default", "b");
    fake_remove(c->fake, fake_resource("pods"), "default", "a");
    settle(c);
    assert_string_equal(part(c, "q", "used", "pods"), "0");
    assert_string_equal(part(c, "q", "used", "requests.cpu"), "0");
    /* other quotas, other names: counted anew */
    fake_merge(c->fake, fake_resource("resourcequotas"), "default", "q", "{'spec':{'hard':{'pods':'7'}}}");
    pod(c, "c", "1");
    settle(c);
    assert_string_equal(part(c, "q", "hard", "pods"), "7");
    assert_string_equal(part(c, "q", "used", "pods"), "1");
}

static void test_a_pod_stuck_beyond_its_time_is_not_counted(void **state) {
    struct cluster *c = *state;
    char now[TIMESTAMP_SIZE];
    cluster_start(c, &resource_quota_controller);
    quota(c, "q", "{'hard':{'pods':'5','count/pods':'5'}}");
    pod(c, "a", "1");
    settle(c);
    assert_string_equal(part(c, "q", "used", "pods"), "1");
    timestamp_format(now_realtime_usec(), now);
    _cleanup_free_ char *patch =
        xasprintf("{'metadata':{'deletionTimestamp':'%s','deletionGracePeriodSeconds':1,'finalizers':['x/y']}}", now);
    fake_merge(c->fake, fake_resource("pods"), "default", "a", patch);
    settle(c);
    assert_string_equal(part(c, "q", "used", "pods"), "1");
    fake_run_for(c->loop, 1300 * USEC_PER_MSEC);
    assert_string_equal(part(c, "q", "used", "pods"), "0");
    assert_string_equal(part(c, "q", "used", "count/pods"), "1"); /* the object is there all the same */
    fake_remove(c->fake, fake_resource("pods"), "default", "a");
    settle(c);
    assert_string_equal(part(c, "q", "used", "count/pods"), "0");
}

static void test_every_kind_and_each_quota_by_itself(void **state) {
    struct cluster *c = *state;
    cluster_start(c, &resource_quota_controller);
    quota(c, "objects", "{'hard':{'configmaps':'5','count/deployments.apps':'2','resourcequotas':'9'}}");
    quota(c, "best", "{'hard':{'pods':'5'},'scopes':['BestEffort']}");
    json_unref(fake_create(c->fake, "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'m'}}"));
    json_unref(fake_create(c->fake, "{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'d'},'spec':{}}"));
    json_unref(fake_create(c->fake, "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'m','namespace':'o'}}"));
    pod(c, "some", "1");
    json_unref(fake_create(c->fake, "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'none'},'spec':{'containers':"
                                    "[{'name':'c'}]}}"));
    settle(c);
    settle(c);
    assert_string_equal(part(c, "objects", "used", "configmaps"), "1");
    assert_string_equal(part(c, "objects", "used", "count/deployments.apps"), "1");
    assert_string_equal(part(c, "objects", "used", "resourcequotas"), "2");
    assert_string_equal(part(c, "best", "used", "pods"), "1");
    fake_remove(c->fake, fake_resource("resourcequotas"), "default", "best");
    settle(c);
    assert_string_equal(part(c, "objects", "used", "resourcequotas"), "1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_usage_follows_pods),
        T(test_a_pod_stuck_beyond_its_time_is_not_counted),
        T(test_every_kind_and_each_quota_by_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
