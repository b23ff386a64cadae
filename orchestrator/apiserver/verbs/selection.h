/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which objects of a resource a list, watch or deletecollection means: label and field selectors of the query. */
#ifndef PODIUM_APISERVER_SELECTION_H
#define PODIUM_APISERVER_SELECTION_H

#include "orchestrator/apiserver/request.h"
#include "orchestrator/object/selector.h"

struct selection {
    struct selector *labels;       /* NULL: all */
    struct field_selector *fields; /* NULL: all */
    char *name; /* the one object meant (metadata.name=x, or a watch on a path with a name); NULL: many */
};

/* False: answered with 400. */
bool selection_read(struct api_request *req, struct selection *ret);
void selection_finish(struct selection *s);
bool selection_matches(const struct selection *s, struct store_item *item);
bool selection_is_everything(const struct selection *s);

#endif
