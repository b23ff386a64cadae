/* SPDX-License-Identifier: GPL-2.0-or-later */
/* GET /podium/v1/backup: the whole store as text (orchestrator/store/backup.h), for whoever may do everything. */
#ifndef PODIUM_APISERVER_BACKUP_H
#define PODIUM_APISERVER_BACKUP_H

#include "orchestrator/apiserver/request.h"

enum api_progress backup_serve(struct api_request *req);

#endif
