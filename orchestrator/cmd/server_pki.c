/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/cmd/server_pki.h"

#include <string.h>
#include <sys/epoll.h>

#include "orchestrator/cmd/service_range.h"
#include "orchestrator/local/kubeconfig.h"
#include "orchestrator/pki/pki.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/log.h"
#include "podium/base/path.h"
#include "podium/netns.h"

#define ADMIN_LIFETIME_SEC (7ull * 24 * 3600)
#define SERVER_NAME        "server"
#define RENEW_AGAIN_USEC   (5 * USEC_PER_SEC) /* while it is due and was not done */

struct server_pki {
    sd_event *loop;
    sd_event_source *timer, *clock;
    uint64_t lifetime_sec;
    char *dir, *ca, *cert, *key, *account_key;
    char *kubeconfig, *url; /* the administrator's */
    char **dns, **ips;
    void (*renewed)(void *userdata);
    void *userdata;
};

static void collect_names(struct server_pki *p, const struct server_options *o) {
    static const char *const names[] = {"localhost",
                                        "podium",
                                        "kubernetes",
                                        "kubernetes.default",
                                        "kubernetes.default.svc",
                                        "kubernetes.default.svc.cluster.local"};
    char host[256] = "", address[NETNS_ADDRESS_SIZE];

    p->dns = strv_new();
    p->ips = strv_new();
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        strv_push_dup(&p->dns, names[i]);
    if (gethostname(host, sizeof(host) - 1) == 0 && *host)
        strv_push_dup(&p->dns, host);
    strv_push_dup(&p->ips, "127.0.0.1");
    strv_push_dup(&p->ips, "::1");
    if (o->advertise_address)
        strv_push_dup(&p->ips, o->advertise_address);
    else if (netns_source_address(NULL, address, NULL) >= 0)
        strv_push_dup(&p->ips, address);
    char *service = service_range_address(o->service_cidr, SERVICE_RANGE_API);
    if (service)
        strv_push(&p->ips, service);
}

char *server_pki_advertised(const struct server_options *o) {
    char address[NETNS_ADDRESS_SIZE];

    if (o->advertise_address)
        return xstrdup(o->advertise_address);
    return xstrdup(netns_source_address(NULL, address, NULL) < 0 ? "127.0.0.1" : address);
}

static char *api_url(const struct server_options *o) {
    _cleanup_free_ char *address = server_pki_advertised(o);
    bool v6 = strchr(address, ':') != NULL;
    return xasprintf("https://%s%s%s:%d", v6 ? "[" : "", address, v6 ? "]" : "", o->port);
}

static int ensure(struct server_pki *p, struct error *err) {
    const struct pki_request request = {.common_name = "podium-server",
                                        .dns_names = p->dns,
                                        .ip_addresses = p->ips,
                                        .server = true,
                                        .lifetime_sec = p->lifetime_sec};

    return pki_ensure(p->dir, p->dir, SERVER_NAME, &request, err);
}

/* For `podium kubeconfig` on this host; written anew with every renewal, so its certificate can be short-lived, too. */
static int write_kubeconfig(const struct server_pki *p, struct error *err) {
    return kubeconfig_write(p->kubeconfig, p->dir, "podium", p->url, ADMIN_LIFETIME_SEC, err);
}

static int arm(struct server_pki *p, struct error *err);

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata) {
    struct server_pki *p = userdata;
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    int r = ensure(p, &err);
    if (r < 0)
        log_errno(r, "cannot renew the server's certificate: %s", error_text(&err, r));
    else if (r == 1)
        p->renewed(p->userdata);
    if (r >= 0 && (r = write_kubeconfig(p, &err)) < 0)
        log_errno(r, "cannot renew the administrator's kubeconfig: %s", error_text(&err, r));
    (void) arm(p, NULL);
    return 0;
}

/* Somebody set the clock: what is due by the new one is done now, before anybody connects. */
static int on_clock(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
    return clock_jump_seen(fd) ? on_timer(NULL, 0, userdata) : 0;
}

static void watch_clock(struct server_pki *p) {
    int fd = clock_jump_fd();

    if (fd >= 0 && sd_event_add_io(p->loop, &p->clock, fd, EPOLLIN, on_clock, p) >= 0)
        (void) sd_event_source_set_io_fd_own(p->clock, 1);
}

/* For what is due next: the server's certificate, or the administrator's when that lives shorter. */
static int arm(struct server_pki *p, struct error *err) {
    uint64_t usec = pki_renew_in_sec(p->cert) * USEC_PER_SEC, admin = ADMIN_LIFETIME_SEC / 2 * USEC_PER_SEC;

    if (usec > admin)
        usec = admin;
    sd_event_source_disable_unref(p->timer);
    p->timer = NULL;
    int r = sd_event_add_time_relative(p->loop, &p->timer, CLOCK_MONOTONIC, usec ? usec : RENEW_AGAIN_USEC, usec / 10,
                                       on_timer, p);
    return r < 0 ? error_set_errno(err, r, "cannot set a timer") : 0;
}

int server_pki_new(sd_event *loop, const struct server_options *o, void (*renewed)(void *userdata), void *userdata,
                   struct server_pki **ret, struct error *err) {
    struct server_pki *p = xnew0(struct server_pki);

    p->loop = loop;
    p->renewed = renewed;
    p->userdata = userdata;
    p->lifetime_sec = o->certificate_sec;
    p->dir = path_join(o->data_dir, "pki");
    p->ca = path_join(p->dir, "ca.crt");
    p->cert = path_join(p->dir, SERVER_NAME ".crt");
    p->key = path_join(p->dir, SERVER_NAME ".key");
    p->account_key = path_join(p->dir, "service-accounts.key");
    collect_names(p, o);
    p->kubeconfig = path_join(o->data_dir, "admin.kubeconfig");
    p->url = api_url(o);
    int r = pki_ca_ensure(p->dir, "podium-ca", err);
    if (r >= 0)
        r = ensure(p, err);
    if (r >= 0)
        r = pki_signing_key_ensure(p->account_key, err);
    if (r >= 0)
        r = write_kubeconfig(p, err);
    if (r >= 0)
        r = arm(p, err);
    watch_clock(p);
    if (r < 0) {
        server_pki_free(p);
        return r;
    }
    *ret = p;
    return 0;
}

void server_pki_free(struct server_pki *p) {
    if (!p)
        return;
    sd_event_source_disable_unref(p->timer);
    sd_event_source_disable_unref(p->clock);
    free(p->dir);
    free(p->ca);
    free(p->cert);
    free(p->key);
    free(p->account_key);
    free(p->kubeconfig);
    free(p->url);
    strv_free(p->dns);
    strv_free(p->ips);
    free(p);
}

const char *server_pki_dir(const struct server_pki *p) {
    return p->dir;
}

const char *server_pki_ca(const struct server_pki *p) {
    return p->ca;
}

const char *server_pki_cert(const struct server_pki *p) {
    return p->cert;
}

const char *server_pki_key(const struct server_pki *p) {
    return p->key;
}

const char *server_pki_account_key(const struct server_pki *p) {
    return p->account_key;
}
