/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What becomes of a pod when its node is drained: the filters of upstream's kubectl/pkg/drain/filters.go. Pure. */
#ifndef PODIUM_CLI_DRAIN_JUDGE_H
#define PODIUM_CLI_DRAIN_JUDGE_H

#include <stdbool.h>

#include "podium/base/json.h"

enum drain_verdict {
    DRAIN_GO,               /* is to leave */
    DRAIN_GO_UNREPLICATED,  /* the same, and nobody will make it anew: worth a warning (--force) */
    DRAIN_GO_LOCAL_STORAGE, /* the same, and what is in its emptyDir is lost: worth a warning */
    DRAIN_STAY_MIRROR,      /* a static pod: its file is on the node */
    DRAIN_STAY_DAEMON,      /* its controller would make it anew here (--ignore-daemonsets) */
    DRAIN_ERROR_DAEMON,     /* the three that keep a node from being drained without their flag */
    DRAIN_ERROR_LOCAL_STORAGE,
    DRAIN_ERROR_UNREPLICATED,
};

struct drain_rules {
    bool ignore_daemonsets, delete_emptydir_data, force;
};

/* A pod that has ended stands in nobody's way, whatever it has and whoever owns it. (kubectl also asks whether the
 * DaemonSet still exists, to let an orphan go with --force; here an orphan stays until its owner's deletion reaches
 * it.)
 */
enum drain_verdict drain_judge(const struct json *pod, const struct drain_rules *rules);
/* kubectl's sentence for an error or a warning; "" for the rest. */
const char *drain_explain(enum drain_verdict v);

#endif
