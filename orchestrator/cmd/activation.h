/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sockets that systemd opened for us (podium-server.socket): clients that come while the server restarts wait in them
 * instead of being refused. sd_listen_fds(3).
 */
#ifndef PODIUM_CMD_ACTIVATION_H
#define PODIUM_CMD_ACTIVATION_H

#include "orchestrator/cmd/server_options.h"

/* 0: not handed over, to be opened by whoever needs it. */
struct activation {
    int api, api_unix, link, link_unix;
};

/* Sorts what was handed over by the ports and paths of the options; what fits none is closed with a warning. */
void activation_take(const struct server_options *options, struct activation *ret);

#endif
