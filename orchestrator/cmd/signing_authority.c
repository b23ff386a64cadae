/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/cmd/signing_authority.h"

#include "orchestrator/pki/pki.h"

static int read_request(void *userdata, const char *pem, struct certificate_facts *ret, struct error *err) {
    struct pki_csr csr;
    int r = pki_csr_read(pem, &csr, err);

    if (r < 0)
        return r;
    *ret = (struct certificate_facts){.common_name = csr.common_name,
                                      .organizations = csr.organizations,
                                      .dns_names = csr.dns_names,
                                      .ip_addresses = csr.ip_addresses,
                                      .emails = csr.emails,
                                      .uris = csr.uris};
    return 0;
}

static int sign_request(void *userdata, const char *pem, char *const *usages, uint64_t seconds, char **ret_pem,
                        struct error *err) {
    return pki_csr_issue(userdata, pem, usages, seconds, ret_pem, err);
}

static int expiry(void *userdata, const char *pem, int64_t *ret_sec, struct error *err) {
    return pki_expiry_pem(pem, ret_sec, err);
}

struct certificate_authority signing_authority(const char *ca_dir) {
    return (struct certificate_authority){
        .read = read_request, .sign = sign_request, .expiry = expiry, .userdata = (char *) ca_dir};
}
