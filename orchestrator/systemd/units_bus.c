/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <signal.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "orchestrator/systemd/units.h"
#include "podium/base/alloc.h"
#include "podium/base/hashmap.h"
#include "podium/base/limits.h"
#include "podium/base/list.h"

#define SYSTEMD           "org.freedesktop.systemd1"
#define SYSTEMD_PATH      "/org/freedesktop/systemd1"
#define SYSTEMD_MANAGER   "org.freedesktop.systemd1.Manager"
#define UNIT_PATH_PREFIX  SYSTEMD_PATH "/unit/"
#define POD_PATH_PREFIX   UNIT_PATH_PREFIX "podium_2dpod_2d" /* bus_label_escape("podium-pod-") */
#define CALL_TIMEOUT_USEC (90ull * 1000000ull)
/* Pods' output is never dropped for its rate. 0 would say that, but systemd 252 takes it for "not set" and the
 * journal's default applies; with a microsecond the count starts anew at every line. */
#define LOG_RATE_INTERVAL_USEC UINT64_C(1)

enum job_kind { JOB_START, JOB_STOP };

/* A queued or running job. In flight from the call until JobRemoved, or until an error reply. */
struct job {
    struct list link;
    struct bus_units *owner;
    enum job_kind kind;
    char *name;
    sd_bus_message *call;
    sd_bus_slot *slot;
    bool answered;
};

struct bus_units {
    struct unit_manager base;
    sd_bus *bus;
    unsigned max_jobs, n_running;
    struct list queued, running;
    sd_bus_slot *job_removed, *unit_removed, *properties, *subscribe, *list_slot;
    /* A reload of systemd (every package that ships a unit asks for one) says of each unit that it is removed, and of
     * those that are there again that they are new. Until it is over and we have asked, nothing is believed. */
    bool reloading;
    char **gone; /* units said to be removed meanwhile */
    sd_bus_slot *reloaded, *relist_slot;
};

static void pump(struct bus_units *u);

static void job_free(struct job *j) {
    list_remove(&j->link);
    sd_bus_slot_unref(j->slot);
    sd_bus_message_unref(j->call);
    free(j->name);
    free(j);
}

static void job_done(struct job *j, int result, const char *text) {
    struct bus_units *u = j->owner;
    const struct unit_callbacks *cb = u->base.callbacks;
    _cleanup_free_ char *name = xstrdup(j->name);
    enum job_kind kind = j->kind;

    u->n_running--;
    job_free(j);
    if (cb && kind == JOB_START && cb->started)
        cb->started(u->base.userdata, name, result, text);
    if (cb && kind == JOB_STOP && cb->stopped)
        cb->stopped(u->base.userdata, name, result, text);
    pump(u);
}

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *unused) {
    struct job *j = userdata;
    const sd_bus_error *e = sd_bus_message_get_error(m);

    j->answered = true;
    if (!e)
        return 0; /* JobRemoved ends it */
    if (j->kind == JOB_STOP && sd_bus_error_has_name(e, "org.freedesktop.systemd1.NoSuchUnit"))
        job_done(j, 0, NULL);
    else if (sd_bus_error_has_name(e, "org.freedesktop.systemd1.UnitExists"))
        job_done(j, -EEXIST, e->message);
    else
        job_done(j, -sd_bus_error_get_errno(e), e->message);
    return 0;
}

static int job_send(struct job *j) {
    struct bus_units *u = j->owner;
    int r = sd_bus_call_async(u->bus, &j->slot, j->call, on_reply, j, CALL_TIMEOUT_USEC);

    if (r < 0)
        return r;
    j->call = sd_bus_message_unref(j->call);
    list_remove(&j->link);
    list_append(&u->running, &j->link);
    u->n_running++;
    return 0;
}

/* Sends queued jobs while there is room; from bus callbacks only. */
static void pump(struct bus_units *u) {
    while (u->n_running < u->max_jobs && !list_empty(&u->queued)) {
        struct job *j = list_entry(u->queued.next, struct job, link);
        int r = job_send(j);
        if (r < 0) {
            u->n_running++; /* which job_done() takes back */
            job_done(j, r, "cannot send to systemd");
            return;
        }
    }
}

static int enqueue(struct bus_units *u, enum job_kind kind, const char *name, sd_bus_message *take_call,
                   struct error *err) {
    struct job *j = xnew0(struct job);

    *j = (struct job){.owner = u, .kind = kind, .name = xstrdup(name), .call = take_call};
    list_append(&u->queued, &j->link);
    if (u->n_running >= u->max_jobs)
        return 0;
    int r = job_send(j);
    if (r < 0) {
        job_free(j);
        return error_set_errno(err, r, "cannot send to systemd");
    }
    return 0;
}

/* --- requests --- */

static int append_exec(sd_bus_message *m, const char *const *argv) {
    int r = sd_bus_message_open_container(m, 'r', "sv");

    if (r >= 0)
        r = sd_bus_message_append(m, "s", "ExecStart");
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'v', "a(sasb)");
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'a', "(sasb)");
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'r', "sasb");
    if (r >= 0)
        r = sd_bus_message_append(m, "s", argv[0]);
    if (r >= 0)
        r = sd_bus_message_append_strv(m, (char **) argv);
    if (r >= 0)
        r = sd_bus_message_append(m, "b", 0);
    for (int i = 0; r >= 0 && i < 4; i++)
        r = sd_bus_message_close_container(m);
    return r;
}

static int append_strings(sd_bus_message *m, const char *property, const char *const *v) {
    int r = sd_bus_message_open_container(m, 'r', "sv");

    if (r >= 0)
        r = sd_bus_message_append(m, "s", property);
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'v', "as");
    if (r >= 0)
        r = sd_bus_message_append_strv(m, (char **) v);
    if (r >= 0)
        r = sd_bus_message_close_container(m);
    if (r >= 0)
        r = sd_bus_message_close_container(m);
    return r;
}

static int append_limits(sd_bus_message *m, const struct unit_request *q) {
    const struct {
        const char *property;
        uint64_t value;
        bool set;
    } limits[] = {
        {"TimeoutStopUSec", q->stop_timeout_usec, true},
        {"MemoryMax", q->memory_max, q->memory_max != UNIT_UNLIMITED},
        {"TasksMax", q->tasks_max, true}, /* systemd has a default: say so when there is no limit */
        {"CPUQuotaPerSecUSec", q->cpu_quota_per_sec_usec, q->cpu_quota_per_sec_usec != UNIT_UNLIMITED},
        {"CPUWeight", q->cpu_weight, q->cpu_weight > 0},
        {"MemoryMin", q->memory_min, q->memory_min > 0},
        {"LimitNOFILE", q->limit_nofile, q->limit_nofile > 0},
        {"LimitNOFILESoft", q->limit_nofile, q->limit_nofile > 0},
    };
    int r = 0;

    for (size_t i = 0; r >= 0 && i < ARRAY_LEN(limits); i++)
        if (limits[i].set)
            r = sd_bus_message_append(m, "(sv)", limits[i].property, "t", limits[i].value);
    return r;
}

static int append_properties(sd_bus_message *m, const struct unit_request *q) {
    int r = sd_bus_message_append(m, "(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)", "Description", "s", q->description, "Slice",
                                  "s", q->slice, "Type", "s", "notify", "NotifyAccess", "s", "main", "KillMode", "s",
                                  "mixed", "CollectMode", "s", "inactive-or-failed", "StandardOutput", "s", "journal",
                                  "SyslogIdentifier", "s", q->identifier);
    if (r >= 0)
        r = sd_bus_message_append(m, "(sv)(sv)(sv)(sv)(sv)(sv)", "Delegate", "b", 1, "CPUAccounting", "b", 1,
                                  "MemoryAccounting", "b", 1, "TasksAccounting", "b", 1, "LogRateLimitIntervalUSec",
                                  "t", LOG_RATE_INTERVAL_USEC, "OOMScoreAdjust", "i", q->oom_score_adj);
    if (r >= 0)
        r = append_limits(m, q);
    if (r >= 0 && q->environment)
        r = append_strings(m, "Environment", q->environment);
    return r >= 0 ? append_exec(m, q->exec_start) : r;
}

static int bus_start(struct unit_manager *base, const struct unit_request *q, struct error *err) {
    struct bus_units *u = container_of(base, struct bus_units, base);
    sd_bus_message *m = NULL;

    int r = sd_bus_message_new_method_call(u->bus, &m, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "StartTransientUnit");
    if (r >= 0)
        r = sd_bus_message_append(m, "ss", q->name, "fail");
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'a', "(sv)");
    if (r >= 0)
        r = append_properties(m, q);
    if (r >= 0)
        r = sd_bus_message_close_container(m);
    if (r >= 0)
        r = sd_bus_message_append(m, "a(sa(sv))", 0);
    if (r < 0) {
        sd_bus_message_unref(m);
        return error_set_errno(err, r, "cannot make the request for %s", q->name);
    }
    return enqueue(u, JOB_START, q->name, m, err);
}

/* Fire and forget. */
static int call_quietly(struct bus_units *u, const char *method, const char *types, ...) {
    sd_bus_message *m = NULL;
    va_list ap;

    int r = sd_bus_message_new_method_call(u->bus, &m, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, method);
    va_start(ap, types);
    if (r >= 0)
        r = sd_bus_message_appendv(m, types, ap);
    va_end(ap);
    if (r >= 0)
        r = sd_bus_message_set_expect_reply(m, 0);
    if (r >= 0)
        r = sd_bus_send(u->bus, m, NULL);
    sd_bus_message_unref(m);
    return r < 0 ? r : 0;
}

static int bus_stop(struct unit_manager *base, const char *name, struct error *err) {
    struct bus_units *u = container_of(base, struct bus_units, base);
    sd_bus_message *m = NULL;

    int r = sd_bus_message_new_method_call(u->bus, &m, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "StopUnit");
    if (r >= 0)
        r = sd_bus_message_append(m, "ss", name, "replace");
    if (r < 0) {
        sd_bus_message_unref(m);
        return error_set_errno(err, r, "cannot make the request for %s", name);
    }
    (void) call_quietly(u, "ResetFailedUnit", "s", name);
    return enqueue(u, JOB_STOP, name, m, err);
}

static int bus_kill(struct unit_manager *base, const char *name, int signal, struct error *err) {
    struct bus_units *u = container_of(base, struct bus_units, base);
    int r = call_quietly(u, "KillUnit", "ssi", name, "all", (int32_t) signal);

    return r < 0 ? error_set_errno(err, r, "cannot signal %s", name) : 0;
}

static int bus_weigh(struct unit_manager *base, const char *slice, uint64_t cpu_weight, struct error *err) {
    struct bus_units *u = container_of(base, struct bus_units, base);
    int r = call_quietly(u, "SetUnitProperties", "sba(sv)", slice, 1, 1, "CPUWeight", "t", cpu_weight);

    return r < 0 ? error_set_errno(err, r, "cannot set the weight of %s", slice) : 0;
}

static int bus_keep(struct unit_manager *base, const char *slice, uint64_t memory_min, struct error *err) {
    struct bus_units *u = container_of(base, struct bus_units, base);
    int r = call_quietly(u, "SetUnitProperties", "sba(sv)", slice, 1, 1, "MemoryMin", "t", memory_min);

    return r < 0 ? error_set_errno(err, r, "cannot keep memory for %s", slice) : 0;
}

static int bus_limit(struct unit_manager *base, const char *name, const struct unit_limits *l, struct error *err) {
    struct bus_units *u = container_of(base, struct bus_units, base);
    int r = call_quietly(u, "SetUnitProperties", "sba(sv)", name, 1, 4, "MemoryMax", "t", l->memory_max,
                         "CPUQuotaPerSecUSec", "t", l->cpu_quota_per_sec_usec, "CPUWeight", "t", l->cpu_weight,
                         "MemoryMin", "t", l->memory_min);

    return r < 0 ? error_set_errno(err, r, "cannot set the limits of %s", name) : 0;
}

/* --- listing --- */

static int read_list(sd_bus_message *m, char ***names, enum unit_state **states, size_t *n) {
    const char *name, *active;
    size_t cap = 0;
    int r = sd_bus_message_enter_container(m, 'a', "(ssssssouso)");

    while (r >= 0 && (r = sd_bus_message_read(m, "(ssssssouso)", &name, NULL, NULL, &active, NULL, NULL, NULL, NULL,
                                              NULL, NULL)) > 0) {
        xgrow(states, *n, &cap);
        (*states)[(*n)++] = unit_state_parse(active);
        strv_push_dup(names, name);
    }
    return r;
}

static int on_list(sd_bus_message *m, void *userdata, sd_bus_error *unused) {
    struct bus_units *u = userdata;
    const struct unit_callbacks *cb = u->base.callbacks;
    const sd_bus_error *e = sd_bus_message_get_error(m);
    _cleanup_strv_ char **names = strv_new();
    _cleanup_free_ enum unit_state *states = NULL;
    size_t n = 0;

    u->list_slot = sd_bus_slot_unref(u->list_slot);
    int r = e ? -sd_bus_error_get_errno(e) : read_list(m, &names, &states, &n);
    if (cb && cb->listed)
        cb->listed(u->base.userdata, (const char *const *) names, states, r < 0 ? 0 : n, r < 0 ? r : 0,
                   e ? e->message : NULL);
    return 0;
}

static int ask_for_units(struct bus_units *u, sd_bus_slot **slot, sd_bus_message_handler_t answer) {
    sd_bus_message *m = NULL;

    int r = sd_bus_message_new_method_call(u->bus, &m, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "ListUnitsByPatterns");
    if (r >= 0)
        r = sd_bus_message_append(m, "asas", 0, 1, UNIT_POD_PATTERN);
    if (r >= 0) {
        *slot = sd_bus_slot_unref(*slot);
        r = sd_bus_call_async(u->bus, slot, m, answer, u, CALL_TIMEOUT_USEC);
    }
    sd_bus_message_unref(m);
    return r;
}

static int bus_list(struct unit_manager *base, struct error *err) {
    struct bus_units *u = container_of(base, struct bus_units, base);
    int r = ask_for_units(u, &u->list_slot, on_list);

    return r < 0 ? error_set_errno(err, r, "cannot ask systemd for its units") : 0;
}

/* --- signals --- */

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *unused) {
    struct bus_units *u = userdata;
    const char *name, *result;
    struct job *j;

    if (sd_bus_message_read(m, "uoss", NULL, NULL, &name, &result) < 0)
        return 0;
    list_foreach(j, &u->running, link) {
        if (!j->answered || strcmp(j->name, name) != 0)
            continue;
        bool ok = strcmp(result, "done") == 0;
        /* a start that made the unit fail, a stop overtaken by another … */
        _cleanup_free_ char *text = ok ? NULL : xasprintf("the job for %s ended with \"%s\"", name, result);
        job_done(j, ok ? 0 : -EIO, text);
        break;
    }
    return 0;
}

static int on_unit_removed(sd_bus_message *m, void *userdata, sd_bus_error *unused) {
    struct bus_units *u = userdata;
    const struct unit_callbacks *cb = u->base.callbacks;
    const char *name;

    if (sd_bus_message_read(m, "so", &name, NULL) < 0 || strncmp(name, UNIT_POD_PREFIX, strlen(UNIT_POD_PREFIX)) != 0)
        return 0;
    if (u->reloading)
        strv_push_dup(&u->gone, name);
    else if (cb && cb->removed)
        cb->removed(u->base.userdata, name);
    return 0;
}

/* The value of ActiveState among changed properties, NULL when not there. */
static const char *read_active_state(sd_bus_message *m) {
    const char *property, *value = NULL;

    if (sd_bus_message_skip(m, "s") < 0 || sd_bus_message_enter_container(m, 'a', "{sv}") < 0)
        return NULL;
    while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
        if (sd_bus_message_read(m, "s", &property) < 0)
            return NULL;
        if (strcmp(property, "ActiveState") == 0)
            return sd_bus_message_read(m, "v", "s", &value) < 0 ? NULL : value;
        if (sd_bus_message_skip(m, "v") < 0 || sd_bus_message_exit_container(m) < 0)
            return NULL;
    }
    return NULL;
}

static int on_properties(sd_bus_message *m, void *userdata, sd_bus_error *unused) {
    struct bus_units *u = userdata;
    const struct unit_callbacks *cb = u->base.callbacks;
    const char *path = sd_bus_message_get_path(m);
    char *name = NULL;

    if (!path || strncmp(path, POD_PATH_PREFIX, strlen(POD_PATH_PREFIX)) != 0 || !cb || !cb->changed || u->reloading)
        return 0;
    const char *active = read_active_state(m);
    if (active && sd_bus_path_decode(path, SYSTEMD_PATH "/unit", &name) > 0)
        cb->changed(u->base.userdata, name, unit_state_parse(active));
    free(name);
    return 0;
}

/* --- reloads of systemd --- */

static bool strv_has(char *const *v, const char *s) {
    for (; v && *v; v++)
        if (strcmp(*v, s) == 0)
            return true;
    return false;
}

/* What really happened while systemd reloaded. */
static int on_relist(sd_bus_message *m, void *userdata, sd_bus_error *unused) {
    struct bus_units *u = userdata;
    const struct unit_callbacks *cb = u->base.callbacks;
    const sd_bus_error *e = sd_bus_message_get_error(m);
    _cleanup_strv_ char **names = strv_new(), **gone = steal(&u->gone);
    _cleanup_free_ enum unit_state *states = NULL;
    size_t n = 0;

    u->relist_slot = sd_bus_slot_unref(u->relist_slot);
    if (e || read_list(m, &names, &states, &n) < 0) {
        if (ask_for_units(u, &u->relist_slot, on_relist) < 0)
            u->reloading = false;
        u->gone = steal(&gone);
        return 0;
    }
    u->reloading = false;
    for (size_t i = 0; cb && cb->changed && i < n; i++)
        cb->changed(u->base.userdata, names[i], states[i]);
    for (char **g = gone; cb && cb->removed && g && *g; g++)
        if (!strv_has(names, *g))
            cb->removed(u->base.userdata, *g);
    return 0;
}

static int on_reloading(sd_bus_message *m, void *userdata, sd_bus_error *unused) {
    struct bus_units *u = userdata;
    int begins;

    if (sd_bus_message_read(m, "b", &begins) < 0)
        return 0;
    u->reloading = true;
    if (!u->gone)
        u->gone = strv_new();
    u->relist_slot = sd_bus_slot_unref(u->relist_slot);
    if (!begins && ask_for_units(u, &u->relist_slot, on_relist) < 0)
        u->reloading = false;
    return 0;
}

static int subscribe(struct bus_units *u) {
    int r = sd_bus_match_signal_async(u->bus, &u->job_removed, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "JobRemoved",
                                      on_job_removed, NULL, u);
    if (r >= 0)
        r = sd_bus_match_signal_async(u->bus, &u->unit_removed, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "UnitRemoved",
                                      on_unit_removed, NULL, u);
    if (r >= 0)
        r = sd_bus_match_signal_async(u->bus, &u->reloaded, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "Reloading",
                                      on_reloading, NULL, u);
    if (r >= 0)
        r = sd_bus_add_match_async(u->bus, &u->properties,
                                   "type='signal',sender='" SYSTEMD "',interface='org.freedesktop.DBus.Properties',"
                                   "member='PropertiesChanged',arg0='org.freedesktop.systemd1.Unit',"
                                   "path_namespace='" SYSTEMD_PATH "/unit'",
                                   on_properties, NULL, u);
    return r < 0 ? r : call_quietly(u, "Subscribe", "");
}

static void bus_free(struct unit_manager *base) {
    struct bus_units *u = container_of(base, struct bus_units, base);
    struct job *j;

    list_foreach(j, &u->queued, link) job_free(j);
    list_foreach(j, &u->running, link) job_free(j);
    sd_bus_slot_unref(u->job_removed);
    sd_bus_slot_unref(u->unit_removed);
    sd_bus_slot_unref(u->properties);
    sd_bus_slot_unref(u->list_slot);
    sd_bus_slot_unref(u->reloaded);
    sd_bus_slot_unref(u->relist_slot);
    strv_free(u->gone);
    free(u);
}

static const struct unit_ops bus_ops = {.start = bus_start,
                                        .stop = bus_stop,
                                        .kill = bus_kill,
                                        .list = bus_list,
                                        .weigh = bus_weigh,
                                        .keep = bus_keep,
                                        .limit = bus_limit,
                                        .free = bus_free};

int unit_manager_new_systemd(sd_bus *bus, unsigned max_jobs, struct unit_manager **ret, struct error *err) {
    struct bus_units *u = xnew0(struct bus_units);

    u->base.ops = &bus_ops;
    u->bus = bus;
    u->max_jobs = max_jobs ? max_jobs : UNIT_JOBS_IN_FLIGHT;
    list_init(&u->queued);
    list_init(&u->running);
    int r = subscribe(u);
    if (r < 0) {
        bus_free(&u->base);
        return error_set_errno(err, r, "cannot subscribe to systemd's signals");
    }
    *ret = &u->base;
    return 0;
}
