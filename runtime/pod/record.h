/* SPDX-License-Identifier: GPL-2.0-or-later */
/* state.json: the model as the agent sees it (podium/runtime.h), and a former one taken up again. Pure. */
#ifndef PODIUM_POD_RECORD_H
#define PODIUM_POD_RECORD_H

#include "podium/base/json.h"
#include "runtime/pod/lifecycle.h"

struct pod_record {
    uint64_t started_at; /* real time */
    bool finished;
    const char *error; /* NULL: none */
};

/* The document; the caller unrefs. */
struct json *pod_record_make(const struct pod_model *m, const struct pod_record *record);
/* Continues restart counts and last terminations from an earlier document of the same pod; a container that was
 * running then counts as killed at now_real. Another pod's document is ignored. */
void pod_record_take_up(struct pod_model *m, const struct json *doc, uint64_t now_real);

#endif
