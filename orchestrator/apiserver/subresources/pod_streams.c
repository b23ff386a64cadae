/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pods/log, pods/exec, pods/attach, pods/portforward: checks against the pod, and what to ask of its node. */
#include <string.h>

#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/status.h"
#include "orchestrator/apiserver/subresources/stream.h"
#include "orchestrator/apiserver/subresources/subresources.h"
#include "orchestrator/object/timestamp.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

#define FORWARD_PORTS_MAX 100 /* channel numbers are one byte, two for each port */

void api_stream_free(struct api_stream *s) {
    if (!s)
        return;
    if (s->log) { /* comes back here when the loop is done with the strings */
        log_stream_close(steal(&s->log), s);
        return;
    }
    free(s->node);
    free(s->ns);
    free(s->name);
    free(s->uid);
    free(s->container);
    strv_free(s->argv);
    free(s->ports);
    free(s);
}

static const char *const container_lists[] = {"containers", "initContainers", "ephemeralContainers"};

static bool has_container(const struct json *pod, const char *name) {
    for (size_t i = 0; i < ARRAY_LEN(container_lists); i++) {
        const struct json *list = json_path(pod, "spec", container_lists[i]);
        for (size_t j = 0; j < json_len(list); j++)
            if (strcmp(json_str_or(json_get(json_at(list, j), "name"), ""), name) == 0)
                return true;
    }
    return false;
}

static bool choose_container(struct api_request *req, const struct json *pod, char **ret) {
    const char *name = api_param(req, "container");
    const struct json *list = json_path(pod, "spec", "containers");
    if (name && *name) {
        if (!has_container(pod, name)) {
            (void) api_bad_request(req, "container %s is not valid for pod %s", name, req->name);
            return false;
        }
        *ret = xstrdup(name);
        return true;
    }
    if (json_len(list) == 1) {
        *ret = xstrdup(json_str_or(json_get(json_at(list, 0), "name"), ""));
        return true;
    }
    _cleanup_strbuf_ struct strbuf names = STRBUF_INIT;
    for (size_t i = 0; i < json_len(list); i++)
        strbuf_addf(&names, "%s%s", i ? " " : "", json_str_or(json_get(json_at(list, i), "name"), ""));
    (void) api_bad_request(req, "a container name must be specified for pod %s, choose one of: [%s]", req->name,
                           strbuf_str(&names));
    return false;
}

/* The pod must exist and be on a node that can be asked. */
struct api_stream *api_stream_of_pod(struct api_request *req, enum api_stream_kind kind, const char *name) {
    _cleanup_(store_item_unrefp) struct store_item *item = store_get(req->api->store, "pods", req->ns, name);
    if (!item) {
        (void) api_not_found(req, name);
        return NULL;
    }
    const struct json *pod = store_item_doc(item);
    const char *node = json_str_or(json_path(pod, "spec", "nodeName"), "");
    _cleanup_free_ char *container = NULL;
    if ((kind == API_STREAM_LOG || kind == API_STREAM_COMMAND) && !choose_container(req, pod, &container))
        return NULL;
    if (!*node) {
        (void) api_bad_request(req, "pod %s does not have a host assigned", name);
        return NULL;
    }
    if (!req->api->node_ops || !req->watch_allowed) {
        (void) api_fail(req, 503, "ServiceUnavailable", "no connection to node \"%s\"", node);
        return NULL;
    }
    struct api_stream *s = xnew0(struct api_stream);
    s->kind = kind;
    s->api = req->api;
    s->node = xstrdup(node);
    s->ns = xstrdup(req->ns);
    s->name = xstrdup(name);
    s->uid = xstrdup(json_str_or(json_path(pod, "metadata", "uid"), ""));
    s->container = steal(&container);
    s->logs.pod = s->exec.pod = (struct node_pod){s->node, s->ns, s->name, s->uid, s->container};
    return s;
}

struct api_stream *api_stream_of_node(struct api_request *req, enum api_stream_kind kind, const char *name) {
    _cleanup_(store_item_unrefp) struct store_item *item = store_get(req->api->store, "nodes", "", name);

    if (!item) {
        (void) api_not_found(req, name);
        return NULL;
    }
    if (!req->api->node_ops || !req->watch_allowed) {
        (void) api_fail(req, 503, "ServiceUnavailable", "no connection to node \"%s\"", name);
        return NULL;
    }
    struct api_stream *s = xnew0(struct api_stream);
    s->kind = kind;
    s->api = req->api;
    s->to_node = true;
    s->node = xstrdup(name);
    s->name = xstrdup(name);
    return s;
}

enum api_progress api_reply_stream(struct api_request *req, struct api_stream *s) {
    req->out.kind = API_OUT_STREAM;
    req->out.code = 200;
    req->out.stream = s;
    return API_DONE;
}

static void wake_request(void *userdata) {
    struct api_request *req = userdata;
    req->resume(req);
}

/* The first bytes, or the end, have come. */
static enum api_progress log_ready(struct api_request *req) {
    struct api_stream *s = steal(&req->out.stream);
    const char *message;
    int r = log_stream_failure(s->log, &message);
    if (r == 0)
        return api_reply_stream(req, s);
    if (r == -EHOSTUNREACH)
        (void) api_fail(req, 503, "ServiceUnavailable", "no connection to node \"%s\"", s->node);
    else if (r == -ENOENT || r == -EINVAL)
        (void) api_bad_request(req, "%s", message);
    else
        (void) api_internal_error(req, "cannot read the log of container %s: %s", s->container, message);
    api_stream_free(s);
    return API_DONE;
}

/* -1 when it is not given. What is no number cannot be read at all. */
static bool number_param(struct api_request *req, const char *key, bool *ret_given, int64_t *ret) {
    const char *v = api_param(req, key);
    char *end = NULL;
    *ret = -1;
    *ret_given = v && *v;
    if (!*ret_given)
        return true;
    *ret = strtoll(v, &end, 10);
    if (!*end)
        return true;
    (void) api_bad_request(req, "strconv.ParseInt: parsing \"%s\": invalid syntax", v);
    return false;
}

static void check_at_least(struct field_errors *errors, const char *key, bool given, int64_t v, int64_t least) {
    _cleanup_json_ struct json *value = json_int(v);
    if (given && v < least)
        field_errors_add(errors, "FieldValueInvalid", key, value, "must be greater than %s0",
                         least ? "" : "or equal to ");
}

/* Upstream's ValidatePodLogOptions. */
static bool read_log_options(struct api_request *req, struct node_logs_request *l) {
    _cleanup_field_errors_ struct field_errors errors = FIELD_ERRORS_INIT;
    const char *since = api_param(req, "sinceTime");
    bool tail, limit, ago;
    int64_t seconds;
    if (!number_param(req, "tailLines", &tail, &l->tail_lines) ||
        !number_param(req, "limitBytes", &limit, &l->limit_bytes) || !number_param(req, "sinceSeconds", &ago, &seconds))
        return false;
    if (since && *since && timestamp_parse(since, &l->since_usec) < 0) {
        (void) api_bad_request(req, "sinceTime \"%s\" is not in RFC 3339 form", since);
        return false;
    }
    check_at_least(&errors, "tailLines", tail, l->tail_lines, 0);
    check_at_least(&errors, "limitBytes", limit, l->limit_bytes, 1);
    if (ago && since && *since)
        field_errors_add(&errors, "FieldValueForbidden", "", NULL,
                         "at most one of `sinceTime` or `sinceSeconds` may be specified");
    else
        check_at_least(&errors, "sinceSeconds", ago, seconds, 1);
    if (errors.n > 0) {
        (void) api_invalid(req, "PodLogOptions", "", req->name, &errors);
        return false;
    }
    if (ago)
        l->since_usec = now_realtime_usec() - (uint64_t) seconds * USEC_PER_SEC;
    return true;
}

enum api_progress logs_serve(struct api_request *req) {
    struct node_logs_request l = {0};
    if (strcmp(req->verb, "get") != 0)
        return api_method_not_supported(req, req->verb);
    l.follow = api_param_bool(req, "follow");
    l.previous = api_param_bool(req, "previous");
    l.timestamps = api_param_bool(req, "timestamps");
    if (!read_log_options(req, &l))
        return API_DONE;
    struct api_stream *s = api_stream_of_pod(req, API_STREAM_LOG, req->name);
    if (!s)
        return API_DONE;
    l.pod = s->logs.pod;
    s->logs = l;
    s->log = log_stream_open(req->api, &s->logs);
    if (l.follow) /* may be silent for hours: an answer without bytes tells the client that it is being served */
        return api_reply_stream(req, s);
    req->next = log_ready;
    req->out.stream = s;
    log_stream_set_wake(s->log, wake_request, req);
    return API_PENDING;
}

static bool channel_wanted(const struct api_request *req, const char *key) {
    return api_param(req, key) && api_param_bool(req, key);
}

static enum api_progress open_command(struct api_request *req, bool attach) {
    struct api_stream *s = api_stream_of_pod(req, API_STREAM_COMMAND, req->name);
    if (!s)
        return API_DONE;
    s->argv = attach ? NULL : strv_new();
    for (size_t i = 0; i < req->n_params && !attach; i++)
        if (strcmp(req->params[i].key, "command") == 0)
            strv_push_dup(&s->argv, req->params[i].value);
    s->exec.argv = s->argv;
    s->exec.tty = channel_wanted(req, "tty");
    s->exec.in = channel_wanted(req, "stdin");
    s->exec.out = channel_wanted(req, "stdout");
    s->exec.err = channel_wanted(req, "stderr") && !s->exec.tty;
    if ((!attach && !s->argv[0]) || (!s->exec.in && !s->exec.out && !s->exec.err)) {
        api_stream_free(s);
        return api_bad_request(req, attach || req->n_params == 0
                                        ? "you must specify at least 1 of stdin, stdout, stderr"
                                        : "you must specify at least one command for the container, and at least 1 of "
                                          "stdin, stdout, stderr");
    }
    return api_reply_stream(req, s);
}

enum api_progress exec_serve(struct api_request *req) {
    return open_command(req, false);
}

enum api_progress attach_serve(struct api_request *req) {
    return open_command(req, true);
}

/* "80", "80,81": the ports of a WebSocket without streams of its own. */
static bool read_ports(const struct api_request *req, struct api_stream *s) {
    for (size_t i = 0; i < req->n_params; i++) {
        if (strcmp(req->params[i].key, "ports") != 0)
            continue;
        for (const char *p = req->params[i].value; *p;) {
            char *end;
            long port = strtol(p, &end, 10);
            if (end == p || (*end && *end != ',') || port < 1 || port > 65535 || s->n_ports >= FORWARD_PORTS_MAX)
                return false;
            s->ports = xreallocarray(s->ports, s->n_ports + 1, sizeof(*s->ports));
            s->ports[s->n_ports++] = (int) port;
            p = *end ? end + 1 : end;
        }
    }
    return true;
}

enum api_progress portforward_serve(struct api_request *req) {
    struct api_stream *s = api_stream_of_pod(req, API_STREAM_FORWARD, req->name);

    if (!s)
        return API_DONE;
    if (read_ports(req, s))
        return api_reply_stream(req, s);
    api_stream_free(s);
    return api_bad_request(req, "query parameter \"ports\" must be numbers from 1 to 65535, %d at most",
                           FORWARD_PORTS_MAX);
}
