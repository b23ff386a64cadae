/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/date.h"

#include <stdlib.h>
#include <time.h>

void date_init(struct date *d, sd_event *loop, uint64_t slack, void (*came)(void *userdata), void *userdata) {
    *d = (struct date){.loop = sd_event_ref(loop), .slack = slack, .came = came, .userdata = userdata};
}

void date_finish(struct date *d) {
    sd_event_source_disable_unref(d->timer);
    sd_event_unref(d->loop);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata) {
    struct date *d = userdata;
    d->at = 0;
    d->came(d->userdata);
    return 0;
}

void date_expect(struct date *d, uint64_t when) {
    if (when == UINT64_MAX || (d->at && d->at <= when))
        return;
    d->at = when;
    d->timer = sd_event_source_disable_unref(d->timer);
    if (sd_event_add_time(d->loop, &d->timer, CLOCK_REALTIME, when, d->slack, on_timer, d) < 0)
        abort();
}
