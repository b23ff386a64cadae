/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/pod_files.h"

#include <string.h>
#include <unistd.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"

#define HOSTNAME_MAX    63
#define UTS_NAME_MAX    64 /* what the kernel takes */
#define HOSTS_BYTES_MAX (1024u * 1024u)

static bool uses_host_network(const struct json *pod) {
    return json_bool_or(json_path(pod, "spec", "hostNetwork"), false);
}

char *pod_hostname(const struct json *pod) {
    const char *name = json_str_or(json_path(pod, "spec", "hostname"), "");

    if (uses_host_network(pod))
        return xstrdup("");
    if (!*name)
        name = pod_meta(pod, "name");
    size_t n = strlen(name) > HOSTNAME_MAX ? HOSTNAME_MAX : strlen(name);
    while (n > 0 && (name[n - 1] == '-' || name[n - 1] == '.'))
        n--;
    return xstrndup(name, n);
}

int pod_uts_name(const struct json *pod, const char *cluster_domain, char **ret, struct error *err) {
    const char *subdomain = json_str_or(json_path(pod, "spec", "subdomain"), "");
    char *name = pod_hostname(pod);

    if (*name && *subdomain && json_bool_or(json_path(pod, "spec", "setHostnameAsFQDN"), false)) {
        _cleanup_free_ char *host = name;
        name = xasprintf("%s.%s.%s.svc.%s", host, subdomain, pod_meta(pod, "namespace"), cluster_domain);
    }
    size_t n = strlen(name);
    if (n > UTS_NAME_MAX) {
        _cleanup_free_ char *too_long = name;
        return error_set(err, -EINVAL,
                         "Failed to construct FQDN from Pod hostname and cluster domain, FQDN %s is too long (%d "
                         "characters is the max, %zu characters requested)",
                         too_long, UTS_NAME_MAX, n);
    }
    *ret = name;
    return 0;
}

static void add_aliases(const struct json *aliases, struct strbuf *out) {
    if (json_len(aliases) > 0)
        strbuf_adds(out, "\n# Entries added by HostAliases.\n");
    for (size_t i = 0; i < json_len(aliases); i++) {
        const struct json *names = json_get(json_at(aliases, i), "hostnames");
        strbuf_adds(out, json_str_or(json_get(json_at(aliases, i), "ip"), ""));
        for (size_t k = 0; k < json_len(names); k++)
            strbuf_addf(out, "\t%s", json_str_or(json_at(names, k), ""));
        strbuf_addc(out, '\n');
    }
}

void pod_hosts_text(const struct pod_context *ctx, const char *cluster_domain, struct strbuf *out) {
    const char *subdomain = json_str_or(json_path(ctx->pod, "spec", "subdomain"), "");
    _cleanup_free_ char *hostname = pod_hostname(ctx->pod);

    if (uses_host_network(ctx->pod)) {
        strbuf_adds(out, "# Kubernetes-managed hosts file (host network).\n");
        if (file_read("/etc/hosts", HOSTS_BYTES_MAX, out, NULL) < 0)
            strbuf_adds(out, "127.0.0.1\tlocalhost\n");
    } else {
        strbuf_adds(out, "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost "
                         "ip6-loopback\nfe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\n"
                         "fe00::2\tip6-allrouters\n");
        if (*ctx->pod_ip && *subdomain)
            strbuf_addf(out, "%s\t%s.%s.%s.svc.%s\t%s\n", ctx->pod_ip, hostname, subdomain,
                        pod_meta(ctx->pod, "namespace"), cluster_domain, hostname);
        else if (*ctx->pod_ip)
            strbuf_addf(out, "%s\t%s\n", ctx->pod_ip, hostname);
    }
    add_aliases(json_path(ctx->pod, "spec", "hostAliases"), out);
}

/* --- resolv.conf --- */

/* The node's own, or what systemd-resolved knows of when that says only to ask it. */
static void read_host_resolver(struct strbuf *out) {
    struct strbuf behind = STRBUF_INIT;

    if (file_read("/etc/resolv.conf", HOSTS_BYTES_MAX, out, NULL) < 0)
        strbuf_reset(out);
    if (resolver_is_local_stub(strbuf_str(out)) &&
        file_read("/run/systemd/resolve/resolv.conf", HOSTS_BYTES_MAX, &behind, NULL) >= 0) {
        strbuf_reset(out);
        strbuf_adds(out, strbuf_str(&behind));
    }
    strbuf_finish(&behind);
}

static int write_text(const struct pod_context *ctx, const char *dir, const char *name, const struct strbuf *text,
                      struct error *err) {
    _cleanup_free_ char *path = path_join(dir, name);
    int r = file_write_atomic(path, strbuf_str(text), text->len, 0644, false, err);

    if (r == 0 && ctx->id_base && chown(path, ctx->id_base, ctx->id_base) < 0) /* the pod's root may change it */
        r = error_set_errno(err, -errno, "cannot change the owner of %s", path);
    return r;
}

int pod_files_write(const struct pod_context *ctx, const struct json *dns, const char *cluster_domain,
                    const char *uts_name, pod_resolver_event event, void *userdata, struct error *err) {
    _cleanup_strbuf_ struct strbuf hosts = STRBUF_INIT, name = STRBUF_INIT, resolv = STRBUF_INIT, host = STRBUF_INIT;
    _cleanup_free_ char *dir = path_join(ctx->run_dir, "etc");

    pod_hosts_text(ctx, json_str_or(json_get(dns, "domain"), cluster_domain), &hosts);
    strbuf_addf(&name, "%s\n", uts_name);
    read_host_resolver(&host);
    const struct pod_resolver_input in = {
        .pod = ctx->pod, .dns = dns, .cluster_domain = cluster_domain, .host_resolv_conf = strbuf_str(&host)};
    pod_resolver_text(&in, &resolv, event, userdata);
    int r = mkdir_parents(dir, 0755, err);
    if (r == 0)
        r = write_text(ctx, dir, "hosts", &hosts, err);
    if (r == 0)
        r = write_text(ctx, dir, "hostname", &name, err);
    if (r == 0)
        r = write_text(ctx, dir, "resolv.conf", &resolv, err);
    return r;
}
