/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/crash/judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "podium/base/alloc.h"

/* --- operations --- */

static size_t gather(const struct client *clients, size_t n, int object, struct op *ret) {
    size_t total = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < clients[i].n_ops; k++)
            if (object < 0 || clients[i].ops[k].object == object)
                ret[total++] = clients[i].ops[k];
    return total;
}

/* The first operations that cannot be explained, for who has to find out why. */
static void show_shortest(struct op *ops, size_t n) {
    static const char *const kinds[] = {"create", "replace", "patch", "delete", "get"};
    static const char *const results[] = {"done", "exists", "absent", "changed", "no answer"};
    size_t good = 0, bad = n;
    while (bad - good > 1) {
        size_t mid = (good + bad) / 2;
        if (history_linearizable(ops, mid))
            good = mid;
        else
            bad = mid;
    }
    for (size_t i = bad > 12 ? bad - 12 : 0; i < bad; i++)
        printf("  %llu..%llu us: %s %lld (on %lld): %s, revision %llu\n", (unsigned long long) ops[i].called / 1000,
               (unsigned long long) ops[i].answered / 1000, kinds[ops[i].kind], (long long) ops[i].value,
               (long long) ops[i].expected, results[ops[i].result], (unsigned long long) ops[i].revision);
}

bool judge_operations(const struct client *clients, size_t n) {
    size_t total = 0;
    bool ok = true;
    for (size_t i = 0; i < n; i++)
        total += clients[i].n_ops;
    struct op *ops = xcalloc(total + 1, sizeof(*ops));
    for (int object = 0; object < OBJECTS; object++) {
        size_t m = gather(clients, n, object, ops);
        if (m > HISTORY_OPS_MAX || !history_linearizable(ops, m)) {
            printf("object n%d: no order of its %zu operations explains their answers\n", object, m);
            show_shortest(ops, m);
            ok = false;
        }
    }
    const char *wrong = history_revisions(ops, gather(clients, n, -1, ops));
    if (wrong)
        printf("%s\n", wrong);
    free(ops);
    return ok && !wrong;
}

/* --- watchers --- */

/* Everything that anybody saw happen, by revision. */
struct truth {
    struct sight *at;
    size_t n, cap;
};

static int by_revision(const void *a, const void *b) {
    const struct sight *x = a, *y = b;
    return x->revision < y->revision ? -1 : x->revision > y->revision;
}

/* The first with a revision above. */
static size_t above(const struct truth *t, uint64_t revision) {
    size_t low = 0, high = t->n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (t->at[mid].revision > revision)
            high = mid;
        else
            low = mid + 1;
    }
    return low;
}

static bool same(const struct sight *a, const struct sight *b) {
    return a->revision == b->revision && a->object == b->object && a->value == b->value;
}

static bool unite(struct truth *t, const struct client *watchers, size_t n) {
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < watchers[i].n_sights; k++)
            if (watchers[i].sights[k].what == SIGHT_EVENT) {
                xgrow(&t->at, t->n, &t->cap);
                t->at[t->n++] = watchers[i].sights[k];
            }
    if (t->n == 0)
        return true;
    qsort(t->at, t->n, sizeof(*t->at), by_revision);
    size_t out = 1;
    for (size_t i = 1; i < t->n; i++) {
        if (t->at[i].revision != t->at[out - 1].revision)
            t->at[out++] = t->at[i];
        else if (!same(&t->at[i], &t->at[out - 1]))
            return printf("revision %llu is two different things\n", (unsigned long long) t->at[i].revision), false;
    }
    t->n = out;
    return true;
}

/* Did one of the watchers see all that happened behind `from` up to `to`, without a gap? */
static bool stood_by(const struct client *watchers, size_t n, uint64_t from, uint64_t to) {
    for (size_t i = 0; i < n; i++) {
        uint64_t start = UINT64_MAX;
        for (size_t k = 0; k < watchers[i].n_sights; k++) {
            const struct sight *s = &watchers[i].sights[k];
            if (s->what == SIGHT_LIST)
                start = s->revision;
            else if (s->what == SIGHT_END && s->revision == 0)
                start = UINT64_MAX;
            else if (s->what != SIGHT_LISTED && start <= from && to <= s->revision)
                return true;
        }
    }
    return false;
}

/* The list at sights[0] and what is listed behind it. */
static bool judge_list(const struct truth *t, const struct sight *list, size_t n, const struct client *watchers,
                       size_t n_watchers) {
    const struct sight *last[OBJECTS] = {0};
    for (size_t i = 0; i < t->n && t->at[i].revision <= list->revision; i++)
        last[t->at[i].object] = &t->at[i];
    bool listed[OBJECTS] = {0};
    for (size_t i = 1; i < n && list[i].what == SIGHT_LISTED; i++) {
        const struct sight *l = last[list[i].object];
        listed[list[i].object] = true;
        if (list[i].revision > list->revision || (l && l->revision > list[i].revision) ||
            (l && l->revision == list[i].revision && l->value != list[i].value))
            return printf("a list at %llu shows another n%d than there was\n", (unsigned long long) list->revision,
                          list[i].object),
                   false;
    }
    for (int o = 0; o < OBJECTS; o++)
        if (!listed[o] && last[o] && last[o]->value &&
            stood_by(watchers, n_watchers, last[o]->revision, list->revision))
            return printf("a list at %llu lacks n%d\n", (unsigned long long) list->revision, o), false;
    return true;
}

static bool judge_watcher(const struct truth *t, const struct client *w, const struct client *watchers, size_t n) {
    uint64_t at = 0;
    for (size_t i = 0; i < w->n_sights; i++) {
        const struct sight *s = &w->sights[i];
        size_t next = above(t, at);
        bool ok = true;
        switch (s->what) {
        case SIGHT_LIST:
            ok = judge_list(t, s, w->n_sights - i, watchers, n);
            break;
        case SIGHT_LISTED:
            continue;
        case SIGHT_EVENT:
            ok = next < t->n && same(&t->at[next], s);
            break;
        case SIGHT_END:
            if (s->revision == 0) /* turned away: lists again */
                continue;
            ok = next >= t->n || t->at[next].revision > s->revision;
        }
        if (!ok)
            return printf("a watcher at %llu missed something, saw it twice, or out of order\n",
                          (unsigned long long) at),
                   false;
        at = s->revision;
    }
    return true;
}

static bool judge_write(const struct truth *t, const struct op *op, const struct client *watchers, size_t n) {
    size_t at = above(t, op->revision - 1);
    if (at < t->n && t->at[at].revision == op->revision) {
        if (t->at[at].object == op->object && t->at[at].value == op->value)
            return true;
        return printf("revision %llu was answered as another thing than watchers saw\n",
                      (unsigned long long) op->revision),
               false;
    }
    if (stood_by(watchers, n, op->revision - 1, op->revision))
        return printf("no watcher saw the acknowledged write of revision %llu\n", (unsigned long long) op->revision),
               false;
    return true;
}

bool judge_watchers(const struct client *watchers, size_t n, const struct client *writers, size_t n_writers) {
    struct truth t = {0};
    bool ok = unite(&t, watchers, n);
    for (size_t i = 0; ok && i < n; i++)
        ok = judge_watcher(&t, &watchers[i], watchers, n);
    for (size_t i = 0; i < n_writers; i++)
        for (size_t k = 0; ok && k < writers[i].n_ops; k++) {
            const struct op *op = &writers[i].ops[k];
            if (op->result == OP_DONE && op->kind != OP_GET && op->kind != OP_DELETE)
                ok = judge_write(&t, op, watchers, n);
        }
    free(t.at);
    return ok;
}
