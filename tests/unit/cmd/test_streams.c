/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Both joints of a stream, control plane and node, with everything around them replaced at link time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "orchestrator/cmd/agent_streams.h"
#include "orchestrator/cmd/node_streams.h"
#include "podium/base/alloc.h"

/* --- the link: one stream that writes down what is done to it --- */

struct link_stream {
    size_t under_way, written;
    bool paused, ended, closed;
    int channel, code;
};

static struct {
    struct link_stream stream;
    const struct link_stream_ops *ops;
    void *userdata;
    struct json *options;
    int open_result;
} link_;

static int open_it(const struct json *options, const struct link_stream_ops *ops, void *userdata,
                   struct link_stream **ret, struct error *err) {
    if (link_.open_result < 0)
        return error_set(err, link_.open_result, "node \"n1\" is not connected");
    link_.stream = (struct link_stream){0};
    link_.ops = ops;
    link_.userdata = userdata;
    json_unref(link_.options);
    link_.options = json_ref(options);
    *ret = &link_.stream;
    return 0;
}

int link_server_open_log(struct link_server *s, const char *node, const struct json *options,
                         const struct link_stream_ops *ops, void *userdata, struct link_stream **ret,
                         struct error *err) {
    return open_it(options, ops, userdata, ret, err);
}

int link_server_open_exec(struct link_server *s, const char *node, const struct json *options,
                          const struct link_stream_ops *ops, void *userdata, struct link_stream **ret,
                          struct error *err) {
    return open_it(options, ops, userdata, ret, err);
}

int link_server_open_forward(struct link_server *s, const char *node, const struct json *options,
                             const struct link_stream_ops *ops, void *userdata, struct link_stream **ret,
                             struct error *err) {
    return open_it(options, ops, userdata, ret, err);
}

int link_server_open_query(struct link_server *s, const char *node, const struct json *options,
                           const struct link_stream_ops *ops, void *userdata, struct link_stream **ret,
                           struct error *err) {
    return open_it(options, ops, userdata, ret, err);
}

size_t link_stream_write(struct link_stream *s, enum link_channel channel, const void *p, size_t n) {
    s->channel = channel;
    s->written += n;
    if (channel <= LINK_STDERR)
        s->under_way += n;
    return s->under_way;
}

size_t link_stream_under_way(const struct link_stream *s) {
    return s->under_way;
}

void link_stream_pause(struct link_stream *s, bool paused) {
    s->paused = paused;
}

void link_stream_end(struct link_stream *s, int code, const char *error) {
    s->ended = true;
    s->code = code;
}

void link_stream_close(struct link_stream *s) {
    if (s)
        s->closed = true;
}

/* --- the agent --- */

struct agent_log {
    bool paused, closed;
};
struct agent_exec {
    bool paused, closed, input_ended;
    size_t waiting;
    unsigned columns, rows;
};

struct agent_forward {
    bool paused, closed, input_ended;
    size_t waiting;
};

static struct {
    struct agent_log log;
    struct agent_exec exec;
    struct agent_forward forward;
    const struct agent_forward_callbacks *forward_callbacks;
    int port;
    bool attached;
    const struct agent_log_callbacks *log_callbacks;
    const struct agent_exec_callbacks *exec_callbacks;
    void *userdata;
    int open_result;
    int64_t tail_lines;
} agent_;

int agent_log_open(struct agent *agent, const struct agent_log_options *o, const struct agent_log_callbacks *callbacks,
                   void *userdata, struct agent_log **ret, struct error *err) {
    if (agent_.open_result < 0)
        return error_set(err, agent_.open_result, "no such container");
    agent_.log = (struct agent_log){0};
    agent_.log_callbacks = callbacks;
    agent_.userdata = userdata;
    agent_.tail_lines = o->tail_lines;
    *ret = &agent_.log;
    return 0;
}

void agent_log_pause(struct agent_log *log, bool paused) {
    log->paused = paused;
}

void agent_log_close(struct agent_log *log) {
    if (log)
        log->closed = true;
}

int agent_exec_open(struct agent *agent, const struct agent_exec_options *o,
                    const struct agent_exec_callbacks *callbacks, void *userdata, struct agent_exec **ret,
                    struct error *err) {
    agent_.exec = (struct agent_exec){0};
    agent_.exec_callbacks = callbacks;
    agent_.userdata = userdata;
    assert_string_equal(o->args[0], "sh");
    *ret = &agent_.exec;
    return 0;
}

int agent_attach_open(struct agent *agent, const struct agent_exec_options *o,
                      const struct agent_exec_callbacks *callbacks, void *userdata, struct agent_exec **ret,
                      struct error *err) {
    if (agent_.open_result < 0)
        return error_set(err, agent_.open_result, "no such container");
    agent_.exec = (struct agent_exec){0};
    agent_.exec_callbacks = callbacks;
    agent_.userdata = userdata;
    agent_.attached = true;
    *ret = &agent_.exec;
    return 0;
}

size_t agent_exec_write(struct agent_exec *exec, const void *p, size_t n) {
    return exec->waiting += n;
}

void agent_exec_write_end(struct agent_exec *exec) {
    exec->input_ended = true;
}

void agent_exec_resize(struct agent_exec *exec, unsigned columns, unsigned rows) {
    exec->columns = columns;
    exec->rows = rows;
}

void agent_exec_pause(struct agent_exec *exec, bool paused) {
    exec->paused = paused;
}

void agent_exec_close(struct agent_exec *exec) {
    exec->closed = true;
}

int agent_forward_open(struct agent *agent, const char *uid, int port, bool pod_address,
                       const struct agent_forward_callbacks *callbacks, void *userdata, struct agent_forward **ret,
                       struct error *err) {
    agent_.forward = (struct agent_forward){0};
    agent_.forward_callbacks = callbacks;
    agent_.userdata = userdata;
    assert_false(pod_address);
    agent_.port = port;
    *ret = &agent_.forward;
    return 0;
}

size_t agent_forward_write(struct agent_forward *f, const void *p, size_t n) {
    return f->waiting += n;
}

void agent_forward_write_end(struct agent_forward *f) {
    f->input_ended = true;
}

void agent_forward_pause(struct agent_forward *f, bool paused) {
    f->paused = paused;
}

void agent_forward_close(struct agent_forward *f) {
    if (f)
        f->closed = true;
}

/* --- the node's joint --- */

static char bytes[LINK_STREAM_WINDOW];

static struct json *parse(const char *text) {
    struct json *v = NULL;

    assert_int_equal(json_parse(text, strlen(text), NULL, &v, NULL), 0);
    return v;
}

static void a_log_stops_when_the_window_is_full_and_goes_on(void **state) {
    _cleanup_json_ struct json *options = parse("{\"uid\":\"u\",\"container\":\"c\"}");
    struct link_stream s = {0};
    void *joint = NULL;

    assert_int_equal(agent_streams_open_log(NULL, &s, options, &joint, NULL), 0);
    assert_int_equal(agent_.tail_lines, -1);
    agent_.log_callbacks->data(agent_.userdata, bytes, sizeof(bytes) - 1);
    assert_false(agent_.log.paused);
    agent_.log_callbacks->data(agent_.userdata, bytes, 1);
    assert_true(agent_.log.paused);
    s.under_way = LINK_STREAM_WINDOW / 2;
    agent_log_stream_ops.acked(joint, 1);
    assert_true(agent_.log.paused); /* not for each little bit */
    s.under_way = LINK_STREAM_WINDOW / 2 - 1;
    agent_log_stream_ops.acked(joint, 1);
    assert_false(agent_.log.paused);
    agent_.log_callbacks->end(agent_.userdata, NULL);
    assert_true(s.ended && s.code == 0 && agent_.log.closed);
}

static void a_command_gets_its_input_as_fast_as_it_reads(void **state) {
    _cleanup_json_ struct json *options = parse("{\"args\":[\"sh\"],\"stdin\":true}");
    struct link_stream s = {0};
    void *joint = NULL;

    assert_int_equal(agent_streams_open_exec(NULL, &s, options, &joint, NULL), 0);
    agent_exec_stream_ops.data(joint, LINK_STDIN, bytes, AGENT_EXEC_BUFFER_HIGH);
    assert_false(s.paused); /* writable() comes from above it only */
    agent_exec_stream_ops.data(joint, LINK_STDIN, bytes, 1);
    assert_true(s.paused);
    agent_.exec_callbacks->writable(agent_.userdata);
    assert_false(s.paused);
    agent_exec_stream_ops.data(joint, LINK_STDIN, bytes, 1);
    assert_true(s.paused);
    agent_.exec.waiting = 0; /* written while bytes came in that had been on their way: there is no writable() then */
    agent_exec_stream_ops.data(joint, LINK_STDIN, bytes, 1);
    assert_false(s.paused);
    agent_exec_stream_ops.data(joint, LINK_RESIZE, "{\"Width\":80,\"Height\":24}", 24);
    assert_int_equal(agent_.exec.columns, 80);
    agent_exec_stream_ops.data(joint, LINK_RESIZE, "{\"Width\":-1,\"Height\":24}", 24);
    agent_exec_stream_ops.data(joint, LINK_RESIZE, "{", 1);
    agent_exec_stream_ops.data(joint, (enum link_channel) 200, "x", 1);
    assert_int_equal(agent_.exec.columns, 80);
    agent_exec_stream_ops.data(joint, LINK_STDIN_END, "", 0);
    assert_true(agent_.exec.input_ended);
    agent_.exec_callbacks->data(agent_.userdata, AGENT_EXEC_STDERR, "e", 1);
    assert_int_equal(s.channel, LINK_STDERR);
    agent_.exec_callbacks->exit(agent_.userdata, 3, NULL);
    assert_true(s.ended && s.code == 3 && agent_.exec.closed);
}

static void a_lost_link_ends_log_and_command(void **state) {
    _cleanup_json_ struct json *options = parse("{\"args\":[\"sh\"]}");
    struct link_stream s = {0};
    void *joint = NULL;

    assert_int_equal(agent_streams_open_exec(NULL, &s, options, &joint, NULL), 0);
    agent_exec_stream_ops.end(joint, -1, "lost");
    assert_true(agent_.exec.closed);
    assert_false(s.ended); /* there is nobody to tell */
}

static void what_cannot_be_opened_leaves_nothing(void **state) {
    _cleanup_json_ struct json *options = parse("{\"attach\":true}");
    struct link_stream s = {0};
    void *joint = NULL;

    agent_.open_result = -ENOENT;
    assert_int_equal(agent_streams_open_log(NULL, &s, options, &joint, NULL), -ENOENT);
    assert_int_equal(agent_streams_open_exec(NULL, &s, options, &joint, NULL), -ENOENT);
    agent_.open_result = 0;
    assert_null(joint);
}

static void attaching_is_to_the_containers_own_process(void **state) {
    _cleanup_json_ struct json *options = parse("{\"attach\":true,\"stdin\":true}");
    struct link_stream s = {0};
    void *joint = NULL;

    agent_.attached = false;
    assert_int_equal(agent_streams_open_exec(NULL, &s, options, &joint, NULL), 0);
    assert_true(agent_.attached);
    agent_exec_stream_ops.end(joint, -1, "closed");
    assert_true(agent_.exec.closed);
}

static void a_forwarded_port_pauses_both_ways_and_ends(void **state) {
    _cleanup_json_ struct json *options = parse("{\"uid\":\"u\",\"port\":8080}");
    struct link_stream s = {0};
    void *joint = NULL;

    assert_int_equal(agent_streams_open_forward(NULL, &s, options, &joint, NULL), 0);
    assert_int_equal(agent_.port, 8080);
    agent_forward_stream_ops.data(joint, LINK_STDIN, bytes, AGENT_EXEC_BUFFER_HIGH);
    agent_forward_stream_ops.data(joint, LINK_STDIN, bytes, 1);
    assert_true(s.paused);
    agent_.forward_callbacks->writable(agent_.userdata);
    assert_false(s.paused);
    agent_.forward_callbacks->data(agent_.userdata, bytes, sizeof(bytes));
    assert_true(agent_.forward.paused);
    assert_int_equal(s.channel, LINK_STDOUT);
    s.under_way = 0;
    agent_forward_stream_ops.acked(joint, 1);
    assert_false(agent_.forward.paused);
    agent_forward_stream_ops.data(joint, LINK_STDIN_END, "", 0);
    assert_true(agent_.forward.input_ended);
    agent_.forward_callbacks->end(agent_.userdata, "refused");
    assert_true(s.ended && s.code == -ECONNREFUSED && agent_.forward.closed);
}

/* --- the control plane's joint --- */

struct viewer {
    size_t bytes, taken;
    unsigned ends;
    struct node_stream_end end;
    struct node_stream *cancel; /* in the next data() */
};

static void v_data(void *userdata, enum node_channel channel, const void *p, size_t n) {
    struct viewer *v = userdata;

    v->bytes += n;
    if (v->cancel)
        node_streams_ops.cancel(v->cancel);
}

static void v_taken(void *userdata, size_t n) {
    ((struct viewer *) userdata)->taken += n;
}

static void v_end(void *userdata, const struct node_stream_end *end) {
    struct viewer *v = userdata;

    v->ends++;
    v->end = *end;
    v->end.message = NULL;
}

static const struct node_stream_handlers handlers = {.data = v_data, .taken = v_taken, .end = v_end};

static struct node_stream *open_command(struct node_streams *c, struct viewer *v) {
    char *argv[] = {(char *) "sh", NULL};
    const struct node_exec_request r = {
        .pod = {.node = "n1", .ns = "default", .name = "p", .uid = "u", .container = "c"}, .argv = argv, .in = true};

    return node_streams_ops.open_exec(c, &r, &handlers, v);
}

static void a_slow_viewer_slows_the_node_down(void **state) {
    struct node_streams c = {.link = (void *) 1};
    struct viewer v = {0};
    struct node_stream *s = open_command(&c, &v);

    link_.ops->data(link_.userdata, LINK_STDOUT, bytes, NODE_STREAM_WINDOW / 2 - 1);
    assert_false(link_.stream.paused);
    link_.ops->data(link_.userdata, LINK_STDOUT, bytes, 1);
    assert_true(link_.stream.paused);
    node_streams_ops.resume(s, NODE_STREAM_WINDOW / 2);
    assert_false(link_.stream.paused);
    link_.ops->data(link_.userdata, LINK_RESIZE, bytes, 9); /* not from a node */
    assert_int_equal(v.bytes, NODE_STREAM_WINDOW / 2);
    node_streams_ops.write(s, bytes, 10);
    link_.ops->acked(link_.userdata, 10);
    assert_int_equal(v.taken, 10);
    link_.ops->end(link_.userdata, 7, NULL);
    assert_int_equal(v.ends, 1);
    assert_int_equal(v.end.exit_status, 7);
    assert_int_equal(v.end.error, 0);
}

static void a_viewer_may_leave_in_the_middle(void **state) {
    struct node_streams c = {.link = (void *) 1};
    struct viewer v = {0};

    v.cancel = open_command(&c, &v);
    link_.ops->data(link_.userdata, LINK_STDOUT, bytes, sizeof(bytes));
    assert_true(link_.stream.closed);
    assert_int_equal(v.ends, 0);
}

static void without_a_node_the_end_comes_later_and_once(void **state) {
    struct node_streams c = {.link = (void *) 1};
    struct viewer v = {0}, w = {0};

    assert_true(sd_event_new(&c.loop) >= 0);
    link_.open_result = -ENOTCONN;
    assert_non_null(open_command(&c, &v));
    node_streams_ops.cancel(open_command(&c, &w));
    assert_int_equal(v.ends, 0);
    while (sd_event_run(c.loop, 0) > 0)
        ;
    link_.open_result = 0;
    assert_int_equal(v.ends, 1);
    assert_int_equal(v.end.error, -EHOSTUNREACH);
    assert_int_equal(w.ends, 0);
    sd_event_unref(c.loop);
}

static int finish(void **state) {
    json_unref(steal(&link_.options));
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_log_stops_when_the_window_is_full_and_goes_on),
        cmocka_unit_test(a_command_gets_its_input_as_fast_as_it_reads),
        cmocka_unit_test(a_lost_link_ends_log_and_command),
        cmocka_unit_test(what_cannot_be_opened_leaves_nothing),
        cmocka_unit_test(attaching_is_to_the_containers_own_process),
        cmocka_unit_test(a_forwarded_port_pauses_both_ways_and_ends),
        cmocka_unit_test(a_slow_viewer_slows_the_node_down),
        cmocka_unit_test(a_viewer_may_leave_in_the_middle),
        cmocka_unit_test(without_a_node_the_end_comes_later_and_once),
    };

    return cmocka_run_group_tests(tests, NULL, finish);
}
