/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses of the service range that have a fixed meaning: as kubeadm, the first is the API's, the tenth the DNS's. */
#ifndef PODIUM_CMD_SERVICE_RANGE_H
#define PODIUM_CMD_SERVICE_RANGE_H

enum { SERVICE_RANGE_API = 1, SERVICE_RANGE_DNS = 10 };

/* The number-th address behind the network's own; NULL when cidr is no IPv4 range or has no such address. The caller
 * frees. */
char *service_range_address(const char *cidr, unsigned number);

#endif
