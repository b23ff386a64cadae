/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "podium/base/clock.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

uint64_t now_monotonic_usec(void) {
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / 1000u;
}

#define NEVER_SEC ((time_t) 1 << 40) /* tens of thousands of years from now */

static int wait_for_jump(int fd) {
    const struct itimerspec never = {.it_value = {.tv_sec = NEVER_SEC}};

    return timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL) < 0 ? -errno : 0;
}

int clock_jump_fd(void) {
    int fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    int r = fd < 0 ? -errno : wait_for_jump(fd);

    if (r < 0 && fd >= 0)
        (void) close(fd);
    return r < 0 ? r : fd;
}

bool clock_jump_seen(int fd) {
    uint64_t expirations;
    bool seen = read(fd, &expirations, sizeof(expirations)) < 0 && errno == ECANCELED;

    if (seen)
        (void) wait_for_jump(fd);
    return seen;
}
