/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which nodes a person means, and whether they take new pods. */
#ifndef PODIUM_CLI_NODES_H
#define PODIUM_CLI_NODES_H

#include "orchestrator/cli/targets.h"

/* "NAME", "node/NAME", or those with the labels of the flag --selector. Connects. Told; the exit code. */
int nodes_by_typed(struct cli *c, char *const *names, struct targets *ret) _must_check_;
/* Sets or clears spec.unschedulable and says so ("node/n1 cordoned", "already …"). dry_run: only says it. Told; 0 or 1.
 */
int node_set_cordoned(struct cli *c, const struct target *t, bool cordon, bool dry_run) _must_check_;

#endif
