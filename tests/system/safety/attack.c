/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a hostile image or a neighbour tries, for baton_safety.bats; only ever used on containers of the test itself.
 *   attack fds                 the numbers of its open descriptors, in one line
 *   attack keep PATH HAVE GO   opens PATH, makes HAVE, waits for GO, then tries to write through the descriptor
 *   attack look                what of the other processes' exe, cwd, root and descriptors can be seen
 *   attack swap A B            exchanges two names for ever
 *   attack key-give CMD …      runs the command with a key in its session keyring
 *   attack key-take            says whether that key can be found
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define KEY "podium-safety-test"

static int list_fds(void) {
    for (int fd = 0; fd < 4096; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            printf("%d ", fd);
    printf("\n");
    return 0;
}

static int keep(const char *path, const char *have, const char *go) {
    char again[64];
    int fd = open(path, O_RDONLY);

    if (fd < 0)
        return printf("not opened: %s\n", strerror(errno)), 1;
    close(open(have, O_CREAT | O_WRONLY, 0644));
    while (access(go, F_OK) < 0)
        usleep(2000);
    snprintf(again, sizeof(again), "/proc/self/fd/%d", fd);
    int out = open(again, O_WRONLY);
    if (out < 0)
        return printf("not writable: %s\n", strerror(errno)), 0;
    return printf("WRITTEN %zd\n", write(out, "#!/owned", 8)), 0;
}

static void look_at(const char *pid) {
    static const char *const links[] = {"exe", "cwd", "root", "fd/0", "fd/1", "fd/2", "fd/3", "fd/4", "fd/5", "fd/6"};
    char path[64], target[256];

    for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++) {
        snprintf(path, sizeof(path), "/proc/%s/%s", pid, links[i]);
        ssize_t n = readlink(path, target, sizeof(target));
        if (n >= 0)
            printf("SEEN %s %.*s\n", links[i], (int) n, target);
    }
}

static int look(void) {
    DIR *d = opendir("/proc");
    int n = 0;

    for (struct dirent *e; d && (e = readdir(d));)
        if (atoi(e->d_name) > 1 && atoi(e->d_name) != getpid()) {
            n++;
            look_at(e->d_name);
        }
    return printf("others %d\n", n), 0;
}

static int swap(const char *a, const char *b) {
    while (renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) == 0)
        continue;
    return 1;
}

static int key_give(char **argv) {
    if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 ||
        syscall(SYS_add_key, "user", KEY, "x", 1, KEY_SPEC_SESSION_KEYRING) < 0)
        return 77;
    execvp(argv[0], argv);
    return 1;
}

static int key_take(void) {
    long r = syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user", KEY, 0);

    return puts(r >= 0 ? "FOUND" : "no key"), 0;
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (strcmp(what, "fds") == 0)
        return list_fds();
    if (strcmp(what, "keep") == 0 && argc == 5)
        return keep(argv[2], argv[3], argv[4]);
    if (strcmp(what, "look") == 0)
        return look();
    if (strcmp(what, "swap") == 0 && argc == 4)
        return swap(argv[2], argv[3]);
    if (strcmp(what, "key-give") == 0 && argc > 2)
        return key_give(argv + 2);
    return strcmp(what, "key-take") == 0 ? key_take() : 2;
}
