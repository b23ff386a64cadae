/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The container's pseudo-terminal, made in the container's own devpts by its child. */
#ifndef PODIUM_RUNTIME_PROCESS_TERMINAL_H
#define PODIUM_RUNTIME_PROCESS_TERMINAL_H

#include "podium/base/error.h"
#include "runtime/spec/spec.h"

struct terminal {
    int master, slave;
    char name[32]; /* "/dev/pts/0" */
};

/* Opens a pair, sets size, owner and modes (output post-processing of newlines off, as engines expect). */
int terminal_open(const struct spec_process *p, struct terminal *ret, struct error *err) _must_check_;
/* Shows the slave as /dev/console. */
int terminal_bind_console(const struct terminal *t, struct error *err) _must_check_;
/* Makes the slave the controlling terminal of the calling session leader. */
int terminal_control(const struct terminal *t, struct error *err) _must_check_;
void terminal_close(struct terminal *t);

#endif
