/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Streams the control plane opens on this node, joined to the agent's logs, execs and port-forwards. */
#ifndef PODIUM_CMD_AGENT_STREAMS_H
#define PODIUM_CMD_AGENT_STREAMS_H

#include "orchestrator/agent/node_api.h"
#include "orchestrator/link/agent_link.h"

extern const struct link_stream_ops agent_log_stream_ops, agent_exec_stream_ops, agent_forward_stream_ops,
    agent_query_stream_ops;

/* As agent_link_handler's open_log, open_exec, open_forward and open_query, for an agent. */
int agent_streams_open_log(struct agent *agent, struct link_stream *stream, const struct json *options,
                           void **ret_userdata, struct error *err) _must_check_;
int agent_streams_open_exec(struct agent *agent, struct link_stream *stream, const struct json *options,
                            void **ret_userdata, struct error *err) _must_check_;
int agent_streams_open_forward(struct agent *agent, struct link_stream *stream, const struct json *options,
                               void **ret_userdata, struct error *err) _must_check_;
int agent_streams_open_query(struct agent *agent, struct link_stream *stream, const struct json *options,
                             void **ret_userdata, struct error *err) _must_check_;

#endif
