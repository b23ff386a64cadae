/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses, links, routes and masquerading of this node, from what the control plane tells. */
#include <string.h>

#include "orchestrator/agent/dns/node_dns.h"
#include "orchestrator/agent/model.h"
#include "orchestrator/agent/services/datapath.h"
#include "podium/base/alloc.h"
#include "podium/base/log.h"
#include "podium/base/path.h"

bool agent_network_known(const struct agent_pod *pod) {
    const char *dns = json_str_or(json_path(pod->desired, "spec", "dnsPolicy"), "");

    if (pod->agent->no_network)
        return true;
    if (pod->host_network) /* the cluster's DNS comes with the network document */
        return pod->agent->network || strcmp(dns, "ClusterFirstWithHostNet") != 0;
    return pod->agent->ipam;
}

int agent_network_address(struct agent_pod *pod, struct error *err) {
    struct agent *agent = pod->agent;

    if (pod->host_network) {
        (void) snprintf(pod->ip, sizeof(pod->ip), "%s", agent->node_address);
        return 0;
    }
    if (agent->no_network || pod->ip[0])
        return 0;
    if (!agent->ipam)
        return error_set(err, -EAGAIN, "the node has no pod range yet");
    return ipam_allocate(agent->ipam, pod->uid, pod->ip, err);
}

int agent_network_attach(struct agent_pod *pod, struct error *err) {
    struct agent *agent = pod->agent;
    char gateway[NETNS_ADDRESS_SIZE], address[NETNS_CIDR_SIZE];

    if (pod->host_network || agent->no_network)
        return 0;
    int r = agent_network_address(pod, err);
    if (r < 0)
        return r;
    ipam_gateway(agent->ipam, gateway);
    /* /32: pods of one node reach each other through the node, where answers by way of a service are translated back */
    (void) snprintf(address, sizeof(address), "%.*s/32", NETNS_ADDRESS_SIZE - 1, pod->ip);
    struct netns_attach attach = {
        .owner = pod->uid, .netns_fd = pod->netns_fd, .bridge = agent->bridge, .address = address, .gateway = gateway};
    r = datapath_pod_add(agent->datapath, pod->ip, pod->desired, err);
    if (r < 0)
        return r;
    r = netns_attach(&attach, err);
    if (r < 0)
        datapath_pod_remove(agent->datapath, pod->ip);
    return r;
}

static int set_firewall(const struct agent *agent, const struct json *network, struct error *err) {
    _cleanup_strv_ char **cidrs = strv_new();
    static const char *const members[] = {"clusterCIDR", "serviceCIDR"};

    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        if (json_str_or(json_get(network, members[i]), "")[0])
            strv_push_dup(&cidrs, json_str(json_get(network, members[i])));
    const struct netns_firewall firewall = {
        .bridge = agent->bridge, .pod_cidr = json_str_or(json_get(network, "podCIDR"), ""), .cluster_cidrs = cidrs};
    return netns_firewall_ensure(&firewall, err);
}

void agent_network_restore(void *userdata) {
    struct agent *agent = userdata;
    struct hashmap_iter it = {0};
    _cleanup_(error_clear) struct error firewall_err = ERROR_INIT;

    /* when somebody emptied the tables, masquerading went with the services */
    int f = agent->network ? set_firewall(agent, agent->network, &firewall_err) : 0;
    if (f < 0)
        log_warning("%s", error_text(&firewall_err, f));
    while (hashmap_next(agent->pods, &it)) {
        const struct agent_pod *pod = it.value;
        _cleanup_(error_clear) struct error err = ERROR_INIT;
        if (pod->host_network || !pod->ip[0] || !pod->unit_exists)
            continue;
        int r = datapath_pod_add(agent->datapath, pod->ip, pod->desired, &err);
        if (r < 0)
            log_warning("pod %s/%s: %s", pod->namespace, pod->name, error_text(&err, r));
    }
}

void agent_network_release(struct agent_pod *pod) {
    struct agent *agent = pod->agent;
    char link[NETNS_LINK_NAME_SIZE];
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    if (pod->host_network || agent->no_network)
        return;
    datapath_pod_remove(agent->datapath, pod->ip);
    netns_link_name(pod->uid, link);
    int r = netns_detach(link, &err);
    if (r == 0 && agent->ipam)
        r = ipam_release(agent->ipam, pod->uid, &err);
    if (r < 0)
        log_warning("pod %s/%s: cannot give back its network: %s", pod->namespace, pod->name, error_text(&err, r));
}

static int set_routes(const struct json *peers, struct error *err) {
    size_t n = json_len(peers), used = 0;
    _cleanup_free_ struct netns_route *routes = xcalloc(n + 1, sizeof(*routes));

    for (size_t i = 0; i < n; i++) {
        const char *cidr = json_str_or(json_get(json_at(peers, i), "podCIDR"), "");
        const char *via = json_str_or(json_get(json_at(peers, i), "address"), "");
        if (!*cidr || !*via)
            continue;
        (void) snprintf(routes[used].cidr, sizeof(routes[used].cidr), "%s", cidr);
        (void) snprintf(routes[used].via, sizeof(routes[used].via), "%s", via);
        used++;
    }
    return netns_route_sync(routes, used, err);
}

static int open_pool(struct agent *agent, const char *cidr, struct error *err) {
    _cleanup_free_ char *dir = path_join(agent->state_dir, "ipam");
    char gateway[NETNS_ADDRESS_SIZE], address[NETNS_CIDR_SIZE];

    if (!agent->ipam || strcmp(json_str_or(json_get(agent->network, "podCIDR"), ""), cidr) != 0) {
        ipam_close(agent->ipam);
        int r = mkdir_parents(dir, 0700, err);
        if (r < 0)
            return r;
        agent->ipam = ipam_open(dir, cidr, err);
        if (!agent->ipam)
            return err && err->code < 0 ? err->code : -EINVAL;
    }
    ipam_gateway(agent->ipam, gateway);
    (void) snprintf(address, sizeof(address), "%.*s/%u", NETNS_ADDRESS_SIZE - 1, gateway,
                    ipam_prefix_length(agent->ipam));
    return netns_bridge_ensure(agent->bridge, address, 0, err);
}

int agent_set_network(struct agent *agent, const struct json *network, struct error *err) {
    const char *cidr = json_str_or(json_get(network, "podCIDR"), "");
    int r = 0;

    if (!agent->no_network) {
        if (!*cidr)
            return error_set(err, -EINVAL, "podCIDR: missing");
        r = netns_forwarding_enable(err);
        if (r == 0)
            r = open_pool(agent, cidr, err);
        if (r == 0)
            r = set_routes(json_get(network, "peers"), err);
        if (r == 0)
            r = set_firewall(agent, network, err);
        if (r < 0)
            return r;
        node_dns_set(agent->dns, network);
        datapath_set_network(agent->datapath, network);
    }
    json_unref(agent->network);
    agent->network = json_ref(network);
    records_pods_changed(agent->records);
    if (agent->synced)
        agent_retain(agent);
    agent_mark_all(agent);
    agent_node_changed(agent);
    return 0;
}

static struct json *peer_of(const struct json *changes, size_t i) {
    struct json *peer = json_object();

    json_set(&peer, "podCIDR", json_string(json_key_at(changes, i)));
    json_set(&peer, "address", json_ref(json_value_at(changes, i)));
    return peer;
}

struct json *network_peers_changed(const struct json *network, const struct json *changes) {
    const struct json *old = json_get(network, "peers");
    const char *own = json_str_or(json_get(network, "podCIDR"), "");
    struct json *peers = json_array(), *changed = json_ref(network);

    for (size_t i = 0; i < json_len(old); i++)
        if (!json_get(changes, json_str_or(json_get(json_at(old, i), "podCIDR"), "")))
            json_append(&peers, json_ref(json_at(old, i)));
    for (size_t i = 0; i < json_len(changes); i++)
        if (json_is_string(json_value_at(changes, i)) && strcmp(json_key_at(changes, i), own) != 0)
            json_append(&peers, peer_of(changes, i));
    json_set(&changed, "peers", peers);
    return changed;
}

int agent_update_peers(struct agent *agent, const struct json *changes, struct error *err) {
    if (!agent->network)
        return error_set(err, -ENOENT, "there is no network yet whose peers could change");
    struct json *network = network_peers_changed(agent->network, changes);
    int r = agent->no_network ? 0 : set_routes(json_get(network, "peers"), err);
    if (r < 0) {
        json_unref(network);
        return r;
    }
    json_unref(agent->network);
    agent->network = network;
    records_pods_changed(agent->records);
    return 0;
}
