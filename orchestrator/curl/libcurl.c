/* SPDX-License-Identifier: GPL-2.0-or-later */
#define CURL_DISABLE_TYPECHECK
#include "orchestrator/curl/libcurl.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>

#include "podium/base/alloc.h"
#include "podium/base/limits.h"
#include "podium/base/log.h"

/* curl.h has macros of these names */
#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt

/* What the project uses of libcurl. A library is open once in a process, and so is this. */
static struct {
    __typeof__(curl_global_init) *global_init;
    __typeof__(curl_easy_init) *easy_init;
    __typeof__(curl_easy_cleanup) *easy_cleanup;
    __typeof__(curl_easy_reset) *easy_reset;
    __typeof__(curl_easy_perform) *easy_perform;
    __typeof__(curl_easy_escape) *easy_escape;
    __typeof__(curl_easy_strerror) *easy_strerror;
    __typeof__(curl_multi_init) *multi_init;
    __typeof__(curl_multi_cleanup) *multi_cleanup;
    __typeof__(curl_multi_add_handle) *multi_add_handle;
    __typeof__(curl_multi_remove_handle) *multi_remove_handle;
    __typeof__(curl_multi_assign) *multi_assign;
    __typeof__(curl_multi_socket_action) *multi_socket_action;
    __typeof__(curl_multi_perform) *multi_perform;
    __typeof__(curl_multi_poll) *multi_poll;
    __typeof__(curl_multi_info_read) *multi_info_read;
    __typeof__(curl_multi_strerror) *multi_strerror;
    __typeof__(curl_slist_append) *slist_append;
    __typeof__(curl_slist_free_all) *slist_free_all;
    __typeof__(curl_url) *url;
    __typeof__(curl_url_cleanup) *url_cleanup;
    __typeof__(curl_url_get) *url_get;
    __typeof__(curl_url_set) *url_set;
    __typeof__(curl_free) *free;
    __typeof__(curl_easy_setopt) *easy_setopt;
    __typeof__(curl_easy_getinfo) *easy_getinfo;
    __typeof__(curl_multi_setopt) *multi_setopt;
    char problem[256]; /* why it cannot be used, or empty */
} library;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static const struct {
    const char *name;
    void **at;
} functions[] = {
    {"curl_global_init", (void **) &library.global_init},
    {"curl_easy_init", (void **) &library.easy_init},
    {"curl_easy_cleanup", (void **) &library.easy_cleanup},
    {"curl_easy_reset", (void **) &library.easy_reset},
    {"curl_easy_perform", (void **) &library.easy_perform},
    {"curl_easy_escape", (void **) &library.easy_escape},
    {"curl_easy_strerror", (void **) &library.easy_strerror},
    {"curl_multi_init", (void **) &library.multi_init},
    {"curl_multi_cleanup", (void **) &library.multi_cleanup},
    {"curl_multi_add_handle", (void **) &library.multi_add_handle},
    {"curl_multi_remove_handle", (void **) &library.multi_remove_handle},
    {"curl_multi_assign", (void **) &library.multi_assign},
    {"curl_multi_socket_action", (void **) &library.multi_socket_action},
    {"curl_multi_perform", (void **) &library.multi_perform},
    {"curl_multi_poll", (void **) &library.multi_poll},
    {"curl_multi_info_read", (void **) &library.multi_info_read},
    {"curl_multi_strerror", (void **) &library.multi_strerror},
    {"curl_slist_append", (void **) &library.slist_append},
    {"curl_slist_free_all", (void **) &library.slist_free_all},
    {"curl_url", (void **) &library.url},
    {"curl_url_cleanup", (void **) &library.url_cleanup},
    {"curl_url_get", (void **) &library.url_get},
    {"curl_url_set", (void **) &library.url_set},
    {"curl_free", (void **) &library.free},
    {"curl_easy_setopt", (void **) &library.easy_setopt},
    {"curl_easy_getinfo", (void **) &library.easy_getinfo},
    {"curl_multi_setopt", (void **) &library.multi_setopt},
};

static void open_library(void) {
    static const char *const names[] = {"libcurl-gnutls.so.4", "libcurl.so.4"};
    void *handle = NULL;
    bool complete;

    for (size_t i = 0; !handle && i < ARRAY_LEN(names); i++)
        handle = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    complete = handle != NULL;
    for (size_t i = 0; complete && i < ARRAY_LEN(functions); i++)
        complete = (*functions[i].at = dlsym(handle, functions[i].name)) != NULL;
    if (!complete)
        snprintf(library.problem, sizeof(library.problem), "%s", dlerror());
}

int libcurl_open(struct error *err) {
    (void) pthread_once(&once, open_library);
    return *library.problem ? error_set(err, -ENOPKG, "cannot open libcurl: %s", library.problem) : 0;
}

static void open_or_abort(void) {
    (void) pthread_once(&once, open_library);
    if (!*library.problem)
        return;
    log_error("cannot open libcurl: %s", library.problem);
    abort();
}

/* --- the functions --- */

/* Options take one argument, whose type follows from the option's number as it does in libcurl. */
CURLcode curl_easy_setopt(CURL *easy, CURLoption option, ...) {
    va_list ap;
    CURLcode code;

    open_or_abort();
    va_start(ap, option);
    if ((int) option < CURLOPTTYPE_OBJECTPOINT)
        code = library.easy_setopt(easy, option, va_arg(ap, long));
    else if ((int) option >= CURLOPTTYPE_OFF_T && (int) option < CURLOPTTYPE_BLOB)
        code = library.easy_setopt(easy, option, va_arg(ap, curl_off_t));
    else
        code = library.easy_setopt(easy, option, va_arg(ap, void *));
    va_end(ap);
    return code;
}

CURLMcode curl_multi_setopt(CURLM *multi, CURLMoption option, ...) {
    va_list ap;
    CURLMcode code;

    open_or_abort();
    va_start(ap, option);
    if ((int) option < CURLOPTTYPE_OBJECTPOINT)
        code = library.multi_setopt(multi, option, va_arg(ap, long));
    else if ((int) option >= CURLOPTTYPE_OFF_T && (int) option < CURLOPTTYPE_BLOB)
        code = library.multi_setopt(multi, option, va_arg(ap, curl_off_t));
    else
        code = library.multi_setopt(multi, option, va_arg(ap, void *));
    va_end(ap);
    return code;
}

CURLcode curl_easy_getinfo(CURL *easy, CURLINFO info, ...) {
    va_list ap;

    open_or_abort();
    va_start(ap, info);
    CURLcode code = library.easy_getinfo(easy, info, va_arg(ap, void *));
    va_end(ap);
    return code;
}

CURLcode curl_global_init(long flags) {
    open_or_abort();
    return library.global_init(flags);
}

CURL *curl_easy_init(void) {
    open_or_abort();
    return library.easy_init();
}

void curl_easy_cleanup(CURL *easy) {
    open_or_abort();
    library.easy_cleanup(easy);
}

void curl_easy_reset(CURL *easy) {
    open_or_abort();
    library.easy_reset(easy);
}

CURLcode curl_easy_perform(CURL *easy) {
    open_or_abort();
    return library.easy_perform(easy);
}

char *curl_easy_escape(CURL *easy, const char *s, int len) {
    open_or_abort();
    return library.easy_escape(easy, s, len);
}

const char *curl_easy_strerror(CURLcode code) {
    open_or_abort();
    return library.easy_strerror(code);
}

CURLM *curl_multi_init(void) {
    open_or_abort();
    return library.multi_init();
}

CURLMcode curl_multi_cleanup(CURLM *multi) {
    open_or_abort();
    return library.multi_cleanup(multi);
}

CURLMcode curl_multi_add_handle(CURLM *multi, CURL *easy) {
    open_or_abort();
    return library.multi_add_handle(multi, easy);
}

CURLMcode curl_multi_remove_handle(CURLM *multi, CURL *easy) {
    open_or_abort();
    return library.multi_remove_handle(multi, easy);
}

CURLMcode curl_multi_assign(CURLM *multi, curl_socket_t fd, void *data) {
    open_or_abort();
    return library.multi_assign(multi, fd, data);
}

CURLMcode curl_multi_socket_action(CURLM *multi, curl_socket_t fd, int events, int *running) {
    open_or_abort();
    return library.multi_socket_action(multi, fd, events, running);
}

CURLMcode curl_multi_perform(CURLM *multi, int *running) {
    open_or_abort();
    return library.multi_perform(multi, running);
}

CURLMcode curl_multi_poll(CURLM *multi, struct curl_waitfd fds[], unsigned n, int timeout_ms, int *ready) {
    open_or_abort();
    return library.multi_poll(multi, fds, n, timeout_ms, ready);
}

CURLMsg *curl_multi_info_read(CURLM *multi, int *left) {
    open_or_abort();
    return library.multi_info_read(multi, left);
}

const char *curl_multi_strerror(CURLMcode code) {
    open_or_abort();
    return library.multi_strerror(code);
}

struct curl_slist *curl_slist_append(struct curl_slist *list, const char *s) {
    open_or_abort();
    return library.slist_append(list, s);
}

void curl_slist_free_all(struct curl_slist *list) {
    open_or_abort();
    library.slist_free_all(list);
}

void curl_free(void *p) {
    open_or_abort();
    library.free(p);
}

char *libcurl_url_host(const char *url) {
    char *host = NULL, *copy = NULL;

    open_or_abort();
    CURLU *u = library.url();
    if (u && library.url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
        library.url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK)
        copy = xstrdup(host);
    library.free(host);
    library.url_cleanup(u);
    return copy;
}
