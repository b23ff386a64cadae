/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/registry.h"

#include "orchestrator/controller/certificates/controller.h"
#include "orchestrator/controller/clusterroleaggregation/controller.h"
#include "orchestrator/controller/clusterinfo/controller.h"
#include "orchestrator/controller/clusterservices/controller.h"
#include "orchestrator/controller/controller.h"
#include "orchestrator/controller/deployment/controller.h"
#include "orchestrator/controller/disruption/controller.h"
#include "orchestrator/controller/endpoints/controller.h"
#include "orchestrator/controller/endpointslice/controller.h"
#include "orchestrator/controller/eventttl/controller.h"
#include "orchestrator/controller/garbage/controller.h"
#include "orchestrator/controller/namespace/controller.h"
#include "orchestrator/controller/nodelifecycle/controller.h"
#include "orchestrator/controller/podgc/controller.h"
#include "orchestrator/controller/replicaset/controller.h"
#include "orchestrator/controller/resourcequota/controller.h"
#include "orchestrator/controller/serviceaccount/controller.h"
#include "orchestrator/controller/slicemirroring/controller.h"
#include "orchestrator/controller/storageprotection/controller.h"
#include "orchestrator/controller/tokencleaner/controller.h"
#include "orchestrator/controller/tokensecret/controller.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

/* Told of changes in this order: slices, which nodes wait for, before v1 Endpoints, which are big and for old clients.
 */
static const struct controller_ops *const registry[] = {
    &namespace_controller,
    &serviceaccount_controller,
    &replicaset_controller,
    &replication_controller,
    &deployment_controller,
    &node_lifecycle_controller,
    &podgc_controller,
    &garbage_controller,
    &endpointslice_controller,
    &endpoints_controller,
    &cluster_services_controller,
    &slicemirroring_controller,
    &disruption_controller,
    &tokensecret_controller,
    &event_ttl_controller,
    &certificate_controller,
    &certificate_cleaner_controller,
    &resource_quota_controller,
    &storage_protection_controller,
    &cluster_role_aggregation_controller,
    &cluster_info_controller,
    &token_cleaner_controller,
};

struct controllers {
    struct controller_env env;
    char *ca_pem, *api_address, *api_service_address, *dns_service_address;
    void *handles[ARRAY_LEN(registry)];
};

static void fill_defaults(struct controller_options *o) {
    if (o->node_monitor_grace == 0)
        o->node_monitor_grace = 40 * USEC_PER_SEC;
    if (o->pod_eviction_timeout == 0)
        o->pod_eviction_timeout = 300 * USEC_PER_SEC;
    if (o->terminated_pods_max == 0)
        o->terminated_pods_max = 12500;
    if (o->event_ttl == 0)
        o->event_ttl = 3600 * USEC_PER_SEC;
}

static char *copy(const char *s) {
    return s ? xstrdup(s) : NULL;
}

int controllers_start(sd_event *loop, struct client *client, struct informer_set *informers,
                      const struct controller_options *options, struct controllers **ret, struct error *err) {
    _cleanup_(controllers_freep) struct controllers *c = xnew0(struct controllers);
    c->env = (struct controller_env){.loop = loop, .client = client, .informers = informers, .options = *options};
    fill_defaults(&c->env.options);
    c->env.options.ca_pem = c->ca_pem = copy(options->ca_pem);
    c->env.options.api_address = c->api_address = copy(options->api_address);
    c->env.options.api_service_address = c->api_service_address = copy(options->api_service_address);
    c->env.options.dns_service_address = c->dns_service_address = copy(options->dns_service_address);
    for (size_t i = 0; i < ARRAY_LEN(registry); i++) {
        int r = registry[i]->start(&c->env, &c->handles[i], err);
        if (r < 0)
            return error_prefix(err, r, "cannot start the %s", registry[i]->name);
    }
    *ret = steal(&c);
    return 0;
}

void controllers_free(struct controllers *c) {
    if (!c)
        return;
    for (size_t i = ARRAY_LEN(registry); i-- > 0;)
        if (c->handles[i])
            registry[i]->free(c->handles[i]);
    free(c->ca_pem);
    free(c->api_address);
    free(c->api_service_address);
    free(c->dns_service_address);
    free(c);
}
