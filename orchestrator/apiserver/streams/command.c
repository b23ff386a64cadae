/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the sessions of exec and attach have in common. */
#include "orchestrator/apiserver/streams/sessions.h"
#include "podium/base/alloc.h"

static char *exit_message(const struct node_stream_end *end) {
    return xasprintf("command terminated with non-zero exit code: exit status %d", end->exit_status);
}

char *command_failure(const struct api_stream *request, const struct node_stream_end *end) {
    if (end->error)
        return xstrdup(end->message ? end->message : error_text(NULL, end->error));
    return request->exec.argv && end->exit_status ? exit_message(end) : NULL;
}

struct json *command_status(const struct api_stream *request, const struct node_stream_end *end) {
    _cleanup_free_ char *message = command_failure(request, end);
    struct json *s = json_object();

    json_set(&s, "metadata", json_object());
    json_set(&s, "status", json_string(message ? "Failure" : "Success"));
    if (!message)
        return s;
    json_set(&s, "message", json_string(message));
    json_set(&s, "reason", json_string(end->error ? "InternalError" : "NonZeroExitCode"));
    if (end->error) {
        json_set(&s, "code", json_int(500));
        return s;
    }
    struct json *cause = json_object(), *details = json_object();
    json_set(&cause, "reason", json_string("ExitCode"));
    json_set(&cause, "message", json_stringf("%d", end->exit_status));
    json_append(json_edit(&details, "causes"), cause);
    json_set(&s, "details", details);
    return s;
}

void command_resize(const struct node_ops *ops, struct node_stream *stream, const void *p, size_t n) {
    _cleanup_json_ struct json *size = NULL;

    if (json_parse(p, n, NULL, &size, NULL) < 0)
        return;
    int64_t w = json_int_or(json_get(size, "Width"), 0), h = json_int_or(json_get(size, "Height"), 0);
    if (w > 0 && h > 0 && w < 65536 && h < 65536)
        ops->resize(stream, (unsigned) w, (unsigned) h);
}
