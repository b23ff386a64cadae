/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The cluster's authority (orchestrator/pki) as controllers see it. The private key stays in its folder, read for each
 * signature. */
#ifndef PODIUM_CMD_SIGNING_AUTHORITY_H
#define PODIUM_CMD_SIGNING_AUTHORITY_H

#include "orchestrator/controller/authority.h"

/* ca_dir: borrowed, as long as the result is used. */
struct certificate_authority signing_authority(const char *ca_dir);

#endif
