/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Expectations: what a controller has asked for and not yet seen in its informers. A sync that runs before the copy has
 * caught up would create or delete a second time; it asks expectations_satisfied() first. As upstream's
 * controller.ControllerExpectations with its UID-tracking wrapper for deletions (pkg/controller/controller_utils.go).
 *
 * Keys are work queue keys. Deletions are known by uid, so that a pod seen as "deletion began" and then as "gone"
 * counts once. Expectations that are never seen (an event lost) expire after five minutes.
 */
#ifndef PODIUM_CLIENT_EXPECTATIONS_H
#define PODIUM_CLIENT_EXPECTATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "podium/base/cleanup.h"

#define EXPECTATIONS_TIMEOUT_USEC (5ull * 60 * 1000000)

struct expectations;

struct expectations *expectations_new(void);
void expectations_free(struct expectations *e);
DEFINE_CLEANUP(struct expectations *, expectations_free)
/* Replaces what was expected for the key. now: monotonic microseconds. */
void expectations_expect_creations(struct expectations *e, const char *key, unsigned n, uint64_t now);
void expectations_expect_deletions(struct expectations *e, const char *key, const char *const *uids, size_t n,
                                   uint64_t now);
/* Seen in an informer, or known never to come because the request failed. Harmless when nothing is expected. */
void expectations_creation_observed(struct expectations *e, const char *key);
void expectations_deletion_observed(struct expectations *e, const char *key, const char *uid);
/* Nothing outstanding, nothing ever expected, or expired. */
bool expectations_satisfied(const struct expectations *e, const char *key, uint64_t now);
/* The owner is gone. */
void expectations_forget(struct expectations *e, const char *key);

#endif
