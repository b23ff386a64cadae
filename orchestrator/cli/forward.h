/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Local ports whose connections come out at a pod: each on a WebSocket of its own (v5.channel.k8s.io, with a message
 * for the end of a channel), carried by a process of its own, so that none waits for another.
 */
#ifndef PODIUM_CLI_FORWARD_H
#define PODIUM_CLI_FORWARD_H

#include "orchestrator/cli/session.h"

struct forward_port {
    int local; /* 0: any free one */
    int remote;
};

/* addresses: "localhost" (both families), addresses, separated by commas. target: path of pods/portforward. Runs until
 * a signal ends it; returns an exit code when it cannot listen anywhere. */
int forward_ports(struct cli *c, const char *target, const char *addresses, const struct forward_port *ports,
                  size_t n_ports) _must_check_;

#endif
