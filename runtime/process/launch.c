/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/process/launch.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "runtime/process/channel.h"
#include "runtime/process/command.h"
#include "runtime/process/container.h"
#include "runtime/process/credentials.h"
#include "runtime/process/listener.h"
#include "runtime/process/terminal.h"
#include "runtime/process/tuning.h"
#include "runtime/seccomp/seccomp.h"

static int send_console(const struct launch *l, const struct terminal *t, struct error *err) {
    ssize_t r = l->console_socket_fd >= 0
                    ? fd_send_message(l->console_socket_fd, t->name, strlen(t->name), &t->master, 1)
                    : channel_send(l->sync_fd, CHANNEL_CONSOLE, 0, NULL, t->master);

    return r < 0 ? error_set_errno(err, (int) r, "cannot hand over the terminal") : 0;
}

static int open_session(struct launch *l, struct terminal *t, struct error *err) {
    int r;

    if ((l->new_session || l->process->terminal) && setsid() < 0)
        return error_set_errno(err, -errno, "cannot make a new session");
    if (!l->process->terminal)
        return 0;
    if ((r = terminal_open(l->process, t, err)) < 0 || (r = terminal_control(t, err)) < 0 ||
        (r = l->bind_console ? terminal_bind_console(t, err) : 0) < 0 || (r = send_console(l, t, err)) < 0)
        return r;
    for (int i = 0; i < 3; i++)
        l->stdio[i] = t->slave;
    return 0;
}

int launch_open_stdio(struct launch *l, struct error *err) {
    int null_fd = -EBADF;

    for (int i = 0; i < 3; i++) {
        if (l->stdio[i] >= 0)
            continue;
        if (null_fd < 0)
            null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (null_fd < 0)
            return error_set_errno(err, -errno, "cannot open /dev/null");
        l->stdio[i] = null_fd;
    }
    return 0;
}

/* Lifts a descriptor above those that will be the container's. */
static int lift(int *fd, int above) {
    if (*fd < 0 || *fd >= above)
        return 0;
    int up = fcntl(*fd, F_DUPFD_CLOEXEC, above);
    if (up < 0)
        return -errno;
    *fd = up;
    return 0;
}

/* stdio of the user's, so that the program may open /dev/stdout again; the null device stays everybody's. */
static void give_stdio(const struct launch *l) {
    struct stat st;

    if (l->process->user.uid == 0 || l->process->terminal)
        return;
    for (int i = 0; i < 3; i++)
        if (fstat(i, &st) == 0 && !(S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3)) &&
            st.st_uid != l->process->user.uid && !S_ISREG(st.st_mode)) {
            int r = fchown(i, l->process->user.uid, (gid_t) -1);
            (void) r; /* a convenience only */
        }
}

static int place(int fd, int at) {
    return dup2(fd, at) < 0 ? -errno : 0; /* clears FD_CLOEXEC */
}

/* Closes all from the first on but those that are kept; -1 is none. */
static int close_others(int first, int *const *kept, size_t n) {
    for (;;) {
        int next = INT_MAX;

        for (size_t i = 0; i < n; i++)
            if (*kept[i] >= first && *kept[i] < next)
                next = *kept[i];
        if (next == INT_MAX)
            break;
        if (next > first && close_range((unsigned) first, (unsigned) next - 1, 0) < 0)
            return -errno;
        first = next + 1;
    }
    return close_range((unsigned) first, UINT_MAX, 0) < 0 ? -errno : 0;
}

/* 0-2 and the extra descriptors get their places; what remains but those we need ourselves is closed. */
static int place_descriptors(struct launch *l, struct error *err) {
    int first_free = 3 + (int) l->n_extra_fds, r = 0;
    int from[3];
    _cleanup_free_ int *extra = xcalloc(l->n_extra_fds + 1, sizeof(*extra));

    memcpy(from, l->stdio, sizeof(from));
    int *const kept[] = {&l->sync_fd, &l->listen_fd, &l->label.apparmor, &l->label.selinux};
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(kept); i++)
        r = lift(kept[i], first_free);
    for (int i = 0; r == 0 && i < 3; i++)
        if (from[i] != i)
            r = lift(&from[i], first_free);
    for (size_t i = 0; r == 0 && i < l->n_extra_fds; i++) {
        extra[i] = l->extra_fds[i];
        r = lift(&extra[i], first_free);
    }
    for (int i = 0; r == 0 && i < 3; i++)
        r = from[i] == i ? 0 : place(from[i], i);
    for (size_t i = 0; r == 0 && i < l->n_extra_fds; i++)
        r = place(extra[i], 3 + (int) i);
    if (r < 0)
        return error_set_errno(err, r, "cannot place the descriptors of the container");
    if ((r = close_others(first_free, kept, ARRAY_LEN(kept))) < 0)
        return error_set_errno(err, r, "cannot close the descriptors of the host");
    give_stdio(l);
    return 0;
}

static int load_filter(const struct launch *l, struct error *err) {
    int listener = -EBADF, r = seccomp_load_filter(l->seccomp, &listener, err);

    return r < 0 || listener < 0 ? r : listener_announce(l->sync_fd, listener, err);
}

static int drop_rights(const struct launch *l, struct error *err) {
    const struct spec_process *p = l->process;
    int r, folder;

    if ((r = credentials_limits(p, err)) < 0)
        return r;
    /* root may not be let into the folder (root squash), the user may, and the other way round */
    folder = command_change_folder(p->cwd, l->make_folder, err);
    if (folder < 0 && folder != -EACCES)
        return folder;
    if ((r = tuning_apply(l->spec, p, err)) < 0)
        return r;
    if (l->seccomp && !p->no_new_privileges && (r = load_filter(l, err)) < 0)
        return r;
    if ((r = credentials_become(p, err)) < 0)
        return r;
    if (folder < 0 && (r = command_change_folder(p->cwd, l->make_folder, err)) < 0)
        return r;
    if (p->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return error_set_errno(err, -errno, "cannot set no_new_privs");
    return 0;
}

/* The host's session keyring would give the container's processes its keys. An unnamed one, for others could join a
 * name. Where the kernel has no keys there are none to keep back. */
static int leave_keyring(const struct launch *l, struct error *err) {
    if (l->keep_keyring || syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) >= 0 || errno == ENOSYS)
        return 0;
    return error_set_errno(err, -errno, "cannot make a session keyring (see --no-new-keyring)");
}

static int wait_for_start(struct launch *l, struct error *err) {
    int r = channel_send(l->sync_fd, CHANNEL_READY, 0, NULL, -1);

    if (r < 0)
        return error_set_errno(err, r, "the parent went away");
    if (l->listen_fd < 0)
        return channel_wait_go(l->sync_fd, err);
    /* `create` has recorded us, and we are to stay; without its word nobody knows of us, should it have been killed */
    if ((r = channel_wait_go(l->sync_fd, err)) < 0)
        return r;
    /* errors from here on go to whoever starts us; one that goes away before it says so has not started us */
    do {
        (void) close(l->sync_fd);
        do
            l->sync_fd = accept4(l->listen_fd, NULL, NULL, SOCK_CLOEXEC);
        while (l->sync_fd < 0 && errno == EINTR);
        if (l->sync_fd < 0)
            return error_set_errno(err, -errno, "cannot wait for start");
        r = channel_wait_go(l->sync_fd, NULL);
    } while (r == -EPIPE);
    if (r < 0)
        return error_set_errno(err, r, "cannot wait for start");
    (void) close(l->listen_fd);
    l->listen_fd = -1;
    return 0;
}

static int reset_signals(struct error *err) {
    struct sigaction standard = {.sa_handler = SIG_DFL};
    sigset_t none;

    (void) sigemptyset(&none);
    if (sigaction(SIGPIPE, &standard, NULL) < 0 || sigprocmask(SIG_SETMASK, &none, NULL) < 0)
        return error_set_errno(err, -errno, "cannot reset the signals");
    return 0;
}

int launch_process(struct launch *l, struct error *err) {
    struct terminal terminal = {.master = -EBADF, .slave = -EBADF};
    char *path = NULL;
    int r;

    if ((r = open_session(l, &terminal, err)) < 0 || (r = place_descriptors(l, err)) < 0 ||
        (r = leave_keyring(l, err)) < 0 || (r = drop_rights(l, err)) < 0 ||
        (r = command_find(l->process->args[0], l->process->env, &path, err)) < 0)
        return r;
    char **env = command_environment(l->process->env, l->process->user.uid);
    if (l->wait_for_start && (r = wait_for_start(l, err)) < 0)
        return r;
    if (l->hooks_of && (r = container_run_hooks(l->hooks_of, SPEC_HOOK_START_CONTAINER, l->state, err)) < 0)
        return r;
    if ((r = reset_signals(err)) < 0 || (r = label_apply(l->process, &l->label, err)) < 0)
        return r;
    if (l->seccomp && l->process->no_new_privileges && (r = load_filter(l, err)) < 0)
        return r;
    (void) execve(path, l->process->args, env);
    r = -errno;
    if (r == -ENOENT) /* the file is there: its interpreter is not */
        return error_set(err, r, "exec: \"%s\": its interpreter does not exist in the container", path);
    return error_set(err, r, "exec: \"%s\": %s", path, r == -ENOEXEC ? "exec format error" : strerror(-r));
}
