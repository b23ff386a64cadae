/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Folders of pods that are gone. They are moved to STATE_DIR/trash by one rename, which is all the loop does; one child
 * at a time empties that folder. What an agent left there is emptied by the next.
 */
#ifndef PODIUM_AGENT_DISPOSAL_H
#define PODIUM_AGENT_DISPOSAL_H

#include <stdbool.h>

#include "podium/base/cleanup.h"
#include "podium/base/error.h"

typedef struct sd_event sd_event;
struct disposal;

struct disposal *disposal_new(sd_event *loop, const char *state_dir);
void disposal_free(struct disposal *d); /* NULL is fine; what is left is left to the next */
/* Absent is success. On another file system than STATE_DIR it is removed on the spot. */
int disposal_take(struct disposal *d, const char *path, struct error *err) _must_check_;

/* Whether something is being removed. */
bool disposal_is_busy(const struct disposal *d);
/* Called each time when all is gone. */
void disposal_set_notify(struct disposal *d, void (*notify)(void *userdata), void *userdata);

#endif
