/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * On the host: the network of several test machines, without a network of the host.
 *
 *   switch SOCKET      listens there; each machine (QEMU's netdev "stream") is a port. What one sends all others get,
 *                      as from a hub: their cards know which frames are theirs. A machine that does not take its
 *                      frames loses them, as on any network, and keeps nobody waiting.
 *
 * A frame is its length (32 bits, network order) and its bytes. Ports come and go as machines do.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PORTS_MAX   16
#define FRAME_MAX   (68u * 1024u) /* what a card with segmentation offload may send at once */
#define QUEUE_BYTES (4u << 20)

struct port {
    int fd;
    uint8_t in[4 + FRAME_MAX]; /* a frame, as far as it has come */
    size_t in_n;
    uint8_t out[QUEUE_BYTES]; /* whole frames, the first perhaps begun */
    size_t out_at, out_n;
};

static void port_close(struct port **slot) {
    close((*slot)->fd);
    free(*slot);
    *slot = NULL;
}

/* false: the port is gone. */
static bool port_flush(struct port *p) {
    while (p->out_at < p->out_n) {
        ssize_t r = send(p->fd, p->out + p->out_at, p->out_n - p->out_at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (r < 0 && errno != EINTR)
            return errno == EAGAIN;
        p->out_at += r > 0 ? (size_t) r : 0;
    }
    p->out_at = p->out_n = 0;
    return true;
}

static void port_queue(struct port *p, const uint8_t *frame, size_t n) {
    if (n > QUEUE_BYTES - p->out_n) {
        memmove(p->out, p->out + p->out_at, p->out_n - p->out_at);
        p->out_n -= p->out_at;
        p->out_at = 0;
    }
    if (n > QUEUE_BYTES - p->out_n)
        return; /* lost */
    memcpy(p->out + p->out_n, frame, n);
    p->out_n += n;
}

/* Reads what is there, passes on the frames that are whole; false: the port is gone. */
static bool port_read(struct port **ports, struct port *p) {
    ssize_t r = recv(p->fd, p->in + p->in_n, sizeof(p->in) - p->in_n, MSG_DONTWAIT);
    if (r <= 0)
        return r < 0 && (errno == EAGAIN || errno == EINTR);
    p->in_n += (size_t) r;
    for (uint32_t length; p->in_n >= sizeof(length);) {
        memcpy(&length, p->in, sizeof(length));
        size_t whole = sizeof(length) + ntohl(length);
        if (whole > sizeof(p->in))
            return false;
        if (p->in_n < whole)
            break;
        for (size_t i = 0; i < PORTS_MAX; i++)
            if (ports[i] != NULL && ports[i] != p)
                port_queue(ports[i], p->in, whole);
        memmove(p->in, p->in + whole, p->in_n -= whole);
    }
    return true;
}

static void port_open(struct port **ports, int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    for (size_t i = 0; fd >= 0 && i < PORTS_MAX; i++) {
        if (ports[i] != NULL)
            continue;
        ports[i] = calloc(1, sizeof(**ports));
        if (ports[i] == NULL)
            break;
        ports[i]->fd = fd;
        return;
    }
    if (fd >= 0)
        close(fd);
}

static void turn(struct port **ports, int listener) {
    struct pollfd p[PORTS_MAX + 1] = {{listener, POLLIN, 0}};
    for (size_t i = 0; i < PORTS_MAX; i++)
        p[i + 1] = (struct pollfd){
            ports[i] == NULL ? -1 : ports[i]->fd,
            (short) (POLLIN | (ports[i] != NULL && ports[i]->out_at < ports[i]->out_n ? POLLOUT : 0)), 0};
    if (poll(p, PORTS_MAX + 1, -1) < 0)
        return;
    for (size_t i = 0; i < PORTS_MAX; i++)
        if ((p[i + 1].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && !port_read(ports, ports[i]))
            port_close(&ports[i]);
    for (size_t i = 0; i < PORTS_MAX; i++)
        if (ports[i] != NULL && !port_flush(ports[i]))
            port_close(&ports[i]);
    if (p[0].revents != 0)
        port_open(ports, listener);
}

int main(int argc, char **argv) {
    static struct port *ports[PORTS_MAX];
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    if (argc != 2 || strlen(argv[1]) >= sizeof(a.sun_path)) {
        fprintf(stderr, "usage: switch SOCKET\n");
        return 2;
    }
    strcpy(a.sun_path, argv[1]);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *) &a, sizeof(a)) < 0 || listen(listener, PORTS_MAX) < 0) {
        perror(argv[1]);
        return 1;
    }
    for (;;)
        turn(ports, listener);
}
