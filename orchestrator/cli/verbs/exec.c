/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "orchestrator/cli/exec_stream.h"
#include "orchestrator/cli/pods.h"
#include "orchestrator/cli/query.h"
#include "orchestrator/cli/verbs/verbs.h"
#include "orchestrator/client/http_client.h"
#include "podium/base/alloc.h"

const struct flag flags_exec[] = {
    {"container", 'c', FLAG_VALUE, NULL, "NAME", "which container (the pod's default or first one)"},
    {"stdin", 'i', FLAG_BOOL, NULL, NULL, "pass standard input to the command"},
    {"tty", 't', FLAG_BOOL, NULL, NULL, "give the command a terminal"},
    {"quiet", 'q', FLAG_BOOL, NULL, NULL, "only what the command says"},
    FLAG_END,
};

static char *exec_target(const struct cli *c, const struct json *pod, const char *container, char *const *argv, bool in,
                         bool tty) {
    const struct client_request r = {.verb = CLIENT_GET,
                                     .resource = resource_by_name("pods"),
                                     .ns = json_str(json_path(pod, "metadata", "namespace")),
                                     .name = json_str(json_path(pod, "metadata", "name")),
                                     .subresource = "exec"};
    _cleanup_free_ char *path = http_request_target(&r, false);
    struct strbuf b = STRBUF_INIT;
    strbuf_adds(&b, path);
    query_add(&b, "container", container);
    for (; *argv; argv++)
        query_add(&b, "command", *argv);
    if (in)
        query_add(&b, "stdin", "true");
    query_add(&b, "stdout", "true");
    query_add(&b, tty ? "tty" : "stderr", "true");
    return strbuf_steal(&b);
}

int cli_verb_exec(struct cli *c) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_json_ struct json *pod = NULL;
    struct exec_result result;
    char *const *words = c->args.words;
    bool in = args_bool(&c->args, "stdin", false), tty = args_bool(&c->args, "tty", false);
    if (!*words)
        return cli_usage(c, "a pod is wanted: podium exec POD -- COMMAND");
    char *const *argv = c->args.has_rest ? c->args.rest : words + 1;
    if (!*argv)
        return cli_usage(c, "you must specify at least one command for the container: podium exec %s -- COMMAND",
                         *words);
    if (c->args.has_rest && words[1])
        return cli_usage(c, "one pod, then --, then the command");
    int r = cli_connect(c);
    if (r == 0)
        r = pod_by_typed(c, *words, &pod);
    if (r != 0)
        return r;
    if (tty && (!in || !isatty(STDIN_FILENO))) {
        fprintf(stderr, "Unable to use a TTY - %s\n",
                in ? "input is not a terminal or the right kind of file" : "-t needs -i");
        tty = false;
    }
    const char *container = pod_container(c, pod);
    _cleanup_free_ char *target = exec_target(c, pod, container, argv, in, tty);
    const struct exec_options options = {
        .target = target, .in = in, .tty = tty, .in_fd = STDIN_FILENO, .out_fd = STDOUT_FILENO};
    r = exec_stream(&c->connection, &options, &result, &err);
    _cleanup_json_ struct json *status = result.status;
    if (r == 0 && result.exit_code != 0 && !args_bool(&c->args, "quiet", false) && cli_interactive() && !tty)
        fprintf(stderr, "command terminated with exit code %d\n", result.exit_code);
    if (r == 0)
        return result.exit_code;
    if (result.code)
        return cli_refused(c, "", result.code, status, error_text(&err, r));
    return cli_fail("%s", error_text(&err, r));
}
