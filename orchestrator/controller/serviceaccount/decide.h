/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What every active namespace has to contain. Pure. */
#ifndef PODIUM_CONTROLLER_SERVICEACCOUNT_DECIDE_H
#define PODIUM_CONTROLLER_SERVICEACCOUNT_DECIDE_H

#include "podium/base/json.h"

#define DEFAULT_ACCOUNT   "default"
#define ROOT_CA_CONFIGMAP "kube-root-ca.crt"
#define ROOT_CA_KEY       "ca.crt"

/* The object to create, or NULL when it is there or the namespace is ending. New. */
struct json *default_account_wanted(const struct json *ns, const struct json *have);
/* The ConfigMap to create (have NULL) or to write over `have`; NULL when it is right. ca_pem NULL: never any. New. */
struct json *root_ca_wanted(const struct json *ns, const struct json *have, const char *ca_pem);

#endif
