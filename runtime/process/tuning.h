/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a process runs: scheduler, ioPriority, execCPUAffinity, personality, memoryPolicy. What the configuration does
 * not mention costs no system call. Errors: -errno with the field's name.
 */
#ifndef PODIUM_RUNTIME_PROCESS_TUNING_H
#define PODIUM_RUNTIME_PROCESS_TUNING_H

#include "podium/base/error.h"
#include "runtime/spec/spec.h"

/* In the child, still with its capabilities and without a filter. */
int tuning_apply(const struct spec *spec, const struct spec_process *p, struct error *err) _must_check_;
/*
 * execCPUAffinity. The initial processors must hold while the kernel moves the new process into the container's cgroup,
 * which the clone does: the parent takes them on before and returns to its own after.
 */
int tuning_exec_begin(const struct spec_process *p, cpu_set_t *ret_before, struct error *err) _must_check_;
void tuning_exec_end(const struct spec_process *p, const cpu_set_t *before);
/* In the child. */
int tuning_exec_final(const struct spec_process *p, struct error *err) _must_check_;

#endif
