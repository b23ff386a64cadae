/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lives of a server: started, used by writers and watchers, killed, again and again; then what all of them noted is
 * judged: no acknowledged write lost, no object torn, one order explains every answer, every watcher saw every change
 * once and in order.
 *
 * usage: crash [--lives N] [--seed N] [--inject CALLS:WHAT | --strike WHAT [--first N] [--step N]] [--gently MSEC]
 *              SOCKET COMMAND…
 * Without --inject the server is killed at a random moment. With it, strace(1) does WHAT ("error=EIO", "signal=KILL")
 * at one of the calls: at the FIRSTth of a thread in the first life, STEP further in each one after it. With --strike
 * strike.so beside this program does it, counting all calls of all threads that change files (strike.c). With --gently
 * each life is that long, and ended by SIGTERM: the server must say good-bye with code 0.
 */
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "podium/base/alloc.h"
#include "podium/base/random.h"
#include "tests/crash/judge.h"

struct play {
    unsigned lives, seed, first, step, gently, ungentle;
    const char *inject, *strike;
    char **command;
    struct stage stage;
    struct client writers[WRITERS + 1], watchers[WATCHERS]; /* the last writer reads everything at the end */
    unsigned struck, unborn;                                /* lives ended by an injection; ended before they served */
};

/* In the child. */
static void load_strike(const char *what, unsigned at) {
    char self[PATH_MAX], number[16];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (n < 0)
        _exit(127);
    self[n] = 0;
    *strrchr(self, '/') = 0;
    _cleanup_free_ char *library = xasprintf("%s/strike.so", self);
    (void) snprintf(number, sizeof(number), "%u", at);
    (void) setenv("LD_PRELOAD", library, 1);
    (void) setenv("STRIKE_AT", number, 1);
    (void) setenv("STRIKE", what, 1);
}

static pid_t start(const struct play *p, unsigned life, bool inject) {
    _cleanup_free_ char *what = NULL, *calls = NULL;
    _cleanup_strv_ char **argv = strv_new();
    if (inject && p->inject) {
        calls = xasprintf("trace=%.*s", (int) strcspn(p->inject, ":"), p->inject);
        what = xasprintf("inject=%s:when=%u", p->inject, p->first + life * p->step);
        const char *strace[] = {"strace", "-f", "-qqq", "-o", "/dev/null", "-e", calls, "-e", what};
        for (size_t i = 0; i < ARRAY_LEN(strace); i++)
            strv_push_dup(&argv, strace[i]);
    }
    for (char **c = p->command; *c; c++)
        strv_push_dup(&argv, *c);
    pid_t pid = fork();
    if (pid == 0) {
        (void) setpgid(0, 0);
        if (inject && p->strike)
            load_strike(p->strike, p->first + life * p->step);
        execvp(argv[0], argv);
        _exit(127);
    }
    (void) setpgid(pid, pid);
    return pid;
}

static bool serves(const char *path) {
    CURL *curl = curl_easy_init();
    long code = 0;
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, path);
    curl_easy_setopt(curl, CURLOPT_URL, "http://api/readyz");
    curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 5L);
    if (curl_easy_perform(curl) == CURLE_OK)
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
    curl_easy_cleanup(curl);
    return code == 200;
}

static bool ended(pid_t pid) {
    siginfo_t info = {0};
    return waitid(P_PID, (id_t) pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

static bool wait_serving(const struct play *p, pid_t pid) {
    for (int i = 0; i < 6000 && !ended(pid); i++, usleep(5000))
        if (serves(p->stage.socket))
            return true;
    return false;
}

static void finish(struct play *p, pid_t pid) {
    int status = 0;
    (void) kill(p->gently ? pid : -pid, p->gently ? SIGTERM : SIGKILL);
    (void) waitpid(pid, &status, 0);
    while (waitpid(-pid, NULL, 0) > 0 ||
           errno == EINTR) /* the server that strace leaves behind: its lock must be gone */
        ;
    if (p->gently && !(WIFEXITED(status) && WEXITSTATUS(status) == 0) && p->ungentle++ == 0)
        printf("asked to end, the server ended with status 0x%x\n", (unsigned) status);
}

static void live(struct play *p, unsigned life) {
    pid_t pid = start(p, life, true);
    if (!wait_serving(p, pid)) {
        p->unborn++;
        finish(p, pid);
        return;
    }
    stage_set(&p->stage, true, false);
    /* long enough for an injection to strike; else any moment */
    unsigned ms = p->gently ? p->gently : p->inject || p->strike ? 250 : 20 + (unsigned) rand_r(&p->seed) % 150;
    for (unsigned i = 0; i < ms && !ended(pid); i++)
        usleep(1000);
    p->struck += ended(pid);
    finish(p, pid);
    stage_set(&p->stage, false, false);
}

static void begin(struct play *p) {
    pthread_mutex_init(&p->stage.lock, NULL);
    pthread_cond_init(&p->stage.changed, NULL);
    for (int i = 0; i < WRITERS + 1 + WATCHERS; i++) {
        bool writer = i < WRITERS + 1;
        struct client *c = writer ? &p->writers[i] : &p->watchers[i - WRITERS - 1];
        *c = (struct client){.stage = &p->stage, .seed = p->seed + (unsigned) i, .next_value = 1 + i * 1000000ll};
        if (i != WRITERS)
            (void) pthread_create(&c->thread, NULL, writer ? writer_main : watcher_main, c);
    }
}

static bool end(struct play *p) {
    pid_t pid = start(p, 0, false);
    if (!wait_serving(p, pid))
        return printf("the server does not come up any more\n"), finish(p, pid), false;
    stage_set(&p->stage, true, false);
    for (int i = 0; i < 10000 && (i < 200 || !p->stage.acknowledged); i++)
        usleep(1000);
    stage_set(&p->stage, true, true);
    for (int i = 0; i < WRITERS; i++)
        (void) pthread_join(p->writers[i].thread, NULL);
    for (int i = 0; i < WATCHERS; i++)
        (void) pthread_join(p->watchers[i].thread, NULL);
    read_all(&p->writers[WRITERS]);
    finish(p, pid);
    return true;
}

static bool judge(struct play *p) {
    size_t ops = 0, unknown = 0, events = 0, away = 0;
    for (int i = 0; i <= WRITERS; i++)
        for (size_t k = 0; k < p->writers[i].n_ops; k++, ops++)
            unknown += p->writers[i].ops[k].result == OP_UNKNOWN;
    for (int i = 0; i < WATCHERS; i++) {
        away += p->watchers[i].turned_away;
        for (size_t k = 0; k < p->watchers[i].n_sights; k++)
            events += p->watchers[i].sights[k].what == SIGHT_EVENT;
    }
    printf("%u lives (%u struck down, %u before they served), %zu operations, %u writes acknowledged, %zu without "
           "answer, %zu events, %zu times turned away\n",
           p->lives, p->struck, p->unborn, ops, p->stage.acknowledged, unknown, events, away);
    bool ok =
        judge_operations(p->writers, WRITERS + 1) && judge_watchers(p->watchers, WATCHERS, p->writers, WRITERS + 1);
    if (p->stage.torn)
        printf("%u torn objects\n", p->stage.torn);
    if (p->stage.refused_otherwise)
        printf("%u requests were refused that should not be\n", p->stage.refused_otherwise);
    if (p->stage.acknowledged == 0)
        printf("nothing was written\n");
    return ok && !p->ungentle && !p->stage.torn && !p->stage.refused_otherwise && p->stage.acknowledged;
}

static int parse(struct play *p, int argc, char **argv) {
    static const struct option options[] = {
        {"lives", 1, NULL, 'l'}, {"seed", 1, NULL, 's'}, {"inject", 1, NULL, 'i'}, {"strike", 1, NULL, 'k'},
        {"first", 1, NULL, 'f'}, {"step", 1, NULL, 't'}, {"gently", 1, NULL, 'g'}, {0}};
    int c;
    while ((c = getopt_long(argc, argv, "+", options, NULL)) != -1) {
        if (c == 'i')
            p->inject = optarg;
        else if (c == 'k')
            p->strike = optarg;
        else if (c == 'l' || c == 's' || c == 'f' || c == 't' || c == 'g')
            *(c == 'l'   ? &p->lives
              : c == 's' ? &p->seed
              : c == 'f' ? &p->first
              : c == 'g' ? &p->gently
                         : &p->step) = (unsigned) strtoul(optarg, NULL, 10);
        else
            return -1;
    }
    if (argc - optind < 2)
        return -1;
    p->stage.socket = argv[optind];
    p->command = argv + optind + 1;
    return 0;
}

int main(int argc, char **argv) {
    struct play p = {.lives = 10, .seed = (unsigned) random_u64(), .first = 1, .step = 1};
    if (parse(&p, argc, argv) < 0)
        return fprintf(stderr, "usage: crash [--lives N] [--seed N] [--inject CALLS:WHAT | --strike WHAT [--first N] "
                               "[--step N]] [--gently MSEC] SOCKET COMMAND...\n"),
               2;
    printf("seed %u\n", p.seed);
    (void) signal(SIGPIPE, SIG_IGN);
    (void) prctl(PR_SET_CHILD_SUBREAPER, 1);
    curl_global_init(CURL_GLOBAL_ALL);
    begin(&p);
    for (unsigned i = 0; i < p.lives; i++)
        live(&p, i);
    bool ok = end(&p) && judge(&p);
    for (int i = 0; i < WRITERS + 1; i++)
        free(p.writers[i].ops);
    for (int i = 0; i < WATCHERS; i++)
        free(p.watchers[i].sights);
    return ok ? 0 : 1;
}
