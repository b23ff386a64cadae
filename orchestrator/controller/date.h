/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The next date of a controller that ends things when their time has come: one timer for all of them, on the real
 * clock, since a date is what was agreed on and what objects carry; a clock that is set forward ends them as it should.
 * One loop thread.
 */
#ifndef PODIUM_CONTROLLER_DATE_H
#define PODIUM_CONTROLLER_DATE_H

#include <stdint.h>
#include <systemd/sd-event.h>

struct date {
    sd_event *loop;
    sd_event_source *timer;
    uint64_t at;    /* real time, microseconds; 0: none is expected */
    uint64_t slack; /* microseconds it may be late */
    void (*came)(void *userdata);
    void *userdata;
};

/* came: looks at everything again, and expects the next date. */
void date_init(struct date *d, sd_event *loop, uint64_t slack, void (*came)(void *userdata), void *userdata);
void date_finish(struct date *d);
/* The soonest of all dates that were expected since the last came. UINT64_MAX: never. */
void date_expect(struct date *d, uint64_t when);

#endif
