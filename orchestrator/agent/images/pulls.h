/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pulls of a node: each image once however many wait for it, a few at a time, the others in turn.
 *
 * Two that ask for the same image with the same credentials share a pull; with others, they don't (who may not see an
 * image must not get it because someone else may). A pull that nobody waits for any more is ended.
 *
 * Callbacks come from the loop, never from inside a call. The wait is the asker's: freed after done(), or any time
 * before.
 */
#ifndef PODIUM_AGENT_IMAGES_PULLS_H
#define PODIUM_AGENT_IMAGES_PULLS_H

#include <stdint.h>

#include "orchestrator/agent/images/worker.h"

struct image_pulls;
struct image_wait;

struct image_pulls_options {
    const char *program;    /* the worker's; NULL: the one that runs */
    const char *root;       /* the image store */
    const char *config_dir; /* NULL: /etc/podium */
    const char *skopeo;     /* NULL: from PATH */
    unsigned parallel;      /* 0: 3 */
};

struct image_pulled {
    const char *digest, *error; /* one of the two */
    int code;                   /* with error */
    uint64_t size_bytes;
    uint64_t usec, waited_usec; /* the pull itself, and since it was asked for by this wait */
};

struct image_wait_callbacks {
    void (*progress)(void *userdata, const char *text); /* "downloading 3.2 of 40.1 MB" */
    void (*done)(void *userdata, const struct image_pulled *pulled);
};

struct image_pulls *image_pulls_new(sd_event *loop, const struct image_pulls_options *options);
void image_pulls_free(struct image_pulls *pulls); /* all waits must be gone */
/* Pulls that have ended, and how many of them in vain; pulls may be NULL. */
void image_pulls_count(const struct image_pulls *pulls, uint64_t *ret_ended, uint64_t *ret_failed);
/* Called after each pull that changed something on disk. */
void image_pulls_set_notify(struct image_pulls *pulls, void (*notify)(void *userdata), void *userdata);

/* reference: normalised. credentials: array of {"username", "password"}, NULL for none. */
struct image_wait *image_pulls_ask(struct image_pulls *pulls, const char *reference, const struct json *credentials,
                                   const struct image_wait_callbacks *callbacks, void *userdata);
void image_wait_free(struct image_wait *wait); /* NULL is fine */

#endif
