/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unknown fields and wrong types found before anything is sent, with file and line. */
#ifndef PODIUM_CLI_STRICT_H
#define PODIUM_CLI_STRICT_H

#include "orchestrator/cli/targets.h"

/* By the verb's flag --validate: "strict" (default, errors), "warn", "ignore" ("true" and "false" are kubectl's old
 * words). Told; the exit code. */
int strict_check(struct cli *c, const struct targets *t) _must_check_;

#endif
