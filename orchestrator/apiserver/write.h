/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The write loop: read the object, let the verb compute what it shall become, submit, go on when it is durable; start
 * over when somebody else was faster and the client named no revision.
 *
 * The verb's mutate function sees the newest state (NULL when the object does not exist; the item is in
 * req->write.old) and returns
 *   MUTATE_WRITE   *doc replaces it;      MUTATE_CREATE  *doc is new (old was NULL);
 *   MUTATE_DELETE  the object goes, *doc (or the stored state) being what watchers see last;
 *   MUTATE_KEEP    nothing changes, the answer shows *doc, or the stored state when *doc is NULL;
 *   MUTATE_FAILED  the answer has been made.
 * It may be called several times and must not change anything but *doc and the answer. With dry run nothing is
 * submitted and the answer is made from *doc.
 */
#ifndef PODIUM_APISERVER_WRITE_H
#define PODIUM_APISERVER_WRITE_H

#include "orchestrator/apiserver/request.h"

#define WRITE_ATTEMPTS_MAX 5

/* The object is req->resource, req->ns, req->name. done makes the answer from the written item; NULL: 200 (201 for a
 * creation) with the object. For dry runs and MUTATE_KEEP with a document, item is NULL and the document is in
 * req->out.object. */
enum api_progress api_mutate(struct api_request *req, mutate_fn fn, written_fn done);

/* store_submit() that goes on in req->next; an object which is too large only by who wrote it is stored without, as
 * upstream does. */
int api_submit(struct api_request *req, const struct store_write *w) _must_check_;

/* Refusals and "nothing to change" may rest on a state still on its way to the disk: who was told so and reads then
 * must not find the state before it. So the answer, which has been made, goes out when that is durable. Where the state
 * does not come about, because the disk is full or fails, the question is open again: `again` is called, which starts
 * over; 503 when that goes on and on. req->write.failures must have been taken before the state was looked at. */
enum api_progress api_settle(struct api_request *req, api_step_fn again);

/* For store_submit with the request as user data: keeps result and item in req->write and resumes the request. Runs on
 * the commit thread, so it only hands over. */
void api_write_committed(void *userdata, int result, struct store_item *item);

/* The document an answer is made from: the written item's, or that of a dry run. Borrowed. */
const struct json *api_written_doc(struct api_request *req, struct store_item *item);

#endif
