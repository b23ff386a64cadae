/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/faults/surroundings.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TEXT_MAX    (1u << 18)
#define WORDS_MAX   32
#define GONE_MSEC   3000
#define CALL_MSEC   10000
#define ID          "c"
#define CGROUP_ROOT "/sys/fs/cgroup"

struct surroundings {
    const char *program;
    char dir[256], state[300], pid_file[300], console[300], group[300];
    char *mounts, *links;
    int out, errors, listener;
    unsigned n_deletes;
    char words[WORDS_MAX][512];
    char text[4096], what[4096];
};

static void die(const char *what) {
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(2);
}

static char *contents(const char *path) {
    char *text = calloc(1, TEXT_MAX);
    size_t n = 0;
    ssize_t k;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    while (fd >= 0 && n < TEXT_MAX - 1 && (k = read(fd, text + n, TEXT_MAX - 1 - n)) > 0)
        n += (size_t) k;
    if (fd >= 0)
        (void) close(fd);
    return text;
}

/* The names of the network links, one a line. */
static char *links(void) {
    char *text = contents("/proc/self/net/dev"), *at = text, *to = text;

    for (char *line = strtok_r(text, "\n", &at); line; line = strtok_r(NULL, "\n", &at)) {
        size_t n = strcspn(line, ":|");

        memmove(to, line, n);
        to[n] = '\n';
        to += n + 1;
    }
    *to = 0;
    return text;
}

static int make_listener(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    (void) unlink(path);
    if (fd < 0 || bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 || listen(fd, 64) < 0)
        die(path);
    return fd;
}

struct surroundings *surroundings_new(const char *program, const char *dir, const char *group) {
    struct surroundings *w = calloc(1, sizeof(*w));

    w->program = program;
    (void) snprintf(w->dir, sizeof(w->dir), "%s", dir);
    (void) snprintf(w->state, sizeof(w->state), "%s/state", dir);
    (void) snprintf(w->pid_file, sizeof(w->pid_file), "%s/pids/pid", dir);
    (void) snprintf(w->console, sizeof(w->console), "%s/console", dir);
    (void) snprintf(w->group, sizeof(w->group), CGROUP_ROOT "/%s", group);
    w->out = memfd_create("out", MFD_CLOEXEC);
    w->errors = memfd_create("errors", MFD_CLOEXEC);
    if (w->out < 0 || w->errors < 0 || fcntl(w->out, F_SETFL, O_APPEND) < 0 || fcntl(w->errors, F_SETFL, O_APPEND) < 0)
        die("memfd");
    w->listener = make_listener(w->console);
    w->mounts = contents("/proc/self/mountinfo");
    w->links = links();
    return w;
}

/* Puts the words of a command after the program's own options. */
static void make_arguments(struct surroundings *w, const char *command, char *argv[WORDS_MAX]) {
    char copy[1024], *save = NULL;
    int n = 0;

    argv[n++] = (char *) w->program;
    argv[n++] = (char *) "--root";
    argv[n++] = w->state;
    (void) snprintf(copy, sizeof(copy), "%s", command);
    for (char *word = strtok_r(copy, " ", &save); word && n < WORDS_MAX - 1; word = strtok_r(NULL, " ", &save)) {
        char *to = w->words[n];

        if (strncmp(word, "B/", 2) == 0)
            (void) snprintf(to, sizeof(w->words[n]), "%s%s", w->dir, word + 1);
        else
            (void) snprintf(to, sizeof(w->words[n]), "%s",
                            strcmp(word, "P") == 0    ? w->pid_file
                            : strcmp(word, "S") == 0  ? w->console
                            : strcmp(word, "ID") == 0 ? ID
                                                      : word);
        argv[n++] = to;
    }
    argv[n] = NULL;
}

static int null_input(void) {
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (fd < 0)
        die("/dev/null");
    return fd;
}

static void pause_msec(int msec) {
    struct timespec ts = {0, msec * 1000000L};

    (void) nanosleep(&ts, NULL);
}

/* Our children: what the runtime left to us. */
static size_t children(pid_t *pids, size_t max) {
    char path[64], *save = NULL;
    size_t n = 0;

    (void) snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int) getpid());
    char *text = contents(path);
    for (char *word = strtok_r(text, " ", &save); word && n < max; word = strtok_r(NULL, " ", &save))
        pids[n++] = (pid_t) strtol(word, NULL, 10);
    free(text);
    return n;
}

/* A container ends only when those are reaped that were executed in it. */
static void reap_others(pid_t but) {
    pid_t pids[64];
    size_t n = children(pids, 64);

    for (size_t i = 0; i < n; i++)
        if (pids[i] != but)
            (void) waitpid(pids[i], NULL, WNOHANG | __WALL);
}

static int spawn_and_wait(char *const *argv, const int stdio[3]) {
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        for (int i = 0; i < 3; i++)
            if (dup2(stdio[i], i) < 0)
                _exit(126);
        if (close_range(3, ~0U, 0) < 0)
            _exit(126);
        (void) execv(argv[0], argv);
        _exit(126);
    }
    for (int i = 0; waitpid(pid, &status, WNOHANG) != pid; i++) {
        reap_others(pid);
        pause_msec(1);
        if (i == CALL_MSEC)
            (void) kill(pid, SIGKILL);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int surroundings_call(struct surroundings *w, const char *command) {
    int input = null_input(), stdio[] = {input, w->out, w->errors};
    char *argv[WORDS_MAX];

    make_arguments(w, command, argv);
    (void) ftruncate(w->errors, 0);
    int status = spawn_and_wait(argv, stdio);
    (void) close(input);
    return status;
}

void surroundings_try(struct surroundings *w, const char *command, const struct inject_plan *plan, int timeout_msec,
                      struct inject_result *ret) {
    int input = null_input(), stdio[] = {input, w->out, w->errors};
    char *argv[WORDS_MAX];

    make_arguments(w, command, argv);
    (void) ftruncate(w->errors, 0);
    (void) ftruncate(w->out, 0);
    int r = inject_run(argv, stdio, plan, timeout_msec, ret);
    if (r < 0) {
        errno = -r;
        die("ptrace");
    }
    (void) close(input);
}

const char *surroundings_errors(struct surroundings *w) {
    ssize_t n = pread(w->errors, w->text, sizeof(w->text) - 1, 0);

    w->text[n < 0 ? 0 : n] = 0;
    while (n > 0 && w->text[n - 1] == '\n')
        w->text[--n] = 0;
    for (char *p = w->text; *p; p++)
        if (*p == '\n')
            *p = ';';
    return w->text;
}

void surroundings_state(struct surroundings *w, char *ret, size_t n) {
    int input = null_input(), out = memfd_create("state", MFD_CLOEXEC), stdio[] = {input, out, input};
    char *argv[WORDS_MAX], text[4096];

    make_arguments(w, "state ID", argv);
    ret[0] = 0;
    if (spawn_and_wait(argv, stdio) == 0) {
        ssize_t k = pread(out, text, sizeof(text) - 1, 0);

        text[k < 0 ? 0 : k] = 0;
        const char *at = strstr(text, "\"status\": \"");
        if (at)
            (void) snprintf(ret, n, "%.*s", (int) strcspn(at + 11, "\""), at + 11);
    }
    (void) close(out);
    (void) close(input);
}

/* A process that will not end by itself: the container of `exec`. */
static bool waits_for_ever(pid_t pid) {
    char path[64], *text, *end;

    (void) snprintf(path, sizeof(path), "/proc/%d/cmdline", (int) pid);
    text = contents(path);
    end = text + strlen(text) + 1;
    bool yes = strcmp(text, "/bin/probe") == 0 && strcmp(end, "wait") == 0;
    free(text);
    return yes;
}

static void reap(void) {
    while (waitpid(-1, NULL, WNOHANG | __WALL) > 0)
        continue;
}

/* Until nobody is left, or nobody but containers that wait. */
static bool wait_for_children(bool waiting_is_fine) {
    for (int i = 0; i < GONE_MSEC; i++) {
        pid_t pids[64];
        bool fine = true;

        reap();
        size_t n = children(pids, 64);
        for (size_t k = 0; k < n; k++)
            fine &= waiting_is_fine && waits_for_ever(pids[k]);
        if (fine)
            return true;
        pause_msec(1);
    }
    return false;
}

static int take_master(const struct surroundings *w) {
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    char name[64];
    struct iovec iov = {name, sizeof(name)};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    int fd = -1, c = accept4(w->listener, NULL, NULL, SOCK_CLOEXEC);

    if (c < 0)
        return -1;
    if (recvmsg(c, &m, MSG_CMSG_CLOEXEC) > 0 && CMSG_FIRSTHDR(&m))
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(int));
    (void) close(c);
    return fd;
}

static char *terminal_output(const struct surroundings *w) {
    char *text = calloc(1, TEXT_MAX);
    int fd = take_master(w);
    size_t n = 0;
    ssize_t k = 1;

    while (fd >= 0 && n < TEXT_MAX - 1 && k > 0) {
        struct pollfd p = {fd, POLLIN, 0};

        if (poll(&p, 1, GONE_MSEC) <= 0)
            break;
        if ((k = read(fd, text + n, TEXT_MAX - 1 - n)) > 0)
            n += (size_t) k;
    }
    if (fd >= 0)
        (void) close(fd);
    return text;
}

static void drop_connections(const struct surroundings *w) {
    int fd;

    while ((fd = accept4(w->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
        (void) close(fd);
}

char *surroundings_output(struct surroundings *w, bool terminal) {
    char path[64];

    if (terminal)
        return terminal_output(w);
    (void) wait_for_children(true);
    (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", w->out);
    return contents(path);
}

bool surroundings_compare(struct surroundings *w, const char *wanted, bool terminal, char *ret_difference, size_t n) {
    char *output = surroundings_output(w, terminal);
    const char *a = wanted, *b = output;

    while (*a && *a == *b) {
        a++;
        b++;
    }
    bool same = *a == *b;
    while (a > wanted && a[-1] != '\n') {
        a--;
        b--;
    }
    (void) snprintf(ret_difference, n, "\"%.*s\" and not \"%.*s\"", (int) strcspn(b, "\n"), b, (int) strcspn(a, "\n"),
                    a);
    free(output);
    return same;
}

static bool is_empty(const char *path, char *name, size_t n) {
    DIR *d = opendir(path);
    const struct dirent *e;
    bool empty = true;

    while (d && (e = readdir(d)))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && strcmp(e->d_name, ".seccomp") != 0) {
            empty = false;
            (void) snprintf(name, n, "%s/%s", path, e->d_name);
        }
    if (d)
        (void) closedir(d);
    return empty;
}

static bool processes_gone(struct surroundings *w) {
    char path[64];
    pid_t pids[1];

    if (wait_for_children(false))
        return true;
    if (children(pids, 1) == 0)
        return true;
    (void) snprintf(path, sizeof(path), "/proc/%d/cmdline", (int) pids[0]);
    char *text = contents(path);
    (void) snprintf(w->what, sizeof(w->what), "process %d, %s", (int) pids[0], text);
    free(text);
    return false;
}

bool surroundings_clean(struct surroundings *w, const char **ret_what) {
    char name[512] = "", pids[300];

    *ret_what = w->what;
    (void) snprintf(pids, sizeof(pids), "%s/pids", w->dir);
    if (!processes_gone(w))
        return false;
    if (!is_empty(w->state, name, sizeof(name)) || !is_empty(pids, name, sizeof(name))) {
        (void) snprintf(w->what, sizeof(w->what), "file %s", name);
        return false;
    }
    if (access(w->group, F_OK) == 0) {
        (void) snprintf(w->what, sizeof(w->what), "cgroup %s", w->group);
        return false;
    }
    char *mounts = contents("/proc/self/mountinfo"), *now = links();
    bool same = strcmp(mounts, w->mounts) == 0, same_links = strcmp(now, w->links) == 0;
    free(mounts);
    free(now);
    (void) snprintf(w->what, sizeof(w->what), "%s", !same ? "mounts" : !same_links ? "network links" : "");
    return same && same_links;
}

static void remove_tree(const char *path) {
    char name[600];
    const struct dirent *e;
    DIR *d = opendir(path);

    while (d && (e = readdir(d)))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            (void) snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
            if (unlink(name) < 0)
                remove_tree(name);
        }
    if (d)
        (void) closedir(d);
    (void) rmdir(path);
}

bool surroundings_delete(struct surroundings *w, const char **ret_what) {
    char message[600];

    if (surroundings_call(w, "delete --force ID") != 0) {
        (void) snprintf(message, sizeof(message), "an error: %.500s", surroundings_errors(w));
        (void) snprintf(w->what, sizeof(w->what), "%s", message);
        *ret_what = w->what;
        return false;
    }
    drop_connections(w);
    (void) unlink(w->pid_file);
    if (w->n_deletes++ % 2 == 0) { /* kept filters are found in one case and made in the next */
        (void) snprintf(message, sizeof(message), "%s/.seccomp", w->state);
        remove_tree(message);
    }
    return surroundings_clean(w, ret_what);
}

static void remove_groups(const char *path) {
    char name[600];
    const struct dirent *e;
    DIR *d = opendir(path);

    while (d && (e = readdir(d)))
        if (e->d_type == DT_DIR && e->d_name[0] != '.') {
            (void) snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
            remove_groups(name);
        }
    if (d)
        (void) closedir(d);
    (void) rmdir(path);
}

void surroundings_reset(struct surroundings *w) {
    char pids[300];
    pid_t left[64];
    size_t n;

    for (int i = 0; i < 200 && (reap(), n = children(left, 64)) > 0; i++) {
        for (size_t k = 0; k < n; k++)
            (void) kill(left[k], SIGKILL);
        pause_msec(5);
    }
    (void) snprintf(pids, sizeof(pids), "%s/pids", w->dir);
    remove_tree(w->state);
    remove_tree(pids);
    (void) mkdir(w->state, 0711);
    (void) mkdir(pids, 0755);
    remove_groups(w->group);
    drop_connections(w);
    free(w->mounts);
    w->mounts = contents("/proc/self/mountinfo");
}
