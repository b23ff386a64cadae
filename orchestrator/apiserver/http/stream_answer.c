/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/http/stream_answer.h"

enum MHD_Result stream_answer_queue(struct http_server *h, struct MHD_Connection *c, struct api_request *req) {
    return MHD_NO;
}
