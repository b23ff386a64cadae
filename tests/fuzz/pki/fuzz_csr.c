/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Signing requests and certificates as anybody with the permission to ask may send them. */
#include <stdint.h>
#include <string.h>

#include "orchestrator/pki/pki.h"
#include "podium/base/alloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    _cleanup_free_ char *text = xstrndup((const char *) data, size);
    _cleanup_(pki_csr_finish) struct pki_csr csr = {0};
    int64_t end;

    (void) !pki_csr_read(text, &csr, NULL);
    (void) !pki_certificates_check(text, NULL);
    (void) !pki_expiry_pem(text, &end, NULL);
    return 0;
}
