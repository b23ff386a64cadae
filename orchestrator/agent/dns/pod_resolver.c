/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/dns/pod_resolver.h"

#include <string.h>

#include "podium/base/alloc.h"

#define NAMESERVERS_MAX  3
#define SEARCHES_MAX     32 /* MaxDNSSearchPaths */
#define SEARCH_CHARS_MAX 2048
#define SEARCH_NAME_MAX  253
#define SPACE            " \t\r\f\v"

struct resolver {
    char **servers, **searches, **options;
};

static void resolver_finish(struct resolver *r) {
    strv_free(r->servers);
    strv_free(r->searches);
    strv_free(r->options);
}

static void empty(char ***v) {
    strv_free(*v);
    *v = strv_new();
}

static bool has(char *const *v, const char *s) {
    for (; *v; v++)
        if (strcmp(*v, s) == 0)
            return true;
    return false;
}

static void push_new(char ***v, const char *s) {
    if (!has(*v, s))
        strv_push_dup(v, s);
}

static void push_list(char ***v, const struct json *list) {
    for (size_t i = 0; i < json_len(list); i++)
        push_new(v, json_str_or(json_at(list, i), ""));
}

/* nameserver lines add up, of search and options the last line counts. */
static void take_line(struct resolver *r, char *line) {
    char *save = NULL, *key = strtok_r(line, SPACE, &save);

    if (!key || key[0] == '#')
        return;
    bool search = strcmp(key, "search") == 0;
    char ***v = strcmp(key, "nameserver") == 0 ? &r->servers
                : search                       ? &r->searches
                : strcmp(key, "options") == 0  ? &r->options
                                               : NULL;
    if (!v)
        return;
    if (v != &r->servers)
        empty(v);
    for (char *word; (word = strtok_r(NULL, SPACE, &save));) {
        size_t n = strlen(word);
        if (search && n > 1 && word[n - 1] == '.') /* with and without the last dot it is one */
            word[n - 1] = 0;
        strv_push_dup(v, word);
        if (v == &r->servers)
            break;
    }
}

static void parse(struct resolver *r, const char *text) {
    _cleanup_free_ char *copy = xstrdup(text);
    char *rest = copy, *line;

    *r = (struct resolver){strv_new(), strv_new(), strv_new()};
    while ((line = strsep(&rest, "\n")))
        take_line(r, line);
}

bool resolver_is_local_stub(const char *text) {
    _cleanup_(resolver_finish) struct resolver r;
    bool stub = false;

    parse(&r, text);
    for (char **s = r.servers; *s; s++) {
        stub = strcmp(*s, "127.0.0.53") == 0 || strcmp(*s, "127.0.0.54") == 0;
        if (!stub)
            break;
    }
    return stub;
}

/* --- policies --- */

static void cluster_first(struct resolver *r, const struct pod_resolver_input *in) {
    const char *domain = json_str_or(json_get(in->dns, "domain"), in->cluster_domain);
    const char *namespace = json_str_or(json_path(in->pod, "metadata", "namespace"), "");
    char **searches = strv_new();

    empty(&r->servers);
    push_list(&r->servers, json_get(in->dns, "servers"));
    if (*domain) {
        strv_push(&searches, xasprintf("%s.svc.%s", namespace, domain));
        strv_push(&searches, xasprintf("svc.%s", domain));
        push_new(&searches, domain);
    }
    push_list(&searches, json_get(in->dns, "searches"));
    for (char **s = r->searches; *s; s++)
        push_new(&searches, *s);
    strv_free(r->searches);
    r->searches = searches;
    empty(&r->options);
    push_list(&r->options, json_get(in->dns, "options"));
    if (strv_len(r->options) == 0)
        strv_push_dup(&r->options, "ndots:5");
}

/* ndots:5 and ndots:2 are the same option: the later one counts. */
static void set_option(char ***options, const char *name, const char *value) {
    char *text = *value ? xasprintf("%s:%s", name, value) : xstrdup(name);
    size_t n = strlen(name);

    for (char **p = *options; *p; p++)
        if (strcspn(*p, ":") == n && strncmp(*p, name, n) == 0) {
            free(*p);
            *p = text;
            return;
        }
    strv_push(options, text);
}

static void add_config(struct resolver *r, const struct json *config) {
    const struct json *options = json_get(config, "options");

    push_list(&r->servers, json_get(config, "nameservers"));
    push_list(&r->searches, json_get(config, "searches"));
    for (size_t i = 0; i < json_len(options); i++)
        set_option(&r->options, json_str_or(json_get(json_at(options, i), "name"), ""),
                   json_str_or(json_get(json_at(options, i), "value"), ""));
}

/* --- limits --- */

static char *join(char *const *v) {
    struct strbuf b = STRBUF_INIT;

    for (char *const *s = v; *s; s++)
        strbuf_addf(&b, "%s%s", s == v ? "" : " ", *s);
    return strbuf_steal(&b);
}

static void cut(char **v, size_t n) {
    for (size_t i = n, len = strv_len(v); i < len; i++) {
        free(v[i]);
        v[i] = NULL;
    }
}

static void limit_servers(struct resolver *r, pod_resolver_event event, void *userdata) {
    if (strv_len(r->servers) <= NAMESERVERS_MAX)
        return;
    cut(r->servers, NAMESERVERS_MAX);
    _cleanup_free_ char *line = join(r->servers);
    _cleanup_free_ char *message = xasprintf("Nameserver limits were exceeded, some nameservers have been omitted, the "
                                             "applied nameserver line is: %s",
                                             line);
    event(userdata, "DNSConfigForming", message);
}

static void limit_searches(struct resolver *r, pod_resolver_event event, void *userdata) {
    size_t n = strv_len(r->searches), kept = 0, chars = 0;
    bool over = n > SEARCHES_MAX;

    cut(r->searches, SEARCHES_MAX);
    n = strv_len(r->searches);
    for (size_t i = 0; i < n; i++) {
        char *s = steal(&r->searches[i]);
        if (strlen(s) > SEARCH_NAME_MAX) { /* some resolvers abort on these */
            over = true;
            free(s);
            continue;
        }
        r->searches[kept++] = s;
    }
    for (n = 0; n < kept && chars + (n > 0) + strlen(r->searches[n]) <= SEARCH_CHARS_MAX; n++)
        chars += (n > 0) + strlen(r->searches[n]);
    over = over || n < kept;
    cut(r->searches, n);
    if (!over)
        return;
    _cleanup_free_ char *line = join(r->searches);
    _cleanup_free_ char *message = xasprintf("Search Line limits were exceeded, some search paths have been omitted, "
                                             "the applied search line is: %s",
                                             line);
    event(userdata, "DNSConfigForming", message);
}

static void missing_cluster_dns(const struct json *pod, pod_resolver_event event, void *userdata) {
    _cleanup_free_ char *message = xasprintf(
        "pod: \"%s_%s(%s)\". kubelet does not have ClusterDNS IP configured and cannot create Pod using "
        "\"ClusterFirst\" policy. Falling back to \"Default\" policy.",
        json_str_or(json_path(pod, "metadata", "name"), ""), json_str_or(json_path(pod, "metadata", "namespace"), ""),
        json_str_or(json_path(pod, "metadata", "uid"), ""));

    event(userdata, "MissingClusterDNS", message);
}

static void write_line(const char *key, char *const *v, struct strbuf *out) {
    _cleanup_free_ char *line = join(v);

    if (*v)
        strbuf_addf(out, "%s %s\n", key, line);
}

void pod_resolver_text(const struct pod_resolver_input *in, struct strbuf *out, pod_resolver_event event,
                       void *userdata) {
    _cleanup_(resolver_finish) struct resolver r;
    const char *policy = json_str_or(json_path(in->pod, "spec", "dnsPolicy"), "ClusterFirst");
    bool host_network = json_bool_or(json_path(in->pod, "spec", "hostNetwork"), false);

    parse(&r, strcmp(policy, "None") == 0 ? "" : in->host_resolv_conf);
    if (strcmp(policy, "ClusterFirstWithHostNet") == 0 || (strcmp(policy, "ClusterFirst") == 0 && !host_network)) {
        if (json_len(json_get(in->dns, "servers")) > 0)
            cluster_first(&r, in);
        else
            missing_cluster_dns(in->pod, event, userdata);
    }
    add_config(&r, json_path(in->pod, "spec", "dnsConfig"));
    limit_servers(&r, event, userdata);
    limit_searches(&r, event, userdata);
    for (char **s = r.servers; *s; s++)
        strbuf_addf(out, "nameserver %s\n", *s);
    write_line("search", r.searches, out);
    write_line("options", r.options, out);
}
