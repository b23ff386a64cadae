/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Container output out of the journal: entries of the pod's unit with the container as identifier and the run's syslog
 * facility, from the start of the run on. Runs next to each other differ in the facility, so that the last lines of one
 * that came late are not taken for another's; those long past with the same facility are before its start. Runs whose
 * number is not known (of earlier supervisors) are cut by time alone.
 */
#include <string.h>
#include <sys/epoll.h>
#include <systemd/sd-journal.h>
#include <time.h>

#include "orchestrator/agent/journal_sync.h"
#include "orchestrator/agent/log_decode.h"
#include "orchestrator/agent/model.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/runtime.h"

#define LINES_PER_TURN 500
#define BYTES_PER_TURN (64u * 1024u)
#define FRESH_USEC     (60 * USEC_PER_SEC)   /* how long ago a run may have ended whose lines are not all there */
#define LATE_USEC      (100 * USEC_PER_MSEC) /* from a container's write to the journal, at most and mostly */
#define END_GRACE_USEC                                                                                                 \
    (300 *                                                                                                             \
     USEC_PER_MSEC) /* after an end: when journald took in all it had, and nothing came for so long, all is there */
#define LATER_GRACE_USEC (50 * USEC_PER_MSEC) /* the same, some seconds later */
#define JUST_USEC        (2 * USEC_PER_SEC)

struct agent_log {
    struct list link; /* in agent->logs */
    struct agent *agent;
    sd_journal *journal;
    sd_event_source *turn, *changes, *end_timer;
    const struct agent_log_callbacks *callbacks;
    void *userdata;
    char *uid, *container;
    bool follow, timestamps, paused, ended, last_round;
    bool waiting; /* for last lines: nothing is read until the end timer */
    bool in_line; /* the last entry was a part of a line, more of it follows */
    struct log_decoder decoder;
    struct strbuf text; /* of one entry */
    struct strbuf out;  /* of one turn */
    bool fresh;         /* the run ended a moment ago: the journal may not have its last lines yet */
    uint64_t grace;     /* and they get so much time on their way to it */
    struct journal_sync *sync;
    int run;              /* -1: not known */
    uint64_t started;     /* the run */
    uint64_t from, until; /* real time; until 0: open */
    uint64_t last;        /* monotonic time of this boot: what comes later is not asked for; 0: open */
    sd_id128_t boot;
    uint64_t bytes_left; /* UINT64_MAX: no limit */
    int *dead;
};

void agent_log_close(struct agent_log *l) {
    if (!l)
        return;
    if (l->dead)
        *l->dead = 1;
    list_remove(&l->link);
    sd_event_source_disable_unref(l->turn);
    sd_event_source_disable_unref(l->changes);
    sd_event_source_disable_unref(l->end_timer);
    journal_sync_free(l->sync);
    sd_journal_close(l->journal);
    strbuf_finish(&l->text);
    strbuf_finish(&l->out);
    free(l->uid);
    free(l->container);
    free(l);
}

static void end(struct agent_log *l, const char *error) {
    if (l->ended)
        return;
    l->ended = true;
    (void) sd_event_source_set_enabled(l->turn, SD_EVENT_OFF);
    if (l->changes)
        (void) sd_event_source_set_enabled(l->changes, SD_EVENT_OFF);
    l->callbacks->end(l->userdata, error);
}

static void format_time(uint64_t usec, char *out, size_t n) {
    time_t seconds = (time_t) (usec / USEC_PER_SEC);
    char head[32];
    struct tm tm;

    (void) strftime(head, sizeof(head), "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &tm));
    (void) snprintf(out, n, "%s.%06u000Z ", head, (unsigned) (usec % USEC_PER_SEC));
}

/* How an entry's line ended: the journal cuts lines at 48 KiB and at NUL bytes, and says so. */
static enum log_break break_of(const char *how, size_t n) {
    if (n == 3 && memcmp(how, "nul", n) == 0)
        return LOG_BREAK_NUL;
    if (n == 3 && memcmp(how, "eof", n) == 0)
        return LOG_BREAK_END;
    return LOG_BREAK_PART; /* line-max, pid-change */
}

static bool is_field(const void *data, size_t n, const char *field) {
    return n >= strlen(field) && memcmp(data, field, strlen(field)) == 0;
}

static enum log_break line_break(sd_journal *journal) {
    const size_t skip = strlen("_LINE_BREAK=");
    const void *data;
    size_t n;

    if (sd_journal_get_data(journal, "_LINE_BREAK", &data, &n) < 0 || n < skip)
        return LOG_BREAK_NEWLINE;
    return break_of((const char *) data + skip, n - skip);
}

/* The entry's text into l->text and how its line ended. Looking for fields one by one would unpack a compressed text as
 * often. */
static enum log_break read_entry(struct agent_log *l) {
    enum log_break end = LOG_BREAK_NEWLINE;
    const void *data;
    size_t n;

    strbuf_reset(&l->text);
    sd_journal_restart_data(l->journal);
    while (sd_journal_enumerate_available_data(l->journal, &data, &n) > 0) {
        const char *p = data;
        if (is_field(p, n, "MESSAGE="))
            strbuf_add(&l->text, p + strlen("MESSAGE="), n - strlen("MESSAGE="));
        else if (is_field(p, n, "_LINE_BREAK="))
            end = break_of(p + strlen("_LINE_BREAK="), n - strlen("_LINE_BREAK="));
    }
    return end;
}

/* Adds the current entry to l->out; false when the limit is reached. */
static bool take_entry(struct agent_log *l, uint64_t when) {
    size_t before = l->out.len;
    enum log_break end = read_entry(l);

    if (l->timestamps && !l->in_line) {
        char stamp[48];
        format_time(when, stamp, sizeof(stamp));
        strbuf_adds(&l->out, stamp);
    }
    if (l->run >= 0)
        log_decode(&l->decoder, l->text.data, l->text.len, end, &l->out);
    else
        strbuf_add(&l->out, l->text.data, l->text.len);
    if (end == LOG_BREAK_NEWLINE)
        strbuf_addc(&l->out, '\n');
    else if (end == LOG_BREAK_NUL)
        strbuf_addc(&l->out, 0);
    l->in_line = end != LOG_BREAK_NEWLINE;
    size_t added = l->out.len - before;
    if (l->bytes_left == UINT64_MAX)
        return true;
    if (added > l->bytes_left)
        l->out.len = before + (size_t) l->bytes_left;
    l->bytes_left -= l->out.len - before;
    return l->bytes_left > 0;
}

static const struct json *container_of_pod(const struct agent_pod *pod, const char *name) {
    const struct json *list = pod ? json_get(pod->state, "containers") : NULL;

    for (size_t i = 0; i < json_len(list); i++)
        if (strcmp(json_str_or(json_get(json_at(list, i), "name"), ""), name) == 0)
            return json_at(list, i);
    return NULL;
}

/* Whether the run that is followed is over. */
static bool run_is_over(const struct agent_log *l) {
    const struct agent_pod *pod = agent_pod_by_uid(l->agent, l->uid);
    const struct json *c = container_of_pod(pod, l->container);

    return !pod || !c || !pod->unit_exists || strcmp(json_str_or(json_get(c, "state"), ""), "running") != 0 ||
           (uint64_t) json_int_or(json_get(c, "startedAt"), 0) > l->started;
}

static void wait_a_little(struct agent_log *l) {
    (void) sd_event_source_set_time_relative(l->end_timer, l->grace);
    (void) sd_event_source_set_enabled(l->end_timer, SD_EVENT_ONESHOT);
}

static void on_synced(void *userdata) {
    struct agent_log *l = userdata;

    journal_sync_free(steal(&l->sync));
    if (!l->ended)
        wait_a_little(l);
}

/* What the run wrote may be in journald's socket, and, when that is full, in the supervisor's hands: journald takes in
 * what it has, which lets the supervisor go on. When that brings nothing, all is there; else once more. */
static void wait_for_rest(struct agent_log *l) {
    l->last_round = true; /* if nothing comes until then */
    l->waiting = true;    /* also when the reader asks for more meanwhile */
    journal_sync_free(steal(&l->sync));
    if (journal_sync_start(l->agent->loop, on_synced, l, &l->sync, NULL) < 0)
        wait_a_little(l);
}

/* At the end of what is there: wait for more, or end. */
static void at_tail(struct agent_log *l) {
    (void) sd_event_source_set_enabled(l->turn, SD_EVENT_OFF);
    if ((!l->follow && !l->fresh) || l->until > 0 || l->last_round) {
        end(l, NULL);
    } else if (l->fresh || run_is_over(l)) {
        wait_for_rest(l);
    }
}

void agent_logs_pod_changed(const struct agent_pod *pod) {
    struct agent_log *l;

    list_foreach(l, &pod->agent->logs, link) {
        if (l->ended || l->last_round || strcmp(l->uid, pod->uid) != 0)
            continue;
        (void) sd_event_source_set_time_relative(l->end_timer, 0);
        (void) sd_event_source_set_enabled(l->end_timer, SD_EVENT_ONESHOT);
    }
}

enum outcome { MORE, TAIL, OVER, UNREADABLE };

/* Written after the question: without following, a container that writes without pause must not be read for ever. By
 * the monotonic time, which nobody sets back; what is of another boot is of an earlier one. */
static bool is_too_late(const struct agent_log *l) {
    sd_id128_t boot;
    uint64_t when;

    return l->last > 0 && sd_journal_get_monotonic_usec(l->journal, &when, &boot) >= 0 && when > l->last &&
           sd_id128_equal(boot, l->boot);
}

/* Takes entries into l->out; each would be a message of its own on its way otherwise. */
static enum outcome read_some(struct agent_log *l) {
    for (int i = 0; i < LINES_PER_TURN && l->out.len < BYTES_PER_TURN; i++) {
        uint64_t when = 0;
        int r = sd_journal_next(l->journal);
        if (r < 0)
            return UNREADABLE;
        if (r == 0)
            return TAIL;
        l->last_round = false;
        if (sd_journal_get_realtime_usec(l->journal, &when) < 0 || when < l->from)
            continue;
        if ((l->until > 0 && when >= l->until) || is_too_late(l) || !take_entry(l, when))
            return OVER;
    }
    return MORE;
}

static int on_turn(sd_event_source *source, void *userdata) {
    struct agent_log *l = userdata;
    int dead = 0;

    l->dead = &dead;
    enum outcome outcome = read_some(l);
    if (l->out.len > 0)
        l->callbacks->data(l->userdata, l->out.data, l->out.len);
    if (dead)
        return 0;
    strbuf_reset(&l->out);
    switch (outcome) {
    case MORE:
        if (l->paused)
            (void) sd_event_source_set_enabled(l->turn, SD_EVENT_OFF);
        break;
    case TAIL:
        at_tail(l);
        break;
    case OVER:
    case UNREADABLE:
        end(l, outcome == OVER ? NULL : "cannot read the journal");
        break;
    }
    if (!dead)
        l->dead = NULL;
    return 0;
}

static int on_changes(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
    struct agent_log *l = userdata;

    (void) sd_journal_process(l->journal);
    if (!l->paused && !l->ended && !l->last_round)
        (void) sd_event_source_set_enabled(l->turn, SD_EVENT_ON);
    return 0;
}

static int on_end_timer(sd_event_source *source, uint64_t usec, void *userdata) {
    struct agent_log *l = userdata;

    l->waiting = false;
    (void) sd_journal_process(l->journal);
    if (!l->paused && !l->ended)
        (void) sd_event_source_set_enabled(l->turn, SD_EVENT_ON);
    return 0;
}

void agent_log_pause(struct agent_log *l, bool paused) {
    l->paused = paused;
    if (!l->ended && !l->waiting)
        (void) sd_event_source_set_enabled(l->turn, paused ? SD_EVENT_OFF : SD_EVENT_ON);
}

/* --- opening --- */

/* The times of the run that is asked for. */
static int find_run(const char *pod, const struct json *c, const struct agent_log_options *o, struct agent_log *l,
                    struct error *err) {
    const struct json *last = json_get(c, "last");
    bool in_backoff = last && strcmp(json_str_or(json_get(c, "state"), ""), "waiting") == 0;
    uint64_t started = (uint64_t) json_int_or(json_get(c, "startedAt"), 0);
    const struct json *run = c;

    if (o->previous || in_backoff) { /* while waiting for a restart the last run is the current one */
        if (!last)
            return error_set(err, -EINVAL, "previous terminated container \"%s\" in pod \"%s\" not found", o->container,
                             pod);
        run = last;
        l->from = (uint64_t) json_int_or(json_get(last, "startedAt"), 0);
        l->until = in_backoff ? 0 : started;
    } else if (started > 0) {
        l->from = started;
    } else {
        return error_set(err, -EINVAL, "container \"%s\" in pod \"%s\" is waiting to start: %s", o->container, pod,
                         json_str_or(json_get(c, "reason"), "ContainerCreating"));
    }
    l->started = l->from;
    uint64_t finished = (uint64_t) json_int_or(json_get(run, "finishedAt"), 0), now = now_realtime_usec();
    l->fresh = finished > 0 && finished <= now && now - finished < FRESH_USEC;
    l->grace = l->fresh && now - finished > JUST_USEC ? LATER_GRACE_USEC : END_GRACE_USEC;
    l->run = (int) json_int_or(json_get(run, "run"), -1);
    if (l->run >= 0 && l->until > 0) {
        l->until = 0;
        l->follow = false; /* it is over */
    }
    if (o->since_usec > l->from)
        l->from = o->since_usec;
    if (!l->follow && finished == 0) {
        l->last = now_monotonic_usec() + LATE_USEC;
        (void) sd_id128_get_boot(&l->boot);
    }
    return 0;
}

/* To the entry before the last `lines` lines, so that the next one is their first; -EAGAIN when there are fewer. */
static int seek_lines(sd_journal *journal, uint64_t until, int64_t lines) {
    int r = until > 0 ? sd_journal_seek_realtime_usec(journal, until) : sd_journal_seek_tail(journal);
    bool newest = true;

    for (int64_t ends = 0; r >= 0; newest = false) {
        r = sd_journal_previous(journal);
        if (r == 0)
            return -EAGAIN;
        if (r < 0)
            break;
        ends += line_break(journal) == LOG_BREAK_NEWLINE || newest; /* the last line may have no end yet */
        if (ends > lines)
            return 0;
    }
    return r;
}

static int open_journal(struct agent_log *l, const struct agent_pod *pod, const struct agent_log_options *o,
                        struct error *err) {
    _cleanup_free_ char *unit = xasprintf("_SYSTEMD_UNIT=%s", pod->unit);
    _cleanup_free_ char *identifier = xasprintf("SYSLOG_IDENTIFIER=%s", o->container);

    int r = sd_journal_open(&l->journal, SD_JOURNAL_LOCAL_ONLY);
    if (r >= 0)
        r = sd_journal_set_data_threshold(l->journal, 0);
    if (r >= 0)
        r = sd_journal_add_match(l->journal, unit, 0);
    if (r >= 0)
        r = sd_journal_add_match(l->journal, identifier, 0);
    if (r >= 0 && l->run >= 0) {
        _cleanup_free_ char *facility = xasprintf("SYSLOG_FACILITY=%u", POD_LOG_FACILITY(l->run));
        r = sd_journal_add_match(l->journal, facility, 0);
    }
    if (r >= 0 && o->tail_lines >= 0) {
        r = seek_lines(l->journal, l->until, o->tail_lines);
        if (r == -EAGAIN) /* from the first on, which next() would step over */
            r = sd_journal_seek_head(l->journal);
    } else if (r >= 0) {
        r = sd_journal_seek_realtime_usec(l->journal, l->from);
    }
    return r < 0 ? error_set_errno(err, r, "cannot read the journal") : 0;
}

static int watch(struct agent_log *l, struct error *err) {
    sd_event *loop = l->agent->loop;
    int r = sd_event_add_defer(loop, &l->turn, on_turn, l);

    if (r >= 0)
        r = sd_event_source_set_enabled(l->turn, SD_EVENT_ON);
    if (r >= 0)
        r = sd_event_add_time_relative(loop, &l->end_timer, CLOCK_MONOTONIC, 0, 0, on_end_timer, l);
    if (r >= 0)
        r = sd_event_source_set_enabled(l->end_timer, SD_EVENT_OFF);
    if (r >= 0 && l->follow) {
        int fd = sd_journal_get_fd(l->journal);
        r = fd < 0 ? fd : sd_event_add_io(loop, &l->changes, fd, EPOLLIN, on_changes, l);
    }
    return r < 0 ? error_set_errno(err, r, "cannot use the event loop") : 0;
}

/* Of a pod that has not begun; in one that has, the supervisor says it. */
static const char *why_it_waits(const struct agent_pod *pod, const char *container) {
    const struct json *held = json_get(pod->held, container), *image = json_get(pod->images_waiting, container);

    if (held || image)
        return json_get_str(image ? image : held, "reason");
    return pod->problem.reason ? pod->problem.reason : "ContainerCreating";
}

int agent_log_open(struct agent *agent, const struct agent_log_options *o, const struct agent_log_callbacks *callbacks,
                   void *userdata, struct agent_log **ret, struct error *err) {
    const struct agent_pod *pod = agent_pod_by_uid(agent, o->uid);
    const struct json *c = container_of_pod(pod, o->container);

    if (!pod)
        return error_set(err, -ENOENT, "the pod is not on this node");
    if (!c && !pod->state)
        return error_set(err, -EINVAL, "container \"%s\" in pod \"%s\" is waiting to start: %s", o->container,
                         pod->name, why_it_waits(pod, o->container));
    if (!c)
        return error_set(err, -ENOENT, "container %s is not valid for pod %s", o->container, pod->name);
    struct agent_log *l = xnew0(struct agent_log);
    *l = (struct agent_log){.agent = agent,
                            .callbacks = callbacks,
                            .userdata = userdata,
                            .uid = xstrdup(o->uid),
                            .container = xstrdup(o->container),
                            .follow = o->follow,
                            .timestamps = o->timestamps,
                            .bytes_left = o->limit_bytes ? o->limit_bytes : UINT64_MAX};
    list_append(&agent->logs, &l->link);
    int r = find_run(pod->name, c, o, l, err);
    if (r == 0)
        r = open_journal(l, pod, o, err);
    if (r == 0)
        r = watch(l, err);
    if (r < 0) {
        agent_log_close(l);
        return r;
    }
    *ret = l;
    return 0;
}
