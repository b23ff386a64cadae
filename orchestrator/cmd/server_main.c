/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `podium server`: the control plane, wired. The only place that knows which parts there are. */
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>

#include "orchestrator/apiserver/apiserver.h"
#include "orchestrator/apiserver/local_client.h"
#include "orchestrator/client/informer.h"
#include "orchestrator/cmd/activation.h"
#include "orchestrator/cmd/manifest_applier.h"
#include "orchestrator/cmd/node_streams.h"
#include "orchestrator/cmd/server_options.h"
#include "orchestrator/cmd/server_pki.h"
#include "orchestrator/cmd/service_range.h"
#include "orchestrator/cmd/signing_authority.h"
#include "orchestrator/cmd/verbs.h"
#include "orchestrator/controller/registry.h"
#include "orchestrator/link/server.h"
#include "orchestrator/scheduler/scheduler.h"
#include "orchestrator/store/store.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"
#include "podium/base/log.h"
#include "podium/base/path.h"
#include "podium/base/slice.h"

struct server_process {
    struct server_options options;
    struct activation sockets;
    sd_event *loop;
    struct server_pki *pki;
    struct store *store;
    struct apiserver *api;
    /* Each part is a user of its own, with the roles of manifests/bootstrap/. */
    struct client *for_controllers, *for_scheduler, *for_link, *for_manifests;
    struct informer_set *informers;
    struct certificate_authority authority;
    struct controllers *controllers;
    struct scheduler *scheduler;
    struct node_streams streams;
    struct link_server *link;
    struct manifest_applier *manifests;
    char *token;
};

static int start_loop(struct server_process *p, struct error *err) {
    int r = sd_event_default(&p->loop);

    if (r < 0)
        return error_set_errno(err, r, "cannot make an event loop");
    (void) sd_event_add_signal(p->loop, NULL, SIGTERM | SD_EVENT_SIGNAL_PROCMASK, NULL, NULL);
    (void) sd_event_add_signal(p->loop, NULL, SIGINT | SD_EVENT_SIGNAL_PROCMASK, NULL, NULL);
    (void) signal(SIGPIPE, SIG_IGN);
    (void) sd_event_set_watchdog(p->loop, 1);
    p->streams.loop = p->loop;
    return 0;
}

static int start_store(struct server_process *p, struct error *err) {
    _cleanup_free_ char *path = path_join(p->options.data_dir, "store");
    _cleanup_free_ char *key = path_join(server_pki_dir(p->pki), "store.key");
    const struct store_options o = {.path = path, .no_sync = p->options.no_sync, .key_file = key};

    return store_open_lmdb(&o, &p->store, err);
}

static int make_socket_dir(const char *socket, struct error *err) {
    _cleanup_free_ char *dir = xstrndup(socket, (size_t) (strrchr(socket, '/') ? strrchr(socket, '/') - socket : 0));

    return *dir ? mkdir_parents(dir, 0755, err) : 0;
}

static int make_clients(struct server_process *p, struct error *err) {
    const struct {
        const char *user;
        struct client **slot;
    } parts[] = {
        {"system:kube-controller-manager", &p->for_controllers}, /* also what all share: the informers */
        {"system:kube-scheduler", &p->for_scheduler},
        {"system:podium-link", &p->for_link},
        {"system:podium-manifests", &p->for_manifests},
    };

    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        int r = local_client_new(p->loop, p->api, parts[i].user, NULL, parts[i].slot, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int start_api(struct server_process *p, struct error *err) {
    const struct apiserver_options o = {
        .store = p->store,
        .address = p->options.bind_address,
        .port = p->options.port,
        .cert_file = server_pki_cert(p->pki),
        .key_file = server_pki_key(p->pki),
        .client_ca_file = server_pki_ca(p->pki),
        .unix_socket = p->options.socket,
        .tcp_fd = p->sockets.api,
        .unix_fd = p->sockets.api_unix,
        .account_key_file = server_pki_account_key(p->pki),
        .service_cidr = p->options.service_cidr,
        .pod_security = p->options.pod_security,
        .enable_admission_plugins = p->options.enable_admission_plugins,
        .version = PODIUM_VERSION,
        .worker_threads = p->options.workers,
        .toleration_seconds = p->options.eviction_seconds,
        .limits = {.reading_max = p->options.reading_max,
                   .mutating_max = p->options.mutating_max,
                   .per_address = p->options.per_address_max},
        .audit = {.log = p->options.audit_log,
                  .policy_file = p->options.audit_policy,
                  .bytes_max = (uint64_t) p->options.audit_mib << 20,
                  .age_max_sec = (uint64_t) p->options.audit_days * 86400,
                  .backups_max = p->options.audit_backups,
                  .blocking = p->options.audit_blocking},
    };
    int r = make_socket_dir(p->options.socket, err);
    if (r == 0)
        r = apiserver_new(&o, &p->api, err);
    if (r == 0)
        r = apiserver_set_node_ops(p->api, p->loop, &node_streams_ops, &p->streams, err);
    return r == 0 ? make_clients(p, err) : r;
}

static int read_token(struct server_process *p, struct error *err) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    if (!p->options.token_file)
        return 0;
    int r = file_read(p->options.token_file, 4096, &text, err);
    if (r < 0)
        return r;
    if (text.len)
        text.data[strcspn(text.data, "\r\n")] = 0;
    if (!text.len || !*text.data) /* an empty token would let everybody in */
        return error_set(err, -EINVAL, "%s holds no token", p->options.token_file);
    p->token = xstrdup(text.data);
    return 0;
}

static int start_link(struct server_process *p, struct error *err) {
    _cleanup_free_ char *dns = service_range_address(p->options.service_cidr, SERVICE_RANGE_DNS);
    const struct link_server_options o = {
        .address = p->options.bind_address ? p->options.bind_address : "0.0.0.0",
        .port = p->options.link_port,
        .unix_socket = p->options.link_socket,
        .tcp_fd = p->sockets.link,
        .unix_fd = p->sockets.link_unix,
        .ca_dir = server_pki_dir(p->pki),
        .cert_file = server_pki_cert(p->pki),
        .key_file = server_pki_key(p->pki),
        .token = p->token,
        .cluster_cidr = p->options.cluster_cidr,
        .service_cidr = p->options.service_cidr,
        .dns_address = dns,
        .heartbeat_usec = p->options.heartbeat_usec,
        .certificate_sec = p->options.certificate_sec,
        .lease_seconds = (unsigned) (p->options.node_grace_usec / USEC_PER_SEC),
    };

    int r = make_socket_dir(p->options.link_socket, err);
    if (r == 0)
        r = link_server_new(p->loop, p->for_link, p->informers, &o, &p->link, err);
    p->streams.link = p->link;
    return r;
}

static int start_loops_of_control(struct server_process *p, struct error *err) {
    _cleanup_strbuf_ struct strbuf ca = STRBUF_INIT;
    _cleanup_free_ char *api = service_range_address(p->options.service_cidr, SERVICE_RANGE_API);
    _cleanup_free_ char *dns = service_range_address(p->options.service_cidr, SERVICE_RANGE_DNS);
    _cleanup_free_ char *advertised = server_pki_advertised(&p->options);
    const struct scheduler_options scheduler = {0};

    int r = file_read(server_pki_ca(p->pki), 1u << 20, &ca, err);
    if (r < 0)
        return r;
    p->authority = signing_authority(server_pki_dir(p->pki));
    const struct controller_options controllers = {
        .node_monitor_grace = p->options.node_grace_usec,
        .event_ttl = p->options.event_ttl_sec * USEC_PER_SEC,
        .pod_eviction_timeout = p->options.eviction_seconds ? p->options.eviction_seconds * USEC_PER_SEC : 1,
        .ca_pem = ca.data,
        .api_address = advertised,
        .api_port = p->options.port,
        .api_service_address = api,
        .dns_service_address = dns,
        .authority = &p->authority,
    };
    p->informers = informer_set_new(p->loop, p->for_controllers);
    r = controllers_start(p->loop, p->for_controllers, p->informers, &controllers, &p->controllers, err);
    if (r == 0)
        r = scheduler_new(p->loop, p->for_scheduler, p->informers, &scheduler, &p->scheduler, err);
    return r;
}

static void on_renewed(void *userdata) {
    struct server_process *p = userdata;
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    int r = apiserver_reload_certificates(p->api, &err);
    if (r >= 0 && p->link)
        r = link_server_reload_certificates(p->link, &err);
    if (r < 0)
        log_errno(r, "cannot use the renewed certificate: %s", error_text(&err, r));
}

/* Each watch holds two descriptors. select(2), the reason for the low soft limit, is used nowhere. */
static void raise_descriptor_limit(void) {
    struct rlimit l;

    if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur >= l.rlim_max)
        return;
    l.rlim_cur = l.rlim_max;
    (void) setrlimit(RLIMIT_NOFILE, &l);
}

static int start(struct server_process *p, struct error *err) {
    int r = start_loop(p, err);

    activation_take(&p->options, &p->sockets);

    raise_descriptor_limit();
    slice_shorten(); /* before the first thread is started */

    if (r == 0)
        r = mkdir_parents(p->options.data_dir, 0755, err);
    if (r == 0)
        r = server_pki_new(p->loop, &p->options, on_renewed, p, &p->pki, err);
    if (r == 0)
        r = start_store(p, err);
    if (r == 0)
        r = start_api(p, err);
    if (r == 0)
        r = start_loops_of_control(p, err);
    if (r == 0)
        r = read_token(p, err);
    if (r == 0)
        r = start_link(p, err);
    if (r == 0 && p->options.manifests)
        r = manifest_applier_new(p->loop, p->for_manifests, p->informers, p->options.manifests, &p->manifests, err);
    if (r == 0)
        r = apiserver_start(p->api, err);
    return r;
}

static void client_drop(struct client *c) {
    if (c)
        client_free(c);
}

/* In the opposite order of the start: who uses something goes before it. */
static void finish(struct server_process *p) {
    manifest_applier_free(p->manifests);
    link_server_free(p->link);
    p->streams.link = NULL;
    scheduler_free(p->scheduler);
    controllers_free(p->controllers);
    informer_set_free(p->informers);
    client_drop(p->for_manifests);
    client_drop(p->for_link);
    client_drop(p->for_scheduler);
    client_drop(p->for_controllers);
    apiserver_free(p->api);
    if (p->store)
        store_close(p->store);
    server_pki_free(p->pki);
    sd_event_unref(p->loop);
    free(p->token);
    strv_free(p->options.words);
}

int server_main(int argc, char **argv) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct server_process p = {0};

    int r = server_options_parse(argc, argv, &p.options);
    if (r != 0) {
        strv_free(p.options.words);
        return r - 1;
    }
    r = start(&p, &err);
    if (r < 0) {
        log_errno(r, "podium server: %s", error_text(&err, r));
    } else {
        log_info("podium server " PODIUM_VERSION " serves the API on port %d", apiserver_port(p.api));
        (void) sd_notify(0, "READY=1\nSTATUS=Serving.");
        r = sd_event_loop(p.loop);
        (void) sd_notify(0, "STOPPING=1");
    }
    finish(&p);
    return r < 0 ? 1 : 0;
}
