/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes on a connection, as anybody on the socket may send them: a real server with its threads answers, or hangs up,
 * and lives. The end of the input is the end of what the client writes; a NUL byte is a pause in it. */
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "orchestrator/apiserver/apiserver.h"
#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"

#define ANSWER_MILLISECONDS 300

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sockaddr_un address = {.sun_family = AF_UNIX};

static char dir[] = "/tmp/podium-fuzz-XXXXXX";

static void clean_up(void) {
    (void) rm_tree(dir, NULL);
}

static void server(void) {
    static struct apiserver *api; /* one for the life of the fuzzer */
    struct store *store = NULL;
    if (api)
        return;
    if (!mkdtemp(dir))
        abort();
    _cleanup_free_ char *db = path_join(dir, "store"), *sock = path_join(dir, "sock");
    struct store_options so = {.path = db, .map_bytes = 1ull << 30, .no_sync = true};
    struct apiserver_options o = {.port = -2, .unix_socket = sock, .worker_threads = 1};
    if (store_open_lmdb(&so, &store, NULL) < 0)
        abort();
    o.store = store;
    if (apiserver_new(&o, &api, NULL) < 0 || apiserver_start(api, NULL) < 0)
        abort();
    strcpy(address.sun_path, sock);
    (void) atexit(clean_up);
}

/* Reads until the server has no more to say. A watch says something for ever: then we leave first. */
static void read_answer(int fd) {
    char p[65536];
    for (size_t total = 0; total < (4u << 20);) {
        struct pollfd f = {.fd = fd, .events = POLLIN};
        if (poll(&f, 1, total ? 100 : ANSWER_MILLISECONDS) <= 0)
            return;
        ssize_t n = recv(fd, p, sizeof(p), 0);
        if (n <= 0)
            return;
        total += (size_t) n;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    server();
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
        abort(); /* it has stopped listening */
    while (size > 0) {
        const uint8_t *pause = memchr(data, 0, size);
        size_t n = pause ? (size_t) (pause - data) : size;
        if (send(fd, data, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            break;
        if (pause) {
            (void) poll(NULL, 0, 1);
            n++;
        }
        data += n;
        size -= n;
    }
    (void) shutdown(fd, SHUT_WR);
    read_answer(fd);
    return 0;
}
