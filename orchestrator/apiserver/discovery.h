/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is served: aggregated discovery (v2, v2beta1) and the legacy documents, made from the resource table at start.
 */
#ifndef PODIUM_APISERVER_DISCOVERY_H
#define PODIUM_APISERVER_DISCOVERY_H

#include "orchestrator/apiserver/request.h"

enum api_progress discovery_paths(struct api_request *req);  /* / */
enum api_progress discovery_core(struct api_request *req);   /* /api */
enum api_progress discovery_groups(struct api_request *req); /* /apis */
enum api_progress discovery_group(struct api_request *req);  /* /api/V, /apis/G, /apis/G/V */

#endif
