/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pods and nodes for the scheduler's tests, from short JSON with ' for quotes. */
#ifndef TESTS_UNIT_SCHEDULER_CLUSTER_H
#define TESTS_UNIT_SCHEDULER_CLUSTER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "orchestrator/scheduler/cache.h"
#include "orchestrator/scheduler/cycle.h"
#include "orchestrator/scheduler/plugins/registry.h"
#include "podium/base/alloc.h"

static _unused_ struct json *quoted(const char *text) {
    _cleanup_free_ char *copy = xstrdup(text);
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct json *v = NULL;

    for (char *p = copy; *p; p++)
        if (*p == '\'')
            *p = '"';
    int r = json_parse(copy, strlen(copy), NULL, &v, &err);
    if (r < 0)
        fail_msg("bad JSON in a test: %s: %s", error_text(&err, r), copy);
    return v;
}

/* spec: the inside of the pod's spec ("'containers':[…]"). */
static _unused_ struct pod_info *make_pod(const char *name, const char *spec) {
    _cleanup_free_ char *text =
        xasprintf("{'metadata':{'name':'%s','namespace':'default','uid':'uid-%s'},'spec':{%s}}", name, name, spec);
    _cleanup_json_ struct json *doc = quoted(text);

    return pod_info_new(doc);
}

static _unused_ struct pod_info *make_pod_asking(const char *name, const char *cpu, const char *memory) {
    _cleanup_free_ char *spec =
        xasprintf("'containers':[{'name':'c','resources':{'requests':{'cpu':'%s','memory':'%s'}}}]", cpu, memory);

    return make_pod(name, spec);
}

/* labels and spec: the inside of the objects. 4 CPUs, 8 GiB, 10 pods. */
static _unused_ struct json *node_document(const char *name, const char *labels, const char *spec) {
    _cleanup_free_ char *text = xasprintf("{'metadata':{'name':'%s','labels':{%s}},'spec':{%s},"
                                          "'status':{'allocatable':{'cpu':'4','memory':'8Gi','ephemeral-storage':'10Gi'"
                                          ",'pods':'10','example.com/gpu':'2'}}}",
                                          name, labels, spec);

    return quoted(text);
}

static _unused_ struct node_info *make_node(const char *name, const char *labels, const char *spec) {
    _cleanup_json_ struct json *doc = node_document(name, labels, spec);
    struct node_info *n = node_info_new(name);

    (void) node_info_set_object(n, doc);
    return n;
}

#endif
