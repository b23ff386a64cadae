/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Asking journald to take in all that waits in its sockets: what `journalctl --sync` does, without waiting here. A
 * busy journald may be seconds behind what containers wrote.
 *
 * Ownership: the caller frees the handle, at any time; the callback is then not called any more. Threads: the loop's.
 */
#ifndef PODIUM_AGENT_JOURNAL_SYNC_H
#define PODIUM_AGENT_JOURNAL_SYNC_H

#include <systemd/sd-event.h>

#include "podium/base/cleanup.h"
#include "podium/base/error.h"

struct journal_sync;

/* done is called once, from the loop: what had been written when this was called is in the journal, or journald went
 * away. -errno when there is no journald to ask. */
int journal_sync_start(sd_event *loop, void (*done)(void *userdata), void *userdata, struct journal_sync **ret,
                       struct error *err) _must_check_;
void journal_sync_free(struct journal_sync *s); /* NULL is fine */

#endif
