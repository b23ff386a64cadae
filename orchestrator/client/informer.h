/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Informer: a local copy of one resource kept current by list and watch (re-listing when the watch is too old), with
 * handlers for changes and secondary indexes. One loop thread.
 *
 * Invariants. The copy and its indexes are changed before handlers are called. The first list is applied as a whole:
 * until informer_synced() the copy is empty or being filled, and "absent" means nothing. A re-list reports only what
 * really differs. Objects have apiVersion and kind even where the list left them out, are shared and must not be
 * written (take a json_ref() and write that: copy on write). They are kept packed: what a handler or a list lends is
 * the store's own document in-process, and otherwise not what the server's event carried, though it is equal to it.
 *
 * Ownership. Handlers and lists lend objects; json_ref() what is kept. An informer must not be freed from inside a
 * handler. The client must outlive its informers.
 */
#ifndef PODIUM_CLIENT_INFORMER_H
#define PODIUM_CLIENT_INFORMER_H

#include "orchestrator/client/client.h"

struct informer;

struct informer_handlers {
    /* old is NULL for added, object is NULL for deleted. Borrowed. */
    void (*changed)(void *userdata, struct json *old, struct json *object);
    void (*synced)(void *userdata); /* once, when the first list is in; may be NULL */
    void *userdata;
};
struct informer_options {
    const struct resource *resource;
    const char *ns; /* NULL: all */
    const char *label_selector, *field_selector;
    /* What the copy keeps of an object, a new reference: for those who need little of something there is much of. Its
     * metadata must keep namespace, name, uid and resourceVersion. NULL: all of it. */
    struct json *(*keep)(const struct json *object);
    struct json_words *words; /* keys held in common with other informers; must outlive this one. NULL: own ones */
};
struct informer *informer_new(sd_event *loop, struct client *c, const struct informer_options *options);
void informer_free(struct informer *i);
DEFINE_CLEANUP(struct informer *, informer_free)
/* Several sets of handlers may be added; a set added after the sync gets an "added" for everything at once. */
void informer_add_handlers(struct informer *i, const struct informer_handlers *h);
/* Removes all sets with this userdata: what a component does that ends before its shared informers. Not from a handler.
 */
void informer_remove_handlers(struct informer *i, const void *userdata);
/* A secondary index: key_fn appends the keys of an object (strv_push_dup). Of two with one name the first stays: a name
 * stands for one meaning ("node", "owner"). */
typedef void (*informer_key_fn)(const struct json *object, char ***keys);
void informer_add_index(struct informer *i, const char *index_name, informer_key_fn key_fn);
bool informer_synced(const struct informer *i);
/* Borrowed; NULL when absent. ns "" for cluster-scoped objects. */
struct json *informer_get(const struct informer *i, const char *ns, const char *name);
/* The same by work queue key: "ns/name", or "/name" or "name" for cluster scope. */
struct json *informer_get_key(const struct informer *i, const char *key);
size_t informer_len(const struct informer *i);
/* Objects under a key of an index, or all (index NULL). A fresh array of borrowed pointers (NULL at its end); the
 * caller frees the array only. Valid until the loop runs again. */
struct json **informer_list(const struct informer *i, const char *index_name, const char *key, size_t *ret_n);

/* Shared informers of one process: one list and watch per resource for all who ask. */
struct informer_set;
struct informer_set *informer_set_new(sd_event *loop, struct client *c);
void informer_set_free(struct informer_set *s);
DEFINE_CLEANUP(struct informer_set *, informer_set_free)
/* Borrowed from the set; created at the first call. */
struct informer *informer_set_get(struct informer_set *s, const struct resource *r);
/* All informers asked for so far have their first list. */
bool informer_set_synced(const struct informer_set *s);

#endif
