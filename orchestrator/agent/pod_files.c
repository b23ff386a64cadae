/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/pod_files.h"

#include <string.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"

#define HOSTNAME_MAX    63
#define SEARCH_MAX      32 /* MaxDNSSearchPaths */
#define NAMESERVERS_MAX 3
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

struct resolver {
    char **servers, **searches, **options;
};

static void push_new(char ***v, const char *s, size_t max) {
    for (char **p = *v; *p; p++)
        if (strcmp(*p, s) == 0)
            return;
    if (*s && strv_len(*v) < max)
        strv_push_dup(v, s);
}

static void take_list(char ***v, const struct json *list, size_t max) {
    for (size_t i = 0; i < json_len(list); i++)
        push_new(v, json_str_or(json_at(list, i), ""), max);
}

static void take_host(struct resolver *r, const char *text) {
    _cleanup_free_ char *copy = xstrdup(text);
    char *rest = copy, *line;

    while ((line = strsep(&rest, "\n"))) {
        char *word, *key = strsep(&line, " \t");
        char ***v = strcmp(key, "nameserver") == 0                             ? &r->servers
                    : strcmp(key, "search") == 0 || strcmp(key, "domain") == 0 ? &r->searches
                    : strcmp(key, "options") == 0                              ? &r->options
                                                                               : NULL;
        while (v && line && (word = strsep(&line, " \t")))
            push_new(v, word, v == &r->servers ? NAMESERVERS_MAX : SEARCH_MAX);
    }
}

/* ndots:5 and ndots:2 are the same option: the later one counts. */
static void set_option(char ***options, const char *name, const char *value) {
    char *text = value && *value ? xasprintf("%s:%s", name, value) : xstrdup(name);
    size_t n = strcspn(text, ":");

    for (char **p = *options; *p; p++)
        if (strcspn(*p, ":") == n && strncmp(*p, text, n) == 0) {
            free(*p);
            *p = text;
            return;
        }
    strv_push(options, text);
}

void pod_resolv_conf_text(const struct pod_context *ctx, const struct json *dns, const char *cluster_domain,
                          const char *host_resolv_conf, struct strbuf *out) {
    const char *policy = json_str_or(json_path(ctx->pod, "spec", "dnsPolicy"), "ClusterFirst");
    const struct json *own = json_path(ctx->pod, "spec", "dnsConfig");
    struct resolver r = {strv_new(), strv_new(), strv_new()};
    bool cluster = strcmp(policy, "ClusterFirstWithHostNet") == 0 ||
                   (strcmp(policy, "ClusterFirst") == 0 && !uses_host_network(ctx->pod));

    if (cluster && json_len(json_get(dns, "servers")) > 0) {
        _cleanup_free_ char *mine = xasprintf("%s.svc.%s", pod_meta(ctx->pod, "namespace"), cluster_domain);
        _cleanup_free_ char *services = xasprintf("svc.%s", cluster_domain);
        push_new(&r.searches, mine, SEARCH_MAX);
        push_new(&r.searches, services, SEARCH_MAX);
        push_new(&r.searches, cluster_domain, SEARCH_MAX);
        take_list(&r.servers, json_get(dns, "servers"), NAMESERVERS_MAX);
        take_list(&r.searches, json_get(dns, "searches"), SEARCH_MAX);
        take_list(&r.options, json_get(dns, "options"), SEARCH_MAX);
        if (strv_len(r.options) == 0)
            strv_push_dup(&r.options, "ndots:5");
    } else if (strcmp(policy, "None") != 0) {
        take_host(&r, host_resolv_conf); /* also when the cluster has no DNS to go first */
    }
    take_list(&r.servers, json_get(own, "nameservers"), NAMESERVERS_MAX);
    take_list(&r.searches, json_get(own, "searches"), SEARCH_MAX);
    for (size_t i = 0; i < json_len(json_get(own, "options")); i++) {
        const struct json *o = json_at(json_get(own, "options"), i);
        set_option(&r.options, json_str_or(json_get(o, "name"), ""), json_str(json_get(o, "value")));
    }
    for (char **s = r.servers; *s; s++)
        strbuf_addf(out, "nameserver %s\n", *s);
    for (char **s = r.searches; *s; s++)
        strbuf_addf(out, "%s%s%s", s == r.searches ? "search " : " ", *s, s[1] ? "" : "\n");
    for (char **s = r.options; *s; s++)
        strbuf_addf(out, "%s%s%s", s == r.options ? "options " : " ", *s, s[1] ? "" : "\n");
    strv_free(r.servers);
    strv_free(r.searches);
    strv_free(r.options);
}

static int write_text(const char *dir, const char *name, const struct strbuf *text, struct error *err) {
    _cleanup_free_ char *path = path_join(dir, name);
    return file_write_atomic(path, strbuf_str(text), text->len, 0644, false, err);
}

int pod_files_write(const struct pod_context *ctx, const struct json *dns, const char *cluster_domain,
                    struct error *err) {
    _cleanup_strbuf_ struct strbuf hosts = STRBUF_INIT, name = STRBUF_INIT, resolv = STRBUF_INIT, host = STRBUF_INIT;
    _cleanup_free_ char *dir = path_join(ctx->run_dir, "etc"), *hostname = pod_hostname(ctx->pod);

    pod_hosts_text(ctx, cluster_domain, &hosts);
    strbuf_addf(&name, "%s\n", hostname);
    if (file_read("/etc/resolv.conf", HOSTS_BYTES_MAX, &host, NULL) < 0)
        strbuf_reset(&host);
    pod_resolv_conf_text(ctx, dns, cluster_domain, strbuf_str(&host), &resolv);
    int r = mkdir_parents(dir, 0755, err);
    if (r == 0)
        r = write_text(dir, "hosts", &hosts, err);
    if (r == 0)
        r = write_text(dir, "hostname", &name, err);
    if (r == 0)
        r = write_text(dir, "resolv.conf", &resolv, err);
    return r;
}
