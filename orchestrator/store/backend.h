/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The seam below the store: where committed rows live. Implementations: lmdb/ (embedded), the fake of the unit tests;
 * etcd later.
 *
 * Invariants. A back-end keeps the current row of every object and the newest revision ever committed, also when the
 * object that carried it is gone. A batch is committed whole or not at all, and durably before commit() returns 0.
 *
 * Threads. load() and close() are called from the opening thread, commit() only from the store's commit thread, never
 * two at a time.
 */
#ifndef PODIUM_STORE_BACKEND_H
#define PODIUM_STORE_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "orchestrator/store/store.h"
#include "podium/base/error.h"

/* A row as it is loaded; all pointers are borrowed for the call. */
struct store_row {
    uint64_t revision;
    const char *resource, *ns, *name; /* NUL-terminated */
    const char *text;                 /* compact JSON with metadata.resourceVersion, not NUL-terminated */
    size_t text_len;
};

/* One write of a batch, in revision order. A batch may hold several writes to one object. */
struct store_change {
    uint64_t revision;
    uint64_t old_revision; /* the row that goes away; 0: none (a creation) */
    bool remove;           /* a deletion: only the old row goes, the revision is remembered */
    const char *resource, *ns, *name;
    const char *text; /* NULL when removing */
    size_t text_len;
};

/* Returns negative to stop the load with that error. */
typedef int (*store_row_fn)(void *userdata, const struct store_row *row, struct error *err);

struct store_backend;
struct store_backend_ops {
    /* Hands out every row in revision order; *ret_revision: the newest revision ever committed (0: none). */
    int (*load)(struct store_backend *b, store_row_fn row, void *userdata, uint64_t *ret_revision, struct error *err);
    /* -ENOSPC: no room, nothing happened; a batch of one removal must succeed even then (keep a reserve), and one
     * update that takes no more room than it gives back should. -EIO and others: nothing is known to have happened. */
    int (*commit)(struct store_backend *b, const struct store_change *changes, size_t n, struct error *err);
    void (*close)(struct store_backend *b);
};
/* Embedded first in every implementation. */
struct store_backend {
    const struct store_backend_ops *ops;
};

/* Builds a store on a back-end, which belongs to the store from here on, also when this fails. */
int store_open_backend(struct store_backend *b, const struct store_options *options, struct store **ret,
                       struct error *err) _must_check_;

#endif
