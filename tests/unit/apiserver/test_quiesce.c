/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A server that stops listening while all its workers are busy. */
#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "orchestrator/apiserver/http/quiesce.h"

enum { ROUNDS = 150, CLIENTS = 3, WORKERS = 4 };

struct crowd {
    atomic_bool stop;
    atomic_uint port;
};

static enum MHD_Result refuse(void *cls, struct MHD_Connection *c, const char *url, const char *method,
                              const char *version, const char *data, size_t *size, void **state) {
    return MHD_NO;
}

static void *connect_on(void *userdata) {
    struct crowd *crowd = userdata;
    while (!atomic_load(&crowd->stop)) {
        struct sockaddr_in to = {.sin_family = AF_INET,
                                 .sin_port = htons((uint16_t) atomic_load(&crowd->port)),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(fd, (struct sockaddr *) &to, sizeof(to)) == 0)
            (void) !write(fd, "GET / HTTP/1.1\r\n\r\n", 18);
        close(fd);
    }
    return NULL;
}

static void test_busy_workers_stop_listening(void **state) {
    struct crowd crowd = {0};
    pthread_t threads[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, connect_on, &crowd), 0);
    for (int round = 0; round < ROUNDS; round++) {
        struct MHD_Daemon *d =
            MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, refuse, NULL,
                             MHD_OPTION_THREAD_POOL_SIZE, (unsigned) WORKERS, MHD_OPTION_END);
        assert_non_null(d);
        atomic_store(&crowd.port, MHD_get_daemon_info(d, MHD_DAEMON_INFO_BIND_PORT)->port);
        usleep(500 + (useconds_t) round * 13 % 1000); /* they are in the middle of it */
        int fd = quiesce(d);
        assert_true(fd >= 0);
        MHD_stop_daemon(d);
        close(fd);
    }
    atomic_store(&crowd.stop, true);
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(threads[i], NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_busy_workers_stop_listening)};
    return cmocka_run_group_tests_name("quiesce", tests, NULL, NULL);
}
