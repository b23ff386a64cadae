/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is spoken on upgraded connections: exec and attach ("commands") and port-forward, each over the channels of a
 * WebSocket or the streams of SPDY. wire.md section 12.
 *
 * Each start function takes the request's stream and the connection; head is the answer to the upgrade. Any thread;
 * afterwards everything happens on the loop of node_ops.
 */
#ifndef PODIUM_APISERVER_SESSIONS_H
#define PODIUM_APISERVER_SESSIONS_H

#include "orchestrator/apiserver/http/takeover.h"
#include "orchestrator/apiserver/subresources/stream.h"
#include "podium/base/json.h"
#include "podium/base/strbuf.h"

/* protocol: the subprotocol agreed on, "" for none. */
typedef void (*session_start_fn)(struct api_stream *take, struct takeover *socket_take, const char *protocol,
                                 char *head_take);

/* "channel.k8s.io", "v4.channel.k8s.io", "v5.channel.k8s.io", and "base64.…" and "v4.base64.…" of them: a channel
 * number in front of each message, as a byte, or as a digit with base64 behind it. v5 adds a message that ends a
 * channel; from v4 on the end is a Status on channel 3, before it is a text, and only when something went wrong. */
void command_channels_start(struct api_stream *take, struct takeover *socket_take, const char *protocol,
                            char *head_take);
/* "v4.channel.k8s.io" … "channel.k8s.io": a SPDY stream for each of error, stdin, stdout, stderr, resize. */
void command_spdy_start(struct api_stream *take, struct takeover *socket_take, const char *protocol, char *head_take);
/* "v4.channel.k8s.io", "v4.base64.channel.k8s.io": channels 2i (data) and 2i+1 (error) for the i-th port.
 * "v5.channel.k8s.io", our own: also the message that ends a channel, so that a connection can be closed from here. */
void forward_channels_start(struct api_stream *take, struct takeover *socket_take, const char *protocol,
                            char *head_take);
/* "portforward.k8s.io": a pair of SPDY streams for each connection. "SPDY/3.1+portforward.k8s.io": the same, its bytes
 * in messages of a WebSocket. */
void forward_spdy_start(struct api_stream *take, struct takeover *socket_take, const char *protocol, char *head_take);

/* A request of HTTP/1.1 to the pod's port, its answer as it comes; the connection ends with it. request_take: head and
 * body. upgrade: the client's bytes follow once the answer is a 101; else the client has no more to say, and must not:
 * what it sent next would reach the pod. */
void proxy_start(struct api_stream *take, struct takeover *socket_take, struct strbuf *request_take, bool upgrade);

/* How a command ended, as a v1 Status. Attaching ends well whatever the container's exit code: clients take a failure
 * for one to attach, and read the log instead. The caller unrefs. */
struct json *command_status(const struct api_stream *request, const struct node_stream_end *end);
/* The same for protocols before v4: what went wrong, or NULL. The caller frees. */
char *command_failure(const struct api_stream *request, const struct node_stream_end *end);
/* {"Width":80,"Height":24} to the node; anything else is ignored. */
void command_resize(const struct node_ops *ops, struct node_stream *stream, const void *p, size_t n);

/* Channels in messages: "v4.base64.channel.k8s.io" and the like write text. */
bool channels_in_text(const char *protocol);
struct conduit;
void channel_message_send(struct conduit *c, bool text, unsigned channel, const void *p, size_t n);
/* Takes a message apart. False: none of ours. *bytes: to be freed. */
bool channel_message_parse(bool text, const void *message, size_t n, unsigned *channel, uint8_t **bytes, size_t *len);

#endif
