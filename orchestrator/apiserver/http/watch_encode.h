/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Events of a watch as bytes, in the form its client accepts: as they are in a chunked answer, or alone in a message.
 */
#ifndef PODIUM_APISERVER_WATCH_ENCODE_H
#define PODIUM_APISERVER_WATCH_ENCODE_H

#include "orchestrator/apiserver/http/negotiate.h"
#include "orchestrator/apiserver/verbs/watch.h"
#include "orchestrator/object/table.h"

struct watch_encoder {
    const struct resource *resource;
    struct accepted form;
    enum table_include include;
    bool columns_sent;
};

/* The request's Accept header must have been found acceptable for a watch. */
void watch_encoder_init(struct watch_encoder *s, const struct api_request *req, const struct resource *r);
/* Appends one event: JSON with a line end, or protobuf, framed by its length when it stands in a stream. */
void watch_encode(struct watch_encoder *s, const struct watch_event *e, bool framed, struct strbuf *b);

#endif
