/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One run of `podium image-worker` (cmd/image_worker_main.c): what takes seconds with images, in a process of its own,
 * so that the loop never waits for a registry or a disk.
 *
 * The request goes by a nameless file in memory, as it may hold credentials. The process is in a group of its own and
 * dies with the agent; what it had begun is swept from the store by the next that opens it.
 *
 * Ownership. The worker is its starter's; done() comes once, from the loop, and after it the starter frees the worker
 * (also from inside done()). Freeing one that runs kills it.
 */
#ifndef PODIUM_AGENT_IMAGES_WORKER_H
#define PODIUM_AGENT_IMAGES_WORKER_H

#include "podium/base/cleanup.h"
#include "podium/base/error.h"
#include "podium/base/json.h"

typedef struct sd_event sd_event;
struct image_worker;

struct image_worker_callbacks {
    void (*progress)(void *userdata, const struct json *progress); /* may be NULL */
    /* ok: the result, or NULL with a negative errno and its text. */
    void (*done)(void *userdata, const struct json *ok, int code, const char *text);
};

/* program: NULL for the one that runs. */
int image_worker_start(sd_event *loop, const char *program, const struct json *request,
                       const struct image_worker_callbacks *callbacks, void *userdata, struct image_worker **ret,
                       struct error *err) _must_check_;
void image_worker_free(struct image_worker *worker);
DEFINE_CLEANUP(struct image_worker *, image_worker_free)

#endif
