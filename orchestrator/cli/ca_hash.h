/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The fingerprint by which a new node knows its cluster's authority. */
#ifndef PODIUM_CLI_CA_HASH_H
#define PODIUM_CLI_CA_HASH_H

#include "podium/base/error.h"

#define CA_HASH_SIZE (7 + 64 + 1)

/* "sha256:HEX" of the SubjectPublicKeyInfo (DER) of the first certificate of a PEM text, as kubeadm's
 * --discovery-token-ca-cert-hash. -EINVAL when there is none. */
int ca_hash(const char *pem, char out[CA_HASH_SIZE], struct error *err) _must_check_;

#endif
