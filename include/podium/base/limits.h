/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every maximum of the project, in one place. Sources in the comments. */
#ifndef PODIUM_BASE_LIMITS_H
#define PODIUM_BASE_LIMITS_H

#define JSON_DEPTH_MAX          128u                  /* nesting of documents; deeper input is refused */
#define OBJECT_BYTES_MAX        (3u * 1024u * 1024u)  /* request body (kube-apiserver: 3 MiB) */
#define OBJECT_STORED_BYTES_MAX (1536u * 1024u)       /* one stored object (etcd's default request limit 1.5 MiB) */
#define YAML_NODES_MAX          (1u << 20)            /* after alias expansion: stops "billion laughs" */
#define YAML_BYTES_MAX          (16u * 1024u * 1024u) /* one manifest file */
#define JSON_PATCH_OPS_MAX      10000u                /* kube-apiserver's limit */
#define CONFIG_JSON_BYTES_MAX   (4u * 1024u * 1024u)  /* an OCI config.json */
#define WATCH_WINDOW_EVENTS     4096u                 /* events kept per resource for watches to resume from */
#define WATCH_WINDOW_AGE_USEC   300000000ull          /* older ones go (etcd behind kube-apiserver: five minutes) */
#define LIST_LIMIT_MAX          10000u                /* objects in one page whatever `limit` says */
#define CONTROL_MESSAGE_MAX     (2u * 1024u * 1024u)  /* one message on a pod supervisor's control socket */
#define DBUS_PAYLOAD_MAX        (8u * 1024u * 1024u)  /* one object inside a D-Bus message (sd-bus itself: 128 MiB) */
#define CONTAINERS_PER_POD_MAX  256u
#define UNIT_NAME_MAX_BYTES     255u /* systemd's UNIT_NAME_MAX less the NUL */

#endif
