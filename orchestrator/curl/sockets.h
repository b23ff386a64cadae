/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sockets of a curl multi handle on an event loop.
 *
 * libcurl closes a socket that never got connected before it says that it no longer wants to hear of it (7.88: a
 * connection refused or given up). By then epoll cannot be told to forget it, and does so by itself only if nobody else
 * has the socket open, too. A process that forks has children which do, for a moment; what happens to the connection
 * then leads the loop to a source that is freed, and sd-event aborts. So a descriptor of our own is watched, which is
 * there until it was taken off the loop.
 *
 * Use. In the handle's CURLMOPT_SOCKETFUNCTION:
 *     return curl_sockets_want(multi, loop, fd, what, at_socket, on_ready, userdata);
 * and in on_ready, on the loop: curl_multi_socket_action(multi, fd, select, …).
 *
 * Ownership. What is made for a socket is libcurl's (curl_multi_assign()) until it says CURL_POLL_REMOVE.
 * Threads. The loop's.
 */
#ifndef PODIUM_CURL_SOCKETS_H
#define PODIUM_CURL_SOCKETS_H

#include <stdint.h>
#include <systemd/sd-event.h>

/* events: EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP. fd: libcurl's. */
typedef void (*curl_socket_ready_fn)(void *userdata, int fd, uint32_t events);

/* multi: a CURLM. what: CURL_POLL_IN, _OUT, _INOUT, _REMOVE. Returns what libcurl wants to hear: 0, or -1 for an error.
 */
int curl_sockets_want(void *multi, sd_event *loop, int fd, int what, void *at_socket, curl_socket_ready_fn ready,
                      void *userdata);

#endif
