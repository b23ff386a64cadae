/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The server's authority and certificate, renewed by the loop for as long as it runs. */
#ifndef PODIUM_CMD_SERVER_PKI_H
#define PODIUM_CMD_SERVER_PKI_H

#include <systemd/sd-event.h>

#include "orchestrator/cmd/server_options.h"

struct server_pki;

/* Makes what is missing below <data_dir>/pki, and an administrator's <data_dir>/admin.kubeconfig (0600). renewed is
 * called after the certificate was replaced. */
int server_pki_new(sd_event *loop, const struct server_options *options, void (*renewed)(void *userdata),
                   void *userdata, struct server_pki **ret, struct error *err) _must_check_;
void server_pki_free(struct server_pki *p);
/* The address clients reach this host at: as given, else the default route's, else the loopback's. The caller frees. */
char *server_pki_advertised(const struct server_options *options);
/* Paths; borrowed. */
const char *server_pki_dir(const struct server_pki *p);
const char *server_pki_ca(const struct server_pki *p);
const char *server_pki_cert(const struct server_pki *p);
const char *server_pki_key(const struct server_pki *p);
const char *server_pki_account_key(const struct server_pki *p); /* signs tokens of service accounts */

#endif
