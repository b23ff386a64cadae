/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules of metadata, the same for every kind. Private to this folder. */
#ifndef PODIUM_OBJECT_OBJECT_META_H
#define PODIUM_OBJECT_OBJECT_META_H

#include "orchestrator/object/places.h"

void object_meta_create(struct field_errors *e, const struct json *metadata, bool namespaced, name_form form);
void object_meta_update(struct field_errors *e, const struct json *metadata, const struct json *old);
/* The part that templates have as well. */
void object_meta_annotations(struct field_errors *e, const struct place *at, const struct json *annotations);

#endif
