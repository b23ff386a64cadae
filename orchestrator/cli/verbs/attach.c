/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "orchestrator/cli/exec_stream.h"
#include "orchestrator/cli/pods.h"
#include "orchestrator/cli/query.h"
#include "orchestrator/cli/verbs/verbs.h"
#include "orchestrator/client/http_client.h"
#include "podium/base/alloc.h"

const struct flag flags_attach[] = {
    {"container", 'c', FLAG_VALUE, NULL, "NAME", "which container (the pod's default or first one)"},
    {"stdin", 'i', FLAG_BOOL, NULL, NULL, "pass standard input to it"},
    {"tty", 't', FLAG_BOOL, NULL, NULL, "its terminal becomes ours"},
    {"quiet", 'q', FLAG_BOOL, NULL, NULL, "only what the container says"},
    FLAG_END,
};

static const struct json *container_of_name(const struct json *pod, const char *name) {
    static const char *const lists[] = {"containers", "initContainers", "ephemeralContainers"};

    for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
        const struct json *list = json_path(pod, "spec", lists[l]);
        for (size_t i = 0; i < json_len(list); i++)
            if (strcmp(json_str_or(json_get(json_at(list, i), "name"), ""), name) == 0)
                return json_at(list, i);
    }
    return NULL;
}

static char *attach_target(const struct json *pod, const char *container, bool in, bool tty) {
    const struct client_request r = {.verb = CLIENT_GET,
                                     .resource = resource_by_name("pods"),
                                     .ns = json_str(json_path(pod, "metadata", "namespace")),
                                     .name = json_str(json_path(pod, "metadata", "name")),
                                     .subresource = "attach"};
    _cleanup_free_ char *path = http_request_target(&r, false);
    struct strbuf b = STRBUF_INIT;

    strbuf_adds(&b, path);
    query_add(&b, "container", container);
    if (in)
        query_add(&b, "stdin", "true");
    query_add(&b, "stdout", "true");
    query_add(&b, tty ? "tty" : "stderr", "true");
    return strbuf_steal(&b);
}

/* What cannot be done is said, and left out. */
static void check_streams(const struct json *pod, const char *name, bool *in, bool *tty) {
    const struct json *container = container_of_name(pod, name);
    const char *why = NULL;

    if (*in && container && !json_bool_or(json_get(container, "stdin"), false)) {
        fprintf(stderr, "Container %s has no standard input to pass anything to (stdin: true)\n", name);
        *in = false;
    }
    if (!*tty)
        return;
    if (container && !json_bool_or(json_get(container, "tty"), false))
        why = "the container has none (tty: true)";
    else if (!*in || !isatty(STDIN_FILENO))
        why = *in ? "input is not a terminal or the right kind of file" : "-t needs -i";
    if (why)
        fprintf(stderr, "Unable to use a TTY - %s\n", why);
    *tty = !why;
}

int cli_verb_attach(struct cli *c) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_json_ struct json *pod = NULL;
    struct exec_result result;
    char *const *words = c->args.words;
    bool in = args_bool(&c->args, "stdin", false), tty = args_bool(&c->args, "tty", false);

    if (!*words || words[1])
        return cli_usage(c, "one pod is wanted: podium attach POD");
    int r = cli_connect(c);
    if (r == 0)
        r = pod_by_typed(c, *words, &pod);
    if (r != 0)
        return r;
    const char *container = pod_container(c, pod);
    check_streams(pod, container, &in, &tty);
    if (cli_interactive() && !args_bool(&c->args, "quiet", false) && in && tty)
        fputs("If you don't see a command prompt, try pressing enter.\n", stderr);
    _cleanup_free_ char *target = attach_target(pod, container, in, tty);
    const struct exec_options options = {
        .target = target, .in = in, .tty = tty, .in_fd = STDIN_FILENO, .out_fd = STDOUT_FILENO};
    r = exec_stream(&c->connection, &options, &result, &err);
    _cleanup_json_ struct json *status = result.status;
    if (r == 0)
        return result.exit_code;
    if (result.code)
        return cli_refused(c, "", result.code, status, error_text(&err, r));
    return cli_fail("%s", error_text(&err, r));
}
