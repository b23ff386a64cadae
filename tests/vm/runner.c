/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * In a test machine: runs the commands that `control run` sends over the virtio port "run", one at a time.
 *
 * The host says  run ID SECONDS SCRIPT-LENGTH INPUT-LENGTH\n  and as many bytes, or  sync ID\n.
 * The answer is  ID o LENGTH\n  or  ID e LENGTH\n  with bytes of the two outputs, and at last  ID x EXIT-CODE\n;
 * to sync  synced ID\n. The end of the script ends the command, also when something it started in the background holds
 * the outputs open. A host that goes away in the middle ends it, too: its process group is killed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES   200
#define LENGTH_MAX       (256u << 20)
#define CODE_TIMED_OUT   124
#define CODE_SIGNAL_BASE 128

struct request {
    char id[64];
    int seconds;
    char *script, *input;
    size_t script_n, input_n;
};

static long long now_msec(void) {
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* The port's device node: without udev there is no link by its name. */
static int open_port(void) {
    for (int tries = 0; tries < 3000; tries++) {
        DIR *d = opendir("/sys/class/virtio-ports");
        struct dirent *e;
        while (d != NULL && (e = readdir(d)) != NULL) {
            char path[512], name[32] = "";
            snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", e->d_name);
            FILE *f = fopen(path, "re");
            if (f == NULL)
                continue;
            bool read = fgets(name, sizeof(name), f) != NULL;
            fclose(f);
            if (!read || strcmp(name, "run\n") != 0)
                continue;
            snprintf(path, sizeof(path), "/dev/%s", e->d_name);
            int fd = open(path, O_RDWR | O_CLOEXEC);
            if (fd >= 0) {
                closedir(d);
                return fd;
            }
        }
        if (d != NULL)
            closedir(d);
        usleep(20000);
    }
    fprintf(stderr, "no virtio port named run\n");
    exit(1);
}

/* Exactly n bytes; false: the host went away in the middle. While no host is there at all, it waits. */
static bool read_exactly(int port, char *p, size_t n, bool within) {
    for (size_t done = 0; done < n;) {
        ssize_t r = read(port, p + done, n - done);
        if (r > 0) {
            done += (size_t) r;
            continue;
        }
        if (r < 0 && errno != EINTR && errno != EAGAIN)
            return false;
        if (r == 0) {
            if (within || done > 0)
                return false;
            usleep(20000);
        }
    }
    return true;
}

static bool read_line(int port, char *line) {
    for (size_t n = 0; n < LINE_MAX_BYTES - 1; n++) {
        if (!read_exactly(port, line + n, 1, n > 0))
            return false;
        if (line[n] == '\n') {
            line[n] = '\0';
            return true;
        }
    }
    return false;
}

static bool write_all(int port, const char *p, size_t n) {
    while (n > 0) {
        ssize_t r = write(port, p, n);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return false;
        p += r;
        n -= (size_t) r;
    }
    return true;
}

static bool say(int port, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool say(int port, const char *format, ...) {
    char line[LINE_MAX_BYTES];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(line, sizeof(line), format, ap);
    va_end(ap);
    return write_all(port, line, (size_t) n);
}

/* Passes on what is there; false: the descriptor is at its end. */
static bool pass_on(int port, const struct request *r, int fd, char kind) {
    char buf[32768];
    ssize_t n = read(fd, buf, sizeof(buf));
    if (n <= 0)
        return n < 0 && (errno == EAGAIN || errno == EINTR);
    return say(port, "%s %c %zd\n", r->id, kind, n) && write_all(port, buf, (size_t) n);
}

static _Noreturn void become(const struct request *r, const int in[2], const int out[2], const int err[2]) {
    setsid();
    dup2(in[0], 0);
    dup2(out[1], 1);
    dup2(err[1], 2);
    /* the runner itself must never be chosen by the out-of-memory killer; what it runs may be, as on any machine */
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && write(fd, "0", 1) == 1)
        close(fd);
    if (chdir("/root") < 0)
        perror("chdir");
    execl("/bin/bash", "bash", "-c", r->script, "vm", (char *) NULL);
    perror("bash");
    _exit(127);
}

static int exit_code(pid_t pid) {
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : CODE_SIGNAL_BASE + WTERMSIG(status);
}

/* Input, outputs and the end of the command; returns its exit code. */
static int serve(int port, const struct request *r, pid_t pid, int in, int out, int err) {
    long long deadline = now_msec() + r->seconds * 1000LL;
    int pidfd = (int) syscall(SYS_pidfd_open, pid, 0);
    size_t sent = 0;
    bool ended = false, late = false;

    while (!ended && !late) {
        if (in >= 0 && sent == r->input_n) {
            close(in);
            in = -1;
        }
        struct pollfd p[] = {
            {pidfd, POLLIN, 0}, {out, POLLIN, 0}, {err, POLLIN, 0}, {in, POLLOUT, 0}, {port, 0, 0},
        };
        long long left = deadline - now_msec();
        late = left <= 0 || poll(p, 5, (int) left) == 0 || (p[4].revents & POLLHUP) != 0;
        ended = p[0].revents != 0;
        if (p[1].revents != 0 && !pass_on(port, r, out, 'o'))
            out = -1;
        if (p[2].revents != 0 && !pass_on(port, r, err, 'e'))
            err = -1;
        if (p[3].revents != 0) {
            ssize_t n = write(in, r->input + sent, r->input_n - sent);
            sent = n > 0 ? sent + (size_t) n : n < 0 && errno == EAGAIN ? sent : r->input_n;
        }
    }
    if (late)
        kill(-pid, SIGKILL);
    int code = exit_code(pid);
    while (out >= 0 && poll(&(struct pollfd){out, POLLIN, 0}, 1, 0) > 0 && pass_on(port, r, out, 'o'))
        ;
    while (err >= 0 && poll(&(struct pollfd){err, POLLIN, 0}, 1, 0) > 0 && pass_on(port, r, err, 'e'))
        ;
    close(pidfd);
    if (in >= 0)
        close(in);
    return late && !ended ? CODE_TIMED_OUT : code;
}

static void run(int port, const struct request *r) {
    int in[2], out[2], err[2];
    if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0)
        exit(1);
    pid_t pid = fork();
    if (pid == 0)
        become(r, in, out, err);
    close(in[0]);
    close(out[1]);
    close(err[1]);
    fcntl(in[1], F_SETFL, O_NONBLOCK);
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    fcntl(err[0], F_SETFL, O_NONBLOCK);
    if (pid < 0)
        close(in[1]);
    int code = pid < 0 ? 126 : serve(port, r, pid, in[1], out[0], err[0]);
    close(out[0]);
    close(err[0]);
    say(port, "%s x %d\n", r->id, code);
}

int main(void) {
    int port = open_port();
    char line[LINE_MAX_BYTES];

    signal(SIGPIPE, SIG_IGN);
    setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
    setenv("HOME", "/root", 1);
    setenv("BASH_ENV", "/usr/share/vm/lib.bash", 1);
    for (;;) {
        struct request r = {0};
        if (!read_line(port, line))
            continue;
        if (sscanf(line, "sync %63s", r.id) == 1) {
            say(port, "synced %s\n", r.id);
        } else if (sscanf(line, "run %63s %d %zu %zu", r.id, &r.seconds, &r.script_n, &r.input_n) == 4 &&
                   r.script_n <= LENGTH_MAX && r.input_n <= LENGTH_MAX) {
            r.script = calloc(1, r.script_n + 1);
            r.input = calloc(1, r.input_n + 1);
            if (r.script != NULL && r.input != NULL && read_exactly(port, r.script, r.script_n, true) &&
                read_exactly(port, r.input, r.input_n, true))
                run(port, &r);
            free(r.script);
            free(r.input);
        }
    }
}
