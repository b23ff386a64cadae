/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The smallest server of grpc.health.v1.Health/Check: one connection at a time, the same answer to every request,
 * SERVING unless FILE exists. Just enough HTTP/2 for a client that sends one request; linked statically, for any image.
 *
 *   grpc_health PORT FILE
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DATA = 0, HEADERS = 1, SETTINGS = 4, END_STREAM = 1, ACK = 1, END_HEADERS = 4, PREFACE_BYTES = 24 };

static int read_all(int fd, void *p, size_t n) {
    for (size_t at = 0; at < n;) {
        ssize_t k = read(fd, (char *) p + at, n - at);
        if (k <= 0)
            return -1;
        at += (size_t) k;
    }
    return 0;
}

static int send_frame(int fd, uint8_t type, uint8_t flags, uint32_t stream, const void *p, uint8_t n) {
    uint8_t frame[9 + 255] = {0,
                              0,
                              n,
                              type,
                              flags,
                              (uint8_t) (stream >> 24),
                              (uint8_t) (stream >> 16),
                              (uint8_t) (stream >> 8),
                              (uint8_t) stream};

    if (n > 0)
        memcpy(frame + 9, p, n);
    return write(fd, frame, 9u + n) == 9 + n ? 0 : -1;
}

static int answer(int fd, uint32_t stream, const char *file) {
    /* :status 200 from the static table; the rest as literals */
    static const char head[] = "\x88\x00\x0c"
                               "content-type"
                               "\x10"
                               "application/grpc";
    static const char trailer[] = "\x00\x0b"
                                  "grpc-status"
                                  "\x01"
                                  "0";
    const uint8_t message[] = {0, 0, 0, 0, 2, 8, access(file, F_OK) == 0 ? 2 : 1};

    if (send_frame(fd, HEADERS, END_HEADERS, stream, head, sizeof(head) - 1) < 0 ||
        send_frame(fd, DATA, 0, stream, message, sizeof(message)) < 0)
        return -1;
    return send_frame(fd, HEADERS, END_HEADERS | END_STREAM, stream, trailer, sizeof(trailer) - 1);
}

static void serve(int fd, const char *file) {
    static uint8_t payload[1 << 16];
    uint8_t h[9];

    if (read_all(fd, payload, PREFACE_BYTES) < 0 || send_frame(fd, SETTINGS, 0, 0, NULL, 0) < 0)
        return;
    while (read_all(fd, h, sizeof(h)) == 0) {
        uint32_t n = (uint32_t) h[0] << 16 | (uint32_t) h[1] << 8 | h[2];
        uint32_t stream = (uint32_t) (h[5] & 0x7F) << 24 | (uint32_t) h[6] << 16 | (uint32_t) h[7] << 8 | h[8];
        if (n > sizeof(payload) || read_all(fd, payload, n) < 0)
            return;
        if (h[3] == SETTINGS && !(h[4] & ACK) && send_frame(fd, SETTINGS, ACK, 0, NULL, 0) < 0)
            return;
        if ((h[3] == DATA || h[3] == HEADERS) && (h[4] & END_STREAM) && answer(fd, stream, file) < 0)
            return;
    }
}

int main(int argc, char **argv) {
    struct sockaddr_in at = {.sin_family = AF_INET};
    int on = 1, s = socket(AF_INET, SOCK_STREAM, 0);

    if (argc != 3)
        return 2;
    at.sin_port = htons((uint16_t) atoi(argv[1]));
    if (setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(s, (struct sockaddr *) &at, sizeof(at)) < 0 || listen(s, 16) < 0) {
        perror("grpc_health");
        return 1;
    }
    for (;;) {
        int fd = accept(s, NULL, NULL);
        if (fd < 0)
            return 1;
        serve(fd, argv[2]);
        close(fd);
    }
}
