/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/crash/history.h"

#include <stdlib.h>
#include <string.h>

#include "podium/base/alloc.h"

enum { WORDS = HISTORY_OPS_MAX / 64 };

struct search {
    const struct op *ops;
    size_t n, open; /* open: answered operations not placed yet */
    uint64_t placed[WORDS];
    uint64_t *visited; /* hashes; open addressing, 0 is free */
    size_t n_visited, cap_visited;
};

static bool is_placed(const struct search *s, size_t i) {
    return s->placed[i / 64] >> i % 64 & 1;
}

/* Could the operation have happened in this state (0: absent), as it was answered? *state becomes what it leaves. */
static bool step(const struct op *op, int64_t *state) {
    bool unknown = op->result == OP_UNKNOWN;
    if (op->result == OP_EXISTS)
        return *state != 0;
    if (op->result == OP_ABSENT)
        return *state == 0;
    if (op->result == OP_CHANGED)
        return *state != 0 && *state != op->expected;
    switch (op->kind) {
    case OP_GET:
        return unknown || *state == op->value;
    case OP_CREATE:
        if (*state != 0)
            return false;
        break;
    case OP_REPLACE:
        if (*state == 0 || *state != op->expected)
            return false;
        break;
    case OP_PATCH:
    case OP_DELETE:
        if (*state == 0)
            return false;
    }
    *state = op->kind == OP_DELETE ? 0 : op->value;
    return true;
}

static uint64_t mix(uint64_t h, uint64_t v) {
    h = (h ^ v) * 0xff51afd7ed558ccdull;
    return h ^ h >> 32;
}

static void remember(struct search *s, uint64_t hash);

static bool seen(struct search *s, int64_t state) {
    uint64_t h = mix(0x9e3779b97f4a7c15ull, (uint64_t) state);
    for (size_t i = 0; i < (s->n + 63) / 64; i++)
        h = mix(h, s->placed[i]);
    h |= 1;
    for (size_t at = h % s->cap_visited; s->visited[at]; at = (at + 1) % s->cap_visited)
        if (s->visited[at] == h)
            return true;
    remember(s, h);
    return false;
}

static void remember(struct search *s, uint64_t hash) {
    if (2 * ++s->n_visited > s->cap_visited) {
        uint64_t *old = s->visited;
        size_t cap = s->cap_visited;
        s->cap_visited *= 2;
        s->visited = xcalloc(s->cap_visited, sizeof(*s->visited));
        for (size_t i = 0; i < cap; i++) {
            size_t at = old[i] % s->cap_visited;
            while (old[i] && s->visited[at])
                at = (at + 1) % s->cap_visited;
            if (old[i])
                s->visited[at] = old[i];
        }
        free(old);
    }
    size_t at = hash % s->cap_visited;
    while (s->visited[at])
        at = (at + 1) % s->cap_visited;
    s->visited[at] = hash;
}

static bool search(struct search *s, size_t first, int64_t state) {
    uint64_t soonest = UINT64_MAX; /* nothing may come before who was answered before it was called */
    if (s->open == 0)
        return true;
    if (seen(s, state))
        return false;
    while (first < s->n && is_placed(s, first))
        first++;
    for (size_t i = first; i < s->n && s->ops[i].called <= soonest; i++) {
        if (is_placed(s, i))
            continue;
        const struct op *op = &s->ops[i];
        bool answered = op->result != OP_UNKNOWN;
        int64_t next = state;
        if (step(op, &next)) {
            s->placed[i / 64] |= 1ull << i % 64;
            s->open -= answered;
            if (search(s, first, next))
                return true;
            s->placed[i / 64] &= ~(1ull << i % 64);
            s->open += answered;
        }
        if (answered && op->answered < soonest)
            soonest = op->answered;
    }
    return false;
}

static int by_call(const void *a, const void *b) {
    const struct op *x = a, *y = b;
    return x->called < y->called ? -1 : x->called > y->called;
}

bool history_linearizable(struct op *ops, size_t n) {
    struct search s = {.ops = ops, .n = n, .cap_visited = 1024};
    if (n > HISTORY_OPS_MAX)
        return false;
    s.visited = xcalloc(s.cap_visited, sizeof(*s.visited));
    qsort(ops, n, sizeof(*ops), by_call);
    for (size_t i = 0; i < n; i++)
        s.open += ops[i].result != OP_UNKNOWN;
    bool ok = search(&s, 0, 0);
    free(s.visited);
    return ok;
}

static int by_answer(const void *a, const void *b) {
    const struct op *x = *(const struct op *const *) a, *y = *(const struct op *const *) b;
    return x->answered < y->answered ? -1 : x->answered > y->answered;
}

static bool is_write(const struct op *op) {
    return op->kind != OP_GET && op->result == OP_DONE && op->revision;
}

const char *history_revisions(struct op *ops, size_t n) {
    const struct op **ended = xcalloc(n + 1, sizeof(*ended));
    const char *wrong = NULL;
    uint64_t highest = 0;
    qsort(ops, n, sizeof(*ops), by_call);
    for (size_t i = 0; i < n; i++)
        ended[i] = &ops[i];
    qsort(ended, n, sizeof(*ended), by_answer);
    for (size_t i = 0, e = 0; i < n && !wrong; i++) {
        for (; e < n && ended[e]->answered < ops[i].called; e++)
            if (is_write(ended[e]) && ended[e]->revision > highest)
                highest = ended[e]->revision;
        if (is_write(&ops[i]) && ops[i].revision <= highest)
            wrong = "a write has a revision not above that of one that was over before it began";
    }
    free(ended);
    return wrong;
}
