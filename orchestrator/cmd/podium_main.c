/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `podium`: one program, a table of verbs. What is not a daemon or a local cluster's verb belongs to the CLI. */
#include <stdio.h>
#include <string.h>

#include "orchestrator/cli/cli.h"
#include "orchestrator/cmd/verbs.h"
#include "orchestrator/local/verbs.h"
#include "podium/base/cleanup.h"

struct verb {
    const char *name, *sub; /* sub: second word, or NULL */
    int (*run)(int argc, char **argv);
};

static const struct verb verbs[] = {
    {"server", NULL, server_main},
    {"agent", NULL, agent_main},
    {"image", NULL, image_main},
    {"image-worker", NULL, image_worker_main},
    {"restore", NULL, restore_main},
    {"up", NULL, local_up_main},
    {"down", NULL, local_down_main},
    {"node", "start", local_node_start_main},
    {"node", "stop", local_node_stop_main},
};

/* Read by jemalloc(3) where podium is linked with it; MALLOC_CONF in the environment goes before. */
extern const char *const malloc_conf;
const char *const malloc_conf = "dirty_decay_ms:2000,muzzy_decay_ms:0";

int main(int argc, char **argv) {
    for (size_t i = 0; argc > 1 && i < ARRAY_LEN(verbs); i++) {
        const struct verb *v = &verbs[i];
        if (strcmp(argv[1], v->name) != 0)
            continue;
        if (!v->sub)
            return v->run(argc - 1, argv + 1);
        if (argc > 2 && strcmp(argv[2], v->sub) == 0)
            return v->run(argc - 2, argv + 2);
    }
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        puts("podium " PODIUM_VERSION);
        return 0;
    }
    return cli_main(argc, argv);
}
