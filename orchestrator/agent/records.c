/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/records.h"

#include <errno.h>
#include <string.h>

#include "orchestrator/agent/model.h"
#include "orchestrator/agent/services/record.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"
#include "podium/base/log.h"
#include "podium/base/memory.h"
#include "podium/base/path.h"

#define FILE_BYTES_MAX (256u * 1024u * 1024u)
#define ACCURACY_USEC  (100ull * 1000ull)
#define TRIM_BYTES     (512u * 1024u) /* a text of this size leaves a heap worth trimming */

struct record_file {
    char *path;
    uint64_t delay;
    bool dirty;
    sd_event_source *timer;
};

struct agent_records {
    struct agent *agent;
    struct record_file pods, services;
    sd_event_source *wait;
};

/* --- writing --- */

static struct json *recorded_pods(const struct agent *agent) {
    struct json *list = json_array();
    struct hashmap_iter it = {0};

    while (hashmap_next(agent->pods, &it)) {
        const struct agent_pod *pod = it.value;
        if (!pod->wanted || !pod->desired || pod->is_static || pod->finished)
            continue;
        /* the status as it is now: a pod that ended for good must not begin anew */
        struct json *doc = json_ref(pod->desired);
        if (pod->status)
            json_set(&doc, "status", json_ref(pod->status));
        json_append(&list, doc);
    }
    return list;
}

static struct json *recorded_objects(const struct agent *agent) {
    struct json *list = json_array();
    struct hashmap_iter it = {0};

    while (hashmap_next(agent->objects, &it))
        json_append(&list, json_ref(it.value));
    return list;
}

static struct json *pods_document(const struct agent *agent) {
    struct json *doc = json_object();

    if (agent->network)
        json_set(&doc, "network", json_ref(agent->network));
    json_set(&doc, "pods", recorded_pods(agent));
    json_set(&doc, "objects", recorded_objects(agent));
    return doc;
}

/* Service by service: all of them as one tree would take ten times the text. */
static void write_services(const struct agent *agent, struct strbuf *out) {
    const char *separator = "";

    strbuf_adds(out, "{\"objects\":[");
    for (const struct service *s = NULL; (s = service_table_next(agent->service_table, s));) {
        _cleanup_json_ struct json *list = json_array();
        service_record(s, &list);
        for (size_t i = 0; i < json_len(list); i++) {
            strbuf_adds(out, separator);
            json_write(json_at(list, i), 0, out);
            separator = ",";
        }
    }
    strbuf_adds(out, "]}");
}

static void write_file(struct agent_records *r, struct record_file *f) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    if (f == &r->pods) {
        _cleanup_json_ struct json *doc = pods_document(r->agent);
        json_write(doc, 0, &text);
    } else {
        write_services(r->agent, &text);
    }
    f->dirty = false;
    size_t size = text.len;
    int k = file_write_atomic(f->path, strbuf_str(&text), text.len, 0600, false, &err);
    if (k < 0)
        log_warning("what this node shall run is not recorded: %s", error_text(&err, k));
    strbuf_finish(&text);
    if (size > TRIM_BYTES)
        memory_trim();
}

/* In the middle of a resync, or before the first, what is known is not what is wanted. */
static bool is_whole(const struct agent *agent) {
    return agent->synced && !agent->stale;
}

static void arm(struct agent_records *r, struct record_file *f);

static int on_pods_timer(sd_event_source *source, uint64_t usec, void *userdata) {
    struct agent_records *r = userdata;

    if (is_whole(r->agent))
        write_file(r, &r->pods);
    else
        arm(r, &r->pods);
    return 0;
}

static int on_services_timer(sd_event_source *source, uint64_t usec, void *userdata) {
    struct agent_records *r = userdata;

    if (is_whole(r->agent))
        write_file(r, &r->services);
    else
        arm(r, &r->services);
    return 0;
}

static void arm(struct agent_records *r, struct record_file *f) {
    f->dirty = true;
    if (!f->timer) {
        (void) sd_event_add_time_relative(r->agent->loop, &f->timer, CLOCK_MONOTONIC, f->delay, ACCURACY_USEC,
                                          f == &r->pods ? on_pods_timer : on_services_timer, r);
        return;
    }
    (void) sd_event_source_set_time_relative(f->timer, f->delay);
    (void) sd_event_source_set_enabled(f->timer, SD_EVENT_ONESHOT);
}

void records_pods_changed(struct agent_records *r) {
    if (r && !r->pods.dirty)
        arm(r, &r->pods);
}

void records_services_changed(struct agent_records *r) {
    if (r && !r->services.dirty)
        arm(r, &r->services);
}

/* --- reading --- */

static struct json *read_file(const struct record_file *f) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct json *doc = NULL;

    int r = json_parse_file(f->path, FILE_BYTES_MAX, &doc, &err);
    if (r < 0 && r != -ENOENT)
        log_warning("the record %s is unusable: %s", f->path, error_text(&err, r));
    return r < 0 ? NULL : doc;
}

static void take_objects(struct agent *agent, const struct json *doc) {
    const struct json *list = json_get(doc, "objects");

    for (size_t i = 0; i < json_len(list); i++)
        agent_apply_object(agent, json_at(list, i));
}

static void take_records(struct agent *agent, const struct json *doc, const struct json *services) {
    const struct json *network = json_get(doc, "network"), *pods = json_get(doc, "pods");
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    int r = 0;

    log_info("the control plane is away: %zu pods as it wanted them last", json_len(pods));
    agent_sync_begin(agent);
    if (network && !agent->network)
        r = agent_set_network(agent, network, &err);
    if (r < 0)
        log_warning("the recorded network: %s", error_text(&err, r));
    take_objects(agent, doc);
    take_objects(agent, services);
    for (size_t i = 0; i < json_len(pods); i++) {
        error_clear(&err);
        r = agent_apply_pod(agent, json_at(pods, i), &err);
        if (r < 0)
            log_warning("a recorded pod: %s", error_text(&err, r));
    }
    agent_sync_end(agent);
}

static int on_wait(sd_event_source *source, uint64_t usec, void *userdata) {
    struct agent_records *r = userdata;
    struct agent *agent = r->agent;

    if (agent->synced)
        return 0;
    if (agent->stale) { /* a resync is coming in: let it, or come back */
        (void) sd_event_source_set_time_relative(source, RECORDS_WAIT_USEC);
        (void) sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        return 0;
    }
    _cleanup_json_ struct json *doc = read_file(&r->pods), *services = read_file(&r->services);
    if (doc)
        take_records(agent, doc, services);
    return 0;
}

/* --- life --- */

int records_new(struct agent *agent, struct agent_records **ret, struct error *err) {
    _cleanup_free_ char *dir = path_join(agent->state_dir, "records");
    int k = mkdir_parents(dir, 0700, err);

    if (k < 0)
        return k;
    struct agent_records *r = xnew0(struct agent_records);
    r->agent = agent;
    r->pods = (struct record_file){.path = path_join(dir, "pods.json"), .delay = RECORDS_PODS_USEC};
    r->services = (struct record_file){.path = path_join(dir, "services.json"), .delay = RECORDS_SERVICES_USEC};
    k = sd_event_add_time_relative(agent->loop, &r->wait, CLOCK_MONOTONIC, RECORDS_WAIT_USEC, ACCURACY_USEC, on_wait,
                                   r);
    if (k < 0) {
        records_free(r);
        return error_set_errno(err, k, "cannot use the event loop");
    }
    *ret = r;
    return 0;
}

void records_free(struct agent_records *r) {
    if (!r)
        return;
    struct record_file *const files[] = {&r->pods, &r->services};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        if (files[i]->dirty && is_whole(r->agent))
            write_file(r, files[i]);
        sd_event_source_disable_unref(files[i]->timer);
        free(files[i]->path);
    }
    sd_event_source_disable_unref(r->wait);
    free(r);
}
