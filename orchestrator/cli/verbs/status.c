/* SPDX-License-Identifier: GPL-2.0-or-later */
/* podium status: is all well, and if not, why. */
#include <stdarg.h>
#include <string.h>

#include "orchestrator/cli/print.h"
#include "orchestrator/cli/targets.h"
#include "orchestrator/cli/verbs/verbs.h"
#include "podium/base/alloc.h"

#define PHASES 5

const struct flag flags_status[] = {
    {"quiet", 'q', FLAG_BOOL, NULL, NULL, "say nothing; the exit code is 0 when all is well"},
    FLAG_END,
};

struct health {
    struct cli *c;
    struct strbuf text, problems;
    size_t n_problems;
};

static void problem(struct health *h, const char *fmt, ...) _printf_(2, 3);
static void problem(struct health *h, const char *fmt, ...) {
    va_list ap;
    h->n_problems++;
    strbuf_adds(&h->problems, "  ");
    va_start(ap, fmt);
    strbuf_vaddf(&h->problems, fmt, ap);
    va_end(ap);
    strbuf_addc(&h->problems, '\n');
}

static const struct json *condition(const struct json *object, const char *type) {
    const struct json *list = json_path(object, "status", "conditions");
    for (size_t i = 0; i < json_len(list); i++)
        if (strcmp(json_get_str(json_at(list, i), "type"), type) == 0)
            return json_at(list, i);
    return NULL;
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
        problem(h, "server: %s", r < 0 ? error_text(&err, r) : strbuf_str(&answer));
    return 0;
}

static struct json *list(struct health *h, const char *group, const char *version, const char *plural) {
    const struct client_request r = {.verb = CLIENT_LIST, .resource = resource_by_plural(group, version, plural)};
    struct json *answer = NULL;
    return cli_call(h->c, &r, NULL, &answer) < 0 ? NULL : answer;
}

static int look_at_nodes(struct health *h) {
    _cleanup_json_ struct json *nodes = list(h, "", "v1", "nodes");
    _cleanup_columns_ struct columns columns = COLUMNS_INIT;
    const struct json *items = json_get(nodes, "items");
    size_t ready = 0;
    if (!nodes)
        return 1;
    for (size_t i = 0; i < json_len(items); i++) {
        const struct json *n = json_at(items, i), *c = condition(n, "Ready");
        bool good = strcmp(json_get_str(c, "status"), "True") == 0;
        bool cordoned = json_bool_or(json_path(n, "spec", "unschedulable"), false);
        const char *name = json_get_str(json_get(n, "metadata"), "name");
        ready += good;
        columns_line(&columns);
        columns_cell(&columns, name);
        columns_cellf(&columns, "%s%s", good ? "Ready" : "NotReady", cordoned ? ", cordoned" : "");
        columns_cell(&columns, json_get_str(json_at(json_path(n, "status", "addresses"), 0), "address"));
        if (!good)
            problem(h, "node %s: %s", name,
                    *json_get_str(c, "message") ? json_get_str(c, "message") : "has not reported yet");
    }
    strbuf_addf(&h->text, "Nodes        %zu of %zu ready\n", ready, json_len(items));
    columns_print(&columns, "  ", 3, &h->text);
    if (json_len(items) == 0)
        problem(h, "no nodes: start an agent on this or another host; `podium token create` prints how");
    return 0;
}

/* Why a pod that should run does not: the first container that waits or ended, else its conditions. */
static void explain_pod(struct health *h, const struct json *pod) {
    static const char *const lists[] = {"initContainerStatuses", "containerStatuses"};
    const char *ns = json_get_str(json_get(pod, "metadata"), "namespace"),
               *name = json_get_str(json_get(pod, "metadata"), "name");
    for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
        const struct json *statuses = json_path(pod, "status", lists[l]);
        for (size_t i = 0; i < json_len(statuses); i++) {
            const struct json *s = json_at(statuses, i), *waiting = json_path(s, "state", "waiting");
            const struct json *ended = json_path(s, "state", "terminated");
            const char *reason = json_get_str(waiting ? waiting : ended, "reason");
            if (!*reason || strcmp(reason, "Completed") == 0 || strcmp(reason, "PodInitializing") == 0)
                continue;
            problem(h, "pod %s/%s, container %s: %s%s%s", ns, name, json_get_str(s, "name"), reason,
                    *json_get_str(waiting ? waiting : ended, "message") ? ": " : "",
                    json_get_str(waiting ? waiting : ended, "message"));
            return;
        }
    }
    const struct json *scheduled = condition(pod, "PodScheduled"), *ready = condition(pod, "Ready");
    const struct json *why = strcmp(json_get_str(scheduled, "status"), "False") == 0 ? scheduled : ready;
    const char *said =
        *json_get_str(why, "message") ? json_get_str(why, "message") : json_get_str(json_get(pod, "status"), "message");
    problem(h, "pod %s/%s: %s%s%s", ns, name, *json_get_str(why, "reason") ? json_get_str(why, "reason") : "not ready",
            *said ? ": " : "", said);
}

static int look_at_pods(struct health *h) {
    static const char *const phases[PHASES] = {"Running", "Pending", "Succeeded", "Failed", "Unknown"};
    _cleanup_json_ struct json *pods = list(h, "", "v1", "pods");
    const struct json *items = json_get(pods, "items");
    size_t counts[PHASES] = {0}, shown = 0;
    if (!pods)
        return 1;
    for (size_t i = 0; i < json_len(items); i++) {
        const struct json *pod = json_at(items, i);
        const char *phase = json_get_str(json_get(pod, "status"), "phase");
        for (size_t p = 0; p < PHASES; p++)
            counts[p] += strcmp(phase, phases[p]) == 0;
        if (strcmp(phase, "Succeeded") != 0 && strcmp(json_get_str(condition(pod, "Ready"), "status"), "True") != 0 &&
            !json_path(pod, "metadata", "deletionTimestamp"))
            explain_pod(h, pod);
    }
    strbuf_addf(&h->text, "Pods         %zu", json_len(items));
    for (size_t p = 0; p < PHASES; p++)
        if (counts[p])
            strbuf_addf(&h->text, "%s%zu %s", shown++ ? ", " : ": ", counts[p], phases[p]);
    strbuf_addc(&h->text, '\n');
    return 0;
}

static int look_at_deployments(struct health *h) {
    _cleanup_json_ struct json *all = list(h, "apps", "v1", "deployments");
    const struct json *items = json_get(all, "items");
    size_t good = 0;
    if (!all)
        return 1;
    for (size_t i = 0; i < json_len(items); i++) {
        const struct json *d = json_at(items, i);
        int64_t wanted = json_int_or(json_path(d, "spec", "replicas"), 1);
        int64_t available = json_int_or(json_path(d, "status", "availableReplicas"), 0);
        if (available >= wanted)
            good++;
        else
            problem(h, "deployment %s/%s: %lld of %lld replicas available",
                    json_get_str(json_get(d, "metadata"), "namespace"), json_get_str(json_get(d, "metadata"), "name"),
                    (long long) available, (long long) wanted);
    }
    if (json_len(items) > 0)
        strbuf_addf(&h->text, "Deployments  %zu of %zu have all their replicas\n", good, json_len(items));
    return 0;
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
            problem(h, "manifest %.*s", (int) n, p);
        p += n + (p[n] == '\n');
    }
}

int cli_verb_status(struct cli *c) {
    struct health h = {.c = c, .text = STRBUF_INIT, .problems = STRBUF_INIT};
    char on[16], off[16];
    if (*c->args.words)
        return cli_usage(c, "status takes no arguments");
    int r = cli_connect(c);
    if (r == 0)
        r = look_at_server(&h);
    if (r == 0)
        r = look_at_nodes(&h) | look_at_deployments(&h) | look_at_pods(&h);
    if (r == 0)
        look_at_manifests(&h);
    if (r == 0 && !args_bool(&c->args, "quiet", false)) {
        fputs(strbuf_str(&h.text), stdout);
        cli_color(STDOUT_FILENO, h.n_problems ? "31" : "32", on);
        cli_color(STDOUT_FILENO, "0", off);
        if (h.n_problems)
            printf("%sNot well:%s\n%s", on, off, strbuf_str(&h.problems));
        else
            printf("%sAll is well.%s\n", on, off);
    }
    r = r || h.n_problems > 0;
    strbuf_finish(&h.text);
    strbuf_finish(&h.problems);
    return r;
}
