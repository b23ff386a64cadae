/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Units without systemd: records for tests, or real child processes in cgroups of their own. Results are delivered from
 * the loop like those of the real one, so callers cannot tell them apart.
 */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>

#include "orchestrator/systemd/units.h"
#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/hashmap.h"
#include "podium/base/list.h"
#include "podium/base/path.h"

#define REMOVE_TRIES 500

struct fake_units {
    struct unit_manager base;
    bool leaving; /* freed with its units running: they stay */
    sd_event *loop;
    char *cgroup_root; /* NULL: run nothing */
    int fail_start;
    struct hashmap *units;   /* name → struct fake_unit */
    struct hashmap *weights; /* slice → uint64_t */
    struct hashmap *kept;    /* slice → uint64_t */
    struct hashmap *limits;  /* unit → struct unit_limits */
    struct list posted;      /* struct post */
    sd_event_source *defer;
};

struct fake_unit {
    struct fake_units *owner;
    char *name, *cgroup;
    enum unit_state state;
    pid_t pid;
    sd_event_source *child;
    bool stop_asked;
};

enum post_kind { POST_STARTED, POST_STOPPED, POST_CHANGED, POST_REMOVED, POST_LIST };

struct post {
    struct list link;
    enum post_kind kind;
    char *name;
    int result;
    enum unit_state state;
};

/* Sub-groups first: a cgroup is removed like a folder that must not have folders. */
static void remove_cgroup(const char *path) {
    _cleanup_closedir_ DIR *d = opendir(path);
    struct dirent *e;

    while (d && (e = readdir(d)))
        if (e->d_type == DT_DIR && e->d_name[0] != '.') {
            _cleanup_free_ char *sub = path_join(path, e->d_name);
            remove_cgroup(sub);
        }
    for (int i = 0; i < REMOVE_TRIES && rmdir(path) < 0 && errno == EBUSY; i++)
        (void) poll(NULL, 0, 1); /* just killed */
}

static void unit_free(void *p) {
    struct fake_unit *unit = p;

    sd_event_source_disable_unref(unit->child);
    if (unit->cgroup && !unit->owner->leaving)
        remove_cgroup(unit->cgroup);
    free(unit->cgroup);
    free(unit->name);
    free(unit);
}

static void deliver_list(struct fake_units *f) {
    _cleanup_strv_ char **names = strv_new();
    enum unit_state states[256];
    struct hashmap_iter it = {0};
    size_t n = 0;

    while (n < ARRAY_LEN(states) && hashmap_next(f->units, &it)) {
        states[n++] = ((struct fake_unit *) it.value)->state;
        strv_push_dup(&names, it.key);
    }
    f->base.callbacks->listed(f->base.userdata, (const char *const *) names, states, n, 0, NULL);
}

static void deliver(struct fake_units *f, const struct post *p) {
    const struct unit_callbacks *cb = f->base.callbacks;

    if (!cb)
        return;
    switch (p->kind) {
    case POST_STARTED:
        cb->started(f->base.userdata, p->name, p->result, p->result < 0 ? strerror(-p->result) : NULL);
        break;
    case POST_STOPPED:
        cb->stopped(f->base.userdata, p->name, p->result, NULL);
        break;
    case POST_CHANGED:
        cb->changed(f->base.userdata, p->name, p->state);
        break;
    case POST_REMOVED:
        cb->removed(f->base.userdata, p->name);
        break;
    case POST_LIST:
        deliver_list(f);
        break;
    }
}

static int on_defer(sd_event_source *source, void *userdata) {
    struct fake_units *f = userdata;

    (void) sd_event_source_set_enabled(f->defer, SD_EVENT_OFF);
    while (!list_empty(&f->posted)) {
        struct post *p = list_entry(f->posted.next, struct post, link);
        list_remove(&p->link);
        deliver(f, p);
        free(p->name);
        free(p);
    }
    return 0;
}

static void post(struct fake_units *f, enum post_kind kind, const char *name, int result, enum unit_state state) {
    struct post *p = xnew0(struct post);

    *p = (struct post){.kind = kind, .name = name ? xstrdup(name) : NULL, .result = result, .state = state};
    list_append(&f->posted, &p->link);
    (void) sd_event_source_set_enabled(f->defer, SD_EVENT_ONESHOT);
}

static void unit_gone(struct fake_unit *unit) {
    struct fake_units *f = unit->owner;
    _cleanup_free_ char *name = xstrdup(unit->name);

    post(f, POST_CHANGED, name, 0, UNIT_INACTIVE);
    if (unit->stop_asked)
        post(f, POST_STOPPED, name, 0, UNIT_INACTIVE);
    post(f, POST_REMOVED, name, 0, UNIT_INACTIVE);
    (void) hashmap_remove(f->units, name);
}

static void kill_cgroup(const struct fake_unit *unit) {
    if (!unit->cgroup)
        return;
    _cleanup_free_ char *file = path_join(unit->cgroup, "cgroup.kill");
    if (file_write_at(AT_FDCWD, file, "1", NULL) < 0)
        (void) kill(unit->pid, SIGKILL);
}

static int on_child(sd_event_source *source, const siginfo_t *info, void *userdata) {
    struct fake_unit *unit = userdata;

    unit->child = sd_event_source_disable_unref(unit->child);
    (void) waitpid(unit->pid, NULL, 0);
    kill_cgroup(unit); /* KillMode=mixed: what is left goes */
    unit_gone(unit);
    return 0;
}

_Noreturn static void run_child(const struct fake_unit *unit, const char *const *argv) {
    _cleanup_free_ char *procs = path_join(unit->cgroup, "cgroup.procs");
    sigset_t none;

    sigemptyset(&none);
    (void) sigprocmask(SIG_SETMASK, &none, NULL);
    if (file_write_at(AT_FDCWD, procs, "0", NULL) == 0)
        execv(argv[0], (char **) argv);
    _exit(203);
}

static int spawn(struct fake_units *f, struct fake_unit *unit, const struct unit_request *q, struct error *err) {
    unit->cgroup = path_join(f->cgroup_root, q->name);
    if (mkdir(unit->cgroup, 0755) < 0 && errno != EEXIST)
        return error_set_errno(err, -errno, "cannot make %s", unit->cgroup);
    unit->pid = fork();
    if (unit->pid < 0)
        return error_set_errno(err, -errno, "cannot fork");
    if (unit->pid == 0)
        run_child(unit, q->exec_start);
    int r = sd_event_add_child(f->loop, &unit->child, unit->pid, WEXITED, on_child, unit);
    return r < 0 ? error_set_errno(err, r, "cannot watch the child") : 0;
}

static int fake_start(struct unit_manager *base, const struct unit_request *q, struct error *err) {
    struct fake_units *f = container_of(base, struct fake_units, base);

    if (f->fail_start < 0 || hashmap_has(f->units, q->name)) {
        post(f, POST_STARTED, q->name, f->fail_start < 0 ? f->fail_start : -EEXIST, UNIT_FAILED);
        return 0;
    }
    struct fake_unit *unit = xnew0(struct fake_unit);
    *unit = (struct fake_unit){.owner = f, .name = xstrdup(q->name), .state = UNIT_ACTIVE};
    int r = f->cgroup_root ? spawn(f, unit, q, err) : 0;
    if (r < 0) {
        unit_free(unit);
        return r;
    }
    hashmap_put(f->units, q->name, unit);
    post(f, POST_CHANGED, q->name, 0, UNIT_ACTIVE);
    post(f, POST_STARTED, q->name, 0, UNIT_ACTIVE);
    return 0;
}

static int fake_stop(struct unit_manager *base, const char *name, struct error *err) {
    struct fake_units *f = container_of(base, struct fake_units, base);
    struct fake_unit *unit = hashmap_get(f->units, name);

    if (!unit) {
        post(f, POST_STOPPED, name, 0, UNIT_INACTIVE);
    } else if (unit->pid > 0) {
        unit->stop_asked = true;
        unit->state = UNIT_DEACTIVATING;
        post(f, POST_CHANGED, name, 0, UNIT_DEACTIVATING);
        (void) kill(unit->pid, SIGTERM);
    } else {
        unit->stop_asked = true;
        unit_gone(unit);
    }
    return 0;
}

static int fake_kill(struct unit_manager *base, const char *name, int signal, struct error *err) {
    struct fake_units *f = container_of(base, struct fake_units, base);
    struct fake_unit *unit = hashmap_get(f->units, name);

    if (unit && unit->pid > 0) {
        if (signal == SIGKILL)
            kill_cgroup(unit);
        else
            (void) kill(unit->pid, signal);
    } else if (unit && signal == SIGKILL) {
        unit_gone(unit);
    }
    return 0;
}

static int fake_list(struct unit_manager *base, struct error *err) {
    post(container_of(base, struct fake_units, base), POST_LIST, NULL, 0, UNIT_INACTIVE);
    return 0;
}

static void fake_free(struct unit_manager *base) {
    struct fake_units *f = container_of(base, struct fake_units, base);
    struct post *p;

    list_foreach(p, &f->posted, link) {
        free(p->name);
        free(p);
    }
    sd_event_source_disable_unref(f->defer);
    f->leaving = true;
    hashmap_free(f->units);
    hashmap_free(f->weights);
    hashmap_free(f->limits);
    hashmap_free(f->kept);
    sd_event_unref(f->loop);
    free(f->cgroup_root);
    free(f);
}

static int fake_weigh(struct unit_manager *base, const char *slice, uint64_t cpu_weight, struct error *err) {
    struct fake_units *f = container_of(base, struct fake_units, base);

    hashmap_put(f->weights, slice, xmemdup(&cpu_weight, sizeof(cpu_weight)));
    return 0;
}

static int fake_keep(struct unit_manager *base, const char *slice, uint64_t memory_min, struct error *err) {
    struct fake_units *f = container_of(base, struct fake_units, base);

    hashmap_put(f->kept, slice, xmemdup(&memory_min, sizeof(memory_min)));
    return 0;
}

uint64_t unit_fake_kept(const struct unit_manager *m, const char *slice) {
    const struct fake_units *f = container_of(m, const struct fake_units, base);
    const uint64_t *kept = hashmap_get(f->kept, slice);

    return kept ? *kept : 0;
}

static int fake_limit(struct unit_manager *base, const char *name, const struct unit_limits *l, struct error *err) {
    struct fake_units *f = container_of(base, struct fake_units, base);

    hashmap_put(f->limits, name, xmemdup(l, sizeof(*l)));
    return 0;
}

bool unit_fake_limits(const struct unit_manager *m, const char *name, struct unit_limits *ret) {
    const struct fake_units *f = container_of(m, const struct fake_units, base);
    const struct unit_limits *l = hashmap_get(f->limits, name);

    if (l)
        *ret = *l;
    return l != NULL;
}

uint64_t unit_fake_weight(const struct unit_manager *m, const char *slice) {
    const struct fake_units *f = container_of(m, const struct fake_units, base);
    const uint64_t *weight = hashmap_get(f->weights, slice);

    return weight ? *weight : 0;
}

static const struct unit_ops fake_ops = {.start = fake_start,
                                         .stop = fake_stop,
                                         .kill = fake_kill,
                                         .list = fake_list,
                                         .weigh = fake_weigh,
                                         .keep = fake_keep,
                                         .limit = fake_limit,
                                         .free = fake_free};

int unit_manager_new_fake(const struct unit_fake_options *options, struct unit_manager **ret, struct error *err) {
    struct fake_units *f = xnew0(struct fake_units);

    f->base.ops = &fake_ops;
    f->loop = sd_event_ref(options->loop);
    f->cgroup_root = options->cgroup_root ? xstrdup(options->cgroup_root) : NULL;
    f->fail_start = options->fail_start;
    f->units = hashmap_new(unit_free);
    f->weights = hashmap_new(free);
    f->limits = hashmap_new(free);
    f->kept = hashmap_new(free);
    list_init(&f->posted);
    int r = sd_event_add_defer(f->loop, &f->defer, on_defer, f);
    if (r >= 0)
        r = sd_event_source_set_enabled(f->defer, SD_EVENT_OFF);
    if (r < 0) {
        fake_free(&f->base);
        return error_set_errno(err, r, "cannot use the event loop");
    }
    *ret = &f->base;
    return 0;
}

bool unit_fake_has(const struct unit_manager *m, const char *name) {
    return hashmap_has(container_of(m, struct fake_units, base)->units, name);
}

void unit_fake_set_state(struct unit_manager *m, const char *name, enum unit_state state) {
    struct fake_units *f = container_of(m, struct fake_units, base);
    struct fake_unit *unit = hashmap_get(f->units, name);

    if (!unit) {
        unit = xnew0(struct fake_unit);
        *unit = (struct fake_unit){.owner = f, .name = xstrdup(name)};
        hashmap_put(f->units, name, unit);
    }
    unit->state = state;
    if (state == UNIT_INACTIVE)
        unit_gone(unit);
    else
        post(f, POST_CHANGED, name, 0, state);
}

void unit_fake_set_failure(struct unit_manager *m, int fail_start) {
    container_of(m, struct fake_units, base)->fail_start = fail_start;
}
