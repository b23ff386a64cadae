/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/cli/session.h"

#include <stdarg.h>
#include <string.h>

#include "orchestrator/client/http_client.h"
#include "podium/base/alloc.h"

int cli_connect(struct cli *c) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    if (c->connected)
        return 0;
    const struct connection_options o = {
        .kubeconfig = args_str(&c->args, "kubeconfig"),
        .context = args_str(&c->args, "context"),
        .server = args_str(&c->args, "server"),
        .token = args_str(&c->args, "token"),
    };
    int r = connection_open(&o, &c->connection, &err);
    if (r < 0)
        return cli_fail("%s", error_text(&err, r));
    c->connected = true;
    r = sd_event_new(&c->loop);
    if (r == 0)
        r = connection_client(&c->connection, c->loop, &c->client, &err);
    if (r < 0)
        return cli_fail("%s", error_text(&err, r));
    const char *ns = args_str(&c->args, "namespace");
    c->ns = ns && *ns ? ns : c->connection.kube.ns ? c->connection.kube.ns : "default";
    c->all_namespaces = args_bool(&c->args, "all-namespaces", false);
    return 0;
}

const char *cli_color(int fd, const char *code, char buf[16]) {
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    *buf = 0;
    if (isatty(fd) && !(no && *no) && !(term && strcmp(term, "dumb") == 0))
        snprintf(buf, 16, "\033[%sm", code);
    return buf;
}

bool cli_interactive(void) {
    return isatty(STDERR_FILENO);
}

/* What was printed before must stand before what goes wrong now. */
static void begin_error(const char *word) {
    char on[16], off[16];
    (void) fflush(stdout);
    fprintf(stderr, "%s%s%s", cli_color(STDERR_FILENO, "31", on), word, cli_color(STDERR_FILENO, "0", off));
}

int cli_fail(const char *fmt, ...) {
    va_list ap;
    begin_error("error: ");
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    return 1;
}

int cli_usage(const struct cli *c, const char *fmt, ...) {
    va_list ap;
    begin_error("error: ");
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\nSee 'podium help%s%s'.\n", c && c->verb ? " " : "", c && c->verb ? c->verb->name : "");
    return 2;
}

static void advise(const struct cli *c, int code) {
    const char *source = c->connection.source ? c->connection.source : "";
    if (code == 0)
        fprintf(stderr,
                "Is the server running? The address is from %s; `podium up` starts a local cluster, `systemctl "
                "status podium-server` shows a host's own.\n",
                source);
    else if (code == 401)
        fprintf(stderr, "The server does not accept the credentials of %s: it may belong to an earlier cluster.\n",
                source);
}

int cli_refused(const struct cli *c, const char *prefix, int code, const struct json *status, const char *text) {
    const char *reason = json_str_or(json_get(status, "reason"), "");
    if (code == 0) {
        begin_error("error: ");
        fprintf(stderr, "%s%s\n", prefix, text);
    } else {
        begin_error("Error from server");
        if (*reason)
            fprintf(stderr, " (%s)", reason);
        fprintf(stderr, ": %s%s\n", prefix, text);
    }
    advise(c, code);
    return 1;
}

int cli_call(struct cli *c, const struct client_request *r, const char *prefix, struct json **ret) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_json_ struct json *answer = NULL;
    int code = 0;
    int e = client_call_wait(c->loop, c->client, r, &code, &answer, &err);
    if (e < 0) {
        (void) cli_refused(c, prefix ? prefix : "", code, answer, error_text(&err, e));
        return e;
    }
    if (ret)
        *ret = steal(&answer);
    return 0;
}

int cli_get_json(struct cli *c, const char *target, const char *accept, bool ignore_not_found, struct json **ret) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_json_ struct json *doc = NULL;
    _cleanup_strbuf_ struct strbuf answer = STRBUF_INIT;
    const struct plain_request request = {.target = target, .accept = accept};
    int code = 0;
    int r = connection_get(&c->connection, &request, &code, &answer, &err);
    if (r < 0) {
        (void) cli_refused(c, "", 0, NULL, error_text(&err, r));
        return r;
    }
    r = json_parse(strbuf_str(&answer), answer.len, NULL, &doc, &err);
    if (code == 404 && ignore_not_found)
        return -ENOENT;
    if (code < 200 || code >= 300) {
        (void) cli_refused(c, "", code, doc, json_str_or(json_get(doc, "message"), strbuf_str(&answer)));
        return code == 404 ? -ENOENT : -EIO;
    }
    if (r < 0) {
        (void) cli_fail("the server's answer is no JSON: %s", error_text(&err, r));
        return r;
    }
    *ret = steal(&doc);
    return 0;
}
