/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/probes/http.h"

#include <ctype.h>
#include <curl/curl.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <systemd/sd-event.h>

#include "orchestrator/curl/libcurl.h"
#include "orchestrator/curl/sockets.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/list.h"

#define REDIRECTS_MAX 10
#define BUFFER_BYTES  2048 /* answers to probes are short */

struct http_pool {
    sd_event *loop;
    CURLM *multi;
    sd_event_source *timer, *deliver;
    struct list requests;
};

struct http_request {
    struct list link;
    struct http_pool *pool;
    CURL *easy;
    struct curl_slist *headers;
    enum http_mode mode;
    char *url, *body, *grpc_status, *grpc_message;
    struct strbuf answer;
    bool finished, redirected_away;
    unsigned redirects;
    CURLcode outcome;
    http_done_fn done;
    void *userdata;
};

static void request_free(struct http_request *q) {
    list_remove(&q->link);
    if (q->easy) {
        (void) curl_multi_remove_handle(q->pool->multi, q->easy);
        curl_easy_cleanup(q->easy);
    }
    curl_slist_free_all(q->headers);
    strbuf_finish(&q->answer);
    free(q->url);
    free(q->body);
    free(q->grpc_status);
    free(q->grpc_message);
    free(q);
}

void http_request_cancel(struct http_request *q) {
    if (q)
        request_free(q);
}

/* --- answers --- */

/* "http://host:port/…" → "host:port", for the words of an error. */
static char *authority_of(const char *url) {
    const char *at = strstr(url, "://");

    at = at ? at + 3 : url;
    return xstrndup(at, strcspn(at, "/?"));
}

static int code_of(const struct http_request *q) {
    long os = 0;

    switch (q->outcome) {
    case CURLE_OK:
        return 0;
    case CURLE_OPERATION_TIMEDOUT:
        return -ETIMEDOUT;
    case CURLE_COULDNT_RESOLVE_HOST:
        return -EHOSTUNREACH;
    default:
        (void) curl_easy_getinfo(q->easy, CURLINFO_OS_ERRNO, &os);
        return os > 0 ? (int) -os : -EIO;
    }
}

static char *reason_of(const struct http_request *q, int error, const char *authority) {
    curl_off_t connected = 0;
    char text[128];

    (void) curl_easy_getinfo(q->easy, CURLINFO_CONNECT_TIME_T, &connected);
    if (error == -ETIMEDOUT && connected == 0)
        return q->mode == HTTP_TCP ? xasprintf("dial tcp %s: i/o timeout", authority)
                                   : xasprintf("dial tcp %s: connect: connection timed out", authority);
    if (error == -ETIMEDOUT)
        return xstrdup("context deadline exceeded (Client.Timeout exceeded while awaiting headers)");
    if (q->outcome == CURLE_COULDNT_CONNECT && error != -EIO) {
        (void) snprintf(text, sizeof(text), "%s", strerror(-error));
        text[0] = (char) tolower((unsigned char) text[0]);
        return xasprintf("dial tcp %s: connect: %s", authority, text);
    }
    if (q->outcome == CURLE_GOT_NOTHING)
        return xstrdup("EOF");
    if (q->outcome == CURLE_TOO_MANY_REDIRECTS)
        return xasprintf("stopped after %d redirects", REDIRECTS_MAX);
    (void) snprintf(text, sizeof(text), "%s", curl_easy_strerror(q->outcome));
    text[0] = (char) tolower((unsigned char) text[0]);
    return xstrdup(text);
}

static void deliver(struct http_request *q) {
    _cleanup_free_ char *authority = authority_of(q->url), *text = NULL;
    struct http_answer a = {.body = strbuf_str(&q->answer),
                            .n_body = q->answer.len,
                            .redirected_away = q->redirected_away,
                            .grpc_status = q->grpc_status,
                            .grpc_message = q->grpc_message};
    http_done_fn done = q->done;
    void *userdata = q->userdata;

    (void) curl_easy_getinfo(q->easy, CURLINFO_RESPONSE_CODE, &a.code);
    a.error = code_of(q);
    if (a.error < 0) {
        _cleanup_free_ char *reason = reason_of(q, a.error, authority);
        text = q->mode == HTTP_PROBE || q->mode == HTTP_HOOK ? xasprintf("Get \"%s\": %s", q->url, reason)
                                                             : steal(&reason);
    }
    a.text = text;
    /* out of the list: done may start the next one, or free the pool */
    list_remove(&q->link);
    list_init(&q->link);
    (void) curl_multi_remove_handle(q->pool->multi, q->easy);
    done(userdata, &a);
    curl_easy_cleanup(steal(&q->easy));
    request_free(q);
}

/* A redirect on the same host is followed; to another one it is the answer. True when the request goes on. */
static bool follow(struct http_request *q) {
    char *location = NULL;

    if (q->mode != HTTP_PROBE || q->outcome != CURLE_OK ||
        curl_easy_getinfo(q->easy, CURLINFO_REDIRECT_URL, &location) != CURLE_OK || !location)
        return false;
    _cleanup_free_ char *from = libcurl_url_host(q->url), *to = libcurl_url_host(location);
    if (!from || !to || strcasecmp(from, to) != 0) {
        q->redirected_away = true;
        return false;
    }
    if (++q->redirects >= REDIRECTS_MAX) {
        q->outcome = CURLE_TOO_MANY_REDIRECTS;
        return false;
    }
    strbuf_reset(&q->answer);
    q->finished = false;
    (void) curl_multi_remove_handle(q->pool->multi, q->easy);
    _cleanup_free_ char *next = xstrdup(location); /* libcurl's until the URL is set */
    if (curl_easy_setopt(q->easy, CURLOPT_URL, next) == CURLE_OK &&
        curl_multi_add_handle(q->pool->multi, q->easy) == CURLM_OK)
        return true;
    q->finished = true;
    q->outcome = CURLE_OUT_OF_MEMORY;
    return false;
}

static void check_finished(struct http_pool *pool) {
    (void) sd_event_source_set_enabled(pool->deliver, SD_EVENT_ONESHOT);
}

/* Never from inside libcurl, which must not be re-entered. One at a time, and last of all: done may cancel any other,
 * and free the pool. */
static int on_deliver(sd_event_source *source, void *userdata) {
    struct http_pool *pool = userdata;
    struct http_request *next = NULL, *i;
    int left;

    for (CURLMsg *m; (m = curl_multi_info_read(pool->multi, &left));) {
        struct http_request *q = NULL;
        if (m->msg != CURLMSG_DONE)
            continue;
        (void) curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **) &q);
        q->outcome = m->data.result == CURLE_WRITE_ERROR && q->answer.len >= HTTP_BODY_MAX ? CURLE_OK : m->data.result;
        q->finished = true;
    }
    list_foreach(i, &pool->requests, link) {
        if (!i->finished)
            continue;
        if (next)
            check_finished(pool);
        else
            next = i;
    }
    if (next && !follow(next))
        deliver(next);
    return 0;
}

static size_t on_body(char *p, size_t size, size_t n, void *userdata) {
    struct http_request *q = userdata;
    size_t bytes = size * n, room = HTTP_BODY_MAX - q->answer.len;

    strbuf_add(&q->answer, p, bytes < room ? bytes : room);
    return bytes < room ? bytes : 0; /* enough: the rest is not waited for */
}

static size_t on_header(char *p, size_t size, size_t n, void *userdata) {
    struct http_request *q = userdata;
    const struct {
        const char *name;
        char **value;
    } wanted[] = {{"grpc-status:", &q->grpc_status}, {"grpc-message:", &q->grpc_message}};
    size_t bytes = size * n;

    for (size_t i = 0; q->mode == HTTP_GRPC && i < ARRAY_LEN(wanted); i++) {
        size_t skip = strlen(wanted[i].name), end = bytes;
        if (bytes <= skip || strncasecmp(p, wanted[i].name, skip) != 0)
            continue;
        while (skip < end && p[skip] == ' ')
            skip++;
        while (end > skip && (p[end - 1] == '\r' || p[end - 1] == '\n'))
            end--;
        free(*wanted[i].value);
        *wanted[i].value = xstrndup(p + skip, end - skip);
    }
    return bytes;
}

/* --- libcurl on the loop --- */

static void on_socket_ready(void *userdata, int fd, uint32_t revents) {
    struct http_pool *pool = userdata;
    int running, what = ((revents & EPOLLIN) ? CURL_CSELECT_IN : 0) | ((revents & EPOLLOUT) ? CURL_CSELECT_OUT : 0) |
                        ((revents & (EPOLLERR | EPOLLHUP)) ? CURL_CSELECT_ERR : 0);

    (void) curl_multi_socket_action(pool->multi, fd, what, &running);
    check_finished(pool);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
    struct http_pool *pool = userdata;
    int running;

    (void) curl_multi_socket_action(pool->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    check_finished(pool);
    return 0;
}

static int want_socket(CURL *easy, curl_socket_t fd, int what, void *userdata, void *at_socket) {
    struct http_pool *pool = userdata;

    return curl_sockets_want(pool->multi, pool->loop, fd, what, at_socket, on_socket_ready, pool);
}

static int want_timer(CURLM *multi, long msec, void *userdata) {
    struct http_pool *pool = userdata;

    if (msec < 0)
        return sd_event_source_set_enabled(pool->timer, SD_EVENT_OFF) < 0 ? -1 : 0;
    if (sd_event_source_set_time_relative(pool->timer, (uint64_t) msec * USEC_PER_MSEC) < 0)
        return -1;
    return sd_event_source_set_enabled(pool->timer, SD_EVENT_ONESHOT) < 0 ? -1 : 0;
}

int http_pool_new(sd_event *loop, struct http_pool **ret, struct error *err) {
    int r = libcurl_open(err);

    if (r < 0)
        return r;
    struct http_pool *pool = xnew0(struct http_pool);
    pool->loop = sd_event_ref(loop);
    list_init(&pool->requests);
    pool->multi = curl_multi_init();
    r = pool->multi ? sd_event_add_defer(loop, &pool->deliver, on_deliver, pool) : -ENOMEM;
    if (r >= 0)
        r = sd_event_source_set_enabled(pool->deliver, SD_EVENT_OFF);
    if (r >= 0)
        r = sd_event_add_time_relative(loop, &pool->timer, CLOCK_MONOTONIC, 0, USEC_PER_MSEC, on_timer, pool);
    if (r >= 0)
        r = sd_event_source_set_enabled(pool->timer, SD_EVENT_OFF);
    if (r < 0) {
        http_pool_free(pool);
        return error_set_errno(err, r, "cannot set up probes on the event loop");
    }
    (void) curl_multi_setopt(pool->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
    (void) curl_multi_setopt(pool->multi, CURLMOPT_SOCKETDATA, pool);
    (void) curl_multi_setopt(pool->multi, CURLMOPT_TIMERFUNCTION, want_timer);
    (void) curl_multi_setopt(pool->multi, CURLMOPT_TIMERDATA, pool);
    (void) curl_multi_setopt(pool->multi, CURLMOPT_MAXCONNECTS, 1L); /* none is used again */
    *ret = pool;
    return 0;
}

void http_pool_free(struct http_pool *pool) {
    struct http_request *q;

    if (!pool)
        return;
    list_foreach(q, &pool->requests, link) request_free(q);
    (void) curl_multi_cleanup(pool->multi);
    sd_event_source_disable_unref(pool->timer);
    sd_event_source_disable_unref(pool->deliver);
    sd_event_unref(pool->loop);
    free(pool);
}

/* --- requests --- */

static bool has_header(char *const *headers, const char *name) {
    for (; headers && *headers; headers++)
        if (strncasecmp(*headers, name, strlen(name)) == 0 && (*headers)[strlen(name)] == ':')
            return true;
    return false;
}

static void add_header(struct http_request *q, const char *line) {
    struct curl_slist *more = curl_slist_append(q->headers, line);

    q->headers = more ? more : q->headers;
}

static void add_headers(struct http_request *q, char *const *headers) {
    for (char *const *h = headers; h && *h; h++) {
        size_t name = strcspn(*h, ":");
        _cleanup_free_ char *line = xstrdup(*h);
        if (strspn(*h + name + 1, " ") == strlen(*h + name + 1)) { /* libcurl's way to send one without a value */
            line[name] = ';';
            line[name + 1] = 0;
        }
        add_header(q, line);
    }
    if (q->mode == HTTP_GRPC) {
        add_header(q, "Content-Type: application/grpc");
        add_header(q, "TE: trailers");
    } else if (!has_header(headers, "Connection")) {
        add_header(q, "Connection: close");
    }
}

static void set_mode(struct http_request *q, const struct http_options *o) {
    switch (q->mode) {
    case HTTP_TCP:
        (void) curl_easy_setopt(q->easy, CURLOPT_CONNECT_ONLY, 1L);
        break;
    case HTTP_GRPC:
        q->body = xmemdup(o->body, o->n_body);
        (void) curl_easy_setopt(q->easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE);
        (void) curl_easy_setopt(q->easy, CURLOPT_POSTFIELDSIZE, (long) o->n_body);
        (void) curl_easy_setopt(q->easy, CURLOPT_POSTFIELDS, q->body);
        break;
    case HTTP_HOOK:
        (void) curl_easy_setopt(q->easy, CURLOPT_FOLLOWLOCATION, 1L);
        (void) curl_easy_setopt(q->easy, CURLOPT_MAXREDIRS, (long) REDIRECTS_MAX);
        (void) curl_easy_setopt(q->easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
        break;
    case HTTP_PROBE:
        (void) curl_easy_setopt(q->easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
        break;
    }
}

static void set_up(struct http_request *q, const struct http_options *o) {
    add_headers(q, o->headers);
    (void) curl_easy_setopt(q->easy, CURLOPT_PRIVATE, q);
    (void) curl_easy_setopt(q->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void) curl_easy_setopt(q->easy, CURLOPT_PATH_AS_IS, 1L);
    (void) curl_easy_setopt(q->easy, CURLOPT_PROXY, "");
    (void) curl_easy_setopt(q->easy, CURLOPT_NOSIGNAL, 1L);
    (void) curl_easy_setopt(q->easy, CURLOPT_FRESH_CONNECT, 1L);
    (void) curl_easy_setopt(q->easy, CURLOPT_FORBID_REUSE, 1L);
    (void) curl_easy_setopt(q->easy, CURLOPT_SSL_VERIFYPEER, 0L);
    (void) curl_easy_setopt(q->easy, CURLOPT_SSL_VERIFYHOST, 0L);
    (void) curl_easy_setopt(q->easy, CURLOPT_BUFFERSIZE, (long) BUFFER_BYTES);
    (void) curl_easy_setopt(q->easy, CURLOPT_HTTPHEADER, q->headers);
    if (o->user_agent && !has_header(o->headers, "User-Agent"))
        (void) curl_easy_setopt(q->easy, CURLOPT_USERAGENT, o->user_agent);
    if (o->timeout_usec > 0)
        (void) curl_easy_setopt(q->easy, CURLOPT_TIMEOUT_MS, (long) (o->timeout_usec / USEC_PER_MSEC));
    (void) curl_easy_setopt(q->easy, CURLOPT_WRITEFUNCTION, on_body);
    (void) curl_easy_setopt(q->easy, CURLOPT_WRITEDATA, q);
    (void) curl_easy_setopt(q->easy, CURLOPT_HEADERFUNCTION, on_header);
    (void) curl_easy_setopt(q->easy, CURLOPT_HEADERDATA, q);
    set_mode(q, o);
}

int http_request_start(struct http_pool *pool, const struct http_options *o, http_done_fn done, void *userdata,
                       struct http_request **ret, struct error *err) {
    struct http_request *q = xnew0(struct http_request);

    *q = (struct http_request){
        .pool = pool, .mode = o->mode, .url = xstrdup(o->url), .done = done, .userdata = userdata};
    list_append(&pool->requests, &q->link);
    q->easy = curl_easy_init();
    if (!q->easy) {
        request_free(q);
        return error_set(err, -ENOMEM, "cannot make a request");
    }
    set_up(q, o);
    if (curl_easy_setopt(q->easy, CURLOPT_URL, q->url) != CURLE_OK ||
        curl_multi_add_handle(pool->multi, q->easy) != CURLM_OK) {
        request_free(q);
        return error_set(err, -EINVAL, "cannot ask %s", o->url);
    }
    *ret = q;
    return 0;
}
