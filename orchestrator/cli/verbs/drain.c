/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * podium drain: a node is cordoned, its pods are evicted (as their disruption budgets allow) and seen off.
 *
 * As kubectl drain in flags, rules and words. A refused eviction is tried again when a budget changes, else after five
 * seconds (kubectl: always five seconds).
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "orchestrator/cli/drain_judge.h"
#include "orchestrator/cli/nodes.h"
#include "orchestrator/cli/verbs/verbs.h"
#include "orchestrator/client/informer.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

#define RETRY_USEC (5 * USEC_PER_SEC)

const struct flag flags_drain[] = {
    {"ignore-daemonsets", 0, FLAG_BOOL, NULL, NULL, "leave pods of DaemonSets where they are"},
    {"delete-emptydir-data", 0, FLAG_BOOL, NULL, NULL, "also pods whose emptyDir volumes are lost with them"},
    {"force", 0, FLAG_BOOL, NULL, NULL, "also pods without a controller, which nobody will make anew"},
    {"disable-eviction", 0, FLAG_BOOL, NULL, NULL, "delete the pods: disruption budgets are not asked"},
    {"grace-period", 0, FLAG_VALUE, NULL, "SECONDS", "time a pod gets to end (its own setting)"},
    {"timeout", 0, FLAG_VALUE, NULL, "TIME", "give up after this (0: never)"},
    {"selector", 'l', FLAG_VALUE, NULL, "LABELS", "nodes with these labels"},
    {"pod-selector", 0, FLAG_VALUE, NULL, "LABELS", "only pods with these labels"},
    {"dry-run", 0, FLAG_OPTIONAL, "client", "WHERE", "client: only say it"},
    FLAG_END,
};

enum stage { STAGE_WAITING, STAGE_ASKED, STAGE_BLOCKED, STAGE_LEAVING, STAGE_GONE, STAGE_FAILED };

struct drain;
struct leaving {
    struct drain *d;
    struct json *pod;
    struct client_call *call;
    enum stage stage;
    bool told; /* that it is blocked */
};
struct drain {
    struct cli *c;
    const struct target *node;
    struct drain_rules rules;
    bool delete, dry_run;
    int64_t grace; /* seconds; < 0: the pods' own */
    uint64_t deadline;
    struct informer *live; /* the node's pods */
    struct leaving *pods;
    size_t n, cap, open;
    bool late, failed;
    sd_event_source *retry;
};

static void ask(struct leaving *l);

static const char *meta(const struct json *o, const char *key) {
    return json_str_or(json_path(o, "metadata", key), "");
}

/* --- one pod --- */

static void settle(struct leaving *l, enum stage stage) {
    if (l->stage == STAGE_GONE || l->stage == STAGE_FAILED)
        return;
    l->stage = stage;
    l->d->open--;
    if (stage == STAGE_FAILED)
        l->d->failed = true;
    else
        printf("pod/%s %s\n", meta(l->pod, "name"), l->d->delete ? "deleted" : "evicted");
    (void) fflush(stdout);
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata) {
    struct drain *d = userdata;
    for (size_t i = 0; i < d->n; i++)
        if (d->pods[i].stage == STAGE_BLOCKED)
            ask(&d->pods[i]);
    return 0;
}

static void retry_after(struct drain *d, uint64_t usec) {
    d->retry = sd_event_source_disable_unref(d->retry);
    if (sd_event_add_time_relative(d->c->loop, &d->retry, CLOCK_MONOTONIC, usec, 0, on_retry, d) < 0)
        abort();
}

static void on_answer(void *userdata, const struct client_result *result) {
    struct leaving *l = userdata;
    const char *why = result->message && *result->message ? result->message : "no answer";
    l->call = NULL;
    if (l->stage != STAGE_ASKED) /* it left sooner than the answer came */
        return;
    if (client_ok(result)) {
        l->stage = STAGE_LEAVING;
    } else if (result->code == 404 || result->code == 409) { /* 409: another one has its name now */
        settle(l, STAGE_GONE);
    } else if (result->code == 429) {
        l->stage = STAGE_BLOCKED;
        if (!l->told)
            fprintf(stderr, "error when evicting pods/\"%s\" -n \"%s\" (will retry): %s\n", meta(l->pod, "name"),
                    meta(l->pod, "namespace"), why);
        l->told = true;
        retry_after(l->d, RETRY_USEC);
    } else {
        fprintf(stderr, "error when %s pods/\"%s\" -n \"%s\": %s\n", l->d->delete ? "deleting" : "evicting",
                meta(l->pod, "name"), meta(l->pod, "namespace"), why);
        settle(l, STAGE_FAILED);
    }
}

static void ask(struct leaving *l) {
    struct drain *d = l->d;
    _cleanup_json_ struct json *body = json_object(), *options = json_object();
    struct client_request r = {.verb = d->delete ? CLIENT_DELETE : CLIENT_CREATE,
                               .resource = resource_by_plural("", "v1", "pods"),
                               .ns = meta(l->pod, "namespace"),
                               .name = meta(l->pod, "name")};
    if (d->grace >= 0)
        json_set(&options, "gracePeriodSeconds", json_int(d->grace));
    json_set_path(&options, json_string(meta(l->pod, "uid")), "preconditions", "uid");
    if (d->delete) {
        r.body = options;
    } else {
        json_set(&body, "apiVersion", json_string("policy/v1"));
        json_set(&body, "kind", json_string("Eviction"));
        json_set_path(&body, json_string(r.name), "metadata", "name");
        json_set_path(&body, json_string(r.ns), "metadata", "namespace");
        json_set(&body, "deleteOptions", json_ref(options));
        r.body = body;
        r.subresource = "eviction";
    }
    if (!l->told)
        printf("%s pod %s/%s\n", d->delete ? "deleting" : "evicting", r.ns, r.name);
    (void) fflush(stdout);
    l->stage = STAGE_ASKED;
    l->call = client_start(d->c->client, &r, on_answer, l);
}

/* --- what changes --- */

static void on_pod(void *userdata, struct json *old, struct json *pod) {
    struct drain *d = userdata;
    for (size_t i = 0; i < d->n && !pod; i++)
        if (strcmp(meta(d->pods[i].pod, "uid"), meta(old, "uid")) == 0)
            settle(&d->pods[i], STAGE_GONE);
}

static void on_pods_known(void *userdata) {
    struct drain *d = userdata;
    for (size_t i = 0; i < d->n; i++) {
        struct leaving *l = &d->pods[i];
        const struct json *live = informer_get(d->live, meta(l->pod, "namespace"), meta(l->pod, "name"));
        if (!live || strcmp(meta(live, "uid"), meta(l->pod, "uid")) != 0)
            settle(l, STAGE_GONE);
        else if (json_path(live, "metadata", "deletionTimestamp"))
            l->stage = STAGE_LEAVING; /* on its way already */
        else
            ask(l);
    }
}

static void on_budget(void *userdata, struct json *old, struct json *budget) {
    struct drain *d = userdata;
    if (d->retry && (!budget || json_int_or(json_path(budget, "status", "disruptionsAllowed"), 0) > 0))
        retry_after(d, 0);
}

static int on_late(sd_event_source *s, uint64_t usec, void *userdata) {
    ((struct drain *) userdata)->late = true;
    return 0;
}

/* --- a node --- */

/* Its pods by their verdicts; problems are told in one line each. False: it may not be drained. */
static bool choose(struct drain *d, const struct json *items, struct strbuf *errors) {
    for (enum drain_verdict v = DRAIN_GO; v <= DRAIN_ERROR_UNREPLICATED; v++) {
        _cleanup_strbuf_ struct strbuf names = STRBUF_INIT;
        for (size_t i = 0; i < json_len(items); i++) {
            struct json *pod = json_at(items, i);
            if (drain_judge(pod, &d->rules) != v)
                continue;
            strbuf_addf(&names, "%s%s/%s", names.len ? ", " : "", meta(pod, "namespace"), meta(pod, "name"));
            if (v > DRAIN_GO_LOCAL_STORAGE)
                continue;
            xgrow(&d->pods, d->n, &d->cap);
            d->pods[d->n++] = (struct leaving){.d = d, .pod = json_ref(pod)};
        }
        if (names.len == 0 || !*drain_explain(v))
            continue;
        if (v >= DRAIN_ERROR_DAEMON)
            strbuf_addf(errors, "%s%s: %s", errors->len ? ", " : "", drain_explain(v), strbuf_str(&names));
        else
            fprintf(stderr, "Warning: %s: %s\n", drain_explain(v), strbuf_str(&names));
    }
    d->open = d->n;
    return errors->len == 0;
}

static int see_them_off(struct drain *d, const char *selector) {
    _cleanup_(sd_event_source_disable_unrefp) sd_event_source *timer = NULL;
    const struct informer_options pods = {.resource = resource_by_plural("", "v1", "pods"), .field_selector = selector};
    const struct informer_options budgets = {.resource = resource_by_plural("policy", "v1", "poddisruptionbudgets")};
    _cleanup_(informer_freep) struct informer *p = informer_new(d->c->loop, d->c->client, &pods);
    _cleanup_(informer_freep) struct informer *b = d->delete ? NULL : informer_new(d->c->loop, d->c->client, &budgets);
    int r = 0;
    d->live = p;
    informer_add_handlers(p, &(struct informer_handlers){on_pod, on_pods_known, d});
    if (b)
        informer_add_handlers(b, &(struct informer_handlers){.changed = on_budget, .userdata = d});
    if (d->deadline)
        r = sd_event_add_time(d->c->loop, &timer, CLOCK_MONOTONIC, d->deadline, 1000, on_late, d);
    while (r >= 0 && d->open > 0 && !d->late)
        r = sd_event_run(d->c->loop, UINT64_MAX);
    for (size_t i = 0; i < d->n; i++)
        client_cancel(d->c->client, d->pods[i].call);
    d->retry = sd_event_source_disable_unref(d->retry);
    return r;
}

static void forget_pods(struct drain *d) {
    for (size_t i = 0; i < d->n; i++)
        json_unref(d->pods[i].pod);
    free(d->pods);
    d->pods = NULL;
    d->n = d->cap = d->open = 0;
    d->failed = false;
}

static void tell_blocked(const struct drain *d) {
    for (size_t i = 0; i < d->n; i++)
        if (d->pods[i].stage != STAGE_GONE && d->pods[i].stage != STAGE_FAILED)
            fprintf(stderr, "  %s/%s %s\n", meta(d->pods[i].pod, "namespace"), meta(d->pods[i].pod, "name"),
                    d->pods[i].stage == STAGE_BLOCKED ? "is held by its disruption budget" : "has not ended yet");
}

static int drain_node(struct drain *d) {
    _cleanup_strbuf_ struct strbuf errors = STRBUF_INIT;
    _cleanup_json_ struct json *pods = NULL;
    _cleanup_free_ char *selector = xasprintf("spec.nodeName=%s", d->node->name);
    const struct client_request list = {.verb = CLIENT_LIST,
                                        .resource = resource_by_plural("", "v1", "pods"),
                                        .label_selector = args_str(&d->c->args, "pod-selector"),
                                        .field_selector = selector};
    if (node_set_cordoned(d->c, d->node, true, d->dry_run) != 0 || cli_call(d->c, &list, NULL, &pods) < 0)
        return 1;
    if (!choose(d, json_get(pods, "items"), &errors))
        return cli_fail("unable to drain node \"%s\": %s", d->node->name, strbuf_str(&errors));
    for (size_t i = 0; i < d->n && d->dry_run; i++)
        printf("%s pod %s/%s (dry run)\n", d->delete ? "deleting" : "evicting", meta(d->pods[i].pod, "namespace"),
               meta(d->pods[i].pod, "name"));
    int r = d->dry_run || d->n == 0 ? 0 : see_them_off(d, selector);
    if (r < 0)
        return cli_fail("%s", error_text(NULL, r));
    if (d->late) {
        (void) cli_fail("unable to drain node \"%s\": global timeout reached, left are:", d->node->name);
        tell_blocked(d);
        return 1;
    }
    if (d->failed)
        return cli_fail("unable to drain node \"%s\": not all pods could be %s", d->node->name,
                        d->delete ? "deleted" : "evicted");
    printf("node/%s drained%s\n", d->node->name, d->dry_run ? " (dry run)" : "");
    return 0;
}

int cli_verb_drain(struct cli *c) {
    _cleanup_targets_ struct targets nodes = TARGETS_INIT;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    const char *dry_run = args_str(&c->args, "dry-run");
    struct drain d = {.c = c, .grace = -1, .delete = args_bool(&c->args, "disable-eviction", false)};
    int64_t timeout = 0;
    int r = args_int(&c->args, "grace-period", -1, INT32_MAX, &d.grace, &err);
    if (r >= 0)
        r = args_duration(&c->args, "timeout", &timeout, &err);
    if (r < 0)
        return cli_usage(c, "%s", error_text(&err, r));
    d.rules = (struct drain_rules){.ignore_daemonsets = args_bool(&c->args, "ignore-daemonsets", false),
                                   .delete_emptydir_data = args_bool(&c->args, "delete-emptydir-data", false),
                                   .force = args_bool(&c->args, "force", false)};
    d.dry_run = dry_run && strcmp(dry_run, "none") != 0;
    d.deadline = timeout > 0 ? now_monotonic_usec() + (uint64_t) timeout : 0;
    r = nodes_by_typed(c, c->args.words, &nodes);
    int failed = r;
    for (size_t i = 0; i < nodes.n && r == 0; i++) {
        d.node = &nodes.items[i];
        failed |= drain_node(&d);
        forget_pods(&d);
    }
    return failed;
}
