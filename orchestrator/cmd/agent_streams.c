/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/cmd/agent_streams.h"

#include <string.h>

#include "podium/base/alloc.h"

/* One stream: the link's end and the agent's. Whichever ends first ends the other. */
struct joint {
    struct link_stream *link;
    struct agent_log *log;
    struct agent_exec *exec;
    struct agent_forward *forward;
};

static void joint_free(struct joint *j) {
    agent_log_close(j->log);
    if (j->exec)
        agent_exec_close(j->exec);
    agent_forward_close(j->forward);
    free(j);
}

/* --- from the agent to the link --- */

static void send_out(struct joint *j, enum link_channel channel, const void *p, size_t n) {
    if (!j->link || link_stream_write(j->link, channel, p, n) < LINK_STREAM_WINDOW)
        return;
    if (j->log)
        agent_log_pause(j->log, true);
    if (j->exec)
        agent_exec_pause(j->exec, true);
    if (j->forward)
        agent_forward_pause(j->forward, true);
}

static void on_log_data(void *userdata, const void *p, size_t n) {
    send_out(userdata, LINK_STDOUT, p, n);
}

static void on_log_end(void *userdata, const char *error) {
    struct joint *j = userdata;

    if (j->link)
        link_stream_end(j->link, error ? -EIO : 0, error);
    joint_free(j);
}

static void on_exec_data(void *userdata, enum agent_exec_stream stream, const void *p, size_t n) {
    send_out(userdata, stream == AGENT_EXEC_STDERR ? LINK_STDERR : LINK_STDOUT, p, n);
}

static void on_exec_exit(void *userdata, int code, const char *error) {
    struct joint *j = userdata;

    if (j->link)
        link_stream_end(j->link, code < 0 ? -EIO : code, error);
    joint_free(j);
}

static void on_exec_writable(void *userdata) {
    struct joint *j = userdata;

    if (j->link)
        link_stream_pause(j->link, false);
}

static void on_forward_end(void *userdata, const char *error) {
    struct joint *j = userdata;

    if (j->link)
        link_stream_end(j->link, error ? -ECONNREFUSED : 0, error);
    joint_free(j);
}

static const struct agent_forward_callbacks forward_callbacks = {
    .data = on_log_data, .end = on_forward_end, .writable = on_exec_writable};
static const struct agent_log_callbacks log_callbacks = {.data = on_log_data, .end = on_log_end};
static const struct agent_exec_callbacks exec_callbacks = {
    .data = on_exec_data, .exit = on_exec_exit, .writable = on_exec_writable};

/* --- from the link to the agent --- */

static void on_link_acked(void *userdata, size_t n) {
    struct joint *j = userdata;

    if (link_stream_under_way(j->link) >= LINK_STREAM_WINDOW / 2)
        return;
    if (j->log)
        agent_log_pause(j->log, false);
    if (j->exec)
        agent_exec_pause(j->exec, false);
    if (j->forward)
        agent_forward_pause(j->forward, false);
}

static void on_link_end(void *userdata, int code, const char *error) {
    struct joint *j = userdata;

    j->link = NULL;
    joint_free(j);
}

static void ignore_data(void *userdata, enum link_channel channel, const void *p, size_t n) {
}

static void resize(struct joint *j, const void *p, size_t n) {
    _cleanup_json_ struct json *size = NULL;

    if (json_parse(p, n, NULL, &size, NULL) < 0)
        return;
    int64_t width = json_int_or(json_get(size, "Width"), 0), height = json_int_or(json_get(size, "Height"), 0);
    if (width > 0 && height > 0 && width < 65536 && height < 65536)
        agent_exec_resize(j->exec, (unsigned) width, (unsigned) height);
}

static void on_link_data(void *userdata, enum link_channel channel, const void *p, size_t n) {
    struct joint *j = userdata;

    switch (channel) {
    case LINK_STDIN:
        /* also resumes: what is on its way comes in spite of a pause, and may find that there is room again */
        link_stream_pause(j->link, agent_exec_write(j->exec, p, n) > AGENT_EXEC_BUFFER_HIGH);
        break;
    case LINK_STDIN_END:
        agent_exec_write_end(j->exec);
        break;
    case LINK_RESIZE:
        resize(j, p, n);
        break;
    case LINK_STDOUT:
    case LINK_STDERR:
        break;
    }
}

static void on_forward_link_data(void *userdata, enum link_channel channel, const void *p, size_t n) {
    struct joint *j = userdata;

    if (channel == LINK_STDIN)
        link_stream_pause(j->link, agent_forward_write(j->forward, p, n) > AGENT_EXEC_BUFFER_HIGH);
    else if (channel == LINK_STDIN_END)
        agent_forward_write_end(j->forward);
}

const struct link_stream_ops agent_forward_stream_ops = {
    .data = on_forward_link_data, .acked = on_link_acked, .end = on_link_end};
const struct link_stream_ops agent_log_stream_ops = {.data = ignore_data, .acked = on_link_acked, .end = on_link_end};
const struct link_stream_ops agent_exec_stream_ops = {.data = on_link_data, .acked = on_link_acked, .end = on_link_end};

/* --- opening --- */

int agent_streams_open_log(struct agent *agent, struct link_stream *stream, const struct json *options,
                           void **ret_userdata, struct error *err) {
    const struct agent_log_options o = {
        .uid = json_str_or(json_get(options, "uid"), ""),
        .container = json_str_or(json_get(options, "container"), ""),
        .follow = json_bool_or(json_get(options, "follow"), false),
        .timestamps = json_bool_or(json_get(options, "timestamps"), false),
        .previous = json_bool_or(json_get(options, "previous"), false),
        .tail_lines = json_int_or(json_get(options, "tailLines"), -1),
        .since_usec = (uint64_t) json_int_or(json_get(options, "sinceUsec"), 0),
        .limit_bytes = (uint64_t) json_int_or(json_get(options, "limitBytes"), 0),
    };
    struct joint *j = xnew0(struct joint);

    j->link = stream;
    int r = agent_log_open(agent, &o, &log_callbacks, j, &j->log, err);
    if (r < 0) {
        free(j);
        return r;
    }
    *ret_userdata = j;
    return 0;
}

int agent_streams_open_exec(struct agent *agent, struct link_stream *stream, const struct json *options,
                            void **ret_userdata, struct error *err) {
    const struct json *args = json_get(options, "args");
    _cleanup_strv_ char **argv = strv_new();
    struct joint *j = xnew0(struct joint);

    for (size_t i = 0; i < json_len(args); i++)
        strv_push_dup(&argv, json_str_or(json_at(args, i), ""));
    const struct agent_exec_options o = {
        .uid = json_str_or(json_get(options, "uid"), ""),
        .container = json_str_or(json_get(options, "container"), ""),
        .args = argv,
        .tty = json_bool_or(json_get(options, "tty"), false),
        .stdin_ = json_bool_or(json_get(options, "stdin"), false),
        .stdout_ = json_bool_or(json_get(options, "stdout"), false),
        .stderr_ = json_bool_or(json_get(options, "stderr"), false),
    };
    j->link = stream;
    int r = json_bool_or(json_get(options, "attach"), false)
                ? agent_attach_open(agent, &o, &exec_callbacks, j, &j->exec, err)
                : agent_exec_open(agent, &o, &exec_callbacks, j, &j->exec, err);
    if (r < 0) {
        free(j);
        return r;
    }
    *ret_userdata = j;
    return 0;
}

int agent_streams_open_forward(struct agent *agent, struct link_stream *stream, const struct json *options,
                               void **ret_userdata, struct error *err) {
    struct joint *j = xnew0(struct joint);

    j->link = stream;
    int r = agent_forward_open(
        agent, json_str_or(json_get(options, "uid"), ""), (int) json_int_or(json_get(options, "port"), 0),
        json_bool_or(json_get(options, "podAddress"), false), &forward_callbacks, j, &j->forward, err);
    if (r < 0) {
        free(j);
        return r;
    }
    *ret_userdata = j;
    return 0;
}

/* --- an answer that is complete before it is sent --- */

struct answer {
    struct link_stream *link;
    struct strbuf text;
    size_t at;
};

static void answer_free(struct answer *a) {
    strbuf_finish(&a->text);
    free(a);
}

/* As much as may be under way; the end only when all has arrived, so never from within the opening. */
static void answer_send(struct answer *a) {
    size_t under_way = link_stream_under_way(a->link), n = a->text.len - a->at;

    if (under_way < LINK_STREAM_WINDOW && n > 0) {
        n = n < LINK_STREAM_WINDOW - under_way ? n : LINK_STREAM_WINDOW - under_way;
        (void) link_stream_write(a->link, LINK_STDOUT, a->text.data + a->at, n);
        a->at += n;
    } else if (under_way == 0) {
        link_stream_end(a->link, 0, NULL);
        answer_free(a);
    }
}

static void on_answer_acked(void *userdata, size_t n) {
    answer_send(userdata);
}

static void on_answer_end(void *userdata, int code, const char *error) {
    answer_free(userdata);
}

const struct link_stream_ops agent_query_stream_ops = {
    .data = ignore_data, .acked = on_answer_acked, .end = on_answer_end};

int agent_streams_open_query(struct agent *agent, struct link_stream *stream, const struct json *options,
                             void **ret_userdata, struct error *err) {
    struct answer *a = xnew0(struct answer);

    a->link = stream;
    agent_query(agent, json_str_or(json_get(options, "method"), ""), json_str_or(json_get(options, "path"), ""),
                &a->text);
    answer_send(a);
    *ret_userdata = a;
    return 0;
}
