/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "orchestrator/cli/diagnosis.h"
#include "podium/base/alloc.h"

/* Quotes as '. */
static struct json *doc(const char *text) {
    _cleanup_free_ char *copy = xstrdup(text);
    struct json *v = NULL;
    for (char *p = copy; *p; p++)
        if (*p == '\'')
            *p = '"';
    assert_int_equal(json_parse(copy, strlen(copy), NULL, &v, NULL), 0);
    return v;
}

static void assert_told(struct diagnosis *d, const char *problems, const char *notes) {
    _cleanup_strbuf_ struct strbuf p = STRBUF_INIT, n = STRBUF_INIT;
    findings_print(&d->problems, &p);
    findings_print(&d->notes, &n);
    assert_string_equal(strbuf_str(&p), problems);
    assert_string_equal(strbuf_str(&n), notes);
    diagnosis_finish(d);
}

#define POD(name, rest) "{'metadata':{'name':'" name "','namespace':'d','uid':'u-" name "'" rest "}"

static void pods(const char *list, const char *events, const char *problems) {
    struct diagnosis d = DIAGNOSIS_INIT;
    _cleanup_json_ struct json *items = doc(list), *unhealthy = doc(events);
    diagnose_pods(&d, items, unhealthy);
    assert_told(&d, problems, "");
}

static void test_pods_say_why(void **state) {
    pods("[" POD("a", "},'status':{'phase':'Running','conditions':[{'type':'Ready','status':'True'}]}") "," POD(
             "b",
             "},'status':{'phase':'Succeeded'}") "," POD("c",
                                                         ",'deletionTimestamp':'x'},'status':{'phase':'Running'}") "]",
         "[]", "");
    pods("[" POD("a", "},'status':{'phase':'Pending','conditions':[{'type':'PodScheduled','status':'False','reason':"
                      "'Unschedulable','message':'0/1 nodes'}]}") "]",
         "[]", "  pod d/a: Unschedulable: 0/1 nodes\n");
    pods("[" POD("a", "},'status':{'phase':'Pending','containerStatuses':[{'name':'x','state':{'waiting':{'reason':"
                      "'ImagePullBackOff','message':'no such image'}}}]}") "]",
         "[]", "  pod d/a, container x: ImagePullBackOff: no such image\n");
    pods("[" POD("a", "},'status':{'phase':'Running','containerStatuses':[{'name':'x','state':{'waiting':{'reason':"
                      "'CrashLoopBackOff','message':'back-off'}},'lastState':{'terminated':{'reason':'OOMKilled',"
                      "'exitCode':137}}}]}") "]",
         "[]", "  pod d/a, container x: CrashLoopBackOff: back-off (last time: OOMKilled, exit code 137)\n");
    pods("[" POD("a", "},'status':{'phase':'Failed','reason':'Evicted','message':'low on disk'}") "]", "[]",
         "  pod d/a: Evicted: low on disk\n");
}

static void test_failing_probes_are_told(void **state) {
    const char *running = "[" POD("a", "},'status':{'phase':'Running','conditions':[{'type':'Ready','status':'False',"
                                       "'reason':'ContainersNotReady','message':'unready: [x]'}],'containerStatuses':"
                                       "[{'name':'x','ready':false,'state':{'running':{}}}]}") "]";
    pods(running, "[]", "  pod d/a: ContainersNotReady: unready: [x]\n");
    pods(running,
         "[{'involvedObject':{'uid':'other'},'message':'no','lastTimestamp':'2026-01-03'},"
         "{'involvedObject':{'uid':'u-a'},'message':'Readiness probe failed: 503','lastTimestamp':'2026-01-02'},"
         "{'involvedObject':{'uid':'u-a'},'message':'Readiness probe failed: 500','lastTimestamp':'2026-01-01'}]",
         "  pod d/a, container x: not ready: Readiness probe failed: 503\n");
}

static void test_pods_of_one_owner_are_one_line(void **state) {
#define OWNED(name)                                                                                                    \
    POD(name, ",'ownerReferences':[{'uid':'rs'}]},'status':{'phase':'Pending','containerStatuses':[{"                  \
              "'name':'x','state':{'waiting':{'reason':'ErrImagePull','message':'of " name "'}}}]}")
    pods("[" OWNED("a") "," OWNED("b") "," OWNED("c") "]", "[]",
         "  pod d/a, container x: ErrImagePull: of a (and 2 more like it)\n");
}

static void test_a_screen_is_enough(void **state) {
    struct diagnosis d = DIAGNOSIS_INIT;
    for (int i = 0; i < FINDINGS_SHOWN + 3; i++)
        findings_add(&d.problems, "pods", NULL, "pod");
    findings_add(&d.problems, "nodes", NULL, "node");
    assert_told(&d, "  pod\n  pod\n  pod\n  pod\n  pod\n  pod\n  pod\n  pod\n  … and 3 more pods\n  node\n", "");
}

static void test_nodes(void **state) {
    struct diagnosis d = DIAGNOSIS_INIT;
    _cleanup_json_ struct json *nodes =
        doc("[{'metadata':{'name':'a'},'status':{'conditions':[{'type':'Ready','status':'True'},{'type':'DiskPressure',"
            "'status':'True','message':'full'},{'type':'MemoryPressure','status':'False'},"
            "{'type':'podium.org/CgroupControllersMissing','status':'True','message':'no limits'}]}},"
            "{'metadata':{'name':'b'},'status':{'conditions':[{'type':'Ready','status':'Unknown','message':'silent'},"
            "{'type':'podium.org/CgroupControllersMissing','status':'True','message':'no limits'}]}},"
            "{'metadata':{'name':'c'}}]");
    diagnose_nodes(&d, nodes);
    assert_told(&d, "  node a: DiskPressure: full\n  node b: silent\n  node c: has not reported yet\n",
                "  node a: no limits (and 1 more like it)\n");
    diagnose_nodes(&d, NULL);
    assert_int_equal(d.problems.n, 1);
    diagnosis_finish(&d);
}

static void test_deployments(void **state) {
    struct diagnosis d = DIAGNOSIS_INIT;
    _cleanup_json_ struct json *all = doc(
        "[{'metadata':{'name':'good','namespace':'d'},'spec':{'replicas':2},'status':{'availableReplicas':2}},"
        "{'metadata':{'name':'less','namespace':'d'},'spec':{'replicas':2},'status':{'availableReplicas':1}},"
        "{'metadata':{'name':'stuck','namespace':'d'},'spec':{'replicas':2},'status':{'availableReplicas':2,"
        "'conditions':[{'type':'Progressing','status':'False','reason':'ProgressDeadlineExceeded','message':'slow'}]}},"
        "{'metadata':{'name':'refused','namespace':'d'},'spec':{'replicas':2},'status':{'conditions':[{'type':"
        "'ReplicaFailure','status':'True','reason':'FailedCreate','message':'quota'}]}},"
        "{'metadata':{'name':'held','namespace':'d'},'spec':{'replicas':1,'paused':true},'status':"
        "{'availableReplicas':1}}]");
    diagnose_deployments(&d, all);
    assert_told(&d,
                "  deployment d/less: 1 of 2 replicas available\n"
                "  deployment d/stuck: ProgressDeadlineExceeded: slow\n"
                "  deployment d/refused: FailedCreate: quota\n",
                "  deployment d/held is paused, 0 of 1 replicas are new\n");
}

static void test_services(void **state) {
    struct diagnosis d = DIAGNOSIS_INIT;
    _cleanup_json_ struct json *services =
        doc("[{'metadata':{'name':'plain','namespace':'d'},'spec':{}},"
            "{'metadata':{'name':'out','namespace':'d'},'spec':{'type':'ExternalName','selector':{'a':'b'}}},"
            "{'metadata':{'name':'good','namespace':'d'},'spec':{'selector':{'app':'good'}}},"
            "{'metadata':{'name':'wrong','namespace':'d'},'spec':{'selector':{'app':'nobody'}}},"
            "{'metadata':{'name':'none','namespace':'d'},'spec':{'selector':{'app':'none'}}},"
            "{'metadata':{'name':'sick','namespace':'d'},'spec':{'selector':{'app':'sick'}}}]");
    _cleanup_json_ struct json *slices =
        doc("[{'metadata':{'namespace':'d','labels':{'kubernetes.io/service-name':'good'}},'endpoints':[{'conditions':"
            "{'ready':false}},{'conditions':{'ready':true}}]},"
            "{'metadata':{'namespace':'d','labels':{'kubernetes.io/service-name':'sick'}},'endpoints':[{'conditions':"
            "{'ready':false}}]},"
            "{'metadata':{'namespace':'e','labels':{'kubernetes.io/service-name':'sick'}},'endpoints':[{}]}]");
    _cleanup_json_ struct json *p = doc("[{'metadata':{'namespace':'d','labels':{'app':'sick'}}},"
                                        "{'metadata':{'namespace':'e','labels':{'app':'nobody'}}}]");
    _cleanup_json_ struct json *deployments =
        doc("[{'metadata':{'namespace':'d'},'spec':{'replicas':0,'template':{'metadata':{'labels':{'app':'none'}}}}}]");
    diagnose_services(&d, services, slices, p, deployments);
    assert_told(&d,
                "  service d/wrong: no pod has the labels it selects (app=nobody)\n"
                "  service d/sick: none of the pods it selects is ready (1 there)\n",
                "  service d/none: its pods are scaled to none\n");
}

static void test_budgets(void **state) {
    struct diagnosis d = DIAGNOSIS_INIT;
    _cleanup_json_ struct json *all =
        doc("[{'metadata':{'name':'idle','namespace':'d'},'status':{'expectedPods':0,'disruptionsAllowed':0}},"
            "{'metadata':{'name':'good','namespace':'d'},'status':{'expectedPods':2,'disruptionsAllowed':1}},"
            "{'metadata':{'name':'tight','namespace':'d'},'status':{'expectedPods':2,'disruptionsAllowed':0,"
            "'currentHealthy':2,'desiredHealthy':2}},"
            "{'metadata':{'name':'low','namespace':'d'},'status':{'expectedPods':2,'disruptionsAllowed':0,"
            "'currentHealthy':1,'desiredHealthy':2}}]");
    diagnose_budgets(&d, all);
    assert_told(&d, "  disruption budget d/low lets no pod be evicted: healthy: 1, needed: 2\n",
                "  disruption budget d/tight lets no pod be evicted: healthy: 2, needed: 2\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pods_say_why),
        cmocka_unit_test(test_failing_probes_are_told),
        cmocka_unit_test(test_pods_of_one_owner_are_one_line),
        cmocka_unit_test(test_a_screen_is_enough),
        cmocka_unit_test(test_nodes),
        cmocka_unit_test(test_deployments),
        cmocka_unit_test(test_services),
        cmocka_unit_test(test_budgets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
