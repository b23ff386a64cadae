/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/controller/cluster.h"

#include "orchestrator/controller/deployment/controller.h"
#include "orchestrator/controller/deployment/decide.h"
#include "orchestrator/controller/ownership.h"
#include "orchestrator/controller/replicaset/controller.h"

static const char *const web_text =
    "{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'web','annotations':{'note':'x',"
    "'kubectl.kubernetes.io/last-applied-configuration':'{}'}},"
    "'spec':{'replicas':3,'progressDeadlineSeconds':600,'revisionHistoryLimit':2,"
    "'selector':{'matchLabels':{'app':'web'}},"
    "'strategy':{'type':'RollingUpdate','rollingUpdate':{'maxSurge':1,'maxUnavailable':0}},"
    "'template':{'metadata':{'labels':{'app':'web'}},'spec':{'containers':[{'name':'c','image':'one'}]}}}}";

static struct json *web(struct cluster *c) {
    return fake_get(c->fake, fake_resource("deployments"), "default", "web");
}

static void web_merge(struct cluster *c, const char *patch) {
    fake_merge(c->fake, fake_resource("deployments"), "default", "web", patch);
}

static void set_image(struct cluster *c, const char *image) {
    _cleanup_free_ char *patch =
        xasprintf("{'spec':{'template':{'spec':{'containers':[{'name':'c','image':'%s'}]}}}}", image);
    web_merge(c, patch);
}

static const char *condition(struct cluster *c, const char *type, const char *field) {
    const struct json *all = json_path(web(c), "status", "conditions");
    for (size_t i = 0; i < json_len(all); i++)
        if (strcmp(json_str(json_get(json_at(all, i), "type")), type) == 0)
            return json_str_or(json_get(json_at(all, i), field), "");
    return "absent";
}

/* Agents at work until nothing changes any more; `least` pods must be ready and at most `most` exist all the time. */
static void play(struct cluster *c, size_t least, size_t most) {
    for (int round = 0; round < 40; round++) {
        size_t n, ready = 0, active = 0;
        fake_settle(c->loop);
        {
            _cleanup_free_ struct json **pods = fake_all(c->fake, fake_resource("pods"), "default", &n);
            for (size_t i = 0; i < n; i++) {
                bool leaving = meta_is_deleting(pods[i]);
                active += !leaving;
                ready += !leaving && json_path(pods[i], "status", "phase") != NULL;
            }
        }
        assert_in_range(active, 0, most);
        assert_in_range(ready, least, most);
        if (round % 2)
            pods_run(c);
        else
            pods_stop(c);
    }
    fake_run_for(c->loop, 20 * USEC_PER_MSEC);
}

static void start(struct cluster *c) {
    cluster_start(c, &deployment_controller);
    cluster_start(c, &replicaset_controller);
    json_unref(fake_create(c->fake, web_text));
    play(c, 0, 3);
}

static struct json *set_with_image(struct cluster *c, const char *image) {
    size_t n;
    _cleanup_free_ struct json **all = fake_all(c->fake, fake_resource("replicasets"), "default", &n);
    for (size_t i = 0; i < n; i++)
        if (strcmp(json_str(json_get(json_at(json_path(all[i], "spec", "template", "spec", "containers"), 0), "image")),
                   image) == 0)
            return all[i];
    return NULL;
}

static void test_rolls_out_for_the_first_time(void **state) {
    struct cluster *c = *state;
    start(c);
    assert_count(c, "pods", 3);
    assert_count(c, "replicasets", 1);
    struct json *rs = set_with_image(c, "one"), *d = web(c);
    const char *hash = json_str(json_path(rs, "metadata", "labels", "pod-template-hash"));
    _cleanup_free_ char *name = xasprintf("web-%s", hash);
    assert_string_equal(meta_name(rs), name);
    assert_string_equal(json_str(json_path(rs, "spec", "selector", "matchLabels", "pod-template-hash")), hash);
    assert_string_equal(json_str(json_path(rs, "metadata", "annotations", "note")), "x");
    assert_null(json_path(rs, "metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration"));
    assert_string_equal(json_str(json_path(rs, "metadata", "annotations", ANNOTATION_DESIRED)), "3");
    assert_string_equal(json_str(json_path(rs, "metadata", "annotations", ANNOTATION_MAX)), "4");
    assert_string_equal(json_str(json_path(d, "metadata", "annotations", ANNOTATION_REVISION)), "1");
    assert_int_equal(int_at(d, "status", "updatedReplicas"), 3);
    assert_int_equal(int_at(d, "status", "availableReplicas"), 3);
    assert_int_equal(int_at(d, "metadata", "generation"), 1); /* our annotation is no change of the wish */
    assert_int_equal(int_at(d, "status", "observedGeneration"), 1);
    assert_string_equal(condition(c, "Available", "status"), "True");
    assert_string_equal(condition(c, "Available", "reason"), "MinimumReplicasAvailable");
    assert_string_equal(condition(c, "Progressing", "status"), "True");
    assert_string_equal(condition(c, "Progressing", "reason"), "NewReplicaSetAvailable");
}

static void test_rolls_a_new_template_without_losing_a_pod(void **state) {
    struct cluster *c = *state;
    start(c);
    set_image(c, "two");
    play(c, 3, 4); /* maxUnavailable 0, maxSurge 1 */
    assert_count(c, "pods", 3);
    assert_int_equal(int_at(set_with_image(c, "one"), "spec", "replicas"), 0);
    assert_int_equal(int_at(set_with_image(c, "two"), "spec", "replicas"), 3);
    assert_string_equal(json_str(json_path(web(c), "metadata", "annotations", ANNOTATION_REVISION)), "2");
    assert_string_equal(condition(c, "Progressing", "reason"), "NewReplicaSetAvailable");
}

static void test_rolls_back_to_an_old_template_with_a_new_revision(void **state) {
    struct cluster *c = *state;
    start(c);
    _cleanup_free_ char *first = xstrdup(meta_name(set_with_image(c, "one")));
    set_image(c, "two");
    play(c, 3, 4);
    set_image(c, "one"); /* what kubectl rollout undo does */
    play(c, 3, 4);
    assert_count(c, "replicasets", 2);
    struct json *rs = set_with_image(c, "one");
    assert_string_equal(meta_name(rs), first);
    assert_string_equal(json_str(json_path(rs, "metadata", "annotations", ANNOTATION_REVISION)), "3");
    assert_string_equal(json_str(json_path(rs, "metadata", "annotations", ANNOTATION_REVISION_HISTORY)), "1");
    assert_string_equal(json_str(json_path(web(c), "metadata", "annotations", ANNOTATION_REVISION)), "3");
}

static void test_a_broken_template_keeps_the_old_pods_and_can_be_replaced(void **state) {
    struct cluster *c = *state;
    start(c);
    set_image(c, "broken");
    fake_settle(c->loop); /* its pods never get ready: no pods_run */
    assert_count(c, "pods", 4);
    assert_int_equal(int_at(set_with_image(c, "one"), "spec", "replicas"), 3);
    set_image(c, "three");
    play(c, 3, 4);
    assert_int_equal(int_at(set_with_image(c, "broken"), "spec", "replicas"), 0);
    assert_int_equal(int_at(set_with_image(c, "three"), "spec", "replicas"), 3);
}

static void test_progress_that_stops_is_reported(void **state) {
    struct cluster *c = *state;
    start(c);
    web_merge(c, "{'spec':{'progressDeadlineSeconds':1}}");
    set_image(c, "broken");
    fake_settle(c->loop);
    assert_string_equal(condition(c, "Progressing", "status"), "True");
    fake_run_for(c->loop, 3200 * USEC_PER_MSEC);
    assert_string_equal(condition(c, "Progressing", "status"), "False");
    assert_string_equal(condition(c, "Progressing", "reason"), "ProgressDeadlineExceeded");
}

static void test_history_is_kept_to_its_limit(void **state) {
    struct cluster *c = *state;
    start(c);
    const char *const images[] = {"two", "three", "four", "five"};
    for (size_t i = 0; i < ARRAY_LEN(images); i++) {
        set_image(c, images[i]);
        play(c, 3, 4);
    }
    assert_count(c, "replicasets", 3); /* the current one and two of history */
    assert_null(set_with_image(c, "one"));
    assert_null(set_with_image(c, "two"));
    assert_non_null(set_with_image(c, "three"));
}

static void test_recreate_never_runs_two_templates_at_once(void **state) {
    struct cluster *c = *state;
    start(c);
    web_merge(c, "{'spec':{'strategy':{'type':'Recreate','rollingUpdate':null}}}");
    set_image(c, "two");
    fake_settle(c->loop);
    assert_null(set_with_image(c, "two")); /* the old pods are still terminating */
    assert_count(c, "pods", 3);
    pods_stop(c);
    fake_settle(c->loop);
    assert_count(c, "pods", 3);
    assert_int_equal(int_at(set_with_image(c, "two"), "spec", "replicas"), 3);
    assert_int_equal(int_at(set_with_image(c, "one"), "spec", "replicas"), 0);
}

static void test_pause_stops_a_rollout_but_not_scaling(void **state) {
    struct cluster *c = *state;
    start(c);
    web_merge(c, "{'spec':{'paused':true}}");
    set_image(c, "two");
    play(c, 3, 3);
    assert_null(set_with_image(c, "two"));
    assert_string_equal(condition(c, "Progressing", "reason"), "DeploymentPaused");
    web_merge(c, "{'spec':{'replicas':5}}");
    play(c, 3, 5);
    assert_count(c, "pods", 5);
    web_merge(c, "{'spec':{'paused':false}}");
    play(c, 5, 6);
    assert_int_equal(int_at(set_with_image(c, "two"), "spec", "replicas"), 5);
}

static void test_scales_up_and_down(void **state) {
    struct cluster *c = *state;
    start(c);
    web_merge(c, "{'spec':{'replicas':6}}");
    play(c, 3, 6);
    assert_count(c, "pods", 6);
    web_merge(c, "{'spec':{'replicas':0}}");
    play(c, 0, 6);
    assert_count(c, "pods", 0);
    assert_count(c, "replicasets", 1);
    assert_int_equal(int_at(web(c), "status", "replicas"), 0);
}

static void test_a_taken_name_gives_another_hash(void **state) {
    struct cluster *c = *state;
    _cleanup_json_ struct json *d = fake_json(web_text);
    _cleanup_free_ char *hash = deployment_template_hash(json_path(d, "spec", "template"), 0);
    _cleanup_free_ char *squatter =
        xasprintf("{'apiVersion':'apps/v1','kind':'ReplicaSet','metadata':{'name':'web-%s'},"
                  "'spec':{'replicas':0,'selector':{'matchLabels':{'a':'b'}}}}",
                  hash);
    json_unref(fake_create(c->fake, squatter));
    start(c);
    fake_run_for(c->loop, 50 * USEC_PER_MSEC);
    play(c, 0, 3);
    assert_int_equal(int_at(web(c), "status", "collisionCount"), 1);
    assert_count(c, "pods", 3);
}

static void test_takes_over_an_existing_replicaset(void **state) {
    struct cluster *c = *state;
    json_unref(fake_create(
        c->fake,
        "{'apiVersion':'apps/v1','kind':'ReplicaSet','metadata':{'name':'mine','labels':{'app':'web'}},"
        "'spec':{'replicas':1,'selector':{'matchLabels':{'app':'web'}},'template':{'metadata':{'labels':{'app':"
        "'web'}},'spec':{'containers':[{'name':'c','image':'one'}]}}}}"));
    start(c);
    assert_count(c, "replicasets", 1);
    assert_true(owner_is_controller(web(c), fake_get(c->fake, fake_resource("replicasets"), "default", "mine")));
    assert_count(c, "pods", 3);
}

/* --- the decision alone: random states --- */

struct model_set {
    int64_t spec, pods, available; /* pods: what the ReplicaSet really has; available <= pods */
    char revision[24];
};

struct model {
    int64_t replicas, surge, unavailable;
    struct model_set sets[4]; /* the last one has the current template */
    size_t n;
};

static uint64_t dice_state;

static uint64_t dice(uint64_t n) {
    dice_state ^= dice_state << 13;
    dice_state ^= dice_state >> 7;
    dice_state ^= dice_state << 17;
    return n ? dice_state % n : 0;
}

static struct json *model_deployment(const struct model *m) {
    struct json *d = fake_json("{'metadata':{'name':'d','namespace':'x','uid':'u','generation':1},'spec':{'template':"
                               "{'spec':{'v':'new'}},'selector':{'matchLabels':{'a':'b'}}}}");
    json_set_path(&d, json_int(m->replicas), "spec", "replicas");
    json_set_path(&d, json_int(m->surge), "spec", "strategy", "rollingUpdate", "maxSurge");
    json_set_path(&d, json_int(m->unavailable), "spec", "strategy", "rollingUpdate", "maxUnavailable");
    return d;
}

static struct json *model_set(const struct model *m, size_t i) {
    const struct model_set *s = &m->sets[i];
    struct json *rs = json_object();
    json_set_path(&rs, json_stringf("rs%zu", i), "metadata", "name");
    json_set_path(&rs, json_stringf("2024-01-0%zuT00:00:00Z", i + 1), "metadata", "creationTimestamp");
    json_set_path(&rs, json_stringf("%lld", (long long) m->replicas), "metadata", "annotations", ANNOTATION_DESIRED);
    json_set_path(&rs, json_string(s->revision), "metadata", "annotations", ANNOTATION_REVISION);
    json_set_path(&rs, i + 1 == m->n ? json_string("new") : json_stringf("old%zu", i), "spec", "template", "spec", "v");
    json_set_path(&rs, json_int(s->spec), "spec", "replicas");
    json_set_path(&rs, json_int(s->pods), "status", "replicas");
    json_set_path(&rs, json_int(s->available), "status", "availableReplicas");
    return rs;
}

/* One decision, carried out in the model; true when it changed a size. */
static bool model_decide(struct model *m) {
    _cleanup_json_ struct json *d = model_deployment(m);
    struct observed_rs sets[4] = {0};
    for (size_t i = 0; i < m->n; i++)
        sets[i] = (struct observed_rs){model_set(m, i), (size_t) m->sets[i].pods};
    _cleanup_(deployment_plan_finish) struct deployment_plan plan = {0};
    deployment_decide(d, sets, m->n, 1704067200000000ull, &plan);
    assert_null(plan.create);
    bool changed = false;
    for (size_t k = 0; k < plan.n_updates; k++) {
        size_t i = (size_t) (meta_name(plan.updates[k].object)[2] - '0');
        m->sets[i].spec = json_int_or(json_path(plan.updates[k].object, "spec", "replicas"), -1);
        snprintf(m->sets[i].revision, sizeof(m->sets[i].revision), "%s",
                 json_str(json_path(plan.updates[k].object, "metadata", "annotations", ANNOTATION_REVISION)));
        changed |= plan.updates[k].from != plan.updates[k].to;
    }
    for (size_t i = 0; i < m->n; i++)
        json_unref(sets[i].object);
    return changed;
}

/* One ReplicaSet does its part: makes or ends a pod (unavailable ones first), or one becomes available. */
static bool model_act(struct model *m, size_t i) {
    struct model_set *s = &m->sets[i];
    if (s->pods < s->spec) {
        s->pods++;
    } else if (s->pods > s->spec) {
        if (s->available == s->pods)
            s->available--;
        s->pods--;
    } else if (s->available < s->pods) {
        s->available++;
    } else {
        return false;
    }
    return true;
}

static int64_t sum(const struct model *m, bool available) {
    int64_t n = 0;
    for (size_t i = 0; i < m->n; i++)
        n += available ? m->sets[i].available : m->sets[i].spec;
    return n;
}

static void model_random(struct model *m) {
    *m = (struct model){.replicas = (int64_t) dice(12) + 1, .surge = (int64_t) dice(4), .n = 2 + dice(3)};
    m->unavailable = m->surge == 0 ? 1 + (int64_t) dice(3) : (int64_t) dice(4);
    int64_t left = m->replicas;
    for (size_t i = 0; i < m->n; i++) { /* together the wanted number, as a finished or half-done rollout leaves it */
        m->sets[i].spec = i + 1 == m->n ? left : (int64_t) dice((uint64_t) left + 1);
        left -= m->sets[i].spec;
        m->sets[i].pods = m->sets[i].available = m->sets[i].spec;
        snprintf(m->sets[i].revision, sizeof(m->sets[i].revision), "%zu", i + 1);
    }
}

/* Every interleaving of the dice: never below the least available, never above the most pods; and it ends. */
static void test_rolling_updates_stay_in_bounds_and_converge(void **state) {
    dice_state = 0x9e3779b97f4a7c15ull;
    for (int run = 0; run < 1500; run++) {
        struct model m;
        model_random(&m);
        int64_t least = m.replicas - m.unavailable, most = m.replicas + m.surge;
        int quiet = 0;
        for (int turn = 0; turn < 3000 && quiet < 40; turn++) {
            bool changed = dice(3) == 0 ? model_decide(&m) : model_act(&m, dice(m.n));
            quiet = changed ? 0 : quiet + 1;
            if (sum(&m, true) < least || sum(&m, false) > most)
                fail_msg("run %d turn %d: %lld available of at least %lld, %lld pods of at most %lld", run, turn,
                         (long long) sum(&m, true), (long long) least, (long long) sum(&m, false), (long long) most);
        }
        while (model_decide(&m) || model_act(&m, 0) || model_act(&m, 1) || (m.n > 2 && model_act(&m, 2)) ||
               (m.n > 3 && model_act(&m, 3)))
            ;
        assert_int_equal(m.sets[m.n - 1].available, m.replicas);
        assert_int_equal(sum(&m, false), m.replicas);
    }
}

/* Old sets that are sick and may never get well must not stop the rollout. */
static void test_sick_old_pods_make_room_first(void **state) {
    struct model m = {.replicas = 4, .surge = 0, .unavailable = 1, .n = 2};
    m.sets[0] = (struct model_set){.spec = 4, .pods = 4, .available = 2, .revision = "1"};
    m.sets[1] = (struct model_set){.revision = "2"};
    /* only 2 of at least 3 are available: nothing healthy may go, and the sick ones only as far as the bound allows */
    assert_true(model_decide(&m));
    assert_int_equal(m.sets[0].spec, 3);
    assert_true(model_decide(&m));
    assert_int_equal(m.sets[1].spec, 1);
}

struct bound_case {
    const char *strategy;
    int64_t replicas, surge, unavailable;
};

static void test_bounds_are_resolved_as_upstream_does(void **state) {
    static const struct bound_case cases[] = {
        {"{'type':'RollingUpdate','rollingUpdate':{'maxSurge':'25%','maxUnavailable':'25%'}}", 3, 1, 0},
        {"{'type':'RollingUpdate','rollingUpdate':{'maxSurge':'25%','maxUnavailable':'25%'}}", 10, 3, 2},
        {"{'type':'RollingUpdate','rollingUpdate':{'maxSurge':0,'maxUnavailable':'10%'}}", 3, 0, 1},
        {"{'type':'RollingUpdate','rollingUpdate':{'maxSurge':2,'maxUnavailable':9}}", 3, 2, 3},
        {"{'type':'RollingUpdate'}", 8, 2, 2},
        {"{'type':'Recreate'}", 3, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t surge, unavailable;
        struct json *d = json_object();
        json_set_path(&d, json_int(cases[i].replicas), "spec", "replicas");
        json_set_path(&d, fake_json(cases[i].strategy), "spec", "strategy");
        deployment_bounds(d, &surge, &unavailable);
        assert_int_equal(surge, cases[i].surge);
        assert_int_equal(unavailable, cases[i].unavailable);
        json_unref(d);
    }
}

static void test_scaling_during_a_rollout_is_proportional(void **state) {
    struct model m = {.replicas = 10, .surge = 3, .unavailable = 2, .n = 3};
    m.sets[0] = (struct model_set){.spec = 5, .pods = 5, .available = 5, .revision = "1"};
    m.sets[1] = (struct model_set){.spec = 3, .pods = 3, .available = 3, .revision = "2"};
    m.sets[2] = (struct model_set){.spec = 5, .pods = 5, .available = 2, .revision = "3"};
    _cleanup_json_ struct json *d = model_deployment(&m);
    json_set_path(&d, json_int(20), "spec", "replicas");
    struct observed_rs sets[3];
    for (size_t i = 0; i < 3; i++) {
        sets[i] = (struct observed_rs){model_set(&m, i), 0};
        json_set_path(&sets[i].object, json_string("13"), "metadata", "annotations", ANNOTATION_MAX);
    }
    _cleanup_(deployment_plan_finish) struct deployment_plan plan = {0};
    deployment_decide(d, sets, 3, 0, &plan);
    int64_t total = 0;
    assert_int_equal(plan.n_updates, 3);
    for (size_t i = 0; i < 3; i++) {
        total += plan.updates[i].to;
        assert_true(plan.updates[i].to > plan.updates[i].from);
        json_unref(sets[i].object);
    }
    assert_int_equal(total, 23);
}

static void test_the_hash_follows_the_content_not_the_order(void **state) {
    _cleanup_json_ struct json *a = fake_json("{'spec':{'x':1,'y':[1,2]},'metadata':{'creationTimestamp':null}}");
    _cleanup_json_ struct json *b = fake_json("{'spec':{'y':[1,2],'x':1},'metadata':{}}");
    _cleanup_json_ struct json *other = fake_json("{'spec':{'x':1,'y':[2,1]},'metadata':{}}");
    _cleanup_free_ char *ha = deployment_template_hash(a, 0), *hb = deployment_template_hash(b, 0),
                        *ho = deployment_template_hash(other, 0), *hc = deployment_template_hash(a, 1);
    assert_string_equal(ha, hb);
    assert_string_not_equal(ha, ho);
    assert_string_not_equal(ha, hc);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_rolls_out_for_the_first_time),
        T(test_rolls_a_new_template_without_losing_a_pod),
        T(test_rolls_back_to_an_old_template_with_a_new_revision),
        T(test_a_broken_template_keeps_the_old_pods_and_can_be_replaced),
        T(test_progress_that_stops_is_reported),
        T(test_history_is_kept_to_its_limit),
        T(test_recreate_never_runs_two_templates_at_once),
        T(test_pause_stops_a_rollout_but_not_scaling),
        T(test_scales_up_and_down),
        T(test_a_taken_name_gives_another_hash),
        T(test_takes_over_an_existing_replicaset),
        cmocka_unit_test(test_rolling_updates_stay_in_bounds_and_converge),
        cmocka_unit_test(test_sick_old_pods_make_room_first),
        cmocka_unit_test(test_bounds_are_resolved_as_upstream_does),
        cmocka_unit_test(test_scaling_during_a_rollout_is_proportional),
        cmocka_unit_test(test_the_hash_follows_the_content_not_the_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
