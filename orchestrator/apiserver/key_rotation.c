/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/key_rotation.h"

#include <pthread.h>
#include <signal.h>

#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/status.h"
#include "orchestrator/store/key_rotation.h"
#include "podium/base/alloc.h"

/* A thread of its own: it waits for the disk again and again. */
struct rotation {
    struct api_request *req;
    pthread_t thread;
    size_t n;
    int result;
    struct error err;
};

static void rotation_free(void *p) {
    error_clear(&((struct rotation *) p)->err);
    free(p);
}

static void *rotate(void *p) {
    struct rotation *r = p;

    r->result = store_rotate_key(r->req->api->store, &r->n, &r->err);
    r->req->resume(r->req);
    return NULL;
}

static enum api_progress finished(struct api_request *req) {
    struct rotation *r = req->scratch;

    (void) pthread_join(r->thread, NULL);
    if (r->result == -EBUSY)
        return api_fail(req, 409, "Conflict", "%s", error_text(&r->err, r->result));
    if (r->result < 0)
        return api_internal_error(req, "%s", error_text(&r->err, r->result));
    (void) api_success(req, 200, NULL, NULL);
    json_set(&req->out.object, "message", json_stringf("a new key is in use; Secrets written anew: %zu", r->n));
    return API_DONE;
}

enum api_progress key_rotation_serve(struct api_request *req) {
    struct rotation *r = xnew0(struct rotation);
    sigset_t all, before;

    r->req = req;
    req->scratch = r;
    req->scratch_free = rotation_free;
    req->next = finished;
    (void) sigfillset(&all); /* signals belong to the threads with an event loop */
    (void) pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&r->thread, NULL, rotate, r);
    (void) pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed ? api_internal_error(req, "cannot start a thread") : API_PENDING;
}
