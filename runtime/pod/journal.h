/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * journald and systemd spoken to by hand, so that the supervisor needs no library for it: the native stream protocol
 * of /run/systemd/journal/stdout (as sd_journal_stream_fd(3)) and sd_notify(3) datagrams.
 */
#ifndef PODIUM_POD_JOURNAL_H
#define PODIUM_POD_JOURNAL_H

#include "podium/base/error.h"

/* A connected stream: each line written becomes a journal entry with SYSLOG_IDENTIFIER=identifier. Returns the fd
 * (O_CLOEXEC), -ENOENT or -ECONNREFUSED when there is no journal. */
int pod_journal_stream(const char *identifier, int priority, struct error *err) _must_check_;

/* Sends "READY=1" and the like to $NOTIFY_SOCKET; success when there is none. */
int pod_notify(const char *state);

#endif
