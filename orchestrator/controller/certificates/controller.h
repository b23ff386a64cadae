/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CertificateSigningRequests, after kube-controller-manager's csrsigning, csrapproving and csrcleaner: requests of
 * nodes for their own client certificate are approved when a SubjectAccessReview says so, approved ones are signed by
 * the cluster's authority, and all of them go when they are old. Without an authority none of the first two happens.
 */
#ifndef PODIUM_CONTROLLER_CERTIFICATES_CONTROLLER_H
#define PODIUM_CONTROLLER_CERTIFICATES_CONTROLLER_H

#include "orchestrator/controller/controller.h"

extern const struct controller_ops certificate_controller;         /* approves and signs */
extern const struct controller_ops certificate_cleaner_controller; /* removes */

#endif
