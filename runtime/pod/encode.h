/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bytes on their way to a journal stream, marked so that a reader can have them back as they were (podium/runtime.h,
 * "output in the journal"). Pure.
 */
#ifndef PODIUM_POD_ENCODE_H
#define PODIUM_POD_ENCODE_H

#include <stdbool.h>
#include <stddef.h>

#include "podium/base/strbuf.h"

/* Zeroed: at the start of a line. */
struct pod_encoder {
    size_t length; /* of the line so far, as written */
    char tail[3];  /* its last bytes, as read */
    unsigned n_tail;
    bool held_cr; /* a carriage return not written yet: it may be the line's end */
};

/* Appends p's encoded form to out and returns true; or returns false when it is the same (nothing is appended). */
bool pod_encode(struct pod_encoder *e, const char *p, size_t n, struct strbuf *out);
/* Nothing comes any more: what a last line without newline needs. */
void pod_encode_end(struct pod_encoder *e, struct strbuf *out);

#endif
