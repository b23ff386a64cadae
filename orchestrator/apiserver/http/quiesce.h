/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PODIUM_APISERVER_QUIESCE_H
#define PODIUM_APISERVER_QUIESCE_H

#include <microhttpd.h>

/*
 * MHD_quiesce_daemon() that survives its own race. libmicrohttpd 0.9.75 tells a worker that it is to stop listening and
 * then takes the socket out of the worker's epoll set; a worker that was quicker has done so already, and the library
 * takes the process down for the missing entry ("Failed to remove listen FD from epoll set"). It is then asked again:
 * nothing is locked there, and who has stopped listening is passed over.
 *
 * Returns the socket, which is the caller's to close; -1: none. One thread at a time.
 */
int quiesce(struct MHD_Daemon *daemon);

#endif
