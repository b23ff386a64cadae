/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The `linux` object of config.json; part of spec_parse(). */
#ifndef PODIUM_RUNTIME_SPEC_LINUX_H
#define PODIUM_RUNTIME_SPEC_LINUX_H

#include "runtime/spec/spec.h"

/* Fills the linux fields of spec; on error the caller frees the spec with what is in it. */
int spec_linux_parse(const struct json *linux_section, struct spec *spec, struct error *err) _must_check_;
void spec_linux_clear(struct spec *spec);

#endif
