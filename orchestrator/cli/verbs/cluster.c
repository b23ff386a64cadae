/* SPDX-License-Identifier: GPL-2.0-or-later */
/* podium version, api-resources, cluster-info, top: about the server. */
#include <string.h>

#include "orchestrator/cli/print.h"
#include "orchestrator/cli/verbs/verbs.h"
#include "podium/base/alloc.h"

#ifndef PODIUM_VERSION
#define PODIUM_VERSION "0.1.0" /* as the programs (orchestrator/cmd/verbs.h); the build may set it for both */
#endif

const struct flag flags_version[] = {
    {"client", 0, FLAG_BOOL, NULL, NULL, "ask no server"},
    {"output", 'o', FLAG_VALUE, NULL, "FORMAT", "yaml or json"},
    FLAG_END,
};
const struct flag flags_api_resources[] = {
    {"namespaced", 0, FLAG_BOOL, NULL, NULL, "only kinds with a namespace (=false: only those without)"},
    {"api-group", 0, FLAG_VALUE, NULL, "GROUP", "only kinds of this group"},
    {"no-headers", 0, FLAG_BOOL, NULL, NULL, "no line of headings"},
    {"output", 'o', FLAG_VALUE, NULL, "FORMAT", "wide: with verbs; name: names only"},
    FLAG_END,
};
const struct flag flags_top[] = {
    {"selector", 'l', FLAG_VALUE, NULL, "LABELS", "objects with these labels"},
    {"containers", 0, FLAG_BOOL, NULL, NULL, "pods: a line for each container"},
    FLAG_END,
};

int cli_verb_version(struct cli *c) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_(output_finish) struct output_format format = {0};
    _cleanup_json_ struct json *server = NULL, *all = NULL;
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
    int r = output_parse(args_str(&c->args, "output"), &format, &err), failed = 0;
    if (r < 0)
        return cli_usage(c, "%s", error_text(&err, r));
    json_set_path(&all, json_string(PODIUM_VERSION), "clientVersion", "gitVersion");
    bool text = format.output == OUTPUT_TABLE || format.output == OUTPUT_WIDE;
    if (text) {
        printf("Client Version: %s\n", PODIUM_VERSION);
        (void) fflush(stdout);
    }
    if (!args_bool(&c->args, "client", false)) {
        failed = cli_connect(c);
        if (!failed && cli_get_json(c, "/version", NULL, false, &server) < 0)
            failed = 1;
    }
    if (text && server)
        printf("Server Version: %s\n", json_str_or(json_get(server, "gitVersion"), ""));
    if (!text) {
        if (server)
            json_set(&all, "serverVersion", json_ref(server));
        output_print(&format, all, &out);
        fputs(strbuf_str(&out), stdout);
    }
    return failed;
}

static char *joined(const char *const *words) {
    struct strbuf s = STRBUF_INIT;
    for (size_t i = 0; words[i]; i++)
        strbuf_addf(&s, "%s%s", i ? "," : "", words[i]);
    return strbuf_steal(&s);
}

static char *verbs_of(unsigned verbs) {
    static const struct {
        unsigned bit;
        const char *name;
    } names[] = {{VERB_CREATE, "create"}, {VERB_DELETE, "delete"}, {VERB_DELETECOLLECTION, "deletecollection"},
                 {VERB_GET, "get"},       {VERB_LIST, "list"},     {VERB_PATCH, "patch"},
                 {VERB_UPDATE, "update"}, {VERB_WATCH, "watch"}};
    struct strbuf s = STRBUF_INIT;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (verbs & names[i].bit)
            strbuf_addf(&s, "%s%s", s.len ? "," : "", names[i].name);
    return strbuf_steal(&s);
}

int cli_verb_api_resources(struct cli *c) {
    const char *format = args_str(&c->args, "output"), *group = args_str(&c->args, "api-group");
    bool wide = format && strcmp(format, "wide") == 0, names = format && strcmp(format, "name") == 0;
    _cleanup_columns_ struct columns columns = COLUMNS_INIT;
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
    static const char *const titles[] = {"NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND", "VERBS"};
    size_t n;
    const struct resource *all = resources_all(&n);
    if (!names && !args_bool(&c->args, "no-headers", false)) {
        columns_line(&columns);
        for (size_t i = 0; i < ARRAY_LEN(titles) - !wide; i++)
            columns_cell(&columns, titles[i]);
    }
    for (size_t i = 0; i < n; i++) {
        const struct resource *r = &all[i];
        if (!r->preferred_version || (group && strcmp(group, r->group) != 0) ||
            (args_has(&c->args, "namespaced") && args_bool(&c->args, "namespaced", true) != r->namespaced))
            continue;
        columns_line(&columns);
        columns_cell(&columns, names ? r->display_name : r->plural);
        if (names)
            continue;
        _cleanup_free_ char *shorts = joined(r->short_names), *verbs = verbs_of(r->verbs);
        columns_cell(&columns, shorts);
        columns_cell(&columns, r->api_version);
        columns_cell(&columns, r->namespaced ? "true" : "false");
        columns_cell(&columns, r->kind);
        if (wide)
            columns_cell(&columns, verbs);
    }
    columns_print(&columns, "", 3, &out);
    fputs(strbuf_str(&out), stdout);
    return 0;
}

int cli_verb_cluster_info(struct cli *c) {
    _cleanup_json_ struct json *version = NULL;
    char on[16], off[16];
    if (cli_connect(c) != 0 || cli_get_json(c, "/version", NULL, false, &version) < 0)
        return 1;
    printf("%sPodium control plane%s is running at %s (%s)\n", cli_color(STDOUT_FILENO, "32", on),
           cli_color(STDOUT_FILENO, "0", off), connection_server(&c->connection),
           json_str_or(json_get(version, "gitVersion"), ""));
    printf("Access is from %s", c->connection.source);
    if (c->connection.kube.context)
        printf(", context %s, user %s", c->connection.kube.context, c->connection.kube.user);
    printf(", namespace %s\n", c->ns);
    return 0;
}

int cli_verb_top(struct cli *c) {
    return cli_fail(
        "Metrics API not available: this version does not measure use yet.\n"
        "On a node, `systemd-cgtop` shows the use of each pod's unit; `podium describe node NAME` shows what "
        "pods ask for.");
}
