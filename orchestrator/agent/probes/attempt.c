/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/probes/attempt.h"

#include <signal.h>
#include <string.h>

#include "orchestrator/agent/model.h"
#include "orchestrator/agent/probes/grpc.h"
#include "orchestrator/agent/probes/http.h"
#include "orchestrator/agent/probes/target.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/strbuf.h"

#define USER_AGENT         "kube-probe/1.32"
#define OUTPUT_BYTES_MAX   10240
#define GRPC_OK            0
#define GRPC_DEADLINE      4
#define GRPC_UNIMPLEMENTED 12

struct probe_attempt {
    struct probe_request request;
    struct http_request *http;
    struct agent_exec *exec;
    sd_event_source *timer; /* of a program's timeout, or of a failure to be told later */
    struct strbuf output;
    uint64_t timeout;
    char *problem, *authority;
};

struct http_pool *agent_http_pool(struct agent *agent, struct error *err) {
    if (!agent->http && http_pool_new(agent->loop, &agent->http, err) < 0)
        return NULL;
    return agent->http;
}

static void attempt_free(struct probe_attempt *a) {
    http_request_cancel(a->http);
    if (a->exec) {
        agent_exec_kill(a->exec, SIGKILL);
        agent_exec_close(a->exec);
    }
    sd_event_source_disable_unref(a->timer);
    strbuf_finish(&a->output);
    free(a->problem);
    free(a->authority);
    free(a);
}

void probe_attempt_cancel(struct probe_attempt *a) {
    if (a)
        attempt_free(a);
}

static void finish(struct probe_attempt *a, enum probe_outcome outcome, const char *text) {
    const struct probe_result result = {.outcome = outcome, .text = text};

    a->request.done(a->request.userdata, &result);
    attempt_free(a);
}

static enum probe_outcome failure(int error) {
    return error == -ECONNREFUSED ? PROBE_REFUSED : PROBE_FAILURE;
}

/* --- HTTP and TCP --- */

static void on_http(void *userdata, const struct http_answer *answer) {
    struct probe_attempt *a = userdata;
    _cleanup_free_ char *text = NULL;

    a->http = NULL;
    if (answer->error < 0) {
        finish(a, failure(answer->error), answer->text);
    } else if (answer->code >= 300 && answer->code < 400) {
        text = xasprintf("Probe terminated redirects, Response body: %s", answer->body);
        const struct probe_result result = {.outcome = PROBE_SUCCESS, .warning = true, .text = text};
        a->request.done(a->request.userdata, &result);
        attempt_free(a);
    } else if (answer->code >= 200 && answer->code < 300) {
        finish(a, PROBE_SUCCESS, answer->body);
    } else {
        text = xasprintf("HTTP probe failed with statuscode: %ld", answer->code);
        finish(a, PROBE_FAILURE, text);
    }
}

static void on_tcp(void *userdata, const struct http_answer *answer) {
    struct probe_attempt *a = userdata;

    a->http = NULL;
    finish(a, answer->error < 0 ? failure(answer->error) : PROBE_SUCCESS, answer->text ? answer->text : "");
}

static int send(struct probe_attempt *a, const struct http_options *o, http_done_fn done, struct error *err) {
    struct http_pool *pool = agent_http_pool(a->request.pod->agent, err);

    return pool ? http_request_start(pool, o, done, a, &a->http, err) : -ENOMEM;
}

static int start_http(struct probe_attempt *a, const struct json *get, struct error *err) {
    _cleanup_free_ char *url = NULL;
    int r = probe_http_url(a->request.document, get, a->request.pod->ip, &url, err);

    if (r < 0)
        return r;
    _cleanup_strv_ char **headers = probe_http_headers(get);
    const struct http_options o = {
        .mode = HTTP_PROBE, .url = url, .headers = headers, .user_agent = USER_AGENT, .timeout_usec = a->timeout};
    return send(a, &o, on_http, err);
}

static int start_tcp(struct probe_attempt *a, const struct json *socket, struct error *err) {
    const char *host = json_str_or(json_get(socket, "host"), "");
    uint16_t port = 0;
    int r = probe_port(a->request.document, socket, &port, err);

    if (r < 0)
        return r;
    _cleanup_free_ char *authority = probe_authority(*host ? host : a->request.pod->ip, port);
    _cleanup_free_ char *url = xasprintf("http://%s", authority);
    const struct http_options o = {.mode = HTTP_TCP, .url = url, .timeout_usec = a->timeout};
    return send(a, &o, on_tcp, err);
}

/* --- gRPC --- */

static void finish_grpc(struct probe_attempt *a, const struct http_answer *answer) {
    int status = answer->grpc_status ? (int) strtol(answer->grpc_status, NULL, 10) : -1;
    const char *message = answer->grpc_message ? answer->grpc_message : "";
    _cleanup_free_ char *text = NULL;

    if (status == GRPC_UNIMPLEMENTED) {
        text = xasprintf("error: this server does not implement the grpc health protocol (grpc.health.v1.Health): %s",
                         message);
    } else if (status == GRPC_DEADLINE) {
        text = xasprintf("timeout: health rpc did not complete within %gs", (double) a->timeout / USEC_PER_SEC);
    } else if (status != GRPC_OK) {
        text = answer->grpc_status
                   ? xasprintf("error: health rpc failed: rpc error: code = %d desc = %s", status, message)
                   : xasprintf("error: health rpc failed: the answer is no gRPC (HTTP status %ld)", answer->code);
    } else {
        int health = grpc_health_answer(answer->body, answer->n_body);
        if (health == 1) {
            finish(a, PROBE_SUCCESS, "service healthy");
            return;
        }
        text = health < 0 ? xstrdup("error: health rpc failed: malformed answer")
                          : xasprintf("service unhealthy (responded with \"%s\")", grpc_health_name(health));
    }
    finish(a, PROBE_FAILURE, text);
}

static void on_grpc(void *userdata, const struct http_answer *answer) {
    struct probe_attempt *a = userdata;
    _cleanup_free_ char *text = NULL;

    a->http = NULL;
    if (answer->error == 0) {
        finish_grpc(a, answer);
        return;
    }
    if (answer->error == -ETIMEDOUT)
        text = xasprintf("timeout: failed to connect service \"%s\" within %gs: context deadline exceeded",
                         a->authority, (double) a->timeout / USEC_PER_SEC);
    else
        text = xasprintf("error: failed to connect service at \"%s\": %s", a->authority, answer->text);
    finish(a, failure(answer->error), text);
}

static int start_grpc(struct probe_attempt *a, const struct json *grpc, struct error *err) {
    _cleanup_strbuf_ struct strbuf body = STRBUF_INIT;
    uint16_t port = 0;
    int r = probe_port(a->request.document, grpc, &port, err);

    if (r < 0)
        return r;
    grpc_health_request(json_str_or(json_get(grpc, "service"), ""), &body);
    a->authority = probe_authority(a->request.pod->ip, port);
    _cleanup_free_ char *url = xasprintf("http://%s" GRPC_HEALTH_PATH, a->authority);
    const struct http_options o = {.mode = HTTP_GRPC,
                                   .url = url,
                                   .user_agent = USER_AGENT,
                                   .timeout_usec = a->timeout,
                                   .body = strbuf_str(&body),
                                   .n_body = body.len};
    return send(a, &o, on_grpc, err);
}

/* --- programs --- */

static void on_output(void *userdata, enum agent_exec_stream stream, const void *p, size_t n) {
    struct probe_attempt *a = userdata;
    size_t room = OUTPUT_BYTES_MAX - a->output.len;

    strbuf_add(&a->output, p, n < room ? n : room);
}

static void on_exit_(void *userdata, int exit_code, const char *error) {
    struct probe_attempt *a = userdata;
    _cleanup_free_ char *why = error ? xstrdup(error) : NULL; /* the program's, which goes now */

    agent_exec_close(steal(&a->exec));
    if (why) {
        const struct probe_result result = {.outcome = PROBE_FAILURE, .errored = true, .text = why};
        a->request.done(a->request.userdata, &result);
        attempt_free(a);
        return;
    }
    finish(a, exit_code == 0 ? PROBE_SUCCESS : PROBE_FAILURE, strbuf_str(&a->output));
}

static const struct agent_exec_callbacks exec_callbacks = {.data = on_output, .exit = on_exit_};

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata) {
    struct probe_attempt *a = userdata;
    const struct json *command = json_path(a->request.probe, "exec", "command");
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    strbuf_adds(&text, "command timed out: \"");
    for (size_t i = 0; i < json_len(command); i++)
        strbuf_addf(&text, "%s%s", i ? " " : "", json_str_or(json_at(command, i), ""));
    strbuf_addf(&text, "\" timed out after %gs", (double) a->timeout / USEC_PER_SEC);
    finish(a, PROBE_FAILURE, strbuf_str(&text));
    return 0;
}

static int start_exec(struct probe_attempt *a, const struct json *exec, struct error *err) {
    const struct json *command = json_get(exec, "command");
    struct agent_pod *pod = a->request.pod;
    _cleanup_strv_ char **args = strv_new();

    for (size_t i = 0; i < json_len(command); i++)
        strv_push_dup(&args, json_str_or(json_at(command, i), ""));
    const struct agent_exec_options o = {.uid = pod->uid,
                                         .container = json_str_or(json_get(a->request.document, "name"), ""),
                                         .args = args,
                                         .stdout_ = true,
                                         .stderr_ = true};
    int r = agent_exec_open(pod->agent, &o, &exec_callbacks, a, &a->exec, err);
    if (r < 0)
        return r;
    r = sd_event_add_time_relative(pod->agent->loop, &a->timer, CLOCK_MONOTONIC, a->timeout, 10 * USEC_PER_MSEC,
                                   on_timeout, a);
    return r < 0 ? error_set_errno(err, r, "cannot use the event loop") : 0;
}

/* --- all of them --- */

static int on_problem(sd_event_source *source, uint64_t usec, void *userdata) {
    struct probe_attempt *a = userdata;
    const struct probe_result result = {.outcome = PROBE_FAILURE, .errored = true, .text = a->problem};

    a->request.done(a->request.userdata, &result);
    attempt_free(a);
    return 0;
}

static const struct {
    const char *member;
    int (*start)(struct probe_attempt *a, const struct json *handler, struct error *err);
} handlers[] = {{"exec", start_exec}, {"httpGet", start_http}, {"tcpSocket", start_tcp}, {"grpc", start_grpc}};

void probe_attempt_start(const struct probe_request *request, struct probe_attempt **ret) {
    struct probe_attempt *a = xnew0(struct probe_attempt);
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    int64_t timeout = json_int_or(json_get(request->probe, "timeoutSeconds"), 1);
    int r = error_set(&err, -EINVAL, "missing probe handler for %s:%s", request->pod->name,
                      json_str_or(json_get(request->document, "name"), ""));

    *a = (struct probe_attempt){.request = *request, .timeout = (uint64_t) (timeout > 0 ? timeout : 1) * USEC_PER_SEC};
    for (size_t i = 0; i < ARRAY_LEN(handlers); i++) {
        const struct json *handler = json_get(request->probe, handlers[i].member);
        if (json_is_object(handler)) {
            r = handlers[i].start(a, handler, &err);
            break;
        }
    }
    *ret = a;
    if (r >= 0)
        return;
    sd_event_source_disable_unref(steal(&a->timer));
    a->problem = xstrdup(error_text(&err, r));
    if (sd_event_add_time_relative(request->pod->agent->loop, &a->timer, CLOCK_MONOTONIC, 0, 0, on_problem, a) < 0)
        abort(); /* no memory for an event source */
}
