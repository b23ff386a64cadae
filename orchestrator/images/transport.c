/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/images/transport.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "orchestrator/images/images.h"
#include "podium/base/alloc.h"
#include "podium/base/base64.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"

#define CONFIG_DIR_DEFAULT "/etc/podium"
#define QUESTION_USEC      (60 * USEC_PER_SEC)
#define STALL_USEC         (300 * USEC_PER_SEC)
#define COPY_DIR           "skopeo"    /* its own layout, in tmp_dir */
#define LOOK_MSEC          250         /* how often a copy is looked at */
#define ERRORS_BYTES_MAX   (64 * 1024) /* kept of what skopeo says */
#define EXCESS_BYTES       (1024 * 1024)

/* One run of skopeo. */
struct run {
    const struct image_transport *t;
    char **args;
    const char *what; /* for errors */
    pid_t pid;
    int pidfd, out, err, auth;
    struct strbuf *output, errors;
    uint64_t deadline;
    /* copying */
    const char *blobs_dir;
    uint64_t bytes, bytes_before, bytes_all;
    void (*progress)(void *userdata, uint64_t bytes);
    void *userdata;
};

/* --- what skopeo says --- */

/* The text of a Go string literal, up to its closing quote. */
static char *unquote(const char *p) {
    struct strbuf out = STRBUF_INIT;

    for (; *p && *p != '"'; p++) {
        if (*p == '\\' && p[1]) {
            p++;
            strbuf_addc(&out, *p == 'n' || *p == 't' ? ' ' : *p);
        } else {
            strbuf_addc(&out, *p);
        }
    }
    return strbuf_steal(&out);
}

char *transport_error_text(const char *output) {
    const char *fatal = NULL, *msg;

    for (const char *p = output; (p = strstr(p, "level=fatal")); p++)
        fatal = p;
    if (!fatal || !(msg = strstr(fatal, "msg="))) {
        size_t n = strlen(output), start = 0;
        while (n > 0 && strchr("\n\r ", output[n - 1]))
            n--;
        for (size_t i = 0; i < n; i++)
            if (output[i] == '\n')
                start = i + 1;
        return n > 0 ? xstrndup(output + start, n - start) : xstrdup("no reason given");
    }
    msg += strlen("msg=");
    _cleanup_free_ char *text = *msg == '"' ? unquote(msg + 1) : xstrndup(msg, strcspn(msg, "\n"));
    /* `Error parsing image name "docker://…": why` */
    static const char *const prefixes[] = {"Error parsing image name \"", "initializing source docker://"};
    const char *why = text;
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
        if (strncmp(why, prefixes[i], strlen(prefixes[i])) != 0)
            continue;
        const char *end = strstr(why, i == 0 ? "\": " : ": ");
        if (end)
            why = end + (i == 0 ? 3 : 2);
    }
    return xstrdup(why);
}

int transport_error_code(const char *text) {
    static const struct {
        const char *part;
        int code;
    } known[] = {
        {"unauthorized", -EACCES},
        {"authentication required", -EACCES},
        {"denied", -EACCES},
        {"403 (Forbidden)", -EACCES},
        {"invalid username/password", -EACCES},
        {"manifest unknown", -ENOENT},
        {"name unknown", -ENOENT},
        {"404 (Not Found)", -ENOENT},
        {"no space left", -ENOSPC},
        {"repository name not known", -ENOENT},
    };

    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (strcasestr(text, known[i].part))
            return known[i].code;
    return -EIO;
}

/* --- the child --- */

static char *config_file(const struct image_transport *t, const char *name) {
    char *path = path_join(t->config_dir ? t->config_dir : CONFIG_DIR_DEFAULT, name);

    if (access(path, R_OK) == 0)
        return path;
    free(path);
    return NULL;
}

static void run_finish(struct run *run) {
    if (run->pid > 0) {
        (void) kill(-run->pid, SIGKILL);
        (void) waitpid(run->pid, NULL, 0);
    }
    closep(&run->pidfd);
    closep(&run->out);
    closep(&run->err);
    closep(&run->auth);
    strv_free(run->args);
    strbuf_finish(&run->errors);
}

static char *host_of(const char *repository) {
    return xstrndup(repository, strcspn(repository, "/"));
}

static bool is_loopback(const char *host) {
    return strncmp(host, "127.", 4) == 0 || strncmp(host, "[::1]", 5) == 0 || strcmp(host, "localhost") == 0 ||
           strncmp(host, "localhost:", 10) == 0;
}

/* A file in memory with what containers-auth.json(5) says. */
static int auth_file(const struct image_transport *t, struct error *err) {
    _cleanup_json_ struct json *doc = json_object(), *auths = json_object();
    _cleanup_close_ int fd = memfd_create("auth", MFD_CLOEXEC);

    if (fd < 0)
        return error_set_errno(err, -errno, "cannot make a file in memory");
    (void) fchmod(fd, 0600);
    if (t->credentials) {
        _cleanup_free_ char *host = host_of(t->repository);
        _cleanup_free_ char *pair = xasprintf("%s:%s", json_str_or(json_get(t->credentials, "username"), ""),
                                              json_str_or(json_get(t->credentials, "password"), ""));
        _cleanup_free_ char *encoded = base64_encode(pair, strlen(pair));
        json_set_path(&auths, json_string(encoded), host, "auth");
        explicit_bzero(pair, strlen(pair));
    }
    (void) json_set(&doc, "auths", json_ref(auths));
    _cleanup_free_ char *text = json_to_text(doc);
    int r = fd_write_all(fd, text, strlen(text));
    explicit_bzero(text, strlen(text));
    if (r < 0)
        return error_set_errno(err, r, "cannot write a file in memory");
    return steal_fd(&fd);
}

/* What of the environment concerns the way to a registry; all else stays here. */
static char **environment(const struct image_transport *t) {
    static const char *const kept[] = {"PATH",        "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",      "http_proxy",
                                       "https_proxy", "no_proxy",   "ALL_PROXY",   "SSL_CERT_FILE", "SSL_CERT_DIR"};
    char **env = strv_new();

    for (size_t i = 0; i < ARRAY_LEN(kept); i++)
        if (getenv(kept[i]))
            strv_push(&env, xasprintf("%s=%s", kept[i], getenv(kept[i])));
    strv_push(&env, xasprintf("HOME=%s", t->tmp_dir));
    strv_push(&env, xasprintf("TMPDIR=%s", t->tmp_dir));
    strv_push_dup(&env, "LC_ALL=C.UTF-8");
    return env;
}

static void child(const struct run *run, char **env, int out, int err) {
    sigset_t none;

    (void) sigemptyset(&none);
    (void) sigprocmask(SIG_SETMASK, &none, NULL);
    (void) signal(SIGPIPE, SIG_DFL);
    (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void) setpgid(0, 0);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0 || fcntl(run->auth, F_SETFD, 0) < 0)
        _exit(126);
    environ = env;
    (void) execvp(run->args[0], run->args);
    _exit(errno == ENOENT ? 127 : 126);
}

static int start(struct run *run, struct error *err) {
    int out[2], errs[2];
    _cleanup_strv_ char **env = environment(run->t);

    if (pipe2(out, O_CLOEXEC) < 0)
        return error_set_errno(err, -errno, "cannot make a pipe");
    run->out = out[0];
    _cleanup_close_ int out_w = out[1];
    if (pipe2(errs, O_CLOEXEC) < 0)
        return error_set_errno(err, -errno, "cannot make a pipe");
    run->err = errs[0];
    _cleanup_close_ int err_w = errs[1];
    run->pid = fork();
    if (run->pid < 0)
        return error_set_errno(err, -errno, "cannot start skopeo");
    if (run->pid == 0)
        child(run, env, out_w, err_w);
    (void) setpgid(run->pid, run->pid); /* whoever of the two comes first */
    run->pidfd = (int) syscall(SYS_pidfd_open, run->pid, 0);
    if (run->pidfd < 0)
        return error_set_errno(err, -errno, "cannot watch skopeo");
    return 0;
}

/* --- looking at it --- */

/* Takes what a pipe has; closes it at its end. max: more is an error, or, for what it says, left out. */
static int take(int *fd, struct strbuf *out, size_t max, bool strict) {
    char buffer[16384];
    ssize_t n = read(*fd, buffer, sizeof(buffer));

    if (n < 0)
        return errno == EINTR || errno == EAGAIN ? 0 : -errno;
    if (n == 0) {
        closep(fd);
        *fd = -EBADF;
        return 0;
    }
    if (out->len + (size_t) n > max) {
        if (strict)
            return -EFBIG;
        strbuf_consume(out, out->len / 2); /* the last words count */
    }
    strbuf_add(out, buffer, (size_t) n);
    return 0;
}

/* Bytes on disk of finished blobs and of those skopeo is writing: layers that are here already are placeholders
 * without any. */
static uint64_t bytes_in(const struct image_transport *t, const char *blobs_dir) {
    _cleanup_free_ char *done = path_join(blobs_dir, "sha256"), *doing = path_join(t->tmp_dir, COPY_DIR);
    const char *const dirs[] = {done, doing};
    uint64_t bytes = 0;

    for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
        _cleanup_closedir_ DIR *d = opendir(dirs[i]);
        struct dirent *e;
        struct stat st;
        while (d && (e = readdir(d)))
            if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode)) {
                /* a file just written may have no blocks yet */
                uint64_t blocks = (uint64_t) st.st_blocks * 512;
                bytes += blocks < (uint64_t) st.st_size ? blocks : (uint64_t) st.st_size;
            }
    }
    return bytes;
}

static int look(struct run *run, struct error *err) {
    uint64_t now = now_monotonic_usec();

    if (run->blobs_dir) {
        uint64_t all = bytes_in(run->t, run->blobs_dir), bytes = all > run->bytes_before ? all - run->bytes_before : 0;
        if (bytes > run->bytes_all + EXCESS_BYTES)
            return error_set(err, -EFBIG, "the registry sends more bytes than the manifest says (%llu): given up",
                             (unsigned long long) run->bytes_all);
        if (bytes != run->bytes) {
            run->bytes = bytes;
            run->deadline = now + (run->t->stall_usec ? run->t->stall_usec : STALL_USEC);
        }
        if (run->progress)
            run->progress(run->userdata, bytes);
    }
    if (now < run->deadline)
        return 0;
    return error_set(err, -ETIMEDOUT, run->blobs_dir ? "no progress for too long: given up" : "no answer: timed out");
}

static int converse(struct run *run, struct error *err) {
    for (;;) {
        struct pollfd fds[] = {{.fd = run->pidfd, .events = POLLIN},
                               {.fd = run->out, .events = POLLIN},
                               {.fd = run->err, .events = POLLIN}};
        int r = poll(fds, ARRAY_LEN(fds), LOOK_MSEC);
        if (r < 0 && errno != EINTR)
            return error_set_errno(err, -errno, "cannot wait for skopeo");
        if (r > 0 && fds[1].revents && take(&run->out, run->output, IMAGE_MANIFEST_BYTES_MAX, true) < 0)
            return error_set(err, -EFBIG, "the answer is larger than %u bytes", IMAGE_MANIFEST_BYTES_MAX);
        if (r > 0 && fds[2].revents)
            (void) take(&run->err, &run->errors, ERRORS_BYTES_MAX, false);
        if (r > 0 && fds[0].revents && run->out < 0 && run->err < 0)
            return 0;
        r = look(run, err);
        if (r < 0)
            return r;
    }
}

static int result(struct run *run, struct error *err) {
    int status = 0;

    if (waitpid(run->pid, &status, 0) < 0)
        return error_set_errno(err, -errno, "cannot wait for skopeo");
    run->pid = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return error_set(err, -ENOPKG,
                         "this node has no skopeo, which pulls images: install it, or import the image "
                         "with: podium image import FILE");
    if (WIFSIGNALED(status))
        return error_set(err, -EIO, "skopeo was killed by signal %d", WTERMSIG(status));
    _cleanup_free_ char *text = transport_error_text(strbuf_str(&run->errors));
    return error_set(err, transport_error_code(text), "%s", text);
}

/* sub: "inspect" or "copy". Options that concern the registry have a prefix when there are two sides. */
static void common_options(struct run *run, const char *sub) {
    const struct image_transport *t = run->t;
    const char *side = strcmp(sub, "copy") == 0 ? "src-" : "";
    _cleanup_free_ char *host = host_of(t->repository), *below = path_join("certs.d", host);
    _cleanup_free_ char *registries = config_file(t, "registries.conf"), *policy = config_file(t, "policy.json");
    _cleanup_free_ char *certs = config_file(t, below);

    strv_push_dup(&run->args, t->skopeo ? t->skopeo : "skopeo");
    if (registries) {
        strv_push_dup(&run->args, "--registries-conf");
        strv_push(&run->args, steal(&registries));
    }
    if (policy) {
        strv_push_dup(&run->args, "--policy");
        strv_push(&run->args, steal(&policy));
    } else if (access("/etc/containers/policy.json", R_OK) < 0) {
        strv_push_dup(&run->args, "--insecure-policy");
    }
    strv_push_dup(&run->args, sub);
    strv_push(&run->args, xasprintf("--authfile=/proc/self/fd/%d", run->auth));
    if (certs)
        strv_push(&run->args, xasprintf("--%scert-dir=%s", side, certs));
    else if (is_loopback(host))
        strv_push(&run->args, xasprintf("--%stls-verify=false", side));
}

static int perform(struct run *run, struct error *err) {
    run->deadline =
        now_monotonic_usec() + (run->blobs_dir ? (run->t->stall_usec ? run->t->stall_usec : STALL_USEC)
                                               : (run->t->timeout_usec ? run->t->timeout_usec : QUESTION_USEC));
    int r = start(run, err);
    if (r >= 0)
        r = converse(run, err);
    if (r >= 0)
        r = result(run, err);
    return r;
}

static int inspect(const struct image_transport *t, const char *reference, bool config, struct strbuf *out,
                   struct error *err) {
    _cleanup_(run_finish) struct run run = {
        .t = t, .args = strv_new(), .pidfd = -EBADF, .out = -EBADF, .err = -EBADF, .auth = -EBADF, .output = out};

    run.auth = auth_file(t, err);
    if (run.auth < 0)
        return run.auth;
    common_options(&run, "inspect");
    strv_push_dup(&run.args, "--raw");
    if (config)
        strv_push_dup(&run.args, "--config");
    strv_push(&run.args, xasprintf("docker://%s", reference));
    return perform(&run, err);
}

int transport_manifest(const struct image_transport *t, const char *reference, struct strbuf *out, struct error *err) {
    return inspect(t, reference, false, out, err);
}

int transport_config(const struct image_transport *t, const char *reference, struct strbuf *out, struct error *err) {
    return inspect(t, reference, true, out, err);
}

int transport_copy(const struct image_transport *t, const char *reference, const char *blobs_dir, uint64_t bytes_all,
                   void (*progress)(void *userdata, uint64_t bytes), void *userdata, struct error *err) {
    _cleanup_strbuf_ struct strbuf output = STRBUF_INIT;
    _cleanup_(run_finish) struct run run = {.t = t,
                                            .args = strv_new(),
                                            .pidfd = -EBADF,
                                            .out = -EBADF,
                                            .err = -EBADF,
                                            .auth = -EBADF,
                                            .output = &output,
                                            .blobs_dir = blobs_dir,
                                            .bytes_before = bytes_in(t, blobs_dir),
                                            .bytes_all = bytes_all,
                                            .progress = progress,
                                            .userdata = userdata};

    run.auth = auth_file(t, err);
    if (run.auth < 0)
        return run.auth;
    common_options(&run, "copy");
    strv_push_dup(&run.args, "--quiet");
    strv_push_dup(&run.args, "--dest-oci-accept-uncompressed-layers"); /* their digests are to stay */
    strv_push(&run.args, xasprintf("--dest-shared-blob-dir=%s", blobs_dir));
    strv_push(&run.args, xasprintf("docker://%s", reference));
    strv_push(&run.args, xasprintf("oci:%s/" COPY_DIR ":copy", t->tmp_dir));
    return perform(&run, err);
}
