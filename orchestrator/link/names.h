/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The link between the control plane and the node agents: D-Bus, peer to peer, inside mTLS (or a root-only unix socket
 * on one host). The agent dials out; no port is open on nodes. Documents travel as JSON text.
 *
 * org.podium.Node1 at /org/podium/node, served by the agent (on the link, and on the node's system bus for busctl and
 * scripts, where only root may command; ListPods and the properties are for anyone):
 *   SyncBegin() SyncEnd()                        a full resync: what is not named in between goes
 *   ApplyPod(s pod)  RemovePod(s uid)            desired pods
 *   ApplyObject(s object)  RemoveObject(s kind, s namespace, s name)    ConfigMaps and Secrets they refer to;
 *                                                all Services and EndpointSlices of the cluster (push_services.h)
 *   Retell()                                     tell all pod statuses again: the control plane had given the node up
 *   SetNetwork(s network)                        pod range, peers, DNS (agent/node_api.h)
 *   UpdatePeers(s changes)                       {"10.244.2.0/24":"192.0.2.2","10.244.9.0/24":null}: pod ranges and the
 *                                                address they are reached by now; the node's own may be among them
 *   OpenLog(t stream, s options)  OpenExec(t stream, s options)
 *   OpenForward(t stream, s options)             byte streams, see org.podium.Stream1
 *   OpenQuery(t stream, s options)               an HTTP response to a request about the node itself (nodes/proxy)
 *   ListPods() → a(sssss)                        namespace, name, uid, phase, unit
 *   properties NodeName (s), Connected (b), Version (s); signal PodChanged(s namespace, s name, s uid, s phase)
 *
 * org.podium.Server1 at /org/podium/server, served by the control plane on each link:
 *   Join(s token, s node, s csr) → s certificate, s authority     the only call open without a certificate
 *   Register(s node, s status, s labels) → t heartbeat_usec       once per connection; replaces an older connection
 *   Heartbeat()                                  once an interval, both ways; a side hangs up when nothing came in
 *                                                LINK_HEARTBEATS_MISSED of them
 *   NodeStatus(s status)
 *   PodStatus(s namespace, s name, s uid, s status)
 *   PodFinished(s namespace, s name, s uid)
 *   Event(s involved, s type, s reason, s message)
 *   MirrorPod(s pod)                             keep a pod that shows a static pod of the node
 *   RequestToken(s namespace, s name, s uid, s audience, x seconds) → s token, s expires (RFC 3339)
 *                                                for a volume of a pod bound to the node; audience "": the API's
 *
 * org.podium.Stream1 at /org/podium/stream, served by both, no replies:
 *   Data(t stream, y channel, ay bytes)  Ack(t stream, u bytes)  End(t stream, i code, s error)
 *   Flow control: a sender has at most LINK_STREAM_WINDOW bytes on the way that were not acknowledged.
 */
#ifndef PODIUM_LINK_NAMES_H
#define PODIUM_LINK_NAMES_H

#define LINK_NODE_NAME        "org.podium.Node1" /* interface, and well-known name on the node's system bus */
#define LINK_NODE_PATH        "/org/podium/node"
#define LINK_SERVER_INTERFACE "org.podium.Server1"
#define LINK_SERVER_PATH      "/org/podium/server"
#define LINK_STREAM_INTERFACE "org.podium.Stream1"
#define LINK_STREAM_PATH      "/org/podium/stream"

#define LINK_HEARTBEATS_MISSED 4u
#define LINK_HANDSHAKE_USEC    (10ull * 1000000ull) /* a peer that has not registered by then is hung up on */
#define LINK_REGISTER_USEC     (60ull * 1000000ull) /* the same for one known to be a node: thousands may dial at once */
#define LINK_PENDING_MAX       128u                 /* connections from the network that have not registered */
#define LINK_PENDING_USEC      (1ull * 1000000ull)  /* what each of these has at least, however many others wait */
#define LINK_STRANGER_BYTES    (128u * 1024u)       /* from a peer without a certificate: enough to Join */
#define LINK_NEWCOMER_BYTES    (8u * 1024u * 1024u)   /* from a peer with one, until it has registered */
#define LINK_UNANSWERED_MAX    65536u                 /* calls a peer has not answered: more, and it is too slow */
#define LINK_QUEUE_BYTES_MAX   (256u * 1024u * 1024u) /* documents waiting for a peer */
#define LINK_CALLS_PER_SEC     500u                   /* a peer that calls more often is read from more slowly */
#define LINK_CALLS_BURST       5000u /* what it may call at once, e.g. all statuses after a reconnect */
#define LINK_STREAMS_MAX       1024u /* open streams per peer */
#define LINK_STREAM_WINDOW     (256u * 1024u)
#define LINK_STREAM_EXCESS     (8u * 1024u * 1024u) /* received and not acknowledged: the other side ignores the window */
#define LINK_STREAM_CHUNK      (32u * 1024u)

/* Channels of a stream, numbered as Kubernetes' remote command protocol does. */
enum link_channel {
    LINK_STDIN = 0,
    LINK_STDOUT = 1,
    LINK_STDERR = 2,
    LINK_RESIZE = 4,    /* {"Width":80,"Height":24} */
    LINK_STDIN_END = 5, /* no bytes: standard input ends */
};

#endif
