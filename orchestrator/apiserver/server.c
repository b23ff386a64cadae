/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/server.h"

#include "orchestrator/apiserver/admission/admission.h"
#include "orchestrator/apiserver/audit/audit.h"
#include "orchestrator/apiserver/authn/account_tokens.h"
#include "orchestrator/apiserver/authz/node_graph.h"
#include "orchestrator/apiserver/authz/rbac.h"
#include "orchestrator/apiserver/bootstrap.h"
#include "orchestrator/apiserver/http/http_server.h"
#include "orchestrator/apiserver/loop_queue.h"
#include "orchestrator/apiserver/metrics.h"
#include "orchestrator/apiserver/openapi_routes.h"
#include "orchestrator/apiserver/podsecurity/settings.h"
#include "orchestrator/apiserver/quota_ledger.h"
#include "orchestrator/apiserver/service_pool.h"
#include "orchestrator/apiserver/subresources/stream.h"
#include "podium/base/alloc.h"

#define BOOKMARK_SECONDS   60
#define TOLERATION_SECONDS 300            /* kube-apiserver's --default-unreachable-toleration-seconds */
#define SERVICE_CIDR       "10.96.0.0/16" /* kubeadm's */

static char *dup_or_null(const char *s) {
    return s ? xstrdup(s) : NULL;
}

static int check_options(const struct apiserver_options *o, struct error *err) {
    if (o->port != -2 && (!o->cert_file || !o->key_file || !o->client_ca_file))
        return error_set(err, -EINVAL, "an HTTPS port needs a certificate, its key and an authority for clients");
    return 0;
}

int apiserver_new(const struct apiserver_options *options, struct apiserver **ret, struct error *err) {
    int r = check_options(options, err);
    if (r < 0)
        return r;
    struct apiserver *api = xnew0(struct apiserver);
    api->store = options->store;
    (void) pthread_mutex_init(&api->logs_lock, NULL);
    list_init(&api->logs);
    list_init(&api->conduits);
    api->version = xasprintf("v1.32.0+podium-%s", options->version ? options->version : "dev");
    if (options->n_authenticators > 0)
        api->authenticators =
            xmemdup(options->authenticators, options->n_authenticators * sizeof(*options->authenticators));
    api->n_authenticators = options->n_authenticators;
    api->toleration_seconds = options->toleration_seconds ? options->toleration_seconds : TOLERATION_SECONDS;
    api->bookmark_seconds = options->bookmark_seconds ? options->bookmark_seconds : BOOKMARK_SECONDS;
    api->listen.address = dup_or_null(options->address);
    api->listen.cert_file = dup_or_null(options->cert_file);
    api->listen.key_file = dup_or_null(options->key_file);
    api->listen.client_ca_file = dup_or_null(options->client_ca_file);
    api->listen.unix_socket = dup_or_null(options->unix_socket);
    api->listen.tcp_fd = options->tcp_fd;
    api->listen.unix_fd = options->unix_fd;
    api->listen.port = options->port ? options->port : APISERVER_DEFAULT_PORT;
    api->listen.worker_threads = options->worker_threads;
    api->limits = options->limits;
    api->rbac = rbac_new(api->store);
    api->nodes = node_graph_new(api->store);
    api->openapi = openapi_cache_new(api->version);
    api->metrics = metrics_new();
    api->quotas = quota_ledger_new(api->store);
    r = service_pool_new(api->store, options->service_cidr ? options->service_cidr : SERVICE_CIDR, &api->services, err);
    if (r >= 0)
        r = admission_enable(options->enable_admission_plugins, &api->admission, err);
    if (r >= 0)
        r = ps_settings_new(&options->pod_security, &api->pod_security, err);
    if (r >= 0 && options->account_key_file)
        r = account_tokens_new(api->store, options->account_key_file, options->account_issuer, &api->accounts, err);
    if (r >= 0)
        r = bootstrap_objects(api, err);
    if (r >= 0)
        r = audit_new(&options->audit, &api->audit, err);
    if (r < 0) {
        apiserver_free(api);
        return r;
    }
    *ret = api;
    return 0;
}

int apiserver_start(struct apiserver *api, struct error *err) {
    return http_server_start(api, &api->http, err);
}

int apiserver_port(const struct apiserver *api) {
    return http_server_port(api->http);
}

int apiserver_reload_certificates(struct apiserver *api, struct error *err) {
    return api->http ? http_server_reload(api->http, err) : 0;
}

int apiserver_set_node_ops(struct apiserver *api, sd_event *loop, const struct node_ops *ops, void *carrier,
                           struct error *err) {
    int r = loop_queue_new(loop, &api->node_queue, err);
    if (r < 0)
        return r;
    api->node_loop = sd_event_ref(loop);
    api->node_ops = ops;
    api->node_carrier = carrier;
    return 0;
}

void apiserver_free(struct apiserver *api) {
    if (!api)
        return;
    http_server_stop(api->http);
    log_streams_finish(api);
    loop_queue_free(api->node_queue);
    (void) sd_event_unref(api->node_loop);
    (void) pthread_mutex_destroy(&api->logs_lock);
    rbac_free(api->rbac);
    node_graph_free(api->nodes);
    account_tokens_free(api->accounts);
    service_pool_free(api->services);
    ps_settings_free(api->pod_security);
    quota_ledger_free(api->quotas);
    openapi_cache_free(api->openapi);
    metrics_free(api->metrics);
    audit_free(api->audit);
    free(api->authenticators);
    free(api->version);
    free(api->listen.address);
    free(api->listen.cert_file);
    free(api->listen.key_file);
    free(api->listen.client_ca_file);
    free(api->listen.unix_socket);
    free(api);
}
