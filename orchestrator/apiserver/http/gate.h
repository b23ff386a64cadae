/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PODIUM_APISERVER_GATE_H
#define PODIUM_APISERVER_GATE_H

#include <microhttpd.h>
#include <stdatomic.h>
#include <stdbool.h>

/*
 * Suspends a connection until woken; wakes may come at any time, from any thread, any number of times. The order
 * matters: armed before work that may wake it; the connection is suspended before the gate says so, because a wake
 * that finds it closed resumes at once.
 */
struct gate {
    atomic_int state;
    struct MHD_Connection *connection;
};
enum { GATE_ARMED, GATE_WOKEN, GATE_CLOSED };
void gate_arm(struct gate *g);
void gate_wake(struct gate *g);
/* Suspends, unless a wake has come since arming: then false, and the work is to be tried again. */
bool gate_close(struct gate *g);

#endif
