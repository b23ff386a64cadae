/* SPDX-License-Identifier: GPL-2.0-or-later */
/* org.podium.Node1: D-Bus calls to the agent's handler. */
#include <string.h>

#include "orchestrator/link/agent_private.h"
#include "podium/base/limits.h"

static int refuse(sd_bus_error *e, const struct error *err, int r) {
    return sd_bus_error_set_errnof(e, -r, "%s", error_text(err, r));
}

static int read_document(sd_bus_message *m, struct json **ret, sd_bus_error *e) {
    const struct json_parse_options options = {.bytes_max = DBUS_PAYLOAD_MAX};
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    const char *text;

    int r = sd_bus_message_read(m, "s", &text);
    if (r < 0)
        return r;
    r = json_parse(text, strlen(text), &options, ret, &err);
    return r < 0 ? refuse(e, &err, r) : 0;
}

static int on_sync_begin(sd_bus_message *m, void *userdata, sd_bus_error *e) {
    struct agent_link *l = userdata;

    l->handler->sync_begin(l->userdata);
    return sd_bus_reply_method_return(m, "");
}

static int on_sync_end(sd_bus_message *m, void *userdata, sd_bus_error *e) {
    struct agent_link *l = userdata;

    l->handler->sync_end(l->userdata);
    return sd_bus_reply_method_return(m, "");
}

static int on_retell(sd_bus_message *m, void *userdata, sd_bus_error *e) {
    struct agent_link *l = userdata;

    l->handler->retell(l->userdata);
    return sd_bus_reply_method_return(m, "");
}

static int on_apply_pod(sd_bus_message *m, void *userdata, sd_bus_error *e) {
    struct agent_link *l = userdata;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_json_ struct json *pod = NULL;

    int r = read_document(m, &pod, e);
    if (r < 0)
        return r;
    r = l->handler->apply_pod(l->userdata, pod, &err);
    return r < 0 ? refuse(e, &err, r) : sd_bus_reply_method_return(m, "");
}

static int on_remove_pod(sd_bus_message *m, void *userdata, sd_bus_error *e) {
    struct agent_link *l = userdata;
    const char *uid;

    int r = sd_bus_message_read(m, "s", &uid);
    if (r < 0)
        return r;
    l->handler->remove_pod(l->userdata, uid);
    return sd_bus_reply_method_return(m, "");
}

static int on_apply_object(sd_bus_message *m, void *userdata, sd_bus_error *e) {
    struct agent_link *l = userdata;
    _cleanup_json_ struct json *object = NULL;

    int r = read_document(m, &object, e);
    if (r < 0)
        return r;
    l->handler->apply_object(l->userdata, object);
    return sd_bus_reply_method_return(m, "");
}

static int on_remove_object(sd_bus_message *m, void *userdata, sd_bus_error *e) {
    struct agent_link *l = userdata;
    const char *kind, *ns, *name;

    int r = sd_bus_message_read(m, "sss", &kind, &ns, &name);
    if (r < 0)
        return r;
    l->handler->remove_object(l->userdata, kind, ns, name);
    return sd_bus_reply_method_return(m, "");
}

/* A call with one text, and nothing to say but that it was taken. */
static int on_text(sd_bus_message *m, void *userdata, int (*take)(void *userdata, const char *text, struct error *err),
                   sd_bus_error *e) {
    struct agent_link *l = userdata;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    const char *text;

    int r = sd_bus_message_read(m, "s", &text);
    if (r < 0)
        return r;
    r = take(l->userdata, text, &err);
    return r < 0 ? refuse(e, &err, r) : sd_bus_reply_method_return(m, "");
}

static int on_set_network(sd_bus_message *m, void *userdata, sd_bus_error *e) {
    return on_text(m, userdata, ((struct agent_link *) userdata)->handler->set_network, e);
}

static int on_update_peers(sd_bus_message *m, void *userdata, sd_bus_error *e) {
    return on_text(m, userdata, ((struct agent_link *) userdata)->handler->update_peers, e);
}

typedef int (*open_fn)(void *userdata, struct link_stream *stream, const struct json *options, void **ret_userdata,
                       struct error *err);

static int open_stream(struct agent_link *l, sd_bus_message *m, open_fn open, const struct link_stream_ops *ops,
                       sd_bus_error *e) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_json_ struct json *options = NULL;
    struct link_stream *stream;
    void *userdata = NULL;
    uint64_t id;

    /* a stream lives on the connection to the control plane: on the system bus there is nothing to carry it */
    if (sd_bus_message_get_bus(m) != l->bus || !l->streams)
        return sd_bus_error_set(e, SD_BUS_ERROR_NOT_SUPPORTED, "streams exist on the link to the control plane only");
    int r = sd_bus_message_read(m, "t", &id);
    if (r >= 0)
        r = read_document(m, &options, e);
    if (r < 0)
        return r;
    r = link_stream_new(l->streams, id, ops, NULL, &stream, &err);
    if (r < 0)
        return refuse(e, &err, r);
    r = open(l->userdata, stream, options, &userdata, &err);
    if (r < 0) {
        link_stream_end(stream, r, error_text(&err, r));
        return sd_bus_reply_method_return(m, "");
    }
    link_stream_set_userdata(stream, userdata);
    return sd_bus_reply_method_return(m, "");
}

static int on_open_log(sd_bus_message *m, void *userdata, sd_bus_error *e) {
    struct agent_link *l = userdata;

    return open_stream(l, m, l->handler->open_log, l->handler->log_ops, e);
}

static int on_open_exec(sd_bus_message *m, void *userdata, sd_bus_error *e) {
    struct agent_link *l = userdata;

    return open_stream(l, m, l->handler->open_exec, l->handler->exec_ops, e);
}

static int on_open_forward(sd_bus_message *m, void *userdata, sd_bus_error *e) {
    struct agent_link *l = userdata;

    if (!l->handler->open_forward)
        return sd_bus_error_set(e, SD_BUS_ERROR_NOT_SUPPORTED, "this node forwards no ports");
    return open_stream(l, m, l->handler->open_forward, l->handler->forward_ops, e);
}

static int on_open_query(sd_bus_message *m, void *userdata, sd_bus_error *e) {
    struct agent_link *l = userdata;

    if (!l->handler->open_query)
        return sd_bus_error_set(e, SD_BUS_ERROR_NOT_SUPPORTED, "this node answers no questions");
    return open_stream(l, m, l->handler->open_query, l->handler->query_ops, e);
}

static int on_list_pods(sd_bus_message *m, void *userdata, sd_bus_error *e) {
    static const char *const members[] = {"namespace", "name", "uid", "phase", "unit"};
    struct agent_link *l = userdata;
    _cleanup_json_ struct json *pods = l->handler->list_pods(l->userdata);
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;

    int r = sd_bus_message_new_method_return(m, &reply);
    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "(sssss)");
    for (size_t i = 0; i < json_len(pods) && r >= 0; i++) {
        const char *v[ARRAY_LEN(members)];
        for (size_t k = 0; k < ARRAY_LEN(members); k++)
            v[k] = json_str_or(json_get(json_at(pods, i), members[k]), "");
        r = sd_bus_message_append(reply, "(sssss)", v[0], v[1], v[2], v[3], v[4]);
    }
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int get_text(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                    void *userdata, sd_bus_error *e) {
    const struct agent_link *l = userdata;

    return sd_bus_message_append(reply, "s", strcmp(property, "Version") == 0 ? l->version : l->node_name);
}

static int get_connected(sd_bus *bus, const char *path, const char *interface, const char *property,
                         sd_bus_message *reply, void *userdata, sd_bus_error *e) {
    const struct agent_link *l = userdata;

    return sd_bus_message_append(reply, "b", l->registered);
}

static const sd_bus_vtable vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("SyncBegin", "", "", on_sync_begin, 0),
    SD_BUS_METHOD("SyncEnd", "", "", on_sync_end, 0),
    SD_BUS_METHOD("Retell", "", "", on_retell, 0),
    SD_BUS_METHOD_WITH_ARGS("ApplyPod", SD_BUS_ARGS("s", pod), SD_BUS_NO_RESULT, on_apply_pod, 0),
    SD_BUS_METHOD_WITH_ARGS("RemovePod", SD_BUS_ARGS("s", uid), SD_BUS_NO_RESULT, on_remove_pod, 0),
    SD_BUS_METHOD_WITH_ARGS("ApplyObject", SD_BUS_ARGS("s", object), SD_BUS_NO_RESULT, on_apply_object, 0),
    SD_BUS_METHOD_WITH_ARGS("RemoveObject", SD_BUS_ARGS("s", kind, "s", namespace, "s", name), SD_BUS_NO_RESULT,
                            on_remove_object, 0),
    SD_BUS_METHOD_WITH_ARGS("SetNetwork", SD_BUS_ARGS("s", network), SD_BUS_NO_RESULT, on_set_network, 0),
    SD_BUS_METHOD_WITH_ARGS("UpdatePeers", SD_BUS_ARGS("s", changes), SD_BUS_NO_RESULT, on_update_peers, 0),
    SD_BUS_METHOD_WITH_ARGS("OpenLog", SD_BUS_ARGS("t", stream, "s", options), SD_BUS_NO_RESULT, on_open_log, 0),
    SD_BUS_METHOD_WITH_ARGS("OpenExec", SD_BUS_ARGS("t", stream, "s", options), SD_BUS_NO_RESULT, on_open_exec, 0),
    SD_BUS_METHOD_WITH_ARGS("OpenForward", SD_BUS_ARGS("t", stream, "s", options), SD_BUS_NO_RESULT, on_open_forward,
                            0),
    SD_BUS_METHOD_WITH_ARGS("OpenQuery", SD_BUS_ARGS("t", stream, "s", options), SD_BUS_NO_RESULT, on_open_query, 0),
    SD_BUS_METHOD_WITH_ARGS("ListPods", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(sssss)", pods), on_list_pods,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_PROPERTY("NodeName", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("Version", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("Connected", "b", get_connected, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_SIGNAL_WITH_ARGS("PodChanged", SD_BUS_ARGS("s", namespace, "s", name, "s", uid, "s", phase), 0),
    SD_BUS_VTABLE_END,
};

int node_interface_export(struct agent_link *l, sd_bus *bus, sd_bus_slot **ret_slot, struct error *err) {
    int r = sd_bus_add_object_vtable(bus, ret_slot, LINK_NODE_PATH, LINK_NODE_NAME, vtable, l);

    return r < 0 ? error_set_errno(err, r, "cannot export " LINK_NODE_NAME) : 0;
}
