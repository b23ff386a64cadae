/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/process/command.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"
#include "podium/base/strbuf.h"

#define PASSWD_BYTES_MAX (1u << 20)

static const char *env_get(char *const *env, const char *key) {
    size_t n = strlen(key);

    for (; *env; env++)
        if (strncmp(*env, key, n) == 0 && (*env)[n] == '=')
            return *env + n + 1;
    return NULL;
}

/* 0, or why the file cannot be executed. */
static int check_executable(const char *path) {
    struct stat st;

    if (access(path, X_OK) < 0)
        return -errno;
    if (stat(path, &st) < 0)
        return -errno;
    return S_ISREG(st.st_mode) ? 0 : -EACCES;
}

static int find_in_path(const char *name, const char *search, char **ret, struct error *err) {
    int worst = -ENOENT;

    for (const char *p = search;; p++) {
        size_t n = strcspn(p, ":");
        _cleanup_free_ char *dir = n > 0 ? xstrndup(p, n) : xstrdup(".");
        _cleanup_free_ char *path = path_join(dir, name);
        int r = dir[0] == '/' ? check_executable(path) : -ENOENT; /* a relative PATH entry is never what is meant */

        if (r == 0) {
            *ret = steal(&path);
            return 0;
        }
        if (r == -EACCES)
            worst = r;
        p += n;
        if (!*p)
            break;
    }
    if (worst == -EACCES)
        return error_set(err, -EACCES, "exec: \"%s\": permission denied", name);
    return error_set(err, -ENOENT, "exec: \"%s\": executable file not found in $PATH", name);
}

int command_find(const char *name, char *const *env, char **ret, struct error *err) {
    const char *search = env_get(env, "PATH");
    int r;

    if (!strchr(name, '/'))
        return find_in_path(name, search ? search : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", ret,
                            err);
    r = check_executable(name);
    if (r == -EACCES)
        return error_set(err, r, "exec: \"%s\": permission denied", name);
    if (r < 0)
        return error_set(err, r, "exec: \"%s\": %s", name, r == -ENOENT ? "no such file or directory" : strerror(-r));
    *ret = xstrdup(name);
    return 0;
}

/* The sixth field of the line whose third is uid. */
static char *home_in_passwd(char *text, uid_t uid) {
    char *save = NULL;

    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *fields[7] = {NULL}, *at = line;
        size_t n = 0;

        while (at && n < ARRAY_LEN(fields))
            fields[n++] = strsep(&at, ":");
        if (n >= 6 && strtoul(fields[2], NULL, 10) == uid && fields[2][0] >= '0' && fields[2][0] <= '9')
            return fields[5][0] == '/' ? xstrdup(fields[5]) : NULL;
    }
    return NULL;
}

char **command_environment(char *const *env, uid_t uid) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    _cleanup_free_ char *home = NULL;
    size_t n = strv_len(env);
    char **result = xcalloc(n + 2, sizeof(*result));

    memcpy(result, env, n * sizeof(*result));
    if (env_get(env, "HOME"))
        return result;
    if (file_read("/etc/passwd", PASSWD_BYTES_MAX, &text, NULL) == 0 && text.len > 0)
        home = home_in_passwd(text.data, uid);
    result[n] = xasprintf("HOME=%s", home ? home : uid == 0 ? "/root" : "/");
    return result;
}

static int make_folder(const char *path) {
    _cleanup_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    _cleanup_close_ int fd = root < 0 ? -errno : mkdir_in_root(root, path, 0755);

    return fd < 0 ? fd : 0;
}

int command_change_folder(const char *cwd, bool make, struct error *err) {
    char buffer[PATH_MAX];
    int r = chdir(cwd) < 0 ? -errno : 0;

    if (r == -ENOENT && make) {
        r = make_folder(cwd);
        if (r == 0 && chdir(cwd) < 0)
            r = -errno;
    }
    if (r < 0)
        return error_set_errno(err, r, "cannot change to the working folder %s", cwd);
    /* a link like /proc/self/fd/7 could lead to a folder of the host that is still open: the kernel then gives no path
     * from our root */
    if (!getcwd(buffer, sizeof(buffer)) || buffer[0] != '/')
        return error_set(err, -EPERM, "the working folder %s is outside of the container's root", cwd);
    return 0;
}
