/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/images/pulls.h"

#include <string.h>
#include <systemd/sd-event.h>

#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/hashmap.h"
#include "podium/base/list.h"

enum { PARALLEL_DEFAULT = 3 };

struct image_pulls {
    sd_event *loop;
    char *program, *root, *config_dir, *skopeo;
    unsigned parallel, running;
    uint64_t ended, failed_ones; /* pulls so far, and those in vain */
    struct hashmap *jobs;        /* key → struct job */
    struct list queue, failed;   /* jobs that wait for their turn; jobs that could not be started, to be told */
    sd_event_source *defer;
    struct image_worker *sweeper; /* removes what a pull that was ended has left */
    bool sweep;                   /* once more */
    void (*notify)(void *userdata);
    void *notify_userdata;
};

struct job {
    struct image_pulls *pulls;
    struct list link; /* in queue or failed */
    char *key, *reference;
    struct json *credentials;
    struct image_worker *worker;
    struct list waits;
    uint64_t started_at;
    char *error; /* of starting the worker */
    bool done;
};

struct image_wait {
    struct list link;
    struct job *job; /* NULL once told */
    const struct image_wait_callbacks *callbacks;
    void *userdata;
    uint64_t asked_at;
};

static void job_free(void *p) {
    struct job *job = p;

    if (job->worker)
        job->pulls->running--;
    image_worker_free(job->worker);
    list_remove(&job->link);
    json_unref(job->credentials);
    free(job->key);
    free(job->reference);
    free(job->error);
    free(job);
}

static void wake(struct image_pulls *pulls) {
    (void) sd_event_source_set_enabled(pulls->defer, SD_EVENT_ONESHOT);
}

/* Tells everyone who waits; the job is gone afterwards. */
static void finish_job(struct job *job, struct image_pulled *pulled) {
    struct image_pulls *pulls = job->pulls;
    uint64_t now = now_monotonic_usec();

    /* out of the table first: who is told may ask again, for a new pull */
    (void) hashmap_steal(pulls->jobs, job->key);
    job->done = true;
    pulls->ended++;
    pulls->failed_ones += pulled->error != NULL;
    pulled->usec = job->started_at ? now - job->started_at : 0;
    while (!list_empty(&job->waits)) {
        struct image_wait *wait = list_entry(job->waits.next, struct image_wait, link);
        list_remove(&wait->link);
        wait->job = NULL;
        pulled->waited_usec = now - wait->asked_at;
        wait->callbacks->done(wait->userdata, pulled);
    }
    job_free(job);
    wake(pulls);
}

static void on_done(void *userdata, const struct json *ok, int code, const char *text) {
    struct job *job = userdata;
    struct image_pulls *pulls = job->pulls;
    struct image_pulled pulled = {.digest = json_str(json_get(ok, "digest")),
                                  .size_bytes = (uint64_t) json_int_or(json_get(ok, "sizeBytes"), 0),
                                  .error = text,
                                  .code = code};
    bool changed = json_bool_or(json_get(ok, "isNew"), false);

    finish_job(job, &pulled);
    if (changed && pulls->notify)
        pulls->notify(pulls->notify_userdata);
}

static void on_progress(void *userdata, const struct json *progress) {
    const struct job *job = userdata;
    const char *what = json_str_or(json_get(progress, "what"), "");
    double bytes = (double) json_int_or(json_get(progress, "bytes"), 0) / 1e6;
    double all = (double) json_int_or(json_get(progress, "bytesAll"), 0) / 1e6;
    long long layer = json_int_or(json_get(progress, "layer"), 0),
              layers = json_int_or(json_get(progress, "layers"), 0);
    struct image_wait *wait;
    char text[128];

    if (layer > 0)
        (void) snprintf(text, sizeof(text), "%s %lld of %lld", what, layer, layers);
    else if (all > 0)
        (void) snprintf(text, sizeof(text), "%s %.1f of %.1f MB", what, bytes, all);
    else
        (void) snprintf(text, sizeof(text), "%s", what);
    list_foreach(wait, &job->waits, link) if (wait->callbacks->progress)
        wait->callbacks->progress(wait->userdata, text);
}

static const struct image_worker_callbacks worker_callbacks = {on_progress, on_done};

static void start_job(struct job *job) {
    struct image_pulls *pulls = job->pulls;
    _cleanup_json_ struct json *request = json_object();
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    json_set(&request, "op", json_string("pull"));
    json_set(&request, "root", json_string(pulls->root));
    json_set(&request, "reference", json_string(job->reference));
    if (job->credentials)
        json_set(&request, "credentials", json_ref(job->credentials));
    if (pulls->config_dir)
        json_set(&request, "configDir", json_string(pulls->config_dir));
    if (pulls->skopeo)
        json_set(&request, "skopeo", json_string(pulls->skopeo));
    job->started_at = now_monotonic_usec();
    int r = image_worker_start(pulls->loop, pulls->program, request, &worker_callbacks, job, &job->worker, &err);
    if (r < 0) {
        job->error = xstrdup(error_text(&err, r));
        list_append(&pulls->failed, &job->link);
        wake(pulls);
        return;
    }
    pulls->running++;
}

static void on_swept(void *userdata, const struct json *ok, int code, const char *text) {
    struct image_pulls *pulls = userdata;

    image_worker_free(steal(&pulls->sweeper));
    if (pulls->sweep)
        wake(pulls);
}

static const struct image_worker_callbacks sweep_callbacks = {.done = on_swept};

static void sweep(struct image_pulls *pulls) {
    _cleanup_json_ struct json *request = json_object();

    pulls->sweep = false;
    json_set(&request, "op", json_string("sweep"));
    json_set(&request, "root", json_string(pulls->root));
    if (image_worker_start(pulls->loop, pulls->program, request, &sweep_callbacks, pulls, &pulls->sweeper, NULL) < 0)
        pulls->sweeper = NULL; /* whoever opens the store next does it */
}

static int on_defer(sd_event_source *source, void *userdata) {
    struct image_pulls *pulls = userdata;

    while (!list_empty(&pulls->failed)) {
        struct job *job = list_entry(pulls->failed.next, struct job, link);
        list_remove(&job->link);
        struct image_pulled pulled = {.error = job->error, .code = -EIO};
        finish_job(job, &pulled);
    }
    while (pulls->running < pulls->parallel && !list_empty(&pulls->queue)) {
        struct job *job = list_entry(pulls->queue.next, struct job, link);
        list_remove(&job->link);
        start_job(job);
    }
    if (pulls->sweep && !pulls->sweeper)
        sweep(pulls);
    return 0;
}

struct image_wait *image_pulls_ask(struct image_pulls *pulls, const char *reference, const struct json *credentials,
                                   const struct image_wait_callbacks *callbacks, void *userdata) {
    struct image_wait *wait = xnew0(struct image_wait);
    _cleanup_free_ char *text = json_len(credentials) ? json_to_text(credentials) : xstrdup("");
    _cleanup_free_ char *key = xasprintf("%s\n%s", reference, text);
    struct job *job = hashmap_get(pulls->jobs, key);

    if (!job) {
        job = xnew0(struct job);
        job->pulls = pulls;
        job->key = xstrdup(key);
        job->reference = xstrdup(reference);
        job->credentials = json_len(credentials) ? json_ref(credentials) : NULL;
        list_init(&job->waits);
        list_init(&job->link);
        list_append(&pulls->queue, &job->link);
        hashmap_put(pulls->jobs, key, job);
        wake(pulls);
    }
    wait->job = job;
    wait->callbacks = callbacks;
    wait->userdata = userdata;
    wait->asked_at = now_monotonic_usec();
    list_append(&job->waits, &wait->link);
    return wait;
}

void image_wait_free(struct image_wait *wait) {
    if (!wait)
        return;
    struct job *job = wait->job;
    list_remove(&wait->link);
    free(wait);
    if (!job || job->done || !list_empty(&job->waits))
        return;
    struct image_pulls *pulls = job->pulls;
    (void) hashmap_steal(pulls->jobs, job->key);
    pulls->sweep |= job->worker != NULL;
    job_free(job);
    wake(pulls);
}

void image_pulls_set_notify(struct image_pulls *pulls, void (*notify)(void *userdata), void *userdata) {
    pulls->notify = notify;
    pulls->notify_userdata = userdata;
}

static char *dup_or_null(const char *s) {
    return s ? xstrdup(s) : NULL;
}

struct image_pulls *image_pulls_new(sd_event *loop, const struct image_pulls_options *o) {
    struct image_pulls *pulls = xnew0(struct image_pulls);

    pulls->loop = sd_event_ref(loop);
    pulls->program = dup_or_null(o->program);
    pulls->root = xstrdup(o->root);
    pulls->config_dir = dup_or_null(o->config_dir);
    pulls->skopeo = dup_or_null(o->skopeo);
    pulls->parallel = o->parallel ? o->parallel : PARALLEL_DEFAULT;
    pulls->jobs = hashmap_new(job_free);
    list_init(&pulls->queue);
    list_init(&pulls->failed);
    if (sd_event_add_defer(loop, &pulls->defer, on_defer, pulls) >= 0)
        (void) sd_event_source_set_enabled(pulls->defer, SD_EVENT_OFF);
    return pulls;
}

void image_pulls_free(struct image_pulls *pulls) {
    if (!pulls)
        return;
    hashmap_free(pulls->jobs);
    image_worker_free(pulls->sweeper);
    sd_event_source_disable_unref(pulls->defer);
    sd_event_unref(pulls->loop);
    free(pulls->program);
    free(pulls->root);
    free(pulls->config_dir);
    free(pulls->skopeo);
    free(pulls);
}

void image_pulls_count(const struct image_pulls *pulls, uint64_t *ret_ended, uint64_t *ret_failed) {
    *ret_ended = pulls ? pulls->ended : 0;
    *ret_failed = pulls ? pulls->failed_ones : 0;
}
