/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * metadata.managedFields: who wrote which field. Pure functions on documents; any thread.
 *
 * What it is. Every write goes through managed_record() (creations, updates, patches) or managed_apply() (server-side
 * apply), which bring the entries up to date. An entry is one manager with one operation, API version and subresource;
 * its fieldsV1 is kept as a sealed object (json.h): stored objects carry it, hardly anybody looks inside.
 *
 * Source of the behaviour: structured-merge-diff v4 (merge/update.go) and apimachinery's util/managedfields of 1.32.
 * Beyond upstream: quantities that mean the same do not conflict, and the time of an apply stays when neither the
 * object nor the applier's fields change.
 *
 * Errors of managed_apply(): -EINVAL: refused (400); -EPROTO: the applied document does not fit its type (upstream
 * answers 500 without a reason); -EBUSY: conflicts.
 */
#ifndef PODIUM_OBJECT_MANAGED_H
#define PODIUM_OBJECT_MANAGED_H

#include <stdbool.h>
#include <stdint.h>

#include "orchestrator/object/resources.h"
#include "podium/base/error.h"
#include "podium/base/json.h"

struct managed_writer {
    const struct resource *resource; /* the row whose version the documents have */
    const char *subresource;         /* "status", "scale" …; NULL: the object itself */
    const char *manager;             /* NULL or "": "unknown" */
    uint64_t now_usec;               /* real time */
};

/* Sets metadata.managedFields of *doc, a new state of old (NULL: a creation), decoded and defaulted. What *doc brings
 * in metadata.managedFields are the client's wishes: honoured on updates of the object itself; an empty list or [{}]
 * forgets all managers. */
void managed_record(const struct managed_writer *w, const struct json *old, struct json **doc);

/* True when two lists of entries differ in their times at most: then a write that changes nothing else is none. */
bool managed_same_but_times(const struct json *a, const struct json *b);

struct managed_conflicts {
    char *message; /* of the Status */
    struct managed_conflict {
        char *message, *field; /* of the cause: conflict with "m" using apps/v1; .spec.replicas */
    } * causes;
    size_t n, cap;
};
void managed_conflicts_finish(struct managed_conflicts *c);

/* What `live` (NULL: the object does not exist) becomes when the writer applies config, with managedFields set. config
 * is the document as it came. The result has still to be decoded, defaulted and validated. */
int managed_apply(const struct managed_writer *w, const struct json *live, const struct json *config, bool force,
                  struct json **ret, struct managed_conflicts *conflicts, struct error *err) _must_check_;

#endif
