/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The seam to the cluster's certificate authority. Controllers decide who gets which certificate; reading requests and
 * signing is done by whoever holds the private key (wired in cmd/; a fake in the unit tests). Called on the loop's
 * thread; a signature takes well below a millisecond.
 */
#ifndef PODIUM_CONTROLLER_AUTHORITY_H
#define PODIUM_CONTROLLER_AUTHORITY_H

#include <stdint.h>

#include "podium/base/error.h"

/* What a signing request (PKCS #10) asks for. Vectors are NULL-terminated, never NULL; common_name "" when absent. */
struct certificate_facts {
    char *common_name;
    char **organizations, **dns_names, **ip_addresses, **emails, **uris;
};
void certificate_facts_finish(struct certificate_facts *f);

struct certificate_authority {
    /* PEM text of a request; its own signature is checked, too. -EINVAL with the reason. */
    int (*read)(void *userdata, const char *pem, struct certificate_facts *ret, struct error *err);
    /* A certificate of it, as PEM, the caller frees. usages as in certificates.k8s.io, NULL-terminated. */
    int (*sign)(void *userdata, const char *pem, char *const *usages, uint64_t seconds, char **ret_pem,
                struct error *err);
    /* End of validity of the first certificate of a PEM text, Unix seconds. */
    int (*expiry)(void *userdata, const char *pem, int64_t *ret_sec, struct error *err);
    void *userdata;
};

#endif
