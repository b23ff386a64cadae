/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/eviction/thresholds.h"

#include <stdlib.h>
#include <string.h>

#include "orchestrator/object/quantity.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

static const struct {
    const char *name, *resource;
} signals[EVICTION_SIGNALS] = {
    [EVICTION_MEMORY] = {"memory.available", "memory"},
    [EVICTION_NODEFS] = {"nodefs.available", "ephemeral-storage"},
    [EVICTION_NODEFS_INODES] = {"nodefs.inodesFree", "inodes"},
    [EVICTION_IMAGEFS] = {"imagefs.available", "ephemeral-storage"},
    [EVICTION_IMAGEFS_INODES] = {"imagefs.inodesFree", "inodes"},
    [EVICTION_PIDS] = {"pid.available", "pids"},
};

const char *eviction_signal_name(enum eviction_signal signal) {
    return signals[signal].name;
}

const char *eviction_signal_resource(enum eviction_signal signal) {
    return signals[signal].resource;
}

int64_t eviction_amount_of(const struct eviction_amount *amount, int64_t capacity) {
    return amount->bytes >= 0 ? amount->bytes : (int64_t) ((double) capacity * (double) amount->percent);
}

const struct eviction_threshold *eviction_hard(const struct eviction_config *config, enum eviction_signal signal) {
    for (size_t i = 0; i < config->n; i++)
        if (config->thresholds[i].signal == signal && !config->thresholds[i].is_soft)
            return &config->thresholds[i];
    return NULL;
}

static int parse_signal(const char *name, enum eviction_signal *ret, struct error *err) {
    for (int i = 0; i < EVICTION_SIGNALS; i++)
        if (strcmp(signals[i].name, name) == 0) {
            *ret = (enum eviction_signal) i;
            return 0;
        }
    return error_set(err, -EINVAL, "unsupported eviction signal %s", name);
}

/* "10%", "1.5Gi"; what: for the message about a negative one. */
static int parse_amount(const char *signal, const char *text, struct eviction_amount *ret, struct error *err) {
    size_t n = strlen(text);

    *ret = (struct eviction_amount){.bytes = -1};
    if (n > 0 && text[n - 1] == '%') {
        char *end;
        ret->percent = strtof(text, &end) / 100;
        if (end == text || end != text + n - 1)
            return error_set(err, -EINVAL, "\"%s\" is no percentage", text);
        if (ret->percent < 0)
            return error_set(err, -EINVAL, "eviction percentage threshold %s must be >= 0%%: %s", signal, text);
        if (ret->percent > 1)
            return error_set(err, -EINVAL, "eviction percentage threshold %s must be <= 100%%: %s", signal, text);
        return 0;
    }
    int r = quantity_parse(text, &ret->bytes, err);
    if (r < 0)
        return r;
    if (ret->bytes < 0)
        return error_set(err, -EINVAL, "eviction threshold %s must be positive: %s", signal, text);
    _cleanup_free_ char *canonical = quantity_canonical(text);
    (void) snprintf(ret->quantity, sizeof(ret->quantity), "%s", canonical);
    return 0;
}

/* Go's durations: "90s", "1m30s", "1.5h", "500ms". */
static int parse_duration(const char *text, uint64_t *ret, struct error *err) {
    static const struct {
        const char *unit;
        double usec;
    } units[] = {{"ms", 1e3}, {"us", 1}, {"h", 3600e6}, {"m", 60e6}, {"s", 1e6}};
    double sum = 0;
    const char *p = text;

    *ret = 0;
    while (*p && strcmp(text, "0") != 0) {
        char *end;
        double v = *p >= '0' && *p <= '9' ? strtod(p, &end) : -1;
        size_t u = 0;
        while (v >= 0 && u < ARRAY_LEN(units) && strncmp(end, units[u].unit, strlen(units[u].unit)) != 0)
            u++;
        if (v < 0 || u == ARRAY_LEN(units))
            return error_set(err, -EINVAL, "\"%s\" is no duration", text);
        sum += v * units[u].usec;
        p = end + strlen(units[u].unit);
    }
    if (!*text || sum > 1e15)
        return error_set(err, -EINVAL, "\"%s\" is no duration", text);
    *ret = (uint64_t) sum;
    return 0;
}

/* Takes "SIGNAL<op>VALUE,…" apart; a signal comes once. */
static int each(const char *list, char op,
                int (*take)(void *userdata, enum eviction_signal, const char *, struct error *), void *userdata,
                struct error *err) {
    _cleanup_free_ char *copy = xstrdup(list ? list : "");
    char *rest = copy, *item;
    unsigned seen = 0;

    while (*copy && (item = strsep(&rest, ","))) {
        char *value = strchr(item, op);
        enum eviction_signal signal = EVICTION_SIGNALS;
        if (!value)
            return error_set(err, -EINVAL, "\"%s\" should be SIGNAL%cVALUE", item, op);
        *value++ = 0;
        int r = parse_signal(item, &signal, err);
        if (r == 0 && seen & (1u << signal))
            r = error_set(err, -EINVAL, "%s is given twice", item);
        if (r == 0)
            r = take(userdata, signal, value, err);
        if (r < 0)
            return r;
        seen |= 1u << signal;
    }
    return 0;
}

struct parse {
    struct eviction_config *config;
    bool soft;
    unsigned graced; /* signals with a grace period */
    uint64_t grace[EVICTION_SIGNALS];
};

static int take_threshold(void *userdata, enum eviction_signal signal, const char *value, struct error *err) {
    struct parse *p = userdata;
    struct eviction_threshold *t = &p->config->thresholds[p->config->n];

    *t = (struct eviction_threshold){.signal = signal, .is_soft = p->soft};
    if (strcmp(value, "0%") == 0 || strcmp(value, "100%") == 0)
        return 0;
    int r = parse_amount(signals[signal].name, value, &t->amount, err);
    if (r < 0)
        return r;
    if (p->soft && !(p->graced & (1u << signal)))
        return error_set(err, -EINVAL, "grace period must be specified for the soft eviction threshold %s",
                         signals[signal].name);
    t->grace_usec = p->soft ? p->grace[signal] : 0;
    p->config->n++;
    return 0;
}

static int take_grace(void *userdata, enum eviction_signal signal, const char *value, struct error *err) {
    struct parse *p = userdata;

    p->graced |= 1u << signal;
    return parse_duration(value, &p->grace[signal], err);
}

static int take_minimum(void *userdata, enum eviction_signal signal, const char *value, struct error *err) {
    struct parse *p = userdata;
    struct eviction_amount amount;

    int r = parse_amount(signals[signal].name, value, &amount, err);
    for (size_t i = 0; r == 0 && i < p->config->n; i++)
        if (p->config->thresholds[i].signal == signal)
            p->config->thresholds[i].minimum = amount;
    return r;
}

int eviction_config_parse(const struct eviction_settings *s, struct eviction_config *ret, struct error *err) {
    struct parse p = {.config = ret};

    *ret = (struct eviction_config){.max_pod_grace = s->max_pod_grace};
    int r = each(s->soft_grace, '=', take_grace, &p, err);
    if (r == 0)
        r = each(s->hard ? s->hard : EVICTION_HARD_DEFAULT, '<', take_threshold, &p, err);
    p.soft = true;
    if (r == 0)
        r = each(s->soft, '<', take_threshold, &p, err);
    if (r == 0)
        r = each(s->minimum_reclaim, '=', take_minimum, &p, err);
    if (r == 0)
        r = parse_duration(s->transition ? s->transition : EVICTION_TRANSITION_DEFAULT, &ret->transition_usec, err);
    return r;
}
