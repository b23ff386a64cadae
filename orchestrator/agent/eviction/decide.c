/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/eviction/decide.h"

#include <string.h>

/* What can become of each signal within a second, at a pace that nobody keeps for long: by it follows how long nobody
 * needs to look. Memory may go faster; then the kernel tells. */
static const int64_t pace[EVICTION_SIGNALS] = {
    [EVICTION_MEMORY] = 100ll << 20,  [EVICTION_NODEFS] = 100ll << 20,   [EVICTION_IMAGEFS] = 100ll << 20,
    [EVICTION_NODEFS_INODES] = 10000, [EVICTION_IMAGEFS_INODES] = 10000, [EVICTION_PIDS] = 100,
};

enum eviction_condition eviction_condition_of(enum eviction_signal signal) {
    switch (signal) {
    case EVICTION_MEMORY:
        return EVICTION_MEMORY_PRESSURE;
    case EVICTION_PIDS:
        return EVICTION_PID_PRESSURE;
    case EVICTION_NODEFS:
    case EVICTION_NODEFS_INODES:
    case EVICTION_IMAGEFS:
    case EVICTION_IMAGEFS_INODES:
    case EVICTION_SIGNALS:
        break;
    }
    return EVICTION_DISK_PRESSURE;
}

const char *eviction_condition_name(enum eviction_condition condition) {
    static const char *const names[] = {"MemoryPressure", "DiskPressure", "PIDPressure"};
    return names[condition];
}

/* How far above the threshold; negative: it is met. */
static int64_t headroom(const struct eviction_threshold *t, const struct eviction_observation *o, bool with_minimum) {
    int64_t wanted = eviction_amount_of(&t->amount, o->capacity);

    if (with_minimum)
        wanted += eviction_amount_of(&t->minimum, o->capacity);
    return o->available - wanted;
}

bool eviction_satisfied(const struct eviction_config *config,
                        const struct eviction_observation seen[EVICTION_SIGNALS]) {
    for (size_t i = 0; i < config->n; i++) {
        const struct eviction_threshold *t = &config->thresholds[i];
        if (seen[t->signal].known && headroom(t, &seen[t->signal], true) < 0)
            return false;
    }
    return true;
}

static void sooner(uint64_t *at, uint64_t other) {
    if (other < *at)
        *at = other;
}

/* One threshold: its state, its part of the decision. */
static void judge(const struct eviction_threshold *t, const struct eviction_observation *o, size_t i, uint64_t now,
                  struct eviction_state *state, struct eviction_decision *ret) {
    int64_t room = o->known ? headroom(t, o, state->thresholds[i].met) : 0;

    if (!o->known || room >= 0) {
        state->thresholds[i].pending = state->thresholds[i].met = false;
        if (o->known) {
            int64_t seconds = headroom(t, o, false) / pace[t->signal];
            uint64_t wait = seconds < 300 ? (uint64_t) seconds * 1000000 : EVICTION_LOOK_MAX_USEC;
            sooner(&ret->look_at, now + (wait > EVICTION_LOOK_MIN_USEC ? wait : EVICTION_LOOK_MIN_USEC));
        }
        return;
    }
    if (!state->thresholds[i].pending)
        state->thresholds[i].since = now;
    state->thresholds[i].pending = true;
    uint64_t due = state->thresholds[i].since + t->grace_usec;
    state->thresholds[i].met = now >= due;
    enum eviction_condition c = eviction_condition_of(t->signal);
    state->conditions[c].seen = true;
    state->conditions[c].last = now;
    sooner(&ret->look_at, now + EVICTION_LOOK_MIN_USEC);
    if (now < due)
        sooner(&ret->look_at, due);
    else if (!ret->reclaim || (t->signal == EVICTION_MEMORY && ret->reclaim->signal != EVICTION_MEMORY))
        ret->reclaim = t;
}

void eviction_decide(const struct eviction_config *config, const struct eviction_observation seen[EVICTION_SIGNALS],
                     uint64_t now, struct eviction_state *state, struct eviction_decision *ret) {
    *ret = (struct eviction_decision){.look_at = now + EVICTION_LOOK_MAX_USEC};
    for (size_t i = 0; i < config->n; i++)
        judge(&config->thresholds[i], &seen[config->thresholds[i].signal], i, now, state, ret);
    for (int c = 0; c < EVICTION_CONDITIONS; c++) {
        if (!state->conditions[c].seen)
            continue;
        uint64_t end = state->conditions[c].last + config->transition_usec;
        if (state->conditions[c].last == now || now < end) {
            ret->conditions |= 1u << c;
            sooner(&ret->look_at, end > now ? end : now + EVICTION_LOOK_MIN_USEC);
        } else {
            state->conditions[c].seen = false;
        }
    }
}

bool eviction_admits(unsigned conditions, bool critical, const char *qos_class, bool tolerates) {
    if (conditions == 0 || critical)
        return true;
    if (conditions != 1u << EVICTION_MEMORY_PRESSURE)
        return false;
    return strcmp(qos_class, "BestEffort") != 0 || tolerates;
}
