/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What of a CertificateSigningRequest only a reader of X.509 can check; nothing for other kinds. */
#ifndef PODIUM_APISERVER_ADMISSION_CERTIFICATES_H
#define PODIUM_APISERVER_ADMISSION_CERTIFICATES_H

#include "orchestrator/apiserver/request.h"

/* old NULL: a creation. Appends to errors. */
void certificate_check(const struct api_request *req, const struct json *old, const struct json *doc,
                       struct field_errors *errors);

#endif
