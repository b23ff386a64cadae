/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/bootstrap.h"

#include <string.h>

#include "orchestrator/apiserver/request.h"
#include "orchestrator/manifest/yaml.h"
#include "podium/base/alloc.h"

/* What upstream's controllers aggregate by label is written out here: aggregation comes with its controller. */
static const char roles_yaml[] =
    "apiVersion: rbac.authorization.k8s.io/v1\n"
    "kind: ClusterRole\n"
    "metadata: {name: cluster-admin}\n"
    "rules:\n"
    "- {apiGroups: ['*'], resources: ['*'], verbs: ['*']}\n"
    "- {nonResourceURLs: ['*'], verbs: ['*']}\n"
    "---\n"
    "apiVersion: rbac.authorization.k8s.io/v1\n"
    "kind: ClusterRole\n"
    "metadata: {name: admin}\n"
    "rules:\n"
    "- apiGroups: ['', apps, batch, autoscaling, policy, networking.k8s.io, discovery.k8s.io]\n"
    "  resources: [&workloads configmaps, endpoints, events, persistentvolumeclaims, pods, pods/attach, pods/exec,\n"
    "    pods/eviction, pods/log, pods/portforward, pods/proxy, pods/status, replicationcontrollers,\n"
    "    replicationcontrollers/scale, replicationcontrollers/status, secrets, serviceaccounts, "
    "serviceaccounts/token,\n"
    "    services, services/proxy, services/status, controllerrevisions, daemonsets, daemonsets/status, deployments,\n"
    "    deployments/scale, deployments/status, replicasets, replicasets/scale, replicasets/status, statefulsets,\n"
    "    statefulsets/scale, statefulsets/status, cronjobs, cronjobs/status, jobs, jobs/status,\n"
    "    horizontalpodautoscalers, poddisruptionbudgets, ingresses, networkpolicies, endpointslices]\n"
    "  verbs: [create, delete, deletecollection, get, list, patch, update, watch]\n"
    "- {apiGroups: [''], resources: [limitranges, namespaces, resourcequotas], verbs: [get, list, watch]}\n"
    "- {apiGroups: [rbac.authorization.k8s.io], resources: [roles, rolebindings],\n"
    "   verbs: [create, delete, deletecollection, get, list, patch, update, watch]}\n"
    "- {apiGroups: [authorization.k8s.io], resources: [localsubjectaccessreviews], verbs: [create]}\n"
    "---\n"
    "apiVersion: rbac.authorization.k8s.io/v1\n"
    "kind: ClusterRole\n"
    "metadata: {name: edit}\n"
    "rules:\n"
    "- apiGroups: ['', apps, batch, autoscaling, policy, networking.k8s.io]\n"
    "  resources: [configmaps, endpoints, events, persistentvolumeclaims, pods, pods/attach, pods/exec, "
    "pods/eviction,\n"
    "    pods/portforward, pods/proxy, replicationcontrollers, replicationcontrollers/scale, secrets, "
    "serviceaccounts,\n"
    "    services, services/proxy, daemonsets, deployments, deployments/scale, replicasets, replicasets/scale,\n"
    "    statefulsets, statefulsets/scale, cronjobs, jobs, horizontalpodautoscalers, poddisruptionbudgets, ingresses,\n"
    "    networkpolicies]\n"
    "  verbs: [create, delete, deletecollection, get, list, patch, update, watch]\n"
    "- {apiGroups: [''], resources: [limitranges, namespaces, pods/log, pods/status, resourcequotas, bindings],\n"
    "   verbs: [get, list, watch]}\n"
    "- {apiGroups: [apps, batch, discovery.k8s.io],\n"
    "   resources: [controllerrevisions, daemonsets/status, deployments/status, replicasets/status,\n"
    "     statefulsets/status, jobs/status, cronjobs/status, endpointslices], verbs: [get, list, watch]}\n"
    "- {apiGroups: [''], resources: [serviceaccounts/token], verbs: [create]}\n"
    "---\n"
    "apiVersion: rbac.authorization.k8s.io/v1\n"
    "kind: ClusterRole\n"
    "metadata: {name: view}\n"
    "rules:\n"
    "- apiGroups: ['', apps, batch, autoscaling, policy, networking.k8s.io, discovery.k8s.io]\n"
    "  resources: [configmaps, endpoints, events, limitranges, namespaces, persistentvolumeclaims, pods, pods/log,\n"
    "    pods/status, replicationcontrollers, replicationcontrollers/scale, replicationcontrollers/status,\n"
    "    resourcequotas, serviceaccounts, services, services/status, controllerrevisions, daemonsets,\n"
    "    daemonsets/status, deployments, deployments/scale, deployments/status, replicasets, replicasets/scale,\n"
    "    replicasets/status, statefulsets, statefulsets/scale, statefulsets/status, cronjobs, cronjobs/status, jobs,\n"
    "    jobs/status, horizontalpodautoscalers, horizontalpodautoscalers/status, poddisruptionbudgets,\n"
    "    poddisruptionbudgets/status, ingresses, ingresses/status, networkpolicies, endpointslices]\n"
    "  verbs: [get, list, watch]\n"
    "---\n"
    "apiVersion: rbac.authorization.k8s.io/v1\n"
    "kind: ClusterRole\n"
    "metadata: {name: 'system:basic-user'}\n"
    "rules:\n"
    "- {apiGroups: [authorization.k8s.io], resources: [selfsubjectaccessreviews, selfsubjectrulesreviews], verbs: "
    "[create]}\n"
    "- {apiGroups: [authentication.k8s.io], resources: [selfsubjectreviews], verbs: [create]}\n"
    "---\n"
    "apiVersion: rbac.authorization.k8s.io/v1\n"
    "kind: ClusterRole\n"
    "metadata: {name: 'system:discovery'}\n"
    "rules:\n"
    "- nonResourceURLs: [/api, /api/*, /apis, /apis/*, /healthz, /livez, /openapi, /openapi/*, /readyz, /version, "
    "/version/]\n"
    "  verbs: [get]\n"
    "---\n"
    "apiVersion: rbac.authorization.k8s.io/v1\n"
    "kind: ClusterRole\n"
    "metadata: {name: 'system:monitoring'}\n"
    "rules:\n"
    "- nonResourceURLs: [/healthz, /healthz/*, /livez, /livez/*, /metrics, /metrics/slis, /readyz, /readyz/*]\n"
    "  verbs: [get]\n"
    "---\n"
    "apiVersion: rbac.authorization.k8s.io/v1\n"
    "kind: ClusterRoleBinding\n"
    "metadata: {name: 'system:monitoring'}\n"
    "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: 'system:monitoring'}\n"
    "subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: 'system:monitoring'}]\n"
    "---\n"
    "apiVersion: rbac.authorization.k8s.io/v1\n"
    "kind: ClusterRole\n"
    "metadata: {name: 'system:service-account-issuer-discovery'}\n"
    "rules:\n"
    "- {nonResourceURLs: [/.well-known/openid-configuration, /.well-known/openid-configuration/, /openid/v1/jwks,\n"
    "    /openid/v1/jwks/], verbs: [get]}\n"
    "---\n"
    "apiVersion: rbac.authorization.k8s.io/v1\n"
    "kind: ClusterRole\n"
    "metadata: {name: 'system:auth-delegator'}\n"
    "rules:\n"
    "- {apiGroups: [authentication.k8s.io], resources: [tokenreviews], verbs: [create]}\n"
    "- {apiGroups: [authorization.k8s.io], resources: [subjectaccessreviews], verbs: [create]}\n"
    "---\n"
    "apiVersion: rbac.authorization.k8s.io/v1\n"
    "kind: ClusterRoleBinding\n"
    "metadata: {name: 'system:service-account-issuer-discovery'}\n"
    "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole,\n"
    "  name: 'system:service-account-issuer-discovery'}\n"
    "subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: 'system:serviceaccounts'}]\n"
    "---\n"
    "apiVersion: rbac.authorization.k8s.io/v1\n"
    "kind: ClusterRoleBinding\n"
    "metadata: {name: cluster-admin}\n"
    "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}\n"
    "subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: 'system:masters'}]\n"
    "---\n"
    "apiVersion: rbac.authorization.k8s.io/v1\n"
    "kind: ClusterRoleBinding\n"
    "metadata: {name: 'system:basic-user'}\n"
    "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: 'system:basic-user'}\n"
    "subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: 'system:authenticated'}]\n"
    "---\n"
    "apiVersion: rbac.authorization.k8s.io/v1\n"
    "kind: ClusterRoleBinding\n"
    "metadata: {name: 'system:discovery'}\n"
    "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: 'system:discovery'}\n"
    "subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: 'system:authenticated'}]\n";

static const char *const namespaces[] = {"default", "kube-system", "kube-public", "kube-node-lease"};

/* Through the same door as everybody: decoded, defaulted, validated. */
static int create(struct apiserver *api, struct json *doc, const char *ns, struct error *err) {
    char *groups[] = {(char[]){"system:masters"}, NULL};
    struct api_user self = {.name = (char[]){"system:apiserver"}, .groups = groups};
    _cleanup_(api_request_freep) struct api_request *req = api_request_new(api);
    req->resource = resource_by_api_version(json_str(json_get(doc, "apiVersion")), json_str(json_get(doc, "kind")));
    req->verb = "create";
    req->user = &self;
    req->user_agent = xstrdup("podium-server");
    req->ns = xstrdup(ns);
    req->body_doc = json_ref(doc);
    if (!req->resource)
        return error_set(err, -EINVAL, "the bootstrap object is of no known kind");
    api_request_run(req);
    if (req->out.code == 201 || req->out.code == 409)
        return 0;
    return error_set(err, -EIO, "cannot create bootstrap object %s \"%s\": %s", req->resource->kind,
                     json_str_or(json_path(doc, "metadata", "name"), ""),
                     json_str_or(json_get(req->out.object, "message"), "unknown reason"));
}

static int create_simple(struct apiserver *api, const char *kind, const char *ns, const char *name, struct error *err) {
    _cleanup_json_ struct json *doc = json_object();
    json_set(&doc, "apiVersion", json_string("v1"));
    json_set(&doc, "kind", json_string(kind));
    json_set_path(&doc, json_string(name), "metadata", "name");
    return create(api, doc, ns, err);
}

int bootstrap_objects(struct apiserver *api, struct error *err) {
    struct json **docs = NULL;
    size_t n = 0;
    int r = 0;
    for (size_t i = 0; i < ARRAY_LEN(namespaces) && r >= 0; i++) {
        r = create_simple(api, "Namespace", "", namespaces[i], err);
        if (r >= 0)
            r = create_simple(api, "ServiceAccount", namespaces[i], "default", err);
    }
    if (r >= 0)
        r = yaml_parse_documents("bootstrap roles", roles_yaml, strlen(roles_yaml), &docs, &n, err);
    for (size_t i = 0; i < n && r >= 0; i++)
        r = create(api, docs[i], "", err);
    yaml_documents_free(docs, n);
    return r;
}
