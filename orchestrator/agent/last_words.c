/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/last_words.h"

#include <string.h>

#include "orchestrator/agent/model.h"
#include "podium/base/alloc.h"
#include "podium/base/log.h"
#include "podium/base/utf8.h"

#define LINES_MAX 80
#define BYTES_MAX 2048

struct reading {
    struct list link;
    struct agent_pod *pod;
    struct agent_log *log;
    char *id; /* of the run */
    struct strbuf text;
};

static void reading_free(struct reading *r) {
    list_remove(&r->link);
    agent_log_close(r->log);
    strbuf_finish(&r->text);
    free(r->id);
    free(r);
}

void last_words_forget(struct agent_pod *pod) {
    struct reading *r;

    list_foreach(r, &pod->last_words_read, link) reading_free(r);
}

static void on_data(void *userdata, const void *p, size_t n) {
    struct reading *r = userdata;

    strbuf_add(&r->text, p, n);
    if (r->text.len > 2 * BYTES_MAX)
        strbuf_consume(&r->text, r->text.len - BYTES_MAX);
}

static void on_end(void *userdata, const char *error) {
    struct reading *r = userdata;
    struct agent_pod *pod = r->pod;

    if (r->text.len > BYTES_MAX)
        strbuf_consume(&r->text, r->text.len - BYTES_MAX);
    _cleanup_free_ char *text = utf8_valid_text(r->text.data, r->text.len);
    json_set(&pod->last_words, r->id, json_string(text));
    reading_free(r);
    agent_pod_mark(pod);
}

static const struct agent_log_callbacks callbacks = {on_data, on_end};

static const struct json *named(const struct json *list, const char *name) {
    for (size_t i = 0; i < json_len(list); i++)
        if (strcmp(json_str_or(json_get(json_at(list, i), "name"), ""), name) == 0)
            return json_at(list, i);
    return NULL;
}

static bool falls_back(const struct agent_pod *pod, const char *name) {
    const struct json *spec = json_get(pod->desired, "spec");
    const struct json *c = named(json_get(spec, "containers"), name);

    if (!c)
        c = named(json_get(spec, "initContainers"), name);
    return strcmp(json_str_or(json_get(c, "terminationMessagePolicy"), ""), "FallbackToLogsOnError") == 0;
}

static bool is_being_read(const struct agent_pod *pod, const char *id) {
    struct reading *r;

    list_foreach(r, &pod->last_words_read, link) {
        if (strcmp(r->id, id) == 0)
            return true;
    }
    return false;
}

static void look_at(struct agent_pod *pod, const char *name, const struct json *ended, bool previous,
                    struct json **kept) {
    const char *id = json_str_or(json_get(ended, "containerID"), "");
    const struct agent_log_options o = {
        .uid = pod->uid, .container = name, .previous = previous, .tail_lines = LINES_MAX};
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    if (!*id || json_int_or(json_get(ended, "exitCode"), 0) == 0 || json_str(json_get(ended, "message")))
        return;
    if (json_get(pod->last_words, id)) {
        json_set(kept, id, json_ref(json_get(pod->last_words, id)));
        return;
    }
    if (is_being_read(pod, id))
        return;
    struct reading *r = xnew0(struct reading);
    *r = (struct reading){.pod = pod, .id = xstrdup(id)};
    list_append(&pod->last_words_read, &r->link);
    int k = agent_log_open(pod->agent, &o, &callbacks, r, &r->log, &err);
    if (k < 0) {
        log_debug("pod %s/%s: last output of %s: %s", pod->namespace, pod->name, name, error_text(&err, k));
        json_set(kept, id, json_string(""));
        reading_free(r);
    }
}

void last_words_update(struct agent_pod *pod) {
    const struct json *list = json_get(pod->state, "containers");
    struct json *kept = NULL;

    for (size_t i = 0; pod->desired && i < json_len(list); i++) {
        const struct json *c = json_at(list, i);
        const char *name = json_str_or(json_get(c, "name"), ""), *state = json_str_or(json_get(c, "state"), "");
        if (!falls_back(pod, name))
            continue;
        if (strcmp(state, "terminated") == 0)
            look_at(pod, name, c, false, &kept);
        else if (json_get(c, "last"))
            look_at(pod, name, json_get(c, "last"), strcmp(state, "running") == 0, &kept);
    }
    json_unref(pod->last_words); /* runs that nobody names any more are forgotten */
    pod->last_words = kept;
}
