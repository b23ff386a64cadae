/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events end: one that did not happen again for the time to live (upstream: an hour, kube-apiserver's --event-ttl, by
 * leases of etcd) is deleted. One timer, armed for the event that ends first; of events only names and times are kept.
 */
#ifndef PODIUM_CONTROLLER_EVENTTTL_CONTROLLER_H
#define PODIUM_CONTROLLER_EVENTTTL_CONTROLLER_H

#include "orchestrator/controller/controller.h"

extern const struct controller_ops event_ttl_controller;

#endif
