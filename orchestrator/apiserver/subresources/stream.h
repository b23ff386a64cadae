/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What pods/log, exec and attach leave behind in the answer: which stream to open, once the transport is ready for it. */
#ifndef PODIUM_APISERVER_STREAM_H
#define PODIUM_APISERVER_STREAM_H

#include "orchestrator/apiserver/subresources/node_ops.h"

enum api_stream_kind { API_STREAM_LOGS, API_STREAM_EXEC };

struct api_stream {
    enum api_stream_kind kind;
    struct node_logs_request logs; /* strings owned by the stream */
    struct node_exec_request exec;
    char *node, *ns, *name, *uid, *container;
    char **argv;
};
void api_stream_free(struct api_stream *s); /* NULL is fine */

#endif
