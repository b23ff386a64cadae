/* SPDX-License-Identifier: GPL-2.0-or-later */
/* help: a page for each verb. baton(8) says the same at greater length; tests compare both with the verbs' options. */
#include <stdio.h>
#include <string.h>

#include "runtime/verbs/verbs.h"

#define CREATION_OPTIONS                                                                                               \
    "  -b, --bundle DIR          folder with config.json and the root (default: here)\n"                               \
    "  -f, --config FILE         another file than config.json of the bundle\n"                                        \
    "  --pid-file FILE           write the container's process id there\n"                                             \
    "  --pidfd-socket PATH       unix socket that gets a descriptor of the process\n"                                  \
    "  --console-socket PATH     unix socket that gets the terminal\n"                                                 \
    "  --preserve-fds N          pass N descriptors from 3 on (after those of LISTEN_FDS)\n"                           \
    "  --no-pivot                do not use pivot_root(2), for a root on an initramfs\n"                               \
    "  --no-new-keyring          stay in the caller's session keyring\n"                                               \
    "  --no-subreaper            accepted: baton never becomes one\n"

static const struct page {
    const char *verb, *synopsis, *what, *options;
} pages[] = {
    {"create", "[OPTION ...] ID", "Makes a container from a bundle; its process waits for start.", CREATION_OPTIONS},
    {"start", "ID", "Lets the process of a created container execute its program.", NULL},
    {"run", "[OPTION ...] ID", "Makes and starts a container, waits for its end and removes it.",
     CREATION_OPTIONS "  -d, --detach              do not wait; the container stays until it is deleted\n"
                      "  --keep                    do not remove it when it has ended\n"},
    {"exec", "[OPTION ...] ID COMMAND [ARG ...]", "Runs one more process in a container.",
     "  -p, --process FILE        the process as JSON, instead of the options below and COMMAND\n"
     "  -d, --detach              do not wait\n"
     "  -t, --tty                 give it a terminal\n"
     "  --cwd DIR                 working folder\n"
     "  -e, --env NAME=VALUE      one more variable\n"
     "  -u, --user UID[:GID]      whose process it is\n"
     "  -g, --additional-gids GID one more group\n"
     "  -c, --cap CAPABILITY      one more capability\n"
     "  --no-new-privs            no rights by execution (setuid)\n"
     "  --apparmor PROFILE        AppArmor profile\n"
     "  --process-label LABEL     SELinux label\n"
     "  --cgroup PATH             a group below the container's\n"
     "  --ignore-paused           also in a paused container: the process then waits\n"
     "  --pid-file FILE           write the process id there\n"
     "  --pidfd-socket PATH       unix socket that gets a descriptor of the process\n"
     "  --console-socket PATH     unix socket that gets the terminal\n"
     "  --preserve-fds N          pass N descriptors from 3 on\n"},
    {"kill", "[OPTION ...] ID [SIGNAL]", "Sends a signal (default TERM) to a container's first process.",
     "  -a, --all                 to all of its processes\n"
     "  -r, --regex               to all containers whose id matches the regular expression ID\n"},
    {"delete", "[OPTION ...] ID", "Removes a container that has ended.",
     "  -f, --force               also one that has not; one that is not there is no error\n"
     "  -r, --regex               all containers whose id matches the regular expression ID\n"},
    {"state", "ID", "Prints a container's state as JSON.", NULL},
    {"list", "[OPTION ...]", "Lists containers.",
     "  -q, --quiet               ids only\n"
     "  -f, --format table|json   how\n"},
    {"ps", "[OPTION ...] ID", "Lists a container's processes.", "  -f, --format table|json   how\n"},
    {"pause", "ID", "Freezes a container's processes.", NULL},
    {"resume", "ID", "Thaws them.", NULL},
    {"update", "[OPTION ...] ID", "Changes a container's limits.",
     "  -r, --resources FILE|-    linux.resources as JSON; what it does not name stays\n"
     "  --memory, --memory-reservation, --memory-swap BYTES\n"
     "  --cpu-period, --cpu-quota, --cpu-burst MICROSECONDS; --cpu-share, --cpu-idle N\n"
     "  --cpuset-cpus, --cpuset-mems LIST\n"
     "  --pids-limit, --blkio-weight N\n"},
    {"events", "[OPTION ...] ID", "Prints statistics and out-of-memory events as JSON, a line each.",
     "  --stats                   statistics once, and no more\n"
     "  --interval DURATION       statistics so often (default 5s)\n"},
    {"spec", "[OPTION ...]", "Writes a config.json to start from.",
     "  -b, --bundle DIR          where to (default: here)\n"
     "  -f, --file FILE           another name\n"
     "  --rootless                for a user without rights: a user namespace, the host's network\n"},
    {"features", "", "Prints what this runtime can as JSON (features.md of the specification).", NULL},
    {"pod", "", "Supervises the containers of a pod; started by podium's agent.", NULL},
    {"help", "[VERB]", "Prints this.", NULL},
};

bool help_print(const char *verb) {
    for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
        const struct page *p = &pages[i];

        if (strcmp(p->verb, verb) != 0)
            continue;
        printf("usage: baton [options] %s%s%s\n\n%s\n", verb, *p->synopsis ? " " : "", p->synopsis, p->what);
        if (p->options)
            printf("\noptions:\n%s", p->options);
        printf("\nOptions before the verb: baton --help. All of it: man baton.\n");
        return true;
    }
    return false;
}

int verb_cannot(const struct baton *b, int argc, char **argv) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    (void) argc;
    int r =
        error_set(&err, -EOPNOTSUPP, "%s: baton does not save containers' processes (CRIU is not supported)", argv[0]);
    return baton_fail(b, &err, r);
}
