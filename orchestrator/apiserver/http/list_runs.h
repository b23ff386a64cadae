/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parts of lists in the forms that cost to make: protobuf, metadata only, compressed.
 *
 * A run is some dozens of items that follow one another in a list, encoded together. Lists are cut into runs where the
 * items say so, not by counting: after a change, or on the next page, most runs are the same as before. A run is known
 * by the revisions of its items, which no two states of objects share, so nothing has to be taken back when objects
 * change: what is not asked for any more is pushed out by what is. Runs are shared by all answers that need them, also
 * while these are being sent; what the cache itself keeps is bounded (RUNS_BYTES_MAX) and aged (RUN_UNUSED_USEC, looked
 * at when runs are asked for).
 *
 * Threads: any; making a run holds no lock.
 */
#ifndef PODIUM_APISERVER_LIST_RUNS_H
#define PODIUM_APISERVER_LIST_RUNS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "orchestrator/apiserver/http/negotiate.h"
#include "orchestrator/object/resources.h"
#include "orchestrator/store/store.h"
#include "podium/base/list.h"

#define RUNS_BYTES_MAX  (16u * 1024u * 1024u)
#define RUN_ITEMS_MAX   256u
#define RUN_UNUSED_USEC (300 * UINT64_C(1000000))

struct run_form {
    const struct resource *resource; /* as asked for */
    enum accept_media media;         /* JSON or protobuf */
    bool partial, v1beta1;           /* metadata only, and in which version */
    bool gzip;                       /* a part of a deflate stream that ends at a byte and refers to nothing before */
};

struct list_run {
    atomic_uint refs;
    struct list by_use;
    uint64_t used; /* monotonic */
    struct run_form form;
    uint64_t *revisions;
    size_t n_revisions;
    char *bytes;
    size_t len;
    size_t plain_len; /* before it was compressed */
    uint32_t crc;     /* of the plain bytes; gzip only */
};
void list_run_unref(struct list_run *r);

struct list_runs;
struct list_runs *list_runs_new(void);
void list_runs_free(struct list_runs *c); /* NULL is fine; runs in use live on */

/* How many of these items (at least one) make the next run. */
size_t list_run_length(struct store_item *const *items, size_t n);
/* A reference to the run of exactly these items; in JSON with commas between them. */
struct list_run *list_runs_get(struct list_runs *c, const struct run_form *form, struct store_item *const *items,
                               size_t n);

#endif
