/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The node's images beside what pods ask for: archives put into STATE_DIR/images.d are imported as they appear, and
 * images nobody uses are collected when the disk fills up (orchestrator/images/garbage.h). Part of the agent (model.h);
 * the loop's thread; the work itself is done by image workers.
 *
 * Archives. Regular files whose name begins with no dot and doesn't end in .tmp or .part; a file counts once its writer
 * has closed it or it was moved in. One after another. What was imported, or failed, is not looked at again before the
 * file changes or, for failures, the agent starts anew. Each outcome is an event of the Node (ImageImported,
 * ImageImportFailed) and a line in the journal. Removing a file removes no image; it only ceases to be protected from
 * collection.
 *
 * Collection. Looked at after each pull and import and every five minutes: above high_percent of disk use, least
 * recently used images go until use is below low_percent. When that isn't enough: events FreeDiskSpaceFailed, and
 * ImageGCFailed from the second time in a row.
 */
#ifndef PODIUM_AGENT_IMAGES_UPKEEP_H
#define PODIUM_AGENT_IMAGES_UPKEEP_H

#include "orchestrator/images/garbage.h"

struct agent;
struct image_folder;
struct image_collector;

int image_folder_new(struct agent *agent, struct image_folder **ret, struct error *err) _must_check_;
void image_folder_free(struct image_folder *folder);

struct image_collector_options {
    struct image_gc_policy policy;
    /* The disk of the image store; NULL: the kernel's word. For tests. */
    int (*disk)(const char *path, struct image_disk *ret, struct error *err);
};

int image_collector_new(struct agent *agent, const struct image_collector_options *options,
                        struct image_collector **ret, struct error *err) _must_check_;
void image_collector_free(struct image_collector *collector);
/* The disk may have filled up. NULL is fine. */
void image_collector_look(struct image_collector *collector);
/* Takes all that nobody uses and is old enough, however full the disk is; done() comes once, from the loop. False: it
 * is collecting already, or cannot; nothing comes. */
bool image_collector_take_all(struct image_collector *collector, void (*done)(void *userdata), void *userdata);

/* An event about this node. */
void agent_node_event(struct agent *agent, const char *type, const char *reason, const char *message);

#endif
