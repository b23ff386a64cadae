/* SPDX-License-Identifier: GPL-2.0-or-later */
/* podium cordon, podium uncordon: whether a node takes new pods. */
#include "orchestrator/cli/nodes.h"
#include "orchestrator/cli/verbs/verbs.h"

const struct flag flags_cordon[] = {
    {"selector", 'l', FLAG_VALUE, NULL, "LABELS", "nodes with these labels"},
    FLAG_END,
};

static int set_all(struct cli *c, bool cordon) {
    _cleanup_targets_ struct targets t = TARGETS_INIT;
    int failed = nodes_by_typed(c, c->args.words, &t);
    for (size_t i = 0; i < t.n && failed == 0; i++)
        failed = node_set_cordoned(c, &t.items[i], cordon, false);
    return failed;
}

int cli_verb_cordon(struct cli *c) {
    return set_all(c, true);
}

int cli_verb_uncordon(struct cli *c) {
    return set_all(c, false);
}
