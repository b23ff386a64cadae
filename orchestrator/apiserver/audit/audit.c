/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/audit/audit.h"

#include <stdatomic.h>
#include <string.h>

#include "orchestrator/apiserver/audit/event.h"
#include "orchestrator/apiserver/audit/log.h"
#include "orchestrator/apiserver/audit/record.h"
#include "orchestrator/apiserver/server.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"
#include "podium/base/random.h"

#define POLICY_BYTES_MAX (1u << 20)

struct audit {
    struct audit_policy *policy;
    struct audit_log *log;
    atomic_ullong events, by_level[4];
};

static int load_policy(const char *file, struct audit_policy **ret, struct error *err) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    if (!file) {
        *ret = audit_policy_metadata();
        return 0;
    }
    int r = file_read(file, POLICY_BYTES_MAX, &text, err);
    return r < 0 ? r : audit_policy_parse(file, strbuf_str(&text), text.len, ret, err);
}

int audit_new(const struct apiserver_audit_options *o, struct audit **ret, struct error *err) {
    struct audit_log_options lo = {.path = o->log,
                                   .bytes_max = o->bytes_max,
                                   .age_max_sec = o->age_max_sec,
                                   .backups_max = o->backups_max,
                                   .queue_bytes = o->queue_bytes,
                                   .blocking = o->blocking};
    if (!o->log)
        return o->policy_file ? error_set(err, -EINVAL, "an audit policy needs an audit log") : 0;
    struct audit *a = xnew0(struct audit);
    int r = load_policy(o->policy_file, &a->policy, err);
    if (r >= 0)
        r = audit_log_new(&lo, &a->log, err);
    if (r < 0) {
        audit_free(a);
        return r;
    }
    *ret = a;
    return 0;
}

void audit_free(struct audit *a) {
    if (!a)
        return;
    audit_log_free(a->log);
    audit_policy_free(a->policy);
    free(a);
}

void audit_counts(const struct audit *a, struct audit_counts *ret) {
    *ret = (struct audit_counts){.events = atomic_load(&a->events), .dropped = audit_log_dropped(a->log)};
    for (size_t i = 0; i < ARRAY_LEN(ret->by_level); i++)
        ret->by_level[i] = atomic_load(&a->by_level[i]);
}

static void emit(struct api_request *req, enum audit_stage stage) {
    struct audit_record *rec = req->audit;
    struct audit *a = req->api->audit;
    _cleanup_strbuf_ struct strbuf line = STRBUF_INIT;
    if (rec->answer.level == AUDIT_NONE || rec->answer.omit_stages & 1u << stage)
        return;
    audit_event_write(req, stage, now_realtime_usec(), &line);
    (void) atomic_fetch_add(&a->events, 1);
    audit_log_put(a->log, line.data, line.len);
}

/* What a client may call its request: upstream takes any text; ours must fit into a header line again. */
static void take_id(struct audit_record *rec, const char *wish) {
    size_t n = wish ? strlen(wish) : 0;
    if (n == 0 || n >= sizeof(rec->id)) {
        random_uuid(rec->id);
        return;
    }
    for (size_t i = 0; i < n; i++)
        rec->id[i] = wish[i] > ' ' && wish[i] < 0x7f ? wish[i] : '_';
}

void audit_begin(struct api_request *req, const struct audit_source *from, bool authenticated) {
    static char *const strangers[] = {(char *) "system:unauthenticated", NULL};
    struct audit *a = req->api->audit;
    struct audit_record *rec = req->audit = xnew0(struct audit_record);
    _cleanup_free_ char *verb = audit_verb(req);
    bool stranger = authenticated && !req->user;
    struct audit_question q = {
        .user = stranger    ? "system:anonymous"
                : req->user ? req->user->name
                            : NULL,
        .groups = stranger    ? strangers
                  : req->user ? req->user->groups
                              : NULL,
        .verb = verb,
        .path = req->path ? req->path : "",
        .group = req->group      ? req->group
                 : req->resource ? req->resource->group
                                 : "",
        .plural = req->plural     ? req->plural
                  : req->resource ? req->resource->plural
                                  : NULL,
        .subname = req->subname ? req->subname
                   : req->sub   ? req->sub->name
                                : "",
        .ns = req->ns ? req->ns : "",
        .name = req->name ? req->name : "",
    };
    take_id(rec, from->id);
    rec->received = now_realtime_usec();
    rec->answer = audit_policy_decide(a->policy, &q);
    (void) atomic_fetch_add(&a->by_level[rec->answer.level], 1);
    if (rec->answer.level == AUDIT_NONE)
        return;
    audit_event_head(req, from, verb, authenticated, &rec->head);
    emit(req, AUDIT_RECEIVED);
}

void audit_impersonated(struct api_request *req) {
    if (req->audit->answer.level > AUDIT_NONE)
        audit_event_impersonated(req->user, &req->audit->head);
}

void audit_answered(struct api_request *req, unsigned code, bool long_running) {
    req->audit->code = code;
    if (!long_running)
        return;
    req->audit->started = true;
    emit(req, AUDIT_RESPONSE_STARTED);
}

void audit_end(struct api_request *req) {
    struct audit_record *rec = req->audit;
    if (!rec->code)
        rec->code = req->out.code;
    emit(req, AUDIT_RESPONSE_COMPLETE);
    strbuf_finish(&rec->head);
    json_unref(rec->annotations);
    free(rec);
    req->audit = NULL;
}
