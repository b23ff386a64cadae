/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a container gets of the machine itself: linux.intelRdt and linux.netDevices. Only used inside this folder. */
#ifndef PODIUM_RUNTIME_SPEC_MACHINE_H
#define PODIUM_RUNTIME_SPEC_MACHINE_H

#include "runtime/spec/spec.h"

/* After the namespaces have been parsed. */
int machine_parse(const struct json *section, struct spec *spec, struct error *err) _must_check_;
void machine_clear(struct spec *spec);

#endif
