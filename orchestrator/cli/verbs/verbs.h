/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verbs: one function and one flag table each. All return exit codes (session.h). Verbs do not know each other. */
#ifndef PODIUM_CLI_VERBS_VERBS_H
#define PODIUM_CLI_VERBS_VERBS_H

#include "orchestrator/cli/session.h"

int cli_verb_annotate(struct cli *c);
int cli_verb_api_resources(struct cli *c);
int cli_verb_apply(struct cli *c);
int cli_verb_backup(struct cli *c);
int cli_verb_attach(struct cli *c);
int cli_verb_cluster_info(struct cli *c);
int cli_verb_cordon(struct cli *c);
int cli_verb_cp(struct cli *c);
int cli_verb_create(struct cli *c);
int cli_verb_delete(struct cli *c);
int cli_verb_describe(struct cli *c);
int cli_verb_drain(struct cli *c);
int cli_verb_exec(struct cli *c);
int cli_verb_get(struct cli *c);
int cli_verb_help(struct cli *c);
int cli_verb_kubeconfig(struct cli *c);
int cli_verb_label(struct cli *c);
int cli_verb_logs(struct cli *c);
int cli_verb_node(struct cli *c);
int cli_verb_patch(struct cli *c);
int cli_verb_port_forward(struct cli *c);
int cli_verb_rollout(struct cli *c);
int cli_verb_scale(struct cli *c);
int cli_verb_status(struct cli *c);
int cli_verb_rotate_key(struct cli *c);
int cli_verb_token(struct cli *c);
int cli_verb_top(struct cli *c);
int cli_verb_uncordon(struct cli *c);
int cli_verb_version(struct cli *c);
int cli_verb_wait(struct cli *c);

extern const struct flag flags_annotate[], flags_apply[], flags_attach[], flags_cp[], flags_port_forward[],
    flags_backup[], flags_cordon[], flags_create[], flags_delete[], flags_describe[], flags_drain[], flags_exec[],
    flags_get[], flags_kubeconfig[], flags_label[], flags_logs[], flags_node[], flags_patch[], flags_rollout[],
    flags_scale[], flags_token[], flags_top[], flags_version[], flags_wait[], flags_api_resources[], flags_status[];

#endif
