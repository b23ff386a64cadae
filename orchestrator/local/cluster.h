/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A local cluster: real nodes on one machine, each a container that boots the host's own systemd from an overlay of the
 * host's root.
 *
 * What it is. Everything of a cluster lives in one folder (cluster.dir):
 *   cluster.json            what is recorded here (names, addresses)
 *   kubeconfig              an administrator's, mode 0600
 *   runtime/                state folder of baton for the node containers
 *   nodes/NAME/upper work   the node's changes to the host's root
 *   nodes/NAME/bundle       config.json and an empty root
 *   nodes/NAME/state        /var/lib/podium of the node (overlay upper folders cannot stack, so a plain folder)
 *   nodes/NAME/run          /run/podium/host of the node: its API socket, seen from outside
 * and, outside of it, one bridge, one veth pair per node and one cgroup, all named after the cluster.
 *
 * Ownership. A cluster owns its strings. Errors are negative errno with text.
 * Threads. One process at a time works on a cluster: cluster_lock().
 */
#ifndef PODIUM_LOCAL_CLUSTER_H
#define PODIUM_LOCAL_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>

#include "podium/base/error.h"

#define LOCAL_CLUSTERS_DIR   "/var/lib/podium/clusters"
#define LOCAL_CLUSTER_NAME   "default"
#define LOCAL_NODES_MAX      200u /* addresses of one /24, less bridge and broadcast */
#define LOCAL_CLUSTER_CIDR   "10.244.0.0/16"
#define LOCAL_SERVICE_CIDR   "10.96.0.0/16"
#define LOCAL_API_PORT       6443
#define LOCAL_LINK_PORT      6444
#define LOCAL_NODE_NAME_SIZE 64

struct local_node {
    char name[LOCAL_NODE_NAME_SIZE];
    char address[16]; /* in the cluster's subnet */
    bool server;      /* runs the control plane, too */
    bool stopped;     /* by a person (`podium node stop`) */
};

struct local_cluster {
    char *name;
    char *dir;
    char *manifests;     /* watched manifest folder on the host */
    bool made_manifests; /* by `podium up`: goes again with the cluster if it is empty */
    char *cgroup;        /* of its nodes, relative to the cgroup2 root */
    char bridge[16];     /* "pdm-" and a hash or the name */
    char subnet[16];     /* "10.89.7": three octets */
    char token[32];      /* join token */
    struct local_node *nodes;
    size_t n_nodes;
    int lock_fd;
    int subnet_fd; /* held from the choice of a subnet until local_cluster_settle() */
};

/* dir NULL: LOCAL_CLUSTERS_DIR/name. Nothing is read or made yet. */
struct local_cluster *local_cluster_new(const char *name, const char *dir);
void local_cluster_free(struct local_cluster *c);
DEFINE_CLEANUP(struct local_cluster *, local_cluster_free)

/* Takes the cluster's lock until it is freed; -EBUSY when another process works on it. Makes the folder when `make`
 * (-ENOTEMPTY when there is one with other things in it), else -ENOENT when there is none. */
int local_cluster_lock(struct local_cluster *c, bool make, struct error *err) _must_check_;
/* Reads cluster.json. -ENOENT: no such cluster; -EBADMSG: the file is damaged. The folder says which cluster it is: the
 * default name gives way to the name recorded there, another one is -EINVAL. */
int local_cluster_load(struct local_cluster *c, struct error *err) _must_check_;
int local_cluster_save(const struct local_cluster *c, struct error *err) _must_check_;
/* For a cluster without a usable cluster.json: what its folder tells of names, enough to remove it. -ENOENT when the
 * folder is no cluster's. */
int local_cluster_recover(struct local_cluster *c, struct error *err) _must_check_;
/* Chooses bridge, subnet (one the host does not use), token, and nodes podium-1 … podium-n, the first a server. Whoever
 * else plans on this host waits until local_cluster_settle() (or the end of the process): a subnet is seen to be in use
 * only once the bridge has its address. */
int local_cluster_plan(struct local_cluster *c, unsigned n_nodes, const char *manifests,
                       struct error *err) _must_check_;
/* The bridge is there: others may choose their subnets. Harmless when nothing was planned. */
void local_cluster_settle(struct local_cluster *c);
struct local_node *local_cluster_node(const struct local_cluster *c, const char *name);
const struct local_node *local_cluster_server(const struct local_cluster *c);

/* Paths; the caller frees. */
char *local_path(const struct local_cluster *c, const char *rest);
char *local_node_path(const struct local_cluster *c, const struct local_node *n, const char *rest);
/* The runtime's id of a node's container. */
char *local_container_id(const struct local_cluster *c, const struct local_node *n);

#endif
