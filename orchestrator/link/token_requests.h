/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tokens for pods, asked for by their nodes (the server's end of org.podium.Server1.RequestToken). A node gets tokens
 * for pods bound to it only, for their own service account, bound to the pod, and for an audience one of the pod's
 * volumes names: upstream's NodeRestriction, and a little stricter. They are made by the API like everybody's
 * (serviceaccounts/NAME/token); nothing is kept here.
 */
#ifndef PODIUM_LINK_TOKEN_REQUESTS_H
#define PODIUM_LINK_TOKEN_REQUESTS_H

#include <systemd/sd-bus.h>

struct link_peer;

/* Answers the call, now or later. As D-Bus method handlers return. */
int token_request_handle(struct link_peer *p, sd_bus_message *call, sd_bus_error *e);
/* The peer goes: answers that are still to come are not wanted. */
void token_requests_cancel(struct link_peer *p);

#endif
