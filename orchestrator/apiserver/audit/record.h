/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the audit log knows of one request beside the request itself: from its arrival to its last event. */
#ifndef PODIUM_APISERVER_AUDIT_RECORD_H
#define PODIUM_APISERVER_AUDIT_RECORD_H

#include "orchestrator/apiserver/audit/policy.h"
#include "podium/base/json.h"
#include "podium/base/strbuf.h"

struct audit_record {
    char id[65];
    struct audit_answer answer;
    struct strbuf head;       /* members that do not change: requestURI, verb, user … */
    uint64_t received;        /* real time, microseconds */
    struct json *annotations; /* NULL: none */
    unsigned code;            /* of the answer; 0: none yet */
    bool started;             /* a long-running answer has begun */
};

#endif
