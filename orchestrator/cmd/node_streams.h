/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The API server's door to the nodes (node_ops), carried by the link. */
#ifndef PODIUM_CMD_NODE_STREAMS_H
#define PODIUM_CMD_NODE_STREAMS_H

#include "orchestrator/apiserver/subresources/node_ops.h"
#include "orchestrator/link/server.h"

struct node_streams {
    sd_event *loop;
    struct link_server *link; /* may be NULL while there is no link: every stream then ends with -EHOSTUNREACH */
};

/* Operations whose carrier is a struct node_streams. */
extern const struct node_ops node_streams_ops;

#endif
