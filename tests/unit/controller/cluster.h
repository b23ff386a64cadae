/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A fake API with one controller running on it, for the tests of this folder. Each test program includes it once. */
#ifndef PODIUM_TESTS_CONTROLLER_CLUSTER_H
#define PODIUM_TESTS_CONTROLLER_CLUSTER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "orchestrator/controller/controller.h"
#include "tests/unit/client/fake_client.c"

struct cluster {
    sd_event *loop;
    struct fake *fake;
    struct controller_env env;
    const struct controller_ops *ops[3];
    void *controllers[3];
};

static _unused_ void cluster_start(struct cluster *c, const struct controller_ops *ops) {
    size_t i = 0;
    while (c->ops[i])
        i++;
    c->ops[i] = ops;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    assert_int_equal(ops->start(&c->env, &c->controllers[i], &err), 0);
}

static _unused_ int cluster_setup(void **state) {
    struct cluster *c = xnew0(struct cluster);
    assert_true(sd_event_new(&c->loop) >= 0);
    c->fake = fake_new(c->loop);
    c->env = (struct controller_env){
        .loop = c->loop,
        .client = fake_client(c->fake),
        .informers = informer_set_new(c->loop, fake_client(c->fake)),
        .options = {.node_monitor_grace = 40 * USEC_PER_SEC,
                    .pod_eviction_timeout = 300 * USEC_PER_SEC,
                    .terminated_pods_max = 12500},
    };
    *state = c;
    return 0;
}

static _unused_ int cluster_teardown(void **state) {
    struct cluster *c = *state;
    for (size_t i = 0; c->ops[i]; i++)
        c->ops[i]->free(c->controllers[i]);
    informer_set_free(c->env.informers);
    fake_free(c->fake);
    sd_event_unref(c->loop);
    free(c);
    return 0;
}

static _unused_ int64_t int_at(const struct json *o, const char *a, const char *b) {
    return json_int_or(json_path(o, a, b), 0);
}

/* Runs one set of due events and sees whether a kind has this many objects in the namespace "default". */
static _unused_ void assert_count(struct cluster *c, const char *plural, size_t n) {
    fake_settle(c->loop);
    assert_int_equal(fake_count(c->fake, fake_resource(plural), "default"), n);
}

/* Every pod without phase becomes Running and Ready on a node, as agents would make it. */
static _unused_ void pods_run(struct cluster *c) {
    size_t n;
    _cleanup_free_ struct json **pods = fake_all(c->fake, fake_resource("pods"), NULL, &n);
    for (size_t i = 0; i < n; i++) {
        if (json_path(pods[i], "status", "phase"))
            continue;
        _cleanup_free_ char *ns = xstrdup(json_str(json_path(pods[i], "metadata", "namespace")));
        _cleanup_free_ char *name = xstrdup(json_str(json_path(pods[i], "metadata", "name")));
        fake_merge(
            c->fake, fake_resource("pods"), ns, name,
            "{'spec':{'nodeName':'n1'},'status':{'phase':'Running','conditions':[{'type':'Ready','status':'True',"
            "'lastTransitionTime':'2024-01-01T00:00:00Z'}]}}");
    }
}

/* Pods whose deletion began disappear, as agents would report. */
static _unused_ void pods_stop(struct cluster *c) {
    size_t n;
    _cleanup_free_ struct json **pods = fake_all(c->fake, fake_resource("pods"), NULL, &n);
    for (size_t i = 0; i < n; i++)
        json_ref(pods[i]);
    for (size_t i = 0; i < n; i++) {
        if (json_path(pods[i], "metadata", "deletionTimestamp"))
            fake_remove(c->fake, fake_resource("pods"), json_str(json_path(pods[i], "metadata", "namespace")),
                        json_str(json_path(pods[i], "metadata", "name")));
        json_unref(pods[i]);
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, cluster_setup, cluster_teardown)

#endif
