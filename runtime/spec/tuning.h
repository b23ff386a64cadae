/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parts of config.json that tune how a process runs: scheduler, ioPriority, execCPUAffinity, personality,
 * memoryPolicy and the time namespace's offsets. Only used inside this folder.
 */
#ifndef PODIUM_RUNTIME_SPEC_TUNING_H
#define PODIUM_RUNTIME_SPEC_TUNING_H

#include "runtime/spec/spec.h"

/* process.scheduler, process.ioPriority, process.execCPUAffinity. */
int tuning_parse_process(const struct json *process, struct spec_process *p, struct error *err) _must_check_;
/* linux.personality, linux.memoryPolicy, linux.timeOffsets; after the namespaces have been parsed. */
int tuning_parse_linux(const struct json *section, struct spec *spec, struct error *err) _must_check_;

#endif
