/* SPDX-License-Identifier: GPL-2.0-or-later */
/* podium status: is all well, and if not, why. */
#include <string.h>

#include "orchestrator/cli/diagnosis.h"
#include "orchestrator/cli/print.h"
#include "orchestrator/cli/targets.h"
#include "orchestrator/cli/verbs/verbs.h"
#include "podium/base/alloc.h"

#define PHASES      5
#define NODES_SHOWN 12 /* beyond: only those that are not as they should be */

const struct flag flags_status[] = {
    {"quiet", 'q', FLAG_BOOL, NULL, NULL, "say nothing; the exit code is 0 when all is well"},
    FLAG_END,
};

struct health {
    struct cli *c;
    struct strbuf text;
    struct diagnosis d;
};

static const char *text(const struct json *object, const char *key) {
    return json_str_or(json_get(object, key), "");
}

/* 0, or 1 when there is no server to speak with (told). */
static int look_at_server(struct health *h) {
    struct cli *c = h->c;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_json_ struct json *version = NULL;
    _cleanup_strbuf_ struct strbuf answer = STRBUF_INIT;
    const struct plain_request ready = {.target = "/readyz", .accept = "*/*"};
    int code = 0;
    if (cli_get_json(c, "/version", NULL, false, &version) < 0)
        return 1;
    int r = connection_get(&c->connection, &ready, &code, &answer, &err);
    bool good = r == 0 && code == 200;
    strbuf_addf(&h->text, "Server       %s, %s, %s\n", connection_server(&c->connection),
                json_get_str(version, "gitVersion"), good ? "healthy" : "not ready");
    if (!good)
        findings_add(&h->d.problems, "servers", NULL, "server: %s", r < 0 ? error_text(&err, r) : strbuf_str(&answer));
    return 0;
}

static void look_at_nodes(struct health *h, const struct json *nodes) {
    _cleanup_columns_ struct columns columns = COLUMNS_INIT;
    size_t ready = 0, n = json_len(nodes);
    for (size_t i = 0; i < n; i++) {
        const struct json *node = json_at(nodes, i);
        bool good = strcmp(text(condition_of(node, "Ready"), "status"), "True") == 0;
        bool cordoned = json_bool_or(json_path(node, "spec", "unschedulable"), false);
        ready += good;
        if (n > NODES_SHOWN && good && !cordoned)
            continue;
        columns_line(&columns);
        columns_cell(&columns, text(json_get(node, "metadata"), "name"));
        columns_cellf(&columns, "%s%s", good ? "Ready" : "NotReady", cordoned ? ", cordoned" : "");
        columns_cell(&columns, text(json_at(json_path(node, "status", "addresses"), 0), "address"));
    }
    strbuf_addf(&h->text, "Nodes        %zu of %zu ready\n", ready, n);
    columns_print(&columns, "  ", 3, &h->text);
    diagnose_nodes(&h->d, nodes);
}

static void look_at_pods(struct health *h, const struct json *pods, const struct json *unhealthy) {
    static const char *const phases[PHASES] = {"Running", "Pending", "Succeeded", "Failed", "Unknown"};
    size_t counts[PHASES] = {0}, shown = 0, of_files = 0;
    for (size_t i = 0; i < json_len(pods); i++) {
        const char *phase = text(json_get(json_at(pods, i), "status"), "phase");
        for (size_t p = 0; p < PHASES; p++)
            counts[p] += strcmp(phase, phases[p]) == 0;
        of_files += pod_is_static(json_at(pods, i));
    }
    strbuf_addf(&h->text, "Pods         %zu", json_len(pods));
    for (size_t p = 0; p < PHASES; p++)
        if (counts[p])
            strbuf_addf(&h->text, "%s%zu %s", shown++ ? ", " : ": ", counts[p], phases[p]);
    if (of_files)
        strbuf_addf(&h->text, "; %zu static", of_files);
    strbuf_addc(&h->text, '\n');
    diagnose_pods(&h->d, pods, unhealthy);
}

static void look_at_deployments(struct health *h, const struct json *deployments) {
    size_t good = 0;
    for (size_t i = 0; i < json_len(deployments); i++) {
        const struct json *d = json_at(deployments, i);
        good += json_int_or(json_path(d, "status", "availableReplicas"), 0) >=
                json_int_or(json_path(d, "spec", "replicas"), 1);
    }
    if (json_len(deployments) > 0)
        strbuf_addf(&h->text, "Deployments  %zu of %zu have all their replicas\n", good, json_len(deployments));
    diagnose_deployments(&h->d, deployments);
}

enum { NODES, PODS, DEPLOYMENTS, SERVICES, SLICES, BUDGETS, UNHEALTHY, LISTS };

/* 0, or 1 when something could not be asked for (told). */
static int look_at_objects(struct health *h) {
    static const struct {
        const char *group, *version, *plural, *fields;
    } asked[LISTS] = {
        [NODES] = {"", "v1", "nodes", NULL},
        [PODS] = {"", "v1", "pods", NULL},
        [DEPLOYMENTS] = {"apps", "v1", "deployments", NULL},
        [SERVICES] = {"", "v1", "services", NULL},
        [SLICES] = {"discovery.k8s.io", "v1", "endpointslices", NULL},
        [BUDGETS] = {"policy", "v1", "poddisruptionbudgets", NULL},
        [UNHEALTHY] = {"", "v1", "events", "reason=Unhealthy"},
    };
    struct json *lists[LISTS] = {NULL};
    const struct json *items[LISTS];
    int r = 0;
    for (size_t i = 0; i < LISTS && r == 0; i++) {
        const struct client_request list = {.verb = CLIENT_LIST,
                                            .resource =
                                                resource_by_plural(asked[i].group, asked[i].version, asked[i].plural),
                                            .field_selector = asked[i].fields};
        r = cli_call(h->c, &list, NULL, &lists[i]) < 0;
        items[i] = json_get(lists[i], "items");
    }
    if (r == 0) {
        look_at_nodes(h, items[NODES]);
        look_at_deployments(h, items[DEPLOYMENTS]);
        look_at_pods(h, items[PODS], items[UNHEALTHY]);
        diagnose_services(&h->d, items[SERVICES], items[SLICES], items[PODS], items[DEPLOYMENTS]);
        diagnose_budgets(&h->d, items[BUDGETS]);
    }
    for (size_t i = 0; i < LISTS; i++)
        json_unref(lists[i]);
    return r;
}

/* The server tells about its watched folder in a ConfigMap. */
static void look_at_manifests(struct health *h) {
    _cleanup_json_ struct json *map = NULL;
    if (cli_get_json(h->c, "/api/v1/namespaces/kube-system/configmaps/podium-manifests", NULL, true, &map) < 0)
        return;
    const struct json *data = json_get(map, "data");
    strbuf_addf(&h->text, "Manifests    %s: %s objects\n", json_get_str(data, "directory"),
                *json_get_str(data, "objects") ? json_get_str(data, "objects") : "0");
    for (const char *p = json_get_str(data, "problems"); *p;) {
        size_t n = strcspn(p, "\n");
        if (n > 0)
            findings_add(&h->d.problems, "manifests", NULL, "manifest %.*s", (int) n, p);
        p += n + (p[n] == '\n');
    }
}

static void print(const struct health *h) {
    _cleanup_strbuf_ struct strbuf problems = STRBUF_INIT, notes = STRBUF_INIT;
    char on[16], off[16];
    findings_print(&h->d.problems, &problems);
    findings_print(&h->d.notes, &notes);
    fputs(strbuf_str(&h->text), stdout);
    cli_color(STDOUT_FILENO, problems.len ? "31" : "32", on);
    cli_color(STDOUT_FILENO, "0", off);
    if (problems.len)
        printf("%sNot well:%s\n%s", on, off, strbuf_str(&problems));
    else
        printf("%sAll is well.%s\n", on, off);
    if (notes.len)
        printf("To know:\n%s", strbuf_str(&notes));
}

int cli_verb_status(struct cli *c) {
    struct health h = {.c = c, .text = STRBUF_INIT, .d = DIAGNOSIS_INIT};
    if (*c->args.words)
        return cli_usage(c, "status takes no arguments");
    int r = cli_connect(c);
    if (r == 0)
        r = look_at_server(&h);
    if (r == 0)
        r = look_at_objects(&h);
    if (r == 0)
        look_at_manifests(&h);
    if (r == 0 && !args_bool(&c->args, "quiet", false))
        print(&h);
    r = r || h.d.problems.n > 0;
    strbuf_finish(&h.text);
    diagnosis_finish(&h.d);
    return r;
}
