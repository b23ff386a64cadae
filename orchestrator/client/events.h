/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Event recorder: core/v1 Events as `kubectl describe` shows them. Fire and forget: a failed write is tried again a few
 * times, then dropped. What keeps a looping component from filling the store, roughly as upstream's EventCorrelator
 * (client-go/tools/record/events_cache.go):
 *  - the same event again (object and its part, type, reason, message) is a patch that raises `count` and
 *    `lastTimestamp`; while a write is under way, what happens is gathered for the next one;
 *  - events of one object and reason whose messages differ are, after ten within ten minutes, joined into one event
 *    "(combined from similar events): …";
 *  - each object may cause 25 events at once and one more every five minutes; what exceeds is not written, but
 *    counted: the next write tells.
 * One loop thread. At most 4096 objects are remembered; the cache starts anew beyond. What matters no more goes by
 * time, when later events come.
 */
#ifndef PODIUM_CLIENT_EVENTS_H
#define PODIUM_CLIENT_EVENTS_H

#include "orchestrator/client/client.h"

#define EVENT_NORMAL  "Normal"
#define EVENT_WARNING "Warning"

struct event_recorder;

/* component: source.component ("replicaset-controller"). The client must outlive the recorder. */
struct event_recorder *event_recorder_new(sd_event *loop, struct client *client, const char *component);
/* Cancels what is under way. */
void event_recorder_free(struct event_recorder *rec);
DEFINE_CLEANUP(struct event_recorder *, event_recorder_free)
/* object: a whole object with kind, apiVersion and metadata; a fieldPath ("spec.containers{web}") in it names the part
 * that the event is about; annotations in it are the Event's when it is made. type: EVENT_NORMAL or EVENT_WARNING.
 * Messages are cut at 1024 bytes, the API's limit. */
void event_record(struct event_recorder *rec, const struct json *object, const char *type, const char *reason,
                  const char *fmt, ...) _printf_(5, 6);
/* Forgets what makes no difference any more at `now` (monotonic): events that did not happen again for an hour,
 * messages out of their ten minutes, objects that may cause a whole burst again. How many entries are left. The
 * recorder does this by itself every five minutes in which something happens. */
size_t event_recorder_forget(struct event_recorder *rec, uint64_t now);
/* source.host, for what happens on a node; NULL clears. */
void event_recorder_set_host(struct event_recorder *rec, const char *host);

#endif
