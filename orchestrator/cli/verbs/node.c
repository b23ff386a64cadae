/* SPDX-License-Identifier: GPL-2.0-or-later */
/* podium node: its words stand for other verbs (main.c rewrites them); this is what is left. */
#include "orchestrator/cli/verbs/verbs.h"

const struct flag flags_node[] = {FLAG_END};

int cli_verb_node(struct cli *c) {
    return cli_usage(c, "podium node list, get, describe, cordon, uncordon, label, start or stop is wanted%s%s",
                     *c->args.words ? ", not " : "", *c->args.words ? *c->args.words : "");
}
