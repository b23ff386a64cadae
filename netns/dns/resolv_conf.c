/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "netns/dns/resolv_conf.h"

#include <arpa/inet.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/inotify.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/netns_dns.h"

static bool parse_address(const char *text, struct sockaddr_storage *ret) {
    struct sockaddr_in *v4 = (struct sockaddr_in *) ret;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *) ret;
    char plain[INET6_ADDRSTRLEN];
    size_t n = strcspn(text, "%");

    *ret = (struct sockaddr_storage){0};
    if (n >= sizeof(plain))
        return false;
    memcpy(plain, text, n);
    plain[n] = 0;
    if (!text[n] && inet_pton(AF_INET, plain, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(DNS_PORT);
        return true;
    }
    if (inet_pton(AF_INET6, plain, &v6->sin6_addr) != 1)
        return false;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(DNS_PORT);
    v6->sin6_scope_id = text[n] ? if_nametoindex(text + n + 1) : 0;
    return true;
}

void resolvers_parse(const char *text, struct resolvers *ret) {
    _cleanup_free_ char *copy = xstrdup(text);
    char *rest = copy, *line;

    *ret = (struct resolvers){0};
    while (ret->n < RESOLVERS_MAX && (line = strsep(&rest, "\n"))) {
        char *save = NULL, *key = strtok_r(line, " \t\r", &save), *value = key ? strtok_r(NULL, " \t\r", &save) : NULL;
        if (value && strcmp(key, "nameserver") == 0 && parse_address(value, &ret->servers[ret->n]))
            ret->n++;
    }
}

void resolvers_read(const char *path, struct resolvers *ret) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    *ret = (struct resolvers){0};
    if (file_read(path, RESOLV_CONF_BYTES_MAX, &text, NULL) >= 0)
        resolvers_parse(strbuf_str(&text), ret);
}

/* --- changes --- */

struct resolv_watch {
    sd_event *loop;
    sd_event_source *named, *target; /* the folder of the path; that of the file it leads to, when another */
    char *path;
    char *target_path; /* as last seen; NULL: the path is no link, or leads nowhere */
    void (*changed)(void *userdata);
    void *userdata;
};

static int on_change(sd_event_source *source, const struct inotify_event *event, void *userdata);

static int watch_folder_of(struct resolv_watch *watch, const char *path, sd_event_source **ret) {
    _cleanup_free_ char *dir = xstrdup(path);
    char *slash = strrchr(dir, '/');

    if (!slash)
        return -EINVAL;
    slash[slash == dir] = 0;
    return sd_event_add_inotify(watch->loop, ret, dir,
                                IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_CLOSE_WRITE | IN_ONLYDIR,
                                on_change, watch);
}

/* Where the path leads to now; the folder there is watched, too. Best effort: it may come into being later. */
static void follow(struct resolv_watch *watch) {
    char *now = realpath(watch->path, NULL);

    if (now && strcmp(now, watch->path) == 0) {
        free(now);
        now = NULL;
    }
    if (now && watch->target_path && strcmp(now, watch->target_path) == 0) {
        free(now);
        return;
    }
    if (!now && watch->target_path) /* dangling for a moment while the target is replaced: keep looking there */
        return;
    watch->target = sd_event_source_disable_unref(watch->target);
    free(watch->target_path);
    watch->target_path = now;
    if (now)
        (void) watch_folder_of(watch, now, &watch->target);
}

static int on_change(sd_event_source *source, const struct inotify_event *event, void *userdata) {
    struct resolv_watch *watch = userdata;
    const char *path = source == watch->target ? watch->target_path : watch->path;

    if (event->len > 0 && strcmp(event->name, strrchr(path, '/') + 1) != 0)
        return 0;
    follow(watch);
    watch->changed(watch->userdata);
    return 0;
}

int resolv_watch_new(sd_event *loop, const char *path, void (*changed)(void *userdata), void *userdata,
                     struct resolv_watch **ret, struct error *err) {
    struct resolv_watch *watch = xnew0(struct resolv_watch);

    watch->loop = sd_event_ref(loop);
    watch->path = xstrdup(path);
    watch->changed = changed;
    watch->userdata = userdata;
    int r = watch_folder_of(watch, path, &watch->named);
    if (r < 0) {
        resolv_watch_free(watch);
        return error_set_errno(err, r, "cannot watch the folder of %s", path);
    }
    follow(watch);
    *ret = watch;
    return 0;
}

void resolv_watch_free(struct resolv_watch *watch) {
    if (!watch)
        return;
    sd_event_source_disable_unref(watch->named);
    sd_event_source_disable_unref(watch->target);
    sd_event_unref(watch->loop);
    free(watch->path);
    free(watch->target_path);
    free(watch);
}
