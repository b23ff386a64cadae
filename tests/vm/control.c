/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * On the host: what the harness needs to handle test machines.
 *
 *   control run [-i] [-t SECONDS] SOCKET SCRIPT   runs a bash script in the machine whose virtio port "run" is the
 *       socket (runner.c): its outputs are ours, its exit code, too; -i passes on our input. 124: it took longer than
 *       SECONDS (default 120). 125: the machine does not answer.
 *   control keep PID LOG PROGRAM [ARGUMENT]…      runs a program for as long as a process lives: when either ends (or
 *       this one is killed) the other program is killed. Its outputs go to the file.
 *   control monitor SOCKET COMMAND [NAME=VALUE]…  gives QEMU's monitor (QMP) a command; values are JSON
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SECONDS_DEFAULT 120
#define GRACE_SECONDS   30 /* for the answer that a command took too long: the machine may be busy */
#define CODE_NO_ANSWER  125

struct channel {
    int fd;
    long long deadline; /* msec of the monotonic clock */
    char buf[65536];
    size_t at, n;
};

static long long now_msec(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static _Noreturn void no_answer(const char *why) {
    fprintf(stderr, "the machine does not answer: %s\n", why);
    exit(CODE_NO_ANSWER);
}

static void wait_for(struct channel *c, short events) {
    long long left = c->deadline - now_msec();
    struct pollfd p = {c->fd, events, 0};
    if (left <= 0 || poll(&p, 1, (int) left) <= 0)
        no_answer("time is up");
}

static void send_all(struct channel *c, const char *p, size_t n) {
    while (n > 0) {
        ssize_t r = send(c->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (r > 0) {
            p += r;
            n -= (size_t) r;
        } else if (r < 0 && errno == EAGAIN) {
            wait_for(c, POLLOUT);
        } else if (r < 0 && errno != EINTR) {
            no_answer(strerror(errno));
        }
    }
}

static void fill(struct channel *c) {
    wait_for(c, POLLIN);
    ssize_t r = read(c->fd, c->buf, sizeof(c->buf));
    if (r <= 0)
        no_answer("it is gone");
    c->at = 0;
    c->n = (size_t) r;
}

static char next(struct channel *c) {
    if (c->at == c->n)
        fill(c);
    return c->buf[c->at++];
}

/* Up to the end of a line; longer ones (what an earlier command left behind) are cut at their beginning. */
static void read_line(struct channel *c, char *line, size_t size) {
    size_t n = 0;
    for (char b; (b = next(c)) != '\n';) {
        if (n == size - 1)
            memmove(line, line + 1, --n);
        line[n++] = b;
    }
    line[n] = '\0';
}

static void pass_on(struct channel *c, int fd, size_t n) {
    while (n > 0) {
        if (c->at == c->n)
            fill(c);
        size_t part = c->n - c->at < n ? c->n - c->at : n;
        if (write(fd, c->buf + c->at, part) != (ssize_t) part)
            exit(CODE_NO_ANSWER);
        c->at += part;
        n -= part;
    }
}

static char *read_input(size_t *ret_n) {
    size_t room = 65536, n = 0;
    char *p = malloc(room);
    for (ssize_t r; p != NULL && (r = read(0, p + n, room - n)) > 0;) {
        n += (size_t) r;
        if (n < room)
            continue;
        char *more = realloc(p, room *= 2);
        if (more == NULL)
            free(p);
        p = more;
    }
    if (p == NULL)
        exit(CODE_NO_ANSWER);
    *ret_n = n;
    return p;
}

static void channel_open(struct channel *c, const char *path, int seconds) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof(a.sun_path))
        no_answer("the path of its socket is too long");
    strcpy(a.sun_path, path);
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *) &a, sizeof(a)) < 0)
        no_answer(strerror(errno));
    c->deadline = now_msec() + seconds * 1000LL;
}

static int run(const char *path, int seconds, const char *script, const char *input, size_t input_n) {
    static struct channel c;
    char id[32], line[200], wanted[64], kind;
    size_t n;

    channel_open(&c, path, seconds + GRACE_SECONDS);
    snprintf(id, sizeof(id), "%d-%lld", getpid(), now_msec());

    dprintf(c.fd, "sync %s\n", id);
    snprintf(wanted, sizeof(wanted), "synced %s", id);
    do
        read_line(&c, line, sizeof(line));
    while (strlen(line) < strlen(wanted) || strcmp(line + strlen(line) - strlen(wanted), wanted) != 0);

    n = (size_t) snprintf(line, sizeof(line), "run %s %d %zu %zu\n", id, seconds, strlen(script), input_n);
    send_all(&c, line, n);
    send_all(&c, script, strlen(script));
    send_all(&c, input, input_n);
    for (;;) {
        read_line(&c, line, sizeof(line));
        if (sscanf(line, "%63s %c %zu", wanted, &kind, &n) != 3 || strcmp(wanted, id) != 0)
            no_answer("it said something else");
        if (kind == 'x')
            return (int) n;
        pass_on(&c, kind == 'e' ? 2 : 1, n);
    }
}

static int monitor(char **argv) {
    static struct channel c;
    char line[4096];
    int answers = 0;

    channel_open(&c, argv[0], SECONDS_DEFAULT);
    dprintf(c.fd, "{\"execute\": \"qmp_capabilities\"}\n{\"execute\": \"%s\", \"arguments\": {", argv[1]);
    for (char **a = argv + 2; *a != NULL; a++) {
        char *value = strchr(*a, '=');
        if (value != NULL)
            dprintf(c.fd, "%s\"%.*s\": %s", a > argv + 2 ? ", " : "", (int) (value - *a), *a, value + 1);
    }
    dprintf(c.fd, "}}\n");
    while (answers < 2) { /* a greeting and events may come in between */
        read_line(&c, line, sizeof(line));
        if (strncmp(line, "{\"error\"", 8) == 0) {
            fprintf(stderr, "%s\n", line);
            return 1;
        }
        answers += strncmp(line, "{\"return\"", 9) == 0;
    }
    return 0;
}

static int keep(pid_t watched, const char *log, char **argv) {
    int pidfd = (int) syscall(SYS_pidfd_open, watched, 0);
    if (pidfd < 0) {
        perror("the process to live with");
        return 1;
    }
    pid_t pid = fork();
    if (pid == 0) {
        int out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644), null = open("/dev/null", O_RDONLY);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(null, 0);
        dup2(out, 1);
        dup2(out, 2);
        syscall(SYS_close_range, 3, ~0u, 0);
        execvp(argv[0], argv);
        perror(argv[0]);
        _exit(127);
    }
    int child = (int) syscall(SYS_pidfd_open, pid, 0);
    if (pid < 0 || child < 0)
        return 1;
    struct pollfd p[] = {{pidfd, POLLIN, 0}, {child, POLLIN, 0}};
    while (poll(p, 2, -1) < 0 && errno == EINTR)
        ;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return 0;
}

int main(int argc, char **argv) {
    bool with_input = false;
    int seconds = SECONDS_DEFAULT, o;

    if (argc >= 5 && strcmp(argv[1], "keep") == 0)
        return keep(atoi(argv[2]), argv[3], argv + 4);
    if (argc >= 4 && strcmp(argv[1], "monitor") == 0)
        return monitor(argv + 2);
    if (argc >= 2 && strcmp(argv[1], "run") == 0) {
        while ((o = getopt(argc - 1, argv + 1, "it:")) != -1) {
            if (o == 'i')
                with_input = true;
            else if (o == 't')
                seconds = atoi(optarg);
            else
                return 2;
        }
        if (argc - 1 - optind == 2) {
            size_t n = 0;
            char *input = with_input ? read_input(&n) : NULL;
            return run(argv[optind + 1], seconds, argv[optind + 2], input, n);
        }
    }
    fprintf(stderr, "usage: control run [-i] [-t SECONDS] SOCKET SCRIPT | control keep PID LOG PROGRAM [ARGUMENT]... | "
                    "control monitor SOCKET COMMAND [NAME=VALUE]...\n");
    return 2;
}
