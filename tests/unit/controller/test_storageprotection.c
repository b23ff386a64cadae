/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Claims stay while a running pod uses them, volumes while they are bound; then they go. */
#include "tests/unit/controller/cluster.h"

#include "orchestrator/controller/storageprotection/controller.h"
#include "orchestrator/controller/storageprotection/decide.h"

#define CLAIMS fake_resource("persistentvolumeclaims")

static size_t finalizers(struct cluster *c, const char *plural, const char *ns, const char *name) {
    const struct json *o = fake_get(c->fake, fake_resource(plural), ns, name);
    return o ? json_len(json_path(o, "metadata", "finalizers")) : 99;
}

static void make_pod(struct cluster *c, const char *name) {
    _cleanup_free_ char *text =
        xasprintf("{'apiVersion':'v1','kind':'Pod','metadata':{'name':'%s'},'spec':{'nodeName':'n','volumes':[{'name':"
                  "'v','persistentVolumeClaim':{'claimName':'data'}}]},'status':{'phase':'Running'}}",
                  name);
    json_unref(fake_create(c->fake, text));
}

static void delete_claim(struct cluster *c) {
    fake_merge(c->fake, CLAIMS, "default", "data", "{'metadata':{'deletionTimestamp':'2024-01-01T00:00:00Z'}}");
}

static void test_a_claim_goes_when_its_last_pod_has_ended(void **state) {
    struct cluster *c = *state;
    cluster_start(c, &storage_protection_controller);
    make_pod(c, "one");
    make_pod(c, "two");
    json_unref(fake_create(c->fake, "{'apiVersion':'v1','kind':'PersistentVolumeClaim','metadata':{'name':'data'}}"));
    fake_settle(c->loop);
    assert_int_equal(finalizers(c, "persistentvolumeclaims", "default", "data"), 1);
    delete_claim(c);
    fake_run_for(c->loop, 100 * USEC_PER_MSEC);
    assert_int_equal(finalizers(c, "persistentvolumeclaims", "default", "data"), 1);
    fake_merge(c->fake, fake_resource("pods"), "default", "one", "{'status':{'phase':'Failed'}}");
    fake_run_for(c->loop, 100 * USEC_PER_MSEC);
    assert_int_equal(finalizers(c, "persistentvolumeclaims", "default", "data"), 1);
    fake_remove(c->fake, fake_resource("pods"), "default", "two");
    fake_run_for(c->loop, 100 * USEC_PER_MSEC);
    assert_true(finalizers(c, "persistentvolumeclaims", "default", "data") == 0 ||
                !fake_get(c->fake, CLAIMS, "default", "data"));
}

static void test_a_claim_nobody_uses_goes_at_once(void **state) {
    struct cluster *c = *state;
    cluster_start(c, &storage_protection_controller);
    json_unref(fake_create(c->fake, "{'apiVersion':'v1','kind':'PersistentVolumeClaim','metadata':{'name':'data',"
                                    "'finalizers':['" CLAIM_FINALIZER "','a.b/c']}}"));
    fake_settle(c->loop);
    delete_claim(c);
    fake_run_for(c->loop, 100 * USEC_PER_MSEC);
    assert_int_equal(finalizers(c, "persistentvolumeclaims", "default", "data"), 1);
}

static void test_a_volume_goes_when_it_is_not_bound(void **state) {
    struct cluster *c = *state;
    cluster_start(c, &storage_protection_controller);
    json_unref(fake_create(c->fake, "{'apiVersion':'v1','kind':'PersistentVolume','metadata':{'name':'v'},'status':{"
                                    "'phase':'Bound'}}"));
    fake_settle(c->loop);
    assert_int_equal(finalizers(c, "persistentvolumes", "", "v"), 1);
    fake_merge(c->fake, fake_resource("persistentvolumes"), "", "v",
               "{'metadata':{'deletionTimestamp':'2024-01-01T00:00:00Z','finalizers':['" VOLUME_FINALIZER "','x/y']}}");
    fake_run_for(c->loop, 100 * USEC_PER_MSEC);
    assert_int_equal(finalizers(c, "persistentvolumes", "", "v"), 2);
    fake_merge(c->fake, fake_resource("persistentvolumes"), "", "v", "{'status':{'phase':'Released'}}");
    fake_run_for(c->loop, 100 * USEC_PER_MSEC);
    assert_int_equal(finalizers(c, "persistentvolumes", "", "v"), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_a_claim_goes_when_its_last_pod_has_ended),
        T(test_a_claim_nobody_uses_goes_at_once),
        T(test_a_volume_goes_when_it_is_not_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
