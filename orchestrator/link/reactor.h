/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The descriptors of thousands of connections, seen by the event loop as one. sd-event dispatches one source in a turn
 * and asks the kernel about all of them before each; a bus attached to it (sd_bus_attach_event(3)) is looked at in
 * every turn, ready or not: with a thousand agents a message costs a millisecond. Here a turn takes what is ready, some
 * of it at a time, and the quiet cost nothing.
 *
 * Ownership. Watches and pumps belong to who made them and are freed before the reactor; freeing one is fine at any
 * moment, also inside its own callback (but not a pump inside a message of its own bus). Descriptors, buses and the
 * loop are borrowed. Threads: the loop's.
 */
#ifndef PODIUM_LINK_REACTOR_H
#define PODIUM_LINK_REACTOR_H

#include <sys/epoll.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "podium/base/error.h"

struct reactor;
struct fd_watch;
struct bus_pump;

int reactor_new(sd_event *loop, struct reactor **ret, struct error *err) _must_check_;
void reactor_free(struct reactor *r); /* NULL is fine, as with all here */

typedef void (*fd_watch_fn)(void *userdata, uint32_t revents);
/* events: EPOLLIN and the like, level-triggered. */
int fd_watch_new(struct reactor *r, int fd, uint32_t events, fd_watch_fn fn, void *userdata, struct fd_watch **ret,
                 struct error *err) _must_check_;
void fd_watch_set(struct fd_watch *w, uint32_t events); /* 0: only errors and the end are told */
void fd_watch_free(struct fd_watch *w);

/* Reads, dispatches and writes for a bus that was started and is not attached to the loop. */
int bus_pump_new(struct reactor *r, sd_bus *bus, struct bus_pump **ret, struct error *err) _must_check_;
/* To be said after everything that is sent on the bus outside its own callbacks: what did not fit into the socket is
 * written when there is room. */
void bus_pump_sent(struct bus_pump *p);
void bus_pump_free(struct bus_pump *p);

#endif
