/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fails each system call of a runtime in turn, or kills it there, and looks at what is left: see `run`.
 *
 * usage: faults BATON DIR GROUP [--only NAME] [--every N] [--offset N] [--rounds N] [--case PROCESS:CALL:ERRNO] [-v]
 * DIR: what `bundles` made; GROUP: the first folder of the containers' cgroups. Speaks TAP, one line per scenario.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/faults/call_names.h"
#include "tests/faults/inject.h"
#include "tests/faults/surroundings.h"

#define CASE_TIMEOUT_MSEC 20000

enum after { NOTHING, SAME_STATE }; /* what a failure leaves */

struct scenario {
    const char *name;
    const char *before[3]; /* commands that make what the tried one needs */
    const char *tried;
    const char *then[2]; /* after success, so that the container shows what it is */
    enum after after;
    bool terminal; /* the output comes over the console socket */
    bool varies;   /* what it writes is not the container's */
    bool killed;   /* the runtime is killed instead of its calls failing */
};

static const struct scenario scenarios[] = {
    {.name = "run", .tried = "run -b B/rich --pid-file P ID"},
    {.name = "run with a terminal", .tried = "run -d -b B/terminal --console-socket S ID", .terminal = true},
    {.name = "run in a user namespace", .tried = "run -b B/userns ID"},
    {.name = "create", .tried = "create -b B/rich --pid-file P ID", .then = {"start ID"}},
    {.name = "create with a terminal",
     .tried = "create -b B/terminal --console-socket S ID",
     .then = {"start ID"},
     .terminal = true},
    {.name = "create in a user namespace", .tried = "create -b B/userns ID", .then = {"start ID"}},
    {.name = "create without cgroups",
     .tried = "--cgroup-manager disabled create -b B/terminal --console-socket S ID",
     .then = {"start ID"},
     .terminal = true},
    {.name = "start", .before = {"create -b B/rich ID"}, .tried = "start ID", .after = SAME_STATE},
    {.name = "exec",
     .before = {"run -d -b B/waiting ID"},
     .tried = "exec --process B/process.json --pid-file P ID",
     .after = SAME_STATE},
    {.name = "exec with a terminal",
     .before = {"run -d -b B/waiting-userns ID"},
     .tried = "exec -d --process B/process-terminal.json --console-socket S ID",
     .after = SAME_STATE,
     .terminal = true},
    {.name = "kill", .before = {"run -d -b B/waiting ID"}, .tried = "kill --all ID WINCH", .after = SAME_STATE},
    {.name = "update",
     .before = {"run -d -b B/waiting ID"},
     .tried = "update -r B/update.json ID",
     .after = SAME_STATE},
    {.name = "pause",
     .before = {"run -d -b B/waiting ID"},
     .tried = "pause ID",
     .then = {"resume ID"},
     .after = SAME_STATE},
    {.name = "state", .before = {"create -b B/rich ID"}, .tried = "state ID", .after = SAME_STATE, .varies = true},
    {.name = "delete", .before = {"create -b B/rich ID"}, .tried = "delete ID", .after = SAME_STATE},
    {.name = "delete --force", .before = {"run -d -b B/waiting ID"}, .tried = "delete --force ID", .after = SAME_STATE},
    {.name = "run, killed", .tried = "run -d -b B/rich ID", .killed = true},
    {.name = "create, killed", .tried = "create -b B/rich ID", .killed = true},
    {.name = "create without cgroups, killed",
     .tried = "--cgroup-manager disabled create -b B/terminal --console-socket S ID",
     .killed = true},
    {.name = "create in a user namespace, killed", .tried = "create -b B/userns ID", .killed = true},
    {.name = "start, killed", .before = {"create -b B/rich ID"}, .tried = "start ID", .killed = true},
    {.name = "exec, killed",
     .before = {"run -d -b B/waiting ID"},
     .tried = "exec --process B/process.json ID",
     .killed = true},
    {.name = "update, killed",
     .before = {"run -d -b B/waiting ID"},
     .tried = "update -r B/update.json ID",
     .killed = true},
    {.name = "delete, killed", .before = {"run -d -b B/waiting ID"}, .tried = "delete --force ID", .killed = true},
};

/* Rotating over the calls; every round begins with the next, so that as many rounds as there are errors try all. */
static const int errors[] = {EIO, ENOMEM, EPERM, ENOSPC, EMFILE, EINTR};
#define N_ERRORS (sizeof(errors) / sizeof(errors[0]))

struct options {
    const char *only, *one_case;
    unsigned every, offset, rounds;
    bool verbose;
};

struct tally {
    unsigned cases, failed_well, harmless, bad;
};

static const char *call_name(long nr) {
    for (size_t i = 0; i < sizeof(call_names) / sizeof(call_names[0]); i++)
        if (call_names[i].nr == nr)
            return call_names[i].name;
    return "?";
}

/* A case's finding, as TAP comment. */
static void complain(struct tally *t, const struct scenario *s, const struct inject_plan *plan,
                     const struct inject_result *r, const char *what, const char *more) {
    t->bad++;
    printf("# %s: %s:%u %s %s: %s%s%s\n", s->name, plan->process, plan->call, call_name(r->nr),
           plan->error ? strerrorname_np(plan->error) : "KILL", what, *more ? ": " : "", more);
}

/* The commands after which the tried one comes. */
static bool prepare(struct surroundings *w, const struct scenario *s) {
    for (size_t i = 0; i < 3 && s->before[i]; i++)
        if (surroundings_call(w, s->before[i]) != 0) {
            printf("# %s: preparing failed: %s\n", s->name, surroundings_errors(w));
            return false;
        }
    return true;
}

/* Where a user namespace may not make nodes or mount sysfs, the host's are bound: as good, but not the same. */
static bool is_fallback(const struct scenario *s, const struct inject_plan *plan, const struct inject_result *r) {
    const char *name = call_name(r->nr);

    return plan->error == EPERM &&
           (strcmp(name, "mknodat") == 0 || (strncmp(name, "fs", 2) == 0 && strstr(s->name, "user namespace")));
}

/* The container came to be: it must be as good as one without a failure. */
static void check_success(struct surroundings *w, const struct scenario *s, const struct inject_plan *plan,
                          const struct inject_result *r, const char *wanted, struct tally *t) {
    char difference[512], state[64];

    for (size_t i = 0; i < 2 && s->then[i]; i++)
        if (surroundings_call(w, s->then[i]) != 0) {
            char errors_of_it[512];

            (void) snprintf(errors_of_it, sizeof(errors_of_it), "%s", surroundings_errors(w));
            surroundings_state(w, state, sizeof(state));
            if (strcmp(plan->process, "0") != 0 && strcmp(state, "stopped") == 0) {
                t->failed_well++; /* the call was one after the creation: the container has ended, and start said so */
                return;
            }
            complain(t, s, plan, r, s->then[i], errors_of_it);
            return;
        }
    if (s->varies || surroundings_compare(w, wanted, s->terminal, difference, sizeof(difference)) ||
        is_fallback(s, plan, r))
        t->harmless++;
    else
        complain(t, s, plan, r, "succeeded, but the container differs", difference);
}

static void check_failure(struct surroundings *w, const struct scenario *s, const struct inject_plan *plan,
                          const struct inject_result *r, const char *state_before, const char *wanted,
                          struct tally *t) {
    char difference[512];
    const char *text = surroundings_errors(w), *what = "";
    char state[64] = "";

    if (!r->loaders &&
        (strlen(text) < 12 || (!strstr(text, "baton: ") && r->status != 127 /* the C library's beginning */)))
        what = "no message";
    else if (strncmp(text, "baton: ", 7) == 0 && !strchr(text + 7, ' '))
        what = "a message that says nothing";
    else if (!r->loaders && r->fds_left > 0)
        what = "descriptors left";
    else if (s->after == NOTHING && !surroundings_clean(w, &what)) {
        /* when it has run to its end, what could not be removed is there to be deleted */
        surroundings_state(w, state, sizeof(state));
        if (!s->terminal && surroundings_compare(w, wanted, false, difference, sizeof(difference)) &&
            (strcmp(state, "stopped") == 0 || strcmp(state, "creating") == 0))
            what = "";
    } else if (s->after == SAME_STATE && strcmp(s->tried, "start ID") != 0 && strncmp(s->tried, "delete", 6) != 0 &&
               (surroundings_state(w, state, sizeof(state)), strcmp(state, state_before) != 0))
        what = "another state than before";
    if (*what)
        complain(t, s, plan, r, what, r->fds_left ? r->left : text);
    else
        t->failed_well++;
}

static void try_case(struct surroundings *w, const struct scenario *s, const struct inject_plan *plan,
                     const char *wanted, const struct options *o, struct tally *t) {
    struct inject_result r;
    char state[64] = "";
    const char *what = "";
    unsigned bad = t->bad;

    if (!prepare(w, s)) {
        t->bad++;
        surroundings_reset(w);
        return;
    }
    if (s->after == SAME_STATE)
        surroundings_state(w, state, sizeof(state));
    surroundings_try(w, s->tried, plan, CASE_TIMEOUT_MSEC, &r);
    t->cases++;
    if (o->verbose)
        printf("# %s: %s:%u %s %s -> %d%s %s\n", s->name, plan->process, plan->call, call_name(r.nr),
               plan->error ? strerrorname_np(plan->error) : "KILL", r.status, r.hit ? "" : " (not hit)",
               surroundings_errors(w));
    if (r.hung)
        complain(t, s, plan, &r, "hung", surroundings_errors(w));
    else if (s->killed && (strcmp(plan->process, "0") == 0 || r.status == 0))
        t->failed_well++;
    else if (r.status == 0)
        check_success(w, s, plan, &r, wanted, t);
    else
        check_failure(w, s, plan, &r, state, wanted, t);
    if (!surroundings_delete(w, &what))
        complain(t, s, plan, &r, "delete --force left", what);
    if (t->bad != bad)
        surroundings_reset(w);
}

static int error_of(const struct scenario *s, unsigned call, unsigned round) {
    return s->killed ? 0 : errors[(call + round) % N_ERRORS];
}

/* Killed children are errors that the runtime reports: of those that make a container. */
static bool is_tried(const struct scenario *s, const struct inject_process *p) {
    return !s->killed || strcmp(p->name, "0") == 0 || !s->before[0];
}

static void try_all(struct surroundings *w, const struct scenario *s, const struct inject_result *whole,
                    const char *wanted, const struct options *o, struct tally *t) {
    unsigned at = 0;

    for (unsigned round = 0; round < (s->killed ? 1 : o->rounds); round++)
        for (size_t i = 0; i < whole->n; i++)
            for (unsigned call = 1; is_tried(s, &whole->processes[i]) && call <= whole->processes[i].calls; call++) {
                struct inject_plan plan = {whole->processes[i].name, call, error_of(s, call, round + o->offset)};

                if ((at++ + o->offset) % o->every == 0)
                    try_case(w, s, &plan, wanted, o, t);
            }
}

/* --case PROCESS:CALL:ERRNO (0: killed) */
static void try_one(struct surroundings *w, const struct scenario *s, const char *wanted, const struct options *o,
                    struct tally *t) {
    static char name[32];
    struct inject_plan plan = {.process = name};

    if (sscanf(o->one_case, "%31[^:]:%u:%d", name, &plan.call, &plan.error) == 3)
        try_case(w, s, &plan, wanted, o, t);
}

/* Without a failure: how many calls there are, and what the container then is. */
static char *reference(struct surroundings *w, const struct scenario *s, struct inject_result *ret) {
    const struct inject_plan none = {0};
    const char *what = "";
    char *output = NULL;

    if (!prepare(w, s))
        return NULL;
    surroundings_try(w, s->tried, &none, CASE_TIMEOUT_MSEC, ret);
    if (ret->status != 0) {
        printf("# %s: fails without a fault: %d %s\n", s->name, ret->status, surroundings_errors(w));
    } else {
        for (size_t i = 0; i < 2 && s->then[i]; i++)
            if (surroundings_call(w, s->then[i]) != 0)
                printf("# %s: %s: %s\n", s->name, s->then[i], surroundings_errors(w));
        output = s->varies ? strdup("") : surroundings_output(w, s->terminal);
    }
    if (!surroundings_delete(w, &what))
        printf("# %s: without a fault, delete left: %s\n", s->name, what);
    return output;
}

static bool run_scenario(struct surroundings *w, const struct scenario *s, const struct options *o, unsigned number,
                         struct tally *sum) {
    struct inject_result whole;
    struct tally t = {0};
    unsigned calls = 0;
    char *wanted = reference(w, s, &whole);

    if (!wanted) {
        printf("not ok %u - %s\n", number, s->name);
        return false;
    }
    for (size_t i = 0; i < whole.n; i++)
        calls += whole.processes[i].calls;
    if (o->one_case)
        try_one(w, s, wanted, o, &t);
    else
        try_all(w, s, &whole, wanted, o, &t);
    free(wanted);
    printf("%sok %u - %s: %u processes, %u calls; %u tried: %u undone, %u harmless, %u bad\n", t.bad ? "not " : "",
           number, s->name, (unsigned) whole.n, calls, t.cases, t.failed_well, t.harmless, t.bad);
    (void) fflush(stdout);
    sum->cases += t.cases;
    sum->bad += t.bad;
    return t.bad == 0;
}

static void nothing(int sig) {
    (void) sig;
}

static void parse(int argc, char **argv, struct options *o) {
    for (int i = 4; i < argc; i++) {
        if (strcmp(argv[i], "-v") == 0)
            o->verbose = true;
        else if (i + 1 < argc && strcmp(argv[i], "--only") == 0)
            o->only = argv[++i];
        else if (i + 1 < argc && strcmp(argv[i], "--case") == 0)
            o->one_case = argv[++i];
        else if (i + 1 < argc && strcmp(argv[i], "--every") == 0)
            o->every = (unsigned) strtoul(argv[++i], NULL, 10);
        else if (i + 1 < argc && strcmp(argv[i], "--offset") == 0)
            o->offset = (unsigned) strtoul(argv[++i], NULL, 10);
        else if (i + 1 < argc && strcmp(argv[i], "--rounds") == 0)
            o->rounds = (unsigned) strtoul(argv[++i], NULL, 10);
    }
    if (o->every == 0)
        o->every = 1;
}

int main(int argc, char **argv) {
    struct options o = {.every = 1, .rounds = N_ERRORS};
    struct sigaction wake = {.sa_handler = nothing};
    struct surroundings *w;
    struct tally sum = {0};
    unsigned number = 0;
    bool ok = true;

    if (argc < 4) {
        fprintf(stderr, "usage: faults BATON DIR GROUP [options]\n");
        return 2;
    }
    parse(argc, argv, &o);
    (void) setvbuf(stdout, NULL, _IOLBF, 0);
    (void) prctl(PR_SET_CHILD_SUBREAPER, 1);
    (void) sigaction(SIGALRM, &wake, NULL);
    w = surroundings_new(argv[1], argv[2], argv[3]);
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++)
        if (!o.only || strcmp(o.only, scenarios[i].name) == 0)
            ok &= run_scenario(w, &scenarios[i], &o, ++number, &sum);
    printf("1..%u\n# %u failures of system calls and kills tried, %u bad\n", number, sum.cases, sum.bad);
    return ok ? 0 : 1;
}
