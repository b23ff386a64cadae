/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the audit log knows of one request beside the request itself: from its arrival to its last event. */
#ifndef PODIUM_APISERVER_AUDIT_RECORD_H
#define PODIUM_APISERVER_AUDIT_RECORD_H

#include "podium/base/json.h"

struct audit_record {
    struct json *annotations; /* NULL: none */
};

#endif
