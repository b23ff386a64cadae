/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Options of `podium server`. */
#ifndef PODIUM_CMD_SERVER_OPTIONS_H
#define PODIUM_CMD_SERVER_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "orchestrator/apiserver/apiserver.h"
#include "podium/base/error.h"

struct server_options {
    const char *data_dir;          /* store, authority, certificates */
    const char *bind_address;      /* NULL: all */
    const char *advertise_address; /* an address of this host that clients use; NULL: the default route's */
    int port, link_port;
    const char *socket, *link_socket;
    const char *manifests; /* NULL: none watched */
    const char *cluster_cidr, *service_cidr;
    const char *token_file;
    uint64_t heartbeat_usec, node_grace_usec;
    unsigned eviction_seconds;
    uint64_t certificate_sec; /* lifetime of certificates but the authority's */
    uint64_t event_ttl_sec;
    unsigned workers;
    bool no_sync;                                        /* benchmarks only */
    unsigned reading_max, mutating_max, per_address_max; /* 0: the server's own */
    const char *audit_log, *audit_policy;                /* NULL: none */
    unsigned audit_mib, audit_days, audit_backups;
    bool audit_blocking;
    struct api_pod_security pod_security;
    const char *enable_admission_plugins;
    char **words; /* the texts above point into them; strv_free() */
};

/* 0: go on; > 0: exit with this code minus one (usage printed). */
int server_options_parse(int argc, char **argv, struct server_options *ret);

#endif
