/* SPDX-License-Identifier: GPL-2.0-or-later */
/* /healthz, /livez, /readyz (each check also as a path of its own) and /version. */
#ifndef PODIUM_APISERVER_HEALTH_H
#define PODIUM_APISERVER_HEALTH_H

#include "orchestrator/apiserver/request.h"

enum api_progress health_serve(struct api_request *req);
enum api_progress version_serve(struct api_request *req);

#endif
