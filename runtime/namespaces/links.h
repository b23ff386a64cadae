/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * linux.netDevices: network devices that move from the caller's network namespace into a container's.
 *
 * A device gets the name it is to have there, keeps its addresses (those that somebody has set and that are valid
 * beyond the link: what the kernel or a DHCP client found out for the host is not the container's) and is brought up.
 * Where it is when the container ends is the kernel's business: hardware goes back to the host, virtual devices go with
 * the namespace. When the creation fails they are moved back, with what they had.
 *
 * Errors: -ENODEV, -EEXIST, ... with the device's name. Threads: the calling process has one.
 * Source: config-linux.md, "Network Devices" (1.3); rtnetlink(7).
 */
#ifndef PODIUM_RUNTIME_LINKS_H
#define PODIUM_RUNTIME_LINKS_H

#include <sys/types.h>

#include "podium/base/error.h"
#include "runtime/spec/spec.h"

struct links;

/* Moves all to the network namespace of the process, or none. *ret NULL when there is nothing to move. */
int links_move(pid_t pid, const struct spec *spec, struct links **ret, struct error *err) _must_check_;
/* Moves them back, as far as that goes, and frees; for a creation that failed, the namespace's processes may be gone.
 */
void links_return(struct links *links);
/* Frees; the devices stay where they are. */
void links_free(struct links *links);
DEFINE_CLEANUP(struct links *, links_free)

#endif
