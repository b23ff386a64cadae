/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mirrors of static pods, asked for by their nodes (the server's end of org.podium.Server1.MirrorPod). A node may have
 * mirrors of pods on itself only: bound to it, with its name at the end of theirs, owned by its Node object.
 */
#ifndef PODIUM_LINK_MIRROR_PODS_H
#define PODIUM_LINK_MIRROR_PODS_H

#include <systemd/sd-bus.h>

struct link_peer;

int mirror_pod_handle(struct link_peer *p, sd_bus_message *call, sd_bus_error *e);

#endif
