/* SPDX-License-Identifier: GPL-2.0-or-later */
/* POST /podium/v1/rotate-key: a new key for the Secrets on disk (orchestrator/store/key_rotation.h). Answered, with how
 * many Secrets were written anew, when the old key is gone. */
#ifndef PODIUM_APISERVER_KEY_ROTATION_H
#define PODIUM_APISERVER_KEY_ROTATION_H

#include "orchestrator/apiserver/request.h"

enum api_progress key_rotation_serve(struct api_request *req);

#endif
