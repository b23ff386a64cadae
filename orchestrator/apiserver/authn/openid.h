/* SPDX-License-Identifier: GPL-2.0-or-later */
/* OpenID Connect discovery for tokens of service accounts: who issues them and with which keys others check them. */
#ifndef PODIUM_APISERVER_OPENID_H
#define PODIUM_APISERVER_OPENID_H

#include "orchestrator/apiserver/request.h"

enum api_progress openid_configuration_serve(struct api_request *req); /* /.well-known/openid-configuration */
enum api_progress openid_keys_serve(struct api_request *req);          /* /openid/v1/jwks */

#endif
