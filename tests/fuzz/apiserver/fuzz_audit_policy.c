/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Audit policies as administrators write them: refused or followed. */
#include <stdint.h>
#include <stdlib.h>

#include "orchestrator/apiserver/audit/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *groups[] = {(char[]){"system:nodes"}, (char[]){"g"}, NULL};
    const struct audit_question asked[] = {
        {.user = "u",
         .groups = groups,
         .verb = "get",
         .path = "/",
         .group = "",
         .plural = "pods",
         .subname = "log",
         .ns = "n",
         .name = "x"},
        {.user = "u",
         .groups = groups,
         .verb = "watch",
         .path = "/",
         .group = "apps",
         .plural = "deployments",
         .subname = "",
         .ns = "",
         .name = ""},
        {.user = NULL, .verb = "get", .path = "/healthz/x", .group = "", .subname = "", .ns = "", .name = ""},
    };
    struct audit_policy *p = NULL;
    if (audit_policy_parse("fuzz", (const char *) data, size, &p, NULL) < 0)
        return 0;
    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++)
        if (audit_policy_decide(p, &asked[i]).level > AUDIT_REQUEST_RESPONSE)
            abort();
    audit_policy_free(p);
    return 0;
}
