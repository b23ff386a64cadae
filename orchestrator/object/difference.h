/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is different between two documents, in words: upstream appends such a text (of github.com/google/go-cmp, whose
 * form is expressly not stable) where an update changes what may not change. Members that are equal are counted.
 *
 *     core.PodSpec{
 *         ... // 12 identical fields
 *   -     SchedulerName: "default-scheduler",
 *   +     SchedulerName: "other",
 *     }
 */
#ifndef PODIUM_OBJECT_DIFFERENCE_H
#define PODIUM_OBJECT_DIFFERENCE_H

#include "podium/base/json.h"

/* name: the type's. Cut off after some thousand bytes. The caller frees. */
char *difference_text(const char *name, const struct json *old, const struct json *now);

#endif
