/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Waiting for a booting cluster, by events: the API socket appears (inotify), the nodes say Ready (watch). */
#ifndef PODIUM_LOCAL_AWAIT_H
#define PODIUM_LOCAL_AWAIT_H

#include <stdint.h>
#include <systemd/sd-event.h>

#include "orchestrator/local/cluster.h"
#include "orchestrator/local/node.h"

/* Until every node of the cluster that is not stopped is Ready and, with since_usec (real time) not 0, was heard of
 * since then: what the store says of an earlier life does not count. Calls progress(userdata, node name) for each as it
 * gets so. -ETIMEDOUT after timeout_usec, -EPIPE when a node's container ends meanwhile, -EINTR on SIGINT, SIGTERM or
 * SIGHUP. */
int local_await_ready(const struct local_cluster *c, const struct local_tools *t, uint64_t since_usec,
                      uint64_t timeout_usec, void (*progress)(void *userdata, const char *what), void *userdata,
                      struct error *err) _must_check_;

#endif
