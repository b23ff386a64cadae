/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/bench/api/crowd.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "podium/base/alloc.h"
#include "tests/bench/api/objects.h"

#define FOR_EVER 3600.0

static void same_request(void *userdata, uint64_t i, struct strbuf *out) {
    const struct crowd *c = userdata;

    strbuf_adds(out, c->request);
}

static void creation(void *userdata, uint64_t i, struct strbuf *out) {
    const struct crowd *c = userdata;
    _cleanup_strbuf_ struct strbuf body = STRBUF_INIT;

    object_config_map("crowd", i, &body);
    http_request("POST", c->request, "Content-Type: application/json\r\n", &body, out);
}

/* Says it once everywhere, and leaves it at that. */
static void stare(struct target *t, const struct crowd *c, int ready) {
    struct connection *all = xcalloc(c->connections, sizeof(*all));

    for (unsigned i = 0; i < c->connections; i++)
        if (!connection_open(&all[i], t) || (c->request && !connection_send(&all[i], c->request, strlen(c->request))))
            _exit(1);
    (void) !write(ready, "r", 1);
    for (;;)
        (void) pause();
}

static void crowd_main(struct target *t, const struct crowd *c, int ready) {
    struct load l = {.connections = c->connections,
                     .seconds = FOR_EVER,
                     .request = c->numbered ? creation : same_request,
                     .userdata = (void *) c};
    struct load_result r;

    if (!c->reads)
        stare(t, c, ready);
    (void) !write(ready, "r", 1);
    (void) load_run(t, &l, &r);
    _exit(1);
}

bool crowd_run(struct target *t, const struct crowd *c, const struct load *good, struct load_result *ret) {
    int ready[2];
    char byte;

    if (pipe(ready) < 0)
        return false;
    pid_t pid = c->connections > 0 ? fork() : -1;
    if (pid == 0) {
        (void) close(ready[0]);
        crowd_main(t, c, ready[1]);
    }
    (void) close(ready[1]);
    bool ok = c->connections == 0 || (pid > 0 && read(ready[0], &byte, 1) == 1);
    (void) close(ready[0]);
    if (ok && c->reads)
        (void) usleep(300000); /* its connections are made and under way */
    ok = ok && load_run(t, good, ret);
    if (pid > 0) {
        (void) kill(pid, SIGKILL);
        (void) waitpid(pid, NULL, 0);
    }
    if (!ok)
        fprintf(stderr, "api_bench: the crowd \"%s\" did not come about\n", c->what);
    return ok;
}
