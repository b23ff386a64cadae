/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/client/http_client.h"

#include <curl/curl.h>
#include <string.h>
#include <sys/epoll.h>

#include "orchestrator/curl/libcurl.h"
#include "orchestrator/curl/sockets.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/list.h"

#define ANSWER_BYTES_MAX        (512u * 1024u * 1024u) /* a list of everything; a mistaken server must not fill the memory */
#define MESSAGE_BYTES_MAX       512
#define CONNECT_TIMEOUT_SECONDS 10
#define TIMEOUT_SECONDS         60

struct http_client {
    struct client client;
    sd_event *loop;
    CURLM *multi;
    sd_event_source *timer, *deliver;
    struct list exchanges;
    bool delivering, freed;
    char *server, *unix_socket, *ca_file, *cert_file, *key_file, *authorization, *user_agent;
    bool insecure;
    long timeout;
};

/* A request and its answer; a watch is one whose answer comes line by line. */
struct exchange {
    struct list link;
    struct http_client *h;
    CURL *easy;
    struct curl_slist *headers;
    char *body;
    struct strbuf answer;
    char problem[CURL_ERROR_SIZE];
    bool is_watch, finished, dead;
    CURLcode outcome;
    client_done_fn done;
    client_event_fn event;
    void *userdata;
};

static void exchange_free(struct exchange *x) {
    list_remove(&x->link);
    if (x->easy) {
        (void) curl_multi_remove_handle(x->h->multi, x->easy);
        curl_easy_cleanup(x->easy);
    }
    curl_slist_free_all(x->headers);
    free(x->body);
    strbuf_finish(&x->answer);
    free(x);
}

/* --- answers --- */

static long http_code(struct exchange *x) {
    long code = 0;
    (void) curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &code);
    return code;
}

static const char *transport_problem(const struct exchange *x) {
    return *x->problem ? x->problem : curl_easy_strerror(x->outcome);
}

/* The message of an answer that is no Status: its first line. */
static char *plain_message(const struct exchange *x, long code) {
    size_t n = x->answer.len ? strcspn(strbuf_str(&x->answer), "\r\n") : 0;
    if (n == 0)
        return xasprintf("the server answered %ld", code);
    return xstrndup(x->answer.data, n < MESSAGE_BYTES_MAX ? n : MESSAGE_BYTES_MAX);
}

static void finish_call(struct exchange *x) {
    _cleanup_json_ struct json *object = NULL;
    _cleanup_free_ char *message = NULL;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct client_result result = {.reason = "", .message = ""};
    if (x->outcome != CURLE_OK) {
        message = xasprintf("cannot reach %s: %s", x->h->unix_socket ? x->h->unix_socket : x->h->server,
                            transport_problem(x));
    } else {
        result.code = (int) http_code(x);
        if (json_parse(strbuf_str(&x->answer), x->answer.len, NULL, &object, &err) < 0)
            message = client_ok(&result) ? xasprintf("the answer is no JSON: %s", error_text(&err, -EINVAL))
                                         : plain_message(x, result.code);
        if (client_ok(&result) && !object)
            result.code = 0;
    }
    result.object = object;
    if (!client_ok(&result))
        result.reason = json_str_or(json_get(object, "reason"), "");
    result.message = message ? message : client_ok(&result) ? "" : json_str_or(json_get(object, "message"), "");
    client_done_fn done = x->done;
    void *userdata = x->userdata;
    x->dead = true; /* whoever cancels from inside done must find nothing to free */
    done(userdata, &result);
}

static struct json *make_status(int code, const char *reason, const char *message) {
    struct json *s = json_object();
    json_set(&s, "kind", json_string("Status"));
    json_set(&s, "apiVersion", json_string("v1"));
    json_set(&s, "status", json_string("Failure"));
    json_set(&s, "reason", json_string(reason));
    json_set(&s, "message", json_string(message));
    json_set(&s, "code", json_int(code));
    return s;
}

static void end_watch(struct exchange *x, const char *type, struct json *take_status) {
    _cleanup_json_ struct json *status = take_status;
    x->dead = true;
    x->event(x->userdata, type, status);
}

/* Sends the whole lines that are there; the handler may cancel the watch at any of them. */
static void deliver_lines(struct exchange *x) {
    size_t from = 0;
    while (!x->dead) {
        char *line = x->answer.data ? x->answer.data + from : NULL;
        char *end = line ? memchr(line, '\n', x->answer.len - from) : NULL;
        if (!end)
            break;
        from = (size_t) (end + 1 - x->answer.data);
        if (end == line)
            continue;
        _cleanup_json_ struct json *event = NULL;
        _cleanup_(error_clear) struct error err = ERROR_INIT;
        if (json_parse(line, (size_t) (end - line), NULL, &event, &err) < 0) {
            end_watch(x, "ERROR", make_status(0, "BadEvent", error_text(&err, -EINVAL)));
            break;
        }
        const char *type = json_str_or(json_get(event, "type"), "");
        struct json *object = json_get(event, "object");
        if (strcmp(type, "ERROR") == 0)
            end_watch(x, type, json_ref(object));
        else
            x->event(x->userdata, type, object);
    }
    strbuf_consume(&x->answer, from);
}

static void finish_watch(struct exchange *x) {
    long code = http_code(x);
    _cleanup_json_ struct json *status = NULL;
    if (code == 200) {
        end_watch(x, "CLOSED", NULL);
        return;
    }
    if (code == 0) {
        end_watch(x, "ERROR", make_status(0, "", transport_problem(x)));
        return;
    }
    if (json_parse(strbuf_str(&x->answer), x->answer.len, NULL, &status, NULL) < 0) {
        _cleanup_free_ char *message = plain_message(x, code);
        status = make_status((int) code, "", message);
    }
    end_watch(x, "ERROR", steal(&status));
}

static void deliver_one(struct exchange *x) {
    if (x->is_watch && (!x->finished || http_code(x) == 200))
        deliver_lines(x);
    if (!x->finished || x->dead)
        return;
    if (x->is_watch)
        finish_watch(x);
    else
        finish_call(x);
}

static void note_finished(struct http_client *h) {
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(h->multi, &left));) {
        struct exchange *x = NULL;
        if (m->msg != CURLMSG_DONE)
            continue;
        (void) curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **) &x);
        x->outcome = m->data.result;
        x->finished = true;
    }
}

/* Callbacks run from here only, never from inside libcurl, which must not be re-entered. What they cancel is marked and
 * freed at the end; what they start is appended and has nothing to deliver yet. */
static void destroy(struct http_client *h);

static int on_deliver(sd_event_source *s, void *userdata) {
    struct http_client *h = userdata;
    note_finished(h);
    h->delivering = true;
    for (struct list *at = h->exchanges.next; at != &h->exchanges; at = at->next) {
        struct exchange *x = list_entry(at, struct exchange, link);
        if (!h->freed && !x->dead && (x->finished || (x->is_watch && x->answer.len > 0)))
            deliver_one(x);
    }
    h->delivering = false;
    struct exchange *x;
    list_foreach(x, &h->exchanges, link) {
        if (x->dead || h->freed)
            exchange_free(x);
    }
    if (h->freed)
        destroy(h);
    return 0;
}

static void wake(struct http_client *h) {
    (void) sd_event_source_set_enabled(h->deliver, SD_EVENT_ONESHOT);
}

/* --- libcurl on the loop --- */

static void on_socket_ready(void *userdata, int fd, uint32_t events) {
    struct http_client *h = userdata;
    int running, what = 0;
    what |= events & (EPOLLIN | EPOLLHUP) ? CURL_CSELECT_IN : 0;
    what |= events & EPOLLOUT ? CURL_CSELECT_OUT : 0;
    what |= events & EPOLLERR ? CURL_CSELECT_ERR : 0;
    (void) curl_multi_socket_action(h->multi, fd, what, &running);
    wake(h);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata) {
    struct http_client *h = userdata;
    int running;
    (void) curl_multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    wake(h);
    return 0;
}

static int on_timeout_changed(CURLM *multi, long ms, void *userdata) {
    struct http_client *h = userdata;
    if (ms < 0) {
        (void) sd_event_source_set_enabled(h->timer, SD_EVENT_OFF);
        return 0;
    }
    (void) sd_event_source_set_time(h->timer, now_monotonic_usec() + (uint64_t) ms * USEC_PER_MSEC);
    (void) sd_event_source_set_enabled(h->timer, SD_EVENT_ONESHOT);
    return 0;
}

static int on_socket_changed(CURL *easy, curl_socket_t fd, int what, void *userdata, void *socket_data) {
    struct http_client *h = userdata;
    return curl_sockets_want(h->multi, h->loop, fd, what, socket_data, on_socket_ready, h);
}

/* --- requests --- */

static size_t on_body(char *p, size_t size, size_t n, void *userdata) {
    struct exchange *x = userdata;
    strbuf_add(&x->answer, p, size * n);
    return x->answer.overflow ? 0 : size * n;
}

static const char *content_type(const struct client_request *r) {
    if (r->verb != CLIENT_PATCH)
        return "Content-Type: application/json";
    switch (r->patch_type) {
    case PATCH_JSON:
        return "Content-Type: application/json-patch+json";
    case PATCH_MERGE:
        return "Content-Type: application/merge-patch+json";
    case PATCH_STRATEGIC:
        return "Content-Type: application/strategic-merge-patch+json";
    case PATCH_APPLY:
        return "Content-Type: application/apply-patch+yaml"; /* JSON is YAML */
    }
    return "Content-Type: application/json";
}

static const char *method(const struct client_request *r) {
    static const char *const names[] = {
        [CLIENT_GET] = "GET",
        [CLIENT_LIST] = "GET",
        [CLIENT_CREATE] = "POST",
        [CLIENT_UPDATE] = "PUT",
        [CLIENT_PATCH] = "PATCH",
        [CLIENT_DELETE] = "DELETE",
        [CLIENT_DELETE_COLLECTION] = "DELETE",
    };
    return names[r->verb];
}

static void add_header(struct exchange *x, const char *line) {
    struct curl_slist *more = curl_slist_append(x->headers, line);
    if (!more)
        abort();
    x->headers = more;
}

static void set_connection(struct exchange *x) {
    const struct http_client *h = x->h;
    if (h->unix_socket)
        (void) curl_easy_setopt(x->easy, CURLOPT_UNIX_SOCKET_PATH, h->unix_socket);
    if (h->ca_file)
        (void) curl_easy_setopt(x->easy, CURLOPT_CAINFO, h->ca_file);
    /* Only the cluster's authority counts; reading the system's, too, takes 20 ms a connection. */
    (void) curl_easy_setopt(x->easy, CURLOPT_CAPATH, NULL);
    if (h->cert_file)
        (void) curl_easy_setopt(x->easy, CURLOPT_SSLCERT, h->cert_file);
    if (h->key_file)
        (void) curl_easy_setopt(x->easy, CURLOPT_SSLKEY, h->key_file);
    if (h->insecure) {
        (void) curl_easy_setopt(x->easy, CURLOPT_SSL_VERIFYPEER, 0L);
        (void) curl_easy_setopt(x->easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (h->authorization)
        add_header(x, h->authorization);
    (void) curl_easy_setopt(x->easy, CURLOPT_USERAGENT, h->user_agent);
    (void) curl_easy_setopt(x->easy, CURLOPT_NOPROXY, "*"); /* the control plane is never behind a web proxy */
    (void) curl_easy_setopt(x->easy, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
    (void) curl_easy_setopt(x->easy, CURLOPT_CONNECTTIMEOUT, (long) CONNECT_TIMEOUT_SECONDS);
    (void) curl_easy_setopt(x->easy, CURLOPT_TIMEOUT, x->is_watch ? 0L : h->timeout);
    (void) curl_easy_setopt(x->easy, CURLOPT_TCP_KEEPALIVE, 1L);
    (void) curl_easy_setopt(x->easy, CURLOPT_NOSIGNAL, 1L);
    (void) curl_easy_setopt(x->easy, CURLOPT_PROTOCOLS_STR, "http,https");
}

static struct exchange *exchange_new(struct http_client *h, const struct client_request *r, bool is_watch) {
    struct exchange *x = xnew0(struct exchange);
    x->h = h;
    x->is_watch = is_watch;
    x->answer.max = ANSWER_BYTES_MAX;
    list_append(&h->exchanges, &x->link);
    x->easy = curl_easy_init();
    if (!x->easy)
        abort();
    _cleanup_free_ char *target = http_request_target(r, is_watch);
    _cleanup_free_ char *url = xasprintf("%s%s", h->server, target);
    (void) curl_easy_setopt(x->easy, CURLOPT_URL, url);
    (void) curl_easy_setopt(x->easy, CURLOPT_CUSTOMREQUEST, method(r));
    add_header(x, "Accept: application/json");
    if (r->body) {
        x->body = json_to_text(r->body);
        add_header(x, content_type(r));
        add_header(x, "Expect:"); /* no waiting for 100 Continue */
        (void) curl_easy_setopt(x->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) strlen(x->body));
        (void) curl_easy_setopt(x->easy, CURLOPT_POSTFIELDS, x->body);
    }
    set_connection(x);
    (void) curl_easy_setopt(x->easy, CURLOPT_HTTPHEADER, x->headers);
    (void) curl_easy_setopt(x->easy, CURLOPT_WRITEFUNCTION, on_body);
    (void) curl_easy_setopt(x->easy, CURLOPT_WRITEDATA, x);
    (void) curl_easy_setopt(x->easy, CURLOPT_ERRORBUFFER, x->problem);
    (void) curl_easy_setopt(x->easy, CURLOPT_PRIVATE, x);
    CURLMcode m = curl_multi_add_handle(h->multi, x->easy);
    if (m != CURLM_OK) { /* told from the loop like any other failure */
        x->outcome = CURLE_FAILED_INIT;
        snprintf(x->problem, sizeof(x->problem), "%s", curl_multi_strerror(m));
        x->finished = true;
        wake(h);
    }
    return x;
}

static struct client_call *http_start(struct client *c, const struct client_request *r, client_done_fn done,
                                      void *userdata) {
    struct exchange *x = exchange_new((struct http_client *) c, r, false);
    x->done = done;
    x->userdata = userdata;
    return (struct client_call *) x;
}

static struct client_watch *http_watch(struct client *c, const struct client_request *r, client_event_fn event,
                                       void *userdata) {
    struct exchange *x = exchange_new((struct http_client *) c, r, true);
    x->event = event;
    x->userdata = userdata;
    return (struct client_watch *) x;
}

static void exchange_cancel(struct exchange *x) {
    if (x->h->delivering)
        x->dead = true;
    else
        exchange_free(x);
}

static void http_cancel(struct client *c, struct client_call *call) {
    exchange_cancel((struct exchange *) call);
}

static void http_watch_cancel(struct client *c, struct client_watch *w) {
    exchange_cancel((struct exchange *) w);
}

static void destroy(struct http_client *h) {
    struct exchange *x;
    list_foreach(x, &h->exchanges, link) exchange_free(x);
    (void) curl_multi_cleanup(h->multi);
    sd_event_source_disable_unref(h->timer);
    sd_event_source_disable_unref(h->deliver);
    sd_event_unref(h->loop);
    free(h->server);
    free(h->unix_socket);
    free(h->ca_file);
    free(h->cert_file);
    free(h->key_file);
    free(h->authorization);
    free(h->user_agent);
    free(h);
}

/* A callback may free the client: then it goes when the callback has returned. */
static void http_free(struct client *c) {
    struct http_client *h = (struct http_client *) c;
    if (h->delivering)
        h->freed = true;
    else
        destroy(h);
}

static const struct client_ops http_ops = {
    .start = http_start,
    .cancel = http_cancel,
    .watch = http_watch,
    .watch_cancel = http_watch_cancel,
    .free = http_free,
};

static char *dup_or_null(const char *s) {
    return s ? xstrdup(s) : NULL;
}

static void copy_options(struct http_client *h, const struct http_client_options *o) {
    h->server = xstrdup(o->server ? o->server : "http://localhost");
    for (size_t n = strlen(h->server); n > 0 && h->server[n - 1] == '/'; n--)
        h->server[n - 1] = 0;
    h->unix_socket = dup_or_null(o->unix_socket);
    h->ca_file = dup_or_null(o->ca_file);
    h->cert_file = dup_or_null(o->cert_file);
    h->key_file = dup_or_null(o->key_file);
    h->authorization = o->token ? xasprintf("Authorization: Bearer %s", o->token) : NULL;
    h->user_agent = xstrdup(o->user_agent ? o->user_agent : "podium");
    h->insecure = o->insecure;
    h->timeout = o->timeout_seconds ? (long) o->timeout_seconds : TIMEOUT_SECONDS;
}

int http_client_new(sd_event *loop, const struct http_client_options *options, struct client **ret, struct error *err) {
    const char *server = options->server;
    if (server ? strncmp(server, "http://", 7) != 0 && strncmp(server, "https://", 8) != 0 : !options->unix_socket)
        return error_set(err, -EINVAL, "the server \"%s\" is no http:// or https:// address", server ? server : "");
    int r = libcurl_open(err);
    if (r < 0)
        return r;
    struct http_client *h = xnew0(struct http_client);
    h->client.ops = &http_ops;
    h->loop = sd_event_ref(loop);
    list_init(&h->exchanges);
    copy_options(h, options);
    h->multi = curl_multi_init();
    if (!h->multi || sd_event_add_time(loop, &h->timer, CLOCK_MONOTONIC, 0, 1, on_timer, h) < 0 ||
        sd_event_add_defer(loop, &h->deliver, on_deliver, h) < 0)
        abort(); /* out of memory, as in alloc.h */
    (void) sd_event_source_set_enabled(h->timer, SD_EVENT_OFF);
    (void) sd_event_source_set_enabled(h->deliver, SD_EVENT_OFF);
    (void) curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_socket_changed);
    (void) curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
    (void) curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_timeout_changed);
    (void) curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
    *ret = &h->client;
    return 0;
}

/* --- blocking form --- */

struct waiting {
    bool done;
    int code, errno_code;
    struct json *object;
    char *message;
};

static void on_waited(void *userdata, const struct client_result *result) {
    struct waiting *w = userdata;
    w->done = true;
    w->code = result->code;
    w->errno_code = client_errno(result);
    w->object = json_ref(result->object);
    w->message = xstrdup(result->message ? result->message : "");
}

int client_call_wait(sd_event *loop, struct client *c, const struct client_request *r, int *ret_code, struct json **ret,
                     struct error *err) {
    struct waiting w = {0};
    struct client_call *call = client_start(c, r, on_waited, &w);
    while (!w.done) {
        int e = sd_event_run(loop, UINT64_MAX);
        if (e < 0) {
            client_cancel(c, call);
            return error_set_errno(err, e, "the event loop failed");
        }
    }
    _cleanup_free_ char *message = w.message;
    _cleanup_json_ struct json *object = w.object;
    if (ret_code)
        *ret_code = w.code;
    if (ret)
        *ret = steal(&object);
    if (w.errno_code < 0)
        return error_set(err, w.errno_code, "%s", *message ? message : "the server refused without saying why");
    return 0;
}
