/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The OCI configuration of a node container: pure, so that it can be tested. */
#ifndef PODIUM_LOCAL_NODE_CONFIG_H
#define PODIUM_LOCAL_NODE_CONFIG_H

#include "orchestrator/local/cluster.h"
#include "podium/base/json.h"

struct node_config_inputs {
    const struct local_cluster *cluster;
    const struct local_node *node;
    const char *bin_dir;    /* host folder with podium and baton; mounted at NODE_BIN_DIR */
    const char *init;       /* systemd's path inside the host's root */
    const char *netns_path; /* the node's network namespace */
    uint64_t capabilities;  /* those root has here: a container cannot get more */
};
#define NODE_BIN_DIR       "/usr/local/lib/podium"
#define NODE_MANIFESTS_DIR "/etc/podium/manifests"
#define NODE_HOST_RUN_DIR  "/run/podium-host"

struct json *node_config_new(const struct node_config_inputs *in);

#endif
