/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "orchestrator/object/table.h"
#include "orchestrator/object/timestamp.h"
#include "podium/base/alloc.h"
#include "tests/unit/object/quoted_json.h"

static struct json *row_of(const struct resource *r, const struct json *object, enum table_include include,
                           uint64_t now) {
    const struct table_view view = table_view(r);

    return table_row(&view, object, include, now);
}

/* All objects of these tests are looked at on 2026-01-02 at noon. */
static uint64_t noon(void) {
    uint64_t now;
    assert_int_equal(timestamp_parse("2026-01-02T12:00:00Z", &now), 0);
    return now;
}

#define META "'metadata':{'name':'x','creationTimestamp':'2026-01-02T11:55:00Z'"

static void check_cells(const char *api_version, const char *kind, const char *object, const char *cells) {
    const struct resource *r = resource_by_api_version(api_version, kind);
    assert_non_null(r);
    _cleanup_json_ struct json *o = quoted_json(object), *expected = quoted_json(cells), *columns = table_columns(r);
    _cleanup_json_ struct json *row = row_of(r, o, TABLE_INCLUDE_NONE, noon());
    _cleanup_free_ char *got = json_to_text(json_get(row, "cells")), *want = json_to_text(expected);
    assert_string_equal(got, want);
    assert_int_equal(json_len(columns), json_len(json_get(row, "cells")));
}

static void pods(void **state) {
    static const struct {
        const char *rest, *ready, *status, *restarts;
    } cases[] = {
        {"'spec':{'containers':[{}]},'status':{'phase':'Pending'}", "0/1", "Pending", "0"},
        {"'spec':{'containers':[{},{}]},'status':{'phase':'Running','containerStatuses':["
         "{'ready':true,'state':{'running':{}},'restartCount':0},{'ready':false,'restartCount':3,'state':{'waiting':"
         "{'reason':'CrashLoopBackOff'}},'lastState':{'terminated':{'finishedAt':'2026-01-02T11:58:30Z'}}}]}",
         "1/2", "CrashLoopBackOff", "3 (90s ago)"},
        {"'spec':{'containers':[{}]},'status':{'phase':'Pending','containerStatuses':[{'state':{'waiting':"
         "{'reason':'ContainerCreating'}}}]}",
         "0/1", "ContainerCreating", "0"},
        {"'spec':{'containers':[{}]},'status':{'phase':'Failed','containerStatuses':[{'state':{'terminated':"
         "{'exitCode':3}}}]}",
         "0/1", "ExitCode:3", "0"},
        {"'spec':{'containers':[{}]},'status':{'phase':'Failed','reason':'Evicted'}", "0/1", "Evicted", "0"},
        {"'spec':{'containers':[{}]},'status':{'phase':'Failed','containerStatuses':[{'state':{'terminated':"
         "{'exitCode':137,'signal':9}}}]}",
         "0/1", "Signal:9", "0"},
        {"'spec':{'containers':[{},{}]},'status':{'phase':'Running','conditions':[{'type':'Ready','status':'False'}],"
         "'containerStatuses':[{'state':{'terminated':{'reason':'Completed','exitCode':0}}},{'ready':true,'state':"
         "{'running':{}}}]}",
         "1/2", "NotReady", "0"},
        {"'spec':{'containers':[{}],'initContainers':[{'name':'a'},{'name':'b'}]},'status':{'phase':'Pending',"
         "'initContainerStatuses':[{'name':'a','state':{'terminated':{'exitCode':0}}},{'name':'b','state':{'running':{}"
         "}}]}",
         "0/1", "Init:1/2", "0"},
        {"'spec':{'containers':[{}],'initContainers':[{'name':'a'}]},'status':{'phase':'Pending',"
         "'initContainerStatuses':[{'name':'a','restartCount':2,'state':{'waiting':{'reason':'CrashLoopBackOff'}}}]}",
         "0/1", "Init:CrashLoopBackOff", "2"},
        {"'spec':{'containers':[{}],'initContainers':[{'name':'s','restartPolicy':'Always'}]},'status':{'phase':"
         "'Running','conditions':[{'type':'Initialized','status':'True'}],'initContainerStatuses':[{'name':'s',"
         "'started':true,'ready':true,'restartCount':1,'state':{'running':{}}}],'containerStatuses':[{'ready':true,"
         "'restartCount':2,'state':{'running':{}}}]}",
         "2/2", "Running", "3"},
        {"'spec':{'containers':[{}]},'status':{'phase':'Pending','conditions':[{'type':'PodScheduled','status':'False',"
         "'reason':'SchedulingGated'}]}",
         "0/1", "SchedulingGated", "0"},
        {"'spec':{'containers':[{}]},'status':{'phase':'Running','containerStatuses':[{'restartCount':1,'state':"
         "{'waiting':{'reason':'CreateContainerConfigError'}}}]}",
         "0/1", "CreateContainerConfigError", "1"},
        {"'spec':{'containers':[{}]},'status':{'phase':'Failed','reason':'DeadlineExceeded','containerStatuses':[{"
         "'state':{'terminated':{'reason':'OOMKilled','exitCode':137}}}]}",
         "0/1", "OOMKilled", "0"},
        /* of several containers the first that has something to say */
        {"'spec':{'containers':[{},{}]},'status':{'phase':'Pending','containerStatuses':[{'state':{'waiting':{'reason':"
         "'ErrImagePull'}}},{'state':{'waiting':{'reason':'ContainerCreating'}}}]}",
         "0/2", "ErrImagePull", "0"},
        {"'spec':{'containers':[{},{}]},'status':{'phase':'Running','conditions':[{'type':'Ready','status':'True'}],"
         "'containerStatuses':[{'state':{'terminated':{'reason':'Completed','exitCode':0}}},{'ready':true,'state':"
         "{'running':{}}}]}",
         "1/2", "Running", "0"},
        {"'spec':{'containers':[{}],'initContainers':[{'name':'a'}]},'status':{'phase':'Failed',"
         "'initContainerStatuses':[{'name':'a','state':{'terminated':{'reason':'Error','exitCode':1}}}],"
         "'containerStatuses':[{'state':{'waiting':{'reason':'PodInitializing'}}}]}",
         "0/1", "Init:Error", "0"},
        {"'spec':{'containers':[{}],'initContainers':[{'name':'a'}]},'status':{'phase':'Failed',"
         "'initContainerStatuses':[{'name':'a','state':{'terminated':{'exitCode':137,'signal':9}}}]}",
         "0/1", "Init:Signal:9", "0"},
        {"'spec':{'containers':[{}],'initContainers':[{'name':'a'}]},'status':{'phase':'Pending',"
         "'initContainerStatuses':[{'name':'a','state':{'terminated':{'reason':'Completed','exitCode':0}}}],"
         "'containerStatuses':[{'state':{'waiting':{'reason':'PodInitializing'}}}]}",
         "0/1", "PodInitializing", "0"},
        /* a sidecar that waits for its startup probe, and one that is not ready */
        {"'spec':{'containers':[{}],'initContainers':[{'name':'s','restartPolicy':'Always'}]},'status':{'phase':"
         "'Pending','initContainerStatuses':[{'name':'s','started':false,'state':{'running':{}}}]}",
         "0/2", "Init:0/1", "0"},
        {"'spec':{'containers':[{}],'initContainers':[{'name':'s','restartPolicy':'Always'}]},'status':{'phase':"
         "'Running','initContainerStatuses':[{'name':'s','started':true,'ready':false,'state':{'running':{}}}],"
         "'containerStatuses':[{'ready':true,'state':{'running':{}}}]}",
         "1/2", "Running", "0"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_free_ char *object = xasprintf("{" META "},%s}", cases[i].rest);
        _cleanup_free_ char *cells = xasprintf("['x','%s','%s','%s','5m','<none>','<none>','<none>','<none>']",
                                               cases[i].ready, cases[i].status, cases[i].restarts);
        check_cells("v1", "Pod", object, cells);
    }
    check_cells(
        "v1", "Pod",
        "{" META ",'deletionTimestamp':'2026-01-02T11:59:00Z'},'spec':{'nodeName':'n1','readinessGates':"
        "[{'conditionType':'a'},{'conditionType':'b'}]},'status':{'phase':'Running','podIPs':[{'ip':'10.1.0.2'}],"
        "'conditions':[{'type':'a','status':'True'}]}}",
        "['x','0/0','Terminating','0','5m','10.1.0.2','n1','<none>','1/2']");
}

static void pods_that_end(void **state) {
    static const struct {
        const char *status, *word;
    } cases[] = {
        {"'phase':'Running','containerStatuses':[{'ready':true,'state':{'running':{}}}]", "Terminating"},
        {"'phase':'Running','reason':'NodeLost'", "Unknown"},
        {"'phase':'Succeeded','containerStatuses':[{'state':{'terminated':{'reason':'Completed','exitCode':0}}}]",
         "Completed"},
    };
    const struct resource *r = resource_by_api_version("v1", "Pod");

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_free_ char *text = xasprintf("{'metadata':{'name':'x','deletionTimestamp':'2026-01-02T12:00:00Z'},"
                                              "'spec':{'containers':[{}]},'status':{%s}}",
                                              cases[i].status);
        _cleanup_json_ struct json *o = quoted_json(text), *row = row_of(r, o, TABLE_INCLUDE_NONE, noon());
        assert_string_equal(json_str(json_at(json_get(row, "cells"), 2)), cases[i].word);
    }
}

static void workloads(void **state) {
    static const char spec[] = "'spec':{'replicas':3,'selector':{'matchLabels':{'b':'2','a':'1'}},'template':{'spec':"
                               "{'containers':[{'name':'c','image':'i:1'},{'name':'d','image':'j'}]}}},";
    _cleanup_free_ char *o = xasprintf("{" META "},%s'status':{'readyReplicas':2,'updatedReplicas':3,'replicas':3,"
                                       "'availableReplicas':1}}",
                                       spec);
    check_cells("apps/v1", "Deployment", o, "['x','2/3',3,1,'5m','c,d','i:1,j','a=1,b=2']");
    check_cells("apps/v1", "ReplicaSet", o, "['x',3,3,2,'5m','c,d','i:1,j','a=1,b=2']");
    check_cells("apps/v1", "StatefulSet", o, "['x','2/3','5m','c,d','i:1,j']");
    check_cells("v1", "ReplicationController",
                "{" META
                "},'spec':{'selector':{'a':'1'},'template':{'spec':{'containers':[{'name':'c','image':'i'}]}}}}",
                "['x',0,0,0,'5m','c','i','a=1']");
    check_cells("batch/v1", "Job",
                "{" META "},'spec':{'completions':2,'selector':{}},'status':{'succeeded':1,'startTime':"
                "'2026-01-02T11:58:00Z'}}",
                "['x','Running','1/2','2m','5m','','','<none>']");
    check_cells("batch/v1", "CronJob",
                "{" META "},'spec':{'schedule':'* * * * *','suspend':false,'jobTemplate':{'spec':{'template':{'spec':"
                "{'containers':[{'name':'c','image':'i'}]}}}}},'status':{'active':[{}],'lastScheduleTime':"
                "'2026-01-02T11:59:00Z'}}",
                "['x','* * * * *','<none>','False',1,'60s','5m','c','i','<none>']");
    check_cells(
        "autoscaling/v2", "HorizontalPodAutoscaler",
        "{" META
        "},'spec':{'maxReplicas':5,'minReplicas':2,'scaleTargetRef':{'kind':'Deployment','name':'d'},'metrics':"
        "[{'type':'Resource','resource':{'name':'cpu','target':{'averageUtilization':80}}},{'type':'Pods','pods':"
        "{'target':{'averageValue':'10'}}},{}]},'status':{'currentReplicas':3,'currentMetrics':[{'resource':"
        "{'current':{'averageUtilization':42}}}]}}",
        "['x','Deployment/d','cpu: 42%/80%, <unknown>/10 + 1 more...','2',5,3,'5m']");
}

static void network(void **state) {
    check_cells("v1", "Service",
                "{" META "},'spec':{'type':'NodePort','clusterIPs':['10.0.0.1'],'ports':[{'port':80,'nodePort':30080,"
                "'protocol':'TCP'},{'port':53,'protocol':'UDP'}],'selector':{'b':'2','a':'1'}}}",
                "['x','NodePort','10.0.0.1','<none>','80:30080/TCP,53/UDP','5m','a=1,b=2']");
    check_cells(
        "v1", "Service",
        "{" META
        "},'spec':{'type':'LoadBalancer','clusterIP':'None','externalIPs':['9.9.9.9']},'status':{'loadBalancer':"
        "{'ingress':[{'ip':'2.2.2.2'},{'hostname':'b.example'},{'ip':'2.2.2.2'}]}}}",
        "['x','LoadBalancer','None','2.2.2.2,b.example,9.9.9.9','<none>','5m','<none>']");
    check_cells("v1", "Endpoints",
                "{" META
                "},'subsets':[{'addresses':[{'ip':'1.1.1.1'},{'ip':'2.2.2.2'}],'ports':[{'port':80},{'port':81}]}]}",
                "['x','1.1.1.1:80,1.1.1.1:81,2.2.2.2:80 + 1 more...','5m']");
    check_cells("networking.k8s.io/v1", "Ingress",
                "{" META "},'spec':{'rules':[{'host':'a'},{},{'host':'b'}],'tls':[{}]}}",
                "['x','<none>','a,b','','80, 443','5m']");
    check_cells("networking.k8s.io/v1", "NetworkPolicy", "{" META "},'spec':{'podSelector':{}}}",
                "['x','<none>','5m']");
    check_cells("discovery.k8s.io/v1", "EndpointSlice",
                "{" META "},'addressType':'IPv4','ports':[{'port':80}],'endpoints':[{'addresses':['1.1.1.1']}]}",
                "['x','IPv4','80','1.1.1.1','5m']");
}

static void cluster_things(void **state) {
    check_cells("v1", "Node",
                "{" META
                ",'labels':{'node-role.kubernetes.io/worker':'','node-role.kubernetes.io/control-plane':''}},'spec':"
                "{'unschedulable':true},'status':{'conditions':[{'type':'Ready','status':'True'}],'addresses':[{'type':"
                "'InternalIP','address':'10.0.0.2'}],'nodeInfo':{'kubeletVersion':'v1.32.0','osImage':'Debian 12'}}}",
                "['x','Ready,SchedulingDisabled','control-plane,worker','5m','v1.32.0','10.0.0.2','<none>','Debian 12',"
                "'<unknown>','<unknown>']");
    check_cells("v1", "Node", "{" META "}}",
                "['x','Unknown','<none>','5m','','<none>','<none>','<unknown>','<unknown>','<unknown>']");
    check_cells("v1", "Namespace", "{" META "},'status':{'phase':'Active'}}", "['x','Active','5m']");
    check_cells("v1", "ConfigMap", "{" META "},'data':{'a':'','b':''},'binaryData':{'c':''}}", "['x',3,'5m']");
    check_cells("v1", "Secret", "{" META "},'type':'Opaque','data':{'a':''}}", "['x','Opaque',1,'5m']");
    check_cells("v1", "ServiceAccount", "{'metadata':{'name':'x'}}", "['x',0,'<unknown>']");
    check_cells(
        "v1", "Event",
        "{" META "},'type':'Warning','reason':'Failed','message':' text\\n','involvedObject':{'kind':'Pod','name':'p',"
        "'fieldPath':'spec.containers{a}'},'source':{'component':'agent','host':'n1'},'count':4,'firstTimestamp':"
        "'2026-01-02T11:00:00Z','lastTimestamp':'2026-01-02T11:59:50Z'}",
        "['10s','Warning','Failed','pod/p','spec.containers{a}','agent, n1','text','60m',4,'x']");
    check_cells(
        "rbac.authorization.k8s.io/v1", "RoleBinding",
        "{" META
        "},'roleRef':{'kind':'Role','name':'r'},'subjects':[{'kind':'User','name':'u'},{'kind':'ServiceAccount',"
        "'namespace':'n','name':'s'},{'kind':'User','name':'v'}]}",
        "['x','Role/r','5m','u, v','','n/s']");
    check_cells("rbac.authorization.k8s.io/v1", "Role", "{" META "}}", "['x','2026-01-02T11:55:00Z']");
    check_cells("storage.k8s.io/v1", "StorageClass",
                "{" META ",'annotations':{'storageclass.kubernetes.io/is-default-class':'true'}},'provisioner':'p'}",
                "['x (default)','p','Delete','Immediate',false,'5m']");
    check_cells(
        "v1", "PersistentVolumeClaim",
        "{" META
        "},'spec':{'volumeName':'v','storageClassName':'s','volumeMode':'Filesystem'},'status':{'phase':'Bound',"
        "'capacity':{'storage':'1Gi'},'accessModes':['ReadWriteMany','ReadWriteOnce']}}",
        "['x','Bound','v','1Gi','RWO,RWX','s','<unset>','5m','Filesystem']");
    check_cells("coordination.k8s.io/v1", "Lease", "{" META "},'spec':{'holderIdentity':'me'}}", "['x','me','5m']");
    check_cells("policy/v1", "PodDisruptionBudget",
                "{" META "},'spec':{'minAvailable':2},'status':{'disruptionsAllowed':1}}", "['x','2','N/A',1,'5m']");
    check_cells("scheduling.k8s.io/v1", "PriorityClass", "{" META "},'value':7,'preemptionPolicy':'Never'}",
                "['x',7,false,'5m','Never']");
    check_cells("v1", "ResourceQuota",
                "{" META "},'status':{'hard':{'pods':'4','limits.cpu':'2','configmaps':'3'},'used':{'pods':'1'}}}",
                "['x','5m','configmaps: 0/3, pods: 1/4','limits.cpu: 0/2']");
}

static void every_kind_has_a_row_even_when_nothing_is_set(void **state) {
    size_t n;
    const struct resource *all = resources_all(&n);
    _cleanup_json_ struct json *empty = quoted_json("{'metadata':{'name':'x'}}");
    for (size_t i = 0; i < n; i++) {
        _cleanup_json_ struct json *columns = table_columns(&all[i]);
        _cleanup_json_ struct json *row = row_of(&all[i], empty, TABLE_INCLUDE_METADATA, noon());
        assert_true(json_len(columns) > 0);
        assert_int_equal(json_len(columns), json_len(json_get(row, "cells")));
        assert_string_equal(json_str(json_path(row, "object", "kind")), "PartialObjectMetadata");
        for (size_t k = 0; k < json_len(columns); k++) {
            const struct json *cell = json_at(json_get(row, "cells"), k);
            if (strcmp(json_str(json_get(json_at(columns, k), "type")), "integer") == 0)
                assert_int_equal(json_type(cell), JSON_INT);
            assert_false(json_is_object(cell) || json_is_array(cell));
        }
    }
}

static void rows_carry_what_was_asked_for(void **state) {
    const struct resource *r = resource_by_api_version("v1", "Pod");
    _cleanup_json_ struct json *o = quoted_json("{'kind':'Pod'," META "},'status':{'phase':'Succeeded'}}");
    _cleanup_json_ struct json *full = row_of(r, o, TABLE_INCLUDE_OBJECT, noon());
    _cleanup_json_ struct json *none = row_of(r, o, TABLE_INCLUDE_NONE, noon());
    assert_true(json_equal(json_get(full, "object"), o));
    assert_null(json_get(none, "object"));
    const struct json *condition = json_at(json_get(full, "conditions"), 0);
    assert_string_equal(json_str(json_get(condition, "type")), "Completed");
    assert_string_equal(json_str(json_get(condition, "reason")), "Succeeded");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pods),
        cmocka_unit_test(pods_that_end),
        cmocka_unit_test(workloads),
        cmocka_unit_test(network),
        cmocka_unit_test(cluster_things),
        cmocka_unit_test(every_kind_has_a_row_even_when_nothing_is_set),
        cmocka_unit_test(rows_carry_what_was_asked_for),
    };
    return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
