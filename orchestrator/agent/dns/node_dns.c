/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/dns/node_dns.h"

#include <arpa/inet.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "orchestrator/agent/dns/zone.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"
#include "podium/base/log.h"
#include "podium/base/path.h"

#define FILE_BYTES_MAX 65536
#define RETRY_USEC     (5 * USEC_PER_SEC)

static const char *const socket_names[] = {"dns-udp", "dns-tcp"};

struct node_dns {
    sd_event *loop;
    char *bridge, *path, *cluster_domain;
    char *domain;          /* what zone.domain points to */
    struct json *document; /* part_of() the one in use; NULL: none */
    struct cluster_zone zone;
    struct dns_server *server;
    sd_event_source *retry;
    bool stored;                        /* systemd has its sockets */
    char untracked[NETNS_ADDRESS_SIZE]; /* "": none, as far as is known */
    bool complained;
};

/* --- the document --- */

/* The first IPv4 server; "" for none. */
static const char *address_of(const struct json *network) {
    const struct json *servers = json_path(network, "dns", "servers");
    struct in_addr in;

    for (size_t i = 0; i < json_len(servers); i++) {
        const char *s = json_str_or(json_at(servers, i), "");
        if (inet_pton(AF_INET, s, &in) == 1)
            return s;
    }
    return "";
}

static char *domain_of(const struct node_dns *dns, const struct json *network) {
    char *domain = xstrdup(json_str_or(json_path(network, "dns", "domain"), dns->cluster_domain));
    size_t n = strlen(domain);

    if (n > 0 && domain[n - 1] == '.')
        domain[n - 1] = 0;
    for (char *p = domain; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char) (*p + ('a' - 'A'));
    return domain;
}

static void take_zone(struct node_dns *dns, const struct json *network) {
    static const char *const members[] = {"serviceCIDR", "clusterCIDR", "podCIDR"};

    free(dns->domain);
    dns->zone.domain = dns->domain = domain_of(dns, network);
    dns->zone.n_ranges = 0;
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        (void) zone_add_range(&dns->zone, json_str_or(json_get(network, members[i]), ""));
}

/* What of the document matters here. */
static struct json *part_of(const struct json *network) {
    static const char *const members[] = {"dns", "serviceCIDR", "clusterCIDR", "podCIDR"};
    struct json *doc = json_object();

    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        if (json_get(network, members[i]))
            json_set(&doc, members[i], json_ref(json_get(network, members[i])));
    return doc;
}

static void save(const struct node_dns *dns) {
    _cleanup_free_ char *text = json_to_text(dns->document);
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    int r = file_write_atomic(dns->path, text, strlen(text), 0600, false, &err);
    if (r < 0)
        log_warning("%s", error_text(&err, r));
}

/* --- sockets that outlive the agent --- */

/* systemd keeps them while the agent starts again: queries wait for the new one instead of being refused. Without
 * systemd (tests) nothing is kept. */
static void store_sockets(const struct dns_server *server) {
    int fds[2];

    dns_server_sockets(server, fds);
    for (int i = 0; i < 2; i++) {
        _cleanup_free_ char *message = xasprintf("FDSTORE=1\nFDNAME=%s", socket_names[i]);
        (void) sd_pid_notify_with_fds(0, 0, message, &fds[i], 1);
    }
}

static void forget_sockets(void) {
    for (int i = 0; i < 2; i++)
        (void) sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", socket_names[i]);
}

/* Those of an earlier agent; false when there are not both. */
static bool stored_sockets(int ret[2]) {
    _cleanup_strv_ char **names = NULL;
    int n = sd_listen_fds_with_names(0, &names);

    ret[0] = ret[1] = -EBADF;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < 2; k++)
            if (strcmp(names[i], socket_names[k]) == 0) {
                closep(&ret[k]); /* the last stored is the one in use */
                ret[k] = SD_LISTEN_FDS_START + i;
            }
    if (ret[0] >= 0 && ret[1] >= 0)
        return true;
    closep(&ret[0]);
    closep(&ret[1]);
    return false;
}

/* --- serving --- */

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata);

/* Names are found without it, too. */
static void leave_untracked(struct node_dns *dns, const char *address) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    if (strcmp(dns->untracked, address) == 0)
        return;
    int r = netns_dns_untracked(address, &err);
    if (r < 0)
        log_warning("%s", error_text(&err, r));
    (void) snprintf(dns->untracked, sizeof(dns->untracked), "%s", address);
}

/* take_sockets: NULL but at the start. */
static void serve(struct node_dns *dns, const int *take_sockets) {
    const struct dns_server_options options = {
        .address = dns->zone.server, .zone = {zone_lookup, &dns->zone}, .take_sockets = take_sockets};
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    /* the bridge may not be there yet when an agent starts on what the last one left: with the document it comes */
    int r = dns->server ? 0 : dns_server_new(dns->loop, &options, &dns->server, &err);
    if (r >= 0 && !dns->stored) {
        store_sockets(dns->server);
        dns->stored = true;
    }
    if (r >= 0)
        r = netns_host_address_ensure(dns->bridge, dns->zone.server, &err);
    if (r >= 0) {
        dns->complained = false;
        leave_untracked(dns, dns->zone.server);
        return;
    }
    if (!dns->complained)
        log_error("no DNS on this node: %s", error_text(&err, r));
    dns->complained = true;
    if (!dns->retry)
        (void) sd_event_add_time_relative(dns->loop, &dns->retry, CLOCK_MONOTONIC, RETRY_USEC, 0, on_retry, dns);
    else if (sd_event_source_set_time_relative(dns->retry, RETRY_USEC) >= 0)
        (void) sd_event_source_set_enabled(dns->retry, SD_EVENT_ONESHOT);
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata) {
    struct node_dns *dns = userdata;

    if (dns->zone.server[0])
        serve(dns, NULL);
    return 0;
}

static void set_address(struct node_dns *dns, const char *address) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    if (strcmp(dns->zone.server, address) == 0)
        return;
    if (dns->stored)
        forget_sockets();
    dns->stored = false;
    dns_server_free(steal(&dns->server));
    int r = dns->zone.server[0] ? netns_host_address_remove(dns->bridge, dns->zone.server, &err) : 0;
    if (r < 0)
        log_warning("%s", error_text(&err, r));
    leave_untracked(dns, "");
    (void) snprintf(dns->zone.server, sizeof(dns->zone.server), "%s", address);
}

static void take(struct node_dns *dns, struct json *take_document, const int *take_sockets) {
    json_unref(dns->document);
    dns->document = take_document;
    take_zone(dns, take_document);
    set_address(dns, address_of(take_document));
    if (dns->zone.server[0])
        serve(dns, take_sockets);
}

void node_dns_set(struct node_dns *dns, const struct json *network) {
    struct json *document = part_of(network);
    bool same = json_equal(document, dns->document);

    take(dns, document, NULL);
    if (!same)
        save(dns);
}

struct node_dns *node_dns_new(sd_event *loop, const struct service_table *table, const char *bridge,
                              const char *run_dir, const char *cluster_domain) {
    struct node_dns *dns = xnew0(struct node_dns);
    _cleanup_json_ struct json *doc = NULL;
    int sockets[2];

    dns->loop = sd_event_ref(loop);
    dns->bridge = xstrdup(bridge);
    dns->path = path_join(run_dir, "dns.json");
    dns->cluster_domain = xstrdup(cluster_domain);
    dns->zone.table = table;
    bool kept = stored_sockets(sockets);
    if (json_parse_file(dns->path, FILE_BYTES_MAX, &doc, NULL) >= 0 && address_of(doc)[0]) {
        take(dns, steal(&doc), kept ? sockets : NULL);
    } else if (kept) {
        closep(&sockets[0]);
        closep(&sockets[1]);
        forget_sockets();
    }
    return dns;
}

void node_dns_free(struct node_dns *dns) {
    if (!dns)
        return;
    dns_server_free(dns->server);
    json_unref(dns->document);
    sd_event_source_disable_unref(dns->retry);
    sd_event_unref(dns->loop);
    free(dns->bridge);
    free(dns->path);
    free(dns->cluster_domain);
    free(dns->domain);
    free(dns);
}
