/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The verbs of the command line: one file each, one function each.
 *
 * A verb gets its own arguments (argv[0] is its name), prints its result on stdout and one line for each error on
 * stderr (through baton_fail(), which also writes the log file), and returns the exit status of the program. Verbs know
 * nothing of each other; what several need is in container_file.h (opening a container), creation.h and foreground.h.
 */
#ifndef PODIUM_RUNTIME_VERBS_H
#define PODIUM_RUNTIME_VERBS_H

#include <stdbool.h>
#include <sys/types.h>

#include "podium/base/error.h"
#include "podium/base/json.h"

#define BATON_VERSION "0.1.0"

enum cgroup_manager {
    CGROUP_MANAGER_CGROUPFS, /* baton makes and removes the groups itself */
    CGROUP_MANAGER_SYSTEMD,  /* a transient scope for each container */
    CGROUP_MANAGER_DISABLED, /* containers stay in the caller's group, without limits */
};

/* The options before the verb. */
struct baton {
    const char *root; /* state folder */
    const char *log;  /* file for errors, NULL: none but stderr */
    bool log_json;    /* runc's JSON lines, which engines read */
    bool debug;
    bool errors_only; /* no warnings */
    enum cgroup_manager cgroup_manager;
    bool controllers_optional; /* limits whose cgroup controller is missing: warn instead of failing */
};

/* Reports the failure and returns 1. */
int baton_fail(const struct baton *b, const struct error *err, int r);
/* A wrong command line: reports it with the verb's usage and returns 1. */
int baton_usage(const struct baton *b, const char *usage, const char *problem);
void baton_warn(const struct baton *b, const char *text);
/* A warning for each capability of the process that nobody knows: it is not given, as the specification wants. */
struct spec_process;
void baton_warn_capabilities(const struct baton *b, const struct spec_process *process);
/* Prints a document on stdout, indented, with a newline. */
void baton_print(const struct json *doc);

int verb_create(const struct baton *b, int argc, char **argv);
int verb_start(const struct baton *b, int argc, char **argv);
int verb_run(const struct baton *b, int argc, char **argv);
int verb_exec(const struct baton *b, int argc, char **argv);
int verb_kill(const struct baton *b, int argc, char **argv);
int verb_delete(const struct baton *b, int argc, char **argv);
int verb_state(const struct baton *b, int argc, char **argv);
int verb_list(const struct baton *b, int argc, char **argv);
int verb_ps(const struct baton *b, int argc, char **argv);
int verb_pause(const struct baton *b, int argc, char **argv);
int verb_resume(const struct baton *b, int argc, char **argv);
int verb_update(const struct baton *b, int argc, char **argv);
int verb_events(const struct baton *b, int argc, char **argv);
int verb_features(const struct baton *b, int argc, char **argv);
int verb_spec(const struct baton *b, int argc, char **argv);
/* checkpoint and restore: says that there is no such thing here. */
int verb_cannot(const struct baton *b, int argc, char **argv);
/* Prints the page of a verb; false when there is none. */
bool help_print(const char *verb);

#endif
