/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/bench/api/server.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "orchestrator/pki/pki.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

#define START_USEC (60 * USEC_PER_SEC)

static int free_port(void) {
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t n = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), port = -1;

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (struct sockaddr *) &a, n) == 0 && getsockname(fd, (struct sockaddr *) &a, &n) == 0)
        port = ntohs(a.sin_port);
    (void) close(fd);
    return port;
}

static void run_server(const struct server *s, const char *port, const char *link_port) {
    _cleanup_free_ char *socket = xasprintf("%s/api.sock", s->dir), *link = xasprintf("%s/link.sock", s->dir),
                        *data = xasprintf("%s/data", s->dir), *log = xasprintf("%s/log", s->dir);
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);

    (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void) dup2(fd, 1);
    (void) dup2(fd, 2);
    /* Nodes here never report: they are given a day before anybody minds. */
    const char *const base[] = {"podium",
                                "server",
                                "--data-dir",
                                data,
                                "--bind-address",
                                "127.0.0.1",
                                "--advertise-address",
                                "127.0.0.1",
                                "--port",
                                port,
                                "--link-port",
                                link_port,
                                "--socket",
                                socket,
                                "--link-socket",
                                link,
                                "--manifests",
                                "",
                                "--config",
                                "/dev/null",
                                "--node-grace",
                                "86400"};
    _cleanup_strv_ char **words = strv_new();
    for (size_t i = 0; i < ARRAY_LEN(base); i++)
        strv_push_dup(&words, base[i]);
    for (const char *const *o = s->options; o && *o; o++)
        strv_push_dup(&words, *o);
    (void) execv(s->program, words);
    _exit(127);
}

/* Who administers: a certificate of the server's own authority. */
static bool load_credentials(struct server *s) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_free_ char *pki = xasprintf("%s/data/pki", s->dir), *cert = NULL, *key = NULL;
    char *groups[] = {(char *) "system:masters", NULL};
    const struct pki_request admin = {.common_name = "bench", .organizations = groups, .client = true};

    if (pki_issue(pki, &admin, &cert, &key, &err) < 0) {
        fprintf(stderr, "api_bench: %s\n", error_text(&err, 0));
        return false;
    }
    gnutls_datum_t c = {(unsigned char *) cert, (unsigned) strlen(cert)},
                   k = {(unsigned char *) key, (unsigned) strlen(key)};
    (void) gnutls_certificate_allocate_credentials(&s->target.cred);
    return gnutls_certificate_set_x509_key_mem(s->target.cred, &c, &k, GNUTLS_X509_FMT_PEM) >= 0;
}

static bool is_listening(int port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t) port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bool yes = connect(fd, (struct sockaddr *) &a, sizeof(a)) == 0;
    (void) close(fd);
    return yes;
}

static bool wait_ready(struct server *s, uint64_t since) {
    static const char request[] = "GET /readyz HTTP/1.1\r\nHost: bench\r\n\r\n";

    while (now_monotonic_usec() < since + START_USEC) {
        if (waitpid(s->target.pid, NULL, WNOHANG) != 0) {
            s->target.pid = 0;
            fprintf(stderr, "api_bench: the server has ended; see %s/log\n", s->dir);
            return false;
        }
        if (is_listening(s->target.port) && (s->target.cred || load_credentials(s)) &&
            request_once(&s->target, request, sizeof(request) - 1, NULL) == 200) {
            s->start_seconds = (double) (now_monotonic_usec() - since) / 1e6;
            return true;
        }
        (void) usleep(2000);
    }
    fprintf(stderr, "api_bench: the server does not get ready\n");
    return false;
}

bool server_start_with(struct server *s, const char *program, const char *dir, const char *const *options) {
    char port[16], link_port[16];

    *s = (struct server){
        .program = xstrdup(program), .dir = xstrdup(dir), .options = options, .target.port = free_port()};
    (void) snprintf(port, sizeof(port), "%d", s->target.port);
    (void) snprintf(link_port, sizeof(link_port), "%d", free_port());
    uint64_t since = now_monotonic_usec();
    s->target.pid = fork();
    if (s->target.pid == 0)
        run_server(s, port, link_port);
    return s->target.pid > 0 && wait_ready(s, since);
}

bool server_start(struct server *s, const char *program, const char *dir) {
    return server_start_with(s, program, dir, NULL);
}

char *server_link(const struct server *s) {
    return xasprintf("unix:%s/link.sock", s->dir);
}

void server_stop(struct server *s) {
    if (s->target.pid > 0) {
        (void) kill(s->target.pid, SIGTERM);
        (void) waitpid(s->target.pid, NULL, 0);
    }
    if (s->target.cred)
        gnutls_certificate_free_credentials(s->target.cred);
    free(s->program);
    free(s->dir);
    *s = (struct server){0};
}

double server_memory(const struct server *s, const char *field) {
    _cleanup_free_ char *path = xasprintf("/proc/%d/smaps_rollup", (int) s->target.pid);
    char line[256];
    double kb = 0;
    FILE *f = fopen(path, "re");

    while (f && fgets(line, sizeof(line), f))
        if (strncmp(line, field, strlen(field)) == 0)
            kb = strtod(line + strlen(field), NULL);
    if (f)
        (void) fclose(f);
    return kb / 1024;
}
