/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The `linux` object of config.json; part of spec_parse(). */
#ifndef PODIUM_RUNTIME_SPEC_LINUX_H
#define PODIUM_RUNTIME_SPEC_LINUX_H

#include "runtime/spec/spec.h"

/* Fills the linux fields of spec; on error the caller frees the spec with what is in it. */
int spec_linux_parse(const struct json *linux_section, struct spec *spec, struct error *err) _must_check_;
/* A list of id mappings at o.key; parent is the dotted name of o. */
int spec_mappings_parse(const struct json *o, const char *parent, const char *key, struct spec_id_mapping **ret,
                        size_t *ret_n, struct error *err) _must_check_;
void spec_linux_clear(struct spec *spec);

#endif
