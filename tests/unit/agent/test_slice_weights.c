/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Slices weigh what their pods request of the processor, together. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "orchestrator/agent/model.h"
#include "orchestrator/agent/slice_weights.h"
#include "podium/base/alloc.h"
#include "podium/cgroups.h"

static int setup(void **state) {
    struct agent *agent = xnew0(struct agent);
    struct unit_fake_options options = {0};

    assert_true(sd_event_new(&agent->loop) >= 0);
    options.loop = agent->loop;
    assert_int_equal(unit_manager_new_fake(&options, &agent->units, NULL), 0);
    agent->slice_weights = hashmap_new(free);
    *state = agent;
    return 0;
}

static int teardown(void **state) {
    struct agent *agent = *state;

    hashmap_free(agent->slice_weights);
    unit_manager_free(agent->units);
    sd_event_unref(agent->loop);
    free(agent);
    return 0;
}

/* A pod of one container with such resources. */
static struct agent_pod pod_of(struct agent *agent, const char *uid, const char *resources) {
    _cleanup_free_ char *text = xasprintf("{\"spec\":{\"containers\":[{\"name\":\"c\",\"resources\":%s}]}}", resources);
    struct agent_pod pod = {.agent = agent, .uid = (char *) uid};

    assert_int_equal(json_parse(text, strlen(text), NULL, &pod.desired, NULL), 0);
    return pod;
}

static uint64_t weight_above(const struct agent_pod *pod, const char *class) {
    _cleanup_free_ char *slice = unit_pod_slice(class, pod->uid);
    return unit_fake_weight(pod->agent->units, slice);
}

#define REQUEST(cpu) "{\"requests\":{\"cpu\":\"" cpu "\"}}"

static void test_sums(void **state) {
    struct agent *agent = *state;
    struct agent_pod large = pod_of(agent, "a", REQUEST("600m")), small = pod_of(agent, "b", REQUEST("200m")),
                     beside = pod_of(agent, "a", REQUEST("600m"));

    slice_weights_add(&large);
    slice_weights_add(&large); /* again: nothing */
    slice_weights_add(&small);
    const uint64_t l = weight_above(&large, "Burstable"), s = weight_above(&small, "Burstable");
    /* three to one, within what whole numbers allow */
    assert_in_range(l, s * 29 / 10, s * 31 / 10);
    assert_int_equal(unit_fake_weight(agent->units, "podium-burstable.slice"), l + s);
    slice_weights_add(&beside);
    assert_int_equal(weight_above(&large, "Burstable"), 2 * l);
    assert_int_equal(unit_fake_weight(agent->units, "podium-burstable.slice"), 2 * l + s);
    assert_int_equal(unit_fake_weight(agent->units, "podium-guaranteed.slice"), 0);

    slice_weights_remove(&large);
    slice_weights_remove(&large);
    assert_int_equal(weight_above(&beside, "Burstable"), l);
    assert_int_equal(unit_fake_weight(agent->units, "podium-burstable.slice"), l + s);
    slice_weights_remove(&beside); /* the last one there: nobody shares with an empty slice */
    slice_weights_remove(&small);
    slice_weights_add(&large); /* and it is told of the next one, be it as heavy as the last */
    assert_int_equal(unit_fake_weight(agent->units, "podium-burstable.slice"), l);
    slice_weights_remove(&large);
    json_unref(large.desired);
    json_unref(small.desired);
    json_unref(beside.desired);
}

/* Pods that request nothing, nodes without the controller, more than the kernel has numbers for. */
static void test_bounds(void **state) {
    struct agent *agent = *state;
    struct agent_pod nothing = pod_of(agent, "a", "{}"), huge = pod_of(agent, "b", REQUEST("200")),
                     more = pod_of(agent, "b", REQUEST("200"));

    slice_weights_add(&nothing);
    assert_int_equal(unit_fake_weight(agent->units, "podium-besteffort.slice"), 0);
    assert_int_equal(weight_above(&nothing, "BestEffort"), 0);
    slice_weights_add(&huge);
    slice_weights_add(&more);
    assert_int_equal(unit_fake_weight(agent->units, "podium-burstable.slice"), 10000);
    slice_weights_remove(&more);
    assert_in_range(unit_fake_weight(agent->units, "podium-burstable.slice"), 7000, 8500);
    slice_weights_remove(&huge);
    agent->controllers_missing = CGROUP_CPU;
    slice_weights_add(&more);
    assert_int_equal(more.weight, 0);
    json_unref(nothing.desired);
    json_unref(huge.desired);
    json_unref(more.desired);
}

/* Requested memory is kept in every slice above the pod, when that is wanted and can be. */
static void test_kept(void **state) {
    struct agent *agent = *state;
    struct agent_pod
        one = pod_of(agent, "a", "{\"requests\":{\"memory\":\"64Mi\"}}"),
        two =
            pod_of(agent, "a",
                   "{\"requests\":{\"cpu\":\"1\",\"memory\":\"32Mi\"},\"limits\":{\"cpu\":\"1\",\"memory\":\"32Mi\"}}");
    _cleanup_free_ char *sub = unit_pod_slice("Burstable", "a");

    slice_weights_add(&one);
    assert_int_equal(unit_fake_kept(agent->units, "podium.slice"), 0); /* not asked for */
    slice_weights_remove(&one);
    agent->memory_qos = true;
    slice_weights_add(&one);
    slice_weights_add(&two);
    assert_int_equal(unit_fake_kept(agent->units, "podium.slice"), 96 << 20);
    assert_int_equal(unit_fake_kept(agent->units, "podium-burstable.slice"), 64 << 20);
    assert_int_equal(unit_fake_kept(agent->units, "podium-guaranteed.slice"), 32 << 20);
    assert_int_equal(unit_fake_kept(agent->units, sub), 64 << 20);
    slice_weights_remove(&one);
    slice_weights_remove(&two);
    assert_int_equal(unit_fake_kept(agent->units, "podium.slice"), 0);
    agent->controllers_missing = CGROUP_CPU; /* the one does not need the other */
    slice_weights_add(&one);
    assert_int_equal(unit_fake_kept(agent->units, sub), 64 << 20);
    slice_weights_remove(&one);
    agent->controllers_missing = CGROUP_MEMORY;
    slice_weights_add(&one);
    assert_int_equal(one.kept, 0);
    slice_weights_remove(&one);
    json_unref(one.desired);
    json_unref(two.desired);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sums, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kept, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
