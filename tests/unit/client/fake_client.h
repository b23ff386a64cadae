/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An in-memory API behind the client interface, good enough for controllers: one resourceVersion sequence, conflicts,
 * status subresource, generation, graceful deletion of bound pods, finalizers, propagation policies, namespace
 * finalization, watches with selectors. No admission, defaulting or validation. Tests include fake_client.c.
 */
#ifndef PODIUM_TESTS_FAKE_CLIENT_H
#define PODIUM_TESTS_FAKE_CLIENT_H

#include "orchestrator/client/client.h"

struct fake;

struct fake *fake_new(sd_event *loop);
struct client *fake_client(struct fake *f);
void fake_free(struct fake *f);

/* Direct access, behind the API's back but with resourceVersion, uid and watch events. json text, quotes as '. */
struct json *fake_create(struct fake *f, const char *json_text); /* a reference; aborts the test if it exists */
struct json *fake_get(struct fake *f, const struct resource *r, const char *ns,
                      const char *name); /* borrowed or NULL */
/* Merge patch of the whole object, status included. */
void fake_merge(struct fake *f, const struct resource *r, const char *ns, const char *name, const char *json_text);
void fake_remove(struct fake *f, const struct resource *r, const char *ns,
                 const char *name); /* at once, whatever holds it */
/* Number of objects of a kind in a namespace (NULL: all). */
size_t fake_count(struct fake *f, const struct resource *r, const char *ns);
/* All of them, an array of borrowed pointers ended by NULL; the caller frees the array. */
struct json **fake_all(struct fake *f, const struct resource *r, const char *ns, size_t *ret_n);

/* The next `times` requests of this verb on this plural fail with the code and reason. */
void fake_fail(struct fake *f, enum client_verb verb, const char *plural, int code, const char *reason, unsigned times);
void fake_heal(struct fake *f); /* no planned failures any more */
/* Ends every watch: position_lost answers 410 in-stream and forgets the event log, else a clean end. */
void fake_break_watches(struct fake *f, bool position_lost);
/* Objects in a page of a list; 0: all in one. */
void fake_set_page(struct fake *f, size_t n);
/* Requests answered so far for this verb and plural. */
unsigned fake_requests(struct fake *f, enum client_verb verb, const char *plural);

/* Runs the loop until nothing more happens at once (timers do not count). */
void fake_settle(sd_event *loop);
/* Runs the loop for this long, not counting the time for which the machine let this process wait. */
void fake_run_for(sd_event *loop, uint64_t usec);
/* Runs the loop until the condition holds; false after 30 s. */
bool fake_wait(sd_event *loop, bool (*condition)(void *userdata), void *userdata);
const struct resource *fake_resource(const char *plural); /* "pods", "replicasets" */
struct json *fake_json(const char *text);                 /* parsed, ' read as " */

#endif
