/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The resolvers a resolv.conf(5) names, and its changes. */
#ifndef PODIUM_NETNS_DNS_RESOLV_CONF_H
#define PODIUM_NETNS_DNS_RESOLV_CONF_H

#include <stddef.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>

#include "podium/base/error.h"

#define RESOLVERS_MAX         3 /* MAXNS */
#define RESOLV_CONF_BYTES_MAX (1024u * 1024u)

struct resolvers {
    struct sockaddr_storage servers[RESOLVERS_MAX];
    size_t n;
};

/* The first three usable nameserver lines; IPv4 and IPv6, with %scope. */
void resolvers_parse(const char *text, struct resolvers *ret);
/* The file's; none when it cannot be read. */
void resolvers_read(const char *path, struct resolvers *ret);

struct resolv_watch;
/* Calls changed(userdata) when the file, or the file it is a link to, may have changed: replaced, written, removed,
 * made. Folders are watched, not files, since the file may come and go. */
int resolv_watch_new(sd_event *loop, const char *path, void (*changed)(void *userdata), void *userdata,
                     struct resolv_watch **ret, struct error *err) _must_check_;
void resolv_watch_free(struct resolv_watch *watch); /* NULL is fine */

#endif
