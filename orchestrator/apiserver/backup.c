/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/backup.h"

#include "orchestrator/apiserver/server.h"
#include "orchestrator/store/backup.h"
#include "podium/base/clock.h"

enum api_progress backup_serve(struct api_request *req) {
    req->out.kind = API_OUT_BACKUP;
    req->out.code = 200;
    req->out.backup = store_backup_new(req->api->store, now_realtime_usec());
    return API_DONE;
}
