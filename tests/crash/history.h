/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What clients asked of the server and heard from it, and whether one order of it all explains what they heard.
 *
 * An operation takes effect at one moment between its call and its answer; one that was never answered at any moment
 * after its call, or never. Objects are judged one by one: a history of several registers is linearizable when that of
 * each is (Herlihy and Wing, 1990). The search is that of Wing and Gong, with visited states remembered (Lowe, 2017).
 */
#ifndef TESTS_CRASH_HISTORY_H
#define TESTS_CRASH_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum op_kind { OP_CREATE, OP_REPLACE, OP_PATCH, OP_DELETE, OP_GET };
enum op_result {
    OP_DONE,
    OP_EXISTS,  /* refused: it is there */
    OP_ABSENT,  /* refused: it is not there */
    OP_CHANGED, /* refused: it is there, but not as expected */
    OP_UNKNOWN, /* no answer, or one that says nothing of the outcome */
};

struct op {
    enum op_kind kind;
    enum op_result result;
    int object;
    int64_t value;             /* written or read: unique to each write, above 0 */
    int64_t expected;          /* OP_REPLACE: the value of the revision it builds on */
    uint64_t called, answered; /* monotonic nanoseconds */
    uint64_t revision;         /* of what was written or read; 0: not known */
};

/* ops: all of one object, which does not exist at first; their order is changed. n is at most HISTORY_OPS_MAX. */
enum { HISTORY_OPS_MAX = 16384 };
bool history_linearizable(struct op *ops, size_t n);

/* Writes that were over before another was called have the smaller revision. ops: of all objects; order is changed.
 * NULL, or what is wrong (static). */
const char *history_revisions(struct op *ops, size_t n);

#endif
